"""Compare two label images as partitions and by their boundaries, without matching cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage
from skimage.segmentation import expand_labels

from fijibridge.arrays import Ints, Mask
from fijibridge.cells.matching.overlaps import Overlaps, count_overlaps
from fijibridge.cells.neighbours import ahead
from fijibridge.errors import ImageError
from fijibridge.image import Array, as_labels, in_order, pixel_size, same_shape, values
from fijibridge.renames import keyword_only


@dataclass(frozen=True)
class Agreement:
    """Result of :func:`compare_labels`; undefined ratios are NaN.

    Attributes
    ----------
    adapted_rand_error : float
        1 - F score over pairs of pixels, 0 = identical (Arganda-Carreras et al. 2015, eq. 4 and 5), as in the ISBI 2012
        challenge. Merges decrease `rand_precision`, splits decrease `rand_recall`.
    voi_split, voi_merge : float
        Conditional entropies in bits: splits increase H(pred | true), merges increase H(true | pred) (Meilă 2007);
        their sum is the variation of information.
    boundary_precision, boundary_recall : float
        Fraction of the predicted (true) boundary that is within the tolerance of the true (predicted) one.
    tolerance : float
        Tolerance for boundaries, in x pixels.
    """

    adapted_rand_error: float
    rand_precision: float
    rand_recall: float
    voi_split: float
    voi_merge: float
    boundary_precision: float
    boundary_recall: float
    tolerance: float

    @property
    def voi(self) -> float:
        """Variation of information, in bits."""
        return self.voi_split + self.voi_merge

    @property
    def boundary_f(self) -> float:
        """Harmonic mean of boundary precision and recall (Martin et al. 2004, section 3)."""
        both = self.boundary_precision + self.boundary_recall
        return 2 * self.boundary_precision * self.boundary_recall / both if both else float("nan")


@keyword_only("region", "tolerance", "fill_gaps")
def compare_labels(
    true: Array, pred: Array, *, region: Array | None = None, tolerance: float = 2, fill_gaps: float = 0
) -> Agreement:
    """Compare two label images as partitions of the pixels, and compare their boundaries.

    Parameters
    ----------
    true, pred
        Label images of equal shape, 2D or 3D, 0 = background.
    region
        Mask, non-zero where the truth is known.
    tolerance
        Largest distance at which two boundaries agree, in x pixels. The physical distance is the same along all axes.
    fill_gaps
        Distance in x pixels. For Rand error and variation of information, predicted background within this distance of
        a predicted cell counts as part of the cell. With 0, as in scikit-image, all gaps between predicted cells form
        one region, which contains pixels of most true cells; if the truth has no such gaps, this region can cause most
        of the error.

    Raises
    ------
    ImageError
        If shapes, axes or pixel sizes differ, an image is not a label image, or `tolerance` or `fill_gaps` is negative.

    Notes
    -----
    Rand error and variation of information equal those of scikit-image with ``ignore_labels=(0,)``: only pixels in true
    cells count, and predicted background is an additional region. (scikit-image 0.26 swaps precision and recall,
    contrary to its own documentation and the paper.) A boundary pixel belongs to a cell and has a neighbour with
    another id along an axis.

    Examples
    --------
    >>> true = np.repeat([[1, 1, 1, 1, 2, 2, 2, 2]], 8, axis=0)
    >>> a = compare_labels(true, np.ones_like(true))
    >>> a.rand_recall, a.voi_split, a.voi_merge, a.boundary_recall
    (1.0, 0.0, 1.0, 0.0)
    """
    if not tolerance >= 0:
        raise ImageError(f"tolerance is {tolerance} px; expected 0 or more")
    if not fill_gaps >= 0:
        raise ImageError(f"fill_gaps is {fill_gaps} px; expected 0 or more")
    same_shape(true=true, pred=pred)
    filled = expand_labels(as_labels(pred, "pred"), fill_gaps, _sampling(true)) if fill_gaps else pred
    overlaps = count_overlaps(true, filled, region=region)
    known = None if region is None else values(region) != 0
    boundaries = _boundary_scores(
        boundary(as_labels(true), known), boundary(as_labels(pred), known), known, tolerance, _sampling(true)
    )
    return Agreement(*_rand(overlaps), *_entropies(overlaps), *boundaries, tolerance)


def boundary(labels: npt.NDArray[Any], known: Mask | None = None) -> Mask:
    """Mark cell pixels that have a neighbour with another id along an axis; with `known`, both pixels must be known.

    Examples
    --------
    >>> boundary(np.array([[1, 1, 1, 0, 2, 2, 2]])).astype(int)
    array([[0, 0, 1, 0, 1, 0, 0]])
    """
    edge = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        one, other = ahead(axis, labels.ndim)
        differ = labels[one] != labels[other]
        if known is not None:
            differ &= known[one] & known[other]
        edge[one] |= differ
        edge[other] |= differ
    return edge & (labels > 0)


def _inside(overlaps: Overlaps) -> tuple[Ints, Ints, Ints, Ints]:
    """Count pixels in true cells: those of each pair of ids, of its true cell and of its predicted id, and in total."""
    cell = overlaps.true > 0
    pixels = overlaps.pixels[cell]
    rows = np.unique(overlaps.true[cell], return_inverse=True)[1]
    columns = np.unique(overlaps.pred[cell], return_inverse=True)[1]
    return (
        pixels,
        np.bincount(rows, pixels)[rows].astype(np.int64),
        np.bincount(columns, pixels)[columns].astype(np.int64),
        pixels.sum(),
    )


def _rand(overlaps: Overlaps) -> tuple[float, float, float]:
    pixels, in_true, in_pred, _ = _inside(overlaps)
    # Pairs of two different pixels, as floats, since their number exceeds 64 bits in large images.
    together = float(pixels @ (pixels - 1.0))
    same_true, same_pred = float(pixels @ (in_true - 1.0)), float(pixels @ (in_pred - 1.0))
    precision, recall = _ratio(together, same_pred), _ratio(together, same_true)
    return 1 - _ratio(2 * together, same_true + same_pred), precision, recall


def _entropies(overlaps: Overlaps) -> tuple[float, float]:
    pixels, in_true, in_pred, n = _inside(overlaps)
    if not n:
        return float("nan"), float("nan")
    share = pixels / n
    return float(share @ np.log2(in_true / pixels)), float(share @ np.log2(in_pred / pixels))


def _ratio(numerator: float, denominator: float) -> float:
    return float(numerator / denominator) if denominator else float("nan")


def _sampling(image: Array) -> tuple[float, ...]:
    """Return the distance between neighbouring pixels along each axis, in x pixels."""
    image = in_order(image)
    if not isinstance(image, xr.DataArray):
        return (1.0,) * image.ndim
    sizes = pixel_size(image)
    return tuple(sizes.get(str(d), sizes["x"]) / sizes["x"] for d in image.dims)


def _boundary_scores(
    true: Mask, pred: Mask, known: Mask | None, tolerance: float, sampling: tuple[float, ...]
) -> tuple[float, float]:
    return _share_near(pred, true, known, tolerance, sampling), _share_near(true, pred, known, tolerance, sampling)


def _share_near(edge: Mask, other: Mask, known: Mask | None, tolerance: float, sampling: tuple[float, ...]) -> float:
    """Return the fraction of an edge's known pixels that are within the tolerance of another edge."""
    counted = edge if known is None else edge & known
    if not counted.any():
        return float("nan")
    if not other.any():
        return 0.0
    distance = ndimage.distance_transform_edt(~other, sampling=sampling)
    return float((distance[counted] <= tolerance).mean())
