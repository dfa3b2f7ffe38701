"""The options of an ImageJ macro, ``model=[a b.safetensors] threshold=0.5 flips``, to values and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fijibridge.errors import OptionError
from fijibridge.renames import rename_attributes
from fijibridge.verbs.parameters import INPUTS, Kind
from fijibridge.verbs.registry import Verb, verb_named

_KEY = re.compile(r"\s*([A-Za-z_]\w*)")
_VARIABLE = re.compile(r"&([A-Za-z_]\w*)")


def read_options(text: str) -> dict[str, str]:
    """Return the options of a macro's ``run`` by name; one without a value is ``"true"``.

    Raises
    ------
    OptionError
        If the text is none: a bracket that is not closed, or something that is no ``name=value``.

    Examples
    --------
    >>> read_options("model=[/a b/[1].safetensors] threshold=0.5 flips")
    {'model': '/a b/[1].safetensors', 'threshold': '0.5', 'flips': 'true'}
    """
    options: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        key = _KEY.match(text, at)
        if key is None:
            raise OptionError(f"options {text!r}: expected name=value at {text[at:].strip()!r}")
        at = key.end()
        value = "true"
        if text[at : at + 1] == "=":
            value, at = _value(text, at + 1)
        elif text[at : at + 1].strip():
            raise OptionError(f"options {text!r}: expected a space or = after {key[1]!r}")
        name = key[1].lower()
        if name in options:
            raise OptionError(f"options {text!r}: {name} is given twice")
        options[name] = value
    return options


def with_variables(given: Mapping[str, str], held: Callable[[str], str | None]) -> dict[str, str]:
    """Replace values such as ``&model`` by what the macro's variable of that name holds.

    Parameters
    ----------
    given
        Options, as :func:`read_options` returns them.
    held
        Returns the value of a variable as text; None if the macro has no such variable.

    Raises
    ------
    OptionError
        If the macro has no such variable.

    Examples
    --------
    >>> with_variables({"model": "&path", "threshold": "0.5"}, {"path": "/m.safetensors"}.get)
    {'model': '/m.safetensors', 'threshold': '0.5'}
    """
    found = {}
    for name, value in given.items():
        variable = _VARIABLE.fullmatch(value)
        if variable is not None:
            text = held(variable[1])
            if text is None:
                raise OptionError(f"{name} is {value}, but the macro has no variable {variable[1]!r}")
            value = text
        found[name] = value
    return found


def _value(text: str, at: int) -> tuple[str, int]:
    """Return the value that begins there, and where it ends."""
    first = text[at : at + 1]
    if first == "[":
        depth = 0
        for end in range(at, len(text)):
            depth += {"[": 1, "]": -1}.get(text[end], 0)
            if not depth:
                return text[at + 1 : end], end + 1
        raise OptionError(f"options {text!r}: the bracket at {text[at : at + 20]!r} is not closed")
    if first == "'" and (end := text.find("'", at + 1)) >= 0:
        return text[at + 1 : end], end + 1
    end = next((n for n in range(at, len(text)) if text[n].isspace()), len(text))
    return text[at:end], end


def write_options(verb: Verb, values: Mapping[str, Any]) -> str:
    """Return values as the options of a macro; those that are as the verb has them by itself are left out.

    Raises
    ------
    OptionError
        If a text cannot be written in a macro: brackets that do not fit each other.

    Examples
    --------
    >>> from fijibridge.verbs import verb_named
    >>> write_options(verb_named("predict"), {"image": "a 1.tif", "model": "/m.safetensors", "flips": True})
    'image=[a 1.tif] model=/m.safetensors flips'
    """
    words = []
    for parameter in verb.options:
        if parameter.name not in values:
            continue
        value = values[parameter.name]
        if not parameter.required and value == parameter.default:
            continue
        text = parameter.text(value)
        if parameter.kind is Kind.flag and value:
            words.append(parameter.name)
        elif parameter.kind is Kind.image and not text:
            continue  # the active image
        else:
            words.append(f"{parameter.name}={quoted(text)}")
    return " ".join(words)


def quoted(text: str) -> str:
    """Return a value as a macro writes it, in brackets where it needs them.

    Raises
    ------
    OptionError
        If its own brackets do not fit each other, for which ImageJ has no way.
    """
    if text and not re.search(r"[\s\[\]']", text):
        return text
    depth = 0
    for sign in text:
        depth += {"[": 1, "]": -1}.get(sign, 0)
        if depth < 0:
            break
    if depth:
        raise OptionError(f"{text!r} cannot be written in a macro: rename it, so that each [ has its ]")
    return f"[{text}]"


def read_request(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a call by name, as they were given, and check them.

    Parameters
    ----------
    asked
        ``verb``; ``options``, the text of a macro, with ``variables``, the texts of the macro's variables that it
        names; or ``given``, values by name. Inputs are names, which are not looked up.

    Returns
    -------
    dict
        ``{"given": values by name}``.

    Raises
    ------
    OptionError
        If values are unknown, missing or wrong; all of them are told.
    """
    verb = _verb(asked)
    options = asked.get("options")
    if options is None:
        given = dict(_mapping(asked, "given"))
    else:
        given = with_variables(read_options(str(options)), _mapping(asked, "variables").get)
    verb.read(given)
    return {"given": given}


def write_request(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call as the options of a macro.

    Parameters
    ----------
    asked
        ``verb``, and ``given``: values by name, inputs as the recorder is to name them.

    Returns
    -------
    dict
        ``{"options": text}``; a blank for a verb with parameters that are all left out, which would ask without it.

    Raises
    ------
    OptionError
        If a value cannot be written in a macro.
    """
    verb = _verb(asked)
    given = _mapping(asked, "given")
    inputs = {p.name: given.get(p.name) for p in verb.parameters if p.kind in INPUTS}
    options = write_options(verb, {**verb.read(given), **inputs})
    return {"options": options or (" " if verb.parameters else "")}


def _verb(asked: Mapping[str, Any]) -> Verb:
    return verb_named(str(asked.get("verb")))


def _mapping(asked: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = asked.get(name) or {}
    if not isinstance(value, Mapping):
        raise OptionError(f"{name} is {type(value).__name__}; expected values by name")
    return value


rename_attributes(__name__, {"read": "verbs.macro_options:read_request", "write": "verbs.macro_options:write_request"})
