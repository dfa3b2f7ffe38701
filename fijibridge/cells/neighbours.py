"""Slices that pair each pixel with the next pixel along an axis, in 2D and 3D."""

from __future__ import annotations


def ahead(axis: int, ndim: int) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the slices of all pixels that have a next pixel along an axis, and the slices of these next pixels.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.array([[1, 2, 4]])
    >>> first, second = ahead(1, image.ndim)
    >>> image[second] - image[first]
    array([[1, 2]])
    """
    first = tuple(slice(None, -1) if d == axis else slice(None) for d in range(ndim))
    second = tuple(slice(1, None) if d == axis else slice(None) for d in range(ndim))
    return first, second
