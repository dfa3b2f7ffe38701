"""Reader of PNG, JPEG, BMP, GIF and WebP files, which contain one plane of grey values or colours, uncalibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.errors import DatasetError
from fijibridge.files.lazy_array import Content, OnDisk
from fijibridge.image import RGB

_WITH_PALETTE = (".png", ".bmp")
_KNOWN_BY_HEADER = (".png", ".jpg", ".jpeg", ".bmp")


def content(source: Path) -> Content:
    """Return the unread pixels of a picture. If possible, only the header is read, for their shape and type."""
    shape, dtype = _header(source)
    pixels = OnDisk(shape, dtype, lambda box: _decode(source)[box], shape)
    # in these formats, the last axis contains the colours
    names = RGB if shape[2:] == (3,) else None
    return Content(pixels, "yxc" if len(shape) == 3 else None, {}, names, _numbers(source, shape[:2]))


def _numbers(source: Path, shape: tuple[int, ...]) -> OnDisk | None:
    """Return the stored numbers of a picture with a palette; None if it has no palette."""
    if source.suffix.lower() not in _WITH_PALETTE:
        return None
    from PIL import Image

    with Image.open(source) as picture:
        indexed = picture.mode == "P"
    return OnDisk(shape, np.dtype(np.uint8), lambda box: _indices(source)[box], shape) if indexed else None


def _indices(source: Path) -> npt.NDArray[np.uint8]:
    """Read the stored numbers of a picture with a palette.

    Raises
    ------
    DatasetError
        If the palette shows a number as a grey of another value, because either value may be the label.
    """
    from PIL import Image

    with Image.open(source) as picture:
        found = np.asarray(picture, np.uint8)
        palette = np.zeros((256, 3), np.uint8)
        listed = np.reshape(picture.getpalette() or [], (-1, 3))
        palette[: len(listed)] = listed
    used = np.flatnonzero(np.bincount(found.ravel(), minlength=256))
    greys = palette[used, 0]
    if (palette[used] != greys[:, None]).any() or np.array_equal(greys, used):
        return found
    if used[-1] <= 1 and np.array_equal(greys, used * 255):
        return found * np.uint8(255)  # black and white become 0 and 255, as in 1-bit pictures
    n = int(np.flatnonzero(greys != used)[0])
    raise DatasetError(
        f"{source} has a palette that shows {used[n]} as grey {greys[n]}, so its labels are ambiguous: save it without "
        "a palette, as a TIFF or a grey PNG"
    )


def _header(source: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    if source.suffix.lower() in _KNOWN_BY_HEADER:
        import imageio.v3

        found = imageio.v3.improps(source)
        if len(found.shape) == 2 or (len(found.shape) == 3 and found.shape[2] in (3, 4)):
            return (*found.shape[:2], *((3,) if found.shape[2:] else ())), np.dtype(found.dtype)
    pixels = _decode(source)
    return pixels.shape, pixels.dtype


def _decode(source: Path) -> npt.NDArray[Any]:
    from skimage.io import imread

    pixels = np.asarray(imread(source))
    if pixels.ndim != 3:
        return pixels
    return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]  # without the last channel, transparency
