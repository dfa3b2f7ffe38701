"""Convert the options of ImageJ macros, such as ``model=[a b.safetensors] flips``, to values by name, and back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from fijibridge.errors import OptionError
from fijibridge.renames import rename_attributes
from fijibridge.verbs.parameters import INPUTS, Kind, current_names
from fijibridge.verbs.registry import Verb, verb_named

_KEY = re.compile(r"\s*([A-Za-z_]\w*)")
_VARIABLE = re.compile(r"&([A-Za-z_]\w*)")


def read_options(text: str) -> dict[str, str]:
    """Split the options of a macro's ``run`` into values by name; an option without a value becomes ``"true"``.

    Raises
    ------
    OptionError
        If a bracket is not closed, a word is not ``name=value``, or a name occurs twice.

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
    """Replace values such as ``&model`` by the macro's variable of that name.

    Parameters
    ----------
    given
        Options by name, as :func:`read_options` returns them.
    held
        Function that returns the text of a variable, or None if the macro has no such variable.

    Raises
    ------
    OptionError
        If the macro has no variable of that name.

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
    """Return the value that begins at an index, and the index after it."""
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
    """Write values as the options of a macro; values equal to the default are left out.

    Raises
    ------
    OptionError
        If a value has unbalanced brackets, which a macro cannot express.

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
    """Put a value into brackets where a macro needs them.

    Raises
    ------
    OptionError
        If the value has unbalanced brackets, which a macro cannot express.
    """
    if text and not re.search(r"[\s\[\]']", text):
        return text
    depth = 0
    for sign in text:
        depth += {"[": 1, "]": -1}.get(sign, 0)
        if depth < 0:
            break
    if depth:
        raise OptionError(f"{text!r} cannot be written in a macro: rename it so that each [ has a ]")
    return f"[{text}]"


def read_request(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Check the options that a script in Fiji received, and return them by name.

    Scripts ask either the worker or the Python that started Fiji; request and answer are JSON.

    Parameters
    ----------
    asked
        ``verb``, the name of the verb; and either ``options``, a macro's options as text, together with ``variables``,
        the macro's variables by name; or ``given``, values by name. Images and cells are names, which are not looked
        up.

    Returns
    -------
    dict
        ``{"given": values by name}``, with the current names of parameters.

    Raises
    ------
    OptionError
        If options are unknown, missing or invalid; the message lists all of them.
    """
    verb = _verb(asked)
    options = asked.get("options")
    if options is None:
        given = dict(_mapping(asked, "given"))
    else:
        given = with_variables(read_options(str(options)), _mapping(asked, "variables").get)
    verb.read(given)
    return {"given": current_names(verb.options, given)[0]}


def write_request(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Write the options of a call for ImageJ's recorder, with the current names of parameters.

    Parameters
    ----------
    asked
        ``verb``, the name of the verb; and ``given``, values by name. Images and cells are titles.

    Returns
    -------
    dict
        ``{"options": text}``. If all parameters are left out, the text is a blank, because an empty text would open a
        dialog.

    Raises
    ------
    OptionError
        If a value cannot be written in a macro.
    """
    verb = _verb(asked)
    given, _ = current_names(verb.options, _mapping(asked, "given"))
    inputs = {p.name: given.get(p.name) for p in verb.parameters if p.kind in INPUTS}
    return {"options": write_options(verb, {**verb.read(given), **inputs}) or without_dialog(verb)}


def without_dialog(verb: Verb) -> str:
    """Return the options of a call that gives none: a blank if the verb would otherwise open its dialog."""
    return " " if verb.parameters else ""


def _verb(asked: Mapping[str, Any]) -> Verb:
    return verb_named(str(asked.get("verb")))


def _mapping(asked: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = asked.get(name) or {}
    if not isinstance(value, Mapping):
        raise OptionError(f"{name} is a {type(value).__name__}; expected values by name")
    return value


rename_attributes(__name__, {"read": "verbs.macro_options:read_request", "write": "verbs.macro_options:write_request"})
