"""Macros and commands, run from Python."""

from __future__ import annotations

from functools import cache
from typing import Any

import jpype

from fijibridge.errors import MacroError


def run_macro(code: str, argument: str = "") -> str:
    """Run a macro of ImageJ's macro language, and return what it returns.

    Dialogs that the macro itself opens wait for the user: ``showMessage``, ``waitForUser``, ``exit`` with a message.

    Raises
    ------
    MacroError
        With ImageJ's message and the line. The macro ends there; no dialog opens, and the open images stay open.
    """
    interpreter_class = _interpreter_class()
    headless = jpype.JClass("ij.IJ").getInstance() is None
    images = interpreter_class.keepImages() if headless else None
    interpreter = interpreter_class()
    try:
        result = interpreter.run(code, argument)
    except jpype.JClass("java.lang.RuntimeException") as error:
        result = None
        # exit() ends a macro by an exception too
        if not interpreter.wasError() and str(error.getMessage()) != str(jpype.JClass("ij.Macro").MACRO_CANCELED):
            raise MacroError(f"the macro failed: {error}") from error
    finally:
        if images is not None:
            interpreter_class.restoreImages(images)
    if interpreter.wasError():
        message, _, line = str(interpreter.told or interpreter.getErrorMessage()).partition("\n")
        raise MacroError(f"{message} of the macro: {line.strip()}")
    if result is not None and str(result) == "[aborted]":
        raise MacroError("the macro was aborted")
    return "" if result is None else str(result)


_QUIET = "void showError(String title, String message, String[] variables) { this.told = message; }"
_KEEP = """
public static Object[] keepImages() {
    batchMode = true;
    if (imageTable == null) imageTable = new java.util.Vector();
    if (imageActivations == null) imageActivations = new java.util.Vector();
    return new Object[] {imageTable, imageActivations};
}
"""
_RESTORE = """
public static void restoreImages(Object[] kept) {
    batchMode = true;
    imageTable = (java.util.Vector) kept[0];
    imageActivations = (java.util.Vector) kept[1];
}
"""


@cache
def _interpreter_class() -> Any:
    """Make an Interpreter that survives an error of its macro.

    ImageJ's own shows it in a modal dialog, which would block Python until it is closed, and (without windows, where
    images live in a list of the interpreter's) throws all open images away. ``ignoreErrors`` is no way out: with it
    the macro goes on after the error.
    """
    parent = jpype.JClass("ij.macro.Interpreter")
    pool = jpype.JClass("javassist.ClassPool").getDefault()
    pool.appendClassPath(jpype.JClass("javassist.ClassClassPath")(parent.class_))
    made = pool.makeClass("ij.macro.FijiBridgeInterpreter", pool.get("ij.macro.Interpreter"))
    made.addField(jpype.JClass("javassist.CtField").make("public String told;", made))
    for source in (_QUIET, _KEEP, _RESTORE):
        made.addMethod(jpype.JClass("javassist.CtNewMethod").make(source, made))
    made.toClass(parent.class_)
    return jpype.JClass("ij.macro.FijiBridgeInterpreter")
