"""The picture of a ceiling study."""

from __future__ import annotations

import os

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fijibridge.cells.scaling.ceiling import ENOUGH
from fijibridge.files import atomic

_PANELS = {"recall": "matched share of the true cells", "f1": "F1", "membrane_accuracy": "membrane pixel accuracy"}


def plot_ceiling(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Save a picture of what :func:`fijibridge.ceiling` found, by factor, a line per method.

    Parameters
    ----------
    table
        As the function returns it.
    path
        Of the picture; its ending says the format.
    """
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    figure.suptitle(str(table.attrs.get("answer", "")), fontsize=9, wrap=True)
    for axes, (column, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        _lines(axes, table, column)
        axes.set(xlabel="downscaling factor", ylabel=title, ylim=(0, 1.02), xticks=sorted(set(table["factor"])))
        axes.grid(alpha=0.3)
    figure.axes[0].axhline(ENOUGH, color="black", linewidth=0.8, linestyle=":")
    figure.axes[0].legend(fontsize=8)
    FigureCanvasAgg(figure)
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)


def _lines(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """Draw a colour per method: full with growing, dashed without."""
    for number, method in enumerate(dict.fromkeys(table["method"])):
        for grow, style in ((True, "-"), (False, "--")):
            rows = table[(table["method"] == method) & (table["grow"] == grow)].sort_values("factor")
            label = f"{method}, grown" if grow else str(method)
            axes.plot(rows["factor"], rows[column], style, color=f"C{number}", marker=".", label=label)
