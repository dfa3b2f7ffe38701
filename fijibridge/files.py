"""Image files, and files that are whole or not there: all are written beside their place and then moved into it."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import xarray as xr

from fijibridge.errors import DatasetError, ImageError
from fijibridge.image import DIMS, RGB, Array, as_image, imagej_pixels, pixel_size, unit


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the same folder, moved to `path` at the end, removed on an error.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "new" / "a.txt"
    >>> with atomic(target) as path:
    ...     _ = path.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.stem[:80]}-", suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as readable JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(
            json.dumps(value, indent=2, ensure_ascii=False, default=_plain_number) + "\n", encoding="utf-8"
        )


def _plain_number(value: Any) -> Any:
    """Return numpy's numbers and paths as what JSON knows."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def read_image(path: str | os.PathLike[str], dims: str | None = None) -> xr.DataArray:
    """Read an image file: TIFF with its axes and pixel size, PNG, JPEG and the like.

    Parameters
    ----------
    path
        The file.
    dims
        Its axes in their own order, where the file does not say them or says them wrong.

    Raises
    ------
    DatasetError
        If the file is missing, cannot be read, or does not say which axis is which.
    """
    source = Path(path)
    if not source.is_file():
        raise DatasetError(f"no file {source}")
    try:
        is_tiff = source.suffix.lower() in (".tif", ".tiff")
        return _read_tiff(source, dims) if is_tiff else _read_picture(source, dims)
    except ImageError as error:
        raise DatasetError(f"{source}: {error}") from error
    except (OSError, ValueError, tifffile.TiffFileError) as error:
        raise DatasetError(f"{source} cannot be read as an image: {error}") from error


def _read_picture(source: Path, dims: str | None) -> xr.DataArray:
    from skimage.io import imread

    pixels = np.asarray(imread(source))
    if dims is None and pixels.ndim == 3:
        dims, pixels = "yxc", pixels[..., :3]  # these formats have colours last, and transparency fourth
    return as_image(pixels, dims, name=source.stem)


def _read_tiff(source: Path, dims: str | None) -> xr.DataArray:
    with tifffile.TiffFile(source) as file:
        pixels = file.series[0].asarray()
        axes = file.series[0].axes.lower().replace("s", "c")
        metadata = dict(file.imagej_metadata or {})
        sizes = _tiff_pixel_size(file, metadata) if metadata else {}
    known = set(axes) <= set(DIMS)
    image = as_image(
        pixels, dims or (axes if known else None), pixel_size=sizes or None,
        unit=_plain_unit(str(metadata["unit"])) if metadata.get("unit") else None, name=source.stem,
    )  # fmt: skip
    names = metadata.get("Labels")
    if "c" in image.dims and names and len(names) == image.sizes["c"]:
        return image.assign_coords(c=list(names))
    return image.assign_coords(c=list(RGB)) if axes.endswith("c") and image.sizes.get("c") == 3 else image


def _tiff_pixel_size(file: tifffile.TiffFile, metadata: dict[str, Any]) -> dict[str, float]:
    sizes = {}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        value = file.pages.first.tags.get(tag)
        if value is not None and value.value[0] > 0:
            sizes[axis] = value.value[1] / value.value[0]
    if float(metadata.get("spacing", 0)) > 0:
        sizes["z"] = float(metadata["spacing"])
    return sizes


def _plain_unit(name: str) -> str:
    return "um" if name in ("micron", "um", "\u00b5m", "\\u00B5m") else name


def write_image(path: str | os.PathLike[str], image: Array) -> None:
    """Write an image as an ImageJ TIFF, with axes, pixel size and names of channels, atomically.

    Types that ImageJ does not have are converted or refused as :func:`fijibridge.image.imagej_pixels` says.
    """
    image = image if isinstance(image, xr.DataArray) else as_image(image)
    size = pixel_size(image)
    # ImageJ's order of axes in a file; tifffile wants exactly it
    ordered = image.transpose(*(d for d in "tzcyx" if d in image.dims))
    metadata: dict[str, Any] = {"axes": "".join(map(str, ordered.dims)).upper(), "unit": unit(image)}
    if "z" in size:
        metadata["spacing"] = size["z"]
    if "c" in image.coords and image.dims[0] == "c":
        metadata["Labels"] = [str(name) for name in image.coords["c"].values]
    resolution = (1 / size.get("x", 1.0), 1 / size.get("y", 1.0))
    with atomic(path) as temporary:
        tifffile.imwrite(
            temporary, imagej_pixels(ordered.values), imagej=True, resolution=resolution, metadata=metadata
        )
