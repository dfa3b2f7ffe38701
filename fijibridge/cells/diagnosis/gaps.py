"""Which broken membrane merged which cells, and what closing it would win back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fijibridge.cells.matching.matches import Matching
from fijibridge.image import Array, as_labels, same_shape, values

Mask = npt.NDArray[np.bool_]
Labels = npt.NDArray[np.int64]
_SLACK = 2  # how far, in pixels, a predicted membrane may lie beside the true one
_COLUMNS = ("predicted", "true_a", "true_b", "length", "of", "stretches", "lowest", "regained")


@dataclass(frozen=True)
class _Merge:
    """The surroundings of one predicted cell: `owner` is the nearest of the true cells that it merges."""

    predicted: int
    members: tuple[int, ...]
    inside: Mask
    true: Labels
    owner: Labels
    reach: npt.NDArray[np.float64]
    prob: npt.NDArray[Any] | None
    corner: tuple[int, ...]


def find_gaps(
    true: Array,
    pred: Array,
    matching: Matching,
    prob: Array | None = None,
    threshold: float = 0.5,
    max_gap: float = 6,
) -> pd.DataFrame:
    """Find the membranes whose breaking merged cells.

    Parameters
    ----------
    true, pred
        Label images of one shape, 2D or 3D.
    matching
        Of the two: it says which cells were merged.
    prob
        Predicted membrane probability. With it, the broken stretch of a membrane is where no pixel within 2 px of it
        reaches the threshold; without it, where the predicted cell runs through.
    threshold
        From which probability on a pixel is membrane.
    max_gap
        True cells up to so many pixels apart share a membrane.

    Returns
    -------
    pandas.DataFrame
        A row per broken membrane between two true cells inside one predicted cell, those first that cost most:
        ``predicted``, ``true_a``, ``true_b`` (ids), ``length`` of the broken stretches and of the whole membrane,
        ``of`` (pixels along it), number of ``stretches``, ``lowest`` probability on it (NaN without `prob`),
        ``regained``: how many more cells match if this membrane alone is closed, and the place of the longest stretch,
        ``y``, ``x`` (and ``z``), in pixels. Where ``lowest`` reaches the threshold the membrane is whole and the cells
        were merged all the same, such as one too small to be seen that a neighbour grew over; nothing is regained.

    Notes
    -----
    Inside the predicted cell, each pixel belongs to the nearest of the true cells that it merges; a membrane is where
    two of these territories meet. Closing one separates the predicted cell if it is the only way between two groups
    of true cells; each part is then matched anew, at the matching's threshold of IoU.
    """
    same_shape(true=true, pred=pred, **({} if prob is None else {"prob": prob}))
    t, p = as_labels(true, "true").astype(np.int64), as_labels(pred, "pred").astype(np.int64)
    likely = None if prob is None else values(prob)
    boxes = _boxes(p, [i for i, _ in matching.merges])
    sizes = dict(zip(*np.unique(t, return_counts=True), strict=True))
    rows: list[tuple[Any, ...]] = []
    for predicted, members in matching.merges:
        merge = _merge(predicted, members, boxes[predicted], t, p, likely)
        rows += _broken(merge, sizes, matching, threshold, max_gap)
    axes = ("z", "y", "x")[3 - t.ndim :]
    table = pd.DataFrame(rows, columns=[*_COLUMNS, *axes])
    return table.sort_values(["regained", "length"], ascending=False, ignore_index=True, kind="stable")


def _boxes(pred: Labels, ids: list[int]) -> dict[int, tuple[slice, ...]]:
    """Return the bounding box of each id, a margin around it."""
    wanted = np.array(sorted(ids), np.int64)
    index = np.searchsorted(wanted, pred).clip(max=max(len(wanted) - 1, 0)) if len(wanted) else np.zeros_like(pred)
    numbered = np.where(wanted[index] == pred, index + 1, 0) if len(wanted) else index
    boxes = ndimage.find_objects(numbered.astype(np.int32))
    grown = [tuple(slice(max(0, s.start - _SLACK), s.stop + _SLACK) for s in box) for box in boxes]
    return dict(zip(wanted.tolist(), grown, strict=True))


def _merge(
    predicted: int, members: tuple[int, ...], box: tuple[slice, ...], true: Labels, pred: Labels, prob: Any
) -> _Merge:
    cut = true[box]
    away, nearest = ndimage.distance_transform_edt(~np.isin(cut, members), return_indices=True)
    return _Merge(
        predicted=predicted,
        members=members,
        inside=pred[box] == predicted,
        true=cut,
        owner=cut[tuple(nearest)],
        reach=away,
        prob=None if prob is None else ndimage.maximum_filter(prob[box], 2 * _SLACK + 1),
        corner=tuple(s.start for s in box),
    )


def _broken(
    merge: _Merge, sizes: dict[int, int], matching: Matching, threshold: float, max_gap: float
) -> list[tuple[Any, ...]]:
    """Return a row for each membrane between two members that is broken."""
    membranes = _membranes(merge, max_gap)
    links = {pair: gap for pair, m in membranes.items() if (gap := _gap(merge, m, threshold)) is not None}
    before = sum(pred == merge.predicted for _, pred in matching.pairs) if links else 0
    rows = []
    for (a, b), (mask, lowest) in links.items():
        whole = lowest >= threshold
        after = before if whole else _matched(merge, [p for p in links if p != (a, b)], sizes, matching.thresh)
        stretches, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
        longest = np.argmax(np.bincount(stretches[mask])[1:]) + 1
        place = np.argwhere(stretches == longest)
        middle = place[np.argmin(np.linalg.norm(place - place.mean(axis=0), axis=1))] + merge.corner
        length, full = int(mask.sum()), int(membranes[a, b].sum())
        rows.append((merge.predicted, a, b, length, full, count, lowest, max(after - before, 0), *middle.tolist()))
    return rows


def _membranes(merge: _Merge, max_gap: float) -> dict[tuple[int, int], Mask]:
    """Mark, for each pair of members, the pixels of the first that lie along the second."""
    found: dict[tuple[int, int], Mask] = {}
    for axis in range(merge.owner.ndim):
        for one, other in _neighbours(axis, merge.owner.ndim):
            a, b = merge.owner[one], merge.owner[other]
            meets = (a < b) & (merge.reach[one] + merge.reach[other] <= max_gap + 1)
            for pair in {(int(i), int(j)) for i, j in zip(a[meets], b[meets], strict=True)}:
                mask = found.setdefault(pair, np.zeros(merge.owner.shape, bool))
                mask[one] |= meets & (a == pair[0]) & (b == pair[1])
    return found


def _neighbours(axis: int, ndim: int) -> list[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """Return the pixels that have a next one along an axis, and those next ones; both ways round."""
    first = tuple(slice(None, -1) if d == axis else slice(None) for d in range(ndim))
    second = tuple(slice(1, None) if d == axis else slice(None) for d in range(ndim))
    return [(first, second), (second, first)]


def _gap(merge: _Merge, membrane: Mask, threshold: float) -> tuple[Mask, float] | None:
    """Return the broken part of a membrane and the lowest probability on it, None if the predicted cell ends there."""
    through = membrane & merge.inside
    if not through.any():
        return None
    if merge.prob is None:
        return through, float("nan")
    lowest = float(merge.prob[through].min())
    # a membrane that is whole everywhere is broken, for the segmentation, where it is weakest
    return through & (merge.prob < threshold if lowest < threshold else merge.prob == lowest), lowest


def _matched(merge: _Merge, links: list[tuple[int, int]], sizes: dict[int, int], thresh: float) -> int:
    """Count the members that match when the predicted cell falls into the parts that these links hold together."""
    number = {member: i for i, member in enumerate(merge.members)}
    n = len(number)
    ends = [(number[a], number[b]) for a, b in links]
    rows, columns = zip(*ends, strict=True) if ends else ((), ())
    part = connected_components(coo_array((np.ones(len(ends)), (rows, columns)), shape=(n, n)), directed=False)[1]
    owner = np.searchsorted(np.array(sorted(number)), merge.owner[merge.inside])
    order = np.argsort([*number])
    size = np.bincount(part[order][owner], minlength=n)
    shared = [int((merge.inside & (merge.true == member)).sum()) for member in merge.members]
    iou = [s / (sizes[m] + size[part[i]] - s) for i, (m, s) in enumerate(zip(merge.members, shared, strict=True))]
    return len({int(part[i]) for i in range(n) if iou[i] >= thresh})
