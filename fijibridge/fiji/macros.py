"""Macros in ImageJ's macro language, run from Python."""

from __future__ import annotations

import re
import threading
from typing import Any

import jpype

from fijibridge.errors import Cancelled, MacroError
from fijibridge.fiji.jvm import classes


def run_macro(code: str, argument: str = "") -> str:
    """Run a macro, and return its return value.

    Dialogs that the macro opens with ``showMessage`` or ``waitForUser`` wait for the user. Errors open no dialogs.

    Raises
    ------
    MacroError
        If the macro fails, or ends with ``exit(message)``. The message contains ImageJ's own message and the line where
        the macro failed. The rest of the macro does not run, and all open images stay open. If one of fijibridge's
        commands failed, its exception is the cause.
    KeyboardInterrupt
        If Ctrl-C stopped one of fijibridge's commands.
    """
    _check_brackets(code)
    _refuse_parameters(code)
    _here.cause = None
    interpreter_class = classes.interpreter()
    interpreter = interpreter_class()
    outer, _here.macro = macro_here(), interpreter
    try:
        result = interpreter.run(code, argument)
    except jpype.JClass("java.lang.RuntimeException") as error:
        result = None
        # exit() in a macro throws an exception, too
        if not interpreter.wasError() and str(error.getMessage()) != str(jpype.JClass("ij.Macro").MACRO_CANCELED):
            raise MacroError(_failed(error)) from error
    finally:
        _here.macro = outer
        restore_images()
    cause, _here.cause = _here.cause, None
    if isinstance(cause, KeyboardInterrupt):
        raise cause
    if isinstance(cause, Cancelled):
        raise MacroError(f"the macro was cancelled: {cause}") from cause
    if interpreter.wasError() or interpreter.failure is not None:
        raise MacroError(_message(str(interpreter.failure or interpreter.getErrorMessage()))) from cause
    if result is not None and str(result) == "[aborted]":
        raise MacroError("the macro was aborted")
    return "" if result is None else str(result)


_kept: list[Any] = []
"""The two lists of open images that ImageJ's interpreter keeps if there are no windows."""


def keep_images() -> None:
    """If there are no windows, let ImageJ list the images that are shown, and keep this list."""
    if not _kept:
        _kept.append(classes.interpreter().keepImages())
    restore_images()


def restore_images() -> None:
    """If there are no windows, restore the list of open images.

    ImageJ drops the list after an error in any macro, and at ``setBatchMode(false)``.
    """
    if _kept:
        classes.interpreter().restoreImages(_kept[0])


def release_images() -> None:
    """Stop keeping the list of open images."""
    _kept.clear()


_here = threading.local()


def macro_here() -> Any:
    """Return the interpreter of the macro that :func:`run_macro` runs in this thread; None if there is none.

    ImageJ itself knows only the macro that was started last, in any thread.
    """
    return getattr(_here, "macro", None)


def note_cause(error: BaseException) -> None:
    """Keep the exception of one of fijibridge's commands, for :func:`run_macro` in this thread."""
    _here.cause = error


_PLACE = re.compile(r"(?P<message>.*) in line (?P<number>\d+)\n(?:\t\t\(called from .*\)\n)* \n(?P<line>.*)", re.DOTALL)


def _message(message: str) -> str:
    """Return ImageJ's error message as one line, with the number and text of the macro's line."""
    found = _PLACE.fullmatch(message)
    if found is None:
        return " ".join(message.split())
    return f"{' '.join(found['message'].split())} in line {found['number']} of the macro: {found['line'].strip()}"


def _failed(error: BaseException) -> str:
    """Return the message of an exception that ended a macro."""
    if "HeadlessException" not in str(error):
        return f"the macro failed: {error}"
    return (
        "the macro failed, because Fiji runs without windows: use fijibridge.Fiji.start(mode='interactive'), or keep "
        "ROIs in an overlay (run('Add Selection...'), Overlay.measure) instead of the ROI Manager"
    )


def _refuse_parameters(code: str) -> None:
    """Raise if a macro declares script parameters, which ImageJ's interpreter does not know."""
    found = re.search(r"^\s*#@.*", code, re.MULTILINE)
    if found:
        raise MacroError(
            f"{found[0].strip()!r} is a script parameter, which only Fiji's script editor reads: pass values as "
            "run_macro(code, argument), and read them with getArgument()"
        )


_TOKEN = 0xFFF  # ij.macro.MacroConstants.TOK_MASK: bits of a token's type, which is a single character's code point


def _check_brackets(code: str) -> None:
    """Raise if a macro has unclosed brackets: ImageJ ignores errors that it finds at the end of the text."""
    tokens = [int(token) & _TOKEN for token in jpype.JClass("ij.macro.Tokenizer")().tokenize(code).getCode()]
    for left, right in ("()", "[]"):
        missing = tokens.count(ord(left)) - tokens.count(ord(right))
        if missing > 0:
            raise MacroError(f"the macro has unclosed brackets: {missing} more {left} than {right}")
