"""Wrong pixels: a map, their clustering, and their enrichment at lost cells and membranes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import fft, ndimage

from fijibridge.arrays import Floats, Mask
from fijibridge.cells.matching.agreement import boundary
from fijibridge.cells.targets import MAX_GAP, MEMBRANE_WIDTH
from fijibridge.cells.targets.from_labels import IGNORE, membrane_target
from fijibridge.image import Array, ImageT, as_labels, like, same_shape, values
from fijibridge.renames import keyword_only, renamed_keywords

RIGHT, EXTRA_MEMBRANE, MISSED_MEMBRANE = 0, 1, 2
"""Codes of :func:`error_map`; 255 (:data:`fijibridge.IGNORE`) where the truth is unknown."""

_NEAR = 2  # pixels within this distance of a membrane count as near it
_MOST = 200_000  # a permutation test shifts at most this number of wrong pixels


@renamed_keywords(width="membrane_width")
@keyword_only("region", "membrane_width", "max_gap")
def error_map(
    true: ImageT,
    membranes: Array,
    *,
    region: Array | None = None,
    membrane_width: float = MEMBRANE_WIDTH,
    max_gap: float = MAX_GAP,
) -> ImageT:
    """Mark the pixels where predicted membranes are wrong.

    Parameters
    ----------
    true
        Label image of the true cells, (Y, X) or (Z, Y, X).
    membranes
        Mask with the same shape, non-zero where a membrane was predicted.
    region
        Mask, non-zero where the truth is known.
    membrane_width, max_gap
        Width of the true membranes, and largest gap between cells that share a membrane, in pixels, as for
        :func:`fijibridge.membrane_target`.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``uint8``: 0 = right, 1 = membrane predicted where there is none, 2 = membrane missed, 255 = unknown.

    Examples
    --------
    >>> true = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 2)
    >>> error_map(true, np.array([[0, 0, 1, 1, 1, 0, 0, 0, 0]] * 2))[0]
    array([0, 0, 1, 0, 0, 2, 0, 0, 0], dtype=uint8)
    """
    same_shape(true=true, membranes=membranes)
    target = values(membrane_target(true, membrane_width, region=region, max_gap=max_gap))
    found = values(membranes) != 0
    codes = np.where(found == (target == 1), RIGHT, np.where(found, EXTRA_MEMBRANE, MISSED_MEMBRANE))
    return like(np.where(target == IGNORE, IGNORE, codes).astype(np.uint8), true, name="errors")


def error_colors() -> npt.NDArray[np.uint8]:
    """Return the colours of an error map, (256, 3): 1 blue, 2 red, 255 grey, all others black."""
    colors = np.zeros((256, 3), np.uint8)
    colors[EXTRA_MEMBRANE], colors[MISSED_MEMBRANE], colors[IGNORE] = (80, 150, 255), (240, 75, 25), (70, 70, 70)
    return colors


def correlate_errors(errors: Array, max_distance: int = 40, sampling: Sequence[float] | None = None) -> pd.DataFrame:
    """Return the radial autocorrelation of wrong pixels, which shows the size of their clusters.

    Parameters
    ----------
    errors
        Map returned by :func:`error_map`.
    max_distance
        Largest distance, in pixels of the last axis.
    sampling
        Distance between neighbouring pixels along each axis, in pixels of the last axis; by default 1 for all axes.

    Returns
    -------
    pandas.DataFrame
        ``distance`` (px) and ``correlation``, Pearson's correlation of two known pixels at this distance: 1 at distance
        0, about 0 for independent wrong pixels; NaN if no pixel or every pixel is wrong.

    Notes
    -----
    By the Wiener-Khinchin theorem the autocorrelation is the inverse Fourier transform of the power spectrum; the image
    is padded by `max_distance`, and each lag is divided by the number of known pairs.
    """
    codes = values(errors)
    steps = tuple(sampling or (1.0,) * codes.ndim)
    known = codes != IGNORE
    wrong = known & (codes != RIGHT)
    mean = float(wrong.sum() / max(known.sum(), 1))
    reach = [min(int(max_distance / step), n - 1) for step, n in zip(steps, codes.shape, strict=True)]
    pairs = _autocovariance(known.astype(np.float32), reach)
    products = _autocovariance(np.where(known, wrong - mean, 0).astype(np.float32), reach)
    rings = np.rint(_lag_lengths(reach, steps)).astype(np.int64)
    inside = rings <= max_distance
    total = np.bincount(rings[inside], pairs[inside], max_distance + 1)
    summed = np.bincount(rings[inside], products[inside], max_distance + 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.where(total > 0.5, summed / total, np.nan) / np.float64(mean * (1 - mean))
    return pd.DataFrame({"distance": np.arange(max_distance + 1), "correlation": correlation})


def _autocovariance(image: npt.NDArray[np.float32], reach: Sequence[int]) -> Floats:
    """Return the sum of the products of all pairs of pixels, for each lag up to `reach`; lag 0 is in the middle."""
    shape = [fft.next_fast_len(n + r, real=True) for n, r in zip(image.shape, reach, strict=True)]
    axes = range(image.ndim)
    spectrum = fft.rfftn(image, shape, workers=-1)
    product = fft.irfftn(spectrum.real**2 + spectrum.imag**2, shape, workers=-1)
    rolled = np.roll(product, reach, axes)
    middle: Floats = rolled[tuple(slice(0, 2 * r + 1) for r in reach)].astype(float)
    return middle


def _lag_lengths(reach: Sequence[int], steps: Sequence[float]) -> Floats:
    grids = np.meshgrid(*(np.arange(-r, r + 1) * s for r, s in zip(reach, steps, strict=True)), indexing="ij")
    lengths: Floats = np.sqrt(sum(g**2 for g in grids))
    return lengths


def enrich_errors(
    errors: Array, true: Array, wrong_cells: Sequence[int], permutations: int = 999, seed: int = 0
) -> pd.DataFrame:
    """Test for enrichment of wrong pixels at wrong cells and near membranes.

    Parameters
    ----------
    errors
        Map returned by :func:`error_map`.
    true
        Label image of the true cells.
    wrong_cells
        Ids of the true cells that were not found.
    permutations
        Number of permutations of each test.
    seed
        Seed of the permutations.

    Returns
    -------
    pandas.DataFrame
        Two rows, with ``wrong cells`` and ``membranes`` in the column ``where``. The other columns are the fraction of
        wrong pixels ``inside``, the fraction ``outside``, the ratio ``enrichment`` of these fractions, and ``p``, the
        one-sided probability of such an enrichment by chance.

    Notes
    -----
    *Wrong cells*: each pixel belongs to its nearest true cell, and pixels of wrong cells are inside. A permutation
    shuffles which cells are wrong. *Membranes*: pixels within 2 px of a true boundary are inside. A permutation shifts
    the whole map of wrong pixels by a random vector, with wrap-around, which preserves clusters; pixels that are
    shifted to unknown pixels are left out. p = (1 + number of permutations with at least this enrichment) /
    (1 + number of permutations) (Phipson and Smyth 2010).
    """
    same_shape(errors=errors, true=true)
    rng = np.random.default_rng(seed)
    codes, labels = values(errors), as_labels(true)
    known = codes != IGNORE
    wrong = known & (codes != RIGHT)
    rows = [
        ("wrong cells", *_at_cells(wrong, known, labels, wrong_cells, permutations, rng)),
        ("membranes", *_at_membranes(wrong, known, labels, permutations, rng)),
    ]
    return pd.DataFrame(rows, columns=["where", "inside", "outside", "enrichment", "p"])


def _at_cells(
    wrong: Mask, known: Mask, labels: npt.NDArray[Any], ids: Sequence[int], permutations: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    nothing = (float("nan"),) * 4
    if not labels.any():
        return nothing
    nearest = ndimage.distance_transform_edt(labels == 0, return_distances=False, return_indices=True)
    cells, owner = np.unique(labels[tuple(nearest)][known], return_inverse=True)
    pixels = np.bincount(owner, minlength=len(cells)).astype(float)
    errors = np.bincount(owner, wrong[known], len(cells)).astype(float)
    flags = np.isin(cells, list(ids))
    if flags.all() or not flags.any() or not errors.any():
        return nothing
    inside, outside = _densities(flags, errors, pixels)
    ratio = _ratio(inside, outside)
    dealt = (_densities(rng.permutation(flags), errors, pixels) for _ in range(permutations))
    as_large = sum(_ratio(*chance) >= ratio for chance in dealt)
    return inside, outside, ratio, (1 + as_large) / (1 + permutations)


def _densities(flags: Mask, errors: Floats, pixels: Floats) -> tuple[float, float]:
    """Return the fraction of wrong pixels in the flagged cells, and the fraction in the other cells."""
    return float(flags @ errors / (flags @ pixels)), float(~flags @ errors / (~flags @ pixels))


def _ratio(inside: float, outside: float) -> float:
    return float(inside / outside) if outside else float("inf" if inside else "nan")


def _at_membranes(
    wrong: Mask, known: Mask, labels: npt.NDArray[Any], permutations: int, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    edge = boundary(labels)
    if not (edge.any() and wrong.any()):
        return (float("nan"),) * 4
    near = ndimage.distance_transform_edt(~edge) <= _NEAR
    inside, outside = (float(wrong[known & zone].mean()) if (known & zone).any() else 0.0 for zone in (near, ~near))
    places = np.argwhere(wrong)
    if len(places) > _MOST:
        places = rng.choice(places, _MOST, replace=False)
    share = near[tuple(places.T)].mean()
    as_large = sum(_share_of_shifted(places, known, near, rng) >= share for _ in range(permutations))
    return inside, outside, _ratio(inside, outside), (1 + as_large) / (1 + permutations)


def _share_of_shifted(places: npt.NDArray[np.int64], known: Mask, near: Mask, rng: np.random.Generator) -> float:
    """Shift the wrong pixels randomly; of those that land on known pixels, return the fraction near membranes."""
    shape = np.array(known.shape)
    moved = tuple(((places + rng.integers(0, shape)) % shape).T)
    there = known[moved]
    return float(near[moved][there].mean()) if there.any() else 0.0
