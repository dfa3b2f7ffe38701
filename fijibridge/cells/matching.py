"""How well predicted cells match the true ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fijibridge.errors import ImageError
from fijibridge.image import Array, as_labels, same_shape, values

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Matching:
    """The outcome of :func:`match_labels`, in stardist's words.

    Attributes
    ----------
    criterion, thresh : str, float
        What made a match.
    tp, fp, fn : int
        Matched cells, predicted ones without a match, true ones without a match.
    n_true, n_pred : int
        Cells in the truth and in the prediction.
    mean_true_score : float
        Sum of the matches' scores over `n_true`.
    mean_matched_score : float
        Mean score of the matches.
    pairs : tuple of (true id, predicted id)
        The matches, ordered by true id.
    scores : tuple of float
        Score of each pair.
    missed, extra : tuple of int
        Ids of the true cells and the predicted cells without a match.

    Notes
    -----
    A ratio without a denominator (the precision of no prediction) is NaN, not 0.
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

    @property
    def n_true(self) -> int:
        """Cells in the truth."""
        return self.tp + self.fn

    @property
    def n_pred(self) -> int:
        """Cells in the prediction."""
        return self.tp + self.fp

    @property
    def precision(self) -> float:
        """Share of the predicted cells that match, tp / n_pred."""
        return _ratio(self.tp, self.n_pred)

    @property
    def recall(self) -> float:
        """Share of the true cells that are matched, tp / n_true."""
        return _ratio(self.tp, self.n_true)

    @property
    def accuracy(self) -> float:
        """Tp / (tp + fp + fn), the average precision of one threshold in the nuclei challenges."""
        return _ratio(self.tp, self.tp + self.fp + self.fn)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, 2 tp / (2 tp + fp + fn)."""
        return _ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def mean_true_score(self) -> float:
        """Sum of the matches' scores over the number of true cells."""
        return _ratio(sum(self.scores), self.n_true)

    @property
    def mean_matched_score(self) -> float:
        """Mean score of the matches."""
        return _ratio(sum(self.scores), self.tp)

    @property
    def panoptic_quality(self) -> float:
        """Sum of the matches' scores over tp + fp/2 + fn/2 (Kirillov et al. 2019, eq. 1)."""
        return _ratio(sum(self.scores), self.tp + self.fp / 2 + self.fn / 2)

    def cells(self) -> pd.DataFrame:
        """Return what became of each cell, a row per match, missed cell and extra cell.

        Returns
        -------
        pandas.DataFrame
            ``label`` (the predicted id, or ``"missed 7"``), ``outcome`` (matched, missed, extra), ``true`` and
            ``predicted`` ids and ``score`` (NaN where there is none), and a ``color`` to draw it in: matched green,
            missed red, extra magenta.
        """
        rows: list[tuple[Any, ...]] = [
            (str(pred), "matched", true, pred, score, "#2ca02c")
            for (true, pred), score in zip(self.pairs, self.scores, strict=True)
        ]
        rows += [(f"missed {i}", "missed", i, np.nan, np.nan, "#ff0000") for i in self.missed]
        rows += [(str(i), "extra", np.nan, i, np.nan, "#ff00ff") for i in self.extra]
        return pd.DataFrame(rows, columns=["label", "outcome", "true", "predicted", "score", "color"])


def _ratio(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else float("nan")


def match_labels(
    true: Array, pred: Array, thresh: float = 0.5, criterion: str = "iou", region: Array | None = None
) -> Matching:
    """Match predicted cells to true ones.

    Parameters
    ----------
    true, pred
        Label images of one shape, 2D or 3D, 0 = background, ids with any gaps.
    thresh
        A pair with a score of at least this is a match; each cell is in one match at most.
    criterion
        ``"iou"``: intersection over union; ``"iot"``: over the true cell; ``"iop"``: over the predicted one.
    region
        Where the truth is known (non-zero). Pixels outside count nowhere, and predicted cells with more than half
        of their pixels outside are left out.

    Returns
    -------
    Matching

    Raises
    ------
    ImageError
        If shapes, axes or pixel sizes differ, or an image is no label image.

    Notes
    -----
    Above an IoU of 0.5 matches are unique. At and below it the number of matches is made as large as possible,
    among equals the sum of the scores, as stardist does it; the optimum is found for each group of overlapping
    cells by itself.

    Examples
    --------
    >>> true = np.array([[1, 1, 0, 2, 2, 2]])
    >>> pred = np.array([[7, 7, 0, 8, 0, 0]])
    >>> m = match_labels(true, pred)
    >>> m.tp, m.n_true, m.n_pred, m.missed
    (1, 2, 2, (2,))
    """
    if not 0 < thresh <= 1:
        raise ImageError(f"thresh is {thresh}; expected a score above 0, at most 1")
    same_shape(true=true, pred=pred)
    overlap = _overlaps(as_labels(true, "true"), as_labels(pred, "pred"), _known(true, region))
    score = _scores(overlap, criterion)
    above = np.flatnonzero(score >= thresh)
    chosen = above[_best(overlap.row[above], overlap.column[above], score[above])]
    chosen = chosen[np.argsort(overlap.row[chosen])]
    matched_true, matched_pred = overlap.true_ids[overlap.row[chosen]], overlap.pred_ids[overlap.column[chosen]]
    missed, extra = np.setdiff1d(overlap.true_ids, matched_true), np.setdiff1d(overlap.pred_ids, matched_pred)
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
    )


@dataclass(frozen=True)
class _Overlaps:
    """How many pixels each pair of cells shares: `row` and `column` index into the ids."""

    true_ids: Ints
    pred_ids: Ints
    true_size: Ints
    pred_size: Ints
    row: Ints
    column: Ints
    pixels: Ints


def _known(true: Array, region: Array | None) -> npt.NDArray[np.bool_] | None:
    if region is None:
        return None
    same_shape(true=true, region=region)
    known: npt.NDArray[np.bool_] = values(region).reshape(-1) != 0
    return known


def _overlaps(true: npt.NDArray[Any], pred: npt.NDArray[Any], known: npt.NDArray[np.bool_] | None) -> _Overlaps:
    t, p, length, k = _runs(true.reshape(-1), pred.reshape(-1), known)
    true_ids, row = np.unique(t[k & (t > 0)], return_inverse=True)
    pred_ids, pred_size, dropped = _known_cells(p, length, k)
    row, column = np.searchsorted(true_ids, t), np.searchsorted(pred_ids, p)
    in_true, in_pred = k & (t > 0), k & (p > 0) & ~np.isin(p, dropped)
    true_size = np.bincount(row[in_true], length[in_true], len(true_ids)).astype(np.int64)
    both = in_true & in_pred
    shared = coo_array((length[both], (row[both], column[both])), shape=(len(true_ids), len(pred_ids)))
    shared.sum_duplicates()
    rows, columns = (np.asarray(a, np.int64) for a in shared.coords)
    return _Overlaps(true_ids, pred_ids, true_size, pred_size, rows, columns, np.asarray(shared.data, np.int64))


def _runs(
    true: npt.NDArray[Any], pred: npt.NDArray[Any], known: npt.NDArray[np.bool_] | None
) -> tuple[Ints, Ints, Ints, npt.NDArray[np.bool_]]:
    """Shorten the pixels to runs of one pair: true id, predicted id, length, known."""
    change = (true[1:] != true[:-1]) | (pred[1:] != pred[:-1])
    if known is not None:
        change |= known[1:] != known[:-1]
    start = np.concatenate([[0], np.flatnonzero(change) + 1])[: len(true)]
    length = np.diff(np.append(start, len(true)))
    k = np.ones(len(start), bool) if known is None else known[start]
    return true[start].astype(np.int64), pred[start].astype(np.int64), length, k


def _known_cells(p: Ints, length: Ints, known: npt.NDArray[np.bool_]) -> tuple[Ints, Ints, Ints]:
    """Return ids and known pixels of the predicted cells, and the ids that lie mostly where nothing is known."""
    ids, index = np.unique(p, return_inverse=True)
    inside = np.bincount(index, length * known, len(ids)).astype(np.int64)
    total = np.bincount(index, length, len(ids)).astype(np.int64)
    keep = (ids > 0) & (2 * inside >= total) & (inside > 0)
    return ids[keep], inside[keep], ids[~keep]


def _scores(overlap: _Overlaps, criterion: str) -> Floats:
    t, p, shared = overlap.true_size[overlap.row], overlap.pred_size[overlap.column], overlap.pixels
    denominators = {"iou": t + p - shared, "iot": t, "iop": p}
    if criterion not in denominators:
        raise ImageError(f"criterion {criterion!r} is not known; choose one of {sorted(denominators)}")
    return shared / denominators[criterion]


def _best(row: Ints, column: Ints, score: Floats) -> Ints:
    """Choose pairs that share no cell: as many as possible, then with the largest sum of scores."""
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
    r, i = np.unique(row, return_inverse=True)
    c, j = np.unique(column, return_inverse=True)
    gain = np.zeros((len(r), len(c)))
    gain[i, j] = 1 + score / (2 * min(len(r), len(c)))
    number = np.full(gain.shape, -1)
    number[i, j] = np.arange(len(row))
    chosen = number[linear_sum_assignment(gain, maximize=True)]
    return np.asarray(chosen[chosen >= 0], np.int64)


def match_table(matchings: Mapping[str, Matching]) -> pd.DataFrame:
    """Set out matchings per image, with their total in the last row.

    Returns
    -------
    pandas.DataFrame
        Columns ``matched, GT, predicted, image, precision, recall, f1, pq`` (panoptic quality). The total's ratios are
        those of the summed counts, not means of the images' ratios.

    Raises
    ------
    ImageError
        If `matchings` is no mapping of names to matchings, or they are of different criteria.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0, 2]])
    >>> print(match_table({"a": match_labels(labels, labels)}).iloc[:, :4].to_string(index=False))
     matched  GT  predicted image
           2   2          2     a
           2   2          2 total
    """
    if not isinstance(matchings, Mapping) or not all(isinstance(m, Matching) for m in matchings.values()):
        raise ImageError(
            f"match_table got {_kind(matchings)}; expected a mapping of image names to matchings: "
            "match_table({'a': match_labels(true, pred)})"
        )
    rows = [_row(name, m) for name, m in matchings.items()]
    if matchings:
        rows.append(_row("total", _total(list(matchings.values()))))
    columns = ["matched", "GT", "predicted", "image", "precision", "recall", "f1", "pq"]
    return pd.DataFrame(rows, columns=columns)


def _kind(thing: object) -> str:
    """Say what something is, and for a mapping what its values are."""
    kinds = sorted({type(value).__name__ for value in thing.values()}) if isinstance(thing, Mapping) else []
    return f"a {type(thing).__name__}" + (f" of {', '.join(kinds)}" if kinds else "")


def _row(name: str, m: Matching) -> tuple[Any, ...]:
    return m.tp, m.n_true, m.n_pred, name, m.precision, m.recall, m.f1, m.panoptic_quality


def _total(matchings: list[Matching]) -> Matching:
    kinds = {(m.criterion, m.thresh) for m in matchings}
    if len(kinds) > 1:
        raise ImageError(f"matchings of different criteria cannot be summed: {sorted(kinds)}")
    first = matchings[0]
    return Matching(
        criterion=first.criterion,
        thresh=first.thresh,
        tp=sum(m.tp for m in matchings),
        fp=sum(m.fp for m in matchings),
        fn=sum(m.fn for m in matchings),
        scores=tuple(s for m in matchings for s in m.scores),
    )
