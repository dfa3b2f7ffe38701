"""Which images are open: by title, pattern or id, the active one; and what happens to them."""

from __future__ import annotations

import fnmatch
import logging
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import jpype

from fijibridge.errors import NoImageError, SessionError
from fijibridge.fiji.jvm.startup import prepare_thread

log = logging.getLogger("fijibridge")

Which = str | int | None
Kind = Literal["opened", "closed", "updated", "roi"]
T = TypeVar("T")

KINDS = ("opened", "closed", "updated", "roi")


def headless() -> bool:
    """Tell whether Java runs without windows."""
    return bool(jpype.JClass("java.awt.GraphicsEnvironment").isHeadless())


def open_images() -> list[Any]:
    """Return the open images, in the order in which they were opened."""
    manager = jpype.JClass("ij.WindowManager")
    found = [manager.getImage(int(i)) for i in manager.getIDList() or ()]
    return [imp for imp in found if imp is not None]  # closed by the user in between


def matching(pattern: str | None) -> list[Any]:
    """Return the open images whose title matches a pattern with ``*``, ``?`` and ``[...]``; all for None."""
    return [i for i in open_images() if pattern is None or fnmatch.fnmatchcase(str(i.getTitle()), pattern)]


def titled(title: str) -> list[Any]:
    """Return the open images of exactly that title."""
    return [i for i in open_images() if str(i.getTitle()) == title]


def free_title(title: str) -> str:
    """Return the title, with -1, -2 ... behind it if it is taken, as ImageJ does it."""
    taken, free, count = {str(i.getTitle()) for i in open_images()}, title, 0
    while free in taken:
        count += 1
        free = f"{title}-{count}"
    return free


def find(which: Which) -> Any:
    """Return the one open image of a title, pattern or id; the active one for None.

    Raises
    ------
    NoImageError
        If there is none, or several.
    """
    if which is None:
        active = current_image()
        if active is None:
            raise NoImageError("no image is open in Fiji")
        return active
    if not isinstance(which, str | int):
        raise NoImageError(f"an open image is named by its title, a pattern or its id, not by {type(which).__name__}")
    images = open_images()
    if isinstance(which, int):
        found = [i for i in images if int(i.getID()) == which]
    else:
        found = titled(which) or matching(which)
    if not found:
        raise NoImageError(f"no open image {which!r}; open are {[str(i.getTitle()) for i in images]}")
    if len(found) > 1:
        several = {int(i.getID()): str(i.getTitle()) for i in found}
        raise NoImageError(f"{which!r} means {len(found)} open images: say which by its id, one of {several}")
    return found[0]


def current_image() -> Any:
    """Return the active image, None if there is none.

    A thread that ran a macro or a verb keeps the image that was active there, also after it was closed: such a one is
    forgotten.
    """
    manager = jpype.JClass("ij.WindowManager")
    kept = manager.getTempCurrentImage()
    if kept is not None and int(kept.getID()) not in [int(i) for i in manager.getIDList() or ()]:
        manager.setTempCurrentImage(None)
    return manager.getCurrentImage()


def activate(imp: Any) -> None:
    """Make an image without a window the active one, for all threads."""
    manager = jpype.JClass("ij.WindowManager")
    jpype.JClass("ij.macro.Interpreter").activateImage(imp)
    # what this thread had as its own active image comes before that
    manager.setTempCurrentImage(None if manager.getTempCurrentImage() is None else imp)


_showing = threading.RLock()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let one thread at a time look which titles are taken and open a window; Java's event thread must not wait."""
    if bool(jpype.JClass("java.awt.EventQueue").isDispatchThread()):
        yield
        return
    with _showing:
        yield


def on_event_thread(work: Callable[[], T]) -> T:
    """Do something while ImageJ draws nothing: on Java's event thread, or right here without one."""
    queue_class = jpype.JClass("java.awt.EventQueue")
    if headless() or bool(queue_class.isDispatchThread()):
        return work()
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    queue_class.invokeAndWait(jpype.JProxy("java.lang.Runnable", dict={"run": run}))
    if errors:
        raise errors[0]
    return results[0]


# --- what happens -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """Something that happened in Fiji.

    Attributes
    ----------
    kind
        ``"opened"``, ``"closed"``, ``"updated"`` (pixels or slice) or ``"roi"``.
    id, title
        Of the image; id 0 if there is none.
    action
        Of a ROI: ``"created"``, ``"moved"``, ``"modified"``, ``"extended"``, ``"completed"`` or ``"deleted"``.
    """

    kind: str
    id: int
    title: str
    action: str = ""


_ACTIONS = {1: "created", 2: "moved", 3: "modified", 4: "extended", 5: "completed", 6: "deleted"}
Callback = Callable[[Event], object]


class Events:
    """Tells callbacks what happens in Fiji, one after the other, on a thread of their own.

    Java's event thread only notes what happened: a slow callback does not freeze Fiji's windows, and may itself call
    into Fiji. What happens again before it was told is told once.
    """

    def __init__(self) -> None:
        self._callbacks: list[tuple[str, Callback]] = []
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self._waiting: set[Event] = set()
        self._lock = threading.Lock()  # never held while calling into Java, whose threads want it in _note
        self._listening = threading.Lock()
        self._listeners: tuple[Any, Any] | None = None

    def add(self, kind: Kind, callback: Callback) -> Callable[[], None]:
        """Call back for events of a kind; returns the function that ends it."""
        if kind not in KINDS:
            raise SessionError(f"no event {kind!r}; there are {', '.join(KINDS)}")
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

    def close(self) -> None:
        """Call nobody back any more."""
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
        threading.Thread(target=self._tell, name="fijibridge-events", daemon=True).start()

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

    def _tell(self) -> None:
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


def wait_for_user(title: str, text: str) -> bool:
    """Show ImageJ's dialog that does not block Fiji, and wait for it; Ctrl-C closes it."""
    dialog = jpype.JClass("ij.gui.WaitForUserDialog")(title, text)
    ended, refused = threading.Event(), threading.Event()

    def refuse(event: Any) -> None:
        refused.set()
        dialog.close()

    names = "Opened", "Iconified", "Deiconified", "Activated", "Deactivated"
    methods: dict[str, Any] = dict.fromkeys((f"window{name}" for name in names), lambda event: None)
    # its show waits for ever if the dialog is closed before that has begun to wait
    methods |= {"windowClosing": refuse, "windowClosed": lambda event: ended.set()}
    dialog.addWindowListener(jpype.JProxy("java.awt.event.WindowListener", dict=methods))

    def show() -> None:
        prepare_thread()
        dialog.show()
        ended.set()

    threading.Thread(target=show, name="fijibridge-dialog", daemon=True).start()
    try:
        while not ended.wait(0.1):
            pass
    except KeyboardInterrupt:
        dialog.close()
        raise
    return not (refused.is_set() or bool(dialog.escPressed()))
