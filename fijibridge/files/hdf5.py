"""Reader of HDF5: reads one array, with the axes and voxel sizes of ilastik, PlantSeg, BigDataViewer and Fiji.

A file may refer to other files through external links, external storage and virtual arrays. These other files are never
opened.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from fijibridge.errors import DatasetError
from fijibridge.files.lazy_array import Content, OnDisk
from fijibridge.image import DIMS, usual_unit
from fijibridge.messages import some

if TYPE_CHECKING:
    import h5py

_MOST_LINKS = 20
_BIG_DATA_VIEWER = re.compile(r"/t\d{5}/s(\d+)/(\d+)/cells")
"""Path of an array of BigDataViewer: time point, view setup, resolution level."""


def content(source: Path, key: str | None) -> Content:
    """Return the metadata and the unread pixels of the array at a path in the file.

    Raises
    ------
    DatasetError
        If the array does not exist, if `key` is None and the file has several arrays, or if the pixels are in another
        file.
    """
    import h5py

    with h5py.File(source, "r") as file:
        place = _place(file, key, source)
        array = file[place]
        axes, calibration = _axes(array), _calibration(array)
        shape, dtype, chunks = tuple(array.shape), np.dtype(array.dtype), array.chunks
        big = _BIG_DATA_VIEWER.fullmatch(place)
        if big:
            axes = axes or "zyx"
            calibration = calibration or _big_data_viewer(
                source, int(big[1]), np.asarray(_factors(file, big[1], big[2]))
            )
    unsigned = bool(big) and dtype == np.int16  # BigDataViewer writes uint16 as int16

    def read(box: tuple[slice, ...]) -> Any:
        with h5py.File(source, "r") as opened:
            pixels = opened[_place(opened, place, source)][box]
            return pixels.view(np.uint16) if unsigned else pixels

    dtype = np.dtype(np.uint16) if unsigned else dtype

    return Content(OnDisk(shape, dtype, read, chunks), axes, calibration)


def _calibration(array: h5py.Dataset) -> dict[str, Any]:
    """Return the pixel sizes that PlantSeg and Fiji write, or ilastik."""
    spacing = np.ravel(np.asarray(array.attrs.get("element_size_um", ())))
    if 0 < len(spacing) <= 3:
        sizes = {d: float(s) for d, s in zip("zyx"[-len(spacing) :], spacing, strict=True) if s > 0}
        return {"pixel_size": sizes, "unit": dict.fromkeys(sizes, "um")} if sizes else {}
    tags, units = _json(array.attrs.get("axistags")), _json(array.attrs.get("axis_units"))
    listed = tags.get("axes", ()) if isinstance(tags, dict) else ()
    sizes = {}
    for axis in listed:
        size = axis.get("resolution", 0) if isinstance(axis, dict) else 0
        if isinstance(size, int | float) and size > 0 and str(axis.get("key")) in "tzyx":
            sizes[str(axis["key"])] = float(size)
    known = {d: str(units[d]) for d in sizes if isinstance(units, dict) and units.get(d)}
    named = {d: unit if d == "t" else usual_unit(unit) for d, unit in known.items()}
    return {"pixel_size": sizes, "unit": named} if sizes else {}


def _json(text: Any) -> Any:
    try:
        return json.loads(text) if text is not None else None
    except (ValueError, TypeError):
        return None


def _factors(file: h5py.File, setup: str, level: str) -> Any:
    """Return by how much a resolution level of BigDataViewer is smaller than the image along x, y, z."""
    table = file.get(f"/s{setup}/resolutions")
    levels = np.ones((1, 3)) if table is None else np.asarray(table, float)
    return levels[int(level)] if levels.ndim == 2 and int(level) < len(levels) else np.ones(3)


def _big_data_viewer(source: Path, setup: int, factors: Any) -> dict[str, Any]:
    """Return the voxel size in the XML file that BigDataViewer writes beside its HDF5 file."""
    described = source.with_suffix(".xml")
    if not described.is_file():
        return {}
    try:
        setups = ElementTree.parse(described).iter("ViewSetup")
        voxel = next((one.find("voxelSize") for one in setups if one.findtext("id", "").strip() == str(setup)), None)
        size = [] if voxel is None else [float(s) for s in voxel.findtext("size", "").split()]
    except (ElementTree.ParseError, ValueError) as error:
        raise DatasetError(f"{described}, the description of {source.name}, is damaged: {error}") from error
    if voxel is None or len(size) != 3:
        return {}
    unit = usual_unit(voxel.findtext("unit", ""))
    sizes = {d: s * float(f) for d, s, f in zip("xyz", size, factors, strict=True) if s > 0}
    return {"pixel_size": sizes, "unit": dict.fromkeys(sizes, unit)}


def arrays(source: Path) -> dict[str, tuple[int, ...]]:
    """Return the path and shape of every numeric array with 2 to 5 axes in a file."""
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
    """Return the path of the array, after checking that its pixels are in this file."""
    import h5py

    found = _arrays(file)
    listed = some([f"{k} {v}" for k, v in found.items()], 10) or "none"
    if key is None and len(found) != 1:
        raise DatasetError(f"{source} contains {len(found)} arrays ({listed}): name one, such as '{source.name}:/raw'")
    place = next(iter(found)) if key is None else "/" + key.strip("/")
    _refuse_other_files(file, place, source)
    array = file.get(place)
    if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "biuf":
        raise DatasetError(f"{source} has no numeric array {place!r}; its arrays are {listed}")
    if array.external or array.is_virtual:  # the sources of a virtual array may be in any file
        kind = "are in other files" if array.external else "belong to other arrays (it is a virtual array)"
        raise DatasetError(f"{source}: the pixels of {place!r} {kind}; copy them into this file")
    return place


def _refuse_other_files(file: h5py.File, place: str, source: Path, links: int = 0) -> None:
    """Follow a path group by group, and refuse the first link that leads to another file."""
    import h5py

    if links > _MOST_LINKS:
        raise DatasetError(f"{source}: {place!r} follows more than {_MOST_LINKS} links; give the array's own path")
    parts = [p for p in place.split("/") if p]
    for n in range(1, len(parts) + 1):
        path = "/" + "/".join(parts[:n])
        link = file.get(path, getlink=True)  # all groups before it are in this file, so no other file is opened
        if isinstance(link, h5py.ExternalLink):
            raise DatasetError(
                f"{source}: {path!r} is a link to the file {link.filename!r}; copy its data into this file"
            )
        if isinstance(link, h5py.SoftLink):
            # start over with the path that the link stands for, since it may contain links itself
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
