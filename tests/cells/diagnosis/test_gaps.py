from __future__ import annotations

import numpy as np

from fijibridge.cells.diagnosis.gaps import find_gaps
from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.targets.from_labels import membrane_target


def test_gaps_are_found_where_they_were_made(truth, broken):
    prob, places = broken
    pred = label_cells(prob, "threshold")
    gaps = find_gaps(truth, pred, match_labels(truth, pred), prob=prob)
    assert len(places) >= 3
    assert len(gaps[gaps["lowest"] < 0.5]) == len(places)
    assert (gaps["regained"][gaps["lowest"] >= 0.5] == 0).all(), "a tiny cell that its neighbour grew over"
    for y, x, pair in places:
        row = gaps[(gaps["true_a"] == pair[0]) & (gaps["true_b"] == pair[1])].iloc[0]
        assert abs(row["y"] - y) <= 2
        assert abs(row["x"] - x) <= 2
        assert 1 <= row["length"] <= 7 < row["of"]
        assert row["lowest"] == 0


def test_closing_the_gaps_wins_back_what_is_promised(truth, broken):
    """Whole membranes at each gap by itself, labelled anew: as many more cells match as the table says."""
    prob, places = broken
    before = match_labels(truth, label_cells(prob, "threshold"))
    gaps = find_gaps(truth, label_cells(prob, "threshold"), before, prob=prob)
    whole = (membrane_target(truth.values, 3) == 1).astype(np.float32)
    for y, x, pair in places:
        mended = prob.copy()
        mended[y - 3 : y + 4, x - 3 : x + 4] = whole[y - 3 : y + 4, x - 3 : x + 4]
        after = match_labels(truth, label_cells(mended, "threshold"))
        promised = gaps[(gaps["true_a"] == pair[0]) & (gaps["true_b"] == pair[1])]["regained"].iloc[0]
        assert after.tp - before.tp == promised


def test_a_ring_of_cells_is_not_separated_by_one_membrane():
    true = np.kron([[1, 2], [3, 4]], np.ones((10, 10), int))
    gaps = find_gaps(true, np.ones_like(true), match_labels(true, np.ones_like(true)))
    assert {(a, b) for a, b in zip(gaps["true_a"], gaps["true_b"], strict=True)} == {(1, 2), (1, 3), (2, 4), (3, 4)}
    assert gaps["regained"].tolist() == [0] * 4
    assert gaps["length"].tolist() == [10] * 4


def test_one_cell_that_merges_hundreds(truth):
    """Each membrane is told; none is the only way between its cells."""
    gaps = find_gaps(truth, np.ones(truth.shape, int), match_labels(truth, np.ones(truth.shape, int)))
    assert len(gaps) > 150
    assert gaps["regained"].max() <= 1, "at the frame, a cell may hang on by one membrane"


def test_what_is_regained_counts_known_pixels_by_the_criterion():
    true = np.zeros((10, 60), int)
    true[:, :20], true[:, 20:39] = 1, 2
    pred = (np.arange(60) < 55)[None].repeat(10, axis=0).astype(int)
    region = (np.arange(60) < 40)[None].repeat(10, axis=0)
    matching = match_labels(true, pred, thresh=0.6, region=region)
    assert find_gaps(true, pred, matching, region=region)["regained"].tolist() == [2]
    chain = np.repeat([1, 2, 3], 10)[None].repeat(8, axis=0)
    one = np.ones_like(chain)
    held = find_gaps(chain, one, match_labels(chain, one, thresh=0.9, criterion="iot"))
    assert held["regained"].tolist() == [1, 1], "the part of one cell, and that of the two others"
