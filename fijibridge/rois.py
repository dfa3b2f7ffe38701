"""Regions of interest: ImageJ's bytes and files, their coordinates, and label images. No JVM is needed.

A :class:`Roi` holds what ImageJ's own format holds, nothing lost, and says it in Python's words. Coordinates are
ImageJ's: in pixels, x before y, and pixel (0, 0) is the square between (0, 0) and (1, 1).
"""

from __future__ import annotations

import dataclasses
import os
import zipfile
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from roifile import ROI_OPTIONS, ROI_SUBTYPE, ROI_TYPE, ImagejRoi, roiread

from fijibridge.errors import RoiError
from fijibridge.files import atomic
from fijibridge.image import Array, as_labels
from fijibridge.tracing import trace

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_AREAS = ("polygon", "rectangle", "oval", "freehand", "traced", "composite", "ellipse", "rotated_rect")
_LINES = ("line", "polyline", "freeline")
_KINDS = {ROI_TYPE.RECT: "rectangle", ROI_TYPE.NOROI: "none"}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Roi:
    """One region of interest, as ImageJ has it.

    Make one with :meth:`polygon`, :meth:`rectangle`, :meth:`oval` or :meth:`line`, read it with
    :func:`read_rois`, or pull it with ``fiji.rois()``. Two are equal if ImageJ would store the same bytes.

    Attributes
    ----------
    data : roifile.ImagejRoi
        All the fields of ImageJ's file format.

    Examples
    --------
    >>> roi = Roi.polygon([(1, 1), (5, 1), (5, 4)], name="7")
    >>> roi
    Roi('7', polygon, x 1..5, y 1..4)
    >>> roi == Roi.from_bytes(roi.to_bytes())
    True
    """

    data: ImagejRoi

    @classmethod
    def polygon(cls, xy: npt.ArrayLike, name: str = "", position: int = 0) -> Roi:
        """Make a closed polygon.

        Parameters
        ----------
        xy
            (n, 2) vertices, x before y. Whole numbers stay integer coordinates, others become sub-pixel ones.
        name
            Of a cell, its id.
        position
            Slice of the stack, counted from 1 as in ImageJ; 0 = on all of them.
        """
        return cls(_vertices(ROI_TYPE.POLYGON, xy, name, position))

    @classmethod
    def line(cls, xy: npt.ArrayLike, width: float = 1, name: str = "", position: int = 0) -> Roi:
        """Make an open line through (n, 2) points, `width` pixels wide."""
        data = _vertices(ROI_TYPE.POLYLINE, xy, name, position)
        data.stroke_width = round(width)
        data.float_stroke_width = float(width)
        return cls(data)

    @classmethod
    def rectangle(cls, x: int, y: int, width: int, height: int, name: str = "", position: int = 0) -> Roi:
        """Make a rectangle with its upper left corner at (x, y), in whole pixels."""
        return cls(_box(ROI_TYPE.RECT, x, y, width, height, name, position))

    @classmethod
    def oval(cls, x: int, y: int, width: int, height: int, name: str = "", position: int = 0) -> Roi:
        """Make the oval that fits into a rectangle, in whole pixels."""
        return cls(_box(ROI_TYPE.OVAL, x, y, width, height, name, position))

    @classmethod
    def from_bytes(cls, data: bytes) -> Roi:
        """Read ImageJ's ROI format.

        The reference is ``ij.io.RoiDecoder``; reading is done by roifile.

        Raises
        ------
        RoiError
            If the bytes are no ROI.
        """
        try:
            return cls(ImagejRoi.frombytes(bytes(data)))
        except Exception as error:
            raise RoiError(f"{len(data)} bytes that are no ImageJ ROI: {error}") from error

    def to_bytes(self) -> bytes:
        """Return the ROI in ImageJ's format, as ``ij.io.RoiEncoder`` writes it."""
        return bytes(self.data.tobytes())

    @property
    def name(self) -> str:
        """The name in the ROI Manager; of a cell, its id."""
        return str(self.data.name)

    @property
    def kind(self) -> str:
        """What ImageJ would call it: polygon, rectangle, oval, freehand, traced, composite, line, point ..."""
        if self.data.composite:
            return "composite"
        if self.data.subtype not in (ROI_SUBTYPE.UNDEFINED, None):
            return self.data.subtype.name.lower()
        return _KINDS.get(self.data.roitype, self.data.roitype.name.lower())

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels; right and bottom are the first ones outside."""
        data = self.data
        return int(data.left), int(data.top), int(data.right), int(data.bottom)

    @property
    def position(self) -> int:
        """Slice (z of a hyperstack) that it belongs to, counted from 1; 0 = all."""
        return int(self.data.position or self.data.z_position)

    def renamed(self, name: str) -> Roi:
        """Return a copy under another name."""
        return Roi(dataclasses.replace(self.data, name=str(name)))

    def paths(self) -> list[Floats]:
        """Return the vertices of each part, (n, 2) arrays of x, y; holes are parts too, closed parts stay open.

        Raises
        ------
        RoiError
            For a kind that has no vertices.
        """
        if self.kind == "rectangle":
            left, top, right, bottom = self.bounds
            return [np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)]
        if self.kind in ("oval", "text", "image", "none"):
            raise RoiError(f"{self!r} has no vertices")
        parts = [np.asarray(part, dtype=float) for part in self.data.coordinates(multi=True)]
        return [part[:-1] if len(part) > 1 and (part[0] == part[-1]).all() else part for part in parts]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roi) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())

    def __repr__(self) -> str:
        left, top, right, bottom = self.bounds
        return f"Roi({self.name!r}, {self.kind}, x {left}..{right}, y {top}..{bottom})"


def _vertices(kind: ROI_TYPE, xy: npt.ArrayLike, name: str, position: int) -> ImagejRoi:
    points = np.asarray(xy)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 2:
        raise RoiError(f"vertices have shape {points.shape}; expected (n, 2) with x before y and n of 2 or more")
    if not np.isfinite(points.astype(float)).all():
        raise RoiError("vertices must be finite numbers")
    low = np.floor(points.min(axis=0)).astype(int)
    high = np.ceil(points.max(axis=0)).astype(int)
    whole = np.array_equal(points, np.round(points)) and (high - low).max() < 2**15
    data = ImagejRoi(
        roitype=kind, name=name, position=position, n_coordinates=len(points),
        left=int(low[0]), top=int(low[1]), right=int(high[0]), bottom=int(high[1]),
        integer_coordinates=(np.round(points).astype(np.int32) - low.astype(np.int32)),
    )  # fmt: skip
    if not whole:
        data.options |= ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        data.subpixel_coordinates = points.astype(np.float32)
    return data


def _box(kind: ROI_TYPE, x: int, y: int, width: int, height: int, name: str, position: int) -> ImagejRoi:
    if width <= 0 or height <= 0:
        raise RoiError(f"width {width} and height {height} must be positive")
    return ImagejRoi(
        roitype=kind,
        name=name,
        position=position,
        left=int(x),
        top=int(y),
        right=int(x + width),
        bottom=int(y + height),
    )


def read_rois(path: str | os.PathLike[str]) -> list[Roi]:
    """Read a ``.roi`` file, a ``RoiSet.zip``, or the ROIs inside an ImageJ TIFF.

    Raises
    ------
    RoiError
        If the file holds no ROI.
    """
    source = Path(path)
    if not source.is_file():
        raise RoiError(f"no file {source}; expected a .roi, a .zip of them, or a TIFF with an overlay")
    try:
        found = roiread(source)
    except Exception as error:
        raise RoiError(f"{source} holds no ImageJ ROIs: {error}") from error
    return [Roi(data) for data in (found if isinstance(found, list) else [found])]


def write_rois(path: str | os.PathLike[str], rois: Iterable[Roi]) -> None:
    """Write one ROI as ``.roi``, or any number as a ``RoiSet.zip`` that the ROI Manager opens.

    The file is replaced as a whole. ROIs of one name get ``-1``, ``-2`` ... behind it in the zip, as
    the ROI Manager does it; ImageJ shows a ROI under the name of its file.
    """
    target, items = Path(path), list(rois)
    if target.suffix.lower() == ".roi":
        if len(items) != 1:
            raise RoiError(f"a .roi file holds one ROI, not {len(items)}: write to a .zip")
        with atomic(target) as temporary:
            temporary.write_bytes(items[0].to_bytes())
        return
    if target.suffix.lower() != ".zip":
        raise RoiError(f"cannot write ROIs to {target.name!r}: expected .roi or .zip")
    with atomic(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        taken: set[str] = set()
        for number, roi in enumerate(items, start=1):
            archive.writestr(_free_name(roi.name or f"{number:04d}", taken) + ".roi", roi.to_bytes())


def _free_name(name: str, taken: set[str]) -> str:
    base = name.replace("/", "_").replace("\\", "_")
    free, count = base, 0
    while free in taken:
        count += 1
        free = f"{base}-{count}"
    taken.add(free)
    return free


# --- ROIs -> pixels ---------------------------------------------------------------------------------


def rois_to_labels(rois: Sequence[Roi], shape: Sequence[int]) -> npt.NDArray[Any]:
    """Draw ROIs as cells: a label image with one id per ROI.

    Parameters
    ----------
    rois
        With an area. If all their names are whole numbers, different ones on each slice, these are the ids; else
        they are numbered from 1 in their order.
    shape
        (Y, X), or (Z, Y, X): then a ROI is drawn into the slice of its position, on all slices without one.

    Returns
    -------
    numpy.ndarray
        ``uint16``, or ``uint32`` for ids above 65,535; 0 = background. Where ROIs overlap the later one wins.

    Raises
    ------
    RoiError
        For a ROI without an area, such as a line or points, and for rounded rectangles and spline-fitted polygons,
        whose outline only ImageJ knows.

    Notes
    -----
    Pixels are filled by the rule of ImageJ's ``PolygonFiller``: even-odd, and a pixel is inside if its centre is;
    a centre exactly on an edge belongs to the side with the larger coordinate.

    Examples
    --------
    >>> rois_to_labels([Roi.rectangle(1, 0, 2, 2, name="5")], (2, 4))
    array([[0, 5, 5, 0],
           [0, 5, 5, 0]], dtype=uint16)
    """
    ids = _ids(rois)
    labels = np.zeros(tuple(shape), np.uint16 if max(ids, default=0) < 2**16 else np.uint32)
    if labels.ndim not in (2, 3):
        raise RoiError(f"shape {tuple(shape)} has {labels.ndim} axes; expected (Y, X) or (Z, Y, X)")
    _fill(labels, rois, np.array(ids, np.int64))
    return labels


def rois_to_mask(rois: Sequence[Roi], shape: Sequence[int], width: float | None = None) -> npt.NDArray[np.bool_]:
    """Draw ROIs as one mask: an annotated region, or membranes drawn as lines.

    Parameters
    ----------
    rois
        Areas, and lines where a width is known.
    shape
        (Y, X) or (Z, Y, X), as in :func:`rois_to_labels`.
    width
        Draw lines, and the outlines of areas, this many pixels wide. Left out, areas are filled and a line has its
        own stroke width.

    Raises
    ------
    RoiError
        For points, angles, arrows and texts, and as in :func:`rois_to_labels`.
    """
    mask = np.zeros(tuple(shape), bool)
    areas = [r for r in rois if width is None and r.kind in _AREAS]
    if areas:
        painted = np.zeros(tuple(shape), np.uint16)
        _fill(painted, areas, np.ones(len(areas), np.int64))
        mask |= painted > 0
    for roi in rois:
        if width is not None or roi.kind not in _AREAS:
            if roi.kind not in (*_AREAS, *_LINES):
                raise RoiError(f"{roi!r} is neither an area nor a line")
            for plane in _planes(mask, roi):
                _draw_line(plane, roi, width)
    return mask


def _ids(rois: Sequence[Roi]) -> list[int]:
    names = [r.name for r in rois]
    if len({(r.name, r.position) for r in rois}) == len(rois) and all(
        n.isascii() and n.isdigit() and 0 < int(n) < 2**31 for n in names
    ):
        return [int(n) for n in names]
    return list(range(1, len(names) + 1))


def _planes(image: npt.NDArray[Any], roi: Roi) -> list[npt.NDArray[Any]]:
    """Return views of the planes that a ROI lies on."""
    if image.ndim == 2:
        return [image]
    if roi.position > len(image):
        raise RoiError(f"{roi!r} lies on slice {roi.position} of a stack of {len(image)}")
    return [image[roi.position - 1]] if roi.position else list(image)


def _fill(image: npt.NDArray[Any], rois: Sequence[Roi], ids: Ints) -> None:
    """Write each ROI's id into its pixels; later ROIs win."""
    for roi in rois:
        _refuse_unfillable(roi)
    runs = _polygon_runs(rois)
    ovals = [i for i, r in enumerate(rois) if r.kind == "oval"]
    if ovals:
        parts = [runs, *(_oval_runs(rois[i], i) for i in ovals)]
        runs = np.concatenate(parts, axis=1)
        runs = runs[:, np.argsort(runs[0], kind="stable")]
    stack = image if image.ndim == 3 else image[None]
    slices = np.array([r.position for r in rois], np.int64)[runs[0]] if image.ndim == 3 else np.ones(runs.shape[1], int)
    if slices.size and slices.max() > len(stack):
        raise RoiError(f"a ROI lies on slice {slices.max()} of a stack of {len(stack)}")
    for z in range(len(stack)):
        here = runs[:, (slices == z + 1) | (slices == 0)]
        _write_runs(stack[z], here, ids)


def _refuse_unfillable(roi: Roi) -> None:
    if roi.kind not in _AREAS:
        raise RoiError(f"{roi!r} has no area to fill: draw lines with rois_to_mask(rois, shape, width=...)")
    rounded = roi.kind == "rectangle" and roi.data.rounded_rect_arc_size > 0
    if rounded or roi.data.options & ROI_OPTIONS.SPLINE_FIT:
        raise RoiError(
            f"{roi!r} is {'rounded' if rounded else 'spline-fitted'}, which only ImageJ can fill: "
            "there, turn it into a mask and back (Edit > Selection > Create Mask, Create Selection)"
        )


def _write_runs(plane: npt.NDArray[Any], runs: Ints, ids: Ints) -> None:
    height, width = plane.shape
    roi, y, start, stop = runs[:, (runs[1] >= 0) & (runs[1] < height)]
    start, stop = start.clip(0, width), stop.clip(0, width)
    length = np.maximum(stop - start, 0)
    first = np.repeat(y * width + start - (np.cumsum(length) - length), length)
    plane.reshape(-1)[first + np.arange(len(first))] = np.repeat(ids[roi], length)


def _polygon_runs(rois: Sequence[Roi]) -> Ints:
    """Scan all polygons at once: rows of (roi, y, first x, x behind the last), ordered by roi.

    The rule and the rounding are those of ``ij.process.PolygonFiller``.
    """
    starts, ends, owners = [], [], []
    for number, roi in enumerate(rois):
        if roi.kind == "oval":
            continue
        for path in roi.paths():
            starts.append(path)
            ends.append(np.roll(path, -1, axis=0))
            owners.append(np.full(len(path), number))
    if not starts:
        return np.zeros((4, 0), np.int64)
    return _scan(np.concatenate(starts), np.concatenate(ends), np.concatenate(owners))


def _scan(a: Floats, b: Floats, owner: Ints) -> Ints:
    swap = a[:, 1] > b[:, 1]
    top, low = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
    y1, y2 = np.floor(top[:, 1] + 0.5).astype(np.int64), np.floor(low[:, 1] + 0.5).astype(np.int64)
    keep = y1 < y2
    top, low, y1, y2, owner = top[keep], low[keep], y1[keep], y2[keep], owner[keep]
    slope = (low[:, 0] - top[:, 0]) / (low[:, 1] - top[:, 1])
    x = top[:, 0] + (y1 - top[:, 1] + 0.5) * slope + 1e-8
    count = y2 - y1
    edge = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    rows, columns = y1[edge] + step, np.floor(x[edge] + step * slope[edge] + 0.5).astype(np.int64)
    order = np.lexsort((columns, rows, owner[edge]))
    left, right = order[0::2], order[1::2]
    return np.stack([owner[edge][left], rows[left], columns[left], columns[right]])


def _oval_runs(roi: Roi, number: int) -> Ints:
    """Scan an oval by the rule of ``ij.gui.OvalRoi.getMask``."""
    left, top, right, bottom = roi.bounds
    a, b = (right - left) / 2, (bottom - top) / 2
    y, x = np.ogrid[: bottom - top, : right - left]
    inside = (x - (a - 0.5)) ** 2 / a**2 + (y - (b - 0.5)) ** 2 / b**2 <= 1
    rows = np.flatnonzero(inside.any(axis=1))
    start = inside[rows].argmax(axis=1)
    stop = inside.shape[1] - inside[rows, ::-1].argmax(axis=1)
    return np.stack([np.full(len(rows), number), rows + top, start + left, stop + left])


def _draw_line(plane: npt.NDArray[np.bool_], roi: Roi, width: float | None) -> None:
    """Mark the pixels whose centre is at most half a width from the line; on a tie, the larger coordinate's."""
    stroke = roi.data.float_stroke_width or roi.data.stroke_width or 1.0
    radius = max(width if width is not None else stroke, 1.0) / 2
    for path in roi.paths():
        points = np.concatenate([path, path[:1]]) if roi.kind in _AREAS else path
        for start, end in pairwise(points):
            _draw_segment(plane, start - 0.5 + 1e-6, end - 0.5 + 1e-6, radius)


def _draw_segment(plane: npt.NDArray[np.bool_], start: Floats, end: Floats, radius: float) -> None:
    low = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(int)
    high = np.minimum(np.ceil(np.maximum(start, end) + radius), np.array(plane.shape[::-1]) - 1).astype(int)
    if (high < low).any():
        return
    x, y = np.ogrid[low[0] : high[0] + 1, low[1] : high[1] + 1]
    direction = end - start
    length = float(direction @ direction)
    along = ((x - start[0]) * direction[0] + (y - start[1]) * direction[1]) / length if length else x * 0.0 + y * 0.0
    along = np.clip(along, 0, 1)
    distance = np.hypot(x - start[0] - along * direction[0], y - start[1] - along * direction[1])
    plane[low[1] : high[1] + 1, low[0] : high[0] + 1] |= (distance <= radius).T


# --- labels -> ROIs ---------------------------------------------------------------------------------


def labels_to_rois(labels: Array) -> list[Roi]:
    """Trace the cells of a label image: one ROI per id, named by it.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) integers, 0 = background, ids with any gaps. In 3D an id gets one ROI per slice, with
        its position.

    Returns
    -------
    list of Roi
        In the order of (slice, id). The outline runs along the edges of the pixels, so that filling it gives
        exactly the pixels back and ImageJ measures exactly their number as area. An id in one piece without holes
        becomes a traced ROI, one with holes or several pieces a composite one.

    Examples
    --------
    >>> labels = np.zeros((4, 5), int)
    >>> labels[1:3, 1:4] = 9
    >>> labels_to_rois(labels)
    [Roi('9', traced, x 1..4, y 1..3)]
    """
    array = as_labels(labels)
    if array.ndim == 2:
        return _trace_plane(array, 0)
    if array.ndim != 3:
        raise RoiError(f"labels have shape {array.shape}; expected (Y, X) or (Z, Y, X)")
    return [roi for z, plane in enumerate(array) for roi in _trace_plane(plane, z + 1)]


def _trace_plane(labels: npt.NDArray[Any], position: int) -> list[Roi]:
    ids, loops = trace(labels)
    rois, begin = [], 0
    while begin < len(ids):
        end = begin + 1
        while end < len(ids) and ids[end] == ids[begin]:
            end += 1
        rois.append(Roi(_traced(loops[begin:end], str(ids[begin]), position)))
        begin = end
    return rois


def _traced(loops: list[npt.NDArray[np.int32]], name: str, position: int) -> ImagejRoi:
    low = np.min([loop.min(axis=0) for loop in loops], axis=0)
    high = np.max([loop.max(axis=0) for loop in loops], axis=0)
    left, top, right, bottom = int(low[0]), int(low[1]), int(high[0]), int(high[1])
    if len(loops) == 1 and len(loops[0]) < 2**16:
        return ImagejRoi(
            roitype=ROI_TYPE.TRACED, name=name, position=position, left=left, top=top, right=right, bottom=bottom,
            n_coordinates=len(loops[0]), integer_coordinates=loops[0] - low,
        )  # fmt: skip
    path = np.concatenate([_shape_path(loop) for loop in loops])
    return ImagejRoi(
        roitype=ROI_TYPE.RECT, name=name, position=position, left=left, top=top, right=right, bottom=bottom,
        shape_roi_size=len(path), multi_coordinates=path,
    )  # fmt: skip


def _shape_path(loop: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Write a closed loop as ImageJ's path: 0 = move to, 1 = line to, 4 = close."""
    path = np.ones((len(loop), 3), np.float32)
    path[0, 0] = 0
    path[:, 1:] = loop
    return np.append(path.ravel(), np.float32(4))
