"""Fiji as the host of a verb: gives it the images that are open, and shows what it found."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from fijibridge.errors import Cancelled, NoImageError, RoiError
from fijibridge.fiji import imageplus, undo, windows
from fijibridge.fiji import rois as fiji_rois
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.verbs.dialog_fields import MANAGER, OVERLAY
from fijibridge.verbs.parameters import Kind, Parameter
from fijibridge.verbs.results import Measure, Outlines, Result, Say, ShowCurves, ShowImage, ShowLabels, ShowTable

if TYPE_CHECKING:
    from fijibridge.fiji.session.fiji import Fiji


class FijiHost:
    """Where one call of a verb takes its inputs, and gives what it found.

    Parameters
    ----------
    fiji
        The session.
    overwrite
        Whether an open image that is called as a result is may be replaced, whoever made or changed it.
    ask
        Asks a person whether the open image of a title, which was changed, may be replaced: None for neither that nor
        anything else. Left out, nobody is asked, and it is kept.
    """

    def __init__(self, fiji: Fiji, overwrite: bool = False, ask: Callable[[str], bool | None] | None = None):
        self._fiji = fiji
        self.overwrite = overwrite
        self._ask = ask
        self._answers: dict[str, bool] = {}
        self._ids: dict[str, int] = {}
        self.named: dict[str, str] = {}
        """What each input is called, so that a macro that is recorded does not depend on which image is active."""

    def take(self, parameter: Parameter, value: Any, taken: Mapping[str, xr.DataArray]) -> xr.DataArray:
        """Return the open image of a title, pattern or id, the active one for none, or the cells that are drawn."""
        text = str(value)
        if self.drawn(parameter, value):
            return self._drawn(parameter, MANAGER if text.lower() == MANAGER.lower() else OVERLAY, taken)
        imp = windows.find(_which(text))
        self._ids[parameter.name] = int(imp.getID())
        title = str(imp.getTitle())
        self.named[parameter.name] = title if len(windows.titled(title)) == 1 else str(imp.getID())
        return self._fiji.image(int(imp.getID()))

    def drawn(self, parameter: Parameter, value: Any) -> bool:
        """Whether cells are those of the ROI Manager or the overlay."""
        return parameter.kind is Kind.cells and str(value).lower() in (MANAGER.lower(), OVERLAY)

    def _drawn(self, parameter: Parameter, source: str, taken: Mapping[str, xr.DataArray]) -> xr.DataArray:
        from fijibridge.cells.corrections import drawn_cells  # scipy comes with it

        first = next((name for name in taken if name in self._ids), None)
        if first is None:
            raise RoiError(f"the cells are those of the {source}, but of which image? Give the verb an image")
        which = self._ids[first]
        found = fiji_rois.from_java(self._fiji._java_rois("manager" if source == MANAGER else "overlay", which))
        cells = drawn_cells(found, taken[first])
        if cells is None:
            told = f"areas are added to it with [{'t' if source == MANAGER else 'b'}]"
            if source == MANAGER and self._fiji.mode == "headless":
                told = f"without windows there is none, use the {OVERLAY}"
            raise RoiError(f"the {source} holds no areas that could be the cells of {taken[first].name!r}: {told}")
        self._ids[parameter.name] = which
        self.named[parameter.name] = source
        return cells.rename(taken[first].name)

    def prepare(self, results: Sequence[Result]) -> None:
        """Ask the person about what they changed and did not save, before anything is shown.

        Raises
        ------
        Cancelled
            If they want none of it.
        """
        names = {result.name for result in results if isinstance(result, ShowImage | ShowLabels)}
        if self._ask is None or self.overwrite:
            return
        for name in sorted(names):
            there = windows.titled(name)
            if len(there) == 1 and there[0].getProperty(_RESULT) is not None and undo.unsaved(there[0]):
                answer = self._ask(name)
                if answer is None:
                    raise Cancelled("cancelled")
                self._answers[name] = answer

    @property
    def replaced(self) -> bool:
        """Whether what was changed is replaced, which a macro must say to do the same."""
        return self.overwrite or any(self._answers.values())

    def _place(self, name: str) -> str:
        """Return the title under which a result is shown: its name, if it is free or what is called so may go."""
        there = windows.titled(name)
        if not there:
            return name
        made = all(imp.getProperty(_RESULT) is not None for imp in there)
        taken = not made and any(int(imp.getID()) in self._ids.values() for imp in there)
        if len(there) > 1 or taken or not (made or self.overwrite):
            return windows.free_title(name)
        if self.overwrite or self._answers.get(name, False) or not undo.unsaved(there[0]):
            return name
        free = _free_result(name)
        if name not in self._answers:
            told = f"{name!r} was changed and is not saved: the result is {free!r} (overwrite=true replaces it)"
            self._fiji.log(f"FijiBridge: {told}")
        return free

    def _activated(self, name: str) -> str:
        """Return the title under which a result is shown; an open image of it is the active one from now on.

        ImageJ forgets what Edit > Undo would undo when another window becomes the active one.
        """
        title = self._place(name)
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
                fiji.select(int(imp.getID()))  # a window that is used again is not the active one by itself
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
                if self._ask is None:  # else it is a person's, who works on meanwhile
                    for imp in windows.titled(title):
                        fiji.select(int(imp.getID()))
            case Measure(rois, on, measurements, channel):
                fiji.measure(rois, self._open(on), measurements, channel=channel)
            case Say(text):
                fiji.log(text)

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
            self._fiji.log("Without windows ImageJ has no ROI Manager: the cells are the overlay of the image")

    def _open(self, parameter: str) -> int:
        """Return the id of the image that a parameter named."""
        which = self._ids.get(parameter)
        if which is None or which not in self._fiji.ids():
            raise NoImageError(f"the image of {parameter!r} was closed before the result could be shown in it")
        return which


_RESULT = "fijibridge.result"
"""The property of images that a verb made, which its next result of that name replaces. It is not saved with them."""


def _free_result(name: str) -> str:
    """Return the name with the first of -1, -2 ... that is free, or that of a result that may be replaced."""
    count = 1
    while True:
        title = f"{name}-{count}"
        there = windows.titled(title)
        if not there or (len(there) == 1 and there[0].getProperty(_RESULT) is not None and not undo.unsaved(there[0])):
            return title
        count += 1


def _made_here(title: str) -> Any:
    imp = windows.find(title)
    imp.setProperty(_RESULT, title)
    return imp


def _which(text: str) -> windows.Which:
    """Return what names an image: nothing for the active one, a title or pattern, or an id, a negative number."""
    if not text.strip():
        return None
    if re.fullmatch(r"-\d+", text) and not windows.titled(text):
        return int(text)
    return text
