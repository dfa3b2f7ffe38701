"""Attributes of images: plain values that files and Java accept, and that restore the look of an image."""

from __future__ import annotations

import copy
import importlib
import json
import pickle
import warnings

import h5py
import numpy as np
import pytest
import tifffile
import xarray as xr
import zarr

import fijibridge as fb
from fijibridge.errors import ImageError, NoImageError
from fijibridge.files import read_image, write_image
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.metadata import imagej_text
from fijibridge.record import read_record

ENGINES = [name for name in ("scipy", "h5netcdf", "netCDF4") if importlib.util.find_spec(name)]
MACRO = """
    newImage('composite', '16-bit composite-mode', 20, 10, 2, 3, 2);
    Stack.setChannel(1); run('Fire'); setMinAndMax(10, 200);
    Stack.setChannel(2); run('Green'); setMinAndMax(5, 77);
    run('Properties...', 'unit=micron pixel_width=0.25 pixel_height=0.5 voxel_depth=2 frame=[3 sec]');
    Property.set('stain', 'ZO-1'); Property.setSliceLabel('first', 1);
    setMetadata('Info', 'made by a macro, 5 µm');
    newImage('rgb', 'RGB ramp', 20, 10, 2);
    newImage('8', '8-bit ramp', 20, 10, 1); run('Fire'); setMinAndMax(3, 90);
    newImage('indexed', '8-bit ramp', 20, 10, 1); run('3-3-2 RGB');
    newImage('16', '16-bit ramp', 20, 10, 4);
    newImage('float', '32-bit ramp', 20, 10, 1); setMinAndMax(0.1, 0.7);
"""


def plain(value):
    if isinstance(value, list | tuple | np.ndarray):
        return all(type(one) in (str, int, float, bool) or isinstance(one, np.generic) for one in value)
    return type(value) in (str, int, float, bool) or isinstance(value, np.number)


def assert_plain(image):
    everywhere = {"image": image.attrs} | {str(k): c.attrs for k, c in image.coords.items()}
    for where, attrs in everywhere.items():
        for name, value in attrs.items():
            assert plain(value), f"{where}: {name} is {type(value).__name__} {value!r}"


def stored(image, folder, engine):
    """Return an image that was written to a file and read again."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zarr's, of its own format
        if engine == "zarr":
            image.to_zarr(folder / "a.zarr")
            return xr.open_dataarray(folder / "a.zarr", engine="zarr").load()
        path = folder / f"{engine}.nc"
        image.to_netcdf(path, engine=engine.lower())
        with xr.open_dataarray(path, engine=engine.lower()) as opened:
            return opened.load()


def everything_that_makes_images(fiji, folder):
    """Yield all kinds of images that fijibridge makes, by what made them."""
    fiji.run_macro(MACRO)
    fiji.show(np.arange(-100, 100, dtype=np.int16).reshape(10, 20), name="signed")
    for title in fiji.titles():
        yield f"fiji.image {title}", fiji.image(title)
    yield "lazy", fiji.image("composite", lazy=True)
    yield "region", fiji.image("composite", region={"c": 1, "z": slice(1, 3)})
    yield "one plane", fiji.image("16", region={"z": 2})

    image = fb.as_image(np.arange(600, dtype=np.uint16).reshape(20, 30), pixel_size=0.5, unit="um", name="a")
    write_image(image, folder / "a.tif")
    tifffile.imwrite(folder / "plain.tif", image.values)
    tifffile.imwrite(folder / "ome.ome.tif", image.values, metadata={"axes": "YX", "PhysicalSizeX": 0.5})
    from skimage.io import imsave

    imsave(folder / "p.png", image.values.astype(np.uint8), check_contrast=False)
    with h5py.File(folder / "h.h5", "w") as file:
        file["raw"] = image.values
        file["raw"].attrs["element_size_um"] = (0.5, 0.5)
    zarr.save(str(folder / "z.zarr"), image.values)
    for name in ("a.tif", "plain.tif", "ome.ome.tif", "p.png", "h.h5:/raw", "z.zarr"):
        yield f"read_image {name}", read_image(f"{folder}/{name}")
        yield f"read_image {name} lazily", read_image(f"{folder}/{name}", lazy=True)

    tissue = fb.synthetic_epithelium((48, 64), cell_size=16, seed=1)
    yield "synthetic image", tissue.image
    yield "synthetic labels", tissue.labels
    target = fb.membrane_target(tissue.labels, membrane_width=3)
    yield "membrane_target", target
    yield "distance_target", fb.distance_target(tissue.labels)
    yield "affinity_target", fb.affinity_target(tissue.labels)
    yield "weight_map", fb.weight_map(tissue.labels, target=target)
    fiji.show(tissue.image, name="tissue")
    pulled = fiji.image("tissue")
    run = fb.train(
        fb.UNet(depth=1, width=2), [(pulled, target)], validation=[(pulled, target)], epochs=1, batches=1, batch=1,
        patch=(32, 32), out=folder / "run",
    )  # fmt: skip
    yield "run.picture", run.picture
    prob = fb.predict(run.model, pulled)
    yield "predict", prob
    yield "predict into zarr", fb.predict(run.model, pulled, out=folder / "prob.ome.zarr")
    cells = fb.label_cells(prob, "threshold")
    yield "label_cells", cells
    for name, made in {"downscale": fb.downscale(pulled, 2), "upscale": fb.upscale(pulled, 2)}.items():
        yield name, made
    yield "grow_labels", fb.grow_labels(tissue.labels)
    yield "error_map", fb.error_map(tissue.labels, target)
    fiji.show_labels(tissue.labels, name="labels")
    yield "pulled labels", fiji.image("labels")
    fiji.add_rois(fb.labels_to_rois(tissue.labels), "tissue")
    yield "corrected_cells", fiji.corrected_cells(tissue.labels, "tissue", "overlay")
    saved = fb.save_dataset({"a": {"image": pulled, "labels": tissue.labels}}, folder / "set", provenance="manual")
    yield "item.image", saved["a"].image()
    yield "item.labels", saved["a"].labels()
    yield "item.image, lazily", saved["a"].image(lazy=True)
    yield "read_record", read_record(folder / "run").picture


def test_every_image_carries_plain_values_that_files_and_java_take(clean, tmp_path):
    from scyjava import to_java

    seen = 0
    for number, (name, image) in enumerate(everything_that_makes_images(clean, tmp_path)):
        if image is None:
            continue
        seen += 1
        assert_plain(image)
        json.dumps(image.attrs)
        told = to_java(dict(image.attrs))
        assert int(told.size()) == len(image.attrs), name
        for attrs in (image.attrs, *(c.attrs for c in image.coords.values())):
            to_java(attrs)
        for engine in ("h5netcdf", "zarr"):
            folder = tmp_path / f"{number} {engine}"
            folder.mkdir()
            if engine == "zarr" or engine in ENGINES:
                back = stored(image, folder, engine)
                np.testing.assert_array_equal(back.values, image.values, err_msg=name)
                assert fb.imagej_info(back) == fb.imagej_info(image), name
                assert fb.pixel_size(back) == fb.pixel_size(image), name
    assert seen > 40


@pytest.mark.parametrize("way", [*ENGINES, "zarr", "pickle", "deepcopy"])
@pytest.mark.parametrize("title", ["composite", "8", "indexed", "float", "rgb"])
def test_how_an_image_looked_comes_back_from_a_file(clean, tmp_path, title, way):
    clean.run_macro(MACRO)
    image = clean.image(title)
    if way == "pickle":
        back = pickle.loads(pickle.dumps(image))
    elif way == "deepcopy":
        back = copy.deepcopy(image)
    elif way == "scipy" and image.dtype.kind == "u":
        back = stored(image.astype(np.int32), tmp_path, way).astype(image.dtype)  # netCDF 3 has no unsigned numbers
    else:
        back = stored(image, tmp_path, way).astype(image.dtype)
    assert fb.imagej_info(back) == fb.imagej_info(image)
    before = clean._find(title)
    clean.show(back, name="again")
    after, now = clean._find("again"), clean.image("again")
    np.testing.assert_array_equal(now.values, image.values)
    assert fb.imagej_info(now) | {"id": None} == fb.imagej_info(image) | {"id": None}
    for imp in (before, after):
        imp.setPosition(1)
    assert [tuple(lut.getBytes()) for lut in after.getLuts()] == [tuple(lut.getBytes()) for lut in before.getLuts()]
    for axis in image.coords:
        if axis != "c":
            assert now.coords[axis].attrs == image.coords[axis].attrs, axis


def test_the_information_can_be_asked_for_and_changed(clean):
    clean.run_macro(MACRO)
    image = clean.image("8")
    info = fb.imagej_info(image)
    assert (info["type"], info["display_ranges"]) == ("8-bit", [(3.0, 90.0)])
    assert isinstance(info["luts"][0], LookupTable)
    info["display_ranges"] = [(7, 8)]
    assert fb.imagej_info(image)["display_ranges"] == [(3.0, 90.0)], "each call gives a new one"
    image.attrs["imagej"] = imagej_text(info)
    clean.show(image, name="b")
    assert fb.imagej_info(clean.image("b"))["display_ranges"] == [(7.0, 8.0)]
    image.attrs["imagej"] = info  # a dict, as in version 0.1
    assert fb.imagej_info(image)["display_ranges"] == [(7.0, 8.0)]
    with pytest.raises(ImageError, match="object"):
        imagej_text({"info": object()})


def test_scripts_of_version_0_1_still_read_and_change_the_attribute(clean):
    clean.run_macro(MACRO)
    image = clean.image("8")
    with pytest.warns(DeprecationWarning, match="imagej_info"):
        assert image.attrs["imagej"]["id"] == clean.ids("8")[0]
    with pytest.warns(DeprecationWarning, match="imagej_info"):
        assert image.attrs["imagej"].get("display_ranges") == [(3.0, 90.0)]
    with pytest.warns(DeprecationWarning, match="imagej_info"):
        assert dict(image.attrs["imagej"]) == fb.imagej_info(image)
    assert "luts" in image.attrs["imagej"]
    assert "nothing" not in image.attrs["imagej"]
    with pytest.warns(DeprecationWarning, match="imagej_info"):
        image.attrs["imagej"]["display_ranges"] = [(1, 2)]
    with pytest.warns(DeprecationWarning, match="imagej_info"):
        assert image.attrs["imagej"].pop("type") == "8-bit"
    assert fb.imagej_info(image)["display_ranges"] == [(1.0, 2.0)]
    assert "type" not in fb.imagej_info(image)
    assert image.attrs.get("imagej").startswith("{")
    assert type(dict(image.attrs)["imagej"]) is str
    assert image.attrs.get("other", 3) == 3


@pytest.mark.parametrize(
    "told",
    ["no JSON", "[1]", '{"luts": ["00"]}', '{"luts": 3, "display_ranges": [[1]], "slice_labels": 4, "id": "x"}', 7,
     None, '{"calibration_function": {"function": 1}, "properties": [1]}'],
)  # fmt: skip
def test_an_attribute_that_makes_no_sense_is_left_out(clean, told):
    image = fb.as_image(np.zeros((4, 5), np.uint8))
    image.attrs["imagej"] = told
    assert fb.imagej_info(image) == {}
    assert clean.show(image, name="a") == "a"


def test_an_image_of_another_session_is_not_written_into_one_of_the_same_id(clean):
    clean.show(np.full((4, 5), 7, np.uint8), name="a")
    image = clean.image("a")
    image.attrs["imagej"] = imagej_text(fb.imagej_info(image) | {"session": "another"})
    with pytest.raises(ImageError, match="of this session"):
        clean.write(image * np.uint8(0))
    assert (clean.array("a") == 7).all()
    clean.close_image("a")
    with pytest.raises(NoImageError):
        clean.write(image, "a")
