"""The lines of docs/verbs.md in a Fiji that Python did not start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import languages

_KEPT = "def kept = { IJ.getProperty('fijibridge.table.' + it) }\n"
_FORGET = "['Results', 'Matches', 'Cells', 'Errors'].each { IJ.setProperty('fijibridge.table.' + it, null) }"


def done(jvm: Callable[..., Any], folder: Path, language: str, command: str) -> dict[str, Any]:
    """Run a line in a language, and return what came out."""

    def told(language: str, code: str) -> Any:
        return jvm("watching { speak(language, code) }", language=language, code=code)

    jvm(_FORGET)
    return languages.done(lambda code, **values: jvm(_KEPT + code, **values), told, folder, language, command)


def all_done(jvm: Callable[..., Any], folder: Path, language: str) -> dict[str, Any]:
    """Run all lines that work in a language, check them, and return what came out and must be equal everywhere."""
    return languages.all_done(lambda command: done(jvm, folder, language, command))
