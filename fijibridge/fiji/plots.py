"""Plots in ImageJ's plot windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.errors import ImageError
from fijibridge.fiji import windows
from fijibridge.fiji.jvm import classes
from fijibridge.imagej.tables import curves_to_plot


def line_plot(curves: pd.DataFrame, title: str, xlabel: str, ylabel: str) -> Any:
    """Return an ``ij.gui.Plot`` of the columns of a DataFrame against its index; missing values are omitted.

    Raises
    ------
    ImageError
        If no column contains a finite number.
    """
    x, curves = curves_to_plot(curves)
    names = jpype.JArray(jpype.JString)([str(name) for name in curves.columns])
    columns = jpype.JArray(jpype.JDouble, 2)([_doubles(curves[name]) for name in curves.columns])
    return classes.plots().lines(title, xlabel, ylabel, _doubles(x), names, columns)


def histogram_plot(values: npt.NDArray[Any], bins: int, title: str, xlabel: str) -> Any:
    """Return an ``ij.gui.Plot`` with the histogram of the finite numbers."""
    numbers = np.asarray(values, float).ravel()
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        raise ImageError("there is nothing to plot: no value is finite")
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
    """Convert the argument of ``fiji.plot`` into a DataFrame."""
    if isinstance(data, pd.DataFrame):
        return data
    if isinstance(data, pd.Series):
        return data.to_frame(str(data.name or "value"))
    if isinstance(data, Mapping):
        return pd.DataFrame({name: pd.Series(list(values)) for name, values in data.items()})
    array = np.asarray(data, float)
    if array.ndim != 1:
        raise ImageError(f"plot() expects a table or a list of numbers, not an array of shape {array.shape}")
    return pd.DataFrame({"value": array})


_ASKED = "fijibridge.plot"
"""Property of a plot's image: the requested name, and the unique title that it was given."""


def show(plot: Any, name: str) -> Any:
    """Show an ``ij.gui.Plot``, and return its image; an open plot with that name is replaced."""
    with windows.one_at_a_time():
        there = next((imp for imp in windows.open_images() if _is_plot(imp, name)), None)
        return open_plot(plot, name) if there is None else redraw(there, plot)


def open_plot(plot: Any, name: str) -> Any:
    """Open a window for a plot, and return its image; the title is made unique."""
    title = windows.free_title(name)
    headless = windows.headless()
    imp = plot.getImagePlus() if headless else plot.show().getImagePlus()
    imp.setTitle(title)
    imp.setProperty(_ASKED, f"{name}\n{title}")
    if headless:
        imp.show()
    return imp


def redraw(imp: Any, plot: Any) -> Any:
    """Draw a plot in the window of an earlier plot, and return the image. A closed window stays closed."""
    window = imp.getWindow()
    if window is not None and isinstance(window, jpype.JClass("ij.gui.PlotWindow")):
        window.drawPlot(plot)
    else:
        imp.setProcessor(None, plot.getProcessor())
        plot.setImagePlus(imp)
    return imp


def _is_plot(imp: Any, name: str) -> bool:
    """Tell whether an open image is the plot with a name, rather than another image with that title."""
    title = str(imp.getTitle())
    asked = title == name or str(imp.getProperty(_ASKED)) == f"{name}\n{title}"
    return asked and imp.getProperty("thePlot") is not None
