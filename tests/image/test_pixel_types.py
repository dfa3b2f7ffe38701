from __future__ import annotations

import numpy as np
import pytest

from fijibridge.errors import ImageError
from fijibridge.image import (
    imagej_pixels,
)


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
