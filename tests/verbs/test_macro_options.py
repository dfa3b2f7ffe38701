from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.errors import OptionError, RenamedWarning
from fijibridge.verbs import Verb, verb_named
from fijibridge.verbs.macro_options import quoted, read_options, read_request, write_options, write_request
from tests.examples import examples


def balanced(text: str) -> bool:
    depth = 0
    for sign in text:
        depth += {"[": 1, "]": -1}.get(sign, 0)
        if depth < 0:
            return False
    return depth == 0


TEXTS = st.recursive(
    st.text(st.characters(exclude_characters="[]", exclude_categories=["Cs"]), max_size=8),
    lambda inner: st.tuples(inner, inner, inner).map(lambda parts: f"{parts[0]}[{parts[1]}]{parts[2]}"),
    max_leaves=4,
)


def sample(name: str, word: str = "x", size: float = 0.5, flip: bool = False, grow: bool = True) -> None: ...


SAMPLE = Verb("Sample...", "sample", "", sample)


@given(TEXTS, TEXTS, st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.booleans())
@examples(300)
def test_what_is_written_is_read(name, word, size, flip, grow):
    values = {"name": name, "word": word, "size": size, "flip": flip, "grow": grow}
    assert SAMPLE.read(read_options(write_options(SAMPLE, values))) == values


@given(st.text("ab[] '", max_size=12))
@examples(300)
def test_a_text_is_written_if_its_brackets_fit_and_else_refused(text):
    if balanced(text):
        assert read_options(f"a={quoted(text)} b=1") == {"a": text, "b": "1"}
    else:
        with pytest.raises(OptionError, match="cannot be written in a macro: rename it"):
            quoted(text)


def test_flags_and_defaults_need_no_words():
    assert write_options(SAMPLE, {"name": "a", "word": "x", "size": 0.5, "flip": False, "grow": True}) == "name=a"
    assert write_options(SAMPLE, {"name": "a", "flip": True, "grow": False}) == "name=a flip grow=false"
    assert write_options(verb_named("predict"), {"image": "", "model": "/m"}) == "model=/m", "the active image"


def test_quotes_are_read():
    assert read_options("a='b c' d='e") == {"a": "b c", "d": "'e"}
    assert read_options("  A=1\tb\n") == {"a": "1", "b": "true"}
    assert read_options("") == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a=[b [c] d", "options 'a=[b [c] d': the bracket at '[b [c] d' is not closed"),
        ("a=1 =2", "options 'a=1 =2': expected name=value at '=2'"),
        ("a=1 2b", "options 'a=1 2b': expected name=value at '2b'"),
        ("a-b=1", "options 'a-b=1': expected a space or = after 'a'"),
        ("a=1 A=2", "options 'a=1 A=2': a is given twice"),
    ],
)
def test_what_is_no_options(text, words):
    with pytest.raises(OptionError) as error:
        read_options(text)
    assert str(error.value) == words


@pytest.mark.parametrize("value", ["plain", "two words", "a [b] c", "[x]", "it's", "/a b/ü [1].tif", ""])
def test_imagej_reads_what_is_written(fiji, value):
    """ImageJ's own reader of options, which plugins use."""
    from jpype import JClass

    text = write_options(SAMPLE, {"name": value, "word": "after [it] all", "size": 1.25})
    macro = JClass("ij.Macro")
    assert str(macro.getValue(text, "name", "none")) == value
    assert str(macro.getValue(text, "word", "none")) == "after [it] all"
    assert str(macro.getValue(text, "size", "none")) == "1.25"


def test_the_recorder_writes_the_current_name_of_a_parameter():
    given = {"true": "a.tif", "predicted": "b.tif", "width": "5", "threshold": "0.5"}
    request = {"verb": "show_errors", "given": given}
    assert write_request(request) == {"options": "true=a.tif predicted=b.tif membrane_width=5"}


def test_a_script_of_version_0_1_sends_old_names():
    asked = {"verb": "show_errors", "options": "true=a.tif predicted=b.tif width=5"}
    with pytest.warns(RenamedWarning, match="width of FijiBridge Show Errors"):
        assert read_request(asked)["given"] == {"true": "a.tif", "predicted": "b.tif", "membrane_width": "5"}
    with pytest.raises(OptionError, match="membrane_width is 0"), pytest.warns(RenamedWarning):
        read_request({**asked, "options": "true=a.tif predicted=b.tif width=0"})
