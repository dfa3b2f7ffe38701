"""Axes of targets and weights, in the order of the axes of their image."""

from __future__ import annotations

import xarray as xr

from fijibridge.errors import TrainingError
from fijibridge.image import DIMS, Array, as_image, with_our_axes

_UNNAMED = "dim_"  # prefix of xarray's default names of axes


def as_in_image(array: Array, image: Array, name: str) -> Array:
    """Return a target or weight with its axes in the order of its image, channels first.

    Parameters
    ----------
    array
        Target or weight. A plain array, or one with unnamed axes, is assumed to have the axes of the image.
    image
        Its image, with axes in the order ``z y x`` that :func:`fijibridge.as_image` returns.
    name
        Name of `array` in error messages.

    Raises
    ------
    TrainingError
        If the axes differ from those of the image.

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
            f"{name} has axes {array.dims}; expected those of its image, {tuple(expected)}, in any order, and at most "
            "one channel axis: rename the axes with array.rename(...)"
        )
    return array.transpose(*channels, *expected)
