"""Basins: divide an image at its saddles into one region for each maximum that stands out.

Basins are found in two steps. First, each pixel is assigned to the maximum above it, which gives one basin per local
maximum, far too many. Then neighbouring basins are joined, from the highest saddle down, unless both maxima stand out
above the saddle by h. Ties are broken by pixel position, never by the order of a queue, so that a piece of an image has
the same basins as the whole image, except where they depend on pixels outside the piece (see
:mod:`~fijibridge.cells.segmentation.flooding`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from fijibridge.arrays import Floats32, Ints, Labels, Mask
from fijibridge.cells.distances import Spacing, to_sources
from fijibridge.cells.neighbours import ahead
from fijibridge.cells.segmentation.flooding import UNSURE, Open, near, on_open_side, room, sortable

TRUNCATE = 4.0
"""Length of a Gaussian kernel on each side, in standard deviations; scipy's default."""


@dataclass(frozen=True)
class Basins:
    """Regions inside cells, one for each maximum of the depth that stands out.

    Attributes
    ----------
    labels : numpy.ndarray
        ``int32``, ids from 1, 0 outside, :data:`UNSURE` where the basin may depend on pixels outside the piece.
    depth : numpy.ndarray
        ``float32``, smoothed distance from the membranes.
    peak : numpy.ndarray
        Largest depth of each id.
    """

    labels: Labels
    depth: Floats32
    peak: Floats32


def smooth(image: Floats32, sigma: float, step: Spacing, sides: Open) -> tuple[Floats32, Mask | None]:
    """Smooth a piece of an image with a Gaussian with a standard deviation of `sigma` x pixels.

    Returns
    -------
    smoothed, unsure
        ``float32``; and a mask of the pixels that depend on pixels beyond the open sides, None without open sides.
    """
    if sigma == 0:
        return image, None
    smoothed: Floats32 = ndimage.gaussian_filter(image, [sigma / s for s in step], truncate=TRUNCATE)
    if not any(map(any, sides)):
        return smoothed, None
    return smoothed, on_open_side(image.shape, sides, reach(sigma, step))


def reach(sigma: float, step: Spacing) -> tuple[int, ...]:
    """Return the reach of a Gaussian kernel in pixels, per axis, with scipy's rounding."""
    return tuple(int(TRUNCATE * sigma / s + 0.5) for s in step)


def find_basins(inside: Mask, sigma: float, h: float, step: Spacing, sides: Open, unsure: Mask | None) -> Basins:
    """Divide the inside of cells where it is narrow, into one basin for each maximum of the depth that stands out by h.

    Parameters
    ----------
    inside
        Pixels that are not membrane.
    sigma, h
        Standard deviation of the smoothing of the depth, and height by which a maximum must stand out, in x pixels.
    step, sides, unsure
        Distances between pixels, open sides of this piece, and pixels where `inside` is uncertain.

    Notes
    -----
    Each pixel belongs to the maximum at the end of the steepest ascent from the pixel. Two basins stay separate if
    every path between their maxima descends by at least h from both: the dynamics of Grimaud (1992). Of two pixels with
    equal depth, the later one counts as higher.
    """
    # In a piece, the depth of a pixel is certain only if no membrane beyond an open side, or at an uncertain pixel, can
    # be nearer than the nearest membrane in the piece. Smoothing spreads the uncertainty by its reach.
    depth = _depth(inside, step)
    doubtful = inside & (room(inside.shape, step, sides) < depth)
    if unsure is not None and unsure.any():
        doubtful |= to_sources(unsure, step) <= depth
    depth, edge = smooth(depth, sigma, step, sides)
    if edge is not None and doubtful.any():
        size = [2 * r + 1 for r in reach(sigma, step)]
        doubtful = ndimage.maximum_filter(doubtful, size)
    if edge is not None:
        doubtful |= edge
    summit, doubt = _summits(depth, inside, doubtful if any(map(any, sides)) else None)
    return _merged(summit, doubt, depth, inside, h)


def find_minima(relief: Floats32, h: float, sides: Open, unsure: Mask | None) -> Basins:
    """Divide an image into one basin for each minimum of the relief that is h below the lowest path out of it."""
    everything = np.ones(relief.shape, bool)
    doubtful = on_open_side(relief.shape, sides)
    if unsure is not None:
        doubtful |= unsure
    summit, doubt = _summits(1 - relief, everything, doubtful if any(map(any, sides)) else None)
    return _merged(summit, doubt, 1 - relief, everything, h)


def _depth(inside: Mask, step: Spacing) -> Floats32:
    if inside.all():
        return np.ones(inside.shape, np.float32)
    return to_sources(~inside, step)


def _summits(depth: Floats32, inside: Mask, doubtful: Mask | None) -> tuple[Ints, Mask | None]:
    """Return the flat index of the maximum above each pixel, and a mask of the pixels for which it is uncertain.

    Each pixel points to the highest among itself and its neighbours along the axes. Pixels are strictly ordered by
    (depth, index), so the pointers never form a cycle, and following them ends at a local maximum.
    """
    place = np.arange(depth.size, dtype=np.int64).reshape(depth.shape)
    key = sortable(depth.reshape(-1)).reshape(depth.shape)
    best_key, target = np.where(inside, key, 0), place.copy()
    for axis in range(depth.ndim):
        first, second = ahead(axis, depth.ndim)
        for here, there in ((first, second), (second, first)):
            other = np.where(inside[there], key[there], 0)
            up = (other > best_key[here]) | ((other == best_key[here]) & (place[there] > target[here]) & inside[there])
            best_key[here] = np.where(up, other, best_key[here])
            target[here] = np.where(up, place[there], target[here])
    # A doubtful depth may change the pointers of its pixel and of the neighbouring pixels. These are made to point to
    # themselves: the maximum of a pixel whose path ends at one of them is uncertain.
    doubt = None
    if doubtful is not None:
        doubt = near(doubtful)
        target[doubt] = place[doubt]
    return _followed(target, inside, doubt)


def _followed(target: Ints, inside: Mask, doubt: Mask | None) -> tuple[Ints, Mask | None]:
    """Follow the pointers of all inside pixels to their ends."""
    where = np.flatnonzero(inside)
    number = np.full(target.size, -1, np.int64)
    number[where] = np.arange(len(where))
    step = number[target.reshape(-1)[where]]
    # Pointer jumping: each round doubles the number of steps that every pointer covers, so that log2 of the longest
    # path is enough rounds.
    while True:
        further = step[step]
        if (further == step).all():
            break
        step = further
    summit = np.full(target.shape, -1, np.int64)
    summit.reshape(-1)[where] = where[step]
    if doubt is None:
        return summit, None
    unsure = np.zeros(target.shape, bool)
    unsure.reshape(-1)[where] = doubt.reshape(-1)[where[step]]
    return summit, unsure | (doubt & ~inside)


def _merged(summit: Ints, doubt: Mask | None, depth: Floats32, inside: Mask, h: float) -> Basins:
    """Join each basin that rises less than `h` above a saddle to its neighbour; number the others by position.

    Parameters
    ----------
    summit
        Flat index of the maximum above each pixel, see :func:`_summits`.
    doubt
        Pixels of this piece of an image whose maximum may lie outside the piece; None for a whole image.

    Notes
    -----
    Basin 0 represents all unsure pixels. It counts as infinitely high, since unsure pixels may belong to a basin that
    rises to any height outside the piece. A basin that rises less than `h` above its saddle with the unsure pixels
    therefore joins them and gets the label UNSURE, unless a higher saddle has joined it to a known basin that stands
    out. A basin that rises by `h` or more stays separate whatever is outside the piece, so it is also a basin of the
    whole image.
    """
    # `ids` are the places of the maxima, `basin` numbers them from 1, and `peaks` is the height of each basin.
    ids, basin = _numbered(summit, inside, doubt)
    flat = depth.reshape(-1)
    peaks = np.concatenate([np.array([np.inf], np.float32), flat[ids]])
    a, b, saddle = _saddles(basin, depth)
    # `group` is the label of each basin, UNSURE for those joined to basin 0; `top` is the peak of each label.
    group, top = _joined(a, b, saddle, peaks, h)
    labels = np.zeros(summit.shape, np.int32)
    known = basin >= 0  # pixels outside `inside` have no basin, and keep the label 0
    labels[known] = group[basin[known]]
    if doubt is not None:
        labels[doubt] = UNSURE
    return Basins(labels, depth, top)


def _numbered(summit: Ints, inside: Mask, doubt: Mask | None) -> tuple[Ints, Ints]:
    """Return the maxima in order, and the basin of each pixel, numbered from 1; 0 = unsure, -1 = outside."""
    sure = inside if doubt is None else inside & ~doubt
    is_top = np.zeros(summit.size, bool)
    is_top[summit[sure]] = True
    ids = np.flatnonzero(is_top)
    number = np.zeros(summit.size, np.int64)
    number[ids] = np.arange(1, len(ids) + 1)
    basin = np.full(summit.shape, -1, np.int64)
    basin[sure] = number[summit[sure]]
    if doubt is not None:
        basin[inside & doubt] = 0
    return ids, basin


def _saddles(basin: Ints, depth: Floats32) -> tuple[Ints, Ints, Floats32]:
    """Return the pairs of basins that touch, and the depth of the saddle between them, deepest first.

    The depth of a step between two pixels is that of the shallower pixel; the saddle is the deepest step between two
    basins.
    """
    pairs, levels = [], []
    n = int(basin.max(initial=0)) + 1
    for axis in range(basin.ndim):
        first, second = ahead(axis, basin.ndim)
        a, b = basin[first], basin[second]
        meet = (a != b) & (a >= 0) & (b >= 0)
        low, high = np.minimum(a[meet], b[meet]), np.maximum(a[meet], b[meet])
        pairs.append(low * n + high)
        levels.append(np.minimum(depth[first][meet], depth[second][meet]))
    pair, level = np.concatenate(pairs), np.concatenate(levels)
    order = np.lexsort((pair, -level))  # equal levels are sorted by pair, so that the order is strict
    _, one_each = np.unique(pair[order], return_index=True)
    chosen = order[np.sort(one_each)]
    return pair[chosen] // n, pair[chosen] % n, level[chosen]


def _joined(a: Ints, b: Ints, saddle: Floats32, peaks: Floats32, h: float) -> tuple[Labels, Floats32]:
    """Join basins that do not stand out from a saddle by h; return the label of each basin and the peak of each label.

    Two union-find structures are used. Imagine a water level that falls from above all peaks: at each saddle, from the
    highest down, two pieces of land become connected. `land` contains the pieces of land, each with its highest peak as
    root. At this saddle, the lower of the two peaks is connected to higher land for the first time, so its height above
    the saddle is its dynamics. If this is below h, the two basins at the saddle are joined into one cell, in `group`;
    the land is joined in any case.
    """
    n = len(peaks)
    land, group = list(range(n)), list(range(n))
    height = peaks.astype(float).tolist()
    for one, other, level in zip(a.tolist(), b.tolist(), saddle.astype(float).tolist(), strict=True):
        p, q = _root(land, one), _root(land, other)
        if p == q:
            continue  # already connected by a higher saddle
        if height[p] < height[q]:
            p, q = q, p
        land[q] = p  # the root stays the highest peak
        if height[q] - level < h or height[q] <= level:  # even with h = 0, a plateau is one cell
            first, second = sorted((_root(group, one), _root(group, other)))
            group[second] = first  # the root is always the first basin: 0 (unsure) if it is in the group
    # Number the groups. Basin 0 is always a root, so the labels of the others begin at 1.
    roots = np.array([_root(group, i) for i in range(n)])
    kept = np.unique(roots)
    label = np.searchsorted(kept, roots).astype(np.int32)
    label[roots == 0] = UNSURE
    top = np.zeros(len(kept), np.float32)
    np.maximum.at(top, np.searchsorted(kept, roots), peaks)
    return label, top


def _root(parent: list[int], i: int) -> int:
    """Return the root of an element in a union-find structure, halving the path to it."""
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
