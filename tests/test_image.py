from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.errors import ImageError
from fijibridge.image import (
    as_image,
    as_labels,
    as_truth,
    imagej_pixels,
    like,
    origin,
    pixel_size,
    same_shape,
    time_unit,
    unit,
)


@pytest.mark.parametrize(
    ("shape", "dims"), [((4, 5), "yx"), ((3, 4, 5), "zyx"), ((2, 3, 4, 5), "czyx"), ((6, 2, 3, 4, 5), "tczyx")]
)
def test_axes_of_plain_arrays(shape, dims):
    assert as_image(np.zeros(shape)).dims == tuple(dims)


def test_axes_are_put_in_order_without_a_copy():
    array = np.arange(24).reshape(2, 4, 3)
    image = as_image(array, "yxc")
    assert image.dims == ("c", "y", "x")
    assert np.shares_memory(image.values, array)
    assert (image.values == array.transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    ("array", "dims", "words"),
    [
        (np.zeros((64, 64, 3)), None, r"fijibridge\.as_image\(array, dims='yxc'\)"),
        (np.zeros((2, 64, 64, 3)), None, "dims='zyxc'"),
        (np.zeros(5), None, "2 to 5 axes"),
        (np.zeros((4, 5)), "zyx", "names 3"),
        (np.zeros((4, 5)), "yq", "axes are"),
        (np.zeros((4, 4, 5)), "yyx", "axes are"),
    ],
)
def test_unclear_axes_are_refused(array, dims, words):
    with pytest.raises(ImageError, match=words):
        as_image(array, dims)


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


def test_a_corrected_pixel_size_moves_the_origin_along():
    crop = as_image(np.zeros((20, 20)))[10:]
    corrected = as_image(crop, pixel_size=0.5, unit="um")
    assert origin(corrected) == {"y": 5.0, "x": 0.0}
    assert origin(as_image(crop, pixel_size=0.5, origin={"y": 1.0})) == {"y": 1.0, "x": 0.0}


def test_a_block_mean_has_the_larger_pixel_and_the_shifted_origin():
    image = as_image(np.arange(36.0).reshape(6, 6), pixel_size=0.1, unit="um")
    coarse = image.coarsen(y=3, x=3).mean()
    assert pixel_size(coarse) == {"y": pytest.approx(0.3), "x": pytest.approx(0.3)}
    assert origin(coarse)["y"] == pytest.approx(0.1)
    assert unit(coarse) == "um"


def test_uneven_coordinates_are_refused():
    image = xr.DataArray(np.zeros((3, 2)), dims=("y", "x"), coords={"y": [0, 1, 5]})
    with pytest.raises(ImageError, match="evenly"):
        pixel_size(image)


@pytest.mark.parametrize("bad", [0, -1, np.nan, np.inf])
def test_bad_pixel_sizes_are_refused(bad):
    with pytest.raises(ImageError, match="positive"):
        as_image(np.zeros((2, 2)), pixel_size=bad)


def test_different_shapes_and_places_are_refused():
    image = as_image(np.zeros((6, 6)), pixel_size=0.1)
    with pytest.raises(ImageError, match=r"a has shape \(6, 6\) but b \(5, 6\)"):
        same_shape(a=image, b=image[1:])
    with pytest.raises(ImageError, match="different places"):
        same_shape(a=image[:5], b=image[1:])
    assert same_shape(a=image, b=np.zeros((6, 6))) == (6, 6)


def test_mathematically_equal_coordinates_are_equal():
    """The case that xarray's inner join on floats gets wrong."""
    a = as_image(np.zeros((300, 2)), pixel_size=0.1)[3:]
    b = as_image(np.zeros((297, 2)), pixel_size=0.1, origin={"y": 0.3, "x": 0})
    assert same_shape(a=a, b=b) == (297, 2)


def test_like_adds_the_channel_in_front():
    image = as_image(np.zeros((3, 4)), pixel_size=0.5)
    assert like(np.zeros((2, 3, 4)), image).dims == ("c", "y", "x")
    assert pixel_size(like(np.zeros((3, 4)), image)) == {"y": 0.5, "x": 0.5}
    plain = np.zeros((3, 4))
    assert like(plain, plain) is plain


def test_labels_are_checked():
    assert as_labels(np.array([[1.0, 2.0]])).dtype == np.int64
    for bad, words in ((np.ones((2, 2), bool), "binary mask"), (np.array([[0.5]]), "whole"), (np.array([[-1]]), "-1")):
        with pytest.raises(ImageError, match=words):
            as_labels(bad)


def squares(count: int, value: int) -> np.ndarray:
    """So many separate squares of one value."""
    array = np.zeros((5, 4 * count), np.uint8)
    for i in range(count):
        array[1:4, 4 * i : 4 * i + 3] = value
    return array


@pytest.mark.parametrize(("count", "value"), [(2, 255), (8, 1), (8, 7)])
def test_a_mask_is_no_truth(count, value):
    mask = squares(count, value)
    assert as_labels(mask) is mask, "a cell of several parts is one elsewhere"
    for numbers in (mask, mask.astype(float)):
        with pytest.raises(ImageError, match=f"truth has one id, {value}, for {count} .*connectivity=1"):
            as_truth(numbers, "truth")


def test_few_cells_are_truth():
    numbered = squares(9, 255)
    numbered[:, :4] //= 2
    for labels in (squares(1, 255), squares(7, 1), numbered, np.zeros((2, 2), int), np.zeros((0, 3), int)):
        assert as_truth(labels) is labels


class Chunked:
    """Stands for zarr or HDF5: an array on disk that counts how often it is read."""

    def __init__(self, array: np.ndarray, chunks: tuple[int, ...] | None):
        self.array, self.chunks, self.reads = array, chunks, 0
        self.shape, self.dtype, self.ndim = array.shape, array.dtype, array.ndim

    def __getitem__(self, where):
        self.reads += 1
        return self.array[where]

    def __array__(self, *_, **__):
        self.reads += 1
        return self.array


@pytest.mark.parametrize("chunks", [(1, 20, 30), None])
def test_what_lies_in_chunks_is_not_read_before_it_is_needed(chunks):
    on_disk = Chunked(np.arange(4 * 20 * 30).reshape(4, 20, 30), chunks)
    image = as_image(on_disk, pixel_size=0.5)
    assert image.dims == ("z", "y", "x")
    assert (on_disk.reads, image.chunks is not None) == (0, True)
    assert (image[2].values == on_disk.array[2]).all()
    assert on_disk.reads == 1
    assert as_image(image.data, "tyx").data is image.data


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (np.array([0, 255], np.uint8), np.uint8),
        (np.array([True, False]), np.uint8),
        (np.array([0, 65535], np.int64), np.uint16),
        (np.array([-1, 2**24], np.int64), np.float32),
        (np.array([1.5], np.float16), np.float32),
        (np.array([np.nan, np.inf, -1e30]), np.float32),
    ],
)
def test_pixel_types_of_imagej(array, expected):
    converted = imagej_pixels(array)
    assert converted.dtype == expected
    reference = array * np.uint8(255) if array.dtype == bool else array
    np.testing.assert_allclose(converted.astype(float), reference.astype(float), rtol=1e-7)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([2**24 + 1]), "exactly"),
        (np.array([1e39]), "overflow"),
        (np.array([1j]), "complex"),
        (np.zeros((0, 4)), "empty"),
    ],
)
def test_what_imagej_cannot_hold_is_refused(array, words):
    with pytest.raises(ImageError, match=words):
        imagej_pixels(array)


def test_axes_that_keep_their_names_keep_their_calibration():
    image = as_image(np.zeros((2, 3, 8, 9)), "tzyx", pixel_size={"t": 30, "z": 2, "y": 0.5, "x": 0.4}, unit="um")
    image = image[:, 1:, 2:, 3:].isel(t=1)
    assert as_image(image, "zyx").identical(image)
    renamed = as_image(image, "cyx")
    assert (pixel_size(renamed), unit(renamed)) == ({"t": 30, "y": 0.5, "x": 0.4}, "um")
    assert origin(renamed) == {"t": 30, "y": 1.0, "x": pytest.approx(1.2)}
    assert "c" not in renamed.coords
    turned = as_image(image, "zxy")
    assert (pixel_size(turned), origin(turned)["z"]) == ({"t": 30, "z": 2, "y": 1, "x": 1}, 2)
    assert pixel_size(as_image(image, "tyx")) == {"t": 1, "y": 0.5, "x": 0.4}
    assert as_image(image.isel(z=0), "yx", pixel_size=3).z == 2
    named = as_image(np.zeros((2, 8, 9)), "cyx").assign_coords(c=["membrane", "nuclei"])
    assert list(as_image(named, "cyx").c.values) == ["membrane", "nuclei"]
