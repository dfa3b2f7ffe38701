from __future__ import annotations

import numpy as np
import pytest

from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.matching.table import match_table
from fijibridge.errors import ImageError


def test_table_with_groups_and_average_precision():
    true, pred = np.array([[1, 1, 1, 1, 0, 2]]), np.array([[1, 1, 1, 0, 0, 2]])
    several = match_labels(true, pred, thresh=(0.5, 0.9))
    table = match_table({"a": several, "b": several, "c": several}, groups={"a": "evl", "c": "evl", "b": "deep"})
    assert table["image"].tolist() == ["a", "c", "total evl", "b", "total deep", "total"]
    assert table["GT"].tolist() == [2, 2, 4, 2, 2, 6]
    assert table["ap"].tolist() == pytest.approx([(1 + 1 / 3) / 2] * 6)
    assert table["seg"].tolist() == pytest.approx([(0.75 + 1) / 2] * 6)
    with pytest.raises(ImageError, match="'b' has no group"):
        match_table({"b": several}, groups={})
    with pytest.raises(ImageError, match="different criteria or thresholds"):
        match_table({"a": several, "b": several[0]})


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
        match_table({"a": match_labels(true, true), "b": match_labels(true, true, thresh=0.7)})
