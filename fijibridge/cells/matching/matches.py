"""Match predicted cells to true ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fijibridge.arrays import Floats, Ints
from fijibridge.cells.matching import THRESH
from fijibridge.cells.matching.overlaps import CellOverlaps, Overlaps, count_overlaps
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.errors import ImageError
from fijibridge.image import Array
from fijibridge.renames import keyword_only, rename_attributes

Groups = tuple[tuple[int, tuple[int, ...]], ...]
"""Ids of cells, each with the ids of the cells of the other image that are inside it."""


@dataclass(frozen=True)
class Matching:
    """Result of :func:`match_labels`; attributes are named as in StarDist.

    Attributes
    ----------
    criterion, thresh : str, float
        Name of the score, and smallest score at which two cells match.
    tp, fp, fn : int
        Number of matches, of unmatched predicted cells, and of unmatched true cells.
    n_true, n_pred : int
        Number of true and of predicted cells.
    mean_true_score : float
        Sum of the scores of all matches, divided by `n_true`.
    mean_matched_score : float
        Mean score of the matches.
    pairs : tuple of (true id, predicted id)
        The matches, ordered by true id.
    scores : tuple of float
        Score of each pair.
    missed, extra : tuple of int
        Ids of the unmatched true cells and of the unmatched predicted cells.
    splits : tuple of (true id, predicted ids)
        True cells that contain more than half of the pixels of each of two or more predicted cells.
    merges : tuple of (predicted id, true ids)
        Predicted cells that contain more than half of the pixels of each of two or more true cells.
    seg_scores : tuple of float
        For each true cell, in the order of the ids, its IoU with the predicted cell that covers more than half of it;
        0 if there is none.

    Notes
    -----
    Ratios whose denominator is 0 (such as the precision if nothing was predicted) are NaN, not 0. Splits, merges and
    SEG do not depend on the threshold; a matched cell may also be split or merged, if there is a small piece besides
    its match.
    """

    criterion: str
    thresh: float
    tp: int
    fp: int
    fn: int
    pairs: tuple[tuple[int, int], ...] = field(repr=False, default=())
    scores: tuple[float, ...] = field(repr=False, default=())
    missed: tuple[int, ...] = field(repr=False, default=())
    extra: tuple[int, ...] = field(repr=False, default=())
    splits: Groups = field(repr=False, default=())
    merges: Groups = field(repr=False, default=())
    seg_scores: tuple[float, ...] = field(repr=False, default=())

    @property
    def n_true(self) -> int:
        """Number of true cells."""
        return self.tp + self.fn

    @property
    def n_pred(self) -> int:
        """Number of predicted cells."""
        return self.tp + self.fp

    @property
    def precision(self) -> float:
        """Fraction of the predicted cells that are matched, tp / n_pred."""
        return _ratio(self.tp, self.n_pred)

    @property
    def recall(self) -> float:
        """Fraction of the true cells that are matched, tp / n_true."""
        return _ratio(self.tp, self.n_true)

    @property
    def accuracy(self) -> float:
        """Tp / (tp + fp + fn), the average precision at one threshold in the nuclei segmentation challenges."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn)."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def mean_true_score(self) -> float:
        """Sum of the scores of all matches, divided by the number of true cells."""
        return _ratio(sum(self.scores), self.n_true)

    @property
    def mean_matched_score(self) -> float:
        """Mean score of the matches."""
        return _ratio(sum(self.scores), self.tp)

    @property
    def panoptic_quality(self) -> float:
        """Sum of the scores of all matches, divided by tp + fp/2 + fn/2 (Kirillov et al. 2019, eq. 1)."""
        return _ratio(sum(self.scores), self.tp + self.fp / 2 + self.fn / 2)

    @property
    def seg(self) -> float:
        """Mean of `seg_scores`: the SEG measure of the Cell Tracking Challenge (Maška et al. 2014, section 2.3)."""
        return _ratio(sum(self.seg_scores), len(self.seg_scores))

    def _repr_html_(self) -> str:
        from fijibridge import displays

        facts = {
            "criterion": f"{self.criterion} of at least {self.thresh:g}", "true cells": self.n_true,
            "predicted cells": self.n_pred, "matched": self.tp, "missed": self.fn, "extra": self.fp,
            "precision": self.precision, "recall": self.recall, "F1": self.f1,
            "panoptic quality": self.panoptic_quality, "SEG": self.seg, "splits": len(self.splits),
            "merges": len(self.merges),
        }  # fmt: skip
        return displays.page("Matching", displays.facts(facts))

    def cells(self) -> pd.DataFrame:
        """Return the outcome of each cell: one row per match, plus one row for each unmatched cell of either image.

        Returns
        -------
        pandas.DataFrame
            ``label`` (the predicted id, or ``"missed 7"``, ``"merged 7"``, ``"split 7"`` for the unmatched true cell
            7), ``outcome``, ``true`` and ``predicted`` ids (``Int64``, missing without a match), ``score`` (NaN without
            a match), and the ``color`` of the outcome in :data:`~fijibridge.colors.OUTCOME_COLORS`.

            For the outcome, a cell is inside another cell if more than half of its pixels are, so no threshold needs
            tuning. An unmatched true cell is ``merged`` if it is inside a predicted cell together with other true
            cells, ``split`` if two or more predicted cells are inside it, otherwise ``missed``. An unmatched predicted
            cell is ``split`` if it is inside a true cell together with other predicted cells, ``merged`` if two or more
            true cells are inside it, otherwise ``extra``.
        """
        rows: list[tuple[Any, ...]] = [
            (str(pred), "matched", true, pred, score)
            for (true, pred), score in zip(self.pairs, self.scores, strict=True)
        ]
        lost = _outcomes(self.missed, self.merges, self.splits, "merged", "split", "missed")
        rows += [(f"{outcome} {i}", outcome, i, pd.NA, np.nan) for i, outcome in lost]
        wrong = _outcomes(self.extra, self.splits, self.merges, "split", "merged", "extra")
        rows += [(str(i), outcome, pd.NA, i, np.nan) for i, outcome in wrong]
        table = pd.DataFrame(rows, columns=["label", "outcome", "true", "predicted", "score"])
        ids = {name: pd.array(table[name].tolist(), dtype="Int64") for name in ("true", "predicted")}
        table = table.astype({"score": float}).assign(**ids)
        return table.assign(color=table["outcome"].map(OUTCOME_COLORS))

    def outcomes(self) -> dict[str, int]:
        """Count the true cells with each outcome, and the predicted cells that are ``extra``."""
        cells = self.cells()
        counted = cells.loc[cells["true"].notna() | (cells["outcome"] == "extra"), "outcome"].value_counts()
        return {kind: int(counted.get(kind, 0)) for kind in OUTCOME_COLORS}


def _outcomes(
    ids: Sequence[int], inside: Groups, around: Groups, part: str, whole: str, alone: str
) -> list[tuple[int, str]]:
    """Return the outcome of each id: `part` if it is a member of a group, `whole` if it contains one, else `alone`."""
    parts, wholes = {i for _, members in inside for i in members}, {i for i, _ in around}
    return [(i, part if i in parts else whole if i in wholes else alone) for i in ids]


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


@overload
def match_labels(
    true: Array, pred: Array, *, thresh: float = THRESH, criterion: str = "iou", region: Array | None = None,
    min_size: int = 0,
) -> Matching: ...  # fmt: skip


@overload
def match_labels(
    true: Array, pred: Array, *, thresh: Sequence[float], criterion: str = "iou", region: Array | None = None,
    min_size: int = 0,
) -> tuple[Matching, ...]: ...  # fmt: skip


@keyword_only("thresh", "criterion", "region", "min_size")
def match_labels(
    true: Array,
    pred: Array,
    *,
    thresh: float | Sequence[float] = THRESH,
    criterion: str = "iou",
    region: Array | None = None,
    min_size: int = 0,
) -> Matching | tuple[Matching, ...]:
    """Match predicted cells to true ones.

    Parameters
    ----------
    true, pred
        Label images of equal shape, 2D or 3D, 0 = background; ids may have gaps. Lazy (dask) images are read slab by
        slab.
    thresh
        Smallest score at which two cells can match; each cell is in at most one match. Given several thresholds, the
        function returns one matching for each of them, but counts the pixels only once, which saves time.
    criterion
        Score of two cells. ``"iou"``: their intersection divided by their union; ``"iot"``: divided by the true cell;
        ``"iop"``: divided by the predicted cell.
    region
        Mask, non-zero where the truth is known. Other pixels do not count, and true and predicted cells with more than
        half of their pixels outside are left out.
    min_size
        True and predicted cells with fewer pixels are left out, for example if the truth contains tiny fragments.

    Returns
    -------
    Matching or tuple of Matching

    Raises
    ------
    ImageError
        If shapes, axes or pixel sizes differ, an image is not a label image, `thresh` is not between 0 and 1, or
        `criterion` is unknown.

    Notes
    -----
    For IoU thresholds above 0.5, matches are unique. For lower thresholds, the number of matches is maximized, as in
    StarDist, and then the sum of their scores. (StarDist's sum includes scores below the threshold: the counts are
    equal, but the sums may differ.) The optimum is found separately for each group of overlapping cells.

    Undefined ratios, such as the precision if nothing was predicted, are NaN, whereas StarDist returns 0.

    Examples
    --------
    >>> true = np.array([[1, 1, 0, 2, 2, 2]])
    >>> pred = np.array([[7, 7, 0, 8, 0, 0]])
    >>> m = match_labels(true, pred)
    >>> m.tp, m.n_true, m.n_pred, m.missed
    (1, 2, 2, (2,))
    >>> [m.tp for m in match_labels(true, pred, thresh=(0.3, 0.5))]
    [2, 1]
    """
    several = isinstance(thresh, Iterable)
    thresholds = [float(t) for t in thresh] if isinstance(thresh, Iterable) else [float(thresh)]
    for value in thresholds:
        if not 0 < value <= 1:
            raise ImageError(f"thresh is {value:g}; expected a score above 0 and at most 1")
    overlaps = count_overlaps(true, pred, region=region, min_size=min_size)
    score = _scores(overlaps.cells, criterion)
    common = _independent_of_threshold(overlaps)
    matchings = tuple(_matching(overlaps, score, criterion, value, common) for value in thresholds)
    return matchings if several else matchings[0]


def _without_rounding(thresh: float) -> float:
    """Return a threshold without the rounding error of a sum: 0.6000000000000001 of np.arange(0.5, 1, 0.05) is 0.6.

    The float next to a binary fraction stays, because it means a score above 0.5: ``np.nextafter(0.5, 1)``.
    """
    short = round(thresh, 9)
    means_above = thresh == np.nextafter(short, 2) and (short * 2**20).is_integer()
    return thresh if means_above or abs(thresh - short) > 1e-12 else short


def _matching(overlaps: Overlaps, score: Floats, criterion: str, thresh: float, common: Mapping[str, Any]) -> Matching:
    cells = overlaps.cells
    above = np.flatnonzero(score >= _without_rounding(thresh))
    chosen = above[_best(cells.row[above], cells.column[above], score[above])]
    chosen = chosen[np.argsort(cells.row[chosen])]
    matched_true, matched_pred = overlaps.true_ids[cells.row[chosen]], overlaps.pred_ids[cells.column[chosen]]
    missed, extra = np.setdiff1d(overlaps.true_ids, matched_true), np.setdiff1d(overlaps.pred_ids, matched_pred)
    return Matching(
        criterion=criterion,
        thresh=thresh,
        tp=len(chosen),
        fp=len(extra),
        fn=len(missed),
        pairs=tuple(zip(matched_true.tolist(), matched_pred.tolist(), strict=True)),
        scores=tuple(score[chosen].tolist()),
        missed=tuple(missed.tolist()),
        extra=tuple(extra.tolist()),
        **common,
    )


def _independent_of_threshold(overlaps: Overlaps) -> dict[str, Any]:
    """Return splits, merges and SEG scores, as arguments of :class:`Matching`.

    More than half of a cell can be in only one cell of the other image, so each cell has at most one holder.
    """
    cells, true, pred = overlaps.cells, overlaps.true_ids, overlaps.pred_ids
    in_true = 2 * cells.pixels > cells.pred_size[cells.column]  # more than half of the predicted cell
    in_pred = 2 * cells.pixels > cells.true_size[cells.row]  # more than half of the true cell
    seg = np.zeros(len(true))
    seg[cells.row[in_pred]] = cells.iou[in_pred]
    return {
        "splits": _groups(true[cells.row[in_true]], pred[cells.column[in_true]]),
        "merges": _groups(pred[cells.column[in_pred]], true[cells.row[in_pred]]),
        "seg_scores": tuple(seg.tolist()),
    }


def _groups(holders: Ints, members: Ints) -> Groups:
    """Return each holder that has two or more members, with its members."""
    order = np.lexsort((members, holders))
    ids, start = np.unique(holders[order], return_index=True)
    parts = np.split(members[order], start[1:])
    return tuple((int(i), tuple(part.tolist())) for i, part in zip(ids, parts, strict=False) if len(part) > 1)


def _scores(cells: CellOverlaps, criterion: str) -> Floats:
    scores = {"iou": cells.iou, "iot": cells.of_true, "iop": cells.of_pred}
    if criterion not in scores:
        raise ImageError(f"criterion {criterion!r} is not known; choose one of {sorted(scores)}")
    return scores[criterion]


def _best(row: Ints, column: Ints, score: Floats) -> Ints:
    """Choose pairs that share no cell: as many as possible and, among equally many, with the largest sum of scores."""
    # Usually no cell is in two pairs, and there is nothing to choose. Otherwise, the assignment is solved for each
    # connected group of cells, since the cost is cubic in the size of a group, and groups are small.
    if len(np.unique(row)) == len(row) and len(np.unique(column)) == len(column):
        return np.arange(len(row))
    rows, row = np.unique(row, return_inverse=True)
    columns, column = np.unique(column, return_inverse=True)
    n = len(rows) + len(columns)
    graph = coo_array((np.ones(len(row)), (row, column + len(rows))), shape=(n, n))
    group = connected_components(graph, directed=False)[1][row]
    order = np.argsort(group, kind="stable")
    pieces = np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
    return np.concatenate([piece[_best_of_group(row[piece], column[piece], score[piece])] for piece in pieces])


def _best_of_group(row: Ints, column: Ints, score: Floats) -> Ints:
    """Choose the best pairs of one group, as an assignment with maximum gain."""
    r, i = np.unique(row, return_inverse=True)
    c, j = np.unique(column, return_inverse=True)
    gain = np.zeros((len(r), len(c)))
    # Each pair gains 1 plus its score, scaled down so that all scores together stay below 1: the number of pairs is
    # decisive. Pairs below the threshold gain 0, and are dropped if they are assigned.
    gain[i, j] = 1 + score / (2 * min(len(r), len(c)))
    number = np.full(gain.shape, -1)
    number[i, j] = np.arange(len(row))
    chosen = number[linear_sum_assignment(gain, maximize=True)]
    return np.asarray(chosen[chosen >= 0], np.int64)


def average_precision(matchings: Iterable[Matching]) -> float:
    """Return the mean of tp / (tp + fp + fn) over thresholds, as in nuclei challenges (Caicedo et al. 2019).

    Examples
    --------
    >>> true = np.array([[1, 1, 1, 1, 0, 2, 2]])
    >>> pred = np.array([[1, 1, 1, 0, 0, 2, 2]])
    >>> average_precision(match_labels(true, pred, thresh=(0.7, 0.8)))  # doctest: +ELLIPSIS
    0.666...
    """
    values = [m.accuracy for m in matchings]
    return _ratio(sum(values), len(values))


rename_attributes(__name__, {"COLORS": "colors:OUTCOME_COLORS", "match_table": "cells.matching.table:match_table"})
