"""Colours of cells: by the outcome of a match, and by id from a palette."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.errors import RoiError
from fijibridge.rois import Roi
from fijibridge.rois.roi import argb

Colors = Mapping[Any, str]

OUTCOME_COLORS = {
    "matched": "#009e73",
    "missed": "#d55e00",
    "extra": "#cc79a7",
    "split": "#f0e442",
    "merged": "#56b4e9",
}
"""Colour of each outcome, of Okabe and Ito, which colour-blind people can distinguish."""

UNKNOWN_COLOR = "#808080"
"""Colour of predicted cells where the truth is unknown; they do not count."""


def palette() -> npt.NDArray[np.uint8]:
    """Return black, then 255 colours of the Glasbey palette, each as different as possible from those before.

    Returns
    -------
    numpy.ndarray
        (256, 3) ``uint8``, red, green, blue.
    """
    import colorcet

    colors = np.array([(0, 0, 0), *colorcet.glasbey_bw_minc_20[:255]], float)
    return (colors * 255).round().astype(np.uint8)


def color_index(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the row of the palette for each id: 0 for background, then 1 to 255, again and again."""
    ids = labels.astype(np.int64)
    return np.where(ids > 0, (ids - 1) % 255 + 1, 0)


def colors_of(rois: Sequence[Roi], colors: Colors | None) -> list[int]:
    """Return the colour of each ROI, 0xAARRGGBB: the given one of its name or id, or else of the palette.

    Raises
    ------
    RoiError
        If no ROI has a name of `colors`.
    """
    names = [roi.name for roi in rois]
    if colors is None:
        numbers = [int(name) if name.isascii() and name.isdigit() else i for i, name in enumerate(names, start=1)]
        table = palette().astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]) | 0xFF000000
        return [int(c) for c in table[color_index(np.array(numbers, np.int64))]]
    given = {str(name): argb(color) for name, color in colors.items()}
    unknown = set(given) - set(names)
    if unknown:
        raise RoiError(f"colors has {sorted(unknown)[:5]}, but no ROI has these names; expected names of the ROIs")
    return [given.get(name, argb("#ffff00")) for name in names]
