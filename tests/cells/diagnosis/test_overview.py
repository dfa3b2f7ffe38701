from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fijibridge.cells.diagnosis.overview import diagnose, explain
from fijibridge.cells.diagnosis.pixel_errors import enrich_errors
from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import RenamedWarning
from fijibridge.image import as_image


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


def test_claims_follow_their_tests(truth):
    no_error = enrich_errors(np.zeros(truth.shape, np.uint8), truth, [1, 2])
    assert no_error[["enrichment", "p"]].isna().all(axis=None)
    everything = diagnose(truth, np.ones(truth.shape, int))
    assert "few wrong pixels" not in everything.summary


@pytest.mark.parametrize(("p", "said"), [(0.001, True), (0.2, False)])
def test_what_chance_explains_is_not_claimed(p, said):
    found = pd.DataFrame({"where": ["membranes"], "inside": [0.2], "outside": [0.1], "enrichment": [2.0], "p": [p]})
    one = match_labels(np.ones((3, 3), int), np.ones((3, 3), int))
    nothing = pd.DataFrame({"lowest": [], "length": [], "regained": []})
    assert ("2.0 times as dense" in explain(one, 0.9, 9, nothing, found)) is said


def test_ids_beyond_the_whole_numbers_of_floats():
    big = 2**53 + 1
    true = np.array([[big] * 4 + [0] + [big + 2] * 4] * 4)
    found = diagnose(true, np.where(true == big, true, 0))
    assert found.cells["true"].tolist() == [big, big + 2]


def test_old_keywords_of_diagnose():
    true = np.kron([[1, 2], [3, 4]], np.ones((20, 20), int))
    prob = np.zeros(true.shape)
    prob[19:21], prob[:, 19:21] = 0.6, 0.6
    expected = diagnose(true, true, prob=prob, membrane_threshold=0.7, membrane_width=5)
    with pytest.warns(RenamedWarning) as caught:
        found = diagnose(true, true, prob, threshold=0.7, width=5)
    assert (found.errors == expected.errors).all()
    assert (found.errors > 0).any()
    assert sorted(str(warning.message) for warning in caught) == [
        "argument 3 of diagnose is keyword-only now: prob=",
        "threshold= of diagnose was renamed to membrane_threshold=",
        "width= of diagnose was renamed to membrane_width=",
    ]
