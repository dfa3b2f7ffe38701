"""Plots of tables."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.scaling.ceiling import ENOUGH
from fijibridge.cells.segmentation.tuning import Tuning
from fijibridge.files import atomic

_PANELS = {"recall": "matched share of the true cells", "f1": "F1", "membrane_accuracy": "membrane pixel accuracy"}


def new_figure(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    """Make a figure with one pair of axes; needs no display."""
    figure = Figure(figsize=(6, 4), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.3)
    return figure, axes


def save_figure(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Save a figure, atomically; the ending of the path selects the format."""
    with atomic(path) as temporary:
        figure.savefig(temporary, dpi=110)


def match_curve(matchings: Mapping[str, Sequence[Matching]]) -> Figure:
    """Plot F1 over the IoU threshold, with one line per image."""
    figure, axes = new_figure("Matched cells by IoU threshold", "IoU threshold", "F1")
    for name, found in matchings.items():
        points = sorted({(m.thresh, m.f1) for m in found})
        axes.plot(*zip(*points, strict=True), marker=".", label=plain_name(name))
    axes.set_ylim(0, 1.02)
    _legend(axes, len(matchings))
    return figure


def columns_by_index(table: pd.DataFrame, title: str) -> Figure:
    """Plot each column of a table over its index."""
    figure, axes = new_figure(plain_name(title), plain_name(str(table.index.name or "")), "")
    for column in table.columns:
        axes.plot(table.index, table[column], marker=".", label=plain_name(str(column)))
    _legend(axes, len(table.columns))
    return figure


def run_curves(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Plot the metrics of runs over the epoch: losses on the left, scores on the right; training metrics are dashed.

    Parameters
    ----------
    curves
        :attr:`fijibridge.Record.curves` of each run, by name: a table with one column per metric, indexed by epoch.
    """
    metrics = dict.fromkeys(str(column) for table in curves.values() for column in table.columns)
    kinds = {
        "loss": [m for m in metrics if m.endswith("loss")],
        "score": [m for m in metrics if not m.endswith("loss")],
    }
    shown = {kind: names for kind, names in kinds.items() if names} or {"loss": []}
    figure = Figure(figsize=(6 * len(shown), 4), dpi=110, layout="constrained")
    for axes, (kind, names) in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True):
        for number, (run, table) in enumerate(curves.items()):
            for metric in (name for name in names if name in table):
                style = "--" if metric.startswith("train") else "-"
                label = f"{run}: {metric}" if len(curves) > 1 else metric
                axes.plot(
                    table.index, table[metric], style, marker=".", label=plain_name(label), color=f"C{number}",
                )  # fmt: skip
        axes.set(xlabel="epoch", ylabel=kind)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
        _legend(axes, len(axes.get_lines()))
    return figure


def error_correlation(correlations: Mapping[str, pd.DataFrame]) -> Figure:
    """Plot the radial autocorrelation of wrong pixels, with one line per image."""
    figure, axes = new_figure("Do wrong pixels cluster?", "distance [px]", "autocorrelation of wrong pixels")
    for name, table in correlations.items():
        axes.plot(table["distance"][1:], table["correlation"][1:], label=plain_name(name))
    axes.axhline(0, color="black", linewidth=0.8)
    axes.axhline(1 / math.e, color="grey", linewidth=0.8, linestyle=":")
    _legend(axes, len(correlations))
    return figure


def plot_tuning(tuning: Tuning, path: str | os.PathLike[str]) -> None:
    """Save a plot of a tuning's score over its parameters.

    The parameter with the most values is on the x axis, the next one has one line per value, and all others are fixed
    at their best value. A circle marks the best combination.
    """
    best, varied = tuning.best, sorted(tuning.varied, key=lambda name: -tuning.table[name].nunique())
    x, lines, rest = (*varied, "method")[0], (*varied, "method", "method")[1], varied[2:]
    table = tuning.table.assign(method=best["method"])
    for name in rest:
        table = table[table[name] == best[name]]
    held = "".join(f", {name} {best[name]}" for name in rest)
    figure, axes = new_figure(f"{best['method']}, {len(tuning.table)} combinations{held}", x, tuning.metric)
    kind = float if pd.api.types.is_numeric_dtype(table[x]) and table[x].dtype != bool else str
    for value, rows in table.groupby(lines, sort=False):
        axes.plot(rows[x].astype(kind), rows[tuning.metric], marker=".", label=f"{lines} {value}")
    axes.plot([kind(best[x])], [tuning.score], "o", ms=12, mfc="none", mec="black", label="best")
    _legend(axes, table[lines].nunique())
    save_figure(figure, path)


def plot_ceiling(table: pd.DataFrame, path: str | os.PathLike[str]) -> None:
    """Save a plot of the results of :func:`fijibridge.ceiling` over the factor, with two lines per method.

    Parameters
    ----------
    table
        Table that :func:`fijibridge.ceiling` returned.
    path
        Path of the picture; its ending selects the format.
    """
    figure = Figure(figsize=(13, 4.4), layout="constrained")
    figure.suptitle(str(table.attrs.get("answer", "")), fontsize=9, wrap=True)
    for axes, (column, title) in zip(figure.subplots(1, len(_PANELS)), _PANELS.items(), strict=True):
        _ceiling_lines(axes, table, column)
        axes.set(xlabel="downscaling factor", ylabel=title, ylim=(0, 1.02), xticks=sorted(set(table["factor"])))
        axes.grid(alpha=0.3)
    figure.axes[0].axhline(ENOUGH, color="black", linewidth=0.8, linestyle=":")
    figure.axes[0].legend(fontsize=8)
    save_figure(figure, path)


def _ceiling_lines(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """Draw two lines per method, in one colour: solid with growing, dashed without."""
    for number, method in enumerate(dict.fromkeys(table["method"])):
        for grow, style in ((True, "-"), (False, "--")):
            rows = table[(table["method"] == method) & (table["grow"] == grow)].sort_values("factor")
            label = f"{method}, grown" if grow else str(method)
            axes.plot(rows["factor"], rows[column], style, color=f"C{number}", marker=".", label=label)


def plain_name(name: str) -> str:
    """Escape a name for matplotlib, where dollars enclose a formula and legends skip names that begin with "_"."""
    return "\u200b" + name.replace("$", r"\$")


def _legend(axes: Axes, lines: int) -> None:
    if 0 < lines <= 12:
        axes.legend(fontsize=7)
