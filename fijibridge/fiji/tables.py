"""Tables: between ImageJ's ResultsTable and pandas, and what a click on a row does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.errors import SessionError
from fijibridge.fiji import rois, windows
from fijibridge.fiji.windows import Which, headless
from fijibridge.imagej.tables import columns_of, with_index

LABEL = "label"
"""The column that names a row's cell."""

_EMPTY = ("NaN", "Infinity", "-Infinity", "", "null")


def to_dataframe(table: Any) -> pd.DataFrame:
    """Copy a ResultsTable into a DataFrame: numbers as float64, text as str; empty cells as NaN, in text as ``""``."""
    columns: dict[str, Any] = {}
    for heading in (str(h) for h in table.getHeadings()):
        if heading in ("", " "):
            continue
        index = int(table.getColumnIndex(heading)) if heading != "Label" else -1
        found = None if index < 0 else table.getColumnAsDoubles(index)
        numbers = None if found is None else np.array(found[:], float)
        if numbers is not None and np.isfinite(numbers).all():
            columns[heading] = numbers
            continue
        text = [str(v) for v in table.getColumnAsStrings(heading)]
        columns[heading] = numbers if numbers is not None and _is_numeric(text, numbers) else text
    return pd.DataFrame(columns)


def _is_numeric(text: Sequence[str], numbers: npt.NDArray[np.float64]) -> bool:
    """Tell numbers from text: a text cell reads as NaN, but is not written so."""
    return all(np.isfinite(v) or t in _EMPTY for t, v in zip(text, numbers, strict=True))


def from_dataframe(frame: pd.DataFrame) -> Any:
    """Copy a DataFrame into a new ResultsTable; missing values become NaN, whole-number columns get no decimals.

    An index with a name becomes the first column.
    """
    table = jpype.JClass("ij.measure.ResultsTable")(jpype.JClass("java.lang.Integer").valueOf(len(frame)))
    for name, values in columns_of(frame).items() if len(frame) else ():
        if isinstance(values, np.ndarray):
            table.setValues(name, jpype.JArray(jpype.JDouble)(values))
        else:
            for row, text in enumerate(values):
                table.setValue(name, row, text)
    _set_decimals(table)
    return table


def _set_decimals(table: Any) -> None:
    """Show columns of whole numbers, and gaps, without decimals, others with four."""
    for heading in (str(h) for h in table.getHeadings()):
        index = int(table.getColumnIndex(heading))
        found = table.getColumnAsDoubles(index) if index >= 0 else None
        if found is not None:
            numbers = np.array(found[:], float)
            table.setDecimalPlaces(index, 0 if ((numbers == np.round(numbers)) | np.isnan(numbers)).all() else 4)


kept: dict[str, Any] = {}
"""The tables but ``Results`` that are open without a display, where ImageJ has no place for them."""


def find_table(name: str) -> Any:
    """Return the open ResultsTable of a title; None if there is none."""
    if name == "Results":
        table = jpype.JClass("ij.measure.ResultsTable").getResultsTable()
        return table if int(table.size()) else None
    if headless():
        return kept.get(name)
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
        return [*(["Results"] if find_table("Results") is not None else []), *kept]
    shown = jpype.JClass("ij.WindowManager").getNonImageWindows() or ()
    text = jpype.JClass("ij.text.TextWindow")
    return [str(w.getTitle()) for w in shown if isinstance(w, text) and w.getTextPanel().getResultsTable() is not None]


def show(table: Any, name: str, interactive: bool) -> None:
    """Show a ResultsTable, in the window of that title if it is open."""
    if not interactive and name != "Results":
        kept[name] = table
    if name == "Results":
        # which empties the window, and forgets the decimals
        jpype.JClass("ij.plugin.filter.Analyzer").setResultsTable(table)
        _set_decimals(table)
    if interactive:
        table.show(name)


_followed: dict[int, Any] = {}
"""What listens to each open panel, by its identity in Java: kept, for Java does not keep what Python made."""


Selected = Callable[[str, int], object]


def unfollow(name: str) -> None:
    """Call nobody back for a table any more."""
    panel = panel_of(name)
    for follower in _followed.values():
        if panel is not None and follower.panel.equals(panel):
            follower.selected = lambda label, position: None


def unfollow_all() -> None:
    """Take our listeners off all tables."""
    for follower in _followed.values():
        follower.stop()
    _followed.clear()


def follow(name: str, selected: Selected) -> None:
    """Call back with the label, and the slice or 0, of the row that the user clicks."""
    panel = panel_of(name)
    if panel is None:
        return
    for number in [n for n, follower in _followed.items() if not follower.panel.isDisplayable()]:
        del _followed[number]  # its window was closed
    key = int(jpype.JClass("java.lang.System").identityHashCode(panel))
    if key in _followed:
        _followed[key].selected = selected
        return
    _followed[key] = _Follower(panel, selected)


class _Follower:
    """Listens to a table's panel."""

    def __init__(self, panel: Any, selected: Selected):
        self.panel, self.selected = panel, selected
        nothing = dict.fromkeys(("mouseClicked", "mousePressed", "mouseEntered", "mouseExited"), lambda event: None)
        self._mouse = jpype.JProxy("java.awt.event.MouseListener", dict=nothing | {"mouseReleased": self._chosen})
        panel.addMouseListener(self._mouse)

    def stop(self) -> None:
        """Listen no more."""
        for part in self.panel.getComponents():  # ImageJ's panel adds listeners to its canvas, and removes none there
            part.removeMouseListener(self._mouse)

    def _chosen(self, _: Any) -> None:
        table, row = self.panel.getResultsTable(), int(self.panel.getSelectionStart())
        if table is None or not 0 <= row < int(table.size()) or not table.columnExists(LABEL):
            return
        number = float(table.getValue(LABEL, row))
        whole = np.isfinite(number) and number == round(number)
        position = int(table.getValue("slice", row)) if table.columnExists("slice") else 0
        self.selected(str(round(number)) if whole else str(table.getStringValue(LABEL, row)), position)


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
        raise SessionError(f"no open table {name!r}; open are {table_names()}")
    return to_dataframe(table)


class Tables:
    """The tables that one session shows, and for each the one it replaced last."""

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
        """Show a DataFrame as a table: the parameters are those of :meth:`fijibridge.Fiji.show_table`."""
        frame = _as_dataframe(frame)
        imp = None if select_in is None else windows.find(select_in)
        with windows.one_at_a_time():  # else two threads add to the same rows, and the rows of one are lost
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
            follow(name, lambda label, position: rois.select_named(image_id, label, position))

    def undo(self, name: str) -> bool:
        """Show the table again that was replaced last under a title; False if none was."""
        before = self._before.get(name)
        if before is not None:
            self.show(to_dataframe(before), name)
        return before is not None


def _as_dataframe(frame: pd.DataFrame | pd.Series | Mapping[str, Any]) -> pd.DataFrame:
    if isinstance(frame, pd.DataFrame):
        return frame
    if not isinstance(frame, Mapping | pd.Series):
        raise SessionError(f"show_table takes a DataFrame, or a mapping of columns, not {type(frame).__name__}")
    try:
        return pd.DataFrame(frame)
    except ValueError as error:
        raise SessionError(f"these columns make no table, each needs a value per row: {error}") from error
