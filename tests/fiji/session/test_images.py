"""Images shown in ImageJ and copied back."""

from __future__ import annotations

import jpype
import numpy as np
import pytest

from fijibridge.errors import ImageError, NoImageError


def test_titles_images_and_the_active_one(clean):
    a, b = np.zeros((3, 4), np.uint8), np.ones((5, 6), np.float32)
    assert clean.show(a, name="a") == "a"
    assert clean.show(b, name="b") == "b"
    assert clean.titles() == ["a", "b"]
    assert clean.image("a").shape == (3, 4)
    assert clean.image().name == "b", "the last one shown is active"
    assert [i.shape for i in clean.images()] == [(3, 4), (5, 6)]
    assert isinstance(clean.array("b"), np.ndarray)


def test_two_images_of_one_title(clean):
    assert [clean.show(np.zeros((2, 2), np.uint8), name="x", new=True) for _ in range(3)] == ["x", "x-1", "x-2"]
    clean._find("x-1").setTitle("x")
    with pytest.raises(NoImageError, match="by its id"):
        clean.image("x")
    assert clean.image(clean.ids()[1]).shape == (2, 2)


def test_no_image(clean):
    with pytest.raises(NoImageError, match="no image is open"):
        clean.image()
    clean.show(np.zeros((2, 2), np.uint8), name="here")
    with pytest.raises(NoImageError, match=r"'gone'; open images: \['here'\]"):
        clean.image("gone")


def test_luts(clean):
    clean.show(np.arange(256, dtype=np.uint8).reshape(16, 16), name="a", lut="Fire")
    lut = clean._find("a").getProcessor().getLut()
    assert lut.getRGB(jpype.JInt(255)) & 0xFFFFFF == 0xFFFFFF
    red, blue = (lut.getRGB(jpype.JInt(128)) >> shift & 0xFF for shift in (16, 0))
    assert red > 200 > 100 > blue, "the middle of Fire is red"
    with pytest.raises(ImageError, match="Firre"):
        clean.show(np.zeros((2, 2), np.uint8), lut="Firre")


def test_showing_again_keeps_window_zoom_slice_and_overlay(window):
    window("""
        stack = np.random.default_rng(0).integers(0, 255, (5, 60, 80)).astype(np.uint8)
        fiji.show(stack, name="s")
        imp = fiji._find("s")
        window, canvas = imp.getWindow(), imp.getCanvas()
        fiji.add_rois([fb.Roi.rectangle(3, 3, 9, 9, name="1")])
        imp.setSlice(4)
        canvas.setMagnification(4.0)  # zoomIn would resize the window, whose events come at any time
        canvas.setSourceRect(jpype.JClass("java.awt.Rectangle")(10, 20, 20, 15))
        zoom, seen = 4.0, (10, 20, 20, 15)
        assert fiji.show(255 - stack, name="s") == "s"
        again = fiji._find("s")
        assert again.getWindow() == window and again.getID() == imp.getID(), "the same window"
        part = again.getCanvas().getSrcRect()
        assert again.getCanvas().getMagnification() == zoom and (part.x, part.y, part.width, part.height) == seen
        assert again.getCurrentSlice() == 4 and again.getOverlay().size() == 1
        assert (fiji.array("s") == 255 - stack).all() and fiji.titles() == ["s"]
        fiji.show(stack, name="s", keep_view=False)
        assert fiji._find("s").getCurrentSlice() == 1
        where = fiji._find("s").getWindow().getLocation()
        fiji.show(np.zeros((9, 9), np.float32), name="s")  # of another size: another window, in its place
        assert fiji.titles() == ["s"] and fiji.image("s").shape == (9, 9)
        wait(lambda: fiji._find("s").getWindow().getLocation().equals(where))
    """)  # fmt: skip
