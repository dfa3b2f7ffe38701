"""Pictures and tables for people."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from skimage.segmentation import find_boundaries

from fijibridge.cells.matching import Matching
from fijibridge.files import atomic
from fijibridge.image import Array, values

MATCHED, MISSED, EXTRA = (0.20, 0.70, 0.35), (0.90, 0.15, 0.15), (1.00, 0.75, 0.00)
"""Colours of the outcomes: a true cell that was found, one that was not, a predicted cell that is none."""

Colours = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One image's row in a comparison: all arrays are (Y, X)."""

    name: str
    image: Array
    probability: Array
    true: Array
    pred: Array
    matching: Matching


def save_comparison(path: str | os.PathLike[str], panels: list[Panel]) -> None:
    """Save a picture with a row per image: image, prediction, predicted cells, missed and extra cells."""
    rows = len(panels)
    figure = Figure(figsize=(14, 3.7 * rows + 0.3))
    figure.set_layout_engine("constrained", h_pad=0.1)
    axes = figure.subplots(rows, 4, squeeze=False)
    for row, panel in zip(axes, panels, strict=True):
        pictures = (grey(panel.image), values(panel.probability), label_colours(panel.pred), outcome_picture(panel))
        m = panel.matching
        found = f"{m.tp} of {m.n_true} cells found, F1 {m.f1:.3f}\n{m.fn} missed (red), {m.fp} extra (yellow)"
        titles = (panel.name, "membrane probability", f"{m.n_pred} predicted cells", found)
        for axis, picture, title in zip(row, pictures, titles, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
    FigureCanvasAgg(figure)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)


def grey(image: Array) -> npt.NDArray[np.float64]:
    """Scale intensities to 0..1 between their 0.5 and 99.5 percentiles."""
    array = values(image).astype(float)
    low, high = np.percentile(array, (0.5, 99.5))
    return np.asarray(np.clip((array - low) / max(high - low, 1e-12), 0, 1))


def label_colours(labels: Array) -> Colours:
    """Give each id a colour of the Glasbey palette, background black; (Y, X, 3)."""
    import colorcet

    palette = np.array([(0, 0, 0), *colorcet.glasbey_bw_minc_20[:255]], float)
    ids = values(labels).astype(np.int64)
    return palette[np.where(ids > 0, (ids - 1) % 255 + 1, 0)]


def outcome_picture(panel: Panel) -> Colours:
    """Paint found, missed and extra cells over the image, with the true outlines darkened; (Y, X, 3)."""
    picture = np.repeat(grey(panel.image)[..., None], 3, axis=-1)
    true, pred = values(panel.true), values(panel.pred)
    m = panel.matching
    for mask, colour in (
        (np.isin(true, [t for t, _ in m.pairs]), MATCHED),
        (np.isin(pred, m.extra), EXTRA),
        (np.isin(true, m.missed), MISSED),
    ):
        picture[mask] = 0.55 * picture[mask] + 0.45 * np.array(colour)
    picture[find_boundaries(true, mode="inner") & (true > 0)] *= 0.6
    return picture


def table_text(table: pd.DataFrame) -> str:
    """Set a match table as text, as the lab notebook has it: matched, GT, predicted, image, and the ratios."""
    ratios = {c: "{:.4f}".format for c in ("precision", "recall", "f1", "pq") if c in table}
    return table.to_string(index=False, formatters=ratios)


def save_table(path: str | os.PathLike[str], table: pd.DataFrame) -> None:
    """Write a table as CSV, atomically."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False)
