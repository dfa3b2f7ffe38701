"""The options of a verb, for the scripts in the menu of a Fiji: read and written by the same rules as in this process.

Both functions take and return what JSON can say: the scripts ask either the worker or the Python that started Fiji.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fijibridge.errors import OptionError
from fijibridge.verbs import Verb, verb_named
from fijibridge.verbs.macro_options import read_options, with_variables, write_options
from fijibridge.verbs.parameters import INPUTS


def read(asked: Mapping[str, Any]) -> dict[str, Any]:
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


def write(asked: Mapping[str, Any]) -> dict[str, Any]:
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
