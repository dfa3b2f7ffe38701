"""PNG, JPEG and the like: one plane of greys or colours, without a calibration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.files.pixels import Content, OnDisk
from fijibridge.image import RGB

_KNOWN_BY_HEADER = (".png", ".jpg", ".jpeg", ".bmp")


def content(source: Path) -> Content:
    """Return what a picture says of itself, from its header where that tells."""
    shape, dtype = _header(source)
    pixels = OnDisk(shape, dtype, lambda box: _decode(source)[box], shape)
    # these formats have colours last
    return Content(pixels, "yxc" if len(shape) == 3 else None, {}, RGB if shape[2:] == (3,) else None)


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
    return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]  # transparency is last, if there is any
