"""Axes of targets and weights, reordered to match those of their image."""

from __future__ import annotations

import xarray as xr

from fijibridge.errors import TrainingError
from fijibridge.image import DIMS, Array, as_image, with_our_axes

_UNNAMED = "dim_"  # prefix of xarray's default names of axes


def as_in_image(array: Array, image: Array, name: str) -> Array:
    """Return a target or weight with its axes in the same order as those of its image, and channels first.

    Parameters
    ----------
    array
        Target or weight. A plain array, or one with unnamed axes, is assumed to have its axes in this order.
    image
        Image to which `array` belongs. :func:`fijibridge.as_image` puts its axes into the order ``z y x``.
    name
        Name of `array` in error messages.

    Raises
    ------
    TrainingError
        If `array` lacks an axis of the image, or has more than one further axis, or one that is not a channel axis.

    Examples
    --------
    >>> import numpy as np
    >>> across = xr.DataArray(np.zeros((6, 4)), dims=("x", "y"))
    >>> as_in_image(across, across, "the target").shape
    (4, 6)
    """
    array = with_our_axes(array)
    if not isinstance(array, xr.DataArray) or all(str(d).startswith(_UNNAMED) for d in array.dims):
        return array
    expected = [d for d in as_image(image).dims if d != "c"]
    channels = [d for d in array.dims if d not in expected]
    if not set(expected) <= set(array.dims) or len(channels) > 1 or set(channels) & (set(DIMS) - {"c"}):
        raise TrainingError(
            f"{name} has axes {array.dims}; expected the axes of its image, {tuple(expected)}, in any order, "
            "and at most one further axis, the channels: rename the axes with array.rename(...)"
        )
    return array.transpose(*channels, *expected)
