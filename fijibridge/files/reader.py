"""Reader of image files in all supported formats."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import bioio, hdf5, ome_zarr, pictures, tiff
from fijibridge.files.formats import format_of
from fijibridge.files.lazy_array import Box, Content, OnDisk
from fijibridge.image import as_image, in_one_unit
from fijibridge.renames import rename_attributes


def read_image(
    path: str | os.PathLike[str], dims: str | None = None, *, key: str | None = None, lazy: bool = False
) -> xr.DataArray:
    """Read an image file.

    Supported formats are TIFF (with the axes and calibration of ImageJ or OME), OME-Zarr, HDF5, PNG, JPEG and the like
    and, with the optional dependencies ``readers``, microscope formats.

    Parameters
    ----------
    path
        Path of the file. For an array or scene inside the file, append a colon and its path: ``"file.h5:/raw"``.
    dims
        Axes in the file's order, such as ``"zyx"``, if the file does not name them or gives wrong names.
    key
        Array or scene inside the file, instead of ``:/raw`` in `path`.
    lazy
        Return a dask array, whose chunks are read when they are computed.

    Returns
    -------
    xarray.DataArray
        Image with axes in the order ``t c z y x``, and with the pixel size, origin, unit and channel names that the
        file contains. Its name is the file's stem.

    Raises
    ------
    DatasetError
        If the file does not exist or cannot be read, or if its axes are unclear.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, tifffile
    >>> path = Path(tempfile.mkdtemp()) / "a.tif"
    >>> tifffile.imwrite(path, np.zeros((8, 9), np.uint8))
    >>> read_image(path).dims, read_image(path, lazy=True)[:2].shape
    (('y', 'x'), (2, 9))
    """
    source, inside = split_key(path)
    found = content(source, key or inside)
    with _naming_file(source):
        pixels = found.pixels.lazy() if lazy else found.pixels[...]
        image = as_image(pixels, dims or found.dims, **found.calibration, name=source.stem)
    named = found.channels is not None and image.sizes.get("c", 1) == len(found.channels) > 1
    return image.assign_coords(c=list(found.channels or ())) if named else image


def content(path: str | os.PathLike[str], key: str | None = None) -> Content:
    """Return the metadata and the unread pixels of a file.

    Raises
    ------
    DatasetError
        If the file does not exist or cannot be read.
    """
    source, inside = split_key(path)
    key = key or inside
    if not source.is_file() and not source.is_dir():
        raise DatasetError(f"the file {source} does not exist")
    with _naming_file(source):
        found = _content(source, key)
    numbers = None if found.numbers is None else _named(source, found.numbers)
    about = dict(found.calibration)
    if isinstance(about.get("unit"), Mapping):
        sizes, origins, units = in_one_unit(about.get("pixel_size", {}), about.get("origin", {}), about["unit"])
        about |= {"pixel_size": sizes, "unit": units} | ({"origin": origins} if "origin" in about else {})
    return replace(found, pixels=_named(source, _numeric(source, found.pixels)), calibration=about, numbers=numbers)


def _numeric(source: Path, pixels: OnDisk) -> OnDisk:
    """Return pixels with 0 and 255 in place of booleans, as in ImageJ.

    Raises
    ------
    DatasetError
        If the values are complex, or no numbers.
    """
    if pixels.dtype.kind in "uif":
        return pixels
    if pixels.dtype.kind != "b":
        what = "complex values" if pixels.dtype.kind == "c" else f"values of type {pixels.dtype}"
        raise DatasetError(f"{source} has {what}; expected numbers: save their absolute values, or real part")
    read = pixels.read
    return replace(pixels, dtype=np.dtype(np.uint8), read=lambda box: read(box).astype(np.uint8) * np.uint8(255))


def _named(source: Path, pixels: OnDisk) -> OnDisk:
    """Return an array whose errors name the file, because pixels may be read long after the file was opened."""
    read = pixels.read

    def named(box: Box) -> npt.NDArray[Any]:
        with _naming_file(source):
            return read(box)

    return replace(pixels, read=named)


@contextmanager
def _naming_file(source: Path) -> Iterator[None]:
    """Turn any error into a DatasetError that names the file; readers raise all kinds of exceptions on broken files."""
    try:
        yield
    except DatasetError:
        raise
    except ImageError as error:
        raise DatasetError(f"{source}: {error}") from error
    except Exception as error:
        raise DatasetError(f"{source} cannot be read as an image: {str(error) or type(error).__name__}") from error


def _content(source: Path, key: str | None) -> Content:
    if ome_zarr.is_zarr(source):
        return ome_zarr.content(source, key)
    if source.is_dir():
        raise DatasetError(f"{source} is a folder; expected an image file, or a zarr folder with its metadata")
    found = format_of(source)
    if found == "hdf5":
        return hdf5.content(source, key)
    if found == "microscope":
        return bioio.content(source, key)
    if found is None:
        raise DatasetError(
            f"{source} cannot be read as an image: it is {'in no known format' if source.stat().st_size else 'empty'}; "
            "expected TIFF, OME-Zarr, HDF5, PNG, JPEG, BMP, GIF or WebP, or a microscope format such as CZI: convert "
            "it, for example in Fiji"
        )
    if key:
        raise DatasetError(
            f"{source} is in a format whose files do not contain arrays or scenes to select: remove ':{key}' from the "
            "path"
        )
    return tiff.content(source) if found == "tiff" else pictures.content(source)


def split_key(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split ``"file.h5:/raw"`` into the file and the path inside it.

    Examples
    --------
    >>> file, inside = split_key("folder/file.h5:/raw/0")
    >>> file.name, inside
    ('file.h5', '/raw/0')
    """
    text = os.fspath(path)
    found = re.match(r"^(.{2,}?):[/\\](.*)$", text)  # a single letter before the colon is a Windows drive
    if found is None:
        return Path(text), None
    return Path(found[1]), "/" + found[2].replace("\\", "/")


rename_attributes(__name__, {"SUFFIXES": "files.formats:SUFFIXES", "PICTURES": "files.formats:PICTURES"})
