"""What the parts of a session share: whether it is open, and which image is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fijibridge.errors import SessionError
from fijibridge.fiji.jvm import lifetime, startup
from fijibridge.fiji.jvm.lifetime import Mode
from fijibridge.imagej.installations import Java

if TYPE_CHECKING:
    from fijibridge.fiji.windows import Events, Which


class Session:
    """A running Fiji, before one can do anything with it."""

    def __init__(self, flavor: str, mode: Mode, java: Java, gateway: Any):
        self.flavor, self.mode, self.java = flavor, mode, java
        self._gateway = gateway
        self.closed = False
        self._events: Events | None = None
        self._tables_before: dict[str, Any] = {}

    def progress(self, done: int, total: int) -> None:
        """Move Fiji's progress bar, as in ``fb.predict(..., progress=fiji.progress)``; at `total` it vanishes."""
        self._java("ij.IJ").showProgress(float(done) / max(total, 1))

    def status(self, text: str) -> None:
        """Write into Fiji's status line."""
        self._java("ij.IJ").showStatus(str(text))

    def log(self, text: str) -> None:
        """Write a line into Fiji's log window."""
        self._java("ij.IJ").log(str(text))

    def _ready(self) -> None:
        lifetime.refuse_forked()
        if self.closed:
            ours = lifetime.state.running is None or lifetime.state.running.ours
            again = "start one with fijibridge.Fiji.start()" if ours else "join it again, fijibridge.Fiji.attach()"
            raise SessionError(f"this Fiji session was closed: {again}")
        startup.prepare_thread()
        if self.mode == "headless":
            from fijibridge.fiji import macros

            macros.restore_images()

    def _java(self, name: str) -> Any:
        self._ready()
        import jpype

        return jpype.JClass(name)

    def _windows(self) -> Any:
        self._ready()
        from fijibridge.fiji import windows

        return windows

    def _find(self, which: Which) -> Any:
        return self._windows().find(which)
