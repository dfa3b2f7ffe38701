"""A training as Fiji shows it while it goes on."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from fijibridge.errors import UnsavedError
from fijibridge.image import Array
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.metadata import imagej_text
from fijibridge.record import NOT_MEASURED, picture_of

if TYPE_CHECKING:
    from fijibridge.fiji.session.trainings import Trainings

log = logging.getLogger("fijibridge")

_EVERY = 0.1  # seconds between two movements of the progress bar
_IDLE = 30.0  # seconds after which a thread with nothing to draw ends
_PATIENCE = 2.0  # seconds that the end of a training waits for the last drawing


class TrainingMonitor:
    """Shows a training in Fiji: progress bar, status line, curves in a plot that grows, and a validation picture.

    A Fiji that runs in the process of a training does so by itself. A window that the user closes stays closed until
    the next training.

    Notes
    -----
    All drawing is done on a thread of its own, which leaves out what is outdated: a training never waits for Java, but
    for at most 2 s at its end. An error of Java's is logged once, and nothing is drawn any more.
    """

    def __init__(self, fiji: Trainings, name: str = "Training"):
        self._fiji, self._name = fiji, name
        self._rows: list[Mapping[str, float]] = []
        self._titles: dict[str, str | None] = {}
        self._moved = 0.0
        self._broken = self._over = False
        self._changed = threading.Condition()
        self._tasks: dict[str, Callable[[], object]] = {}
        self._drawing: threading.Thread | None = None
        self._busy = False

    # --- what a training tells --------------------------------------------------------------------------

    def progress(self, step: int, steps: int) -> None:
        """Move the progress bar."""
        now = time.monotonic()
        if now - self._moved >= _EVERY or step >= steps:
            self._moved = now
            self._post("progress", lambda: self._fiji.progress(step, steps))

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Draw the curves with an epoch more."""
        if self._over:
            self._rows, self._titles, self._over = [], {}, False
        known = {name: value for name, value in values.items() if name not in NOT_MEASURED}
        self._rows.append({"epoch": epoch, **known})
        rows = list(self._rows)
        text = ", ".join(f"{name} {value:.4f}" for name, value in known.items() if np.isfinite(value))
        self._post(f"epoch {epoch}", lambda: self._tell(f"epoch {epoch}: {text}"))
        self._post("curves", lambda: self._draw_curves(rows))

    def picture(self, epoch: int, image: Array, prob: Array) -> None:
        """Show the validation image and what the network says of it."""
        joined = picture_of(image, prob)
        self._post("picture", lambda: self._draw_picture(joined))

    def ended(self, why: str) -> None:
        """Say why it ended, and let what is to be drawn be drawn."""
        self._post("progress", lambda: self._fiji.progress(1, 1))
        self._post("end", lambda: self._tell(f"training ended: {why}"))
        with self._changed:
            self._over = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._tasks and not self._busy, _PATIENCE)

    # --- on the thread that draws -----------------------------------------------------------------------

    def _tell(self, text: str) -> None:
        self._fiji.status(text)
        if self._fiji.mode == "interactive":  # without windows the log is the console
            self._fiji.log(text)

    def _draw_curves(self, rows: list[Mapping[str, float]]) -> None:
        curves = pd.DataFrame(rows).drop_duplicates("epoch", keep="last").set_index("epoch")
        if len(curves) > 1:
            self._in_window("curves", lambda title: self._fiji.plot_metrics(curves, title))

    def _draw_picture(self, picture: xr.DataArray) -> None:
        self._in_window("picture", lambda title: self._fiji.show(with_look(picture), name=title))

    def _in_window(self, kind: str, draw: Callable[[str], object]) -> None:
        """Draw in this training's window of a kind: a new one the first time, none if the user closed it."""
        from fijibridge.fiji import windows

        if kind not in self._titles:
            with windows.one_at_a_time(), self._fiji.keeping_active():
                title = windows.free_title(f"{self._name} {kind}")
                draw(title)
            self._titles[kind] = title
            return
        known = self._titles[kind]
        if known is None or known not in self._fiji.titles():
            self._titles[kind] = None
            return
        try:
            draw(known)
        except UnsavedError:  # somebody painted in it: it is theirs from now on
            del self._titles[kind]
            self._in_window(kind, draw)
        except Exception:
            if known in self._fiji.titles():
                raise
            self._titles[kind] = None  # closed while it was drawn

    # --- the thread -------------------------------------------------------------------------------------

    def _post(self, kind: str, work: Callable[[], object]) -> None:
        """Leave something to be drawn, in place of what waits of its kind."""
        if self._broken:
            return
        with self._changed:
            self._tasks[kind] = work
            if self._drawing is None:
                self._drawing = threading.Thread(target=self._draw, name="fijibridge-monitor", daemon=True)
                self._drawing.start()
            self._changed.notify_all()

    def _draw(self) -> None:
        import jpype

        try:
            while (work := self._next()) is not None:
                self._try(work)
        finally:
            if jpype.isJVMStarted():
                jpype.JClass("java.lang.Thread").detach()  # else Java keeps it

    def _next(self) -> Callable[[], object] | None:
        """Wait for the next thing to draw; None ends the thread."""
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
                log.warning("the training goes on, but is not shown in Fiji any more: %s", error)


def with_look(picture: xr.DataArray) -> xr.DataArray:
    """Say how ImageJ is to show an image and its membranes: grey, with red over it."""
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
    """Return what the axis of curves says: a loss, a score, or both."""
    names: list[Any] = [name for name in curves.columns if curves[name].notna().any()]
    losses = any(str(name).endswith("loss") for name in names)
    scores = any(not str(name).endswith("loss") for name in names)
    return " and ".join(word for word, there in (("loss", losses), ("score", scores)) if there)
