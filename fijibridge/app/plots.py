"""Plots of tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fijibridge.cells.matching import Matching


def new_figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes, without a display."""
    figure = Figure(figsize=(6, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    return figure, axes


def match_curve(matchings: Mapping[str, Sequence[Matching]]) -> Figure:
    """Plot the F1 of images at their thresholds of IoU."""
    figure, axes = new_figure("Cells found, by how well they must fit", "IoU threshold", "F1")
    for name, found in matchings.items():
        points = sorted({(m.thresh, m.f1) for m in found})
        axes.plot(*zip(*points, strict=True), marker=".", label=name)
    axes.set_ylim(0, 1.02)
    _legend(axes, len(matchings))
    return figure


def error_correlation(correlations: Mapping[str, pd.DataFrame]) -> Figure:
    """Plot the radial autocorrelation of wrong pixels, by image."""
    figure, axes = new_figure("Do wrong pixels cluster?", "distance [px]", "autocorrelation of wrong pixels")
    for name, table in correlations.items():
        axes.plot(table["distance"][1:], table["correlation"][1:], label=name)
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhline(1 / np.e, color="grey", linewidth=0.8, linestyle=":")
    _legend(axes, len(correlations))
    return figure


def _legend(axes: Axes, lines: int) -> None:
    if lines <= 12:
        axes.legend(fontsize=7)
