"""Base class of the classes that make up ``Fiji``: state of a session, progress bar, status bar and log."""

from __future__ import annotations

from typing import Any

import jpype

from fijibridge.errors import SessionError
from fijibridge.fiji import macros, windows
from fijibridge.fiji.events import Events
from fijibridge.fiji.jvm import lifetime, startup
from fijibridge.fiji.jvm.lifetime import Mode
from fijibridge.fiji.tables import Tables
from fijibridge.fiji.windows import Which
from fijibridge.imagej.installations import Java


class Base:
    """State of a session, shared by the classes that make up ``Fiji``."""

    def __init__(self, flavor: str, mode: Mode, java: Java, gateway: Any):
        self.flavor, self.mode, self.java = flavor, mode, java
        self._gateway = gateway
        self.closed = False
        self._events = Events()
        self._tables = Tables()

    def progress(self, done: int, total: int) -> None:
        """Show `done` of `total` steps in Fiji's progress bar; the bar disappears at `total`.

        Pass this method where a function expects `progress`: ``fb.predict(..., progress=fiji.progress)``.
        """
        self._ready()
        jpype.JClass("ij.IJ").showProgress(float(done) / max(total, 1))

    def status(self, text: str) -> None:
        """Show text in Fiji's status bar."""
        self._ready()
        jpype.JClass("ij.IJ").showStatus(str(text))

    def log(self, text: str) -> None:
        """Write a line to Fiji's log window."""
        self._ready()
        jpype.JClass("ij.IJ").log(str(text))

    def _ready(self) -> None:
        """Prepare a call into Java from this thread.

        Raises
        ------
        SessionError
            If the session was closed, or this process was forked from one that runs a JVM.
        """
        lifetime.refuse_forked()
        if self.closed:
            ours = lifetime.state.running is None or lifetime.state.running.ours
            again = "start one with fijibridge.Fiji.start()" if ours else "join it again with fijibridge.Fiji.attach()"
            raise SessionError(f"this Fiji session was closed: {again}")
        startup.prepare_thread()
        if self.mode == "headless":
            macros.restore_images()

    def _find(self, which: Which) -> Any:
        """Return the open ``ij.ImagePlus`` with a title, pattern or id; for None, the active one."""
        self._ready()
        return windows.find(which)
