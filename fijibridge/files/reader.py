"""Which reader for which file."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy.typing as npt
import xarray as xr

from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import bioio, hdf5, ome_zarr, pictures, tiff
from fijibridge.files.lazy_array import Box, Content, OnDisk
from fijibridge.files.names import HDF5, MICROSCOPES, TIFF
from fijibridge.image import as_image


def read_image(
    path: str | os.PathLike[str], dims: str | None = None, *, key: str | None = None, lazy: bool = False
) -> xr.DataArray:
    """Read an image file.

    TIFF (with the axes and calibration of ImageJ or OME), OME-Zarr, HDF5, PNG, JPEG and the like, and with the extra
    ``readers`` the formats of microscopes.

    Parameters
    ----------
    path
        The file; for an array or scene inside of it ``"file.h5:/raw"``.
    dims
        Its axes in their own order, where the file does not say them or says them wrong.
    key
        The array or scene inside of the file, instead of ``:/raw`` in `path`.
    lazy
        Give a dask array: nothing is read before it is needed, and then only what is.

    Raises
    ------
    DatasetError
        If the file is missing, cannot be read, or does not say which axis is which.

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
    said = content(source, key or inside)
    try:
        pixels = said.pixels.lazy() if lazy else said.pixels[...]
        image = as_image(pixels, dims or said.dims, **said.calibration, name=source.stem)
    except ImageError as error:
        raise DatasetError(f"{source}: {error}") from error
    except DatasetError:
        raise
    except Exception as error:
        raise _unreadable(source, error) from error
    named = said.channels is not None and image.sizes.get("c", 1) == len(said.channels) > 1
    return image.assign_coords(c=list(said.channels or ())) if named else image


def content(path: str | os.PathLike[str], key: str | None = None) -> Content:
    """Return what a file says of its image, without reading the pixels.

    Raises
    ------
    DatasetError
        If the file is missing or cannot be read.
    """
    source, inside = split_key(path)
    key = key or inside
    if not source.is_file() and not source.is_dir():
        raise DatasetError(f"no file {source}")
    try:
        found = _content(source, key)
    except DatasetError:
        raise
    except ImageError as error:
        raise DatasetError(f"{source}: {error}") from error
    except Exception as error:
        raise _unreadable(source, error) from error
    numbers = None if found.numbers is None else _named(source, found.numbers)
    return replace(found, pixels=_named(source, found.pixels), numbers=numbers)


def _named(source: Path, pixels: OnDisk) -> OnDisk:
    return replace(pixels, read=_naming(source, pixels.read))


def _naming(source: Path, read: Callable[[Box], npt.NDArray[Any]]) -> Callable[[Box], npt.NDArray[Any]]:
    """Say which file is broken, where pixels are read long after the file was opened."""

    def named(box: Box) -> npt.NDArray[Any]:
        try:
            return read(box)
        except DatasetError:
            raise
        except Exception as error:
            raise _unreadable(source, error) from error

    return named


def _unreadable(source: Path, error: Exception) -> DatasetError:
    """Say that a file is broken: the readers raise nearly anything on one."""
    return DatasetError(f"{source} cannot be read as an image: {error or type(error).__name__}")


def _content(source: Path, key: str | None) -> Content:
    suffix = source.suffix.lower()
    if ome_zarr.is_zarr(source):
        return ome_zarr.content(source, key)
    if source.is_dir():
        raise DatasetError(f"{source} is a folder; expected an image file, or a zarr with its metadata")
    if suffix in HDF5:
        return hdf5.content(source, key)
    if suffix in MICROSCOPES:
        return bioio.content(source, key)
    if key:
        raise DatasetError(f"{source} has no parts, but {key!r} names one: leave out what follows the ':'")
    return tiff.content(source) if suffix in TIFF else pictures.content(source)


def split_key(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Split ``"file.h5:/raw"`` into the file and the path inside of it.

    Examples
    --------
    >>> file, inside = split_key("folder/file.h5:/raw/0")
    >>> file.name, inside
    ('file.h5', '/raw/0')
    """
    text = os.fspath(path)
    found = re.match(r"^(.{2,}?):[/\\](.*)$", text)  # one letter before the colon is a drive
    if found is None:
        return Path(text), None
    return Path(found[1]), "/" + found[2].replace("\\", "/")
