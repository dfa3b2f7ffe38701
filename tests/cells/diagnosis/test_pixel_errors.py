from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fijibridge.cells.diagnosis.pixel_errors import correlate_errors, enrich_errors, error_map
from fijibridge.cells.targets.from_labels import IGNORE, membrane_target
from fijibridge.errors import ImageError, RenamedWarning
from fijibridge.image import as_image, pixel_size
from tests.examples import examples


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
@examples(30)
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


def test_width_is_the_old_name_of_membrane_width():
    true = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 2)
    membranes = np.array([[0, 0, 1, 1, 1, 0, 0, 0, 0]] * 2)
    with pytest.warns(RenamedWarning, match="width= of error_map was renamed to membrane_width="):
        found = error_map(true, membranes, width=1)
    assert (found == error_map(true, membranes, membrane_width=1)).all()
