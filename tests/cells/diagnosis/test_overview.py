from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fijibridge.cells.diagnosis.gaps import find_gaps
from fijibridge.cells.diagnosis.overview import diagnose, explain
from fijibridge.cells.diagnosis.pixel_errors import correlate_errors, enrich_errors, error_map
from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import IGNORE, membrane_target
from fijibridge.errors import ImageError
from fijibridge.image import as_image, pixel_size


@pytest.fixture(scope="module")
def truth():
    return synthetic_epithelium((160, 160), cell_size=20, seed=3).labels


@pytest.fixture(scope="module")
def broken(truth):
    """Perfect membranes but for holes in three, with their places."""
    prob = (np.asarray(membrane_target(truth, 3)) == 1).astype(np.float32)
    ids = truth.values
    places = []
    for y, x in np.argwhere(ids[30:130, 30:129] != ids[30:130, 31:130]) + 30:
        near = ids[y - 8 : y + 9, x - 8 : x + 9]
        if len(np.unique(near)) == 2 and all(abs(y - a) + abs(x - b) > 40 for a, b, _ in places):
            prob[y - 3 : y + 4, x - 3 : x + 4] = 0
            places.append((int(y), int(x), tuple(np.unique(near).tolist())))
    return prob, places


def test_error_map_says_what_is_wrong_and_where_nothing_is_known():
    true = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 3)
    region = np.ones_like(true)
    region[2] = 0
    errors = error_map(as_image(true, pixel_size=0.5), np.array([[0, 1, 1, 1, 0, 0, 0, 0, 0]] * 3), region=region)
    assert errors.values.tolist() == [[0, 1, 1, 0, 2, 2, 0, 0, 0]] * 2 + [[IGNORE] * 9]
    assert pixel_size(errors) == {"y": 0.5, "x": 0.5}
    with pytest.raises(ImageError, match="shape"):
        error_map(true, np.zeros((2, 2)))


@given(hnp.arrays(np.uint8, (6, 9), elements=st.sampled_from([0, 1, 2, IGNORE])))
@settings(max_examples=30)
def test_correlation_is_that_of_all_pairs(errors):
    known, wrong = errors != IGNORE, np.isin(errors, (1, 2))
    mean = wrong[known].mean() if known.any() else np.nan
    found = correlate_errors(errors, max_distance=4)
    places = np.argwhere(known)
    pairs = [(p, q) for p in places for q in places]
    for distance in range(5):
        here = [(p, q) for p, q in pairs if abs(np.rint(np.linalg.norm(p - q)) - distance) == 0]
        products = [(wrong[tuple(p)] - mean) * (wrong[tuple(q)] - mean) for p, q in here]
        expected = np.mean(products) / (mean * (1 - mean)) if here and 0 < mean < 1 else np.nan
        assert found["correlation"][distance] == pytest.approx(expected, abs=1e-3, nan_ok=True)


def test_clusters_show_in_the_correlation_and_scattered_pixels_do_not():
    rng = np.random.default_rng(0)
    scattered = (rng.random((200, 200)) < 0.1).astype(np.uint8)
    clustered = np.kron(scattered[:40, :40], np.ones((5, 5), np.uint8))
    assert abs(correlate_errors(scattered)["correlation"][1:]).max() < 0.03
    assert correlate_errors(clustered)["correlation"][2] > 0.4
    assert abs(correlate_errors(clustered)["correlation"][8]) < 0.1


def test_errors_at_wrong_cells_are_told_from_errors_anywhere(truth):
    ids = [int(i) for i in np.unique(truth) if i]
    wrong, rng = ids[::6], np.random.default_rng(1)
    at_cells = (np.isin(truth, wrong) & (rng.random(truth.shape) < 0.3)).astype(np.uint8)
    anywhere = (rng.random(truth.shape) < 0.05).astype(np.uint8)
    cells, _ = (row for _, row in enrich_errors(at_cells, truth, wrong).iterrows())
    assert (cells["outside"], cells["p"]) == (0, 0.001)
    assert cells["inside"] == pytest.approx(0.3, abs=0.03)
    chance = enrich_errors(anywhere, truth, wrong)
    assert chance["enrichment"].between(0.85, 1.15).all()
    assert (chance["p"] > 0.02).all()
    boundaries = (membrane_target(truth.values, 3) == 1).astype(np.uint8)
    near = enrich_errors(boundaries, truth, wrong).iloc[1]
    assert near["enrichment"] > 20
    assert near["p"] < 0.01


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


def test_diagnosis_of_a_volume():
    true = np.kron([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.ones((6, 8, 8), int))
    volume = as_image(true, pixel_size={"z": 2, "y": 1, "x": 1}, unit="um")
    pred = np.where(true == 8, 7, true)
    found = diagnose(volume, pred, thresh=0.6)
    assert found.gaps[["predicted", "true_a", "true_b", "length", "regained"]].to_numpy().tolist() == [[7, 7, 8, 48, 2]]
    assert found.errors.dims == ("z", "y", "x")
    lost = found.cells[found.cells["true"].isin((7, 8))]
    assert lost[["z", "y", "x", "area"]].to_numpy().tolist() == [[8.5, 11.5, 3.5, 384], [8.5, 11.5, 11.5, 384]]
    assert "Lost: 2 merged." in found.summary
    assert found.wrong_places().shape == (3, 3)


def test_a_perfect_prediction_and_no_prediction(truth):
    perfect = diagnose(truth, truth)
    assert (perfect.pixel_accuracy, perfect.average_precision) == (1, 1)
    assert perfect.gaps.empty
    assert perfect.summary.startswith("100.00 % of the pixels are right, and 100.00 % of the true cells are found")
    nothing = diagnose(truth, np.zeros(truth.shape, int))
    assert nothing.matching.tp == 0
    assert set(nothing.cells["outcome"]) == {"missed"}
    assert "nothing to explain" in diagnose(np.zeros((9, 9), int), np.zeros((9, 9), int)).summary


def test_pixels_and_cells_are_set_against_each_other(truth, broken):
    prob, _ = broken
    found = diagnose(truth, label_cells(prob, "threshold"), prob=as_image(prob))
    assert found.pixel_accuracy > 0.98 > found.matching.recall
    assert "membranes that are broken" in found.summary


def test_unknown_pixels_are_no_errors(truth):
    region = np.zeros(truth.shape, bool)
    region[:80] = True
    pred = np.where(region, truth, 0)
    found = diagnose(truth, pred, region=region)
    assert (found.errors.values[80:] == IGNORE).all()
    assert found.pixel_accuracy > 0.97, "only along the region's border"


@pytest.mark.parametrize("sizes", [{"z": 3, "y": 1, "x": 1}, {"z": 1, "y": 1, "x": 2}])
def test_a_perfect_prediction_of_an_anisotropic_volume(sizes):
    true = as_image(np.kron(np.arange(1, 9).reshape(2, 2, 2), np.ones((6, 8, 8), int)), pixel_size=sizes)
    assert diagnose(true, true.values).pixel_accuracy == 1


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


def test_claims_follow_their_tests(truth):
    no_error = enrich_errors(np.zeros(truth.shape, np.uint8), truth, [1, 2])
    assert no_error[["enrichment", "p"]].isna().all(axis=None)
    everything = diagnose(truth, np.ones(truth.shape, int))
    assert "that little" not in everything.summary


@pytest.mark.parametrize(("p", "said"), [(0.001, True), (0.2, False)])
def test_what_chance_explains_is_not_claimed(p, said):
    found = pd.DataFrame({"where": ["membranes"], "inside": [0.2], "outside": [0.1], "enrichment": [2.0], "p": [p]})
    one = match_labels(np.ones((3, 3), int), np.ones((3, 3), int))
    nothing = pd.DataFrame({"lowest": [], "length": [], "regained": []})
    assert ("2.0 times as densely" in explain(one, 0.9, 9, nothing, found)) is said


def test_ids_beyond_the_whole_numbers_of_floats():
    big = 2**53 + 1
    true = np.array([[big] * 4 + [0] + [big + 2] * 4] * 4)
    found = diagnose(true, np.where(true == big, true, 0))
    assert found.cells["true"].tolist() == [big, big + 2]
