"""Calls from scripts in the menu of a Fiji that runs in this Python process: Fiji's Python mode."""

from __future__ import annotations

import json
from importlib.metadata import version
from typing import Any

from fijibridge.errors import Cancelled, FijiBridgeError
from fijibridge.fiji.session.fiji import Fiji, current
from fijibridge.java import compiler
from fijibridge.verbs.macro_options import read_request, write_request
from fijibridge.verbs.registry import verb_named


def perform_here(asked: str) -> str:
    """Answer a request from a script in Fiji's menu.

    Parameters
    ----------
    asked
        JSON object. Its field ``what`` is one of ``"hello"``; ``"classes"``, with the field ``target`` (see
        :mod:`fijibridge.java.compiler`); ``"read"`` and ``"write"`` (see :mod:`fijibridge.verbs.macro_options`); and
        ``"perform"``, with the fields ``verb`` (its name) and ``given`` (values by parameter name).

    Returns
    -------
    str
        JSON object, one of ``{"done": ...}``, ``{"error": message}`` and ``{"cancelled": true}``. The answer to
        ``"hello"`` contains the version of fijibridge; if there is no session, it is ``{"done": {}}``.
    """
    request = json.loads(str(asked))
    what = request.pop("what")
    try:
        fiji = current()
    except FijiBridgeError as error:
        return json.dumps({"done": {}} if what == "hello" else {"error": str(error)})
    command = str(request.get("verb"))
    try:
        if what not in ("hello", "classes"):
            command = verb_named(command).command
        return json.dumps({"done": _answer(fiji, what, request)})
    except Cancelled:
        return json.dumps({"cancelled": True})
    except BaseException as error:  # scyjava would print the error and return nothing
        return json.dumps({"error": fiji._calls.message(command, error)})


def _answer(fiji: Fiji, what: str, request: dict[str, Any]) -> dict[str, Any]:
    if what == "hello":
        return {"version": version("fijibridge")}
    if what == "classes":
        return compiler.answer(request["target"])
    if what == "perform":
        verb, person = verb_named(str(request["verb"])), bool(request.get("person", False))
        return {"named": fiji._calls.perform_for_script(verb, request["given"], person)}
    if what == "classes":
        return compiler.answer(request["target"])
    return {"read": read_request, "write": write_request}[what](request)
