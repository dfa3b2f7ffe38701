"""HDF5: an array at a path inside the file, with the axes and voxel sizes that ilastik, PlantSeg and Fiji write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fijibridge.errors import DatasetError
from fijibridge.files.lazy_array import Content, OnDisk
from fijibridge.image import DIMS

if TYPE_CHECKING:
    import h5py

_MOST_LINKS = 20


def content(source: Path, key: str | None) -> Content:
    """Return what the array at a path in the file says of itself.

    Raises
    ------
    DatasetError
        If there is no such array, several and no path, or one whose pixels lie elsewhere.
    """
    import h5py

    with h5py.File(source, "r") as file:
        place = _place(file, key, source)
        array = file[place]
        axes, spacing = _axes(array), np.ravel(np.asarray(array.attrs.get("element_size_um", ())))
        shape, dtype, chunks = tuple(array.shape), np.dtype(array.dtype), array.chunks
    spatial = [d for d in axes or DIMS[-len(shape) :] if d in "zyx"]
    sizes = {d: float(s) for d, s in zip("zyx"[-len(spacing) :], spacing, strict=False) if s > 0 and len(spacing) <= 3}
    calibration = {"pixel_size": sizes, "unit": "um"} if sizes and spatial else {}

    def read(box: tuple[slice, ...]) -> Any:
        with h5py.File(source, "r") as opened:
            return opened[_place(opened, place, source)][box]

    return Content(OnDisk(shape, dtype, read, chunks), axes, calibration)


def arrays(source: Path) -> dict[str, tuple[int, ...]]:
    """Return path and shape of all arrays of 2 to 5 axes in a file."""
    import h5py

    with h5py.File(source, "r") as file:
        return _arrays(file)


def _arrays(file: h5py.File) -> dict[str, tuple[int, ...]]:
    import h5py

    found = {}

    def look(name: str, thing: object) -> None:
        if isinstance(thing, h5py.Dataset) and 2 <= thing.ndim <= 5 and thing.dtype.kind in "biuf":
            found[f"/{name}"] = tuple(thing.shape)

    file.visititems(look)  # follows no links
    return found


def _place(file: h5py.File, key: str | None, source: Path) -> str:
    """Return the path of the array meant, after a look that its pixels lie in this file."""
    import h5py

    there = _arrays(file)
    said = ", ".join(f"{k} {v}" for k, v in list(there.items())[:10]) or "none"
    if key is None and len(there) != 1:
        raise DatasetError(f"{source} holds several arrays or none ({said}); say which: '{source.name}:/raw'")
    place = next(iter(there)) if key is None else "/" + key.strip("/")
    _refuse_other_files(file, place, source)
    array = file.get(place)
    if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "biuf":
        raise DatasetError(f"{source} has no array of numbers {place!r}; there are {said}")
    if array.external or array.is_virtual:  # what a virtual one is made of, here too, may lie anywhere
        kind = "lie in other files" if array.external else "are those of other arrays (a virtual one)"
        raise DatasetError(f"{source}: the pixels of {place!r} {kind}; copy them into this one")
    return place


def _refuse_other_files(file: h5py.File, place: str, source: Path, links: int = 0) -> None:
    import h5py

    if links > _MOST_LINKS:
        raise DatasetError(f"{source}: {place!r} is a chain of more than {_MOST_LINKS} links")
    parts = [p for p in place.split("/") if p]
    for n in range(1, len(parts) + 1):
        path = "/" + "/".join(parts[:n])
        link = file.get(path, getlink=True)  # what comes before lies in this file: nothing else is opened
        if isinstance(link, h5py.ExternalLink):
            raise DatasetError(f"{source}: {path!r} is a link to the file {link.filename!r}; copy its pixels into this")
        if isinstance(link, h5py.SoftLink):
            target = link.path if link.path.startswith("/") else "/".join(["", *parts[: n - 1], link.path])
            _refuse_other_files(file, "/".join([target, *parts[n:]]), source, links + 1)
            return


def _axes(array: h5py.Dataset) -> str | None:
    tags = array.attrs.get("axistags")
    if tags is not None:
        try:
            axes = "".join(str(a["key"]) for a in json.loads(tags)["axes"])
        except (ValueError, KeyError, TypeError):
            axes = ""
    else:
        axes = "".join(d.label for d in array.dims)
    known = len(axes) == array.ndim and set(axes) <= set(DIMS) and len(set(axes)) == len(axes)
    return axes if known else None
