from __future__ import annotations

import numpy as np
import pytest

from fijibridge.errors import ImageError
from fijibridge.image import (
    as_labels,
    as_truth,
)


def test_labels_are_checked():
    assert as_labels(np.array([[1.0, 2.0]])).dtype == np.int64
    for bad, words in ((np.ones((2, 2), bool), "binary mask"), (np.array([[0.5]]), "whole"), (np.array([[-1]]), "-1")):
        with pytest.raises(ImageError, match=words):
            as_labels(bad)


def squares(count: int, value: int) -> np.ndarray:
    """So many separate squares of one value."""
    array = np.zeros((5, 4 * count), np.uint8)
    for i in range(count):
        array[1:4, 4 * i : 4 * i + 3] = value
    return array


@pytest.mark.parametrize(("count", "value"), [(2, 255), (8, 1), (8, 7)])
def test_a_mask_is_no_truth(count, value):
    mask = squares(count, value)
    assert as_labels(mask) is mask, "a cell of several parts is one elsewhere"
    for numbers in (mask, mask.astype(float)):
        with pytest.raises(ImageError, match=f"truth has one id, {value}, for {count} .*connectivity=1"):
            as_truth(numbers, "truth")


def test_few_cells_are_truth():
    numbered = squares(9, 255)
    numbered[:, :4] //= 2
    for labels in (squares(1, 255), squares(7, 1), numbered, np.zeros((2, 2), int), np.zeros((0, 3), int)):
        assert as_truth(labels) is labels


@pytest.mark.parametrize(("value", "words"), [
    (np.inf, "contains infinite values.*nan_to_num"), (np.nan, "contains NaN.*nan_to_num"),
    (1e19, r"contains the id 1e\+19, which is larger than any integer type.*relabel_sequential"),
])  # fmt: skip
def test_values_that_are_no_ids_are_refused_with_what_to_do(value, words):
    with pytest.raises(ImageError, match=words):
        as_labels(np.array([[0, 1, value]]))
    assert as_labels(np.array([[0, 1.0, 2.0**40]])).tolist() == [[0, 1, 2**40]]
