from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fijibridge.dataset import values as dataset_values

LABELS = arrays(np.uint16, (4, 5), elements=st.integers(0, 9))


@given(LABELS)
def test_without_a_word_labels_stay_as_they_are(labels):
    assert dataset_values.cells(labels, {}) is labels


@given(LABELS, st.sets(st.integers(1, 9)))
def test_ids_are_kept_and_what_is_none_becomes_background(labels, nothing):
    found = dataset_values.cells(labels, dict.fromkeys(nothing, "membrane"))
    assert found.dtype == labels.dtype
    assert (found[np.isin(labels, list(nothing))] == 0).all()
    kept = ~np.isin(labels, list(nothing))
    assert (found[kept] == labels[kept]).all()


def test_an_instance_of_number_0_gets_a_number_of_its_own():
    labels = np.array([[0, 255], [1, 1]], np.uint8)
    found = dataset_values.cells(labels, {0: "instance", 255: "membrane"})
    assert found.tolist() == [[256, 0], [1, 1]]


@pytest.mark.parametrize("told", [{1: "membrane"}, {1: "membrane", 2: "ignore"}, {1: "instance"}])
def test_an_instance_of_number_0_takes_no_number_that_has_a_meaning(told):
    found = dataset_values.cells(np.zeros((2, 3), np.uint8), {0: "instance", **told})
    assert np.unique(found).tolist() == [1 + len(told)]


def test_negative_numbers_can_mean_ignore():
    labels = np.array([[-1, 0, 3]])
    assert dataset_values.cells(labels, {-1: "ignore"}).tolist() == [[0, 0, 3]]
    assert dataset_values.ignored(labels, {-1: "ignore"}).tolist() == [[True, False, False]]
