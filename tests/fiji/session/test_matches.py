"""Outcomes of cells, shown in ImageJ."""

from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.errors import ImageError


@pytest.fixture
def shown(clean):
    clean.show(np.zeros((40, 50), np.uint8), name="two")
    return clean


def test_matches_as_outlines_and_table(shown, cells):
    pred = cells.copy()
    pred[pred == 700] = 0
    pred[12:16, 12:16] = 5
    table = shown.show_matches(fb.match_labels(cells, pred), cells, pred, over="two")
    assert dict(zip(table["label"], table["outcome"], strict=True)) == {
        "4": "matched", "9": "matched", "5": "extra", "missed 700": "missed"
    }  # fmt: skip
    rois = {roi.name: roi.stroke_color for roi in shown.rois("overlay", "two")}
    assert set(rois) == {"4", "9", "5", "missed 700"}
    assert rois["missed 700"] == f"{OUTCOME_COLORS['missed']}ff"
    assert rois["4"] == rois["9"] != rois["5"]


def test_merged_and_split_cells_have_their_own_colours(shown, cells):
    pred = np.where(np.isin(cells, (4, 700)), 1, 0)
    halves = np.argwhere(cells == 9)
    for half, place in enumerate(halves):
        pred[tuple(place)] = 20 + half * 3 // len(halves)
    table = shown.show_matches(fb.match_labels(cells, pred, thresh=1.0), cells, pred, over="two")
    assert dict(zip(table["label"], table["outcome"], strict=True)) == {
        "1": "merged", "merged 4": "merged", "merged 700": "merged",
        "split 9": "split", "20": "split", "21": "split", "22": "split",
    }  # fmt: skip
    colors = {roi.name: roi.stroke_color for roi in shown.rois("overlay", "two")}
    assert colors == {row.label: f"{OUTCOME_COLORS[row.outcome]}ff" for row in table.itertuples()}


def test_a_diagnosis_as_images_outlines_and_gaps(shown, capfd):
    true = np.kron([[1, 2], [3, 4]], np.ones((20, 25), int))
    pred = np.where(true == 2, 1, true)
    found = fb.diagnose(true, pred, thresh=0.6)
    assert shown.show_diagnosis(found, true, pred, over="two") == found.summary
    assert (shown.array("Diagnosis errors") == found.errors).all()
    rois = {roi.name: roi for roi in shown.rois("overlay", "two")}
    assert set(rois) == {"1", "3", "4", "merged 1", "merged 2", "gap 1"}
    x, y = rois["gap 1"].paths()[0][0]
    assert abs(x - 24.5) <= 1
    assert abs(y - 9.5) <= 2
    assert found.summary in capfd.readouterr().out, "ImageJ's log without a window"
    red = shown.run_macro(
        "selectImage('Diagnosis errors'); getLut(r, g, b); return '' + r[2] + ' ' + g[2] + ' ' + b[2];"
    )
    assert red == "240 75 25"
    again = fb.diagnose(true, true)
    shown.show_diagnosis(again, true, true, over="two")
    assert shown.titles() == ["two", "Diagnosis errors"], "shown anew in place"
    assert not shown.array("Diagnosis errors").any()


def test_the_active_image_gets_the_outlines_not_the_errors(shown):
    true = np.kron([[1, 2], [3, 4]], np.ones((20, 25), int))
    shown.show_diagnosis(fb.diagnose(true, true), true, true)
    assert len(shown.rois("overlay", "two")) == 4
    shown.show(np.zeros((9, 9), np.uint8), name="other")
    with pytest.raises(ImageError, match="other"):
        shown.show_diagnosis(fb.diagnose(true, true), true, true, over="other", name="second")
    assert "second errors" not in shown.titles()


def test_a_diagnosis_of_a_stack_points_at_its_slices(shown):
    true = np.kron([[[1, 2]], [[3, 4]]], np.ones((3, 20, 20), int))
    pred = np.where(true == 4, 3, true)
    shown.show(np.zeros(true.shape, np.uint8), name="stack")
    found = fb.diagnose(true, pred, thresh=0.6)
    shown.show_diagnosis(found, true, pred, over="stack", name="d")
    gap = next(roi for roi in shown.rois("overlay", "stack") if roi.name == "gap 1")
    assert gap.position == found.gaps["z"][0] + 1
    assert 4 <= gap.position <= 6
