from __future__ import annotations

import json
import math

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment

import fijibridge as fb
from fijibridge import colors
from fijibridge.cells.matching import matches
from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.matching.table import match_table
from fijibridge.errors import ImageError, RenamedWarning

labels = hnp.arrays(np.uint16, (7, 8), elements=st.integers(0, 5))


def test_golden_values_of_stardist(data):
    golden = json.loads((data / "golden" / "matching" / "golden.json").read_text())
    checked = 0
    for name, values in golden.items():
        true = tifffile.imread(data / "golden" / "matching" / f"{name}_gt.tif")
        pred = tifffile.imread(data / "golden" / "matching" / f"{name}_pred.tif")
        for thresh, expected in values["stardist"].items():
            m = match_labels(true, pred, thresh=float(thresh))
            for field, value in expected.items():
                found = getattr(m, field)
                if m.tp == 0 and field == "mean_matched_score":
                    assert math.isnan(found), "stardist says 0 for a mean of nothing"
                else:
                    assert found == pytest.approx(value, rel=3e-7), (name, thresh, field)  # it sums float32
                checked += 1
        assert (m.n_true, m.n_pred) == (values["n_gt"], values["n_pred"])
        assert m.seg == values["ctc_seg"]
    assert checked > 100


def test_golden_values_of_cellpose(data):
    """Compare with background in both images: cellpose takes the first cell for background if no pixel is 0."""
    name = "dev_cornea_alizarine_15"
    golden = json.loads((data / "golden" / "matching" / "golden.json").read_text())[name]["cellpose"]
    true, pred = (tifffile.imread(data / "golden" / "matching" / f"{name}_{which}.tif") for which in ("gt", "pred"))
    found = match_labels(true, pred, thresh=(0.5, 0.75, 0.9))
    for field, name in (("accuracy", "ap"), ("tp", "tp"), ("fp", "fp"), ("fn", "fn")):
        assert [getattr(m, field) for m in found] == pytest.approx(golden[name], rel=3e-7)


def disc(radius: int, shift: int = 0) -> np.ndarray:
    y, x = np.ogrid[-50:51, -50:51]
    return (y**2 + (x - shift) ** 2 <= radius**2).astype(int)


@pytest.mark.parametrize("shift", [0, 5, 10, 40])
def test_shifted_discs(shift):
    true, pred = disc(20), disc(20, shift) * 9
    iou = ((true > 0) & (pred > 0)).sum() / ((true > 0) | (pred > 0)).sum()
    m = match_labels(true, pred, thresh=0.3)
    assert m.tp == (iou >= 0.3)
    if m.tp:
        assert m.scores == (iou,)
        assert m.pairs == ((1, 9),)


def test_iou_exactly_at_the_threshold_counts_once():
    """A cell cut in exact halves has two pairs at 0.5: one is a match, the other half is extra."""
    true, pred = np.ones((4, 4), int), np.repeat([[1, 1, 2, 2]], 4, axis=0)
    m = match_labels(true, pred, thresh=0.5)
    assert (m.tp, m.fp, m.fn) == (1, 1, 0)


@given(labels, labels, st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]), st.sampled_from(["iou", "iot", "iop"]))
def test_equal_to_the_dense_definition(true, pred, thresh, criterion):
    """Against stardist's formulation: a dense score matrix and one assignment over all cells."""
    t, p = np.unique(true[true > 0]), np.unique(pred[pred > 0])
    score = np.zeros((len(t), len(p)))
    for i, a in enumerate(t):
        for j, b in enumerate(p):
            both, union = ((true == a) & (pred == b)).sum(), ((true == a) | (pred == b)).sum()
            score[i, j] = both / {"iou": union, "iot": (true == a).sum(), "iop": (pred == b).sum()}[criterion]
    n = max(min(score.shape), 1)
    rows, columns = linear_sum_assignment(-(score >= thresh).astype(float) - score / (2 * n))
    hits = score[rows, columns] >= thresh
    m = match_labels(true, pred, thresh=thresh, criterion=criterion)
    assert m.tp == hits.sum()
    assert (m.n_true, m.n_pred) == (len(t), len(p))
    assert len({a for a, _ in m.pairs}) == len({b for _, b in m.pairs}) == m.tp
    assert set(m.missed) | {a for a, _ in m.pairs} == set(t.tolist())
    assert set(m.extra) | {b for _, b in m.pairs} == set(p.tolist())


@given(labels)
def test_a_labelling_matches_itself_under_other_names(true):
    renamed = np.where(true > 0, true * 1000 + 7, 0).astype(np.uint32)
    m = match_labels(true, renamed, thresh=1.0)
    assert m.tp == m.n_true == m.n_pred
    assert math.isnan(m.f1) if m.n_true == 0 else m.f1 == 1


@given(labels, labels, st.lists(st.sampled_from([0.2, 0.5, 0.8]), min_size=1, max_size=3))
def test_several_thresholds_are_one_after_the_other(true, pred, thresholds):
    assert match_labels(true, pred, thresh=thresholds) == tuple(match_labels(true, pred, thresh=t) for t in thresholds)


@given(labels, labels)
def test_splits_and_merges_change_places_with_the_images(true, pred):
    """And they are what the definition says, cell by cell."""
    m, back = match_labels(true, pred), match_labels(pred, true)
    assert (m.splits, m.merges) == (back.merges, back.splits)
    cells = [p for p in np.unique(pred) if p]
    for t in set(np.unique(true).tolist()) - {0}:
        inside = tuple(p for p in cells if 2 * ((pred == p) & (true == t)).sum() > (pred == p).sum())
        assert dict(m.splits).get(t, ()) == (inside if len(inside) > 1 else ())


def test_outcomes_of_all_kinds():
    true = np.array([[1] * 6 + [0] + [2] * 6 + [3] * 6 + [0] + [4] * 6 + [0] + [0] * 3])
    pred = np.array([[5] * 6 + [0] + [6] * 12 + [0] + [7] * 3 + [8] * 3 + [0] + [9] * 3])
    m = match_labels(true, pred, thresh=0.6)
    assert (m.merges, m.splits) == (((6, (2, 3)),), ((4, (7, 8)),))
    assert dict(zip(m.cells()["label"], m.cells()["outcome"], strict=True)) == {
        "5": "matched", "merged 2": "merged", "merged 3": "merged", "split 4": "split",
        "6": "merged", "7": "split", "8": "split", "9": "extra",
    }  # fmt: skip
    assert m.outcomes() == {"matched": 1, "missed": 0, "extra": 1, "split": 1, "merged": 2}, "of true cells, and extra"
    assert m.seg_scores == (1, 0.5, 0.5, 0), "a half is not more than half"


def test_undefined_ratios_are_nan():
    empty = np.zeros((3, 3), int)
    m = match_labels(empty, np.ones((3, 3), int))
    assert math.isnan(m.recall)
    assert m.precision == 0
    assert math.isnan(m.mean_matched_score)


def test_region_of_known_truth():
    true = np.array([[1, 1, 1, 0, 0, 0, 0, 0]])
    pred = np.array([[4, 4, 4, 4, 0, 5, 5, 6]])
    region = np.array([[1, 1, 1, 0, 0, 0, 0, 1]])
    m = match_labels(true, pred, region=region)
    assert m.pairs == ((1, 4),)
    assert m.scores == (1.0,), "pixels of unknown truth count nowhere"
    assert m.extra == (6,), "5 lies where nothing is known"


def test_cells_that_lie_mostly_where_nothing_is_known_are_no_cells():
    true = np.array([[1, 1, 1, 0, 2, 2, 2, 2]])
    pred = np.array([[5, 5, 5, 0, 6, 6, 6, 7]])
    mostly_out, half = (np.array([[1, 1, 1, 1, *known]]) for known in ([1, 0, 0, 0], [0, 0, 1, 1]))
    m = match_labels(true, pred, region=mostly_out)
    assert (m.pairs, m.missed, m.extra) == (((1, 5),), (), ())
    m = match_labels(true, pred, region=half)
    assert (m.n_true, m.n_pred, m.pairs) == (2, 2, ((1, 5), (2, 7))), "half is not more than half; 6 is"


@given(labels, hnp.arrays(bool, (7, 8)))
def test_the_truth_matches_itself_in_any_region(true, region):
    m = match_labels(true, true, region=region)
    assert m.fp == m.fn == 0


@given(labels, labels, st.integers(0, 6), st.sampled_from([0.3, 0.5]))
def test_small_cells_are_left_out_as_if_they_were_not_there(true, pred, least, thresh):
    def large(image):
        ids, sizes = np.unique(image, return_counts=True)
        return np.where(np.isin(image, ids[sizes >= least]), image, 0)

    assert match_labels(true, pred, thresh=thresh, min_size=least) == match_labels(
        large(true), large(pred), thresh=thresh
    )


def test_the_size_of_a_cell_is_also_what_lies_where_nothing_is_known():
    true = np.array([[1, 1, 1, 0, 2, 0]])
    region = np.array([[1, 1, 0, 1, 1, 1]])
    m = match_labels(true, true, region=region, min_size=3)
    assert m.pairs == ((1, 1),)
    assert m.scores == (1.0,)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"min_size": -1}, "min_size is -1"),
        ({"pred": np.zeros((2, 2), int)}, "shape"),
        ({"thresh": 0}, "thresh"),
        ({"criterion": "dice"}, "dice"),
        ({"region": np.ones((2, 2))}, "region"),
        ({"pred": np.ones((3, 3), bool)}, "binary mask"),
    ],
)
def test_bad_input(arguments, words):
    with pytest.raises(ImageError, match=words):
        match_labels(**{"true": np.ones((3, 3), int), "pred": np.ones((3, 3), int), **arguments})


def test_positions_of_version_0_1_work_and_warn():
    true, pred = np.array([[1, 1, 0, 2, 2, 2]]), np.array([[7, 7, 0, 8, 0, 0]])
    expected = match_labels(true, pred, thresh=0.3, criterion="iot")
    with pytest.warns(RenamedWarning) as caught:
        assert match_labels(true, pred, 0.3, "iot") == expected
    assert [str(warning.message) for warning in caught] == [
        "argument 3 of match_labels is keyword-only now: thresh=",
        "argument 4 of match_labels is keyword-only now: criterion=",
    ]


def test_old_names_of_the_module():
    with pytest.warns(RenamedWarning, match="matches.COLORS was renamed to fijibridge.colors.OUTCOME_COLORS"):
        assert matches.COLORS is colors.OUTCOME_COLORS
    with pytest.warns(RenamedWarning, match="match_table was renamed to fijibridge.cells.matching.table.match_table"):
        assert matches.match_table is match_table


def test_a_threshold_that_is_a_sum_is_met_by_its_decimal():
    """3 of 5 pixels are 0.6, and np.arange(0.5, 1, 0.05) contains 0.6000000000000001 and 0.7500000000000002."""
    for common, all_, thresh in ((3, 5, np.arange(0.5, 1, 0.05)[2]), (3, 4, np.arange(0.5, 1, 0.05)[5])):
        true, pred = np.zeros((1, 10), int), np.zeros((1, 10), int)
        true[0, :all_], pred[0, :common] = 1, 1
        assert common / all_ < thresh
        assert fb.match_labels(true, pred, thresh=thresh).tp == 1
        assert fb.match_labels(true, pred, thresh=thresh + 1e-6).tp == 0
    half = np.array([[1, 1, 0]]), np.array([[1, 0, 0]])
    assert fb.match_labels(*half, thresh=0.5).tp == 1
    assert fb.match_labels(*half, thresh=np.nextafter(0.5, 1)).tp == 0, "a score above 0.5"
