"""Count the pixels that each true cell shares with each predicted cell: the basis of all comparisons of label images.

The result is a sparse table with one row per pair of ids that share pixels. Adjacent pixels of the same pair are
combined into a run, and the runs of a slab are summed in a sparse matrix, which adds duplicate entries. The run time is
therefore linear in the number of pixels, pixels are never sorted, and volumes larger than memory are read slab by slab.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array

from fijibridge.arrays import Ints
from fijibridge.errors import ImageError
from fijibridge.image import Array, as_labels, in_order, same_shape
from fijibridge.renames import keyword_only

_SLAB = 2**22  # number of pixels that are counted together


@dataclass(frozen=True)
class Overlaps:
    """Pixels shared by each pair of a true and a predicted id, including background (0).

    Attributes
    ----------
    true, pred, pixels : numpy.ndarray
        ``int64``, one entry per pair that shares pixels, sorted by true id, then by predicted id.
    dropped, dropped_true : numpy.ndarray
        Predicted and true ids that do not count as cells, because the truth is unknown in more than half of their
        pixels, or because they have fewer than `min_size` pixels.
    """

    true: Ints
    pred: Ints
    pixels: Ints
    dropped: Ints
    dropped_true: Ints

    @cached_property
    def true_ids(self) -> Ints:
        """Ids of the true cells, ascending, without dropped ones."""
        return np.setdiff1d(_ids(self.true), self.dropped_true)

    @cached_property
    def pred_ids(self) -> Ints:
        """Ids of the predicted cells, ascending, without dropped ones."""
        return np.setdiff1d(_ids(self.pred), self.dropped)

    @cached_property
    def cells(self) -> CellOverlaps:
        """Pairs of cells that share pixels, without background and dropped cells."""
        row, column = np.searchsorted(self.true_ids, self.true), np.searchsorted(self.pred_ids, self.pred)
        in_true = (self.true > 0) & ~np.isin(self.true, self.dropped_true)
        in_pred = (self.pred > 0) & ~np.isin(self.pred, self.dropped)
        both = in_true & in_pred
        return CellOverlaps(
            row=row[both],
            column=column[both],
            pixels=self.pixels[both],
            true_size=_summed(row[in_true], self.pixels[in_true], len(self.true_ids)),
            pred_size=_summed(column[in_pred], self.pixels[in_pred], len(self.pred_ids)),
        )


@dataclass(frozen=True)
class CellOverlaps:
    """Pairs of cells, by the indices `row` and `column` of their ids, with shared `pixels`; and all cell sizes."""

    row: Ints
    column: Ints
    pixels: Ints
    true_size: Ints
    pred_size: Ints

    @property
    def of_true(self) -> npt.NDArray[np.float64]:
        """Fraction of the true cell that is in the predicted cell."""
        return self.pixels / self.true_size[self.row]

    @property
    def of_pred(self) -> npt.NDArray[np.float64]:
        """Fraction of the predicted cell that is in the true cell."""
        return self.pixels / self.pred_size[self.column]

    @property
    def iou(self) -> npt.NDArray[np.float64]:
        """Intersection over union."""
        return self.pixels / (self.true_size[self.row] + self.pred_size[self.column] - self.pixels)


@keyword_only("region", "min_size")
def count_overlaps(true: Array, pred: Array, *, region: Array | None = None, min_size: int = 0) -> Overlaps:
    """Count the pixels that each pair of ids shares.

    Parameters
    ----------
    true, pred
        Label images of equal shape, with any number of axes. Lazy images (dask, zarr) are read slab by slab, so they
        may be larger than memory.
    region
        Mask, non-zero where the truth is known; other pixels count only towards the size of a cell.
    min_size
        Cells with fewer pixels do not count as cells; pixels outside the region count for this.

    Raises
    ------
    ImageError
        If shapes, axes or pixel sizes differ, or an image is not a label image.

    Examples
    --------
    >>> overlaps = count_overlaps(np.array([[1, 1, 0, 2]]), np.array([[7, 7, 7, 0]]))
    >>> list(zip(overlaps.true.tolist(), overlaps.pred.tolist(), overlaps.pixels.tolist()))
    [(0, 7, 1), (1, 7, 2), (2, 0, 1)]
    """
    true, pred, region = in_order(true), in_order(pred), None if region is None else in_order(region)
    same_shape(true=true, pred=pred, **({} if region is None else {"region": region}))
    if not min_size >= 0:  # NaN is refused too
        raise ImageError(f"min_size is {min_size}; expected a number of pixels, at least 0")
    known, unknown_pred, unknown_true = [], [], []
    for part in _slabs(true.shape, max(_chunk(true), _chunk(pred))):
        t, p, length, k = _runs(
            as_labels(true[part], "true").reshape(-1),
            as_labels(pred[part], "pred").reshape(-1),
            None if region is None else np.asarray(region[part]).reshape(-1) != 0,
        )
        known.append(_counted(t[k], p[k], length[k]))
        # Outside the region, only the size of each cell is needed: its pixels are counted as pairs with 0.
        nothing = np.zeros_like(p[~k])
        unknown_pred.append(_counted(nothing, p[~k], length[~k]))
        unknown_true.append(_counted(nothing, t[~k], length[~k]))
    t, p, pixels = _counted(*_concatenated(known))
    # Pairs of dropped cells stay in the table: `Overlaps` leaves them out where cells are counted.
    dropped_pred = _dropped(p, pixels, *_concatenated(unknown_pred)[1:], min_size)
    dropped_true = _dropped(t, pixels, *_concatenated(unknown_true)[1:], min_size)
    return Overlaps(t, p, pixels, dropped_pred, dropped_true)


def _chunk(image: Array) -> int:
    """Return the thickness of an image's chunks along its first axis, or 1 for an image in memory."""
    chunks = getattr(image, "chunks", None)
    first = chunks[0] if chunks else 1
    return max(first) if isinstance(first, tuple) else int(first)  # dask lists all chunks of an axis, zarr gives a size


def _slabs(shape: tuple[int, ...], chunk: int) -> Iterator[slice]:
    """Divide the first axis into slabs of a few million pixels that consist of whole chunks, so none is read twice."""
    thickness = -(-max(1, _SLAB // max(1, int(np.prod(shape[1:])))) // chunk) * chunk
    return (slice(start, start + thickness) for start in range(0, shape[0], thickness))


def _runs(
    true: npt.NDArray[Any], pred: npt.NDArray[Any], known: npt.NDArray[np.bool_] | None
) -> tuple[Ints, Ints, Ints, npt.NDArray[np.bool_]]:
    """Return runs of adjacent pixels with the same ids and the same `known`: true id, predicted id, length, `known`.

    Neighbouring pixels mostly have the same ids, so that there are far fewer runs to sum than pixels.
    """
    change = true[1:] != true[:-1]
    change |= pred[1:] != pred[:-1]
    if known is not None:
        change |= known[1:] != known[:-1]
    start = np.concatenate([[0], np.flatnonzero(change) + 1])[: len(true)]  # none if empty
    length = np.diff(np.append(start, len(true)))
    k = np.ones(len(start), bool) if known is None else known[start]
    return _signed(true[start]), _signed(pred[start]), length, k


def _signed(ids: npt.NDArray[Any]) -> Ints:
    if ids.dtype == np.uint64 and ids.size and ids.max() >= 2**63:
        raise ImageError(f"the id {ids.max()} is above 2**63 - 1: renumber the cells")
    return ids.astype(np.int64)


def _counted(true: Ints, pred: Ints, pixels: Ints) -> tuple[Ints, Ints, Ints]:
    """Sum the pixels of equal pairs; return them sorted by true id, then by predicted id."""
    if not len(true):
        return true, pred, pixels
    true_ids, row = _compact(true)
    pred_ids, column = _compact(pred)
    # Entries at the same place of a sparse matrix are added.
    table = coo_array((pixels, (row, column)), shape=(len(true_ids), len(pred_ids))).tocsr()
    table.sum_duplicates()  # tocsr has added them; this sorts the columns of each row
    pairs = table.tocoo()
    return true_ids[pairs.coords[0]], pred_ids[pairs.coords[1]], np.asarray(pairs.data, np.int64)


def _compact(ids: Ints) -> tuple[Ints, Ints]:
    """Return the distinct ids, ascending, and the index of each id among them; there is at least one id."""
    # A table with an entry for each possible id is faster than sorting, unless it is much longer than the list of ids.
    if ids.max() > 16 * len(ids) + 2**20:
        unique, index = np.unique(ids, return_inverse=True)
        return unique, index
    present = np.zeros(int(ids.max()) + 1, bool)
    present[ids] = True
    return np.flatnonzero(present), (np.cumsum(present) - 1)[ids]


def _concatenated(parts: list[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
    """Concatenate the true ids, predicted ids and pixels of several slabs; equal pairs are not summed."""
    # The empty arrays in front are the result if there are no slabs.
    none = np.zeros(0, np.int64)
    true, pred, pixels = (np.concatenate(arrays) for arrays in zip((none,) * 3, *parts, strict=True))
    return true, pred, pixels


def _dropped(cells: Ints, pixels: Ints, unknown: Ints, unknown_pixels: Ints, min_size: int) -> Ints:
    """Return the ids with more than half of their pixels outside the region, or with fewer than `min_size` in total."""
    ids, index = np.unique(np.concatenate([cells, unknown]), return_inverse=True)
    inside = _summed(index[: len(cells)], pixels, len(ids))
    outside = _summed(index[len(cells) :], unknown_pixels, len(ids))
    return ids[(ids > 0) & ((outside > inside) | (inside + outside < min_size))]


def _ids(ids: Ints) -> Ints:
    unique = np.unique(ids)
    return unique[unique > 0]


def _summed(index: Ints, pixels: Ints, n: int) -> Ints:
    # bincount sums in floats, which are exact up to 2**53.
    return np.bincount(index, pixels, n).astype(np.int64)
