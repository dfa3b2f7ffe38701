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

from fijibridge.cells.matching import match_labels, match_table
from fijibridge.errors import ImageError

labels = hnp.arrays(np.uint16, (7, 8), elements=st.integers(0, 5))


def test_golden_values_of_stardist(data):
    golden = json.loads((data / "golden" / "matching" / "golden.json").read_text())
    checked = 0
    for name, values in golden.items():
        true = tifffile.imread(data / "golden" / "matching" / f"{name}_gt.tif")
        pred = tifffile.imread(data / "golden" / "matching" / f"{name}_pred.tif")
        for thresh, expected in values["stardist"].items():
            m = match_labels(true, pred, float(thresh))
            for field, value in expected.items():
                found = getattr(m, field)
                if m.tp == 0 and field == "mean_matched_score":
                    assert math.isnan(found), "stardist says 0 for a mean of nothing"
                else:
                    assert found == pytest.approx(value, rel=3e-7), (name, thresh, field)  # it sums float32
                checked += 1
        assert (m.n_true, m.n_pred) == (values["n_gt"], values["n_pred"])
    assert checked > 100


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
    m = match_labels(true, pred, 0.5)
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
    m = match_labels(true, pred, thresh, criterion)
    assert m.tp == hits.sum()
    assert (m.n_true, m.n_pred) == (len(t), len(p))
    assert len({a for a, _ in m.pairs}) == len({b for _, b in m.pairs}) == m.tp
    assert set(m.missed) | {a for a, _ in m.pairs} == set(t.tolist())
    assert set(m.extra) | {b for _, b in m.pairs} == set(p.tolist())


@given(labels)
def test_a_labelling_matches_itself_under_other_names(true):
    renamed = np.where(true > 0, true * 1000 + 7, 0).astype(np.uint32)
    m = match_labels(true, renamed, 1.0)
    assert m.tp == m.n_true == m.n_pred
    assert math.isnan(m.f1) if m.n_true == 0 else m.f1 == 1


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
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


def test_table_has_the_notebooks_columns_and_a_total():
    true = np.array([[1, 1, 0, 2, 2]])
    table = match_table({"a": match_labels(true, true), "b": match_labels(true, np.array([[1, 1, 0, 3, 4]]))})
    assert list(table.columns[:4]) == ["matched", "GT", "predicted", "image"]
    assert table.iloc[-1, :4].tolist() == [4, 4, 5, "total"]
    assert table["f1"].iloc[-1] == pytest.approx(8 / 9)
    assert match_table({}).empty
    for wrong, words in ((match_labels(true, true), "got a Matching"), ([], "got a list"), ({"a": 1}, "a dict of int")):
        with pytest.raises(ImageError, match=f"{words}; expected a mapping of image names"):
            match_table(wrong)
    with pytest.raises(ImageError, match="different criteria"):
        match_table({"a": match_labels(true, true), "b": match_labels(true, true, 0.7)})
