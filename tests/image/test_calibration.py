from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.errors import ImageError
from fijibridge.image import (
    as_image,
    origin,
    pixel_size,
    same_shape,
    time_unit,
    unit,
)


def test_calibration_is_kept_for_axes_that_are_not_there():
    image = as_image(np.zeros((4, 5)), pixel_size={"z": 2.0, "y": 0.5, "x": 0.25}, unit="um")
    assert pixel_size(image) == {"z": 2.0, "y": 0.5, "x": 0.25}
    assert unit(image) == "um"


def test_frame_interval():
    image = as_image(np.zeros((3, 4, 5)), "tyx", pixel_size={"t": 30.0}, unit={"t": "sec", "x": "um", "y": "um"})
    assert pixel_size(image)["t"] == 30.0
    assert (time_unit(image), unit(image)) == ("sec", "um")


@given(
    step=st.floats(1e-6, 1e6), start=st.floats(-1e3, 1e3), n=st.integers(2, 40), cut=st.integers(0, 39),
)  # fmt: skip
def test_a_crop_keeps_its_place_and_pixel_size(step, start, n, cut):
    cut = min(cut, n - 1)
    image = as_image(np.zeros((n, n)), pixel_size=step, origin={"y": start * step, "x": 0}, unit="um")
    crop = image[cut:, :]
    assert pixel_size(crop)["y"] == pytest.approx(step, rel=1e-9)
    assert origin(crop)["y"] == pytest.approx((start + cut) * step, rel=1e-9, abs=1e-9 * step)


def test_a_block_mean_has_the_larger_pixel_and_the_shifted_origin():
    image = as_image(np.arange(36.0).reshape(6, 6), pixel_size=0.1, unit="um")
    coarse = image.coarsen(y=3, x=3).mean()
    assert pixel_size(coarse) == {"y": pytest.approx(0.3), "x": pytest.approx(0.3)}
    assert origin(coarse)["y"] == pytest.approx(0.1)
    assert unit(coarse) == "um"


def test_uneven_coordinates_are_refused():
    image = xr.DataArray(np.zeros((3, 2)), dims=("y", "x"), coords={"y": [0, 1, 5]})
    with pytest.raises(ImageError, match="expected even, ascending steps"):
        pixel_size(image)


@pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf])
def test_bad_pixel_sizes_are_refused(bad):
    with pytest.raises(ImageError, match="positive"):
        as_image(np.zeros((2, 2)), pixel_size=bad)


def test_different_shapes_and_places_are_refused():
    image = as_image(np.zeros((6, 6)), pixel_size=0.1)
    with pytest.raises(ImageError, match=r"a has shape \(6, 6\), but b has shape \(5, 6\)"):
        same_shape(a=image, b=image[1:])
    with pytest.raises(ImageError, match="different places"):
        same_shape(a=image[:5], b=image[1:])
    assert same_shape(a=image, b=np.zeros((6, 6))) == (6, 6)


def test_mathematically_equal_coordinates_are_equal():
    """The case that xarray's inner join on floats gets wrong."""
    a = as_image(np.zeros((300, 2)), pixel_size=0.1)[3:]
    b = as_image(np.zeros((297, 2)), pixel_size=0.1, origin={"y": 0.3, "x": 0})
    assert same_shape(a=a, b=b) == (297, 2)


def test_lengths_in_another_unit_are_converted_to_that_of_x():
    image = as_image(
        np.zeros((3, 8, 9)), pixel_size={"z": 250, "y": 0.1, "x": 0.1}, origin={"z": 500},
        unit={"z": "nm", "y": "\u00b5m", "x": "um"},
    )  # fmt: skip
    assert pixel_size(image) == pytest.approx({"z": 0.25, "y": 0.1, "x": 0.1})
    assert (origin(image)["z"], unit(image)) == (0.5, "um")
    assert {str(image.coords[d].attrs["units"]) for d in "zyx"} == {"um"}
    image.coords["z"] = ("z", np.arange(3) * 250.0, {"units": "nm", "pixel_size": 250.0})
    assert pixel_size(image)["z"] == 0.25, "also if somebody sets coordinates"


@pytest.mark.parametrize(("size", "name", "fits"), [
    (500, "nm", True), (0.5, "\u03bcm", True), (0.5, "micron", True), (5000, "\u00c5", True), (1, "pixel", True),
    (0.5, "pixel", True), (0.4, "pixel", False), (400, "nm", False), (0.5, "nm", False), (0.5, "parsec", False),
])  # fmt: skip
def test_images_in_other_units_are_compared_by_their_lengths(size, name, fits):
    first = as_image(np.zeros((4, 5)), pixel_size=0.5, unit="um")
    second = as_image(np.zeros((4, 5)), pixel_size=size, unit=name)
    if fits:
        assert same_shape(first=first, second=second) == same_shape(second=second, first=first) == (4, 5)
        return
    with pytest.raises(ImageError, match=r"fijibridge\.as_image\(image, pixel_size=\.\.\., unit='um'\)"):
        same_shape(first=first, second=second)


def test_an_axis_of_length_1_too_many_is_told():
    with pytest.raises(ImageError, match=r"drop the axes of length 1 of pred, with numpy\.squeeze\(pred\)"):
        same_shape(true=np.zeros((4, 5)), pred=np.zeros((1, 4, 5)))


def test_a_channel_of_length_1_in_the_last_axis_is_no_column():
    with pytest.raises(ImageError, match=r"channel in the last axis: give array\[\.\.\., 0\], or dims='zyx'"):
        as_image(np.zeros((96, 96, 1)))
    assert as_image(np.zeros((96, 96, 1)), "yxc").dims == ("c", "y", "x")
    assert as_image(np.zeros((96, 96, 1)), "zyx").sizes["x"] == 1
