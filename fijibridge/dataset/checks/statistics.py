"""Statistics of labels and images: connected parts, missing cells, contrast of membranes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import Mask

_LEAST_PIXELS = 50  # smallest number of pixels whose brightness is measured
_LEAST_SHARE = 0.2  # smallest share of outline pixels that are between two cells
_TISSUE = 0.5  # smallest share of the known area that cells cover in a tissue
_CLEAR = 0.2  # smallest difference between membranes and cells, in standard deviations


@dataclass(frozen=True)
class Parts:
    """Ids with more than one connected part.

    Attributes
    ----------
    several : list of int
        Ids with more than one part if pixels are connected by sides (4 neighbours in 2D, 6 in 3D).
    by_corners : list of int
        Those of `several` that are one part if pixels are also connected by corners and edges (8 or 26 neighbours).
    """

    several: list[int]
    by_corners: list[int]


def parts(labels: npt.NDArray[Any]) -> Parts:
    """Find the ids that have more than one connected part.

    Examples
    --------
    >>> parts(np.array([[1, 0, 2, 0], [0, 1, 0, 0], [0, 0, 0, 2]]))
    Parts(several=[1, 2], by_corners=[1])
    """
    by_sides, by_all = _repeated(labels, 1), _repeated(labels, labels.ndim)
    return Parts(sorted(by_sides), sorted(by_sides - by_all))


def most_parts(labels: npt.NDArray[Any]) -> int:
    """Return the number of parts of the id with most parts; parts that touch at corners count as one.

    Examples
    --------
    >>> most_parts(np.array([[1, 0, 2, 0, 2], [0, 1, 0, 0, 0]]))
    2
    """
    return int(max(_counted(labels, labels.ndim)[1], default=0))


def _repeated(labels: npt.NDArray[Any], connectivity: int) -> set[int]:
    ids, repeats = _counted(labels, connectivity)
    return set(ids[repeats > 1].tolist())


def _counted(labels: npt.NDArray[Any], connectivity: int) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return the ids, and the number of connected parts of each id."""
    from skimage.measure import label

    regions, count = label(labels, connectivity=connectivity, background=0, return_num=True)
    first = np.zeros(count + 1, np.int64)
    flat = regions.ravel()
    first[flat[::-1]] = np.arange(flat.size - 1, -1, -1)  # index of one pixel of each region, where its id is looked up
    return np.unique(labels.ravel()[first[1:]], return_counts=True)


def unlabelled(labels: npt.NDArray[Any], known: Mask | None = None) -> int:
    """Count gaps between cells, away from the border, that are large enough for a small cell.

    A gap is large enough if a circle (in 3D a sphere) with half the radius of a typical cell fits into it. With cells
    sorted by size, the typical cell is the one that contains the median pixel. If cells cover less than half of the
    known area, gaps are normal, and the result is 0.
    """
    import edt
    from scipy import ndimage

    inside = labels > 0
    share = inside.mean() if known is None else inside[known].mean() if known.any() else 0.0
    if share < _TISSUE:
        return 0
    ndim = labels.ndim
    volume = np.pi if ndim == 2 else 4 / 3 * np.pi
    sizes = np.sort(np.unique(labels[inside], return_counts=True)[1])
    typical = sizes[np.searchsorted(np.cumsum(sizes), sizes.sum() / 2)]
    radius = (float(typical) / volume) ** (1 / ndim)
    distance = edt.edt(np.ascontiguousarray(~inside), parallel=2)
    regions, count = ndimage.label(distance > max(0.5 * radius, 1.5))
    # gaps at the border or in the unknown part may belong to cells that continue there
    outside = [np.unique(np.take(regions, side, axis)) for axis in range(ndim) for side in (0, -1)]
    if known is not None:
        outside.append(np.unique(regions[~known]))
    return int(count - len(set(np.concatenate(outside).tolist()) - {0}))


def contrast(image: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float | None:
    """Return the mean brightness of membranes between cells minus the mean brightness of cells, in standard deviations.

    Parameters
    ----------
    image, labels
        (Y, X) or (Z, Y, X); of a stack, only the middle plane is used.

    Returns
    -------
    float or None
        None if few cells touch, or the absolute difference is below 0.2.
    """
    from scipy import ndimage

    if labels.ndim == 3:
        image, labels = image[len(image) // 2], labels[len(labels) // 2]
    ids = labels.astype(np.int64)
    between, edges = _between(ids, 5), _between(ids, 3) | (ndimage.minimum_filter(ids, 3) == 0) & (ids > 0)
    inside = (ndimage.minimum_filter(ids, 7) == ndimage.maximum_filter(ids, 7)) & (ids > 0)
    if between.sum() < max(_LEAST_PIXELS, _LEAST_SHARE * edges.sum()):
        return None
    return _difference(image, _between(ids, 3) | between & (ids == 0), inside)


def class_contrast(image: npt.NDArray[Any], membranes: Mask) -> float | None:
    """Return the mean brightness of membranes minus the mean brightness elsewhere, in standard deviations."""
    from scipy import ndimage

    return _difference(image, membranes, ~ndimage.binary_dilation(membranes, iterations=2))


def _between(ids: npt.NDArray[np.int64], width: int) -> Mask:
    """Return the pixels around which a window of `width` pixels contains two cells."""
    from scipy import ndimage

    lowest = ndimage.minimum_filter(np.where(ids == 0, np.iinfo(np.int64).max, ids), width)
    return np.asarray((lowest < ndimage.maximum_filter(ids, width)) & (lowest > 0))


def _difference(image: npt.NDArray[Any], on: Mask, off: Mask) -> float | None:
    if min(on.sum(), off.sum()) < _LEAST_PIXELS:
        return None
    spread = float(image[on | off].std())
    found = float(image[on].mean() - image[off].mean()) / spread if spread > 0 else 0.0
    return found if abs(found) >= _CLEAR else None


def polarity(found: float | None) -> str:
    """Return the description's word for a contrast: bright, dark or unknown."""
    return "unknown" if found is None else "bright" if found > 0 else "dark"
