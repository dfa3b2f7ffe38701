"""Start and end of the JVM in this process.

Java cannot end the process before Python does: if a plugin calls ``System.exit``, ImageJ2 quits, or the main window is
closed, the process keeps running until Python ends. Fiji cannot be used in a forked process, where the JVM is dead.
"""

from __future__ import annotations

import atexit
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fijibridge.errors import SessionError, StartError
from fijibridge.fiji.jvm import startup
from fijibridge.fiji.jvm.reflection import java_class, private_field
from fijibridge.imagej import installations
from fijibridge.imagej.installations import Java
from fijibridge.java import jars

log = logging.getLogger("fijibridge")

Mode = Literal["headless", "interactive"]

_COORDINATE = r"[\w.-]+:[\w.-]+(:[\w.-]+)*"


@dataclass
class Running:
    """The JVM of this process, and the ImageJ in it.

    Attributes
    ----------
    where
        What was started: Fiji folder, Maven coordinates or ``"embedded"``; None if other code started the JVM.
    mode
        ``"headless"`` or ``"interactive"``.
    java
        Java installation of the JVM.
    gateway
        The ImageJ2 gateway; None for plain ImageJ.
    flavor
        ``"fiji"``, ``"imagej2"``, ``"imagej"`` (plain ImageJ started by other code) or ``"embedded"``.
    ours
        True if fijibridge started the JVM and will end it.
    """

    where: str | Path | None
    mode: Mode
    java: Java
    gateway: Any
    flavor: str
    ours: bool = True


@dataclass
class State:
    """State of this process, which has at most one JVM.

    Attributes
    ----------
    running
        The JVM of this process; None before the first start.
    failed
        Message of a failed start that left an unusable JVM.
    forked
        True if the process was forked from one that runs a JVM.
    tables
        Open tables by title, if ImageJ has no windows to show them in.
    """

    running: Running | None = None
    failed: str | None = None
    forked: bool = False
    tables: dict[str, Any] = field(default_factory=dict)


state = State()


# --- start ------------------------------------------------------------------------------


def checked_mode(mode: Mode | None) -> Mode:
    """Return `mode` if it is valid and possible; for None, interactive if there is a display, else headless."""
    if mode is None:
        return "interactive" if startup.display_problem() is None else "headless"
    if mode not in ("headless", "interactive"):
        raise StartError(f"mode={mode!r}; expected 'headless' or 'interactive'")
    problem = startup.display_problem() if mode == "interactive" else None
    if problem is not None:
        raise StartError(f"mode='interactive' needs a display: {problem}")
    return mode


def resolved(where: str | os.PathLike[str] | None) -> str | Path:
    """Return what to start: ``"embedded"``, a Fiji folder, or Maven coordinates."""
    if where is None:
        return installations.find_fiji() or jars.FIJI
    text = os.fspath(where)
    if text == "embedded":
        return text
    if isinstance(where, str) and re.fullmatch(rf"{_COORDINATE}(\+{_COORDINATE})*", text) and not Path(text).exists():
        return text
    return installations.fiji_folder(text)


def refuse_another(where: str | Path, mode: Mode, heap: str | None) -> None:
    """Check that the running JVM is the requested one.

    Raises
    ------
    StartError
        If the JVM runs a different Fiji or mode, if other code started the JVM, or if an earlier start failed.
    """
    if state.failed is not None:
        raise StartError(
            f"an earlier start failed and left an unusable JVM ({state.failed}): start a new Python process"
        )
    running = state.running
    if running is None or not running.ours:
        raise StartError(
            "this process already runs a JVM that fijibridge did not start, and a process can have only one JVM. To "
            "join the ImageJ in this JVM, use fijibridge.Fiji.attach(); to start Fiji, use a new Python process"
        )
    if (running.where, running.mode) != (where, mode):
        there = f"Fiji.start({str(running.where)!r}, mode={running.mode!r})"
        raise StartError(
            f"this process already runs {there}; Fiji.start({str(where)!r}, mode={mode!r}) needs a new Python process"
        )
    if heap is not None:
        log.warning("heap=%s is ignored, because the JVM of this process is already running", heap)


def start(where: str | Path, mode: Mode, heap: str | None) -> Running:
    """Start the JVM."""
    try:
        if where == "embedded":
            java, gateway = startup.start_embedded(headless=mode == "headless", heap=heap), None
        else:
            java, gateway = startup.start_pyimagej(where, mode, heap)
    except Exception as error:
        if startup.is_running():
            state.failed = str(error)
        raise
    _hold_exit()
    state.running = Running(where, mode, java, gateway, flavor_of(gateway))
    return state.running


def join(found: Running) -> Running:
    """Record a JVM started by other code as the JVM of this process."""
    state.running = found
    return found


def flavor_of(gateway: Any) -> str:
    """Return ``"fiji"`` if a gateway has registered the application Fiji, else ``"imagej2"``.

    Without a gateway, return ``"embedded"``.
    """
    if gateway is None:
        return "embedded"
    names = [str(app.getTitle()) for app in gateway.app().getApps().values()]
    return "fiji" if "Fiji" in names else "imagej2"


def revive(jvm_now: Running) -> None:
    """If ImageJ2 was quit and so lost its services, replace it with a new ImageJ2 in the same JVM."""
    if jvm_now.gateway is not None and is_disposed(jvm_now.gateway.getContext()):
        import imagej

        with _images_set_aside():
            jvm_now.gateway = imagej._create_gateway()


@contextmanager
def _images_set_aside() -> Iterator[None]:
    """Hide open images while ImageJ2 starts, because the incomplete services of ImageJ2 would fail on these images."""
    manager = java_class("ij.WindowManager")
    images, active, front = (private_field(manager, name) for name in ("imageList", "currentWindow", "frontWindow"))
    windows, current = images.get(None), active.get(None)
    kept = list(windows)
    windows.clear()
    manager.setTempCurrentImage(None)
    active.set(None, None)
    front.set(None, None)
    try:
        yield
    finally:
        for window in kept:
            windows.add(window)
        if current is not None:
            manager.setCurrentWindow(current)


def is_disposed(context: Any) -> bool:
    """Tell whether the ImageJ2 of a SciJava context was quit.

    Versions before SciJava 2.93 do not record this; for them, the answer is always False.
    """
    import jpype

    try:
        field = private_field(java_class("org.scijava.Context"), "disposed")
    except jpype.JClass("java.lang.NoSuchFieldException"):
        return False
    return bool(field.getBoolean(context))


# --- end ---------------------------------------------------------------------------


def refuse_forked() -> None:
    """Raise if this process was forked from one that runs a JVM, because the first call into Java would hang."""
    if state.forked:
        raise SessionError(
            "this process was forked from one that runs a JVM, and a JVM does not survive a fork: create processes "
            "with multiprocessing.get_context('spawn') and start Fiji in the new process"
        )


def _note_fork() -> None:
    state.forked = startup.is_running()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


_python_ends = threading.Event()
_exit_held = threading.Event()

_STAY = 3.0
"""Seconds to wait for Java's threads to end when Python ends."""


def _hold_exit() -> None:
    """Block ``System.exit`` until Python ends.

    Java's shutdown waits for its hooks, and our hook waits for Python, while all other threads of the JVM keep running.
    A plugin that calls ``System.exit`` blocks only its own thread.
    """
    import jpype

    def wait() -> None:
        if not _python_ends.is_set():
            _exit_held.set()
            print(
                "fijibridge: code in Fiji called System.exit, which would end the process. Python keeps running until "
                "it is done.",
                file=sys.stderr,
                flush=True,
            )
            _python_ends.wait()

    hook = jpype.JClass("java.lang.Thread")(jpype.JProxy("java.lang.Runnable", dict={"run": wait}), "fijibridge-exit")
    jpype.JClass("java.lang.Runtime").getRuntime().addShutdownHook(hook)
    atexit.register(_leave)  # registered after scyjava's and jpype's handlers, so that it runs before them


def _leave() -> None:
    """End Java together with Python, but wait only a limited time for Java's threads.

    ImageJ never ends the threads of its filters and stack windows, so Java's shutdown would wait for them forever.
    """
    import jpype

    if state.forked or not jpype.isJVMStarted():
        return
    if _exit_held.is_set():
        _outlive_java()  # Java is already shutting down; Python determines the exit status
        return
    assert state.running is not None
    close_everything(state.running.mode == "interactive")
    wait_until(lambda: not _lasting_threads(), _STAY)
    if _lasting_threads():
        _outlive_java()
    _python_ends.set()


def _outlive_java() -> None:
    """Let Python end without ending Java.

    Otherwise, JPype's thread that releases Python objects calls into the interpreter while the interpreter shuts down,
    which aborts the process ("exception not rethrown") in a few per cent of the runs.
    """
    import jpype

    jpype.config.destroy_jvm = False
    jpype.JClass("org.jpype.ref.JPypeReferenceQueue").getInstance().stop()


def _lasting_threads() -> list[str]:
    """Return the names of the threads that Java's shutdown waits for."""
    import jpype

    thread = jpype.JClass("java.lang.Thread")
    mine = thread.currentThread()
    found = [t for t in thread.getAllStackTraces().keySet() if not t.isDaemon() and t.isAlive() and not t.equals(mine)]
    return [str(t.getName()) for t in found if str(t.getName()) != "DestroyJavaVM"]


def wait_until(done: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait up to `seconds` for a Java thread to make a condition true."""
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.02)


# --- windows ----------------------------------------------------------------------------------------


def open_window() -> None:
    """Open ImageJ's main window, and ensure that closing it does not end Python."""
    import jpype

    assert state.running is not None
    ij = jpype.JClass("ij.IJ")
    if state.running.gateway is not None:
        state.running.gateway.ui().showUI()
    elif ij.getInstance() is None:
        main = jpype.JClass("ij.ImageJ")
        main(main.STANDALONE)
    frame = ij.getInstance()
    if frame is not None:
        frame.exitWhenQuitting(False)


def close_everything(interactive: bool) -> None:
    """Close all images and windows, without asking to save."""
    import jpype

    manager = jpype.JClass("ij.WindowManager")
    for image in [manager.getImage(int(i)) for i in manager.getIDList() or ()]:
        if image is not None:
            image.changes = False
            image.close()
    if not interactive:
        state.tables.clear()
        return
    jpype.JClass("ij.plugin.filter.Analyzer").setUnsavedMeasurements(False)  # else ImageJ asks whether to save them
    for window in manager.getNonImageWindows() or ():
        if isinstance(window, jpype.JClass("ij.plugin.frame.Editor")):
            manager.removeWindow(window)  # close() would ask whether to save the text
            window.dispose()
        elif isinstance(window, jpype.JClass("ij.text.TextWindow")):
            window.close(False)
        else:
            # unlike dispose(), close() also clears ImageJ's own reference to the window (as to the ROI Manager)
            window.close() if hasattr(window, "close") else window.dispose()
    frame = jpype.JClass("ij.IJ").getInstance()
    if frame is not None and (state.running is None or state.running.gateway is None):
        frame.exitWhenQuitting(False)
        frame.quit()  # runs on its own thread
        wait_until(lambda: jpype.JClass("ij.IJ").getInstance() is None)
