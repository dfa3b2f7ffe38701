"""Display of a training in Fiji: progress bar, curves and validation picture while it runs; later, its record."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import jpype
import numpy as np
import pandas as pd
import xarray as xr

from fijibridge.errors import UnsavedError
from fijibridge.fiji import imageplus, plots, updates, windows
from fijibridge.fiji.jvm.lifetime import Mode
from fijibridge.fiji.tables import Tables
from fijibridge.image import Array
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.metadata import imagej_text
from fijibridge.record import NOT_MEASURED, Record, picture_of

log = logging.getLogger("fijibridge")

_EVERY = 0.1  # seconds between two updates of the progress bar
_IDLE = 30.0  # seconds without a task after which the drawing thread ends
_PATIENCE = 2.0  # seconds that a training waits at its end for the last drawing


class Session(Protocol):
    """The session in which a monitor draws."""

    mode: Mode
    closed: bool

    def progress(self, done: int, total: int) -> None:
        """Move the progress bar."""

    def status(self, text: str) -> None:
        """Show text in the status bar."""

    def log(self, text: str) -> None:
        """Write a line to the log window."""

    def _ready(self) -> None:
        """Prepare a call into Java from this thread."""


class TrainingMonitor:
    """An observer that shows a training in Fiji: progress bar, status bar, growing curves and a validation picture.

    A training in a process that runs Fiji has this observer by default. A window that the user closes stays closed
    until the next training.

    Notes
    -----
    A single thread draws everything and skips outdated tasks, so a training does not wait for Java; only at its end, it
    waits up to 2 s. The first error is logged, and stops the drawing.
    """

    def __init__(self, fiji: Session, name: str = "Training"):
        self._fiji, self._name = fiji, name
        self._rows: list[Mapping[str, float]] = []
        self._windows: dict[str, int | None] = {}  # ImageJ id by kind, None once the user closed it
        self._moved = 0.0
        self._broken = self._over = False
        self._changed = threading.Condition()
        self._tasks: dict[str, Callable[[], object]] = {}
        self._drawing: threading.Thread | None = None
        self._busy = False

    # --- called by a training ---------------------------------------------------------------------------

    def progress(self, step: int, steps: int) -> None:
        """Move the progress bar."""
        now = time.monotonic()
        if now - self._moved >= _EVERY or step >= steps:
            self._moved = now
            self._post("progress", lambda: self._fiji.progress(step, steps))

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Add an epoch to the curves; the first epoch of another training starts new curves in new windows."""
        if self._over:
            self._rows, self._windows, self._over = [], {}, False
        known = {name: value for name, value in values.items() if name not in NOT_MEASURED}
        self._rows.append({"epoch": epoch, **known})
        rows = list(self._rows)
        text = ", ".join(f"{name} {value:.4f}" for name, value in known.items() if np.isfinite(value))
        self._post(f"epoch {epoch}", lambda: self._report(f"epoch {epoch}: {text}"))
        self._post("curves", lambda: self._draw_curves(rows))

    def picture(self, epoch: int, image: Array, prob: Array) -> None:
        """Show the validation image, overlaid with the network's probabilities."""
        joined = picture_of(image, prob)
        self._post("picture", lambda: self._draw_picture(joined))

    def ended(self, why: str) -> None:
        """Report why the training ended, and wait up to 2 s for the last drawing."""
        self._post("progress", lambda: self._fiji.progress(1, 1))
        self._post("end", lambda: self._report(f"training ended: {why}"))
        with self._changed:
            self._over = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._tasks and not self._busy, _PATIENCE)

    # --- on the drawing thread --------------------------------------------------------------------------

    def _report(self, text: str) -> None:
        self._fiji.status(text)
        if self._fiji.mode == "interactive":  # without windows, Fiji's log is the console
            self._fiji.log(text)

    def _draw_curves(self, rows: list[Mapping[str, float]]) -> None:
        curves = pd.DataFrame(rows).drop_duplicates("epoch", keep="last").set_index("epoch")
        if len(curves) > 1:
            self._in_window(
                "curves",
                lambda title: plots.open_plot(metrics_plot(curves, title), title),
                lambda imp: plots.redraw(imp, metrics_plot(curves, str(imp.getTitle()))),
            )

    def _draw_picture(self, picture: xr.DataArray) -> None:
        self._in_window(
            "picture",
            lambda title: updates.show_image(with_look(picture), title, new=True),
            lambda imp: _replace_picture(imp, picture),
        )

    def _in_window(self, kind: str, open_: Callable[[str], Any], redraw: Callable[[Any], Any]) -> None:
        """Draw in this training's window of a kind, which is opened the first time.

        Later calls find the window by its id, and only redraw it. A window that the user closes therefore stays closed,
        even if it is closed during a redraw.
        """
        self._fiji._ready()
        if kind not in self._windows:
            with windows.one_at_a_time(), windows.keeping_active():
                opened = open_(windows.free_title(f"{self._name} {kind}"))
            self._windows[kind] = int(opened.getID())
            return
        number = self._windows[kind]
        imp = None if number is None else windows.with_id(number)
        if imp is None:
            self._windows[kind] = None
            return
        try:
            self._windows[kind] = int(redraw(imp).getID())
        except UnsavedError:  # the user painted in the picture: keep it, and open a new window
            del self._windows[kind]
            self._in_window(kind, open_, redraw)
        except Exception:
            if windows.with_id(int(imp.getID())) is not None:
                raise
            self._windows[kind] = None  # closed during the redraw

    # --- the thread -------------------------------------------------------------------------------------

    def _post(self, kind: str, work: Callable[[], object]) -> None:
        """Queue a task for the drawing thread; it replaces a waiting task of the same kind."""
        if self._broken:
            return
        with self._changed:
            self._tasks[kind] = work
            if self._drawing is None:
                self._drawing = threading.Thread(target=self._draw, name="fijibridge-monitor", daemon=True)
                self._drawing.start()
            self._changed.notify_all()

    def _draw(self) -> None:
        try:
            while (work := self._next()) is not None:
                self._try(work)
        finally:
            if jpype.isJVMStarted():
                jpype.JClass("java.lang.Thread").detach()  # else Java keeps the thread

    def _next(self) -> Callable[[], object] | None:
        """Wait for the next task, and return it; None if the thread must end."""
        with self._changed:
            self._busy = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: bool(self._tasks) or self._over, _IDLE)
            if not self._tasks:
                self._drawing = None
                return None
            self._busy = True
            return self._tasks.pop(next(iter(self._tasks)))

    def _try(self, work: Callable[[], object]) -> None:
        if self._broken:
            return
        try:
            work()
        except Exception as error:
            self._broken = True
            if not self._fiji.closed:
                log.warning("the training continues, but is no longer shown in Fiji: %s", error)


def _replace_picture(imp: Any, picture: xr.DataArray) -> Any:
    with windows.one_at_a_time():
        updates.refuse_unsaved(imp)
        new = imageplus.to_imageplus(with_look(picture), str(imp.getTitle()))
        return updates.replace(imp, new, keep_view=True)


# --- a record ---------------------------------------------------------------------------------------


def show_record(record: Record, name: str, tables: Tables) -> None:
    """Show the record of a training, see :meth:`fijibridge.Fiji.show_run`."""
    if len(record.curves.columns) and len(record.curves) > 1:
        show_curves(record.curves, f"{name} curves")
    if record.picture is not None:
        updates.show_image(with_look(record.picture), updates.safe_title(f"{name} picture"))
    if not windows.headless():
        for kind, table in _record_tables(record).items():
            tables.show(table, f"{name} {kind}")
        jpype.JClass("ij.IJ").log(f"{name}: {record.summary()}")


def _record_tables(record: Record) -> dict[str, pd.DataFrame]:
    """Return the non-empty tables of a record, by kind."""
    settings = pd.DataFrame([(k, str(v)) for k, v in record.settings.items()], columns=["setting", "value"])
    took = record.took()
    tables = {
        "settings": settings,
        "history": record.history,
        "matches": record.matches,
        "forecast": None if took is None else took.reset_index(),
    }
    return {kind: table for kind, table in tables.items() if table is not None and len(table)}


# --- curves and picture -----------------------------------------------------------------------------


def show_curves(curves: pd.DataFrame, name: str) -> Any:
    """Plot a training's metrics against the epoch, and return the image; an open plot with that name is replaced."""
    return plots.show(metrics_plot(curves, name), name)


def metrics_plot(curves: pd.DataFrame, title: str) -> Any:
    """Return an ``ij.gui.Plot`` of a training's metrics, with one curve for each column."""
    return plots.line_plot(curves, title, "epoch", metrics_label(curves))


def with_look(picture: xr.DataArray) -> xr.DataArray:
    """Return an image that is displayed in grey, except its last channel, the membrane probability, which is red."""
    ramp, nothing = np.arange(256, dtype=np.uint8), np.zeros(256, np.uint8)
    gray, red = (LookupTable.of(np.stack(bands, axis=1)) for bands in ([ramp] * 3, [ramp, nothing, nothing]))
    images = picture.sizes["c"] - 1
    channels = picture.transpose("c", ...).values[:images]
    ranges = [tuple(float(v) for v in np.nanpercentile(one, (0.5, 99.5))) for one in channels]
    shown = picture.astype(np.float32)
    look = {"type": "32-bit", "mode": "composite", "luts": [*[gray] * images, red],
            "display_ranges": [*ranges, (0.0, 1.0)]}  # fmt: skip
    shown.attrs["imagej"] = imagej_text(look)
    return shown


def metrics_label(curves: pd.DataFrame) -> str:
    """Return the label of the y axis, ``"loss"``, ``"score"`` or both."""
    names: list[Any] = [name for name in curves.columns if curves[name].notna().any()]
    losses = any(str(name).endswith("loss") for name in names)
    scores = any(not str(name).endswith("loss") for name in names)
    return " and ".join(word for word, there in (("loss", losses), ("score", scores)) if there)
