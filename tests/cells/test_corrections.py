from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from fijibridge.cells.corrections import changed_cells, compare_match_tables, labels_from_corrected, split_parts
from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.matching.table import match_table
from fijibridge.errors import ImageError
from fijibridge.image import as_image, pixel_size
from fijibridge.rois import Roi, labels_to_rois

labels = hnp.arrays(np.uint16, (8, 9), elements=st.sampled_from([0, 1, 2, 700]))


@given(labels)
def test_what_nobody_touched_stays_as_it_was(before):
    assert (labels_from_corrected(labels_to_rois(before), before) == before).all()
    assert changed_cells(before, before).empty


@given(labels)
def test_parts_are_separate_and_the_largest_keeps_its_id(before):
    after = split_parts(before)
    assert ((after > 0) == (before > 0)).all()
    for i in np.unique(after[after > 0]):
        assert ndimage.label(after == i)[1] == 1
        assert len(np.unique(before[after == i])) == 1
    for i in np.unique(before[before > 0]):
        sizes = ndimage.sum_labels(np.ones(before.shape), *_parts(before == i))
        assert (after[before == i] == i).sum() == max(sizes)
    assert (split_parts(after) == after).all()


def _parts(mask):
    parts, count = ndimage.label(mask)
    return parts, range(1, count + 1)


def test_more_parts_than_the_type_has_ids():
    before = np.zeros((1, 600), np.uint8)
    before[0, ::2] = 255
    assert len(np.unique(split_parts(before))) == 301


def test_new_cells_get_new_ids_in_calibrated_volumes():
    before = as_image(np.kron([[[1, 1]], [[1, 9]]], np.ones((1, 4, 5), int)), pixel_size={"z": 2, "y": 0.5, "x": 0.5})
    rois = [
        *labels_to_rois(before),
        Roi.rectangle(0, 0, 2, 2, name="mine").at(2),
        Roi.rectangle(8, 0, 2, 2, name="12").at(1),
    ]
    after = labels_from_corrected(rois, before)
    assert (after.values[1, :2, :2] == 13).all()
    assert (after.values[0, :2, 8:] == 12).all()
    assert pixel_size(after) == pixel_size(before)
    assert changed_cells(before, after).to_numpy().tolist() == [
        [1, "changed", 0, 8], [12, "added", 4, 0], [13, "added", 4, 0]
    ]  # fmt: skip


def test_all_cells_deleted():
    before = np.ones((4, 4), int)
    assert not labels_from_corrected([], before).any()
    assert changed_cells(before, np.zeros((4, 4), int)).to_numpy().tolist() == [[1, "removed", 0, 16]]


def test_tables_side_by_side():
    true, pred = np.array([[1, 1, 0, 2]]), np.array([[1, 1, 0, 0]])
    old = match_table({"a": match_labels(true, pred), "gone": match_labels(true, true)})
    new = match_table({"a": match_labels(pred, pred), "new": match_labels(true, true)})
    table = compare_match_tables(old, new).set_index("image")
    assert list(table.index) == ["a", "new", "total", "gone"]
    assert table.loc["a", ["GT before", "GT after", "GT change"]].tolist() == [2, 1, -1]
    assert pd.isna(table.loc["new", "f1 before"])
    assert pd.isna(table.loc["gone", "f1 after"])
    with pytest.raises(ImageError, match="column 'image'"):
        compare_match_tables(old, new.rename(columns={"image": "name"}))


def test_an_enlarged_cell_wins_over_a_neighbour_that_nobody_touched():
    before = np.array([[1, 1, 1, 2, 2, 2]] * 3)
    first, second = labels_to_rois(before)
    wider = Roi.rectangle(0, 0, 4, 3, name="1")
    assert labels_from_corrected([wider, second], before)[0].tolist() == [1, 1, 1, 1, 2, 2]
    wider = Roi.rectangle(2, 0, 4, 3, name="2")
    assert labels_from_corrected([wider, first], before)[0].tolist() == [1, 1, 2, 2, 2, 2]


def test_counts_stay_whole_numbers_beside_a_new_image():
    old = pd.DataFrame({"image": ["a"], "GT": [2], "note": ["x"]})
    new = pd.DataFrame({"image": ["a", "b"], "GT": [3, 4], "note": ["y", "z"]})
    table = compare_match_tables(old, new)
    assert table["GT change"].tolist() == [1, pd.NA]
    assert list(table) == ["image", "GT before", "GT after", "GT change"], "text has no change"
    with pytest.raises(ImageError, match="more than one row for image 'a'"):
        compare_match_tables(pd.concat([old, old]), new)
