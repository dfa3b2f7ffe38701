"""Macros and commands, run from Python."""

from __future__ import annotations

from functools import cache
from typing import Any

import jpype

from fijibridge.errors import MacroError


def run_macro(code: str, argument: str = "") -> str:
    """Run a macro of ImageJ's macro language, and return what it returns.

    Raises
    ------
    MacroError
        With ImageJ's message and the line. The macro ends there; no dialog opens.
    """
    interpreter = _interpreter_class()()
    try:
        result = interpreter.run(code, argument)
    except jpype.JClass("java.lang.RuntimeException") as error:
        if not interpreter.wasError():
            raise MacroError(f"the macro failed: {error}") from error
        result = None
    if interpreter.wasError():
        message, _, line = str(interpreter.told or interpreter.getErrorMessage()).partition("\n")
        raise MacroError(f"{message} of the macro: {line.strip()}")
    if result is not None and str(result) == "[aborted]":
        raise MacroError("the macro was aborted")
    return "" if result is None else str(result)


@cache
def _interpreter_class() -> Any:
    """Make an Interpreter that does not show errors in a modal dialog, which would block Python until it is closed.

    ``ignoreErrors`` is no way out: with it the macro goes on after the error.
    """
    parent = jpype.JClass("ij.macro.Interpreter")
    pool = jpype.JClass("javassist.ClassPool").getDefault()
    pool.appendClassPath(jpype.JClass("javassist.ClassClassPath")(parent.class_))
    made = pool.makeClass("ij.macro.FijiBridgeInterpreter", pool.get("ij.macro.Interpreter"))
    made.addField(jpype.JClass("javassist.CtField").make("public String told;", made))
    quiet = "void showError(String title, String message, String[] variables) { this.told = message; }"
    made.addMethod(jpype.JClass("javassist.CtNewMethod").make(quiet, made))
    made.toClass(parent.class_)
    return jpype.JClass("ij.macro.FijiBridgeInterpreter")
