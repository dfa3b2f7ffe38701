"""Plots in Fiji."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.errors import ImageError
from fijibridge.fiji.jvm import classes
from fijibridge.imagej.tables import curves_to_plot


def line_plot(curves: pd.DataFrame, title: str, xlabel: str, ylabel: str) -> Any:
    """Return an ``ij.gui.Plot`` of the columns of a DataFrame over its index; missing values are left out.

    Raises
    ------
    ImageError
        If there is nothing to plot.
    """
    x, curves = curves_to_plot(curves)
    names = jpype.JArray(jpype.JString)([str(name) for name in curves.columns])
    columns = jpype.JArray(jpype.JDouble, 2)([_doubles(curves[name]) for name in curves.columns])
    return classes.plots().lines(title, xlabel, ylabel, _doubles(x), names, columns)


def histogram_plot(values: npt.NDArray[Any], bins: int, title: str, xlabel: str) -> Any:
    """Return an ``ij.gui.Plot`` with the histogram of some numbers."""
    numbers = np.asarray(values, float).ravel()
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        raise ImageError("there is nothing to plot: no finite number")
    counts, edges = np.histogram(numbers, bins)
    plot = jpype.JClass("ij.gui.Plot")(title, xlabel, "count")
    color = classes.plots().color(0)
    plot.setColor(color, color)
    plot.add("bar", _doubles((edges[1:] + edges[:-1]) / 2), _doubles(counts))
    plot.setLimits(float(edges[0]), float(edges[-1]), 0.0, float(counts.max()) * 1.05)
    return plot


def _doubles(values: npt.ArrayLike) -> Any:
    return jpype.JArray(jpype.JDouble)(np.asarray(values, float))


def curves_of(data: pd.DataFrame | pd.Series | Mapping[str, Sequence[float]] | npt.ArrayLike) -> pd.DataFrame:
    """Return what a user hands to ``fiji.plot`` as a DataFrame."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, pd.Series):
        return data.to_frame(str(data.name or "value"))
    if isinstance(data, Mapping):
        return pd.DataFrame({name: pd.Series(list(values)) for name, values in data.items()})
    array = np.asarray(data, float)
    if array.ndim != 1:
        raise ImageError(f"a plot takes a table or a list of numbers, not an array of shape {array.shape}")
    return pd.DataFrame({"value": array})
