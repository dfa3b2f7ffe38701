"""OME-Zarr, with the metadata of version 0.4 (zarr 2) and 0.5 (zarr 3), and plain zarr arrays.

The metadata: https://ngff.openmicroscopy.org/0.5/#multiscale-md
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fijibridge.errors import DatasetError
from fijibridge.files.lazy_array import Content, OnDisk
from fijibridge.files.tiff import plain_unit
from fijibridge.image import DIMS

if TYPE_CHECKING:
    import zarr

_DEPTH = 3
_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr group or array."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def content(source: Path, key: str | None) -> Content:
    """Return what an array of the group says of itself: the full resolution, or the one at a path inside.

    Raises
    ------
    DatasetError
        If there is no such array, or reading it would leave the folder or run code.
    """
    import zarr

    node: Any = _open(source, key)
    if isinstance(node, zarr.Array):
        return Content(_pixels(source, node, key), _names(node), {})
    scales = _ome(node).get("multiscales")
    if not scales:
        arrays = [k for k, v in node.members(max_depth=_DEPTH) if isinstance(v, zarr.Array)][:10]
        said = (
            f"it holds the arrays {', '.join(arrays)}: say which, '{source.name}:/{arrays[0]}'"
            if arrays
            else "no array"
        )
        raise DatasetError(f"{source} has no multiscales metadata{_at(key)}; {said}")
    return _full_resolution(source, key, node, scales[0])


def _full_resolution(source: Path, key: str | None, node: zarr.Group, scale: dict[str, Any]) -> Content:
    first = scale["datasets"][0]
    place = "/".join(p for p in ((key or "").strip("/"), str(first["path"])) if p)
    array: Any = _open(source, place)
    axes = [a if isinstance(a, str) else str(a.get("name")) for a in scale.get("axes", DIMS[-array.ndim :])]
    units = {
        a["name"]: plain_unit(str(a["unit"])) for a in scale.get("axes", ()) if isinstance(a, dict) and "unit" in a
    }
    transforms = [*first.get("coordinateTransformations", ()), *scale.get("coordinateTransformations", ())]
    sizes, origins = _affine(axes, transforms)
    calibration: dict[str, Any] = {"pixel_size": sizes, "origin": origins}
    calibration["unit"] = {d: "sec" if u == "second" else u for d, u in units.items() if d in sizes}
    dims = "".join(axes)
    return Content(_pixels(source, array, place), dims if set(axes) <= set(DIMS) else None, calibration, _labels(node))


def _affine(axes: list[str], transforms: list[dict[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return sizes and origins of one transformation after the other: x -> x * scale, x -> x + translation."""
    size, start = np.ones(len(axes)), np.zeros(len(axes))
    for step in transforms:
        if step.get("type") == "scale" and "scale" in step:
            size, start = size * np.asarray(step["scale"], float), start * np.asarray(step["scale"], float)
        elif step.get("type") == "translation" and "translation" in step:
            start = start + np.asarray(step["translation"], float)
    said = [n for n, d in enumerate(axes) if d in "tzyx" and transforms]
    return {axes[n]: float(size[n]) for n in said}, {axes[n]: float(start[n]) for n in said if start[n]}


def _ome(node: zarr.Group) -> dict[str, Any]:
    attributes = dict(node.attrs)
    inner = attributes.get("ome")
    return inner if isinstance(inner, dict) else attributes


def _labels(node: zarr.Group) -> list[str] | None:
    channels = _ome(node).get("omero", {}).get("channels", ())
    names = [str(c.get("label", "")) for c in channels]
    return names if len(names) > 1 and all(names) and len(set(names)) == len(names) else None


def _names(array: zarr.Array[Any]) -> str | None:
    found = getattr(array.metadata, "dimension_names", None) or ()
    names = "".join(str(n).lower() for n in found)
    return names if len(names) == array.ndim and set(names) <= set(DIMS) else None


def _at(key: str | None) -> str:
    return f" at {key!r}" if key else ""


def _pixels(source: Path, array: zarr.Array[Any], key: str | None) -> OnDisk:
    def read(box: tuple[slice, ...]) -> Any:
        node: Any = _open(source, key)
        return node[box]

    return OnDisk(tuple(array.shape), np.dtype(array.dtype), read, tuple(array.chunks))


def _open(source: Path, key: str | None) -> zarr.Group | zarr.Array[Any]:
    import zarr

    from fijibridge.files.zarr_store import InsideStore

    place = (key or "").strip("/")
    if ".." in place.split("/"):
        raise DatasetError(f"{source}: the path {place!r} leaves it")
    store = InsideStore(source)
    try:
        node = zarr.open(store, path=place, mode="r", use_consolidated=False)
    except FileNotFoundError as error:
        raise DatasetError(f"{source} holds nothing that is zarr{_at(place) or ' at its root'}") from error
    if isinstance(node, zarr.Array):
        _refuse_code(source, node)
    return node


def _refuse_code(source: Path, array: zarr.Array[Any]) -> None:
    """Refuse what is decoded by running what the file says: numcodecs knows a 'pickle'."""
    steps = [
        *(array.filters or ()),
        *array.compressors,
        *([array.serializer] if array.metadata.zarr_format == 3 else []),
    ]
    names = {str(getattr(s, "codec_id", getattr(s, "codec_name", type(s).__name__))).lower() for s in steps}
    if array.dtype.kind not in "biuf" or any("pickle" in n for n in names):
        raise DatasetError(f"{source}: {array.path!r} holds {array.dtype} by {sorted(names)}, not numbers; not read")
