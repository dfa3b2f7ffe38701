"""Calls of verbs as ImageJ's recorder writes them."""

from __future__ import annotations

import pytest

from fijibridge import verbs
from fijibridge.errors import OptionError
from fijibridge.fiji.menu import macro_recorder


@pytest.mark.parametrize("text", ["plain", "two words", 'a "quoted" one', r"C:\data\new [1]", "", "flips=true"])
def test_what_is_recorded_is_read_back_as_it_was(clean, own, text):
    def told(text: str = "usual", number: float | None = None, grow: bool = True) -> None:
        values.append((text, number, grow))

    values = []
    own("Told...", told)
    verb = verbs.verb_named("told")
    given = {"text": text, "number": 0.1, "grow": False}
    clean.run_macro(macro_recorder.line(verb, given, in_script=False))
    line = macro_recorder.line(verb, given, in_script=True)
    assert line.startswith('IJ.run("FijiBridge Told...", "')
    clean.run_macro(line.replace("IJ.run(", "run("))
    assert values == [(text, 0.1, False)] * 2
    usual = {"text": "usual", "number": None, "grow": True}
    assert macro_recorder.line(verb, usual, in_script=False) == 'run("FijiBridge Told...", " ");\n', (
        "which asks nothing"
    )


def test_a_title_that_no_macro_can_write_is_refused(own):
    def told(text: str) -> None:
        pass

    own("Told...", told)
    with pytest.raises(OptionError, match="cannot be written in a macro"):
        macro_recorder.line(verbs.verb_named("told"), {"text": "a ]["}, in_script=False)
