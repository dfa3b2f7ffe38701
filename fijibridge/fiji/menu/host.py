"""Host of a verb in Fiji: open images are its inputs, and its results are shown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import jpype
import numpy as np
import pandas as pd
import xarray as xr

from fijibridge.errors import Cancelled, NoImageError, RoiError
from fijibridge.fiji import imageplus, windows
from fijibridge.fiji import rois as fiji_rois
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.jvm.lifetime import Mode
from fijibridge.fiji.menu import dialog
from fijibridge.fiji.windows import Which
from fijibridge.image import Array
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.rois import Roi
from fijibridge.verbs.dialog_fields import MANAGER, OVERLAY
from fijibridge.verbs.parameters import Kind, Parameter
from fijibridge.verbs.registry import verb_named
from fijibridge.verbs.results import Measure, Offer, Outlines, Result, Say, ShowCurves, ShowImage, ShowLabels, ShowTable


class Session(Protocol):
    """The session in which verbs run: the part of class ``Fiji`` that they need. ``Fiji`` imports this package."""

    mode: Mode
    closed: bool

    def ids(self) -> list[int]:
        """Return the ids of the open images."""

    def image(self, title: Which) -> xr.DataArray:
        """Copy an open image into Python."""

    def show(self, image: Any, name: str, *, limits: tuple[float, float] | None = None, overwrite: bool = False) -> str:
        """Show an array as an image, and return the title."""

    def show_labels(self, labels: Array, *, name: str, overwrite: bool = False) -> str:
        """Show a label image, and return its title."""

    def show_table(self, frame: pd.DataFrame, name: str, select_in: Which = None, *, add: bool = False) -> None:
        """Show a table."""

    def plot_metrics(self, curves: pd.DataFrame, name: str) -> str:
        """Plot curves, and return the title of the plot."""

    def measure(
        self, cells: Sequence[Roi], image: Which, measurements: Sequence[str] | None, *, channel: int | str | None
    ) -> pd.DataFrame:
        """Measure ROIs, and show the table."""

    def select(self, title: Which) -> None:
        """Make an image the active one."""

    def progress(self, done: int, total: int) -> None:
        """Move the progress bar."""

    def status(self, text: str) -> None:
        """Show a text in the status bar."""

    def log(self, text: str) -> None:
        """Write a line to the log window."""


class FijiHost:
    """The host of one call of a verb.

    Parameters
    ----------
    fiji
        The session.
    ask
        Function that asks the user whether the open image with a title, which has unsaved changes, may be replaced; it
        returns None to cancel the call. By default nobody is asked, and the image is kept.
    """

    def __init__(self, fiji: Session, ask: Callable[[str], bool | None] | None = None):
        self._fiji = fiji
        self._ask = ask
        self._places: Any = None
        self._ids: dict[str, int] = {}
        self.named: dict[str, str] = {}
        """Name of each input, so that a recorded macro does not depend on the active image."""

    def take(self, parameter: Parameter, value: Any, taken: Mapping[str, xr.DataArray]) -> xr.DataArray:
        """Return an open image by title, pattern or id, the active image for an empty text, or drawn cells."""
        text = str(value)
        if self.drawn(parameter, value):
            return self._drawn(parameter, MANAGER if text.lower() == MANAGER.lower() else OVERLAY, taken)
        imp = windows.find(_which(text))
        self._ids[parameter.name] = int(imp.getID())
        title = str(imp.getTitle())
        self.named[parameter.name] = title if len(windows.titled(title)) == 1 else str(imp.getID())
        return self._fiji.image(int(imp.getID()))

    def drawn(self, parameter: Parameter, value: Any) -> bool:
        """Tell whether the cells are ROIs in the ROI Manager or the overlay."""
        return parameter.kind is Kind.cells and str(value).lower() in (MANAGER.lower(), OVERLAY)

    def _drawn(self, parameter: Parameter, source: str, taken: Mapping[str, xr.DataArray]) -> xr.DataArray:
        from fijibridge.cells.corrections import drawn_cells  # imports scipy

        first = next((name for name in taken if name in self._ids), None)
        if first is None:
            raise RoiError(f"the cells in the {source} belong to an image: pass this image to the verb, too")
        which = self._ids[first]
        found = fiji_rois.from_java(fiji_rois.find_rois("manager" if source == MANAGER else "overlay", which))
        cells = drawn_cells(found, taken[first])
        if cells is None:
            hint = f"add areas with [{'t' if source == MANAGER else 'b'}]"
            if source == MANAGER and self._fiji.mode == "headless":
                hint = f"without windows there is no {MANAGER}; use the {OVERLAY}"
            raise RoiError(f"the {source} has no areas that could be the cells of {taken[first].name!r}: {hint}")
        self._ids[parameter.name] = which
        self.named[parameter.name] = source
        return cells.rename(taken[first].name)

    @contextmanager
    def reserved(self, results: Sequence[Result], overwrite: bool = False) -> Iterator[None]:
        """Reserve the titles of results, which are shown inside the block; ask whether unsaved changes may be replaced.

        Parameters
        ----------
        results
            Results of the call.
        overwrite
            Replace an open image that has the title of a result, no matter who created or changed it.

        Raises
        ------
        Cancelled
            If the user cancels.
        """
        inputs = jpype.JClass("java.util.ArrayList")()
        for number in self._ids.values():
            inputs.add(windows.with_id(number))
        ask = None if self._ask is None else jpype.JProxy("java.util.function.Function", dict={"apply": self._ask_user})
        self._places = classes.places()(inputs, overwrite, ask)
        try:
            for result in results:
                if isinstance(result, ShowImage | ShowLabels):
                    self._title(result.name)
            yield
        finally:
            self._places.close()

    def _ask_user(self, title: Any) -> bool | None:
        return None if self._ask is None else self._ask(str(title))

    @property
    def replaces(self) -> bool:
        """True if images with unsaved changes are replaced; a recorded macro then needs the option ``overwrite``."""
        return bool(self._places.replaces())

    def _title(self, name: str) -> str:
        """Return the title reserved for a result."""
        try:
            return str(self._places.find(name))
        except classes.cancelled() as error:
            raise Cancelled("cancelled") from error

    def _activated(self, name: str) -> str:
        """Return the title of a result, and make an open image with that title the active one.

        This precedes the replacement, because ImageJ drops its Edit > Undo snapshot when another window is activated.
        """
        title = self._title(name)
        for imp in windows.titled(title):
            self._fiji.select(int(imp.getID()))
        return title

    def give(self, result: Result) -> None:
        """Show a result."""
        fiji = self._fiji
        match result:
            case ShowImage(image, name, limits, colors, _):
                with windows.one_at_a_time():
                    title = self._activated(name)
                    imp = _made_here(fiji.show(image, name=title, limits=limits, overwrite=True))
                number = result.first_number()
                if number is not None:
                    imp.setC(number)
                if colors is not None:
                    imp.setLut(imageplus.make_lut(LookupTable.of(np.asarray(colors))))
                    imp.updateAndDraw()
                fiji.select(int(imp.getID()))  # ImageJ does not activate a window whose image is replaced
            case ShowLabels(labels, name):
                with windows.one_at_a_time():
                    imp = _made_here(fiji.show_labels(labels, name=self._activated(name), overwrite=True))
                fiji.select(int(imp.getID()))
            case Outlines():
                self._outline(result)
            case ShowTable(table, name, add, select_in):
                fiji.show_table(table, name, None if select_in is None else self._open(select_in), add=add)
            case ShowCurves(table, name):
                title = fiji.plot_metrics(table, name)
                if self._ask is None:  # else the user is working in Fiji: leave their active image
                    for imp in windows.titled(title):
                        fiji.select(int(imp.getID()))
            case Measure(rois, on, measurements, channel):
                fiji.measure(rois, self._open(on), measurements, channel=channel)
            case Say(text):
                fiji.log(text)
            case Offer(verb, parameter, text):
                dialog.offer(verb_named(verb), parameter, text)

    def _outline(self, outlines: Outlines) -> None:
        imp = windows.find(self._open(outlines.over))
        if outlines.colors:
            known = fiji_rois.colors_of(outlines.rois, None)
            distinct = {roi.name: f"#{c & 0xFFFFFF:06x}" for roi, c in zip(outlines.rois, known, strict=True)}
            fiji_rois.outline(imp, outlines.rois, distinct | dict(outlines.colors))
        else:
            fiji_rois.outline(imp, outlines.rois, None)
        if outlines.manager and self._fiji.mode == "interactive":
            fiji_rois.add_to_manager(fiji_rois.to_java(outlines.rois, imp))
        elif outlines.manager:
            self._fiji.log("Without windows, ImageJ has no ROI Manager: the cells are in the overlay of the image")

    def _open(self, parameter: str) -> int:
        """Return the id of the image passed as a parameter."""
        which = self._ids.get(parameter)
        if which is None or which not in self._fiji.ids():
            raise NoImageError(f"the image for {parameter!r} was closed before the result could be shown in it")
        return which


def _made_here(title: str) -> Any:
    imp = windows.find(title)
    classes.places().mark(imp, title)
    return imp


def _which(text: str) -> Which:
    """Convert a text into a reference to an image: None if empty, an id if negative, else a title or pattern."""
    if not text.strip():
        return None
    if re.fullmatch(r"-\d+", text) and not windows.titled(text):
        return int(text)
    return text
