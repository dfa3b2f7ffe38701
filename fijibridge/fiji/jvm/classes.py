"""fijibridge's Java classes in the running JVM, which are compiled from ``fijibridge/java`` once for all processes.

Classes of package ``fijibridge`` have their own class loader. Classes that need access to ImageJ's package-private
members are in ImageJ's packages, and are defined in ImageJ's class loader.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jpype

from fijibridge.java import compiler

log = logging.getLogger("fijibridge")

PERSON, SCRIPT, MACRO, PYTHON = 0, 1, 2, 3
"""Kinds of callers of a command: a person using a menu; a script or Java code that calls ``IJ.run``; a macro that
ImageJ runs; and a macro that Python runs."""


def rois() -> Any:
    """Return ``fijibridge.Rois``, which handles many ROIs in one call."""
    return _load("fijibridge.Rois")


def images() -> Any:
    """Return ``fijibridge.Images``: descriptions, calibration and display of images."""
    return _load("fijibridge.Images")


def pushes() -> Any:
    """Return ``fijibridge.Pushes``: new pixels in open windows, unsaved work and undo."""
    return _load("fijibridge.Pushes")


def datasets() -> Any:
    """Return ``fijibridge.Datasets``: ImageJ2's copies of open images."""
    return _load("fijibridge.Datasets")


def tables() -> Any:
    """Return ``fijibridge.Tables``: transfer of whole table columns, and reactions to clicks on rows."""
    return _load("fijibridge.Tables")


def measuring() -> Any:
    """Return ``fijibridge.Measuring``: ImageJ's Analyzer for many ROIs."""
    return _load("fijibridge.Measuring")


def plots() -> Any:
    """Return ``fijibridge.Plots``: plots of curves."""
    return _load("fijibridge.Plots")


def open_images() -> Any:
    """Return ``fijibridge.OpenImages``, which finds images by title, pattern or id."""
    return _load("fijibridge.OpenImages")


def verb() -> Any:
    """Return ``fijibridge.verbs.Verb``: a verb with the texts of its dialog."""
    return _load("fijibridge.verbs.Verb")


def dialog() -> Any:
    """Return ``fijibridge.verbs.Dialog``: the dialog of a verb."""
    return _load("fijibridge.verbs.Dialog")


def macro_recorder() -> Any:
    """Return ``fijibridge.verbs.MacroRecorder``: lines for ImageJ's recorder."""
    return _load("fijibridge.verbs.MacroRecorder")


def places() -> Any:
    """Return ``fijibridge.verbs.Places``, which chooses the titles of results."""
    return _load("fijibridge.verbs.Places")


def cancelled() -> Any:
    """Return ``fijibridge.Cancelled``, the exception for a call that the user cancelled."""
    return _load("fijibridge.Cancelled")


def stack() -> Any:
    """Return ``fijibridge.session.PythonStack``, a VirtualStack whose planes come from a Python function."""
    return _load("fijibridge.session.PythonStack")


def failure() -> Any:
    """Return ``fijibridge.session.CommandFailure``, an exception with which a plugin ends the script that called it."""
    return _load("fijibridge.session.CommandFailure")


def user_error() -> Any:
    """Return ``fijibridge.UserError``, the exception for errors that the user can fix."""
    return _load("fijibridge.UserError")


def interpreter() -> Any:
    """Return ``ij.macro.FijiBridgeInterpreter``, which continues to work after an error in its macro."""
    _beside("ij.macro.FijiBridgeFunctions", "ij.macro.Interpreter")
    return _beside("ij.macro.FijiBridgeInterpreter", "ij.macro.Interpreter")


def plugin() -> Any:
    """Return ``ij.plugin.FijiBridge``, whose ``run(verb)`` passes the verb and the kind of caller to Python.

    Its field ``callee`` is the Python function, which returns null or an exception to throw.
    """
    return _beside("ij.plugin.FijiBridge", "ij.plugin.PlugIn")


# --- from source to class ---------------------------------------------------------------------------

_loading = threading.RLock()


@cache
def _load(name: str) -> Any:
    """Load a class of package ``fijibridge``. Thread-safe."""
    with _loading:
        try:
            return jpype.JClass(_loader(_folder()).loadClass(name))
        except _refusals() as error:
            _compile_again(error)
            return jpype.JClass(_loader(_folder()).loadClass(name))


@cache
def _beside(name: str, neighbour: str) -> Any:
    """Define a class in the package and class loader of one of ImageJ's classes, `neighbour`."""
    with _loading:
        if not _exists(name):  # another copy of fijibridge may have defined it in this JVM
            beside = jpype.JClass(neighbour).class_
            try:
                _define(name, beside)
            except _refusals() as error:
                _compile_again(error)
                _define(name, beside)
        return jpype.JClass(name)


def _define(name: str, beside: Any) -> None:
    code = _folder().joinpath(*name.split(".")).with_suffix(".class").read_bytes()
    _load("fijibridge.session.Definer").define(beside, jpype.JArray(jpype.JByte)(code))


def _exists(name: str) -> bool:
    try:
        jpype.JClass(name)
    except TypeError:
        return False
    return True


def _refusals() -> tuple[Any, ...]:
    """Return the exceptions raised for a damaged or missing class file, for example after a full disk."""
    return (
        jpype.JClass("java.lang.LinkageError"), jpype.JClass("java.lang.ClassNotFoundException"), FileNotFoundError
    )  # fmt: skip


def _compile_again(error: BaseException) -> None:
    log.debug("compiling fijibridge's Java classes again: %s", error)
    compiler.drop(_folder())
    for cached in (_folder, _loader, _load):  # else classes of two loaders would not know each other
        cached.cache_clear()


@cache
def _folder() -> Path:
    """Return the folder with our classes compiled for this Java and ImageJ."""
    system = jpype.JClass("java.lang.System")
    target = compiler.Target(
        Path(str(system.getProperty("java.home"))), str(system.getProperty("java.version")),
        str(jpype.JClass("ij.ImageJ").class_.getField("VERSION").get(None)), tuple(_imagej_jars()),
    )  # fmt: skip
    folder, temporary = compiler.compiled("session", target)
    if temporary:
        atexit.register(compiler.drop, folder)
    return folder


def _imagej_jars() -> Sequence[Path]:
    """Return the jars and folders that contain ImageJ's classes, patched or not."""
    loader = _ij_loader() or jpype.JClass("java.lang.ClassLoader").getSystemClassLoader()
    found: list[Path] = []
    resource = "ij/gui/Roi.class"
    for url in loader.getResources(resource):
        text = str(url).removeprefix("jar:").removesuffix(resource).rstrip("/").removesuffix("!")
        found.append(Path(str(jpype.JClass("java.io.File")(jpype.JClass("java.net.URI")(text)).getPath())))
    return found


@cache
def _loader(folder: Path) -> Any:
    """Return the class loader of our classes, a child of ImageJ's class loader."""
    urls = [jpype.JClass("java.io.File")(str(folder)).toURI().toURL()]
    return jpype.JClass("java.net.URLClassLoader")(jpype.JArray(jpype.JClass("java.net.URL"))(urls), _ij_loader())


def _ij_loader() -> Any:
    return jpype.JClass("ij.IJ").class_.getClassLoader()
