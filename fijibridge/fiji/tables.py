"""Tables: conversion between ImageJ's ResultsTable and pandas, and callbacks for clicks on rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.errors import SessionError
from fijibridge.fiji import rois, windows
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.jvm.lifetime import state
from fijibridge.fiji.windows import Which, headless
from fijibridge.imagej.tables import columns_of, with_index


def to_dataframe(table: Any) -> pd.DataFrame:
    """Copy a ResultsTable into a DataFrame of float64 and str columns; empty cells become NaN or ``""``."""
    return frame_of(classes.tables().columns(table))


def frame_of(columns: Any) -> pd.DataFrame:
    """Return a DataFrame of columns from a Java Map, which contains a double[] or String[] for each name."""
    return pd.DataFrame({str(entry.getKey()): _values(entry.getValue()) for entry in columns.entrySet()})


def _values(column: Any) -> npt.NDArray[np.float64] | list[str]:
    if isinstance(column, jpype.JArray(jpype.JDouble)):
        return np.array(column[:], float)
    return [str(text) for text in column]


def from_dataframe(frame: pd.DataFrame) -> Any:
    """Copy a DataFrame into a new ResultsTable.

    Missing values become NaN. Whole numbers are shown without decimal places. A named index becomes the first column.
    """
    columns = columns_of(frame) if len(frame) else {}
    arrays = [
        jpype.JArray(jpype.JDouble)(values) if isinstance(values, np.ndarray) else jpype.JArray(jpype.JString)(values)
        for values in columns.values()
    ]
    names = jpype.JArray(jpype.JString)(list(columns))
    return classes.tables().of(len(frame), names, jpype.JArray(jpype.JObject)(arrays))


def find_table(name: str) -> Any:
    """Return the open ResultsTable with a title; None if no such table is open."""
    if name == "Results":
        table = jpype.JClass("ij.measure.ResultsTable").getResultsTable()
        return table if int(table.size()) else None
    if headless():
        return state.tables.get(name)
    panel = panel_of(name)
    return None if panel is None else panel.getResultsTable()


def panel_of(name: str) -> Any:
    """Return the text panel of an open table; None if it has no window."""
    if headless():
        return None
    window = jpype.JClass("ij.WindowManager").getWindow(name)
    return window.getTextPanel() if isinstance(window, jpype.JClass("ij.text.TextWindow")) else None


def table_names() -> list[str]:
    """Return the titles of the open tables."""
    if headless():
        return [*(["Results"] if find_table("Results") is not None else []), *state.tables]
    shown = jpype.JClass("ij.WindowManager").getNonImageWindows() or ()
    text = jpype.JClass("ij.text.TextWindow")
    return [str(w.getTitle()) for w in shown if isinstance(w, text) and w.getTextPanel().getResultsTable() is not None]


def show(table: Any, name: str, interactive: bool) -> None:
    """Show a ResultsTable. If a window with that title is open, it is used; without windows, the table is only kept."""
    if not interactive and name != "Results":
        state.tables[name] = table
    if name == "Results":
        # this empties the window, and resets the decimal places
        jpype.JClass("ij.plugin.filter.Analyzer").setResultsTable(table)
        classes.tables().setDecimals(table)
    if interactive:
        table.show(name)


Selected = Callable[[str, int, int], object]


def follow(name: str, selected: Selected) -> None:
    """Call a function with the label, the slice and the frame (0 if unknown) of each row that the user clicks."""
    panel = panel_of(name)
    if panel is not None:
        call = {"accept": lambda label, place: selected(str(label), int(place[0]), int(place[1]))}
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


# --- tables of a session ----------------------------------------------------------------------------


def copy_table(name: str) -> pd.DataFrame:
    """Copy the open table with a title into Python.

    Raises
    ------
    SessionError
        If no table with this title is open.
    """
    table = find_table(name)
    if table is None:
        raise SessionError(f"there is no open table {name!r}; open tables: {table_names()}")
    return to_dataframe(table)


class Tables:
    """The tables that one session shows. For undo, the previous table of each title is kept."""

    def __init__(self) -> None:
        self._before: dict[str, Any] = {}

    def show(
        self,
        frame: pd.DataFrame | pd.Series | Mapping[str, Any],
        name: str = "Results",
        select_in: Which = None,
        *,
        add: bool = False,
    ) -> None:
        """Show a DataFrame as a table; parameters as for :meth:`fijibridge.Fiji.show_table`."""
        frame = _as_dataframe(frame)
        imp = None if select_in is None else windows.find(select_in)
        with windows.one_at_a_time():  # else rows are lost if two threads append to the same table
            there = find_table(name)
            if there is not None:
                self._before[name] = there.clone()
                if add:
                    frame = pd.concat([to_dataframe(there), with_index(frame)], ignore_index=True)
            show(from_dataframe(frame), name, not headless())
        if imp is None:
            unfollow(name)
        else:
            image_id = int(imp.getID())
            follow(name, lambda label, slice, frame: rois.select_named(image_id, label, slice, frame))

    def undo(self, name: str) -> bool:
        """Restore the table that was last replaced under a title; return False if no table was replaced."""
        before = self._before.get(name)
        if before is not None:
            self.show(to_dataframe(before), name)
        return before is not None


def _as_dataframe(frame: pd.DataFrame | pd.Series | Mapping[str, Any]) -> pd.DataFrame:
    if isinstance(frame, pd.DataFrame):
        return frame
    if not isinstance(frame, Mapping | pd.Series):
        raise SessionError(f"show_table() expects a DataFrame or a mapping of columns, not {type(frame).__name__}")
    try:
        return pd.DataFrame(frame)
    except ValueError as error:
        raise SessionError(f"these columns do not form a table; each needs one value per row: {error}") from error
