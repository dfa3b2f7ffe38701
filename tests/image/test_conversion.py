from __future__ import annotations

import numpy as np
import pytest

from fijibridge.errors import ImageError
from fijibridge.image import (
    as_image,
    like,
    origin,
    pixel_size,
    single_channel,
    unit,
)


@pytest.mark.parametrize(
    ("shape", "dims"), [((4, 5), "yx"), ((3, 4, 5), "zyx"), ((2, 3, 4, 5), "czyx"), ((6, 2, 3, 4, 5), "tczyx")]
)
def test_axes_of_plain_arrays(shape, dims):
    assert as_image(np.zeros(shape)).dims == tuple(dims)


def test_a_corrected_pixel_size_moves_the_origin_along():
    crop = as_image(np.zeros((20, 20)))[10:]
    corrected = as_image(crop, pixel_size=0.5, unit="um")
    assert origin(corrected) == {"y": 5.0, "x": 0.0}
    assert origin(as_image(crop, pixel_size=0.5, origin={"y": 1.0})) == {"y": 1.0, "x": 0.0}


def test_like_adds_the_channel_in_front():
    image = as_image(np.zeros((3, 4)), pixel_size=0.5)
    assert like(np.zeros((2, 3, 4)), image).dims == ("c", "y", "x")
    assert pixel_size(like(np.zeros((3, 4)), image)) == {"y": 0.5, "x": 0.5}
    plain = np.zeros((3, 4))
    assert like(plain, plain) is plain


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


def test_labels_saved_as_a_colour_image_have_one_number_per_pixel():
    plane = np.arange(6).reshape(2, 3)
    grey = as_image(np.stack([plane] * 3), "cyx")
    assert (single_channel(grey) == plane).all()
    assert single_channel(as_image(plane)).dims == ("y", "x")
    with pytest.raises(ImageError, match="3 different channels; expected one number per pixel"):
        single_channel(as_image(np.stack([plane, plane, plane + 1]), "cyx"))
