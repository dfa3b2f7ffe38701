"""Reader of plain, ImageJ and OME-TIFF, with axes, calibration and channel names.

The pixels of a TIFF may be in other files (OME-TIFF, NDTiff, links). Only files in the folder of the TIFF are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import tifffile

from fijibridge.errors import DatasetError
from fijibridge.files.lazy_array import Box, Content, OnDisk, joined_planes, whole
from fijibridge.image import DIMS, RGB, channel_names, usual_unit
from fijibridge.messages import some

_OF_MANY_FILES = ("ome", "mmstack", "ndtiff")
_OF_SCANNERS = ("thumbnail", "macro", "label", "map", "macro image", "label image")
_MOST_LISTED = 6
_REDUCED, _MASK = 1, 4  # bits of a page's NewSubfileType


def content(source: Path) -> Content:
    """Return the metadata and the unread pixels of a TIFF.

    Raises
    ------
    DatasetError
        If the TIFF contains several images that are not planes of one image.
    """
    with _series(source) as (file, planes):
        series = planes[0]
        axes = series.axes.lower().replace("s", "c")
        metadata = dict(file.imagej_metadata or {})
        calibration = _imagej_calibration(file, metadata) if metadata else _ome_calibration(file) if file.is_ome else {}
        shape, dtype = tuple(series.shape), np.dtype(series.dtype)
        chunks = _chunks(series)
        if len(planes) > 1:  # no metadata names the axis of the pages: as_image assumes the last axes of t c z y x
            axes, shape = "i" + axes, (len(planes), *shape)
            chunks = (1, *chunks) if series.keyframe.is_tiled else joined_planes(shape, dtype.itemsize)
    channels = shape[axes.index("c")] if "c" in axes else 1
    names = channel_names([str(name) for name in metadata.get("Labels") or ()], channels)
    if names is None and axes.endswith("c") and channels == 3:
        names = list(RGB)
    pixels = OnDisk(shape, dtype, lambda box: _read(source, box), chunks)
    return Content(pixels, axes if set(axes) <= set(DIMS) else None, calibration, names)


@contextmanager
def _series(source: Path) -> Iterator[tuple[tifffile.TiffFile, list[tifffile.TiffPageSeries]]]:
    """Open a TIFF, and yield the series that make up its image: a single series, or one series per plane."""
    with tifffile.TiffFile(source) as file:
        if file.is_ome:
            _refuse_names_elsewhere(source, _named_by_ome(file.ome_metadata or ""))
        if file.is_ndtiff:
            index = source.parent / "NDTiff.index"
            _refuse_names_elsewhere(source, ["NDTiff.index"])
            _refuse_names_elsewhere(source, {entry[1] for entry in tifffile.read_ndtiff_index(index)})
        series = _of_one_image(source, file)
        for one in series:
            if one.kind in _OF_MANY_FILES:
                _refuse_names_elsewhere(source, {page.parent.filehandle.path for page in one.pages if page is not None})
        yield file, series


def _of_one_image(source: Path, file: tifffile.TiffFile) -> list[tifffile.TiffPageSeries]:
    """Return the series that make up the image, without thumbnails and series from other files.

    Raises
    ------
    DatasetError
        If several series remain, unless they are single pages of equal shape and type.
    """
    found = list(file.series)
    if len(found) == 1:
        return found
    found = [series for series in found if series.keyframe.parent is file] or found
    found = [series for n, series in enumerate(found) if n == 0 or not _is_beside(series)]
    kinds = {(series.shape, series.dtype, series.axes) for series in found}
    if len(found) > 1 and (len(kinds) > 1 or any(len(series.pages) > 1 or series.kind == "ome" for series in found)):
        shapes = [str(tuple(series.shape)) for series in found]
        listed = some(shapes, _MOST_LISTED)
        raise DatasetError(
            f"{source} contains {len(found)} images of shapes {listed}; expected one image, or pages of equal shape: "
            "save each image to a separate file (tifffile.imread(file, series=1) reads the second)"
        )
    return found


def _is_beside(series: tifffile.TiffPageSeries) -> bool:
    """Return whether a series is a thumbnail, a mask, or an extra picture of a slide scanner."""
    known = series.name.lower() in _OF_SCANNERS
    return known or bool(int(series.keyframe.subfiletype) & (_REDUCED | _MASK))


def _named_by_ome(metadata: str) -> set[str]:
    """Return the file names in OME-XML.

    The XML is parsed as in tifffile, which expands entities; a text search would miss names that contain entities.
    """
    try:
        root = ElementTree.fromstring(metadata)
    except ElementTree.ParseError:
        return set()  # tifffile reads such a file as a plain TIFF
    return {name for element in root.iter() if (name := element.attrib.get("FileName")) is not None}


def _refuse_names_elsewhere(source: Path, names: Iterable[str]) -> None:
    """Refuse a TIFF whose pixels are outside the folder of the TIFF, directly or through a link."""
    folder = source.resolve().parent
    for name in names:
        if not (source.parent / name).resolve().is_relative_to(folder):
            raise DatasetError(
                f"{source} refers to pixels in {name!r}, outside its own folder: copy all pixels into one file"
            )


def _chunks(series: tifffile.TiffPageSeries) -> tuple[int, ...]:
    page = series.keyframe
    if not page.is_tiled:
        return joined_planes(tuple(series.shape), np.dtype(series.dtype).itemsize)
    inner = page.chunks  # along the axes of a page, which are the last axes of the series
    return (1,) * (len(series.shape) - len(inner)) + tuple(inner)


def _read(source: Path, box: Box) -> npt.NDArray[Any]:
    with _series(source) as (file, planes):
        if len(planes) > 1:
            parts = [_part(file, plane, box[1:]) for plane in planes[box[0]]]
            return np.stack(parts) if parts else np.zeros([s.stop - s.start for s in box], planes[0].dtype)
        return _part(file, planes[0], box)


def _part(file: tifffile.TiffFile, series: tifffile.TiffPageSeries, box: Box) -> npt.NDArray[Any]:
    import zarr

    everything = box == whole(tuple(series.shape))
    if everything and series.keyframe.parent is file:  # asarray() would look in this file for pages of other files
        return np.asarray(series.asarray())
    store: Any = series.aszarr()
    try:
        return np.asarray(zarr.open_array(store, mode="r")[box])
    finally:
        store.close()


def _imagej_calibration(file: tifffile.TiffFile, metadata: dict[str, Any]) -> dict[str, Any]:
    sizes = {}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        value = file.pages.first.tags.get(tag)
        if value is not None and value.value[0] > 0:
            sizes[axis] = value.value[1] / value.value[0]
    for axis, key in (("z", "spacing"), ("t", "finterval")):
        if float(metadata.get(key, 0)) > 0:
            sizes[axis] = float(metadata[key])
    # in ImageJ, the origin is the pixel index of coordinate 0
    origins = {d: -float(metadata[f"{d}origin"]) * sizes.get(d, 1.0) for d in "xyz" if f"{d}origin" in metadata}
    units = dict.fromkeys("zyx", plain_unit(str(metadata["unit"]))) if metadata.get("unit") else {}
    if "t" in sizes:
        units["t"] = str(metadata.get("tunit", "sec"))
    return {"pixel_size": sizes, "origin": origins, "unit": units}


def _ome_calibration(file: tifffile.TiffFile) -> dict[str, Any]:
    pixels = tifffile.xml2dict(file.ome_metadata or "<OME/>").get("OME", {}).get("Image", {})
    pixels = (pixels[0] if isinstance(pixels, list) else pixels).get("Pixels", {})
    keys = {"z": "PhysicalSizeZ", "y": "PhysicalSizeY", "x": "PhysicalSizeX", "t": "TimeIncrement"}
    sizes = {d: float(pixels[key]) for d, key in keys.items() if float(pixels.get(key, 0)) > 0}
    units = {d: plain_unit(str(pixels.get(f"{keys[d]}Unit", "s" if d == "t" else "um"))) for d in sizes}
    return {"pixel_size": sizes, "unit": units}


def plain_unit(name: str) -> str:
    r"""Return a unit with ImageJ's ``\uXXXX`` escapes decoded and in its usual spelling, such as ``um``."""
    name = re.sub(r"\\u([0-9A-Fa-f]{4})", lambda code: chr(int(code.group(1), 16)), name)
    return usual_unit(name)
