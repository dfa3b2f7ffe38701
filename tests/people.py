"""Hands of a person for tests with windows: choose from ImageJ's menu, fill dialogs, press buttons."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jpype

HEAD = """
import os, time
import numpy as np
import jpype
import fijibridge as fb

WHERE = os.environ.get("FIJIBRIDGE_TEST_FIJI", "embedded")
fiji = fb.Fiji.start(WHERE, mode="interactive")
WindowManager = jpype.JClass("ij.WindowManager")
from tests.people import *
"""
"""Beginning of a script of the fixture ``window``."""

BOUND = 240.0
"""Seconds to wait for an event: generous, because no test may depend on the speed of the machine."""


def wait(done: Callable[[], Any], seconds: float = BOUND) -> Any:
    """Wait for a condition, and return its true value."""
    end = time.monotonic() + seconds
    while not (found := done()):
        assert time.monotonic() < end, f"it did not happen within {seconds:g} s"
        time.sleep(0.05)
    return found


def later(work: Callable[[], Any]) -> None:
    """Do something on Java's event thread without waiting: a dialog may open."""
    runnable = jpype.JProxy("java.lang.Runnable", dict={"run": lambda: (work(), None)[1]})
    jpype.JClass("java.awt.EventQueue").invokeLater(runnable)


def _act(source: Any, command: str) -> None:
    event = jpype.JClass("java.awt.event.ActionEvent")
    later(lambda: source.dispatchEvent(event(source, event.ACTION_PERFORMED, command)))


def menu() -> Any:
    """Return the menu Plugins > FijiBridge."""
    plugins = jpype.JClass("ij.Menus").getImageJMenu("Plugins")
    items = [] if plugins is None else [plugins.getItem(i) for i in range(plugins.getItemCount())]
    return next((item for item in items if str(item.getLabel()) == "FijiBridge"), None)


def labels() -> list[str]:
    """Return the labels of the menu, "-" for a separator."""
    offered = menu()
    return [] if offered is None else [str(offered.getItem(i).getLabel()) for i in range(offered.getItemCount())]


def choose(label: str) -> None:
    """Choose an item of the menu."""
    item = next(menu().getItem(i) for i in range(menu().getItemCount()) if str(menu().getItem(i).getLabel()) == label)
    _act(item, item.getActionCommand())


def dialogs() -> list[Any]:
    """Return the dialogs that are open."""
    windows = jpype.JClass("java.awt.Window").getWindows()
    return [w for w in windows if isinstance(w, jpype.JClass("java.awt.Dialog")) and w.isVisible()]


def dialog(title: str) -> Any:
    """Wait for the dialog of a title."""
    found = wait(lambda: next((d for d in dialogs() if str(d.getTitle()) == title), None))
    wait(_loops_run)
    settle()
    return found


def _loops_run() -> bool:
    """Return whether each modal dialog has begun to wait for its end: Java loses an end before that."""
    traces = jpype.JClass("java.lang.Thread").getAllStackTraces().values()
    names = [f"{frame.getClassName()}.{frame.getMethodName()}" for frames in traces for frame in frames]
    return names.count("java.awt.WaitDispatchSupport.enter") >= sum(bool(d.isModal()) for d in dialogs())


def _closed(opened: Any) -> None:
    wait(lambda: not opened.isVisible())


def fields(opened: Any) -> dict[str, Any]:
    """Return the fields of a dialog by their labels."""
    found: dict[str, Any] = {}
    label = None
    for component in opened.getComponents():
        kind = str(component.getClass().getSimpleName())
        if kind == "Label":
            label = str(component.getText()).strip().rstrip(":")
        elif kind == "Checkbox":
            found[str(component.getLabel())] = component
        elif label is not None:
            field = component
            if kind == "Panel":
                inner = [c for c in component.getComponents() if isinstance(c, jpype.JClass("java.awt.TextField"))]
                field = inner[0] if inner else None
            if field is not None:
                found[label] = field
            label = None
    return found


def fill(opened: Any, **values: str | bool) -> None:
    """Put values into fields, named by their labels with _ for spaces."""
    known = fields(opened)
    for name, value in values.items():
        field = known[name.replace("_", " ")]
        if isinstance(value, bool):
            field.setState(value)
        elif isinstance(field, jpype.JClass("java.awt.Choice")):
            offered = [str(field.getItem(i)) for i in range(field.getItemCount())]
            assert value in offered, f"{name} offers {offered}"
            field.select(value)
        else:
            field.setText(value)


def read(opened: Any) -> dict[str, str | bool]:
    """Return the values of the fields."""
    held: dict[str, str | bool] = {}
    for name, field in fields(opened).items():
        if isinstance(field, jpype.JClass("java.awt.Checkbox")):
            held[name] = bool(field.getState())
        elif isinstance(field, jpype.JClass("java.awt.Choice")):
            held[name] = str(field.getSelectedItem())
        else:
            held[name] = str(field.getText())
    return held


def press(opened: Any, button: str) -> None:
    """Press a button of a dialog, "OK", "Cancel" or "Help", and wait until it is closed unless it is help."""
    found = [b for b in _buttons(opened) if b is not None and str(b.getLabel()).strip() == button]
    _act(found[0], button)
    if button != "Help":
        _closed(opened)


def _buttons(opened: Any) -> list[Any]:
    if hasattr(opened, "getButtons"):
        return list(opened.getButtons())
    return [c for c in _inside(opened) if isinstance(c, jpype.JClass("java.awt.Button"))]


def texts(opened: Any) -> str:
    """Return all texts of a dialog."""
    if isinstance(opened, jpype.JClass("java.awt.Container")):
        return "\n".join(filter(None, (texts(c) for c in opened.getComponents())))
    if isinstance(opened, jpype.JClass("ij.gui.MultiLineLabel")):
        field = opened.getClass().getDeclaredField("lines")
        field.setAccessible(True)
        return "\n".join(str(line) for line in field.get(opened))
    return str(opened.getText()) if hasattr(opened, "getText") else ""


def close(opened: Any) -> None:
    """Close a window as its own button does."""
    event = jpype.JClass("java.awt.event.WindowEvent")
    later(lambda: opened.dispatchEvent(event(opened, event.WINDOW_CLOSING)))
    _closed(opened)


def message(title: str) -> str:
    """Wait for a message, close it, and return its text."""
    opened = dialog(title)
    text = texts(opened)
    close(opened)
    return text


def call(label: str, **values: str | bool) -> None:
    """Call a verb from the menu by its dialog, and wait until it has ended."""
    choose(label)
    opened = dialog(f"FijiBridge {label.removesuffix('...')}")
    fill(opened, **values)
    press(opened, "OK")
    ended(f"FijiBridge {label}")


def ended(command: str) -> None:
    """Wait until the thread of a command has ended, and the event thread has handled its events."""
    alive = jpype.JClass("java.lang.Thread").getAllStackTraces
    wait(lambda: not any(command in str(t.getName()) and t.isAlive() for t in alive().keySet()))
    settle()


def settle() -> None:
    """Wait until the event thread has handled the events that are queued."""
    nothing = jpype.JProxy("java.lang.Runnable", dict={"run": lambda: None})
    for _ in range(3):  # an event may queue another one
        jpype.JClass("java.awt.EventQueue").invokeAndWait(nothing)


def open_file(path: str) -> None:
    """Open a file by File > Open..."""
    jpype.JClass("ij.Prefs").useJFileChooser = True
    jpype.JClass("ij.IJ").doCommand("Open...")
    chooser = wait(lambda: next((c for d in dialogs() for c in _inside(d) if _is_chooser(c)), None))
    chosen = jpype.JClass("java.io.File")(path)
    later(lambda: (chooser.setSelectedFile(chosen), chooser.approveSelection()))
    ended("Open...")


def _is_chooser(component: Any) -> bool:
    return isinstance(component, jpype.JClass("javax.swing.JFileChooser"))


def _inside(container: Any) -> list[Any]:
    found = []
    for component in container.getComponents():
        found.append(component)
        if isinstance(component, jpype.JClass("java.awt.Container")):
            found += _inside(component)
    return found
