"""Glasbey's palette for label images: 255 distinct colours, and black for the background."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def palette() -> npt.NDArray[np.uint8]:
    """Return (256, 3) colours: black, then Glasbey's colours, each as different as possible from all previous ones."""
    import colorcet

    colors = np.array([(0, 0, 0), *colorcet.glasbey_bw_minc_20[:255]], float)
    return (colors * 255).round().astype(np.uint8)


def color_index(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Return the palette index of each id: 0 for the background; colours repeat after 255 ids."""
    ids = labels.astype(np.int64)
    return np.where(ids > 0, (ids - 1) % 255 + 1, 0)
