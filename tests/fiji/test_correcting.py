"""Cells edited in ImageJ, with its own commands, and pulled back."""

from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.errors import ImageError

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def cells():
    labels = np.zeros((30, 40), np.uint16)
    labels[2:12, 2:12], labels[2:12, 14:24], labels[15:28, 5:30] = 3, 5, 9
    return fb.as_image(labels, pixel_size=0.5, unit="um", origin={"y": 10, "x": 20})


def test_an_overlay_that_was_edited(fiji, cells):
    fiji.show(np.zeros(cells.shape, np.uint8), name="raw")
    assert fiji.edit_cells(cells, "raw") == "raw"
    fiji.run_macro("""
        Overlay.removeSelection(1);
        makeRectangle(32, 2, 5, 5); Roi.setName("a new one"); Overlay.addSelection;
    """)
    after = fiji.corrected_cells(cells, "raw", "overlay")
    assert fb.list_changes(cells, after).to_numpy().tolist() == [[5, "removed", 0, 100], [10, "added", 25, 0]]
    assert after.attrs["provenance"] == "corrected"
    assert fb.pixel_size(after)["x"] == 0.5
    assert after.coords["y"][0] == 10


def test_a_label_image_that_was_painted(fiji, cells):
    fiji.show_labels(cells, name="cells")
    fiji.run_macro("""
        selectImage("cells");
        setColor(0); drawLine(17, 14, 17, 29);
        setColor(77); fillRect(32, 2, 3, 3);
    """)
    after = fiji.corrected_cells(cells, "cells", "labels")
    changes = fb.list_changes(cells, after).set_index("label")
    assert changes["change"].to_dict() == {9: "changed", 77: "added", 78: "added"}
    assert changes.loc[9, "lost"] == 13 + changes.loc[78, "gained"], "a line of 13 px, and the smaller side"
    assert after.dtype.kind in "iu"


def test_the_way_on_targets_and_a_new_table(fiji, cells, tmp_path):
    """Predicted cells, corrected in ImageJ, become truth: new targets, and a table beside the old one."""
    pred = cells.copy(data=np.where(cells == 5, 0, cells))
    old = fb.match_table({"one": fb.match_labels(cells, pred)})
    fiji.show(np.zeros(cells.shape, np.uint8), name="raw")
    fiji.edit_cells(cells, "raw")
    fiji.run_macro('selectImage("raw"); Overlay.removeSelection(1);')
    truth = fiji.corrected_cells(cells, "raw", "overlay")
    assert (fb.membrane_target(truth) != fb.membrane_target(cells)).any()
    new = fb.match_table({"one": fb.match_labels(truth, pred)})
    assert fb.compare_tables(old, new).loc[0, ["f1 before", "f1 after"]].tolist() == [0.8, 1.0]


def test_a_stack_keeps_its_slices(fiji):
    labels = np.zeros((3, 20, 20), np.uint16)
    labels[0, 2:8, 2:8] = labels[1, 3:8, 3:8] = 4
    labels[2, 10:15, 10:15] = 6
    stack = fb.as_image(labels, pixel_size={"z": 2, "y": 1, "x": 1})
    fiji.show(np.zeros(labels.shape, np.uint8), name="stack")
    fiji.edit_cells(stack, "stack")
    assert (fiji.corrected_cells(stack, "stack", "overlay") == stack).all()


def test_another_image_is_refused(fiji, cells):
    fiji.show(np.zeros((5, 6), np.uint8), name="small")
    with pytest.raises(ImageError, match=r"'small' has shape \(5, 6\)"):
        fiji.corrected_cells(cells, "small", "labels")
    with pytest.raises(ImageError, match="labels have shape"):
        fiji.edit_cells(cells, "small")
