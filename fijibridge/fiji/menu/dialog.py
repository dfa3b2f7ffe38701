"""Dialog of a verb, which the Java class ``fijibridge.verbs.Dialog`` shows in any Fiji."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jpype

from fijibridge.errors import Cancelled
from fijibridge.fiji import windows
from fijibridge.fiji.jvm import classes
from fijibridge.verbs.dialog_fields import description
from fijibridge.verbs.registry import Verb


def offered(verb: Verb) -> dict[str, str]:
    """Return the initial text of each field: the last value used, else the default; for images, an open one."""
    return _texts(classes.dialog().offered(_java_verb(verb), windows.current_image()))


def ask(verb: Verb, texts: Mapping[str, str]) -> dict[str, str]:
    """Ask for a verb's parameters, and return the text of each.

    Parameters
    ----------
    verb
        The verb.
    texts
        Initial text of each field.

    Raises
    ------
    Cancelled
        If the user cancels the dialog.
    """
    answer = classes.dialog().ask(_java_verb(verb), _java(texts))
    if answer is None:
        raise Cancelled("cancelled")
    return _texts(answer)


def remember(verb: Verb, texts: Mapping[str, str]) -> None:
    """Save the values in ImageJ's preferences for the next dialog; defaults are not saved."""
    classes.dialog().remember(_java_verb(verb), _java(texts))


def offer(verb: Verb, parameter: str, text: str) -> None:
    """Set the initial value of a field in the next dialog of a verb."""
    classes.dialog().offer(verb.name, verb[parameter].name, text)


def may_replace(title: str) -> bool | None:
    """Ask the user whether an open image with unsaved changes may be replaced; None if they cancel."""
    answer = classes.dialog().mayReplace(title)
    return None if answer is None else bool(answer)


def _java_verb(verb: Verb) -> Any:
    return classes.verb()(_java(description(verb)))


def _java(value: Any) -> Any:
    """Convert dicts and lists to Java's maps and lists, at any depth."""
    if isinstance(value, Mapping):
        made = jpype.JClass("java.util.LinkedHashMap")()
        for name, part in value.items():
            made.put(name, _java(part))
        return made
    if isinstance(value, list):
        made = jpype.JClass("java.util.ArrayList")()
        for part in value:
            made.add(_java(part))
        return made
    return value


def _texts(answer: Any) -> dict[str, str]:
    return {str(entry.getKey()): str(entry.getValue()) for entry in answer.entrySet()}
