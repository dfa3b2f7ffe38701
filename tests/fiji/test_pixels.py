from __future__ import annotations

import jpype
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fijibridge.errors import ImageError
from fijibridge.fiji.imageplus import from_imageplus, to_imageplus
from fijibridge.fiji.pixels import copy_from_java, copy_to_java
from fijibridge.image import as_image, origin, pixel_size, time_unit, unit
from tests.examples import examples

pytestmark = pytest.mark.usefixtures("fiji")

dtypes = st.sampled_from([np.uint8, np.uint16, np.float32, np.int16])
axes = st.sampled_from(["yx", "zyx", "cyx", "tyx", "czyx", "tzyx", "tcyx", "tczyx"])
sizes = st.floats(1e-3, 1e3)


@st.composite
def images(draw):
    dims = draw(axes)
    shape = tuple(draw(st.integers(2 if d in "tcz" else 1, 4)) for d in dims)
    array = draw(hnp.arrays(draw(dtypes), shape))
    return as_image(
        array, dims, pixel_size={d: draw(sizes) for d in ("z", "y", "x", *("t" * ("t" in dims)))},
        origin={d: draw(st.floats(-100, 100)) for d in "yx"}, unit={"t": "sec", "z": "um", "y": "um", "x": "um"},
    )  # fmt: skip


@given(images())
@examples(120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_push_and_pull_is_the_identity(image):
    back = from_imageplus(to_imageplus(image, "a"))
    assert back.dims == image.dims
    assert back.dtype == image.dtype
    np.testing.assert_array_equal(back.values, image.values)
    assert unit(back) == "um"
    for d, size in pixel_size(image).items():
        assert pixel_size(back)[d] == pytest.approx(size, rel=1e-12)
    for d in "yx":
        assert origin(back)[d] == pytest.approx(origin(image)[d], rel=1e-9, abs=1e-9)
    if "t" in image.dims:
        assert time_unit(back) == "sec"


def test_what_imagej_itself_sees(fiji):
    """Not only our own way back: ImageJ's getters, at hand-picked places."""
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    imp = to_imageplus(as_image(array, "czyx", pixel_size={"z": 2, "y": 0.5, "x": 0.25}, unit="um"), "a")
    assert tuple(imp.getDimensions()) == (5, 4, 2, 3, 1)
    assert imp.getStack().getProcessor(imp.getStackIndex(2, 3, 1)).get(4, 1) == array[1, 2, 1, 4]
    cal = imp.getCalibration()
    assert (cal.pixelWidth, cal.pixelHeight, cal.pixelDepth, str(cal.getUnit())) == (0.25, 0.5, 2, "micron")


def test_names_of_channels_survive(fiji):
    image = as_image(np.zeros((2, 3, 4, 5), np.float32), "czyx").assign_coords(c=["other", "membrane"])
    imp = to_imageplus(image, "a")
    assert str(imp.getStack().getSliceLabel(2)) == "membrane"
    assert from_imageplus(imp).coords["c"].values.tolist() == ["other", "membrane"]


def test_a_global_calibration_of_imagej_does_not_change_ours(fiji):
    other = to_imageplus(as_image(np.zeros((2, 2), np.uint8), pixel_size=7.0, unit="mm"), "other")
    other.setGlobalCalibration(other.getCalibration())
    try:
        image = as_image(np.array([[-300, 5]], np.int16), pixel_size=2.0, unit="nm")
        back = from_imageplus(to_imageplus(image, "a"))
    finally:
        other.setGlobalCalibration(None)
    assert (back == image).all()
    assert (pixel_size(back)["x"], unit(back)) == (2.0, "nm")


def test_rgb(fiji):
    colours = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    image = as_image(colours, "yxc").assign_coords(c=["red", "green", "blue"])
    imp = to_imageplus(image, "a")
    assert imp.getType() == 4
    assert tuple(imp.getPixel(3, 2))[:3] == tuple(colours[2, 3])
    assert (from_imageplus(imp).values == image.values).all()


def test_signed_16_bit_means_the_same_to_imagej(fiji):
    imp = to_imageplus(as_image(np.array([[-300, 0], [5, 32767]], np.int16)), "a")
    assert imp.getCalibration().getCValue(imp.getProcessor().get(0, 0)) == -300


def test_a_crop_is_not_stale(fiji):
    """The case that pyimagej gets wrong: an image that was pulled once, then changed in ImageJ."""
    IJ = jpype.JClass("ij.IJ")
    array = np.arange(100, dtype=np.uint8).reshape(10, 10)
    imp = to_imageplus(as_image(array), "a")
    assert (from_imageplus(imp).values == array).all()
    imp.setRoi(2, 3, 4, 5)
    IJ.run(imp, "Crop", "")
    assert (from_imageplus(imp).values == array[3:8, 2:6]).all()
    IJ.run(imp, "Invert", "")
    assert (from_imageplus(imp).values == 255 - array[3:8, 2:6]).all()
    IJ.run(imp, "32-bit", "")
    assert from_imageplus(imp).dtype == np.float32
    IJ.run(imp, "Rotate 90 Degrees Right", "")
    assert from_imageplus(imp).shape == (4, 5)


def test_a_virtual_stack_is_read_slice_by_slice(fiji, tmp_path):
    import tifffile

    stack = np.random.default_rng(0).integers(0, 60000, (4, 6, 7)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "s.tif", stack, imagej=True)
    virtual = jpype.JClass("ij.plugin.FileInfoVirtualStack").openVirtual(str(tmp_path / "s.tif"))
    assert virtual.getStack().isVirtual()
    assert (from_imageplus(virtual).values == stack).all()


def test_the_copy_is_a_copy(fiji):
    image = as_image(np.zeros((3, 3), np.uint8))
    imp = to_imageplus(image, "a")
    imp.getProcessor().set(1, 1, 9)
    assert image.values.sum() == 0
    pulled = from_imageplus(imp)
    pulled.values[:] = 5
    assert imp.getProcessor().get(1, 1) == 9


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.int32])
def test_blocks_both_ways(fiji, dtype):
    array = (np.random.default_rng(0).random(1001) * 250).astype(dtype)
    back = np.zeros_like(array)
    copy_from_java(copy_to_java(array), back)
    assert (back == array).all()
    strided = np.zeros((1001, 2), dtype)[:, 0]
    copy_from_java(copy_to_java(array), strided)
    assert (strided == array).all()
    with pytest.raises(ImageError, match="1001"):
        copy_from_java(copy_to_java(array), np.zeros(7, dtype))
