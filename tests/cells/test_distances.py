from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fijibridge.cells.distances import nearest_other, to_other_labels, two_nearest
from tests.examples import examples


def brute_force(labels: np.ndarray, step: tuple[float, ...]) -> np.ndarray:
    """One distance transform per cell, sorted; infinite where there is no such cell."""
    each = [ndimage.distance_transform_edt(labels != i, sampling=step) for i in np.unique(labels[labels > 0])]
    never = np.full(labels.shape, np.inf)
    return np.sort(np.stack([*each, never, never]), axis=0)


@st.composite
def label_images(draw, max_cells: int = 12):
    shape = draw(st.sampled_from([(1, 9), (14, 17), (3, 40), (5, 8, 9), (2, 3, 20)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    ids = rng.choice(10**6, draw(st.integers(0, max_cells)), replace=False) + 1
    labels = np.zeros(shape, np.int64)
    for i in ids:
        corner = rng.integers(0, shape)
        labels[tuple(slice(c, c + s) for c, s in zip(corner, rng.integers(1, 5, len(shape)), strict=True))] = i
    step = draw(st.sampled_from([(1.0, 1.0, 1.0), (2.5, 1.0, 1.0), (0.4, 1.3, 1.0)]))[-len(shape) :]
    return labels, step


@examples(150)
@given(label_images(), st.sampled_from([2.0, 5.5, 12.0, np.inf]))
def test_the_two_nearest_cells_are_those_of_brute_force(case, reach):
    labels, step = case
    first, second = two_nearest(labels, step, reach)
    true_first, true_second = brute_force(labels, step)[:2]
    np.testing.assert_allclose(first, true_first, rtol=1e-5)
    together = true_first + true_second
    surely = together < reach * (1 - 1e-5)
    np.testing.assert_allclose(second[surely], true_second[surely], rtol=1e-5)
    assert np.isinf(second[together > reach * (1 + 1e-5)]).all()


@examples(100)
@given(label_images())
def test_the_nearest_other_region_is_that_of_brute_force(case):
    labels, step = case
    rng = np.random.default_rng(0)
    source = rng.random(labels.shape) < 0.6
    expected = np.full(labels.shape, np.inf)
    for i in np.unique(labels):
        others = source & (labels != i)
        if others.any():
            away = ndimage.distance_transform_edt(~others, sampling=step)
            expected[labels == i] = away[labels == i]
    np.testing.assert_allclose(nearest_other(labels, source, step), expected, rtol=1e-5)
    near = nearest_other(labels, source, step, reach=1.0)
    assert (near >= expected * (1 - 1e-5)).all()


@examples(60)
@given(label_images())
def test_the_nearest_pixel_of_another_value(case):
    labels, step = case
    expected = np.full(labels.shape, np.inf)
    for i in np.unique(labels):
        if (labels != i).any():
            away = ndimage.distance_transform_edt(labels == i, sampling=step)
            expected[labels == i] = away[labels == i]
    expected[labels == 0] = 0
    np.testing.assert_allclose(to_other_labels(labels, step), expected, rtol=1e-5)
