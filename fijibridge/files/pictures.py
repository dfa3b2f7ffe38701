"""Reader of PNG, JPEG, BMP, GIF and WebP files, which contain grey values or colours, uncalibrated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.errors import DatasetError
from fijibridge.files.lazy_array import Box, Content, OnDisk
from fijibridge.image import RGB

_WITH_PALETTE = ("PNG", "BMP", "GIF")
_GREY, _GREY_ALPHA = 0, 4  # colour types of PNG
_TYPES: dict[str, Any] = {"I;16": np.uint16, "I;16B": np.uint16, "I": np.int32, "F": np.float32}
"""Types of Pillow's modes that are not 8 bits."""
_EXACT = ("1", "L", "P", "I;16", "I;16B", "I", "F", "LA", "RGB", "RGBA", "PA", "RGBX")
"""Pillow's modes whose values are those of the file, and that are read as such."""


def content(source: Path) -> Content:
    """Return the unread pixels of a picture. If possible, only the header is read, for their shape and type.

    The frames of an animation lie along t. Transparency is left out.

    Raises
    ------
    DatasetError
        If the picture has more bits per value than the installed libraries can read.
    """
    from PIL import Image

    with Image.open(source) as picture:
        mode, kind, frames = picture.mode, picture.format, _frames(picture)
        size = (picture.height, picture.width)
    bits, color = _png_type(source) if kind == "PNG" else (8, None)
    deep = bits == 16 and color != _GREY
    if deep and frames > 1:
        raise DatasetError(f"{source} is an animation with 16 bits per colour: save its frames as a TIFF")
    if deep:
        read = _read_deep
    elif mode in ("P", "PA", "CMYK", "YCbCr", "LAB", "HSV"):
        read, mode = _read_colors, "RGB"
    elif mode in _EXACT:
        read = _read_values
    else:
        raise DatasetError(f"{source} has pixels of type {mode!r}: save it as a TIFF")
    if deep:
        shape, dtype = (*size, *(() if color == _GREY_ALPHA else (3,))), np.dtype(np.uint16)
    else:
        shape = (*size, *((3,) if mode.startswith("RGB") else ()))
        dtype = np.dtype(np.uint16 if bits == 16 else _TYPES.get(mode, np.uint8))
    axes = "yxc"[: len(shape)]
    if frames > 1:
        axes, shape = "t" + axes, (frames, *shape)

    def pixels(box: Box) -> npt.NDArray[Any]:
        first, rest = (box[0], box[1:]) if frames > 1 else (slice(0, 1), box)
        planes = [read(source, n)[rest] for n in range(first.start, first.stop)]
        planes = [_unscaled(plane, bits, color) for plane in planes]
        found = np.stack(planes) if planes else np.zeros((0, *(s.stop - s.start for s in rest)), dtype)
        return found.astype(dtype, copy=False) if frames > 1 else found[0].astype(dtype, copy=False)

    numbers = _numbers(source) if kind in _WITH_PALETTE and frames == 1 else None
    named = RGB if shape[-1:] == (3,) and axes.endswith("c") else None
    whole = (*((1,) if frames > 1 else ()), *shape[-len(axes.lstrip("t")) :])
    return Content(OnDisk(shape, dtype, pixels, whole), axes, {}, named, numbers)


def _frames(picture: Any) -> int:
    """Return the number of frames of an animation; a second picture in a JPEG (MPO) is none."""
    return int(getattr(picture, "n_frames", 1)) if picture.format in ("GIF", "PNG", "WEBP") else 1


def _png_type(source: Path) -> tuple[int, int]:
    """Return the bits per value and the colour type in the header of a PNG."""
    with source.open("rb") as file:
        header = file.read(26)
    return header[24], header[25]


def _unscaled(pixels: npt.NDArray[Any], bits: int, color: int | None) -> npt.NDArray[Any]:
    """Return the stored values of a grey PNG with 2 or 4 bits, which Pillow stretches to 0..255; ImageJ does not."""
    return pixels // (255 // (2**bits - 1)) if color == _GREY and bits in (2, 4) else pixels


def _read_values(source: Path, frame: int) -> npt.NDArray[Any]:
    from PIL import Image

    with Image.open(source) as picture:
        if frame:
            picture.seek(frame)
        pixels = np.asarray(picture)
    if pixels.dtype == bool:
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.ndim == 2:
        return pixels
    return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]


def _read_colors(source: Path, frame: int) -> npt.NDArray[Any]:
    from PIL import Image

    with Image.open(source) as picture:
        if frame:
            picture.seek(frame)
        return np.asarray(picture.convert("RGB"))


def _read_deep(source: Path, frame: int) -> npt.NDArray[Any]:
    """Read a PNG with 16 bits per value and several values per pixel, of which Pillow drops 8 bits."""
    try:
        import imagecodecs
    except ImportError as error:
        raise DatasetError(
            f"{source} has 16 bits per colour, which need imagecodecs: pip install 'fijibridge[readers]'"
        ) from error
    pixels = np.asarray(imagecodecs.png_decode(source.read_bytes()))
    return pixels[..., 0] if pixels.shape[2] == 2 else pixels[..., :3]


# --- palettes ---------------------------------------------------------------------------------------


def _numbers(source: Path) -> OnDisk | None:
    """Return the stored numbers of a picture with a palette; None if it has no palette."""
    from PIL import Image

    with Image.open(source) as picture:
        indexed, shape = picture.mode == "P", (picture.height, picture.width)
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
