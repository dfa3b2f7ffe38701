"""Open images and their windows: by title, pattern or id, the active one, and ImageJ's event thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import jpype

from fijibridge.errors import NoImageError
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.jvm.startup import prepare_thread
from fijibridge.renames import rename_attributes

Which = str | int | None
"""An open image: its title, a pattern, its ImageJ id, or None for the active one."""
T = TypeVar("T")

_EVENTS = ("Event", "Events", "Kind", "KINDS", "Callback")
rename_attributes(__name__, {name: f"fiji.events:{name}" for name in _EVENTS})


def headless() -> bool:
    """Tell whether Java runs without windows."""
    return bool(jpype.JClass("java.awt.GraphicsEnvironment").isHeadless())


def open_images() -> list[Any]:
    """Return the open images in the order in which they were opened."""
    return list(classes.open_images().all())


def matching(pattern: str | None) -> list[Any]:
    """Return the open images whose title matches a pattern with ``*``, ``?`` and ``[...]``; all for None."""
    return open_images() if pattern is None else list(classes.open_images().matching(pattern))


def titled(title: str) -> list[Any]:
    """Return the open images with exactly this title."""
    return list(classes.open_images().titled(title))


def with_id(number: int) -> Any:
    """Return the open image with an ImageJ id; None if it was closed."""
    return classes.open_images().withId(number)


def free_title(title: str) -> str:
    """Return the title if no open image has it; else append the first free ``-1``, ``-2`` ..., as ImageJ does."""
    taken, free, count = {str(i.getTitle()) for i in open_images()}, title, 0
    while free in taken:
        count += 1
        free = f"{title}-{count}"
    return free


def find(which: Which) -> Any:
    """Return the one open image with a title, pattern or id; the active one for None.

    Raises
    ------
    NoImageError
        If no image or several images match.
    """
    if which is None:
        active = current_image()
        if active is None:
            raise NoImageError("no image is open in Fiji")
        return active
    if not isinstance(which, str | int):
        raise NoImageError(f"expected the title, pattern or id of an open image, got {type(which).__name__}")
    try:
        return classes.open_images().find(which)
    except classes.user_error() as error:
        raise NoImageError(str(error.getMessage())) from None
    except OverflowError:
        raise NoImageError(f"no open image has the id {which}; ids are 32-bit integers") from None


# --- the active image -------------------------------------------------------------------------------


def current_image() -> Any:
    """Return the active image; None if no image is open.

    A thread that ran a macro or a verb keeps its own active image, even after that image was closed. This function
    clears a closed one.
    """
    manager = jpype.JClass("ij.WindowManager")
    kept = manager.getTempCurrentImage()
    if kept is not None and int(kept.getID()) not in [int(i) for i in manager.getIDList() or ()]:
        manager.setTempCurrentImage(None)
    return manager.getCurrentImage()


def activate(imp: Any) -> None:
    """Make an image the active one, with its window if it has one."""
    if imp.getWindow() is not None:
        jpype.JClass("ij.IJ").selectWindow(imp.getID())
        return
    manager = jpype.JClass("ij.WindowManager")
    jpype.JClass("ij.macro.Interpreter").activateImage(imp)
    # the thread's own active image takes precedence over ImageJ's
    manager.setTempCurrentImage(None if manager.getTempCurrentImage() is None else imp)


@contextmanager
def keeping_active() -> Iterator[None]:
    """Restore the active image after a block that may open windows."""
    before = jpype.JClass("ij.WindowManager").getCurrentImage()
    yield
    if before is not None and with_id(int(before.getID())) is not None:
        activate(before)


def close(imp: Any) -> None:
    """Close an open image without asking to save it."""
    imp.changes = False
    imp.close()


def thumbnail(imp: Any) -> tuple[str, str, bytes] | None:
    """Return title, size and a small PNG of an open image as displayed; None if it was closed meanwhile."""
    from fijibridge.displays import SIDE

    try:
        whole = imp.getImage()
        width, height = int(imp.getWidth()), int(imp.getHeight())
        scale = min(SIDE / max(width, height), 1.0)
        wide, high = max(round(width * scale), 1), max(round(height * scale), 1)
        small = jpype.JClass("java.awt.image.BufferedImage")(wide, high, 1)  # TYPE_INT_RGB
        small.createGraphics().drawImage(whole, 0, 0, wide, high, None)
        file = jpype.JClass("java.io.ByteArrayOutputStream")()
        jpype.JClass("javax.imageio.ImageIO").write(small, "png", file)
        sides = [n for n in (int(n) for n in imp.getDimensions(True)[2:]) if n > 1]
        size = f"{' x '.join(map(str, [width, height, *sides]))}, {int(imp.getBitDepth())}-bit"
        return str(imp.getTitle()), size, bytes(file.toByteArray())
    except (jpype.JException, AttributeError, TypeError):
        return None


# --- threads ----------------------------------------------------------------------------------------

_showing = threading.RLock()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Let only one thread at a time look up free titles and open a window.

    The event thread does not wait, because the thread that holds the lock may be waiting for the event thread.
    """
    if bool(jpype.JClass("java.awt.EventQueue").isDispatchThread()):
        yield
        return
    with _showing:
        yield


def on_event_thread(work: Callable[[], T]) -> T:
    """Call a function on Java's event thread, while ImageJ draws nothing; without windows, on this thread."""
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


def wait_for_user(title: str, text: str) -> bool:
    """Show ImageJ's WaitForUserDialog, which does not block Fiji, and wait for it; Ctrl-C closes it.

    Returns
    -------
    bool
        False if the user pressed Esc or closed the dialog.
    """
    dialog = jpype.JClass("ij.gui.WaitForUserDialog")(title, text)
    ended, refused = threading.Event(), threading.Event()

    def refuse(event: Any) -> None:
        refused.set()
        dialog.close()

    names = "Opened", "Iconified", "Deiconified", "Activated", "Deactivated"
    methods: dict[str, Any] = dict.fromkeys((f"window{name}" for name in names), lambda event: None)
    # show() never returns if the dialog is closed before show() starts to wait, so the listener ends the wait, too
    methods |= {"windowClosing": refuse, "windowClosed": lambda event: ended.set()}
    dialog.addWindowListener(jpype.JProxy("java.awt.event.WindowListener", dict=methods))

    def show() -> None:
        prepare_thread()
        dialog.show()
        ended.set()

    threading.Thread(target=show, name="fijibridge-dialog", daemon=True).start()
    try:
        while not ended.wait(0.1):  # short waits, because Ctrl-C takes effect only after one
            pass
    except KeyboardInterrupt:
        dialog.close()
        raise
    return not (refused.is_set() or bool(dialog.escPressed()))
