"""One drawn transformation for image, target and weight together."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def symmetry(array: npt.NDArray[Any], draw: int) -> npt.NDArray[Any]:
    """Turn and mirror the last two axes by one of the eight symmetries of the square.

    Parameters
    ----------
    array
        Any array whose last two axes are y, x, and of equal length if a quarter turn is drawn.
    draw
        0 to 7: quarter turns in the last two bits, then a mirror; 0 changes nothing.

    Returns
    -------
    numpy.ndarray
        A view, nothing is copied.

    Examples
    --------
    >>> symmetry(np.array([[1, 2], [3, 4]]), 1)
    array([[2, 4],
           [1, 3]])
    """
    turned = np.rot90(array, draw % 4, axes=(-2, -1))
    return turned[..., ::-1] if draw >= 4 else turned


def draw_symmetry(rng: np.random.Generator, square: bool = True) -> int:
    """Draw one of the symmetries; for oblong patches only those that keep their shape."""
    return int(rng.integers(8)) if square else int(rng.choice([0, 2, 4, 6]))
