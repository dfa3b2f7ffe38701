"""Reader and writer of OME-Zarr, and reader of plain zarr arrays.

Versions 0.4 (zarr 2) and 0.5 (zarr 3) of OME-Zarr can be read, and version 0.5 is written:
https://ngff.openmicroscopy.org/0.5/#multiscale-md
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import DatasetError, ImageError
from fijibridge.files.lazy_array import Content, OnDisk
from fijibridge.files.writer import atomic_folder
from fijibridge.image import DIMS, origin, pixel_size, time_unit, unit, usual_unit
from fijibridge.messages import some

if TYPE_CHECKING:
    import zarr

_DEPTH = 3  # levels of groups that are searched for arrays
_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
_TYPES = {"t": "time", "c": "channel"}
_UNITS = {"um": "micrometer", "nm": "nanometer", "mm": "millimeter", "sec": "second", "pixel": None, "frame": None}


# --- reading ----------------------------------------------------------------------------------------


def is_zarr(path: Path) -> bool:
    """Return whether a folder is a zarr group or array."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


def content(source: Path, key: str | None) -> Content:
    """Return the metadata and unread pixels of the full-resolution array, or of the array at the path `key` inside.

    Raises
    ------
    DatasetError
        If the array does not exist, or reading it would run code or open files outside the folder.
    """
    import zarr

    node: Any = _open(source, key)
    if isinstance(node, zarr.Array):
        return _array_of_image(source, key) or Content(_pixels(source, node, key), _dimension_names(node), {})
    scales = _ome(node).get("multiscales")
    if not scales:
        # sorted, because file systems list folders in any order
        images = sorted(place for place, one in node.members() if isinstance(one, zarr.Group) and _scales(one))
        if len(images) == 1:  # as bioformats2raw writes a file with one image
            return content(source, "/".join([*filter(None, [(key or "").strip("/")]), images[0]]))
        if images:
            raise DatasetError(
                f"{source} contains {len(images)} images{_at(key)}, {some(images, 10)}: name one, such as "
                f"'{source.name}:/{images[0]}'"
            )
        arrays = sorted(k for k, v in node.members(max_depth=_DEPTH) if isinstance(v, zarr.Array))[:10]
        advice = (
            f"it contains the arrays {', '.join(arrays)}: name one, such as '{source.name}:/{arrays[0]}'"
            if arrays
            else "it contains no array"
        )
        raise DatasetError(f"{source} has no multiscales metadata{_at(key)}; {advice}")
    return _resolution(source, key, node, scales[0], scales[0]["datasets"][0])


def _scales(group: zarr.Group) -> Any:
    return _ome(group).get("multiscales")


def _array_of_image(source: Path, key: str | None) -> Content | None:
    """Return the content of an array that is a resolution level of an OME-Zarr image; None if it is none."""
    parts = [part for part in (key or "").split("/") if part]
    for n in range(len(parts)):
        above, place = "/".join(parts[:n]), "/".join(parts[n:])
        try:
            group: Any = _open(source, above)
        except DatasetError:
            continue
        for scale in _scales(group) or ():
            for level in scale["datasets"]:
                if str(level["path"]).strip("/") == place:
                    return _resolution(source, above, group, scale, level)
    return None


def _resolution(
    source: Path, key: str | None, node: zarr.Group, scale: dict[str, Any], first: dict[str, Any]
) -> Content:
    """Return the content of a resolution level of an image."""
    place = "/".join(p for p in ((key or "").strip("/"), str(first["path"])) if p)
    array: Any = _open(source, place)
    axes = [a if isinstance(a, str) else str(a.get("name")) for a in scale.get("axes", DIMS[-array.ndim :])]
    units = {
        a["name"]: usual_unit(str(a["unit"])) for a in scale.get("axes", ()) if isinstance(a, dict) and "unit" in a
    }
    transforms = [*first.get("coordinateTransformations", ()), *scale.get("coordinateTransformations", ())]
    sizes, origins = _affine(axes, transforms)
    calibration: dict[str, Any] = {"pixel_size": sizes, "origin": origins}
    calibration["unit"] = {d: "sec" if u == "second" else u for d, u in units.items() if d in sizes}
    dims = "".join(axes)
    pixels = _pixels(source, array, place)
    return Content(pixels, dims if set(axes) <= set(DIMS) else None, calibration, _channel_labels(node))


def _affine(axes: list[str], transforms: list[dict[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Return pixel sizes and origins after all transformations, each of which is x * scale or x + translation."""
    size, start = np.ones(len(axes)), np.zeros(len(axes))
    for step in transforms:
        if step.get("type") == "scale" and "scale" in step:
            # a scale also applies to earlier translations
            size, start = size * np.asarray(step["scale"], float), start * np.asarray(step["scale"], float)
        elif step.get("type") == "translation" and "translation" in step:
            start = start + np.asarray(step["translation"], float)
    known = [n for n, d in enumerate(axes) if d in "tzyx" and transforms]
    return {axes[n]: float(size[n]) for n in known}, {axes[n]: float(start[n]) for n in known if start[n]}


def _ome(node: zarr.Group) -> dict[str, Any]:
    """Return the OME metadata, which are under the key "ome" in version 0.5, and at the top level in version 0.4."""
    attributes = dict(node.attrs)
    inner = attributes.get("ome")
    return inner if isinstance(inner, dict) else attributes


def _channel_labels(node: zarr.Group) -> list[str] | None:
    channels = _ome(node).get("omero", {}).get("channels", ())
    names = [str(c.get("label", "")) for c in channels]
    return names if len(names) > 1 and all(names) and len(set(names)) == len(names) else None


def _dimension_names(array: zarr.Array[Any]) -> str | None:
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
        raise DatasetError(f"{source}: the path {place!r} leaves this folder; expected a path inside it")
    store = InsideStore(source)
    try:
        node = zarr.open(store, path=place, mode="r", use_consolidated=False)
    except FileNotFoundError as error:
        raise DatasetError(f"{source} contains no zarr group or array{_at(place) or ' at its root'}") from error
    if isinstance(node, zarr.Array):
        _refuse_code(source, node)
    return node


def _refuse_code(source: Path, array: zarr.Array[Any]) -> None:
    """Refuse codecs that would run code from the file, such as numcodecs' 'pickle'."""
    steps = [
        *(array.filters or ()),
        *array.compressors,
        *([array.serializer] if array.metadata.zarr_format == 3 else []),
    ]
    names = {str(getattr(s, "codec_id", getattr(s, "codec_name", type(s).__name__))).lower() for s in steps}
    if array.dtype.kind not in "biuf" or any("pickle" in n for n in names):
        raise DatasetError(
            f"{source}: {array.path!r} was not read: expected numbers, got {array.dtype} encoded by {sorted(names)}"
        )


# --- writing ----------------------------------------------------------------------------------------


@contextmanager
def new_ome_zarr(
    path: str | os.PathLike[str],
    sizes: Mapping[str, int],
    like: xr.DataArray,
    *,
    dtype: npt.DTypeLike,
    chunks: Sequence[int],
    channels: Sequence[str] = (),
    overwrite: bool = False,
) -> Iterator[Any]:
    """Open a new OME-Zarr for writing; it appears at its path when the ``with`` block ends without an error.

    Parameters
    ----------
    path
        Folder of the OME-Zarr. Until the block ends, the array is written to the folder
        ``.NAME-….partial`` beside it. This temporary folder is removed on an error; only a killed process leaves it
        behind.
    sizes
        Lengths of the axes, in the order ``t c z y x``.
    like
        Image whose pixel size, origin and units are written to the OME-Zarr.
    dtype
        Type of the values.
    chunks
        Length of a chunk along each axis; a chunk is compressed and read as a whole.
    channels
        Names of the channels.
    overwrite
        Replace an existing zarr folder once the new one is complete.

    Yields
    ------
    zarr.Array
        The array to write to, part by part.

    Raises
    ------
    ImageError
        If `path` already exists, and is no zarr folder or `overwrite` is False.
    """
    target = Path(path)
    if target.exists() and not overwrite:
        raise ImageError(f"{target} exists already: remove it, or choose another folder")
    if target.exists() and not is_zarr(target):
        raise ImageError(f"{target} exists, but is not a zarr folder: remove it, or choose another folder")
    with atomic_folder(target, replace=overwrite) as folder:
        yield _create(folder, sizes, like, dtype, chunks, channels)


def _create(
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
    metadata: dict[str, Any] = {"version": "0.5", "multiscales": [scale]}
    if channels:
        metadata["omero"] = {"channels": [_channel(name) for name in channels]}
    group = zarr.open_group(folder, mode="w", zarr_format=3, attributes={"ome": metadata})
    return group.create_array(
        "0", shape=tuple(sizes.values()), chunks=tuple(chunks), dtype=dtype, dimension_names=list(sizes)
    )


def _channel(name: str) -> dict[str, Any]:
    window = {"min": 0.0, "max": 1.0, "start": 0.0, "end": 1.0}
    return {"label": name, "color": "FFFFFF", "active": True, "window": window}


def _axis(dim: str, like: xr.DataArray) -> dict[str, str]:
    axis = {"name": dim, "type": _TYPES.get(dim, "space")}
    name = time_unit(like) if dim == "t" else unit(like)
    known = _UNITS.get(name, name)
    return axis if dim == "c" or known is None else axis | {"unit": known}
