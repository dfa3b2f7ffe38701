"""Events in Fiji, delivered to Python: images opened, closed and updated, and ROIs changed."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import jpype

from fijibridge.errors import SessionError
from fijibridge.fiji.jvm.startup import prepare_thread
from fijibridge.fiji.windows import headless

log = logging.getLogger("fijibridge")

Kind = Literal["opened", "closed", "updated", "roi"]
KINDS = ("opened", "closed", "updated", "roi")
_ACTIONS = {1: "created", 2: "moved", 3: "modified", 4: "extended", 5: "completed", 6: "deleted"}
"""Names of the constants of ``ij.gui.RoiListener``."""


@dataclass(frozen=True)
class Event:
    """An event in Fiji.

    Attributes
    ----------
    kind
        ``"opened"``, ``"closed"``, ``"updated"`` (pixels, slice or display changed) or ``"roi"`` (a ROI changed).
    id, title
        ImageJ id and title of the image; 0 and ``""`` if the event concerns no image.
    action
        What happened to a ROI: ``"created"``, ``"moved"``, ``"modified"``, ``"extended"``, ``"completed"`` or
        ``"deleted"``. Empty for images.
    """

    kind: str
    id: int
    title: str
    action: str = ""


Callback = Callable[[Event], object]


class Events:
    """The callbacks of one session, which are called on a Python thread, for one event at a time.

    Java's event thread only queues events, so callbacks may be slow and may call Fiji. A new event is dropped if an
    equal event is still in the queue.
    """

    def __init__(self) -> None:
        self._callbacks: list[tuple[str, Callback]] = []
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self._waiting: set[Event] = set()
        self._lock = threading.Lock()  # never held while calling into Java, whose threads need it in _note
        self._listening = threading.Lock()
        self._listeners: tuple[Any, Any] | None = None

    def add(self, kind: Kind, callback: Callback) -> Callable[[], None]:
        """Register a callback for events of one kind.

        Returns
        -------
        callable
            A function that removes the callback.

        Raises
        ------
        SessionError
            If Fiji runs without windows, because ImageJ then sends no events, or if `kind` is unknown.
        """
        if headless():
            raise SessionError(
                "ImageJ sends no events without windows: start Fiji with mode='interactive' in a new Python process"
            )
        if kind not in KINDS:
            raise SessionError(f"there is no event {kind!r}; expected one of {', '.join(KINDS)}")
        entry = (kind, callback)
        with self._lock:
            self._callbacks.append(entry)
        with self._listening:
            if self._listeners is None:
                self._listen()

        def stop() -> None:
            with self._lock:
                if entry in self._callbacks:
                    self._callbacks.remove(entry)

        return stop

    def has(self, callback: Callback) -> bool:
        """Tell whether a callback is registered for any kind of event."""
        with self._lock:
            return any(known == callback for _, known in self._callbacks)

    def close(self) -> None:
        """Remove all callbacks, and remove the listeners from ImageJ."""
        with self._lock:
            self._callbacks.clear()
        with self._listening:
            if self._listeners is not None:
                images, rois = self._listeners
                jpype.JClass("ij.ImagePlus").removeImageListener(images)
                jpype.JClass("ij.gui.Roi").removeRoiListener(rois)
                self._listeners = None
                self._queue.put(None)

    def _listen(self) -> None:
        names = {"imageOpened": "opened", "imageClosed": "closed", "imageUpdated": "updated"}
        methods = {method: self._noting(kind) for method, kind in names.items()}
        images = jpype.JProxy("ij.ImageListener", dict=methods)
        rois = jpype.JProxy("ij.gui.RoiListener", dict={"roiModified": self._note_roi})
        jpype.JClass("ij.ImagePlus").addImageListener(images)
        jpype.JClass("ij.gui.Roi").addRoiListener(rois)
        self._listeners = images, rois
        threading.Thread(target=self._call_back, name="fijibridge-events", daemon=True).start()

    def _noting(self, kind: str) -> Callable[[Any], None]:
        def note(imp: Any) -> None:
            self._note(Event(kind, int(imp.getID()), str(imp.getTitle())))

        return note

    def _note_roi(self, imp: Any, action: int) -> None:
        named = (0, "") if imp is None else (int(imp.getID()), str(imp.getTitle()))
        self._note(Event("roi", *named, _ACTIONS.get(int(action), "")))

    def _note(self, event: Event) -> None:
        with self._lock:
            if event in self._waiting or not any(kind == event.kind for kind, _ in self._callbacks):
                return
            self._waiting.add(event)
        self._queue.put(event)

    def _call_back(self) -> None:
        prepare_thread()
        while True:
            event = self._queue.get()
            if event is None:
                return
            with self._lock:
                self._waiting.discard(event)
                callbacks = [callback for kind, callback in self._callbacks if kind == event.kind]
            for callback in callbacks:
                try:
                    callback(event)
                except Exception:
                    log.exception("a callback for %s failed", event)
