"""Macros run from Python."""

from __future__ import annotations

import numpy as np
import pytest

from fijibridge.errors import MacroError, RenamedWarning, SessionError


def test_python_and_the_macro_language_see_the_same_images(clean):
    clean.show(np.full((4, 5), 7, np.uint8), name="seen by both")
    assert clean.run_macro("selectImage('seen by both'); return '' + getWidth() + ' ' + getPixel(1, 1);") == "5 7"
    clean.run_macro("newImage('by macro', '16-bit ramp', 30, 20, 1);")
    assert clean.image("by macro").shape == (20, 30)
    assert clean.run_macro("return getArgument();", "the argument") == "the argument"


def test_a_macro_error_is_an_exception_and_ends_the_macro(clean):
    clean.show(np.full((4, 4), 5, np.uint8), name="before")
    macro = "newImage('made', '8-bit', 9, 9, 1);\nnonsense('x');\nnewImage('not reached', '8-bit', 9, 9, 1);"
    with pytest.raises(MacroError, match=r"Undefined identifier in line 2 of the macro"):
        clean.run_macro(macro)
    assert clean.titles() == ["before", "made"], "an error closes no image"
    assert clean.array("before").sum() == 80
    with pytest.raises(MacroError):
        clean.run_macro("selectImage('made'); close(); nonsense('y');")
    assert clean.titles() == ["before"], "what the macro closed before its error stays closed"
    assert clean.run_macro("return getTitle();") == "before"


def test_a_macro_that_needs_an_image_or_is_not_finished_hangs_nothing(python):
    """In a process of its own: each of these once ended in System.exit within Java, for which Python waited."""
    done = python(
        """
        import fijibridge as fb
        fiji = fb.Fiji.start(WHERE, mode="headless")
        for macro in ("x = getTitle();", "getTitle()", "makeOval(1, 2, 3, 4);", "setPixel(1, 1, 1);", "x = getTitle(",
                      "makeOval(1, 2", "a = newArray(2); a[1", "newImage('a', '8-bit', 9, 9, 1); makeOval(1, 2", "{"):
            try:
                fiji.run_macro(macro)
                print("no error of", macro)
            except fb.FijiBridgeError as error:
                print(error)
        print(fiji.titles(), fiji.run_macro('x = "(("; // ((\\n return x;'))
        """,
        timeout=100,
    )
    lines = done.stdout.splitlines()
    assert [line.startswith("There are no images open in line 1 of the macro") for line in lines[:4]] == [True] * 4, (
        lines
    )
    assert lines[4:8] == [
        "the macro has unclosed brackets: 1 more ( than )", "the macro has unclosed brackets: 1 more ( than )",
        "the macro has unclosed brackets: 1 more [ than ]", "the macro has unclosed brackets: 1 more ( than )",
    ]  # fmt: skip
    assert "expected" in lines[8]
    assert lines[9] == "[] (("


def test_exit_is_a_normal_end_of_a_macro(clean):
    clean.show(np.zeros((4, 4), np.uint8), name="a")
    assert clean.run_macro("rename('b'); exit(); rename('c');") == ""
    assert clean.titles() == ["b"]


def test_a_macro_error_opens_no_dialog_that_blocks(window):
    window("""
        try:
            fiji.run_macro("nonsense('x');")
        except fb.FijiBridgeError as error:
            assert "line 1" in str(error)
        else:
            raise SystemExit("no error")
    """)  # fmt: skip


def test_the_title_of_a_dialog_was_called_title(fiji):
    with (
        pytest.warns(RenamedWarning, match=r"title= of .*wait_for_user was renamed to dialog_title="),
        pytest.raises(SessionError, match="needs windows"),
    ):
        fiji.wait_for_user("Draw a cell", title="Cells")
