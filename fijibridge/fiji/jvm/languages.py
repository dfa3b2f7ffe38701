"""Script languages of Fiji."""

from __future__ import annotations

from typing import Any

from fijibridge.fiji.jvm.reflection import java_class


def runnable(gateway: Any) -> dict[str, str]:
    """Return, for the name of each of ImageJ2's script languages, the reason why it cannot run; "" if it can.

    Parameters
    ----------
    gateway
        The ImageJ2 gateway.
    """
    return {str(language.getLanguageName()): _problem(language) for language in gateway.script().getLanguages()}


def _problem(language: Any) -> str:
    try:
        engine = language.getScriptEngine()
        if engine is None:
            return "it has no engine"
        if str(language.getLanguageName()) == "JavaScript":
            engine.eval("1")  # only now does Nashorn load the module that some Java installations lack
    except java_class("java.lang.Throwable") as error:
        return "this Java installation lacks the module jdk.dynalink" if "dynalink" in str(error) else str(error)
    return ""
