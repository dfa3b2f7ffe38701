"""Checks that an image is a label image: it has whole numbers, and is neither a binary mask nor grey values."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.errors import ImageError
from fijibridge.image.axes import Array
from fijibridge.image.conversion import values

_MANY = 8  # a single id with this many separate regions is a mask, not one cell
_SCATTERED = 4  # ids with more separate regions than this on average are grey values, not cells


def as_labels(labels: Array, name: str = "labels") -> npt.NDArray[Any]:
    """Return a label image as a plain integer array.

    Raises
    ------
    ImageError
        If `labels` is a binary mask, or contains negative ids, or values that are not whole numbers of 64 bits.
    """
    array = values(labels)
    if array.dtype == bool:
        raise ImageError(
            f"{name} is a binary mask, not a label image: number its connected regions first, "
            "with skimage.measure.label(mask, connectivity=1)"
        )
    if np.issubdtype(array.dtype, np.floating) and array.size:
        array = _whole_numbers(array, name)
    if not np.issubdtype(array.dtype, np.integer):
        raise ImageError(f"{name} has dtype {array.dtype}; a label image contains whole numbers, 0 = background")
    if np.issubdtype(array.dtype, np.signedinteger) and array.size and array.min() < 0:
        raise ImageError(f"{name} contains the negative id {array.min()}; ids start at 1, 0 = background")
    return array


def _whole_numbers(array: npt.NDArray[Any], name: str) -> npt.NDArray[Any]:
    """Return floats as integers if all of them are whole numbers; otherwise unchanged."""
    bad = ~np.isfinite(array)
    if bad.any():
        what = "NaN" if np.isnan(array[bad][0]) else "infinite values"
        raise ImageError(
            f"{name} contains {what}; a label image contains whole numbers, 0 = background: replace them first, with "
            "numpy.nan_to_num(labels, nan=0, posinf=0, neginf=0)"
        )
    if not np.array_equal(array, np.round(array)):
        return array
    if np.abs(array).max() >= 2**63:
        raise ImageError(
            f"{name} contains the id {np.abs(array).max():g}, which is larger than any integer type: number the cells "
            "again, with skimage.segmentation.relabel_sequential(labels)"
        )
    return array.astype(np.int64)


def as_truth(labels: Array, name: str = "labels") -> npt.NDArray[Any]:
    """Return a label image of true cells as a plain integer array; unlike :func:`as_labels`, refuse masks with one id.

    Raises
    ------
    ImageError
        As for :func:`as_labels`, and if the only id stands for many cells. This is assumed if the id has 8 or more
        4-connected (in 3D 6-connected) regions, or 2 or more if it is 255, the value in Fiji's masks. A single cell in
        a few parts is accepted.
    """
    array = as_labels(labels, name)
    only = int(array.max()) if array.size else 0
    if only == 0 or not ((array == 0) | (array == only)).all():
        return array
    from scipy import ndimage

    regions = ndimage.label(array)[1]
    if regions >= (2 if only == 255 else _MANY):
        raise ImageError(
            f"{name} has one id, {only}, for {regions} separate regions, so it is a binary mask, not a label image: "
            "number its regions first, with skimage.measure.label(mask, connectivity=1)"
        )
    return array


def as_cells(labels: Array, name: str = "labels") -> npt.NDArray[Any]:
    """Return a label image as a plain integer array; unlike :func:`as_truth`, also refuse images of grey values.

    Raises
    ------
    ImageError
        As for :func:`as_truth`, and if the values have more than 4 separate regions on average and more than 8 in
        total, which is typical of grey values, not of cells.
    """
    array = as_truth(labels, name)
    if not array.size or array.ndim > 3:
        return array
    from skimage.measure import label

    regions = int(label(array, connectivity=1, background=0, return_num=True)[1])
    ids = len(np.unique(array[array > 0]))
    if regions > _SCATTERED * max(ids, 1) and regions > _MANY:
        raise ImageError(
            f"{name} has {ids} values in {regions} separate regions, so it looks like an image of grey values rather "
            "than a label image, in which each cell has its own number"
        )
    return array
