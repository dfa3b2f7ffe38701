from __future__ import annotations

import re

import jpype
import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.errors import ImageError, MacroError, NoImageError, RoiError, SessionError
from fijibridge.fiji import rois as fiji_rois
from fijibridge.files import read_image


def test_it_says_what_it_is(fiji):
    assert fb.current() is fiji
    assert fiji.mode == "headless"
    assert f"{fiji.flavor} {fiji.version}, headless, Java" in repr(fiji)
    if fiji.flavor == "embedded":
        assert fiji.version == "1.54p"
        with pytest.raises(SessionError, match="no ImageJ2 gateway"):
            fiji.ij  # noqa: B018
    else:
        assert re.fullmatch(r"2\.\d+\.\d+/1\.\d\d[a-z]", fiji.version)
        assert str(fiji.ij.getVersion()) in fiji.version


def test_titles_images_and_the_active_one(clean):
    a, b = np.zeros((3, 4), np.uint8), np.ones((5, 6), np.float32)
    assert clean.show(a, name="a") == "a"
    assert clean.show(b, name="b") == "b"
    assert clean.titles() == ["a", "b"]
    assert clean.image("a").shape == (3, 4)
    assert clean.image().name == "b", "the last one shown is active"
    assert [i.shape for i in clean.images()] == [(3, 4), (5, 6)]
    assert isinstance(clean.array("b"), np.ndarray)


def test_two_images_of_one_title(clean):
    assert [clean.show(np.zeros((2, 2), np.uint8), name="x", new=True) for _ in range(3)] == ["x", "x-1", "x-2"]
    clean._find("x-1").setTitle("x")
    with pytest.raises(NoImageError, match="by its id"):
        clean.image("x")
    assert clean.image(clean.ids()[1]).shape == (2, 2)


def test_no_image(clean):
    with pytest.raises(NoImageError, match="no image is open"):
        clean.image()
    clean.show(np.zeros((2, 2), np.uint8), name="here")
    with pytest.raises(NoImageError, match=r"'gone'; open are \['here'\]"):
        clean.image("gone")


def test_python_and_the_macro_language_see_the_same_images(clean):
    clean.show(np.full((4, 5), 7, np.uint8), name="seen by both")
    assert clean.run_macro("selectImage('seen by both'); return '' + getWidth() + ' ' + getPixel(1, 1);") == "5 7"
    clean.run_macro("newImage('by macro', '16-bit ramp', 30, 20, 1);")
    assert clean.image("by macro").shape == (20, 30)
    assert clean.run_macro("return getArgument();", "the argument") == "the argument"


def test_a_macro_error_is_an_exception_and_ends_the_macro(clean):
    clean.show(np.full((4, 4), 5, np.uint8), name="before")
    macro = "newImage('made', '8-bit', 9, 9, 1);\nnonsense('x');\nnewImage('not reached', '8-bit', 9, 9, 1);"
    with pytest.raises(MacroError, match=r"Undefined identifier in line 2 of the macro"):
        clean.run_macro(macro)
    assert clean.titles() == ["before", "made"], "an error closes no image"
    assert clean.array("before").sum() == 80
    with pytest.raises(MacroError):
        clean.run_macro("selectImage('made'); close(); nonsense('y');")
    assert clean.titles() == ["before"], "what the macro closed before its error stays closed"
    assert clean.run_macro("return getTitle();") == "before"


def test_a_macro_that_needs_an_image_or_is_not_finished_hangs_nothing(python):
    """In a process of its own: each of these once ended in System.exit within Java, for which Python waited."""
    done = python(
        """
        import fijibridge as fb
        fiji = fb.Fiji.start(WHERE, mode="headless")
        for macro in ("x = getTitle();", "getTitle()", "makeOval(1, 2, 3, 4);", "setPixel(1, 1, 1);", "x = getTitle(",
                      "makeOval(1, 2", "a = newArray(2); a[1", "newImage('a', '8-bit', 9, 9, 1); makeOval(1, 2", "{"):
            try:
                fiji.run_macro(macro)
                print("no error of", macro)
            except fb.FijiBridgeError as error:
                print(error)
        print(fiji.titles(), fiji.run_macro('x = "(("; // ((\\n return x;'))
        """,
        timeout=100,
    )
    lines = done.stdout.splitlines()
    assert [line.startswith("There are no images open in line 1 of the macro") for line in lines[:4]] == [True] * 4, (
        lines
    )
    assert lines[4:8] == [
        "the macro ends within brackets: 1 more ( than )", "the macro ends within brackets: 1 more ( than )",
        "the macro ends within brackets: 1 more [ than ]", "the macro ends within brackets: 1 more ( than )",
    ]  # fmt: skip
    assert "expected" in lines[8]
    assert lines[9] == "[] (("


def test_exit_is_a_normal_end_of_a_macro(clean):
    clean.show(np.zeros((4, 4), np.uint8), name="a")
    assert clean.run_macro("rename('b'); exit(); rename('c');") == ""
    assert clean.titles() == ["b"]


def test_luts(clean):
    clean.show(np.arange(256, dtype=np.uint8).reshape(16, 16), name="a", lut="Fire")
    lut = clean._find("a").getProcessor().getLut()
    assert lut.getRGB(jpype.JInt(255)) & 0xFFFFFF == 0xFFFFFF
    red, blue = (lut.getRGB(jpype.JInt(128)) >> shift & 0xFF for shift in (16, 0))
    assert red > 200 > 100 > blue, "the middle of Fire is red"
    with pytest.raises(ImageError, match="Firre"):
        clean.show(np.zeros((2, 2), np.uint8), lut="Firre")


def test_labels_have_distinct_colours_and_outlines_over_the_image(clean):
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:8], labels[10:18, 10:28] = 3, 300
    raw = fb.as_image(np.zeros((20, 30), np.uint16), name="raw")
    title = clean.show_labels(labels, over=raw)
    assert clean.titles() == ["raw", "labels"]
    assert (clean.array(title) == labels).all()
    lut = clean._find(title).getProcessor().getLut()
    colours = [lut.getRGB(jpype.JInt(i)) for i in range(256)]
    assert len(set(colours)) == 256
    assert colours[0] & 0xFFFFFF == 0, "background is black"
    outlines = clean.rois(source="overlay", title="raw")
    assert [r.name for r in outlines] == ["3", "300"]
    assert (fb.rois_to_labels(outlines, labels.shape) == labels).all()
    with pytest.raises(ImageError, match="20 x 30"):
        clean.show_labels(np.ones((5, 5), int), over="raw")


@pytest.mark.parametrize(
    ("dtype", "cells"), [(np.uint8, 200), (np.int16, 200), (np.int64, 200), (np.int16, 600), (np.int64, 600)]
)
def test_colours_of_label_images_as_they_are_seen(clean, dtype, cells):
    """Also with more cells than a lookup table has colours: none is black, and the next ids look different."""
    labels = np.arange(cells + 1, dtype=dtype).reshape(1, -1)
    title = clean.show_labels(labels)
    seen = clean._find(title).flatten().getProcessor()
    colours = [seen.getPixel(x, 0) & 0xFFFFFF for x in range(cells + 1)]
    assert colours[0] == 0
    assert 0 not in colours[1:]
    assert all(len(set(colours[x : x + 100])) == 100 for x in range(1, cells - 100))
    assert (clean.array(title) == labels).all()
    with pytest.raises(RoiError):
        clean.rois()


def seen(fiji, title, place, number=1):
    imp = fiji._find(title)
    imp.setSlice(number)
    return imp.flatten().getProcessor().getPixel(*place) & 0xFFFFFF


@pytest.mark.parametrize("planes", [None, 2])
def test_many_cells_are_seen_as_they_are_after_their_pixels_changed(clean, planes):
    labels = np.arange(1, 401, dtype=np.uint16).reshape(20, 20)
    labels = labels if planes is None else np.stack([labels] * planes)
    clean.show_labels(labels, name="big")
    clean.add_rois(fb.Roi.rectangle(14, 15, 3, 3, name="mine"), "big")
    edited = clean.image("big").copy()
    edited[..., 3:5, :] = 0
    edited[..., 7, 7] = 2
    before = seen(clean, "big", (1, 0), planes or 1)
    clean.write(edited)
    assert seen(clean, "big", (7, 3), planes or 1) == 0
    assert seen(clean, "big", (7, 7), planes or 1) == before
    clean.show(np.zeros_like(labels), name="big")
    assert [seen(clean, "big", (x, 12), planes or 1) for x in range(20)] == [0] * 20
    assert [roi.name for roi in clean.rois("overlay", "big")] == ["mine"], "what the user drew stays"


def test_rois_both_ways(clean):
    tissue = fb.synthetic_epithelium((80, 90), cell_size=16, seed=3)
    clean.show(tissue.image, name="t")
    rois = fb.labels_to_rois(tissue.labels)
    clean.add_rois(rois)
    back = clean.rois()
    assert [r.name for r in back] == [r.name for r in rois]
    assert (fb.rois_to_labels(back, tissue.image.shape) == tissue.labels.values).all()
    clean._find("t").setOverlay(None)
    with pytest.raises(RoiError, match="no ROI in"):
        clean.rois()
    clean.run_macro("makeOval(10, 20, 30, 25);")
    (selection,) = clean.rois()
    assert (selection.kind, selection.bounds) == ("oval", (10, 20, 40, 45))
    with pytest.raises(RoiError, match="the overlay"):
        clean.rois(source="overlay")


@pytest.mark.parametrize(
    "macro",
    [
        "makeRectangle(3, 4, 20, 10);",
        "makeOval(3, 4, 21, 10);",
        "makeOval(0, 0, 7, 7);",
        "makePolygon(2, 2, 30, 5, 20, 35, 5, 20);",
        "makeSelection('freehand', newArray(2, 30, 20, 5), newArray(2, 5, 35, 20));",
        "makePolygon(2.3, 2.7, 30.1, 5.9, 20.5, 35.5, 5.01, 20.2);",
        "makeRectangle(3, 4, 20, 10); setKeyDown('alt'); makeOval(6, 6, 8, 6);",
        "makePolygon(-5, -5, 60, 20, 10, 60);",
        "makeEllipse(5, 8, 33, 30, 0.5);",
        "makeEllipse(2.5, 20.5, 37.5, 20.5, 0.31);",
        "makeRotatedRectangle(8, 8, 30, 25, 11);",
        "makeRectangle(5.3, 4.6, 12.2, 9.7);",
    ],
)
def test_masks_are_imagejs_own_pixel_by_pixel(clean, macro):
    clean.show(np.zeros((40, 40), np.uint8), name="a")
    clean.run_macro(macro)
    (roi,) = clean.rois(source="image")
    clean.run_macro("setForegroundColor(255, 255, 255); setColor(255); fill();")
    assert (fb.rois_to_mask([roi], (40, 40)) == (clean.array("a") > 0)).all()


def test_slices_of_a_hyperstack_both_ways(clean):
    """A ROI's z on a hyperstack with channels is not its position in the stack."""
    labels = np.zeros((3, 10, 10), int)
    labels[2, 2:5, 2:5], labels[0, 6:8, 6:8] = 7, 7
    stack = np.zeros((2, 3, 10, 10), np.uint8)
    stack[0] = np.arange(3)[:, None, None] * 10
    clean.show(stack, name="h")
    clean.add_rois(fb.labels_to_rois(labels), "h")
    assert [int(r.getZPosition()) for r in clean._find("h").getOverlay().toArray()] == [1, 3]
    back = clean.rois(source="overlay", title="h")
    assert [r.position for r in back] == [1, 3]
    assert (fb.rois_to_labels(back, labels.shape) == labels).all()
    table = clean.measure(back, "h", ["area", "mean"])
    assert table[["slice", "Area", "Mean"]].to_numpy().tolist() == [[1, 4, 0], [3, 9, 20]]


@pytest.mark.parametrize("axes", ["tyx", "tcyx", "cyx", "tczyx"])
def test_cells_of_a_series_lie_on_its_frames_both_ways(clean, axes):
    """Also where ImageJ has but one slice: its measuring finds them, and they come back as they were."""
    labels = np.zeros((3, 10, 10), np.uint16)
    labels[0, 1:4, 1:4], labels[1, 2:5, 2:5], labels[2, 6:9, 6:9], labels[2, 1:3, 1:3] = 7, 7, 7, 9
    planes, counts = (np.arange(1, 4) * 10).reshape(3, 1, 1), {"t": 3, "c": 2, "z": 3, "y": 10, "x": 10}
    if axes == "cyx":
        counts["c"] = 3
    shape = tuple(counts[axis] for axis in axes)
    pixels = np.broadcast_to(planes, (3, 10, 10)).astype(np.uint8)
    pixels = np.broadcast_to(pixels[:, None] if axes == "tcyx" else pixels, shape)
    clean.show(fb.as_image(pixels, axes), name="s")
    clean.show_labels(labels, over="s")
    imp = clean._find("s")
    lie = [fiji_rois.plane_of(imp, roi) for roi in imp.getOverlay().toArray()]
    assert lie == [1, 2, 3, 3]
    assert clean.measure("overlay", "s", ["mean"])["Mean"].tolist() == [10, 20, 30, 30]
    assert (fb.rois_to_labels(clean.rois("overlay", "s"), labels.shape) == labels).all()
    assert (clean.corrected_cells(labels, "s", "overlay") == labels).all()
    assert fiji_rois.plane_of(imp, clean._named_roi(imp, "7", 2)) == 2
    clean.select("s", "9")
    assert {"tyx": imp.getT, "tcyx": imp.getT, "cyx": imp.getC, "tczyx": imp.getZ}[axes]() == 3


def test_cells_that_are_drawn_on_a_frame_are_cells_of_that_frame(clean):
    clean.show(fb.as_image(np.zeros((3, 2, 10, 10), np.uint8), "tcyx"), name="s")
    imp = clean._find("s")
    imp.setT(2)
    clean.run_macro("makeRectangle(1, 1, 3, 3); run('Add Selection...');")
    cells = clean.corrected_cells(np.zeros((3, 10, 10), int), "s", "overlay")
    assert cells.values.reshape(3, -1).sum(axis=1).tolist() == [0, 9, 0]


def test_labels_of_more_slices_than_the_image_has_are_refused(clean):
    for axes, shape in (("zyx", (3, 8, 8)), ("tcyx", (3, 2, 8, 8)), ("yx", (8, 8))):
        clean.show(fb.as_image(np.zeros(shape, np.uint8), axes), name="s")
        with pytest.raises(ImageError, match=r"5 slices, 's' has [13]"):
            clean.show_labels(np.ones((5, 8, 8), int), over="s")
    assert clean.titles() == ["s"]


@pytest.mark.parametrize("name", ["dev_cornea01", "dev_nuclei512"])
def test_measure_equals_imagejs_own_table(clean, data, name):
    """Golden: what ImageJ 1.54p measured of the same labels by hand."""
    folder = data / "golden" / "imagej"
    labels, image = (read_image(folder / f"{name}_{what}.tif").values for what in ("labels", "image"))
    golden = pd.read_csv(folder / f"{name}_Results.csv", index_col=0)
    table = clean.measure(labels, image)
    assert table["label"].tolist() == [int(n) for n in golden["Label"]]
    compared = [c for c in golden.columns if c in table.columns]
    assert {"Area", "Mean", "StdDev", "Perim.", "Feret", "Circ.", "Major", "Solidity", "IntDen"} <= set(compared)
    for column in compared:
        np.testing.assert_allclose(table[column], golden[column], atol=1.1e-3, err_msg=column)


def test_area_in_imagej_is_the_number_of_pixels(clean):
    tissue = fb.synthetic_epithelium((120, 120), seed=8)
    table = clean.measure(tissue.labels, tissue.image, ["area", "mean"])
    ids, pixels = np.unique(tissue.labels.values, return_counts=True)
    assert table["label"].tolist() == ids.tolist()
    np.testing.assert_allclose(table["Area"], pixels * 0.2**2, rtol=1e-12)
    means = [tissue.image.values[tissue.labels.values == i].mean() for i in ids]
    np.testing.assert_allclose(table["Mean"], means, rtol=1e-6)
    assert clean.run_macro("return '' + nResults;") == str(len(ids))


def test_cells_of_a_stack_are_measured_on_their_slices(clean):
    labels = np.zeros((3, 6, 6), int)
    labels[0, 1:3, 1:3] = labels[2, 1:5, 1:5] = 7
    labels[2, 0, 0] = 2
    stack = np.stack([np.full((6, 6), v, np.uint8) for v in (10, 20, 30)])
    table = clean.measure(labels, stack, ["area", "mean"])
    assert table[["slice", "label", "Area", "Mean"]].to_numpy().tolist() == [
        [1, 7, 4, 10],
        [3, 2, 1, 30],
        [3, 7, 16, 30],
    ]
    clean.show(stack, name="s")
    clean.run_macro("setSlice(2);")
    assert clean.measure([fb.Roi.rectangle(0, 0, 2, 2)], "s", ["mean"])["Mean"].tolist() == [20]
    assert clean.run_macro("return '' + getSliceNumber();") == "2"


def test_measure_rois_on_an_open_image(clean):
    clean.show(np.arange(100, dtype=np.uint8).reshape(10, 10), name="a")
    table = clean.measure([fb.Roi.rectangle(0, 0, 2, 2, name="corner")], "a", ["mean", "min_max"])
    assert table["label"].tolist() == ["corner"]
    assert table["Mean"].tolist() == [5.5]
    with pytest.raises(ImageError, match="no measurement 'colour'"):
        clean.measure([fb.Roi.rectangle(0, 0, 2, 2)], "a", ["colour"])
    with pytest.raises(RoiError, match="no cell"):
        clean.measure(np.zeros((10, 10), int), "a")
    with pytest.raises(ImageError, match="10 x 10"):
        clean.measure(np.ones((4, 4), int), "a")


def test_measuring_is_never_redirected_silently(clean):
    analyzer = jpype.JClass("ij.plugin.filter.Analyzer")
    clean.show(np.full((10, 10), 5, np.uint8), name="other")
    analyzer.setRedirectImage(clean._find("other"))
    try:
        with pytest.raises(ImageError, match="Redirect to"):
            clean.measure(np.ones((10, 10), int), np.zeros((10, 10), np.uint8))
    finally:
        analyzer.setRedirectImage(None)


def test_images_of_one_title_are_measured_by_their_id(clean):
    for value in (3, 8):
        clean.show(np.full((6, 6), value, np.uint8), name="x", new=True)
    first = clean.ids()[0]
    assert clean.measure(np.ones((6, 6), int), first, ["mean"])["Mean"].tolist() == [3]
    clean.show_labels(np.ones((6, 6), int), over=first)
    assert len(clean.rois(source="overlay", title=first)) == 1


def test_multi_points_are_refused(clean):
    clean.show(np.zeros((9, 9), np.uint8), name="a")
    clean.run_macro("makeSelection('point', newArray(1, 5), newArray(2, 6));")
    with pytest.raises(RoiError, match="multi-point"):
        clean.measure(clean.rois(source="image"), "a")


def test_tables(clean):
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, np.nan], "text": ["a", "b"]})
    clean.show_table(frame)
    macro = "return '' + getResult('n', 1) + '|' + getResult('x', 0) + '|' + getResultString('text', 1);"
    assert clean.run_macro(macro) == "2|0.5|b"


def test_roiset_that_imagej_opens_measures_the_same_areas(clean, tmp_path):
    """ImageJ's own code reads the zip: RoiDecoder on each entry."""
    import zipfile

    tissue = fb.synthetic_epithelium((100, 100), seed=2)
    fb.write_rois(fb.labels_to_rois(tissue.labels), tmp_path / "RoiSet.zip")
    areas = {}
    with zipfile.ZipFile(tmp_path / "RoiSet.zip") as archive:
        for entry in archive.namelist():
            raw = jpype.JArray(jpype.JByte)(np.frombuffer(archive.read(entry), np.int8))
            roi = jpype.JClass("ij.io.RoiDecoder").openFromByteArray(raw)
            areas[int(str(roi.getName()))] = int(roi.getStatistics().pixelCount)
    ids, pixels = np.unique(tissue.labels.values, return_counts=True)
    assert areas == dict(zip(ids.tolist(), pixels.tolist(), strict=True))


def test_outlines_are_imagejs_own(clean):
    """ThresholdToSelection, ImageJ's own tracer: the same pixels, and for one part the same vertices in its order.

    Where pixels touch only at corners, ImageJ joins some and some not, depending on what it traced before.
    """
    from scipy import ndimage

    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(120):
        labels = (ndimage.gaussian_filter(rng.random((24, 26)), 3) > 0.49).astype(np.uint8)
        clean.show(labels * np.uint8(255), name="mask")
        clean.run_macro("setThreshold(255, 255); run('Create Selection');")
        (its,) = clean.rois(source="image", title="mask")
        (ours,) = fb.labels_to_rois(labels)
        assert (fb.rois_to_mask([its], labels.shape) == labels).all()
        mine, theirs = ([path.tolist() for path in roi.paths()] for roi in (ours, its))
        if not _corner_contacts(labels):
            assert sorted(sorted(path) for path in mine) == sorted(sorted(path) for path in theirs)
            if len(mine) == 1:
                assert mine == theirs
                compared += 1
        clean.run_macro("close();")
    assert compared > 10


def _corner_contacts(labels: np.ndarray) -> bool:
    a, b, c, d = labels[:-1, :-1], labels[:-1, 1:], labels[1:, :-1], labels[1:, 1:]
    return bool(((a == d) & (b == c) & (a != b)).any())
