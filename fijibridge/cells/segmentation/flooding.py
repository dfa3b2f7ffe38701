"""Flood an image from labels, with the same result tile by tile as for the whole image, and cut gaps between labels.

Pixels are flooded in a strict order: by height, then by a second key, then by position. The label of a pixel thus
depends only on the heights around it, never on the order in which a queue was filled, and a piece of an image can be
flooded on its own. Pixels of a piece whose labels may depend on pixels outside are :data:`UNSURE`. They flood too,
before all others, which is the worst case of what may be outside: every pixel that they do not reach has the same label
as in the whole image. The order is computed first and then passed to scikit-image's watershed, whose own tie-breaking
would depend on its queue.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import Floats32, Labels, Mask
from fijibridge.cells.distances import Spacing, spacing, to_sources
from fijibridge.cells.neighbours import ahead
from fijibridge.errors import ImageError
from fijibridge.image import Array, ImageT, as_labels, like, same_shape, values
from fijibridge.renames import keyword_only

Open = tuple[tuple[bool, bool], ...]
"""For each axis, whether the image continues before the first and after the last pixel of a piece."""

UNSURE = -1
"""Marks pixels whose label may depend on pixels beyond an open side of the piece."""


def closed(ndim: int) -> Open:
    """Return the sides of a whole image, none of which is open."""
    return ((False, False),) * ndim


@keyword_only("distance")
def grow_labels(labels: ImageT, landscape: Array | None = None, *, distance: float = np.inf) -> ImageT:
    """Grow labels by up to `distance`, leaving a gap of 1 px where neighbours would meet.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) label image, 0 = free.
    landscape
        Image whose ridges the gaps follow; on flat areas, gaps run halfway between the labels. Without a landscape,
        they run halfway everywhere. Labels grow from pixel to pixel, so a gap that runs neither along an axis nor
        diagonally may be up to 2 px off the exact midline.
    distance
        Largest distance to grow, in pixels (x pixels, if pixels are calibrated and anisotropic). Only pixels within
        this distance of some label are filled; along the valleys of a landscape, a label may fill pixels near another
        label.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``int32``; labels that did not touch before do not touch along the side of a pixel. Calibrated if `labels` is.

    Raises
    ------
    ImageError
        If the shapes differ or `labels` is not a label image.

    Notes
    -----
    Where two grown labels meet, the higher of the two pixels is cleared: the one with the higher value in the
    landscape; if these are equal, the one farther from the labels; if these are equal too, the later one in the array.
    Pixels that were labelled before are kept.

    Examples
    --------
    >>> grow_labels(np.array([[3, 0, 0, 0, 0, 7]]))
    array([[3, 3, 3, 0, 7, 7]], dtype=int32)
    """
    if landscape is not None:
        same_shape(labels=labels, landscape=landscape)
    array = _small_ids(as_labels(labels))
    heights = None if landscape is None else np.ascontiguousarray(values(landscape), np.float32)
    grown = grow(array, heights, distance, spacing(labels), closed(array.ndim), cut=False)
    return like(grown, labels, name="labels")


def _small_ids(labels: npt.NDArray[Any]) -> Labels:
    if labels.size and labels.max() >= np.iinfo(np.int32).max:
        raise ImageError(f"labels contains the id {labels.max()}; expected ids up to 2^31 - 2: renumber the cells")
    return np.ascontiguousarray(labels, np.int32)


def grow(labels: Labels, heights: Floats32 | None, distance: float, step: Spacing, sides: Open, cut: bool) -> Labels:
    """Grow labels in a piece of an image; with `cut`, labels that touched already are separated too.

    Parameters
    ----------
    labels, heights, distance
        As for :func:`grow_labels`; without `heights`, pixels are flooded in the order of their distance from a label.
    step, sides
        Distances between pixels, and open sides of this piece.

    Returns
    -------
    numpy.ndarray
        ``int32``, :data:`UNSURE` where the label may depend on pixels beyond the open sides. A pixel next to an UNSURE
        one is not final either, because it may be cleared for a gap in the whole image. Callers therefore compute at
        least one ring of pixels more than they keep.
    """
    # A pixel is marked as unsure in two cases. First, if a label beyond an open side may be nearer than every label in
    # the piece; this includes pixels that no label of the piece reaches. Second, if it is free and at the open side,
    # where a label from outside may grow in. These pixels are only the start: `flood` spreads UNSURE to everything that
    # a label from outside could reach, also along the heights.
    away = to_sources(labels > 0, step)
    relief = away if heights is None else heights
    free = (labels == 0) & (away <= distance)
    beyond = room(labels.shape, step, sides)  # distance to the nearest pixel beyond an open side
    marked = labels.copy()
    marked[(labels == 0) & (beyond < away) & (beyond <= distance)] = UNSURE
    marked[free & on_open_side(labels.shape, sides)] = UNSURE
    grown = flood(relief, away, marked, free)
    return with_gaps(grown, relief, away, labels > 0, cut)


def flood(heights: Floats32, second: Floats32 | None, markers: Labels, mask: Mask) -> Labels:
    """Assign to each pixel of the mask the label of the marker from which water reaches it first.

    Parameters
    ----------
    heights, second
        Pixels are flooded from low to high; pixels of equal height in the order of `second`, and if that is equal too,
        in the order of the array.
    markers
        Ids from 1; markers that are :data:`UNSURE` come first in the order, as if they were lowest.
    mask
        Pixels that may receive a label; markers need not be inside the mask.

    Notes
    -----
    Heights are replaced by ranks in the strict order, so that no two pixels are equal; any priority flood then gives
    the same labels. Ranks start at 1; markers that are UNSURE get the rank 0, and the pixels that they flood keep their
    own ranks. A lower rank of its markers never shrinks the area that a label floods, so UNSURE covers at least every
    pixel that a label from outside could reach.
    """
    from skimage.segmentation import watershed

    free = mask & (markers == 0)
    if not free.any() or not markers.any():
        return markers
    shore = near(free) & (markers != 0)  # marker pixels with a free neighbour: no others need to be ranked and flooded
    wet = free | shore
    order = _order(heights, second, wet)
    last = int(markers.max()) + 1  # stands for UNSURE, since watershed needs positive markers
    sources = np.where(shore, markers, 0).astype(np.int32)
    sources[sources == UNSURE] = last
    order[sources == last] = 0
    flooded = watershed(order, sources, mask=wet)
    flooded[flooded == last] = UNSURE
    result: Labels = np.where(free, flooded, markers).astype(np.int32)
    return result


def _order(heights: Floats32, second: Floats32 | None, mask: Mask) -> npt.NDArray[np.float64]:
    """Return the rank of each pixel of the mask, from 1, without ties.

    Both keys are packed into one integer, with the height in its upper 32 bits; the stable sort keeps the order of
    pixels with equal keys.
    """
    where = np.flatnonzero(mask)
    key = sortable(heights.reshape(-1)[where]).astype(np.uint64) << np.uint64(32)
    if second is not None:
        key |= sortable(second.reshape(-1)[where])
    order = np.zeros(mask.shape)
    order.reshape(-1)[where[np.argsort(key, kind="stable")]] = np.arange(1, len(where) + 1)
    return order


def sortable(numbers: Floats32) -> npt.NDArray[np.uint32]:
    """Return unsigned integers in the same order as the floats.

    The bits of positive IEEE 754 floats, interpreted as integers, have the same order as the floats; those of negative
    floats have the reverse order. Setting the sign bit of positive floats and inverting all bits of negative floats
    gives one common order.
    """
    bits = np.ascontiguousarray(numbers + np.float32(0), np.float32).view(np.uint32)  # + 0 makes -0 equal to 0
    sign = np.uint32(0x80000000)
    return np.where(bits & sign, ~bits, bits | sign)


def with_gaps(grown: Labels, heights: Floats32, second: Floats32 | None, kept: Mask, cut: bool) -> Labels:
    """Separate labels: of any two neighbouring pixels with different labels, clear the higher one.

    If only one of the two is `kept`, the other one is cleared. If both are kept, none is cleared, except with `cut`.
    All decisions are made before any pixel is cleared, so the result does not depend on an order. UNSURE pixels are
    left out.
    """
    lost = np.zeros(grown.shape, bool)
    for axis in range(grown.ndim):
        a, b = ahead(axis, grown.ndim)
        meet = (grown[a] != grown[b]) & (grown[a] > 0) & (grown[b] > 0)
        where = np.nonzero(meet)
        one, other = (tuple(w + (d == axis) * s for d, w in enumerate(where)) for s in (0, 1))
        first = _is_higher(heights, second, one, other)  # clear `one`, not `other`
        keep_one, keep_other = kept[one], kept[other]
        first = np.where(keep_one == keep_other, first, keep_other)  # if only one is kept, clear the other
        give = (~(keep_one & keep_other)) | cut
        for pixel, chosen in ((one, first & give), (other, ~first & give)):
            lost[tuple(w[chosen] for w in pixel)] = True
    return np.where(lost, np.int32(0), grown)


def _is_higher(heights: Floats32, second: Floats32 | None, one: Any, other: Any) -> Mask:
    """Mark pixels that rank above their later neighbours; if both keys are equal, the later pixel is higher."""
    above: Mask = heights[one] > heights[other]
    if second is not None:
        above |= (heights[one] == heights[other]) & (second[one] > second[other])
    return above


def near(mask: Mask) -> Mask:
    """Return the mask dilated by one pixel along the axes."""
    result = mask.copy()
    for axis in range(mask.ndim):
        first, second = ahead(axis, mask.ndim)
        result[first] |= mask[second]
        result[second] |= mask[first]
    return result


def room(shape: tuple[int, ...], step: Spacing, sides: Open) -> Floats32:
    """Return the distance of each pixel from the nearest pixel beyond an open side; infinite without open sides."""
    result = np.full(shape, np.inf, np.float32)
    for axis, (n, size, (low, high)) in enumerate(zip(shape, step, sides, strict=True)):
        line = np.full(n, np.inf, np.float32)
        place = np.arange(n)
        if low:
            line = np.minimum(line, (place + 1) * size)
        if high:
            line = np.minimum(line, (n - place) * size)
        column = line.astype(np.float32).reshape([-1 if d == axis else 1 for d in range(len(shape))])
        np.minimum(result, column, out=result)
    return result


def on_open_side(shape: tuple[int, ...], sides: Open, depth: tuple[int, ...] | None = None) -> Mask:
    """Mark the pixels within `depth` of an open side, in pixels per axis; the default is 1."""
    result = np.zeros(shape, bool)
    for axis, (low, high) in enumerate(sides):
        reach = 1 if depth is None else depth[axis]
        line = np.moveaxis(result, axis, 0)
        if low:
            line[:reach] = True
        if high and reach:
            line[-reach:] = True
    return result
