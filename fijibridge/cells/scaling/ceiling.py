"""Measure, from the true cells alone, how many cells can still be matched after downscaling."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from fijibridge.arrays import Mask
from fijibridge.cells.distances import spacing
from fijibridge.cells.matching import THRESH
from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.neighbours import ahead
from fijibridge.cells.scaling.resampling import Factor, downscale, upscale
from fijibridge.cells.segmentation.labelling import grow_labels
from fijibridge.errors import ImageError
from fijibridge.image import Array, as_image, as_truth, same_shape, values
from fijibridge.renames import keyword_only

METHODS = ("max", "mean", "mode")
ENOUGH = 0.995
"""Smallest fraction of matched cells at which the answer calls a factor good enough."""

# Minimum depth of a basin that becomes a cell, times the factor; a line 1 px wide covers 1 / factor of a block.
_DEPTH = 0.35
_COUNTS = ["matched", "n_true", "n_pred", "right", "known"]

Images: TypeAlias = "Array | Sequence[Array] | Mapping[str, Array]"
Labels: TypeAlias = "npt.NDArray[Any]"


@keyword_only("methods", "thresh", "region", "max_gap")
def ceiling(
    labels: Images,
    factors: Sequence[int] = (2, 3, 4, 6, 8),
    *,
    methods: Sequence[str] = METHODS,
    thresh: float = THRESH,
    region: Images | None = None,
    max_gap: float | None = None,
) -> pd.DataFrame:
    """Measure the fraction of cells that a perfect prediction at a lower resolution can match.

    The perfect prediction at the lower resolution is computed from the true cells, scaled back to full resolution and
    matched with them. A network trained at the lower resolution can hardly do better.

    Parameters
    ----------
    labels
        One or several label images of the true cells, (Y, X) or (Z, Y, X). The counts of several images are summed.
    factors
        Downscaling factors for y and x, at least 1. z is not scaled.
    methods
        Predictions to simulate, each without growing and with growing until a gap of 1 px is left:

        ``"max"``: max-pooled membranes. Cells are the 4-connected regions between them, upscaled as blocks. This is the
        usual prediction of membrane pixels; thick membranes consume small cells.
        ``"mean"``: the fraction of each pixel that is membrane (a regression). Its basins are seeds if they are deeper
        than 0.35 / factor; a straight line 1 px wide covers 1 / factor of a pixel. The linearly upscaled fraction is
        flooded from the seeds (watershed). Without growing, pixels with a fraction of at least one half are cleared.
        ``"mode"``: the cells themselves, as the most frequent id of each block, upscaled with smooth outlines. This is
        the upper limit for networks that predict instances or affinities, whose boundaries run between pixels.
    thresh
        Smallest IoU at which two cells match.
    region
        Masks, one per label image, non-zero where the truth is known. Other pixels do not count.
    max_gap
        Unlabelled strips up to this width, in pixels, are membrane; by default, half the median cell width. Wider
        strips are background. There is a membrane at the edge of the background; pixels and regions inside the
        background do not count.

    Returns
    -------
    pandas.DataFrame
        One row per factor, method and grow: ``factor, method, grow, matched, n_true, n_pred, recall`` (fraction of the
        true cells that are matched), ``precision, f1, membrane_accuracy`` (fraction of the known pixels where the
        membranes of the result, which are unlabelled pixels and contacts of cells, equal the true ones) and
        ``cell_width`` (diameter of a disc, in 3D a ball, with the size of a cell: median over all cells, in downscaled
        pixels). ``table.attrs["answer"]`` is a sentence with the largest factors that are good enough.

    Raises
    ------
    ImageError
        If there are no cells, an image has frames or channels, `labels` and `region` differ in shape or number, or a
        factor or method is invalid.

    Notes
    -----
    Where cells touch, membranes are drawn 1 px wide. Errors of a real prediction are not included, so a high fraction
    shows that the resolution suffices, but not that a network can be trained easily.

    Examples
    --------
    >>> row = [1] * 12 + [0] + [2] * 4 + [0] + [3] * 12
    >>> table = ceiling(np.array([row] * 12), factors=(2, 6), methods=["max"])
    >>> table[["factor", "grow", "matched", "n_true"]].to_numpy().tolist()
    [[2, False, 3, 3], [2, True, 3, 3], [6, False, 2, 3], [6, True, 2, 3]]
    >>> table.attrs["answer"]
    'Of 3 cells, 99.5 % and more can be matched up to factor 2 with max (cells 6.8 pixels wide).'
    """
    _check(factors, methods)
    truths = [_truth(image, known, max_gap) for image, known in _pairs(labels, region)]
    if not any(truth.widths.size for truth in truths):
        raise ImageError("the labels contain no cells: there is nothing to match")
    rows = [row for factor in factors for method in methods for row in _rows(truths, factor, method, thresh)]
    table = _table(rows, float(np.median(np.concatenate([truth.widths for truth in truths]))))
    table.attrs["answer"] = _answer(table)
    return table


@dataclass(frozen=True)
class _Truth:
    """True cells: ids, mask of the pixels that do not count, membranes, and the widths of the cells in pixels."""

    labels: Labels
    outside: Mask
    membrane: Mask
    widths: npt.NDArray[np.float64]


def _check(factors: Sequence[int], methods: Sequence[str]) -> None:
    unknown = [m for m in methods if m not in METHODS]
    if unknown or not len(methods) or isinstance(methods, str):
        raise ImageError(f"methods are {methods!r}; expected a list of some of {METHODS}")
    if not len(factors) or any(isinstance(f, bool) or not isinstance(f, int | np.integer) or f < 1 for f in factors):
        raise ImageError(f"factors are {list(factors)}; expected integers of at least 1, such as (2, 3, 4)")


def _pairs(labels: Images, region: Images | None) -> list[tuple[Array, Array | None]]:
    """Pair each label image with its region."""
    images = _several(labels)
    regions: dict[Any, Array | None] = dict.fromkeys(images) if region is None else dict(_several(region))
    if regions.keys() != images.keys():
        raise ImageError(
            f"labels has images {list(images)[:9]}, but region has {list(regions)[:9]}; expected one region per image"
        )
    return [(image, regions[name]) for name, image in images.items()]


def _several(images: Images) -> dict[Any, Array]:
    if isinstance(images, Mapping):
        return dict(images)
    if isinstance(images, list | tuple):
        return dict(enumerate(images))
    return {0: images}  # type: ignore[dict-item]


def _truth(image: Array, region: Array | None, max_gap: float | None) -> _Truth:
    labels = as_truth(image)
    spacing(image, "a label image (several come as a list)")  # refuses frames and channels
    if region is not None:
        same_shape(labels=image, region=region)
    known = np.ones(labels.shape, bool) if region is None else values(region) != 0
    labels = _renumbered(np.where(known, labels, 0))
    widths = _widths(labels)
    if max_gap is None:
        max_gap = float(np.median(widths)) / 2 if widths.size else 0.0
    outside = ~known | _wide((labels == 0) & known, max_gap)
    return _Truth(labels, outside, _membranes(np.where(outside, -1, labels)), widths)


def _renumbered(labels: Labels) -> Labels:
    """Replace ids of any size by 1, 2, ... in ascending order."""
    ids, place = np.unique(labels, return_inverse=True)
    return (place.reshape(labels.shape) + int(ids[:1].any())).astype(np.int64)


def _widths(labels: Labels) -> npt.NDArray[np.float64]:
    sizes = np.unique(labels[labels > 0], return_counts=True)[1]
    if labels.ndim == 3 and len(labels) > 1:
        return np.asarray(np.cbrt(6 * sizes / np.pi))
    return np.asarray(2 * np.sqrt(sizes / np.pi))


def _wide(unlabelled: Mask, max_gap: float) -> Mask:
    """Return the unlabelled parts that are wider than `max_gap`, found by a morphological opening with a disc.

    The core consists of the pixels that are more than about half of `max_gap` away from all labelled pixels. Growing
    the core back by the same distance restores the wide parts, but not gaps, which have no core.
    """
    from edt import edt

    reach = (max_gap + 1) / 2
    core: Mask = np.asarray(edt(unlabelled) > reach)
    return unlabelled & np.asarray(edt(~core) <= reach) if core.any() else core


def _membranes(ids: Labels) -> Mask:
    """Mark pixels with id 0, and where two regions touch, one pixel of each pair: the one outside (id -1) if any.

    One pixel of each pair is enough to separate 4-connected (in 3D 6-connected) regions.
    """
    marked = np.asarray(ids == 0)
    for axis in range(ids.ndim):
        first, second = ahead(axis, ids.ndim)
        touch = (ids[first] != ids[second]) & (ids[first] != 0) & (ids[second] != 0)
        marked[first] |= touch & (ids[second] != -1)
        marked[second] |= touch & (ids[second] == -1)
    return marked


def _rows(truths: list[_Truth], factor: int, method: str, thresh: float) -> list[dict[str, Any]]:
    """Sum the counts of all images, without and with growing."""
    ways: dict[str, Callable[[_Truth, int], tuple[Labels, Labels]]] = {"max": _max, "mean": _mean, "mode": _mode}
    counts = np.zeros((2, len(_COUNTS)), np.int64)
    for truth in truths:
        for grow, pred in enumerate(ways[method](truth, factor)):
            counts[grow] += _count(truth, pred, thresh)
    return [
        {"factor": int(factor), "method": method, "grow": bool(grow), **dict(zip(_COUNTS, counts[grow], strict=True))}
        for grow in (0, 1)
    ]


def _count(truth: _Truth, pred: Labels, thresh: float) -> list[int]:
    counts = ~truth.outside
    m = match_labels(truth.labels, pred, thresh=thresh, region=counts)
    right = (_membranes(pred) == truth.membrane) & counts
    return [m.tp, m.n_true, m.n_pred, int(right.sum()), int(counts.sum())]


def _down(pixels: Labels, factor: Factor, method: str) -> Labels:
    return values(downscale(as_image(pixels, dims="zyx"[-pixels.ndim :]), factor, method))


def _up(pixels: Labels, factor: Factor, method: str, shape: tuple[int, ...]) -> Labels:
    return values(upscale(as_image(pixels, dims="zyx"[-pixels.ndim :]), factor, method, shape))


def _max(truth: _Truth, factor: int) -> tuple[Labels, Labels]:
    membranes = _down(truth.membrane, factor, "max")
    small = ndimage.label(~membranes, output=np.int32)[0]
    cells = _up(small, factor, "nearest", truth.labels.shape)
    return cells, grow_labels(cells)


def _mean(truth: _Truth, factor: int) -> tuple[Labels, Labels]:
    from skimage.segmentation import watershed

    share = _down(truth.membrane, factor, "mean")
    seeds = _up(_deep_basins(share, _DEPTH / factor), factor, "nearest", truth.labels.shape)
    relief = _up(share, factor, "linear", truth.labels.shape)
    grown = watershed(relief, seeds, watershed_line=True).astype(np.int32)
    return np.where(relief >= 0.5, 0, grown), grown


def _deep_basins(share: npt.NDArray[np.float32], depth: float) -> npt.NDArray[np.int32]:
    """Return the minima that are deep enough, with ids from 1.

    Minima that stand out by `depth` survive a reconstruction by erosion that starts from the relief raised by `depth`.
    Pixels are connected along the axes only, since a line whose pixels touch at corners is closed. Both functions need
    this connectivity, or else false seeds of a few pixels appear.
    """
    from skimage.morphology import local_minima, reconstruction

    if not share.any() or share.min() == share.max():
        return np.ones(share.shape, np.int32)
    relief = share.astype(np.float64)
    filled = reconstruction(relief + depth, relief, "erosion", ndimage.generate_binary_structure(share.ndim, 1))
    basins: npt.NDArray[np.int32] = ndimage.label(local_minima(filled, connectivity=1), output=np.int32)[0]
    return basins


def _mode(truth: _Truth, factor: int) -> tuple[Labels, Labels]:
    """Treat the outside as an additional region, so that cells do not grow into it."""
    ids = np.where(truth.outside, truth.labels.max() + 1, truth.labels).astype(np.int32)
    cells = _up(_down(ids, factor, "mode"), factor, "labels", truth.labels.shape)
    return cells, grow_labels(cells)


def _table(rows: list[dict[str, Any]], width: float) -> pd.DataFrame:
    table = pd.DataFrame(rows)
    matched = table["matched"]
    table["recall"] = matched / table["n_true"]
    table["precision"] = matched / table["n_pred"].where(table["n_pred"] > 0)
    table["f1"] = 2 * matched / (table["n_true"] + table["n_pred"])
    table["membrane_accuracy"] = table["right"] / table["known"]
    table["cell_width"] = width / table["factor"]
    return table.drop(columns=["right", "known"])


def _answer(table: pd.DataFrame) -> str:
    """Name the largest factor that is good enough for each method, with or without growing, whichever is better."""
    reached = {str(method): _furthest(rows) for method, rows in table.groupby("method", sort=False)}
    good = {method: factor for method, factor in reached.items() if factor}
    total, width = int(table["n_true"].iloc[0]), float(table["cell_width"].iloc[0] * table["factor"].iloc[0])
    if not good:
        best = table.iloc[int(table["recall"].argmax())]
        return (
            f"Of {total} cells, at most {100 * best['recall']:.1f} % can be matched, at factor {best['factor']} with "
            f"{best['method']}: the smallest factor is too large."
        )
    ways = ", ".join(
        f"up to factor {f} with {method} (cells {width / f:.1f} pixels wide)" for method, f in good.items()
    )
    bad = [method for method in reached if method not in good]
    return f"Of {total} cells, {100 * ENOUGH:g} % and more can be matched {ways}" + (
        f"; at no factor with {', '.join(bad)}." if bad else "."
    )


def _furthest(rows: pd.DataFrame) -> int:
    """Return the largest factor that, like all smaller ones tried, is good enough; 0 if there is none."""
    best = rows.groupby("factor")["recall"].max().sort_index()
    bad = [int(str(factor)) for factor, recall in best.items() if recall < ENOUGH]
    good = [int(str(factor)) for factor in best.index if not bad or int(str(factor)) < min(bad)]
    return max(good, default=0)
