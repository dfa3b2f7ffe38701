"""Images both ways: regions, lazy reading, virtual stacks, looks, write-back."""

from __future__ import annotations

import dask.array as da
import jpype
import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

import fijibridge as fb
from fijibridge.errors import ImageError, NoImageError
from fijibridge.imagej.metadata import imagej_text
from tests.examples import examples
from tests.image.test_axes import of_pyimagej

SIZES = {"t": 2, "c": 3, "z": 4, "y": 11, "x": 13}


@st.composite
def images(draw):
    dims = "".join(d for d in "tcz" if draw(st.booleans())) + "yx"
    dtype = draw(st.sampled_from(["uint8", "uint16", "int16", "float32"]))
    seed = draw(st.integers(0, 99))
    rng = np.random.default_rng(seed)
    shape = [SIZES[d] for d in dims]
    info = np.iinfo(dtype) if dtype != "float32" else None
    array = rng.random(shape, np.float32) if info is None else rng.integers(info.min, info.max, shape).astype(dtype)
    sizes = {d: draw(st.sampled_from([0.25, 0.1, 3.0])) for d in dims if d != "c"}
    start = {d: draw(st.sampled_from([0.0, -1.5, 7.25])) for d in dims if d in "zyx"}
    units = {"x": "um", "y": draw(st.sampled_from(["um", "mm"])), "z": "um", "t": "sec"}
    return fb.as_image(array, dims, pixel_size=sizes, origin=start, unit={d: u for d, u in units.items() if d in dims})


def region_of(draw, image):
    region = {}
    for axis in image.dims:
        size = image.sizes[axis]
        if axis in "yx":
            a, b = sorted(draw(st.tuples(st.integers(0, size - 1), st.integers(1, size))))
            region[axis] = slice(a, max(b, a + 1), draw(st.sampled_from([None, 2])))
        elif draw(st.booleans()):
            region[axis] = draw(st.one_of(st.integers(-size, size - 1), st.just(slice(1, None)), st.just(slice(0, 2))))
    return region


@given(images(), st.data())
@examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_region_is_the_region_of_the_whole_copied_or_lazy(fiji, image, data):
    title = fiji.show(image, name="image", new=True)
    try:
        whole = fiji.image(title)
        np.testing.assert_array_equal(whole.values, image.values)
        for axis in whole.coords:
            if axis in image.coords:
                np.testing.assert_allclose(whole.coords[axis], image.coords[axis])
                assert whole.coords[axis].attrs.get("units") == image.coords[axis].attrs.get("units")
        region = region_of(data.draw, whole)
        part = fiji.image(title, region=region)
        part.attrs["imagej"] = imagej_text({k: v for k, v in fb.imagej_info(part).items() if k != "channel"})
        xr.testing.assert_identical(part, whole.isel(region))
        lazy = fiji.image(title, lazy=True)
        assert isinstance(lazy.data, da.Array)
        xr.testing.assert_identical(lazy.isel(region).compute(), whole.isel(region))
    finally:
        fiji.close_image(title)


def test_only_what_is_needed_of_a_virtual_stack_is_read(clean):
    read = []

    def plane(block_info=None):
        t, z = (place[0] for place in block_info[None]["array-location"][:2])
        read.append((t, z))
        return np.full((1, 1, 30, 40), 10 * t + z, np.uint16)

    volume = da.map_blocks(plane, chunks=((1,) * 3, (1,) * 50, 30, 40), dtype=np.uint16)
    clean.show(fb.as_image(volume, "tzyx"), name="huge")
    stack = clean._find("huge").getStack()
    assert stack.isVirtual()
    read.clear()
    part = clean.image("huge", region={"t": 2, "z": slice(10, 12), "x": slice(3, 9)})
    assert part.shape == (2, 30, 6)
    assert part.values[:, 0, 0].tolist() == [30, 31]
    lazy = clean.image("huge", lazy=True)
    assert set(read) == {(2, 10), (2, 11)}
    assert float(lazy[1, 7].mean()) == 17
    assert set(read) == {(2, 10), (2, 11), (1, 7)}
    clean.run_macro("selectImage('huge'); Stack.setPosition(1, 40, 2); run('Duplicate...', 'title=one');")
    assert (clean.array("one") == 49).all(), "ImageJ scrolls through it"


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.uint16, np.int16, np.int32, np.float16, np.float64])
def test_virtual_stacks_have_the_values_of_copied_ones(clean, dtype):
    array = (np.arange(3 * 4 * 5).reshape(3, 4, 5) % (2 if dtype is bool else 120)).astype(dtype)
    clean.show(array, name="copied")
    clean.show(da.from_array(array), name="virtual")
    copied, virtual = clean.image("copied"), clean.image("virtual")
    assert clean._find("virtual").getStack().isVirtual()
    np.testing.assert_array_equal(copied.values.astype(float), virtual.values.astype(float))


def test_what_32_bits_cannot_hold_is_nan_in_a_virtual_stack_and_said(clean, caplog):
    array = np.array([[[1, 2**24 + 1]], [[3, 4]]], np.int64)
    clean.show(da.from_array(array), name="v")
    shown = clean.array("v")
    assert np.isnan(shown[0, 0, 1])
    assert shown[0, 0, 0] == 1
    assert "shown as NaN" in caplog.text
    with pytest.raises(ImageError, match="complex"):
        clean.show(da.zeros((2, 3, 3), dtype=complex))


def test_memory_maps_are_shown_without_being_loaded(clean, tmp_path):
    mapped = np.memmap(tmp_path / "v.dat", "uint16", "w+", shape=(4, 6, 7))
    mapped[:] = np.arange(4)[:, None, None]
    clean.show(mapped, name="m")
    assert clean._find("m").getStack().isVirtual()
    assert clean.array("m")[:, 0, 0].tolist() == [0, 1, 2, 3]


def test_looks_survive_the_round_trip(clean):
    clean.run_macro("""
        newImage('h', '16-bit composite-mode', 20, 10, 2, 3, 2);
        Stack.setChannel(1); run('Fire'); setMinAndMax(10, 200);
        Stack.setChannel(2); run('Green'); setMinAndMax(5, 77);
        Property.set('stain', 'ZO-1'); Property.setSliceLabel('first', 1);
        setMetadata('Info', 'made by a macro');
    """)
    first = clean.image("h")
    about = fb.imagej_info(first)
    assert about["mode"] == "composite"
    assert about["display_ranges"] == [(10, 200), (5, 77)]
    assert about["properties"]["stain"] == "ZO-1"
    assert about["info"] == "made by a macro"
    assert about["slice_labels"][0].startswith("first")
    clean.show(first, name="again")
    again = clean.image("again")
    assert fb.imagej_info(again) | {"id": about["id"]} == about
    one_channel = clean.image("h", region={"c": 0})
    assert "luts" in fb.imagej_info(one_channel), "what no longer fits is left out when it is shown"
    clean.show(one_channel, name="one")
    assert fb.imagej_info(clean.image("one")).get("mode") is None


@pytest.mark.parametrize("kind", ["8-bit", "16-bit", "32-bit"])
def test_lookup_tables_and_inverted_ones(clean, kind):
    clean.run_macro(f"newImage('a', '{kind} ramp', 30, 20, 1); run('Fire'); run('Invert LUT'); setMinAndMax(3, 90);")
    first = clean.image("a")
    clean.show(first, name="b")
    again = clean.image("b")
    assert fb.imagej_info(again)["luts"] == fb.imagej_info(first)["luts"]
    assert fb.imagej_info(again)["display_ranges"] == fb.imagej_info(first)["display_ranges"]
    assert (again.values == first.values).all(), "an inverted table inverts no value"
    assert fb.imagej_info(first)["luts"][0].colors.shape == (256, 3)


def test_grey_values_with_a_calibration_function(clean):
    clean.run_macro("newImage('od', '8-bit ramp', 30, 20, 1);")
    calibration = clean._find("od").getCalibration()
    calibration.setFunction(calibration.STRAIGHT_LINE, jpype.JArray(jpype.JDouble)([0.5, 0.02]), "O.D.")
    first = clean.image("od")
    function = fb.imagej_info(first)["calibration_function"]
    assert function["unit"] == "O.D."
    clean.show(first, name="again")
    assert fb.imagej_info(clean.image("again"))["calibration_function"] == function
    mean = clean.measure([fb.Roi.rectangle(0, 0, 30, 20, name="1")], "again", ["mean"])["Mean"].iloc[0]
    assert mean == pytest.approx(first.values.mean() * function["coefficients"][1] + function["coefficients"][0])


def test_writing_back(clean):
    array = np.random.default_rng(0).integers(0, 60000, (2, 3, 20, 30)).astype(np.uint16)
    clean.show(fb.as_image(array, "czyx", pixel_size=0.5, origin={"y": 3.0}), name="a")
    clean.add_rois([fb.Roi.rectangle(1, 1, 4, 4, name="1")], "a")
    pulled = clean.image("a")
    clean.show(np.zeros((5, 5), np.uint8), name="active")
    pulled.values[:] //= 2
    clean.write(pulled)
    assert (clean.array("a") == array // 2).all()
    assert len(clean.rois("overlay", "a")) == 1
    part = clean.image("a", region={"z": 1, "y": slice(5, 9), "x": slice(10, 30)})
    part.values[:] = 7
    clean.write(part)
    expected = array // 2
    expected[:, 1, 5:9, 10:] = 7
    assert (clean.array("a") == expected).all()
    with pytest.raises(ImageError, match="float64"):
        clean.write(part * 0.5)
    with pytest.raises(ImageError, match="pixel size"):
        clean.write(fb.as_image(part, pixel_size=0.7))
    with pytest.raises(ImageError, match="are at"):
        clean.write(fb.as_image(part, origin={"y": 100.0, "x": 0.0}))
    with pytest.raises(ImageError, match="channel"):
        clean.write(part.isel(c=[0]))
    with pytest.raises(ImageError, match=r"fiji\.show"):
        clean.write(part.values)
    clean.close_image("a")
    with pytest.raises(NoImageError):
        clean.write(part)


def test_pixels_are_written_to_their_places_whatever_the_order_of_their_axes(clean):
    array = np.arange(24, dtype=np.uint16).reshape(4, 6)
    clean.show(array, name="a")
    clean.write((clean.image("a") * 2).astype(np.uint16, keep_attrs=True).transpose("x", "y"))
    assert (clean.array("a") == 2 * array).all()


def test_an_image_that_does_not_say_where_it_was_copied_from_is_not_written(clean):
    clean.show(np.full((4, 6), 7, np.uint8), name="a")
    clean.show(np.zeros((4, 6), np.uint8), name="active")
    nameless = clean.image("a").drop_attrs(deep=False)
    with pytest.raises(ImageError, match="do not identify an open image of this session"):
        clean.write(nameless)
    assert not clean.array("active").any()
    clean.write(nameless, "active")
    assert (clean.array("active") == 7).all()


def test_writing_back_rgb_and_signed(clean):
    clean.run_macro("newImage('rgb', 'RGB ramp', 20, 10, 2);")
    rgb = clean.image("rgb")
    rgb.values[0] = 9
    clean.write(rgb)
    assert (clean.array("rgb") == rgb.values).all()
    signed = np.arange(-30, 30, dtype=np.int16).reshape(6, 10)
    clean.show(signed, name="s")
    part = clean.image("s", region={"y": slice(2, 4)})
    part.values[:] = -999
    clean.write(part)
    signed[2:4] = -999
    assert (clean.array("s") == signed).all()


def test_showing_twice_replaces_in_place(clean):
    first = clean.show(np.zeros((3, 9, 9), np.uint8), name="s")
    number = clean.ids()
    for array in (np.ones((3, 9, 9), np.uint8), np.ones((3, 9, 9), np.float32), np.ones((4, 5, 6), np.uint16)):
        assert clean.show(array, name="s") == first
        assert clean.titles() == ["s"]
        assert (clean.array("s") == array).all()
    assert clean.ids() == number, "it is the same image for macros and plugins"
    assert clean.show(np.zeros((9, 9)), name="s", new=True) == "s-1"
    assert clean.show(fb.as_image(np.zeros((9, 9)), name="s")) == "s-2", "an image's own name replaces nothing"


def test_which_image(clean):
    for name in ("evl_01.tif", "evl_02.tif", "truth.tif"):
        clean.show(np.zeros((4, 4), np.uint8), name=name)
    assert clean.titles("evl_*") == ["evl_01.tif", "evl_02.tif"]
    assert clean.image("tru*").name == "truth.tif"
    assert [i.name for i in clean.images("evl_*")] == ["evl_01.tif", "evl_02.tif"]
    assert clean.image(clean.ids("*02*")[0]).name == "evl_02.tif"
    with pytest.raises(NoImageError, match=r"evl_02\.tif"):
        clean.image("evl_*")
    with pytest.raises(NoImageError, match="got list"):
        clean.image(["evl_01.tif"])
    clean.select("evl_01.tif")
    assert clean.image().name == "evl_01.tif"


@pytest.mark.parametrize(
    ("region", "words"),
    [
        ({"q": 1}, "has the axis 'q'"),
        ({"z": 3}, "indices 0 to 2"),
        ({"y": slice(50, 60)}, "none of its 9"),
        ({"y": 1.5}, "0-based integer or slice"),
        ("everything", "expected 'roi'"),
        ("roi", "nothing is selected"),
    ],
)
def test_bad_regions(clean, region, words):
    clean.show(np.zeros((3, 9, 9), np.uint8), name="a")
    with pytest.raises(fb.FijiBridgeError, match=words):
        clean.image("a", region=region)


def test_the_selections_bounding_box(clean):
    array = np.arange(900, dtype=np.uint16).reshape(30, 30)
    clean.show(fb.as_image(array, pixel_size=0.5), name="a")
    clean.run_macro("makeOval(-4, 5, 14, 8);")
    part = clean.image("a", region="roi")
    assert (part.values == array[5:13, 0:10]).all()
    assert fb.pixel_size(part)["y"] == 0.5
    assert float(part.coords["y"][0]) == 2.5


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 3)), "empty"),
        (np.zeros((3, 3), complex), "complex128"),
        (np.array([[2**40, 1]]), "fit none of ImageJ's pixel types"),
        (np.full((3, 3), 1e300), "overflow"),
        (np.broadcast_to(np.zeros((), np.uint8), (50_000, 50_000)), r"2\*\*31"),
    ],
)
def test_what_imagej_cannot_hold_is_refused(clean, array, words):
    with pytest.raises(ImageError, match=words):
        clean.show(array)
    assert clean.titles() == []


def test_the_log_progress_and_status_work_without_windows(clean, capfd):
    clean.progress(1, 2)
    clean.status("working")
    clean.log("a line of ours")
    with pytest.raises(fb.FijiBridgeError, match="interactive"):
        clean.on("opened", print)
    with pytest.raises(fb.FijiBridgeError, match="interactive"):
        clean.wait_for_user("x")
    jpype.JClass("java.lang.System").out.flush()
    assert "a line of ours" in capfd.readouterr().out


def test_a_lazy_array_stays_what_it_was(clean):
    array = np.arange(5, dtype=np.uint16)[:, None, None] * 10 * np.ones((1, 8, 9), np.uint16)
    clean.show(array, name="a")
    lazy = clean.image("a", lazy=True)
    clean.run_macro("selectImage('a'); setSlice(1); run('Delete Slice');")
    assert clean.image("a").shape == (4, 8, 9)
    assert lazy[0].values.max() == 0
    assert lazy[4].values.max() == 40
    clean.run_macro("selectImage('a'); makeRectangle(2, 2, 3, 3); run('Crop'); run('8-bit');")
    clean.close_image("a")
    assert (lazy.values == array).all()


def test_limits_are_in_pythons_values_and_for_all_channels(clean):
    clean.show(np.zeros((4, 5), np.int16), name="s", limits=(-100, 100))
    assert fb.imagej_info(clean.image("s"))["display_ranges"] == [(-100, 100)]
    clean.show(np.zeros((2, 1, 4, 5), np.float32), name="c", mode="composite", limits=(3, 40))
    assert fb.imagej_info(clean.image("c"))["display_ranges"] == [(3, 40), (3, 40)]
    with pytest.raises(ImageError, match="one channel"):
        clean.show(np.zeros((2, 1, 4, 5), np.float32), mode="composite", lut="Fire")
    with pytest.raises(ImageError, match="two ascending numbers"):
        clean.show(np.zeros((4, 5)), limits=(1,))


def test_a_selection_outside_of_the_image(clean):
    clean.show(np.zeros((100, 100), np.uint8), name="a")
    clean.run_macro("makeRectangle(-30, 10, 20, 20);")
    with pytest.raises(fb.FijiBridgeError, match="outside"):
        clean.image("a", region="roi")


def test_one_channel_and_one_slice_are_written_back_where_they_lay(clean):
    array = np.zeros((3, 4, 6, 7), np.uint8)
    clean.show(array, name="a")
    part = clean.image("a", region={"c": 1, "z": 2})
    part.values[:] = 9
    clean.write(part)
    array[1, 2] = 9
    assert (clean.array("a") == array).all()
    placeless = xr.DataArray(part.values, dims=("y", "x"), attrs=part.attrs)
    with pytest.raises(ImageError, match="no coordinates along 'z'"):
        clean.write(placeless)


def test_threads_that_show_under_one_name_share_its_window(clean):
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda i: clean.show(np.full((50, 50), i, np.uint8), name="fresh"), range(12)))
    assert clean.titles() == ["fresh"]


def test_a_virtual_plane_may_be_made_of_planes_of_fijis(clean):
    source = np.arange(6, dtype=np.uint8)[:, None, None] * np.ones((1, 600, 600), np.uint8)
    clean.show(source, name="source")

    def plane(block_info=None):
        z = block_info[None]["array-location"][0][0]
        return clean.array("source")[z : z + 1] * np.uint8(2)

    clean.show(da.map_blocks(plane, chunks=((1,) * 6, 600, 600), dtype=np.uint8), name="made")
    assert (clean.array("made") == source * 2).all()


def test_images_of_pyimagej_are_shown_labelled_and_measured(clean):
    tissue = fb.synthetic_epithelium((60, 80), cell_size=20, seed=5)
    image, labels = of_pyimagej(tissue.image), of_pyimagej(tissue.labels)
    clean.show(tissue.image, name="ours")
    clean.show(image, name="theirs")
    ours, theirs = clean.image("ours"), clean.image("theirs")
    xr.testing.assert_equal(theirs, ours)
    assert fb.pixel_size(theirs) == fb.pixel_size(ours)
    clean.show_labels(labels, name="labels", over="theirs")
    assert (clean.array("labels") == tissue.labels.values).all()
    outlines = fb.rois_to_labels(clean.rois("overlay", "theirs"), tissue.labels.shape)
    assert (outlines == tissue.labels.values).all()
    expected = clean.measure(tissue.labels, tissue.image, ["mean", "area"])
    got = clean.measure(labels, image, ["mean", "area"])
    assert got.to_numpy().tolist() == expected.to_numpy().tolist()
    across = tissue.labels.transpose("x", "y")
    assert clean.measure(across, tissue.image.T, ["mean"])["Mean"].tolist() == expected["Mean"].tolist()
    assert (clean.corrected_cells(labels, "theirs", "overlay").values == tissue.labels.values).all()
    matching = fb.match_labels(labels, clean.image("labels"))
    assert clean.show_matches(matching, labels, labels, over="theirs") is not None
    stack = fb.as_image(
        np.arange(2 * 3 * 2 * 4 * 5, dtype=np.uint16).reshape(2, 3, 2, 4, 5), "tczyx", pixel_size={"t": 3.0}
    )
    clean.show(of_pyimagej(stack), name="stack")
    assert (clean.array("stack") == stack.values).all()
    assert clean._find("stack").getCalibration().frameInterval == 3
    assert clean._find("stack").getStack().getSliceLabel(1) is None
