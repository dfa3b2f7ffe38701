"""The axes of what belongs to an image, in the order in which its own are taken."""

from __future__ import annotations

import xarray as xr

from fijibridge.errors import TrainingError
from fijibridge.image import DIMS, Array, as_image, with_our_axes

_UNNAMED = "dim_"  # how xarray calls axes to which nobody gave a name


def as_in_image(array: Array, image: Array, name: str) -> Array:
    """Return a target or weight with its axes in the order of the image's, channels in front.

    Parameters
    ----------
    array
        The pixels of a plain array, and axes without names, are taken to lie as those of the image do.
    image
        Taken as :func:`fijibridge.as_image` does: ``z y x``, whatever its own order.
    name
        Of `array`, for messages.

    Raises
    ------
    TrainingError
        If they have other axes.

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
            "one of channels: name them alike, array.rename(...)"
        )
    return array.transpose(*channels, *expected)
