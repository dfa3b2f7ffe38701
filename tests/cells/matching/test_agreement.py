from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import adapted_rand_error, variation_of_information

from fijibridge.cells.matching.agreement import boundary, compare_labels
from fijibridge.errors import ImageError, RenamedWarning
from fijibridge.image import as_image

labels = hnp.arrays(np.uint16, (7, 8), elements=st.integers(0, 4)).filter(lambda a: (a > 0).sum() > 1)


def test_golden_values_of_adapted_rand(data):
    for name, values in json.loads((data / "golden" / "matching" / "golden.json").read_text()).items():
        true, pred = (tifffile.imread(data / "golden" / "matching" / f"{name}_{which}.tif") for which in ("gt", "pred"))
        found = compare_labels(true, pred)
        # scikit-image calls precision what is the recall
        expected = (found.adapted_rand_error, found.rand_recall, found.rand_precision)
        assert expected == pytest.approx(values["adapted_rand"], rel=1e-12)


@given(labels, labels)
def test_equal_to_scikit_image(true, pred):
    found = compare_labels(true, pred)
    split, merge = variation_of_information(true, pred, ignore_labels=(0,))
    assert (found.voi_split, found.voi_merge) == pytest.approx((split, merge), abs=1e-9)
    with np.errstate(invalid="ignore", divide="ignore"):
        error, recall, precision = adapted_rand_error(true, pred, ignore_labels=(0,))
    assert (found.rand_recall, found.rand_precision) == pytest.approx((recall, precision), nan_ok=True)
    assert found.adapted_rand_error == pytest.approx(error, nan_ok=True)


def test_boundaries_within_the_tolerance():
    true, pred = np.ones((30, 40), int), np.ones((30, 40), int)
    true[:, 20:], pred[:, 23:] = 2, 2
    assert boundary(true).sum() == 60
    assert compare_labels(true, pred, tolerance=3).boundary_f == 1
    # of the two pixels' wide boundary one half is 2, the other 4 (of 3 on average) pixels from the other's nearer half
    assert compare_labels(true, pred, tolerance=2).boundary_f == 0.5
    assert compare_labels(true, pred, tolerance=1).boundary_recall == 0


def test_tolerance_is_a_length_in_the_image():
    true, pred = np.ones((9, 8, 8), int), np.ones((9, 8, 8), int)
    true[4:], pred[5:] = 2, 2
    flat = {"pixel_size": {"z": 3, "y": 1, "x": 1}}
    assert compare_labels(true, pred, tolerance=1).boundary_f == 1
    far = compare_labels(as_image(true, **flat), as_image(pred, **flat), tolerance=1)
    assert far.boundary_f == 0.5, "slices are 3 px apart: only the pixels that lie in the other boundary count"


def test_gaps_between_predicted_cells_can_count_as_theirs():
    true = np.kron([[1, 2], [3, 4]], np.ones((10, 10), int))
    pred = true.copy()
    pred[9:11], pred[:, 9:11] = 0, 0
    assert compare_labels(true, pred).adapted_rand_error > 0.1
    filled = compare_labels(true, pred, fill_gaps=1.5)
    assert (filled.adapted_rand_error, filled.voi) == (0, 0)
    assert filled.boundary_f == compare_labels(true, pred).boundary_f


def test_outside_the_region_nothing_counts():
    true, pred = np.array([[1, 1, 2, 2, 3, 3]]), np.array([[1, 1, 2, 2, 9, 8]])
    inside = compare_labels(true, pred, region=np.array([[1, 1, 1, 1, 0, 0]]), tolerance=0)
    assert (inside.adapted_rand_error, inside.voi, inside.boundary_f) == (0, 0, 1)
    assert compare_labels(true, pred).voi > 0


def test_the_edge_of_the_region_is_no_boundary():
    whole = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((8, 8), int))
    region = np.arange(24)[None].repeat(24, axis=0) < 12
    cut = np.where(region, whole, 0)
    assert compare_labels(cut, whole, region=region, tolerance=0).boundary_f == 1


def test_nothing_to_compare_is_nan_and_bad_tolerances_are_refused():
    nothing = compare_labels(np.zeros((3, 3), int), np.zeros((3, 3), int))
    assert np.isnan([nothing.adapted_rand_error, nothing.voi, nothing.boundary_f]).all()
    with pytest.raises(ImageError, match="fill_gaps"):
        compare_labels(np.ones((3, 3), int), np.ones((3, 3), int), fill_gaps=-1)
    with pytest.raises(ImageError, match="tolerance"):
        compare_labels(np.ones((3, 3), int), np.ones((3, 3), int), tolerance=-1)


def test_positions_of_version_0_1_work_and_warn():
    true = np.repeat([[1, 1, 1, 1, 2, 2, 2, 2]], 8, axis=0)
    known = np.indices(true.shape)[1] < 6
    with pytest.warns(RenamedWarning, match="argument 3 of compare_labels is keyword-only now: region="):
        assert compare_labels(true, true, known) == compare_labels(true, true, region=known)
