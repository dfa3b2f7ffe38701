"""Image files, and files that are whole or not there: all are written beside their place and then moved into it."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import xarray as xr

from fijibridge.errors import DatasetError, ImageError
from fijibridge.image import (
    DIMS,
    RGB,
    Array,
    as_image,
    channel_names,
    imagej_pixels,
    origin,
    pixel_size,
    time_unit,
    unit,
)


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


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Make a folder for results, where there is none yet.

    Raises
    ------
    DatasetError
        If a file is in its place, or it cannot be made.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise DatasetError(f"{error.filename} is a file; expected a folder for the results: choose another") from error
    except OSError as error:
        raise DatasetError(f"the folder {folder} cannot be made: {error.strerror}; choose another") from error
    return folder


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
    """Read an image file: TIFF (with the axes and calibration of ImageJ or OME), PNG, JPEG and the like.

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
        calibration = _imagej_calibration(file, metadata) if metadata else _ome_calibration(file) if file.is_ome else {}
    known = set(axes) <= set(DIMS)
    image = as_image(pixels, dims or (axes if known else None), **calibration, name=source.stem)
    channels = image.sizes.get("c", 1)
    names = channel_names([str(name) for name in metadata.get("Labels") or ()], channels)
    if names is not None:
        return image.assign_coords(c=names)
    return image.assign_coords(c=list(RGB)) if axes.endswith("c") and channels == 3 else image


def _imagej_calibration(file: tifffile.TiffFile, metadata: dict[str, Any]) -> dict[str, Any]:
    sizes = {}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        value = file.pages.first.tags.get(tag)
        if value is not None and value.value[0] > 0:
            sizes[axis] = value.value[1] / value.value[0]
    for axis, key in (("z", "spacing"), ("t", "finterval")):
        if float(metadata.get(key, 0)) > 0:
            sizes[axis] = float(metadata[key])
    # ImageJ keeps an origin in pixels, where the coordinate is 0
    origins = {d: -float(metadata[f"{d}origin"]) * sizes.get(d, 1.0) for d in "xyz" if f"{d}origin" in metadata}
    units = dict.fromkeys("zyx", _plain_unit(str(metadata["unit"]))) if metadata.get("unit") else {}
    if "t" in sizes:
        units["t"] = str(metadata.get("tunit", "sec"))
    return {"pixel_size": sizes, "origin": origins, "unit": units}


def _ome_calibration(file: tifffile.TiffFile) -> dict[str, Any]:
    pixels = tifffile.xml2dict(file.ome_metadata or "<OME/>").get("OME", {}).get("Image", {})
    pixels = (pixels[0] if isinstance(pixels, list) else pixels).get("Pixels", {})
    keys = {"z": "PhysicalSizeZ", "y": "PhysicalSizeY", "x": "PhysicalSizeX", "t": "TimeIncrement"}
    sizes = {d: float(pixels[key]) for d, key in keys.items() if float(pixels.get(key, 0)) > 0}
    units = {d: _plain_unit(str(pixels.get(f"{keys[d]}Unit", "s" if d == "t" else "um"))) for d in sizes}
    return {"pixel_size": sizes, "unit": units}


def _plain_unit(name: str) -> str:
    name = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda code: chr(int(code.group(1), 16)), name)
    return "um" if name in ("micron", "um", "\u00b5m", "\u03bcm") else name


def _escaped(name: str) -> str:
    """Write what is not ASCII as ImageJ does it: an ImageJ TIFF holds ASCII only."""
    return "".join(c if c.isascii() else f"\\u{ord(c):04X}" for c in name)


def write_image(path: str | os.PathLike[str], image: Array) -> None:
    """Write an image as an ImageJ TIFF, with axes, calibration and names of channels, atomically.

    Types that ImageJ does not have are converted or refused as :func:`fijibridge.image.imagej_pixels` says.
    """
    image = image if isinstance(image, xr.DataArray) else as_image(image)
    size, start = pixel_size(image), origin(image)
    # ImageJ's order of axes in a file; tifffile wants exactly it
    ordered = image.transpose(*(d for d in "tzcyx" if d in image.dims))
    metadata: dict[str, Any] = {"axes": "".join(map(str, ordered.dims)).upper(), "unit": _escaped(unit(image))}
    metadata |= {f"{d}origin": -start[d] / size[d] for d in "xyz" if start.get(d)}
    if "z" in size:
        metadata["spacing"] = size["z"]
    if "t" in size and time_unit(image) != "frame":
        metadata |= {"finterval": size["t"], "tunit": _escaped(time_unit(image))}
    if "c" in image.dims and "c" in image.coords:
        planes = ordered.size // (image.sizes["c"] * image.sizes["y"] * image.sizes["x"])
        metadata["Labels"] = [str(name) for name in image.coords["c"].values] * planes
    resolution = (1 / size.get("x", 1.0), 1 / size.get("y", 1.0))
    with atomic(path) as temporary:
        tifffile.imwrite(
            temporary, imagej_pixels(ordered.values), imagej=True, resolution=resolution, metadata=metadata
        )
