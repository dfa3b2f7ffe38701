"""Unsaved changes by a person, and Edit > Undo, under Xvfb."""

from __future__ import annotations

import textwrap

import pytest

SETUP = """
from fijibridge.errors import UnsavedError
from fijibridge.verbs import Image, ShowImage, verb
IJ = jpype.JClass("ij.IJ")

def undo(title):
    fiji.select(title)
    IJ.doCommand("Undo")

def is_now(title, array):
    wait(lambda: np.array_equal(fiji.array(title), array))

def paint(title):
    "As ImageJ's paintbrush does it, which leaves the flag as it is."
    imp = fiji._find(title)
    imp.getProcessor().set(3, 2, 77)
    imp.updateAndDraw()
    assert not imp.changes
    return fiji.array(title)
"""


@pytest.fixture
def hands(window):
    """Run code with ImageJ's windows that paints and undoes."""
    return lambda body: window(SETUP + textwrap.dedent(body))


def test_undo_brings_back_what_was_replaced_or_written_over(hands):
    hands("""
        for dtype in (np.uint8, np.uint16, np.float32):
            first = np.arange(48, dtype=dtype).reshape(6, 8)
            second = first[::-1].copy()
            fiji.show(first, name="a")
            fiji.show(second, name="a")
            undo("a"); is_now("a", first)
            undo("a"); is_now("a", second)
            pulled = fiji.image("a")
            pulled.values[2:4] = 9
            fiji.write(pulled)
            is_now("a", pulled.values)
            undo("a"); is_now("a", second)
            undo("a"); is_now("a", pulled.values)
            fiji.close_image("a")
        colors = {"c": ["red", "green", "blue"]}
        rgb = fb.as_image(np.arange(144, dtype=np.uint8).reshape(3, 6, 8), "cyx").assign_coords(colors)
        fiji.show(rgb, name="rgb")
        fiji.show(rgb.copy(data=rgb.values[:, ::-1]), name="rgb")
        undo("rgb"); is_now("rgb", rgb.values)
        labels = np.arange(48, dtype=np.uint16).reshape(6, 8) * 20
        fiji.show_labels(labels, name="cells")
        fiji.show_labels(labels[::-1], name="cells")
        undo("cells"); is_now("cells", labels)
        stack = np.zeros((3, 6, 8), np.uint8)
        fiji.show(stack, name="s")
        fiji.show(stack[:, :5] + 1, name="s")  # another size opens another window in the place of the first
        assert fiji.undo("s") == "s" and fiji.array("s").shape == (3, 6, 8)
        fiji.undo("s")
        assert fiji.array("s").shape == (3, 5, 8) and fiji.titles("s") == ["s"]
    """)


def test_what_was_painted_is_not_replaced_by_python_unasked(hands):
    hands("""
        array = np.zeros((6, 8), np.uint8)
        fiji.show(array, name="a")
        painted = paint("a")
        try:
            fiji.show(array, name="a")
        except UnsavedError:
            pass
        else:
            raise AssertionError("it was replaced")
        assert np.array_equal(fiji.array("a"), painted)
        fiji.show(array, name="a", overwrite=True)
        undo("a"); is_now("a", painted)
        fiji.undo("a"); is_now("a", array)
        big = np.zeros((40, 512, 512), np.uint16)
        fiji.show(big, name="big")
        fiji._find("big").setSlice(17)
        paint("big")
        fiji._find("big").setSlice(3)
        try:
            fiji.show(big, name="big")
        except UnsavedError:
            pass
        else:
            raise AssertionError("it was replaced")
    """)


def test_a_person_is_asked_and_the_answer_is_recorded(hands):
    hands("""
        @verb("Twice...")
        def twice(image: Image) -> ShowImage:
            "Double an image."
            return ShowImage(image * 2, "doubled")

        array = np.arange(48, dtype=np.uint8).reshape(6, 8)
        fiji.show(array, name="a")

        def call_by_hand():
            fiji.select("a")
            choose("Twice...")
            press(dialog("FijiBridge Twice"), "OK")

        IJ.run("Record...")
        recorder = jpype.JClass("ij.plugin.frame.Recorder")
        recorded = lambda: str(recorder.getInstance().getText())
        call_by_hand()
        wait(lambda: "doubled" in fiji.titles())
        painted = paint("doubled")

        call_by_hand()
        asked = dialog("FijiBridge")
        press(asked, "Cancel")
        ended("FijiBridge Twice...")
        assert not dialogs()
        assert fiji.titles() == ["a", "doubled"] and np.array_equal(fiji.array("doubled"), painted)
        assert recorded().count("Twice") == 1, recorded()

        call_by_hand()
        press(dialog("FijiBridge"), "Keep Both")
        wait(lambda: "doubled-1" in fiji.titles())
        assert np.array_equal(fiji.array("doubled"), painted)
        assert np.array_equal(fiji.array("doubled-1"), array * 2)
        assert "overwrite" not in recorded()

        call_by_hand()
        press(dialog("FijiBridge"), "Replace")
        is_now("doubled", array * 2)
        wait(lambda: 'run("FijiBridge Twice...", "image=a overwrite");' in recorded())
        undo("doubled"); is_now("doubled", painted)

        fiji.run_macro('run("FijiBridge Twice...", "image=a");')  # asks nothing
        assert np.array_equal(fiji.array("doubled"), painted)
        assert "'doubled' was changed and is not saved" in str(IJ.getLog())
        fiji.run_macro('run("FijiBridge Twice...", "image=a overwrite=true");')
        is_now("doubled", array * 2)
    """)
