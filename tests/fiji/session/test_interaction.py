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


ERRORS = {
    'open("/nonexistent.tif"); return "went on";': r"File not found: /nonexistent\.tif in line 1 of the macro: open",
    'exit("no cells were found");': r"^no cells were found$",
    'requires("9.99z"); return "went on";': r"requires ImageJ 9\.99z or later",
    'run("No Such Command"); return "went on";': r'Unrecognized command: "No Such Command" in line 1',
    'x = 1;\nsaveAs("Tiff", "/nowhere/a.tif"); return "went on";': r"/nowhere/a\.tif in line 2 of the macro: saveAs",
    's = File.openAsString("/nowhere"); return "went on";': r"file not found in line 1",
    'run("Open...", "open=/nowhere.tif"); return "went on";': r"/nowhere\.tif",
    'runMacro("/nowhere.ijm"); return "went on";': r"Macro or script not found: /nowhere\.ijm in line 1",
    "#@ String name\nprint(name);": r"'#@ String name' is a script parameter.*getArgument\(\)",
}


def test_what_imagej_reports_as_an_error_ends_the_macro(clean):
    clean.show(np.zeros((4, 5), np.uint8), name="a")
    for code, words in ERRORS.items():
        with pytest.raises(MacroError, match=words):
            clean.run_macro(code)
        assert clean.titles() == ["a"], code
        assert clean.run_macro("return getTitle();") == "a"


def test_a_macro_may_ask_to_continue_after_an_error(clean):
    code = 'IJ.redirectErrorMessages(); open("/nonexistent.tif"); return "went on";'
    assert clean.run_macro(code) == "went on"
    with pytest.raises(MacroError, match="File not found"):
        clean.run_macro('open("/nonexistent.tif"); return "went on";')


def test_the_roi_manager_without_windows_names_the_way_around(fiji):
    if fiji.mode == "headless":
        with pytest.raises(MacroError, match=r"mode='interactive'.*Add Selection.*instead of the ROI Manager"):
            fiji.run_macro('newImage("b", "8-bit", 5, 5, 1); makeRectangle(1, 1, 2, 2); roiManager("Add");')


def test_no_error_opens_a_dialog_that_blocks(window):
    window(f"""
        from fijibridge.errors import MacroError
        fiji.show(np.zeros((4, 5), np.uint8), name="a")
        for code in {list(ERRORS)!r}:
            try:
                told = fiji.run_macro(code)
            except MacroError:
                assert not dialogs(), code
            else:
                raise AssertionError((code, told))
        assert fiji.titles() == ["a"]
    """)  # fmt: skip


def test_an_error_elsewhere_does_not_end_a_macro(window):
    window("""
        import threading
        titles = []

        def elsewhere():
            jpype.JClass("ij.IJ").error("Elsewhere", "an error of somebody else")

        def close():
            titles.append(str(wait(dialogs)[0].getTitle()))
            dialog(titles[0]).dispose()

        closing = threading.Thread(target=close)
        closing.start()
        threading.Timer(0.5, elsewhere).start()
        assert fiji.run_macro("wait(2000); return 'went on';") == "went on"
        closing.join(60)
        assert titles
    """)  # fmt: skip
