"""Label images in ImageJ: colours and outlines."""

from __future__ import annotations

import jpype
import numpy as np
import pytest

import fijibridge as fb
from fijibridge.errors import ImageError, RoiError


def test_labels_have_distinct_colours_and_outlines_over_the_image(clean):
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:8], labels[10:18, 10:28] = 3, 300
    raw = fb.as_image(np.zeros((20, 30), np.uint16), name="raw")
    title = clean.show_labels(labels, over=raw)
    assert clean.titles() == ["raw", "labels"]
    assert (clean.array(title) == labels).all()
    lut = clean._find(title).getProcessor().getLut()
    colours = [lut.getRGB(jpype.JInt(i)) for i in range(256)]
    assert len(set(colours)) == 256
    assert colours[0] & 0xFFFFFF == 0, "background is black"
    outlines = clean.rois(source="overlay", title="raw")
    assert [r.name for r in outlines] == ["3", "300"]
    assert (fb.rois_to_labels(outlines, labels.shape) == labels).all()
    with pytest.raises(ImageError, match="20 x 30"):
        clean.show_labels(np.ones((5, 5), int), over="raw")


@pytest.mark.parametrize(
    ("dtype", "cells"), [(np.uint8, 200), (np.int16, 200), (np.int64, 200), (np.int16, 600), (np.int64, 600)]
)
def test_colours_of_label_images_as_they_are_seen(clean, dtype, cells):
    """Also with more cells than a lookup table has colours: none is black, and the next ids look different."""
    labels = np.arange(cells + 1, dtype=dtype).reshape(1, -1)
    title = clean.show_labels(labels)
    seen = clean._find(title).flatten().getProcessor()
    colours = [seen.getPixel(x, 0) & 0xFFFFFF for x in range(cells + 1)]
    assert colours[0] == 0
    assert 0 not in colours[1:]
    assert all(len(set(colours[x : x + 100])) == 100 for x in range(1, cells - 100))
    assert (clean.array(title) == labels).all()
    with pytest.raises(RoiError):
        clean.rois()


def seen(fiji, title, place, number=1):
    imp = fiji._find(title)
    imp.setSlice(number)
    return imp.flatten().getProcessor().getPixel(*place) & 0xFFFFFF


@pytest.mark.parametrize("planes", [None, 2])
def test_many_cells_are_seen_as_they_are_after_their_pixels_changed(clean, planes):
    labels = np.arange(1, 401, dtype=np.uint16).reshape(20, 20)
    labels = labels if planes is None else np.stack([labels] * planes)
    clean.show_labels(labels, name="big")
    clean.add_rois(fb.Roi.rectangle(14, 15, 3, 3, name="mine"), "big")
    edited = clean.image("big").copy()
    edited[..., 3:5, :] = 0
    edited[..., 7, 7] = 2
    before = seen(clean, "big", (1, 0), planes or 1)
    clean.write(edited)
    assert seen(clean, "big", (7, 3), planes or 1) == 0
    assert seen(clean, "big", (7, 7), planes or 1) == before
    clean.show(np.zeros_like(labels), name="big")
    assert [seen(clean, "big", (x, 12), planes or 1) for x in range(20)] == [0] * 20
    assert [roi.name for roi in clean.rois("overlay", "big")] == ["mine"], "what the user drew stays"


def test_labels_of_more_slices_than_the_image_has_are_refused(clean):
    for axes, shape in (("zyx", (3, 8, 8)), ("tcyx", (3, 2, 8, 8)), ("yx", (8, 8))):
        clean.show(fb.as_image(np.zeros(shape, np.uint8), axes), name="s")
        with pytest.raises(ImageError, match=r"5 slices, but 's' has [13]"):
            clean.show_labels(np.ones((5, 8, 8), int), over="s")
    assert clean.titles() == ["s"]


def test_labels_over_an_image(window):
    window("""
        tissue = fb.synthetic_epithelium((80, 80), cell_size=16)
        fiji.show_labels(tissue.labels, over=tissue.image)
        assert fiji.titles() == ["tissue", "labels"]
        assert fiji._find("tissue").getOverlay().size() == tissue.labels.values.max()
        fiji.close()
    """)  # fmt: skip


def test_many_cells_that_are_painted_by_hand_are_seen_so(window):
    window("""
        labels = np.arange(1, 401, dtype=np.uint16).reshape(20, 20).repeat(3, 0).repeat(3, 1)
        fiji.show_labels(np.stack([labels, labels]), name="big")
        imp = fiji._find("big")
        fiji.select("big")
        fiji.run_macro("setSlice(2); setColor(0); fillRect(0, 0, 40, 40); updateDisplay();")
        assert fiji.array("big")[1, 10, 10] == 0
        wait(lambda: imp.flatten().getProcessor().getPixel(10, 10) & 0xFFFFFF == 0)
        assert imp.flatten().getProcessor().getPixel(50, 50) & 0xFFFFFF != 0
        imp.setSlice(1)
        assert imp.flatten().getProcessor().getPixel(10, 10) & 0xFFFFFF != 0
    """)  # fmt: skip
