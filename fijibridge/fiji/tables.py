"""Tables: between ImageJ's ResultsTable and pandas, and callbacks for rows that are clicked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.fiji.jvm import classes
from fijibridge.fiji.jvm.lifetime import state
from fijibridge.fiji.windows import headless
from fijibridge.imagej.tables import columns_of


def to_dataframe(table: Any) -> pd.DataFrame:
    """Copy a ResultsTable into a DataFrame: numbers as float64, text as str; empty cells as NaN, in text as ``""``."""
    return frame_of(classes.tables().columns(table))


def frame_of(columns: Any) -> pd.DataFrame:
    """Return Java's columns, a Map of double[] or String[] by name, as a DataFrame."""
    return pd.DataFrame({str(entry.getKey()): _values(entry.getValue()) for entry in columns.entrySet()})


def _values(column: Any) -> npt.NDArray[np.float64] | list[str]:
    if isinstance(column, jpype.JArray(jpype.JDouble)):
        return np.array(column[:], float)
    return [str(text) for text in column]


def from_dataframe(frame: pd.DataFrame) -> Any:
    """Copy a DataFrame into a new ResultsTable; missing values become NaN, whole-number columns get no decimals.

    An index with a name becomes the first column.
    """
    columns = columns_of(frame) if len(frame) else {}
    arrays = [
        jpype.JArray(jpype.JDouble)(values) if isinstance(values, np.ndarray) else jpype.JArray(jpype.JString)(values)
        for values in columns.values()
    ]
    names = jpype.JArray(jpype.JString)(list(columns))
    return classes.tables().of(len(frame), names, jpype.JArray(jpype.JObject)(arrays))


def find_table(name: str) -> Any:
    """Return the open ResultsTable of a title; None if there is none."""
    if name == "Results":
        table = jpype.JClass("ij.measure.ResultsTable").getResultsTable()
        return table if int(table.size()) else None
    if headless():
        return state.tables.get(name)
    panel = panel_of(name)
    return None if panel is None else panel.getResultsTable()


def panel_of(name: str) -> Any:
    """Return the text panel of an open table's window; None if there is none, as without a display."""
    if headless():
        return None
    window = jpype.JClass("ij.WindowManager").getWindow(name)
    return window.getTextPanel() if isinstance(window, jpype.JClass("ij.text.TextWindow")) else None


def table_names() -> list[str]:
    """Return the titles of the open tables."""
    if headless():
        return [*(["Results"] if find_table("Results") is not None else []), *state.tables]
    windows = jpype.JClass("ij.WindowManager").getNonImageWindows() or ()
    text = jpype.JClass("ij.text.TextWindow")
    return [
        str(w.getTitle()) for w in windows if isinstance(w, text) and w.getTextPanel().getResultsTable() is not None
    ]


def show(table: Any, name: str, interactive: bool) -> None:
    """Show a ResultsTable, in the window of that title if it is open."""
    if not interactive and name != "Results":
        state.tables[name] = table
    if name == "Results":
        # which empties the window, and forgets the decimals
        jpype.JClass("ij.plugin.filter.Analyzer").setResultsTable(table)
        classes.tables().setDecimals(table)
    if interactive:
        table.show(name)


Selected = Callable[[str, int], object]


def follow(name: str, selected: Selected) -> None:
    """Call back with the label, and the slice or 0, of the row that the user clicks."""
    panel = panel_of(name)
    if panel is not None:
        call = {"accept": lambda label, position: selected(str(label), int(position))}
        classes.tables().follow(panel, jpype.JProxy("java.util.function.BiConsumer", dict=call))


def unfollow(name: str) -> None:
    """Stop the callbacks of a table."""
    panel = panel_of(name)
    if panel is not None:
        classes.tables().unfollow(panel)


def unfollow_all() -> None:
    """Stop the callbacks of all tables."""
    for name in table_names():
        unfollow(name)
