"""Reader of plain, ImageJ and OME-TIFF, with axes, calibration and channel names.

The pixels of a TIFF may be in other files (OME-TIFF, NDTiff, links). Only files in the folder of the TIFF are read.
"""

from __future__ import annotations

import logging
import re
import threading
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
from fijibridge.files.tiff_calibration import calibration, ome_calibration, ome_channels, ome_image
from fijibridge.image import DIMS, RGB, channel_names
from fijibridge.messages import some
from fijibridge.renames import rename_attributes

_OF_MANY_FILES = ("ome", "mmstack", "ndtiff")
_OF_SCANNERS = ("thumbnail", "macro", "label", "map", "macro image", "label image")
_MOST_LISTED = 6
_TRANSPARENCY = ((1,), (2,))  # values of the tag ExtraSamples
_HARMLESS = re.compile(
    "coercing invalid ASCII|(nuvu|andor|epics|ndpi|eer_xml)_|GeoKeyDirectory|get_resolution"
    "|MMStack file name is invalid|correcting LSM bitspersample|unidentified dimension"
    "|TiffTag (3[3-9]|4[0-9]|6[0-9])[0-9]{3} "
)
"""Messages of tifffile about vendors' own tags, or about what it corrects."""
_REDUCED, _MASK = 1, 4  # bits of a page's NewSubfileType


def content(source: Path) -> Content:
    """Return the metadata and the unread pixels of a TIFF.

    Raises
    ------
    DatasetError
        If the TIFF is damaged, or contains several images that are not planes of one image.
    """
    with _series(source) as (file, planes):
        series = planes[0]
        axes = series.axes.lower()
        found = ome_image(file, series, source.name) if file.is_ome else None
        about: dict[str, Any] = dict(ome_calibration(found) if file.is_ome else calibration(file))
        labels = [str(label) for label in (file.imagej_metadata or {}).get("Labels") or ()]
        shape, dtype = tuple(series.shape), np.dtype(series.dtype)
        chunks = _chunks(series)
        if len(planes) > 1:  # no metadata names the axis of the pages: as_image assumes the last axes of t c z y x
            axes, shape = "i" + axes, (len(planes), *shape)
            chunks = (1, *chunks) if series.keyframe.is_tiled else joined_planes(shape, dtype.itemsize)
        samples = series.keyframe.samplesperpixel
        alpha = samples > 1 and series.keyframe.extrasamples[-1:] in _TRANSPARENCY
        _refuse_truncated(source, planes)
    pixels = OnDisk(shape, dtype, lambda box: _read(source, box), chunks)
    for axis in [d for d, n in zip(axes, shape, strict=True) if n == 1 and d not in DIMS and d != "s"]:
        axes, pixels = axes.replace(axis, ""), pixels.first(axes.index(axis))  # an axis without a meaning
    axes, pixels = _colors_as_channels(source, axes, pixels, alpha)
    channels = pixels.shape[axes.index("c")] if "c" in axes else 1
    names = _names_of_ome(ome_channels(found), channels) if file.is_ome else channel_names(labels, channels)
    if names is None and "s" in series.axes.lower() and channels == 3:
        names = list(RGB)
    return Content(pixels, axes if set(axes) <= set(DIMS) else None, about, names)


def _colors_as_channels(source: Path, axes: str, pixels: OnDisk, alpha: bool) -> tuple[str, OnDisk]:
    """Turn the samples of a pixel into channels, without the sample that stores transparency.

    Raises
    ------
    DatasetError
        If each of several channels has colours.
    """
    if "s" not in axes:
        return axes, pixels
    place = axes.index("s")
    if alpha:
        pixels = pixels.first(place, pixels.shape[place] - 1)
    if pixels.shape[place] == 1:
        return axes.replace("s", ""), pixels.first(place)
    if "c" in axes and pixels.shape[axes.index("c")] == 1:
        axes, pixels = axes.replace("c", ""), pixels.first(axes.index("c"))
    if "c" in axes:
        raise DatasetError(
            f"{source} has {pixels.shape[axes.index('c')]} channels of {pixels.shape[place]} colours each: save each "
            "channel, or each colour, to a separate file (in Fiji: Image > Color > Split Channels)"
        )
    return axes.replace("s", "c"), pixels


def _names_of_ome(names: list[str], channels: int) -> list[str] | None:
    """Return the names of channels if each has a name of its own."""
    known = channels > 1 and len(names) == channels and all(names) and len(set(names)) == channels
    return names if known else None


def _refuse_truncated(source: Path, planes: list[tifffile.TiffPageSeries]) -> None:
    """Refuse a TIFF that declares pixels beyond the end of the file."""
    for page in (page for series in planes for page in series.pages):
        if page is None:
            continue
        size = page.parent.filehandle.size
        spans = zip(page.dataoffsets, page.databytecounts, strict=False)
        end = max((offset + length for offset, length in spans if length), default=0)
        if end > size:
            raise DatasetError(
                f"{source} cannot be read as an image, because it is truncated: page {page.index} ends at byte {end}, "
                f"but the file has {size} bytes; copy or export it again"
            )


class _Damage(logging.Handler):
    """Keeps what tifffile logs about damage in this thread."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.found: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.thread == self._thread and not _HARMLESS.search(text):
            self.found.append(text)


@contextmanager
def _damage(source: Path) -> Iterator[list[tifffile.TiffFile]]:
    """Turn what tifffile logs about damage in a block into an error, also if the block fails because of it.

    The block adds the file that it opens to the list.
    """
    opened: list[tifffile.TiffFile] = []
    log, damage = logging.getLogger("tifffile"), _Damage()
    log.addHandler(damage)
    failed: Exception | None = None
    try:
        yield opened
    except DatasetError:
        raise
    except Exception as error:
        failed = error
    finally:
        log.removeHandler(damage)
    if damage.found:
        what = re.sub(r"<tifffile\.(\w+) '[^']*'> ", "", damage.found[0])
        where = f" after page {_intact_pages(opened[0]) - 1}" if opened else ""
        raise DatasetError(
            f"{source} cannot be read as an image, because it is damaged{where}: {what}; copy or export it again"
        ) from failed
    if failed is not None:
        raise failed


def _intact_pages(file: tifffile.TiffFile) -> int:
    """Return the number of pages before the damage. ImageJ may write all planes one after another, with one page."""
    page, count = file.pages.first, len(file.pages)
    in_a_row = (file.filehandle.size - page.dataoffsets[0]) // max(page.nbytes, 1) if page.dataoffsets else 0
    return int(in_a_row) if file.is_imagej and count == 1 else count


@contextmanager
def _series(source: Path) -> Iterator[tuple[tifffile.TiffFile, list[tifffile.TiffPageSeries]]]:
    """Open a TIFF, and yield the series that make up its image: a single series, or one series per plane.

    Raises
    ------
    DatasetError
        If tifffile logs damage, which it otherwise skips or fills with 0.
    """
    with _damage(source) as opened, tifffile.TiffFile(source) as file:
        opened.append(file)
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


rename_attributes(__name__, {"plain_unit": "image:usual_unit"})
