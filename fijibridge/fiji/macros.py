"""Macros and commands, run from Python."""

from __future__ import annotations

import re
import threading
from typing import Any

import jpype

from fijibridge.errors import Cancelled, MacroError
from fijibridge.fiji.jvm import classes


def run_macro(code: str, argument: str = "") -> str:
    """Run a macro of ImageJ's macro language, and return what it returns.

    Dialogs that the macro itself opens wait for the user: ``showMessage``, ``waitForUser``, ``exit`` with a message.
    The commands of fijibridge open none.

    Raises
    ------
    MacroError
        With ImageJ's message and the line. The macro ends there; no dialog opens, and the open images stay open. What
        a command of fijibridge raised is its cause.
    KeyboardInterrupt
        If Ctrl-C stopped a command of fijibridge.
    """
    _check_brackets(code)
    _here.cause = None
    interpreter_class = classes.interpreter()
    interpreter = interpreter_class()
    outer, _here.macro = macro_here(), interpreter
    try:
        result = interpreter.run(code, argument)
    except jpype.JClass("java.lang.RuntimeException") as error:
        result = None
        # exit() ends a macro by an exception too
        if not interpreter.wasError() and str(error.getMessage()) != str(jpype.JClass("ij.Macro").MACRO_CANCELED):
            raise MacroError(f"the macro failed: {error}") from error
    finally:
        _here.macro = outer
        restore_images()
    cause, _here.cause = _here.cause, None
    if isinstance(cause, KeyboardInterrupt):
        raise cause
    if isinstance(cause, Cancelled):
        raise MacroError(f"the macro was cancelled: {cause}") from cause
    if interpreter.wasError() or interpreter.told is not None:
        raise MacroError(_told(str(interpreter.told or interpreter.getErrorMessage()))) from cause
    if result is not None and str(result) == "[aborted]":
        raise MacroError("the macro was aborted")
    return "" if result is None else str(result)


_kept: list[Any] = []
"""The two lists in which ImageJ's interpreter has the open images where there are no windows."""


def keep_images() -> None:
    """Without windows: enter images that are shown into ImageJ's list, and hold on to that list."""
    if not _kept:
        _kept.append(classes.interpreter().keepImages())
    restore_images()


def restore_images() -> None:
    """Without windows: bring back the open images that ImageJ forgot.

    An error in any macro, and ``setBatchMode(false)`` in one, make ImageJ drop its list of them.
    """
    if _kept:
        classes.interpreter().restoreImages(_kept[0])


def release_images() -> None:
    """Leave the list of open images to ImageJ alone."""
    _kept.clear()


_here = threading.local()


def macro_here() -> Any:
    """Return the interpreter of the macro that :func:`run_macro` runs in this thread; None if it runs none.

    ImageJ knows the one that began last, of whichever thread.
    """
    return getattr(_here, "macro", None)


def note_cause(error: BaseException) -> None:
    """Keep what a command of fijibridge raised, for :func:`run_macro`, which runs the macro in this thread."""
    _here.cause = error


_PLACE = re.compile(r"(?P<message>.*) in line (?P<number>\d+)\n(?:\t\t\(called from .*\)\n)* \n(?P<line>.*)", re.DOTALL)


def _told(message: str) -> str:
    """Return ImageJ's message, its line and the code there in one."""
    found = _PLACE.fullmatch(message)
    if found is None:
        return message
    return f"{found['message']} in line {found['number']} of the macro: {found['line'].strip()}"


_TOKEN = 0xFFF  # ij.macro.MacroConstants.TOK_MASK: the lower bits of a token's code; what is one sign has its own code


def _check_brackets(code: str) -> None:
    """Refuse a macro whose text ends within brackets: ImageJ forgets errors that it finds after the end."""
    tokens = [int(token) & _TOKEN for token in jpype.JClass("ij.macro.Tokenizer")().tokenize(code).getCode()]
    for left, right in ("()", "[]"):
        missing = tokens.count(ord(left)) - tokens.count(ord(right))
        if missing > 0:
            raise MacroError(f"the macro ends within brackets: {missing} more {left} than {right}")
