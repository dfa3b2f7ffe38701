"""ImageJ's pixel types: ``uint8``, ``uint16`` and ``float32``."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.errors import ImageError


def imagej_pixels(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert an array to one of ImageJ's pixel types.

    ``uint8``, ``uint16`` and ``float32`` stay as they are; bool becomes 0 and 255; other integers become ``uint16`` if
    they fit, otherwise ``float32`` if it represents them exactly (up to 2**24); ``float16`` and ``float64`` are rounded
    to ``float32``.

    Raises
    ------
    ImageError
        If the array is empty or complex, or contains values that none of ImageJ's pixel types can represent.

    Examples
    --------
    >>> imagej_pixels(np.array([1, 70000])).dtype
    dtype('float32')
    """
    if array.size == 0:
        raise ImageError(f"the array is empty, shape {array.shape}: an ImageJ image needs at least one pixel")
    if array.dtype in (np.uint8, np.uint16, np.float32):
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(array.dtype, np.integer):
        return _integers(array)
    if np.issubdtype(array.dtype, np.floating):
        return _floats(array)
    raise ImageError(f"ImageJ has no pixel type for {array.dtype}: take its real part, or its absolute value")


def _integers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    low, high = int(array.min()), int(array.max())
    if low >= 0 and high < 2**16:
        return array.astype(np.uint16)
    if max(-low, high) <= 2**24:
        return array.astype(np.float32)
    raise ImageError(
        f"{array.dtype} values from {low} to {high} fit none of ImageJ's pixel types exactly: scale them first"
    )


def _floats(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    lost = np.isinf(single) & np.isfinite(array)
    if lost.any():
        raise ImageError(
            f"{array.dtype} values up to {np.abs(array[lost]).max():g} overflow ImageJ's 32-bit floats: scale them"
        )
    return single
