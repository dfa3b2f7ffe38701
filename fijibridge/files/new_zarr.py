"""OME-Zarr is written part by part into a folder beside its place, which is moved there when all of it is done.

The metadata is that of version 0.5 (zarr 3): https://ngff.openmicroscopy.org/0.5/#multiscale-md
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.files.writer import atomic_folder
from fijibridge.image import origin, pixel_size, time_unit, unit

_TYPES = {"t": "time", "c": "channel"}
_UNITS = {"um": "micrometer", "nm": "nanometer", "mm": "millimeter", "sec": "second", "pixel": None, "frame": None}


@contextmanager
def new_ome_zarr(
    path: str | os.PathLike[str],
    sizes: Mapping[str, int],
    like: xr.DataArray,
    *,
    dtype: npt.DTypeLike,
    chunks: Sequence[int],
    channels: Sequence[str] = (),
) -> Iterator[Any]:
    """Give a new zarr array to write into, which is at its place as OME-Zarr when the block ends without an error.

    Parameters
    ----------
    path
        Of the folder, which must not be there yet. Until the end the array lies beside it, in a folder
        ``.NAME-….partial``, removed on an error; only a process that is killed leaves it behind.
    sizes
        Axes out of ``t c z y x`` in that order, and their lengths.
    like
        The image whose pixel size, origin and units it gets.
    dtype
        Of its values.
    chunks
        Sides of what is compressed and read together.
    channels
        Their names.

    Raises
    ------
    ImageError
        If something is there already.
    """
    target = Path(path)
    if target.exists():
        raise ImageError(f"{target} is there already: remove it, or choose another folder")
    with atomic_folder(target) as folder:
        yield _made(folder, sizes, like, dtype, chunks, channels)


def _made(
    folder: Path,
    sizes: Mapping[str, int],
    like: xr.DataArray,
    dtype: npt.DTypeLike,
    chunks: Sequence[int],
    channels: Sequence[str],
) -> Any:
    import zarr

    steps, starts = pixel_size(like), origin(like)
    transforms: list[dict[str, Any]] = [{"type": "scale", "scale": [float(steps.get(d, 1.0)) for d in sizes]}]
    if any(starts.get(d) for d in sizes):
        transforms.append({"type": "translation", "translation": [float(starts.get(d, 0.0)) for d in sizes]})
    scale = {
        "axes": [_axis(d, like) for d in sizes],
        "datasets": [{"path": "0", "coordinateTransformations": transforms}],
    }
    about: dict[str, Any] = {"version": "0.5", "multiscales": [scale]}
    if channels:
        about["omero"] = {"channels": [_channel(name) for name in channels]}
    group = zarr.open_group(folder, mode="w", zarr_format=3, attributes={"ome": about})
    return group.create_array(
        "0", shape=tuple(sizes.values()), chunks=tuple(chunks), dtype=dtype, dimension_names=list(sizes)
    )


def _channel(name: str) -> dict[str, Any]:
    window = {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0}
    return {"label": name, "color": "FFFFFF", "active": True, "window": window}


def _axis(dim: str, like: xr.DataArray) -> dict[str, str]:
    about = {"name": dim, "type": _TYPES.get(dim, "space")}
    name = time_unit(like) if dim == "t" else unit(like)
    known = _UNITS.get(name, name)
    return about if dim == "c" or known is None else about | {"unit": known}
