"""Calls of verbs in ImageJ's recorder, which the Java class ``fijibridge.verbs.MacroRecorder`` writes in any Fiji."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fijibridge.errors import OptionError
from fijibridge.fiji.jvm import classes
from fijibridge.verbs.macro_options import without_dialog, write_options
from fijibridge.verbs.registry import Verb


def on_for(person: bool) -> bool:
    """Tell whether calls are recorded; the user must enable it for calls that a person did not make."""
    return bool(classes.macro_recorder().isOnFor(person))


def record(verb: Verb, values: Mapping[str, Any]) -> None:
    """Record a call, or a comment if a value cannot be written in a macro."""
    try:
        classes.macro_recorder().record(verb.command, _options(verb, values))
    except OptionError as error:
        classes.macro_recorder().recordComment(f"{verb.command}: {error}")


def line(verb: Verb, values: Mapping[str, Any], in_script: bool) -> str:
    """Return a call as a line of a macro or script.

    Raises
    ------
    OptionError
        If a value cannot be written in a macro.
    """
    return str(classes.macro_recorder().line(verb.command, _options(verb, values), in_script))


def stop(command: str) -> None:
    """Prevent ImageJ from recording a command when it ends, because the call has been recorded already."""
    classes.macro_recorder().stop(command)


def _options(verb: Verb, values: Mapping[str, Any]) -> str:
    return write_options(verb, values) or without_dialog(verb)
