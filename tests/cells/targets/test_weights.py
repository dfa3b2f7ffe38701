from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fijibridge.cells.targets.from_labels import IGNORE, membrane_target
from fijibridge.cells.targets.weights import class_weights, weight_map
from fijibridge.errors import ImageError
from fijibridge.files import read_image
from fijibridge.image import as_image, pixel_size
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


def two_squares() -> np.ndarray:
    labels = np.zeros((40, 60), np.uint16)
    labels[8:32, 8:24], labels[8:32, 28:52] = 1, 2
    return labels


def test_closed_form():
    """Half way between two squares that are 5 px apart, centre to centre of their edges: exp(-25 / 50)."""
    labels = two_squares()
    weights = weight_map(labels, w0=10, sigma=5)
    assert weights.dtype == np.float32
    assert weights[20, 26] == pytest.approx(10 * np.exp(-0.5), abs=1e-5)
    assert weights[labels > 0].max() == 0
    assert weight_map(labels, w0=0).max() == 0


@examples(60)
@given(label_images(), st.floats(0.5, 8))
def test_the_map_is_equation_2(case, sigma):
    labels, step = case
    if not labels.any() or labels.all():
        return
    dims = "zyx"[-labels.ndim :]
    image = as_image(labels, dims, pixel_size=dict(zip(dims, np.array(step) * 0.3, strict=True)), unit="um")
    first, second = brute_force(labels, step)[:2]
    expected = np.where(labels == 0, 7 * np.exp(-((first + second) ** 2) / (2 * sigma**2)), 0)
    asked = {"target": np.zeros(labels.shape, np.uint8)}  # cells may touch here, and stay as they are
    np.testing.assert_allclose(weight_map(image, 7, sigma, **asked).values, expected, atol=1e-5)
    np.testing.assert_allclose(weight_map(image, 7, sigma * 0.3, unit="um", **asked).values, expected, atol=1e-5)


def test_a_slice_further_away_weighs_less():
    labels = np.zeros((5, 5, 5), int)
    labels[0], labels[2] = 1, 2
    flat = as_image(labels, pixel_size={"z": 1, "y": 1, "x": 1}, unit="um")
    tall = as_image(labels, pixel_size={"z": 3, "y": 1, "x": 1}, unit="um")
    assert weight_map(flat)[1, 2, 2] == pytest.approx(10 * np.exp(-4 / 50))
    assert weight_map(tall)[1, 2, 2] == pytest.approx(10 * np.exp(-36 / 50))
    assert pixel_size(weight_map(tall)) == {"z": 3, "y": 1, "x": 1}


@pytest.mark.parametrize("cells", [0, 1])
def test_fewer_than_two_cells_have_no_border(cells):
    labels = np.zeros((9, 9), int)
    labels[2:5, 2:5] = cells
    assert weight_map(labels).max() == 0
    balanced = weight_map(labels, class_balance=True)
    assert balanced.mean() == pytest.approx(1)
    assert len(np.unique(balanced)) == 1 + cells
    assert weight_map(np.ones((4, 4), int)).max() == 0


def test_class_balance_adds_the_class_weights():
    labels = two_squares()
    border, whole = weight_map(labels), weight_map(labels, class_balance=True)
    inside = labels > 0
    np.testing.assert_allclose(whole - border, np.where(inside, 0.5 / inside.mean(), 0.5 / (1 - inside.mean())), 1e-5)
    given = weight_map(labels, class_balance=[2, 3])
    np.testing.assert_allclose(given - border, np.where(inside, 3, 2), 1e-5)
    with pytest.raises(ImageError, match="one weight for each class, 0 to 1"):
        weight_map(labels, class_balance=[2])


def test_unknown_pixels_weigh_nothing_and_count_for_no_class():
    labels = two_squares()
    region = np.ones(labels.shape)
    region[:, 40:] = 0
    weights = weight_map(labels, class_balance=True, region=region)
    assert weights[:, 40:].max() == 0
    known = (labels > 0)[:, :40]
    assert weights[20, 10] == pytest.approx(0.5 / known.mean())
    assert weight_map(labels, region=region)[20, 26] == pytest.approx(10 * np.exp(-0.5)), "cells outside it still count"


def test_touching_cells_need_a_target():
    labels = np.repeat([[1] * 10 + [2] * 10], 6, axis=0)
    with pytest.raises(ImageError, match="membrane_target"):
        weight_map(labels)
    target = membrane_target(labels, 2)
    weights = weight_map(labels, target=target, class_balance=True)
    border = 10 * np.exp(-(3**2) / 50)  # 1 px from one cell and 2 px from the other
    np.testing.assert_allclose(weights[0], [5 / 9] * 9 + [5 + border] * 2 + [5 / 9] * 9, rtol=1e-5)
    target[:, :3] = IGNORE
    assert weight_map(labels, target=target)[:, :3].max() == 0


def test_class_weights():
    target = np.array([[0, 0, 0, 0, 0, 0, 1, 1, 3, IGNORE]], np.uint8)
    weights = class_weights(target)
    np.testing.assert_allclose(weights, [9 / 18, 9 / 6, 1, 9 / 3], rtol=1e-6)
    assert weights[target[target != IGNORE]].mean() == pytest.approx(1)
    assert class_weights(target, 6).tolist()[4:] == [1, 1]
    together = class_weights([target, np.zeros((3, 3), int)])
    np.testing.assert_allclose(together, [18 / 45, 18 / 6, 1, 18 / 3], rtol=1e-6)
    np.testing.assert_array_equal(class_weights(as_image(target)), weights)


@pytest.mark.parametrize(
    ("target", "n", "words"),
    [
        (np.full((2, 2), IGNORE), None, "the target has no known pixel"),
        (np.zeros((0, 2), int), None, "the target has no known pixel"),
        (np.array([[0.5]]), None, "dtype float64"),
        (np.array([[-1, 0]]), None, "from -1 to 0"),
        (np.array([[0, 2]]), 2, "class 2; expected 0 to 1"),
    ],
)
def test_what_is_no_target(target, n, words):
    with pytest.raises(ImageError, match=words):
        class_weights(target, n)


def test_bad_input():
    labels = two_squares()
    for wrong, words in [
        ({"sigma": 0}, "sigma is 0"),
        ({"w0": -1}, "w0 is -1"),
        ({"sigma": np.nan}, "sigma is nan"),
        ({"unit": "um"}, "needs a pixel size, but the image is a plain array"),
        ({"unit": "parsec"}, "unit 'parsec'"),
        ({"region": np.ones((2, 2))}, "region"),
        ({"target": np.ones((2, 2), int)}, "target"),
    ]:
        with pytest.raises(ImageError, match=words):
            weight_map(labels, **wrong)
    with pytest.raises(ImageError, match="in 'pixel'"):
        weight_map(as_image(labels), unit="um")
    with pytest.raises(ImageError, match="one frame"):
        weight_map(as_image(labels[None], "tyx"))


@pytest.mark.parametrize(("name", "w0", "sigma"), [("w010_s5", 10, 5), ("w050_s6", 50, 6)])
@pytest.mark.parametrize("image", ["two_squares", "cornea_crop"])
def test_golden(data, image, name, w0, sigma):
    folder = data / "golden" / "weightmap"
    labels = read_image(folder / f"{image}_labels.tif")
    expected = read_image(folder / f"{image}_{name}.tif").values
    np.testing.assert_allclose(weight_map(labels.values, w0, sigma), expected, atol=1e-5)


def test_touching_cells_within_background_need_a_target_too():
    labels = np.zeros((30, 40), int)
    labels[5:25, 5:20], labels[5:25, 20:35] = 1, 2
    with pytest.raises(ImageError, match="cells touch"):
        weight_map(labels)
    weights = weight_map(labels, target=membrane_target(labels, 2, max_gap=0))
    assert weights[15, 19:21].min() > 5
