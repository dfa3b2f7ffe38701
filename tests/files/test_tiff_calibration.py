"""Calibration of TIFF files, which ImageJ's own reader judges."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile

from fijibridge.files import read_image
from fijibridge.image import origin, pixel_size, time_unit, unit, usual_unit

IMAGEJ = "ImageJ=1.54p\nimages=3\nslices=3\n"
FILM = "ImageJ=1.54p\nimages=3\nframes=3\n"
CASES = {
    "scifio": ("SCIFIO=0.46.0\naxes=X,Y,Z\nimages=3\nslices=3\nunit=\\u00B5m\nhyperstack=true\n", 50000, 3),
    "null": (f"{IMAGEJ}unit=null\n", 5, 1),
    "negative spacing": (f"{IMAGEJ}unit=um\nspacing=-0.7\n", 5, 1),
    "um in cm": (f"{IMAGEJ}unit=um\nspacing=0.7\n", 50000, 3),
    "escaped um in cm": (f"{IMAGEJ}unit=\\u00B5m\nspacing=0.7\n", 50000, 3),
    "cm": (f"{IMAGEJ}unit=cm\nspacing=0.00005\n", 50000, 3),
    "zunit": (f"{IMAGEJ}unit=um\nspacing=250\nzunit=nm\n", 10, 1),
    "yunit": (f"{IMAGEJ}unit=um\nspacing=3\nyunit=nm\n", 10, 1),
    "no unit": (IMAGEJ, 10, 1),
    "inch": ("", 300, 2),
    "screen": ("", 72, 2),
    "no unit, plain": ("", 10, 1),
    "cm, plain": ("", 50000, 3),
    "coarse cm, plain": ("", 500, 3),
    "no number": (f"{IMAGEJ}unit=um\nspacing=many\n", 5, 1),
    "angstrom": (f"{IMAGEJ}unit=A\nspacing=2\n", 5, 1),
    "blanks": (f"{IMAGEJ}unit = um\nspacing : 0.7\n", 5, 1),
    "interval": (f"{FILM}unit=um\nfinterval=2.5\ntunit=min\nxorigin=3\nyorigin=-1.5\n", 5, 1),
    "no interval": (f"{FILM}unit=micron\nfps=5\n", 5, 1),
}


def written(path, description, pixels, of, data=None):
    tifffile.imwrite(
        path, np.zeros((3, 8, 9), np.uint8) if data is None else data, photometric="minisblack", metadata=None,
        description=description, resolution=(pixels, pixels), resolutionunit=of,
    )  # fmt: skip
    return path


@pytest.mark.parametrize("name", CASES)
def test_a_tiff_has_the_calibration_that_imagej_shows(clean, tmp_path, name):
    path = written(tmp_path / "a.tif", *CASES[name])
    clean.run_macro(f'open("{path}");')
    calibration = clean._find(None).getCalibration()
    shown = {
        "x": float(calibration.pixelWidth), "y": float(calibration.pixelHeight), "z": float(calibration.pixelDepth)
    }  # fmt: skip
    units = {d: usual_unit(str(getattr(calibration, f"get{d.upper()}Unit")())) for d in "xyz"}
    both = read_image(path), clean.image()
    for image in both:
        assert unit(image) == units["x"]
        scale = {"nm": 1e-3}
        for d in set("zyx") & set(image.dims):
            factor = 1 if units[d] == units["x"] else scale[units[d]]
            assert pixel_size(image)[d] == pytest.approx(shown[d] * factor, rel=1e-6)
        if "t" in image.dims:
            assert pixel_size(image)["t"] == (float(calibration.frameInterval) or 1)
        first = {"x": float(calibration.xOrigin), "y": float(calibration.yOrigin)}
        assert [origin(image)[d] for d in "xy"] == pytest.approx([-first[d] * shown[d] for d in "xy"])
    assert time_unit(both[0]) == time_unit(both[1])
    assert both[0].dims == both[1].dims


def test_the_depth_in_scifios_description_is_read_although_imagej_ignores_it(tmp_path):
    text = "SCIFIO=0.46.0\nimages=3\nslices=3\nunit=\\u00B5m\nspacing=0.7\n"
    image = read_image(written(tmp_path / "a.tif", text, 50000, 3))
    assert (pixel_size(image), unit(image)) == ({"z": 0.7, "y": 0.2, "x": 0.2}, "um")


def test_a_tiff_without_a_resolution_is_not_calibrated(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((8, 9), np.uint8), metadata=None)
    image = read_image(tmp_path / "a.tif")
    assert (pixel_size(image), unit(image)) == ({"y": 1, "x": 1}, "pixel")


def test_each_image_of_an_ome_set_has_its_own_pixel_size_and_channels(tmp_path):
    """The XML of a set of files describes all its images, in each file."""
    data = np.zeros((2, 8, 9), np.uint8)
    sizes = (0.1, 0.4)
    for n, size in enumerate(sizes):
        about = {"axes": "CYX", "PhysicalSizeX": size, "PhysicalSizeY": size, "Channel": {"Name": [f"a{n}", f"b{n}"]}}
        tifffile.imwrite(tmp_path / f"{n}.ome.tif", data + n, metadata=about)
    texts = [tifffile.TiffFile(tmp_path / f"{n}.ome.tif").ome_metadata for n in range(2)]
    images = []
    for n, text in enumerate(texts):
        image = text[text.index("<Image ") : text.index("</OME>")]
        image = image.replace('ID="Image:0"', f'ID="Image:{n}"').replace('ID="Pixels:0"', f'ID="Pixels:{n}"')
        uuid = f'<UUID FileName="{n}.ome.tif">urn:uuid:{n}</UUID>'
        blocks = [f'<TiffData IFD="{c}" FirstC="{c}" PlaneCount="1">{uuid}</TiffData>' for c in range(2)]
        begin, end = image.index("<TiffData"), image.index("</Pixels>")
        images.append(image[:begin] + "".join(blocks) + image[end:])
    head = re.sub('UUID="[^"]*"', 'UUID="urn:uuid:N"', texts[0][: texts[0].index("<Image ")])
    whole = head + "".join(images) + "</OME>"
    for n in range(2):
        tifffile.imwrite(
            tmp_path / f"{n}.ome.tif", data + n, metadata=None, photometric="minisblack",
            description=whole.replace("urn:uuid:N", f"urn:uuid:{n}", 1).encode(),
        )  # fmt: skip
    for n, size in enumerate(sizes):
        image = read_image(tmp_path / f"{n}.ome.tif")
        assert pixel_size(image) == {"y": size, "x": size}
        assert image.coords["c"].values.tolist() == [f"a{n}", f"b{n}"]
        assert (image.values == n).all()


@pytest.mark.parametrize("name", ["a.lsm", "a.stk", "a.svs", "a.tif", "a.png", "a.ome.tif2", "a"])
def test_the_content_of_a_file_says_what_it_is(tmp_path, name):
    data = np.arange(5 * 40 * 50).reshape(5, 40, 50).astype(np.uint16)
    tifffile.imwrite(tmp_path / "b.tif", data)
    (tmp_path / "b.tif").rename(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.dims == ("z", "y", "x")
    assert (image.values == data).all()


@pytest.mark.parametrize("kind", ["CZ_LSMINFO", "svs"])
def test_microscopes_own_metadata(tmp_path, kind):
    data = np.zeros((3, 40, 50), np.uint8)
    if kind == "svs":
        text = "Aperio Image Library v11\r\n50x40 [0,0 50x40] (240x240) J2K|AppMag = 20|MPP = 0.25"
        tifffile.imwrite(tmp_path / "a.svs", data[0], description=text, metadata=None)
        image = read_image(tmp_path / "a.svs")
        assert (pixel_size(image), unit(image)) == ({"y": 0.25, "x": 0.25}, "um")
        return
    from fijibridge.files.tiff_calibration import _lsm

    about = _lsm({"VoxelSizeX": 1e-7, "VoxelSizeY": 1e-7, "VoxelSizeZ": 3e-7, "TimeIntervall": 0.0})
    assert about["pixel_size"] == pytest.approx({"x": 0.1, "y": 0.1, "z": 0.3})
    assert set(about["unit"].values()) == {"um"}
