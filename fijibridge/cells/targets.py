"""What a network is to learn, made from the cells."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from fijibridge.errors import ImageError
from fijibridge.image import Array, ImageT, as_truth, like, same_shape, values

IGNORE = 255
"""Class id of a pixel whose truth is unknown: it enters neither loss nor metric."""

CLASSES = ("other", "membrane")
"""What the class ids 0 and 1 of :func:`membrane_target` mean."""


def membrane_target(labels: ImageT, width: float = 3, region: Array | None = None, max_gap: float = 6) -> ImageT:
    """Mark the membranes between labelled cells.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) label image, 0 = background or a gap between cells.
    width
        Of the membrane, in pixels.
    region
        Where the truth is known (non-zero); the rest becomes :data:`IGNORE`.
    max_gap
        Unlabelled strips up to this wide (pixels) are the gap between two cells, with the membrane in their
        middle. Wider ones are background, and the membrane runs along the cells' outer side.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``uint8`` class ids: 0 = other, 1 = membrane, 255 = ignore; calibrated if `labels` was.

    Raises
    ------
    ImageError
        If `width` is below 1, the shapes differ, or `labels` is a mask of cells without numbers.

    Notes
    -----
    With a(p) and b(p) the distances of a pixel's centre from the edge of its own and of the nearest other cell
    (inside a cell a is negative), (b - a) / 2 is its distance from the midline between them. Pixels with at most
    ``width / 2`` are membrane. The midline runs between two pixels where cells touch and through a pixel where
    the gap is 1 px wide, so that an odd width comes out 1 px wider in the first case, an even one in the second.

    Examples
    --------
    >>> membrane_target(np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 2), width=3)[0]
    array([0, 0, 0, 1, 1, 1, 0, 0, 0], dtype=uint8)
    >>> membrane_target(np.array([[1, 1, 1, 1, 2, 2, 2, 2]] * 2), width=2)[0]
    array([0, 0, 0, 1, 1, 0, 0, 0], dtype=uint8)
    """
    if not (np.isfinite(width) and width >= 1):
        raise ImageError(f"membrane width is {width} px; expected 1 or more")
    array = as_truth(labels)
    target = (_twice_midline_distance(array, width, max_gap) <= width).astype(np.uint8)
    if region is not None:
        same_shape(labels=labels, region=region)
        target[values(region) == 0] = IGNORE
    return like(target, labels, name="target")


def _twice_midline_distance(labels: npt.NDArray[np.int_], width: float, max_gap: float) -> npt.NDArray[np.float32]:
    """Return b - a of the notes of membrane_target, infinite far from any other cell."""
    owner, outside = _own_cell(labels, max_gap)
    reach = width + (max_gap + 1) / 2 + 1
    nearest_not_own = np.full(labels.shape, np.inf, np.float32)
    nearest_other = np.full(labels.shape, np.inf, np.float32)
    filled = np.where(outside == 0, owner, 0)
    for shift, distance in _shifts(labels.shape, reach):
        here, there = _overlap(shift, labels.shape)
        neighbour, own = filled[there], owner[here]
        not_own = neighbour != own
        np.minimum(nearest_not_own[here], distance, out=nearest_not_own[here], where=not_own)
        np.minimum(nearest_other[here], distance, out=nearest_other[here], where=not_own & (neighbour != 0))
    a = np.where(outside > 0, outside - 0.5, 0.5 - nearest_not_own)
    return (nearest_other - 0.5) - a


def _own_cell(labels: npt.NDArray[np.int_], max_gap: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Give every pixel the id of its nearest cell, -1 in wide background, and its distance from there."""
    labels = labels.astype(np.int64)
    if not labels.any():
        return np.full(labels.shape, -1), np.zeros(labels.shape, np.float32)
    distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    owner = labels[tuple(nearest)]
    core = distance > (max_gap + 1) / 2
    if core.any():
        # Grow the background back from its core, so that its border is the cells' and not max_gap/2 away from it.
        background = (ndimage.distance_transform_edt(~core) <= (max_gap + 1) / 2) & (labels == 0)
        owner[background] = -1
        distance[background] = 0
    return owner, distance.astype(np.float32)


def _shifts(shape: tuple[int, ...], reach: float) -> list[tuple[tuple[int, ...], float]]:
    spans = [range(-min(int(reach), n - 1), min(int(reach), n - 1) + 1) for n in shape]
    shifts = [(s, float(np.linalg.norm(s))) for s in product(*spans)]
    return [(s, d) for s, d in shifts if 0 < d <= reach]


def _overlap(shift: tuple[int, ...], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, shape, strict=True))
    there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(shift, shape, strict=True))
    return here, there
