"""Conversion of ROIs to label images and masks, and of label images to ROIs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.arrays import Ints
from fijibridge.errors import RoiError
from fijibridge.image import Array, as_labels
from fijibridge.renames import keyword_only, renamed_keywords
from fijibridge.rois import format, rasterization
from fijibridge.rois.kinds import AREAS, LINES
from fijibridge.rois.positions import Stack
from fijibridge.rois.roi import Roi
from fijibridge.rois.tracing import trace

_ID = re.compile("[0-9]{1,19}")


def rois_to_labels(rois: Sequence[Roi], shape: Sequence[int] | Array) -> npt.NDArray[Any]:
    """Draw ROIs as cells: a label image with one id per ROI.

    Parameters
    ----------
    rois
        ROIs with an area. A ROI whose name is a positive integer has this id; of several ROIs with the same name on a
        plane, the first. The other ROIs get the next ids above all names, in the given order.
    shape
        The image that the ROIs belong to, or its shape without channels: (Y, X), (Z, Y, X) or (T, Z, Y, X). In a stack,
        a ROI is drawn on the plane of its position, and on all planes if it has none. The axes of a DataArray say
        whether these are slices, frames or both. For the shape (Z, Y, X), the planes are frames if the ROIs are on
        several frames and on one slice.

    Returns
    -------
    numpy.ndarray
        Labels with the axes t z y x of the image, 0 = background; ``uint16``, or ``uint32`` or ``uint64`` for larger
        ids. Where ROIs overlap, the later one wins.

    Raises
    ------
    RoiError
        If a ROI has no area (a line or points, for example), its position exceeds the image, or the shape does not tell
        whether positions are slices or frames.

    Notes
    -----
    Pixels are filled by the even-odd rule of ImageJ's ``PolygonFiller``: a pixel is inside if its centre is; a centre
    exactly on an edge belongs to the side with the larger coordinate.

    Examples
    --------
    >>> rois_to_labels([Roi.rectangle(1, 0, 2, 2, name="5")], (2, 4))
    array([[0, 5, 5, 0],
           [0, 5, 5, 0]], dtype=uint16)
    """
    stack = Stack.of(shape)
    places = stack.places(rois)
    ids = _ids(rois, places)
    most = max(ids, default=0)
    kind = np.uint16 if most < 2**16 else np.uint32 if most < 2**32 else np.uint64
    labels = np.zeros((*stack.shape, *_plane_shape(shape)), kind)
    _fill(labels, rois, np.array(ids, np.int64), stack, places)
    return labels


@renamed_keywords(width="line_width")
@keyword_only("line_width")
def rois_to_mask(
    rois: Sequence[Roi], shape: Sequence[int] | Array, *, line_width: float | None = None
) -> npt.NDArray[np.bool_]:
    """Draw ROIs as one mask: an annotated region, or membranes drawn as lines.

    Parameters
    ----------
    rois
        Areas, lines and points.
    shape
        The image or its shape, as for :func:`rois_to_labels`.
    line_width
        Width in pixels of the lines and the outlines of areas, which are drawn with round ends. By default, areas are
        filled, lines are drawn with their own stroke width, and points are single pixels, as by Edit ▸ Fill in ImageJ.

    Returns
    -------
    numpy.ndarray
        bool, with the axes t z y x of the image.

    Raises
    ------
    RoiError
        If a ROI is an angle, an arrow, text or an image, if `line_width` is given and a ROI is a point, or for a
        position, as for :func:`rois_to_labels`.
    """
    stack = Stack.of(shape)
    places = stack.places(rois)
    mask = np.zeros((*stack.shape, *_plane_shape(shape)), bool)
    filled = np.array([line_width is None and roi.kind in AREAS for roi in rois], bool)
    areas = np.flatnonzero(filled).tolist()
    if areas:
        _fill(mask, [rois[i] for i in areas], np.ones(len(areas), np.int64), stack, places[areas])
    for number in np.flatnonzero(~filled).tolist():
        roi = rois[number]
        if roi.kind not in ((*AREAS, *LINES) if line_width is not None else (*LINES, "point")):
            raise RoiError(f"{roi!r} cannot be drawn: it is neither an area nor a line")
        if line_width is None and roi.kind == "point":
            _draw_points(mask, roi, stack)
            continue
        for plane in np.ndindex(stack.shape):
            if not stack.on(places[[number]], plane).all():
                continue
            if line_width is not None:
                _draw_wide(mask[plane], roi, line_width)
            else:
                _draw_line(mask[plane], roi)
    return mask


def _plane_shape(shape: Sequence[int] | Array) -> tuple[int, int]:
    """Return the height and width of an image, or of an array with a shape."""
    if isinstance(shape, xr.DataArray):
        return shape.sizes["y"], shape.sizes["x"]
    height, width = tuple(shape.shape if isinstance(shape, np.ndarray) else shape)[-2:]
    return int(height), int(width)


def _ids(rois: Sequence[Roi], places: Ints) -> list[int]:
    """Return the id of each ROI: its name if this is a free positive integer, else the next id above all names."""
    ids, taken = [0] * len(rois), set()
    for n, (roi, place) in enumerate(zip(rois, places.tolist(), strict=True)):
        number = int(roi.name) if _ID.fullmatch(roi.name) else 0
        if 0 < number < 2**63 and (number, *place) not in taken:
            taken.add((number, *place))
            ids[n] = number
    free = max(ids, default=0)
    for n, number in enumerate(ids):
        if not number:
            free += 1
            ids[n] = free
    return ids


def _fill(image: npt.NDArray[Any], rois: Sequence[Roi], ids: Ints, stack: Stack, places: Ints) -> None:
    """Write the id of each ROI into the ROI's pixels; where ROIs overlap, the later one wins."""
    runs = _runs(rois, image.shape[-2:])
    for plane in np.ndindex(stack.shape):
        here = stack.on(places, plane)[runs[0]]
        rasterization.write_runs(image[plane], runs if here.all() else runs[:, here], ids)


def _runs(rois: Sequence[Roi], shape: Sequence[int]) -> rasterization.Runs:
    """Return the pixel runs of all ROIs in a plane of `shape` (Y, X), sorted by ROI.

    ROIs with integer vertices are scanned together.
    """
    plain: list[int] = []
    others: list[rasterization.Runs] = []
    for number, roi in enumerate(rois):
        if format.plain(roi.header):
            plain.append(number)
            continue
        if roi.kind not in AREAS:
            raise RoiError(f"{roi!r} has no area to fill: draw lines with rois_to_mask(rois, shape, line_width=...)")
        if roi.kind == "oval":
            others.append(rasterization.oval_runs(*roi.bounds, number, shape))
            continue
        parts = roi.paths()
        starts = np.cumsum([0, *map(len, parts)])
        owner = np.full(len(parts), number)
        others.append(rasterization.polygon_runs(np.concatenate(parts), starts, owner, shape[0]))
    heads = [rois[i].header for i in plain]
    vertices = format.plain_vertices([rois[i].to_bytes() for i in plain], heads)
    starts = np.cumsum([0, *(h.n for h in heads)])
    runs = rasterization.polygon_runs(vertices, starts, np.array(plain, np.int64), shape[0])
    if not others:
        return runs
    together = np.concatenate([runs, *others], axis=1)
    return together[:, np.argsort(together[0], kind="stable")]


def _draw_line(plane: npt.NDArray[np.bool_], roi: Roi) -> None:
    points = roi.paths()[0]
    if roi.kind == "line" and roi.stroke_width > 1:
        corners = rasterization.wide_line(points[0], points[1], roi.stroke_width)
        ends, owner = np.array([0, len(corners)]), np.zeros(1, np.int64)
        runs = rasterization.polygon_runs(corners, ends, owner, plane.shape[0])
        rasterization.write_runs(plane, runs, [1])
        return
    width = int(np.floor(roi.stroke_width + 0.5)) if roi.stroke_width > 1 else 1
    _mark(plane, *rasterization.line_pixels(points, width, plane.shape))


def _draw_points(mask: npt.NDArray[np.bool_], roi: Roi, stack: Stack) -> None:
    """Mark the points of a ROI, each on the plane of that point if the points have positions of their own."""
    points = roi.paths()[0]
    # ImageJ rounds the coordinates of several points, but fills the bounds of a single point.
    whole = np.floor(points + 0.5) if len(points) > 1 else np.array([roi.bounds[:2]])
    x, y = whole.astype(np.int64).T
    places = stack.point_places(roi)
    for plane in np.ndindex(stack.shape):
        here = stack.on(places, plane)
        _mark(mask[plane], x[here], y[here])


def _mark(plane: npt.NDArray[np.bool_], x: Ints, y: Ints) -> None:
    inside = (x >= 0) & (x < plane.shape[1]) & (y >= 0) & (y < plane.shape[0])
    plane[y[inside], x[inside]] = True


def _draw_wide(plane: npt.NDArray[np.bool_], roi: Roi, width: float) -> None:
    for path in roi.paths():
        closed = np.concatenate([path, path[:1]]) if roi.kind in AREAS else path
        rasterization.draw_disc_line(plane, closed, max(width, 1.0) / 2)


def labels_to_rois(labels: Array) -> list[Roi]:
    """Convert the cells of a label image to ROIs, one per id, named after the id.

    Parameters
    ----------
    labels
        (Y, X), (Z, Y, X) or (T, Z, Y, X) integers, 0 = background; ids need not be consecutive. In a stack, an id gets
        one ROI on each of its planes, with the 1-based number of the plane as its position; with four axes, its
        hyperstack position.

    Returns
    -------
    list of Roi
        Sorted by plane, then by id. Outlines follow pixel edges, so filling a ROI restores exactly the pixels of its
        cell, and the area that ImageJ measures is the number of these pixels. An id that forms one region without
        holes becomes a traced ROI; an id with holes or several regions becomes a composite ROI.

    Raises
    ------
    RoiError
        If a cell extends beyond pixel 60,000, the largest coordinate of ImageJ's ROI format.

    Examples
    --------
    >>> labels = np.zeros((4, 5), int)
    >>> labels[1:3, 1:4] = 9
    >>> labels_to_rois(labels)
    [Roi('9', traced, x 1..4, y 1..3)]
    """
    array = as_labels(labels)
    if array.ndim == 4:
        return [
            roi.at(z=roi.position, t=t) for t, slices in enumerate(array, start=1) for roi in labels_to_rois(slices)
        ]
    if array.ndim not in (2, 3):
        raise RoiError(f"labels have shape {array.shape}; expected (Y, X), (Z, Y, X) or (T, Z, Y, X)")
    planes = enumerate(array, start=1) if array.ndim == 3 else [(0, array)]
    return [Roi(data) for z, plane in planes for data in format.encode_outlines(trace(plane), z)]
