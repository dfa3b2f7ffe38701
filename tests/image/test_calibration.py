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
