"""Contents of a verb's dialog, without Java: for Fiji in this process, and for the scripts of other Fijis."""

from __future__ import annotations

import html
import textwrap
from typing import Any

from fijibridge.verbs.parameters import INPUTS, PATHS, Kind, Parameter
from fijibridge.verbs.registry import Verb

MANAGER, OVERLAY = "ROI Manager", "overlay"
"""Names for cells that are areas drawn on the verb's first image, not a label image."""
LINE = 84
"""Characters in a line of a message."""
NARROW = 8
"""Columns of a field for a number or a short text."""


def description(verb: Verb) -> dict[str, Any]:
    """Return the texts of a verb's dialog, for the Java class ``fijibridge.verbs.Verb``."""
    return {
        "name": verb.name, "command": verb.command, "long": verb.long, "summary": verb.summary, "help": help_page(verb),
        "parameters": list(map(_field, verb.parameters)),
    }  # fmt: skip


def _field(parameter: Parameter) -> dict[str, Any]:
    field = {
        "name": parameter.name, "kind": str(parameter.kind), "title": parameter.title, "unit": parameter.unit,
        "usual": None if parameter.required else parameter.text(parameter.default), "optional": parameter.optional,
        "wide": is_wide(parameter), "choices": list(parameter.choices), "told": described(parameter),
    }  # fmt: skip
    return field | ({"was": list(parameter.was)} if parameter.was else {})


def is_wide(parameter: Parameter) -> bool:
    """Return whether a field needs its own row."""
    long_text = parameter.kind is Kind.text and len(parameter.text(parameter.default or "")) > NARROW * 2
    return parameter.kind in (*PATHS, *INPUTS) or (long_text and not parameter.required)


def described(parameter: Parameter) -> str:
    """Describe a parameter: its effect, the expected value, its default."""
    words = [parameter.help] if parameter.help else []
    if not words or parameter.kind in (Kind.integer, Kind.number):
        words.append(parameter.expected)
    if parameter.kind is Kind.cells:
        words.append(f"or the areas in the {MANAGER} or in the {OVERLAY} of the verb's first image")
    if not parameter.required and parameter.default is not None:
        words.append(f"default {parameter.text(parameter.default)}")
    return "; ".join(words)


def help_page(verb: Verb) -> str:
    """Return the page behind the Help button, in the old HTML that Java's viewer can show."""
    rows = "".join(
        f"<tr><td valign=top><b>{html.escape(p.title)}</b></td><td valign=top><tt>{p.name}</tt></td>"
        f"<td>{html.escape(described(p))}</td></tr>"
        for p in verb.parameters
    )
    needed = {p.name: f"[{p.title}]" for p in verb.parameters if p.required}
    call = f'run("{verb.command}", "{" ".join(f"{name}={value}" for name, value in needed.items())}");'
    paragraphs = "".join(f"<p>{html.escape(part)}</p>" for part in verb.help.split("\n\n"))
    return (
        f"<html><h2>{html.escape(verb.title.removesuffix('...'))}</h2>{paragraphs}"
        f"<table cellpadding=3 width=640>{rows}</table><p>In a macro: <tt>{html.escape(call)}</tt></p>"
    )


def wrapped(text: str) -> str:
    """Break a message into lines that fit a dialog."""
    return "\n".join(line for part in text.split("\n") for line in textwrap.wrap(part, LINE) or [" "])
