"""Find broken membranes that merged cells, and the number of cells that would be regained by closing each one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fijibridge.arrays import Ints, Mask
from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.neighbours import ahead
from fijibridge.cells.segmentation.methods import THRESHOLD
from fijibridge.cells.targets import MAX_GAP
from fijibridge.image import Array, as_labels, same_shape, values
from fijibridge.renames import keyword_only

Labels = npt.NDArray[np.int64]
_SLACK = 2  # largest offset between a predicted membrane and the true one, in pixels
_COLUMNS = ("predicted", "true_a", "true_b", "length", "of", "stretches", "lowest", "regained")


@dataclass(frozen=True)
class _Merge:
    """Surroundings of one predicted cell that merges true cells.

    Attributes
    ----------
    predicted, members
        Id of the predicted cell, and ids of the true cells that it merges (its members).
    inside
        Known pixels of the predicted cell.
    owner, reach
        Index of the member nearest to each pixel, and the distance from this member in pixels.
    prob
        Largest membrane probability within 2 px of each pixel; None if no probability was given.
    corner
        Position of the first pixel of the surroundings in the whole image.
    sizes, shared, territory
        For each member, the number of its known pixels, the number of these inside the predicted cell, and the number
        of pixels of the predicted cell to which it is the nearest member.
    """

    predicted: int
    members: Ints
    inside: Mask
    owner: Ints
    reach: npt.NDArray[np.float64]
    prob: npt.NDArray[Any] | None
    corner: tuple[int, ...]
    sizes: Ints
    shared: Ints
    territory: Ints


@keyword_only("prob", "threshold", "max_gap", "region")
def find_gaps(
    true: Array,
    pred: Array,
    matching: Matching,
    *,
    prob: Array | None = None,
    threshold: float = THRESHOLD,
    max_gap: float = MAX_GAP,
    region: Array | None = None,
) -> pd.DataFrame:
    """Find broken membranes that merged cells.

    Parameters
    ----------
    true, pred
        Label images of equal shape, 2D or 3D.
    matching
        Matching of the two images, which lists the merged cells.
    prob
        Predicted membrane probability. If it is given, a membrane is broken where no pixel within 2 px reaches the
        threshold; otherwise, it is broken where the predicted cell continues across it.
    threshold
        Smallest probability at which a pixel is membrane.
    max_gap
        Largest distance between true cells that share a membrane. Here, distances are in pixels along all axes.
    region
        Mask, non-zero where the truth is known, as for the matching.

    Returns
    -------
    pandas.DataFrame
        One row per broken membrane between two true cells inside one predicted cell, the costliest first. The columns
        are the ids ``predicted``, ``true_a``, ``true_b``; the ``length`` of the broken stretches, and the length ``of``
        the whole membrane (both in pixels along the membrane); the number of ``stretches``; the ``lowest`` probability
        on the membrane (NaN without `prob`); ``regained``, the number of additional cells that match if only this
        membrane is closed; and the position of the longest stretch, ``y``, ``x`` (and ``z``), in pixels. If ``lowest``
        reaches the threshold, the membrane is not broken, and nothing is regained by closing it: the cells merged for
        another reason, for example because a neighbour grew over a cell that is too small to be detected.

    Notes
    -----
    Each pixel of a predicted cell belongs to the territory of the nearest true cell that the predicted cell merges; a
    membrane is where two territories meet. Closing a membrane splits the predicted cell if the membrane is the only
    link between two groups of true cells; each part is then matched with the criterion and threshold of the matching.
    """
    given = {"prob": prob, "region": region}
    same_shape(true=true, pred=pred, **{name: image for name, image in given.items() if image is not None})
    t, p = as_labels(true, "true").astype(np.int64), as_labels(pred, "pred").astype(np.int64)
    known = np.ones(t.shape, bool) if region is None else values(region) != 0
    likely = None if prob is None else values(prob)
    boxes = _boxes(p, [i for i, _ in matching.merges])
    ids, counts = np.unique(t[known], return_counts=True)
    rows: list[tuple[Any, ...]] = []
    for predicted, members in matching.merges:
        sizes = counts[np.searchsorted(ids, members)]
        merge = _merge(predicted, np.array(members), sizes, boxes[predicted], t, p, known, likely)
        rows += _broken(merge, matching, threshold, max_gap)
    axes = ("z", "y", "x")[3 - t.ndim :]
    table = pd.DataFrame(rows, columns=[*_COLUMNS, *axes])
    return table.sort_values(["regained", "length"], ascending=False, ignore_index=True, kind="stable")


def _boxes(pred: Labels, ids: list[int]) -> dict[int, tuple[slice, ...]]:
    """Return the bounding box of each id, enlarged by a margin."""
    wanted = np.array(sorted(ids), np.int64)
    index = np.searchsorted(wanted, pred).clip(max=max(len(wanted) - 1, 0)) if len(wanted) else np.zeros_like(pred)
    numbered = np.where(wanted[index] == pred, index + 1, 0) if len(wanted) else index
    boxes = ndimage.find_objects(numbered.astype(np.int32))
    grown = [tuple(slice(max(0, s.start - _SLACK), s.stop + _SLACK) for s in box) for box in boxes]
    return dict(zip(wanted.tolist(), grown, strict=True))


def _merge(
    predicted: int,
    members: Ints,
    sizes: Ints,
    box: tuple[slice, ...],
    true: Labels,
    pred: Labels,
    known: Mask,
    prob: Any,
) -> _Merge:
    cut = true[box]
    inside = (pred[box] == predicted) & known[box]
    of_member = np.isin(cut, members)
    away, nearest = ndimage.distance_transform_edt(~of_member, return_indices=True)
    owner = np.searchsorted(members, cut[tuple(nearest)])
    return _Merge(
        predicted=predicted,
        members=members,
        inside=inside,
        owner=owner,
        reach=away,
        prob=None if prob is None else ndimage.maximum_filter(prob[box], 2 * _SLACK + 1),
        corner=tuple(s.start for s in box),
        sizes=sizes,
        shared=np.bincount(owner[inside & of_member], minlength=len(members)),
        territory=np.bincount(owner[inside], minlength=len(members)),
    )


def _broken(merge: _Merge, matching: Matching, threshold: float, max_gap: float) -> list[tuple[Any, ...]]:
    """Return one row for each broken membrane between two members.

    Broken membranes are the links of a graph of members. Closing a membrane removes its link; each part that is still
    connected becomes a predicted cell.
    """
    membranes = _membranes(merge, max_gap)
    gaps = {pair: gap for pair, m in membranes.items() if (gap := _gap(merge, m, threshold)) is not None}
    links = np.array(list(gaps), np.int64).reshape(-1, 2)
    before = sum(pred == merge.predicted for _, pred in matching.pairs) if gaps else 0
    rows = []
    for number, ((a, b), (pixels, lowest)) in enumerate(gaps.items()):
        after = before if lowest >= threshold else _matched(merge, np.delete(links, number, axis=0), matching)
        stretches, middle = _stretches(merge, pixels)
        sizes = len(pixels), len(membranes[a, b]), stretches, lowest
        ids = merge.predicted, int(merge.members[a]), int(merge.members[b])
        rows.append((*ids, *sizes, max(after - before, 0), *middle))
    return rows


def _membranes(merge: _Merge, max_gap: float) -> dict[tuple[int, int], Ints]:
    """Return, for each pair of members, the pixels of the first member that touch the second, as flat indices."""
    place = np.arange(merge.owner.size).reshape(merge.owner.shape)
    n = len(merge.members)
    pairs, pixels = [], []
    for axis in range(merge.owner.ndim):
        for one, other in permutations(ahead(axis, merge.owner.ndim)):  # both directions
            a, b = merge.owner[one], merge.owner[other]
            meets = (a < b) & (merge.reach[one] + merge.reach[other] <= max_gap + 1)
            pairs.append(a[meets] * n + b[meets])
            pixels.append(place[one][meets])
    both = np.unique(np.stack([np.concatenate(pairs), np.concatenate(pixels)]), axis=1)
    found, start = np.unique(both[0], return_index=True)
    parts = np.split(both[1], start[1:])
    return {(int(pair) // n, int(pair) % n): part for pair, part in zip(found, parts, strict=False)}


def _gap(merge: _Merge, membrane: Ints, threshold: float) -> tuple[Ints, float] | None:
    """Return the part of a membrane that the predicted cell crosses, and the lowest membrane probability in that part.

    Return None if the cell does not cross the membrane.
    """
    through = membrane[merge.inside.reshape(-1)[membrane]]
    if not len(through):
        return None
    if merge.prob is None:
        return through, float("nan")
    prob = merge.prob.reshape(-1)[through]
    lowest = float(prob.min())
    # A membrane that reaches the threshold everywhere is assumed to be broken where it is weakest.
    return through[prob < threshold if lowest < threshold else prob == lowest], lowest


def _stretches(merge: _Merge, pixels: Ints) -> tuple[int, list[int]]:
    """Return the number of connected stretches of pixels, and the position of the middle of the longest stretch."""
    places = np.stack(np.unravel_index(pixels, merge.owner.shape), axis=1)
    low = places.min(axis=0)
    mask = np.zeros(places.max(axis=0) - low + 1, bool)
    mask[tuple((places - low).T)] = True
    stretches, count = ndimage.label(mask, np.ones((3,) * mask.ndim))
    longest = np.argwhere(stretches == np.argmax(np.bincount(stretches[mask])[1:]) + 1)
    middle = longest[np.argmin(np.linalg.norm(longest - longest.mean(axis=0), axis=1))]
    return int(count), [int(i) for i in middle + low + merge.corner]


def _matched(merge: _Merge, links: Ints, matching: Matching) -> int:
    """Count the members that match if the predicted cell is split into the parts connected by these links."""
    n = len(merge.members)
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(n, n))
    part = connected_components(graph, directed=False)[1]
    size = np.bincount(part, merge.territory)[part]
    against = {"iou": merge.sizes + size - merge.shared, "iot": merge.sizes, "iop": size}[matching.criterion]
    with np.errstate(invalid="ignore"):
        matches = merge.shared / against >= matching.thresh
    return len(np.unique(part[matches]))
