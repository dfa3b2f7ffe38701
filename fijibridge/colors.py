"""Colours of cells, by match outcome or by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from fijibridge.errors import RoiError
from fijibridge.glasbey import color_index, palette
from fijibridge.rois import Roi
from fijibridge.rois.roi import argb

Colors = Mapping[Any, str]

__all__ = ["OUTCOME_COLORS", "UNKNOWN_COLOR", "Colors", "color_index", "colors_of", "palette"]

OUTCOME_COLORS = {
    "matched": "#009e73",
    "missed": "#d55e00",
    "extra": "#cc79a7",
    "split": "#f0e442",
    "merged": "#56b4e9",
}
"""Colours of match outcomes: Okabe and Ito's palette, which is safe for colour-blind readers."""

UNKNOWN_COLOR = "#808080"
"""Colour of predicted cells where the truth is unknown; match statistics do not count these cells."""


def colors_of(rois: Sequence[Roi], colors: Colors | None) -> list[int]:
    """Return the colour of each ROI as 0xAARRGGBB.

    `colors` maps names of ROIs to colours; ROIs that it lacks become yellow. If it is None, each ROI gets the palette
    colour of its id, which is its name or, if the name is not a number, its 1-based index.

    Raises
    ------
    RoiError
        If `colors` contains a name that no ROI has.
    """
    names = [roi.name for roi in rois]
    if colors is None:
        numbers = [int(name) if name.isascii() and name.isdigit() else i for i, name in enumerate(names, start=1)]
        table = palette().astype(np.int64) @ np.array([1 << 16, 1 << 8, 1]) | 0xFF000000
        return [int(c) for c in table[color_index(np.array(numbers, np.int64))]]
    given = {str(name): argb(color) for name, color in colors.items()}
    unknown = set(given) - set(names)
    if unknown:
        raise RoiError(f"colors contains {sorted(unknown)[:5]}, but no ROI has these names")
    return [given.get(name, argb("#ffff00")) for name in names]
