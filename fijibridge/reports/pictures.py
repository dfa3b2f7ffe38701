"""Pictures of images, cells and outcomes of a match, as (Y, X) or (Y, X, 3) arrays from 0 to 1."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from skimage.segmentation import find_boundaries

from fijibridge.cells.matching.matches import Matching
from fijibridge.colors import color_index, palette
from fijibridge.image import Array, as_image, values
from fijibridge.renames import object_before_path
from fijibridge.reports.plots import plain_name, save_figure

Colours = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """An image's row in :func:`save_comparison`; all arrays are (Y, X)."""

    name: str
    image: Array
    probability: Array
    true: Array
    pred: Array
    matching: Matching


@dataclass(frozen=True)
class Outcome:
    """Outcomes of the cells of an image; `picture` is (Y, X, 3)."""

    name: str
    picture: Colours
    matching: Matching


@object_before_path
def save_outcomes(outcomes: list[Outcome], path: str | os.PathLike[str]) -> None:
    """Save pictures of outcomes side by side, up to four in a row."""
    columns = min(4, len(outcomes))
    rows = -(-len(outcomes) // columns)
    figure = Figure(figsize=(4.5 * columns, 4.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)
    for axis, outcome in zip(axes, outcomes, strict=False):
        m = outcome.matching
        axis.imshow(outcome.picture, interpolation="nearest")
        axis.set_title(
            f"{plain_name(outcome.name)}: {m.tp} of {m.n_true}, F1 {m.f1:.3f}\n{outcome_words(m)}", fontsize=9
        )
    for axis in axes:
        axis.set_axis_off()
    save_figure(figure, path)


def draw_outline(picture: Colours, mask: npt.NDArray[np.bool_], color: str) -> None:
    """Draw the outline of a region into a (Y, X, 3) picture, on the outermost pixels of the region."""
    picture[find_boundaries(mask, mode="inner")] = to_rgb(color)


@object_before_path
def save_comparison(panels: list[Panel], path: str | os.PathLike[str]) -> None:
    """Save a picture with one row per image: the image, its probability, its predicted cells, and the outcomes."""
    rows = len(panels)
    figure = Figure(figsize=(14, 3.7 * rows + 0.3))
    figure.set_layout_engine("constrained", h_pad=0.1)
    axes = figure.subplots(rows, 4, squeeze=False)
    for row, panel in zip(axes, panels, strict=True):
        painted = outcome_picture(panel.image, panel.true, panel.pred, panel.matching)
        pictures = (grey(panel.image), values(panel.probability), label_colours(panel.pred), painted)
        m = panel.matching
        found = f"{m.tp} of {m.n_true} cells found, F1 {m.f1:.3f}\n{outcome_words(m)}"
        titles = (plain_name(panel.name), "membrane probability", f"{m.n_pred} predicted cells", found)
        for axis, picture, title in zip(row, pictures, titles, strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set_title(title, fontsize=9)
            axis.set_axis_off()
    save_figure(figure, path)


def outcome_words(matching: Matching) -> str:
    """Return a text with the number of cells of each wrong outcome, and the colour of this outcome."""
    names = {"missed": "orange", "merged": "blue", "split": "yellow", "extra": "pink"}
    counts = matching.outcomes()
    return ", ".join(f"{counts[kind]} {kind} ({colour})" for kind, colour in names.items() if counts[kind])


def grey(image: Array) -> npt.NDArray[np.float64]:
    """Scale intensities so that their 0.5 and 99.5 percentiles become 0 and 1."""
    array = values(image).astype(float)
    finite = array[np.isfinite(array)]
    low, high = np.percentile(finite, (0.5, 99.5)) if finite.size else (0.0, 1.0)
    return np.asarray(np.clip((np.nan_to_num(array, nan=low) - low) / max(high - low, 1e-12), 0, 1))


def plane_of(image: Array, z: int | None) -> npt.NDArray[Any]:
    """Return a plane, or slice `z` of a volume; if the image has several channels, the first one is used."""
    named = as_image(image)
    image = named.isel(c=0) if "c" in named.dims else named
    return values(image) if z is None else values(image)[z]


def label_colours(labels: Array) -> Colours:
    """Return a (Y, X, 3) picture of the labels: each id in a colour of the palette, the background black."""
    return palette()[color_index(values(labels))] / 255


def outcome_picture(image: Array, true: Array, pred: Array, matching: Matching) -> Colours:
    """Return a (Y, X, 3) picture of the image with each cell in the colour of its outcome, and dark true outlines.

    The colours are :data:`fijibridge.colors.OUTCOME_COLORS`; true cells cover unmatched predicted cells.
    """
    plain = np.repeat(grey(image)[..., None], 3, axis=-1)
    picture = plain.copy()
    cells = matching.cells()
    wrong = cells[cells["true"].isna()]
    for labels, ids, colors in (
        (values(pred), wrong["predicted"], wrong["color"]),
        (values(true), cells["true"], cells["color"]),
    ):
        for color in set(colors[ids.notna()]):
            mask = np.isin(labels, ids[ids.notna() & (colors == color)].astype(np.int64))
            picture[mask] = 0.5 * plain[mask] + 0.5 * np.array(to_rgb(color))
    picture[find_boundaries(values(true), mode="inner") & (values(true) > 0)] *= 0.6
    return picture
