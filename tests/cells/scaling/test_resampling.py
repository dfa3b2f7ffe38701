from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fijibridge.cells.scaling.resampling import downscale, upscale
from fijibridge.errors import ImageError
from fijibridge.image import as_image, origin, pixel_size, unit
from tests.examples import examples

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=13) | st.tuples(
    st.integers(1, 5), st.integers(1, 7), st.integers(1, 7)
).filter(lambda s: s[2] not in (3, 4))  # looks like colours
FACTORS = st.integers(1, 5)


@st.composite
def images(draw, dtype=np.uint8, high=4):
    """An image with few values, so that blocks have ties, and a factor per axis."""
    shape = draw(SHAPES)
    image = draw(hnp.arrays(dtype, shape, elements=st.integers(0, high)))
    return image, tuple(draw(FACTORS) for _ in shape)


def naive(image, factors, of_block):
    small = [-(-n // f) for n, f in zip(image.shape, factors, strict=True)]
    result = np.empty(small)
    for index in product(*map(range, small)):
        result[index] = of_block(image[tuple(slice(i * f, (i + 1) * f) for i, f in zip(index, factors, strict=True))])
    return result


def most_frequent(block):
    """The most frequent value, of equal ones a non-zero one, then the smallest."""
    ids, counts = np.unique(block, return_counts=True)
    return min(zip(-counts, ids == 0, ids, strict=True))[2]


@examples(60)
@given(images())
def test_each_method_is_a_loop_over_blocks(given_):
    image, factors = given_
    assert np.allclose(downscale(image, factors), naive(image, factors, np.mean), rtol=1e-6)
    assert (downscale(image, factors, "max") == naive(image, factors, np.max)).all()
    assert (downscale(image, factors, "mode") == naive(image, factors, most_frequent)).all()


@examples(60)
@given(images(), st.sampled_from(["mean", "max", "mode"]))
def test_what_was_enlarged_shrinks_to_itself(given_, method):
    image, factors = given_
    large = as_image(upscale(image, factors), dims="zyx"[-image.ndim :])  # one of 3 px in x is none in colours
    assert (downscale(large, factors, method) == image).all()


@examples(60)
@given(images(), st.sampled_from(["mean", "max", "mode"]), st.data())
def test_blocks_of_one_value_come_back_also_partial_ones(given_, method, data):
    image, factors = given_
    shape = tuple(data.draw(st.integers((n - 1) * f + 1, n * f)) for n, f in zip(image.shape, factors, strict=True))
    large = as_image(upscale(image, factors, shape=shape), dims="zyx"[-len(shape) :])
    back = upscale(downscale(large, factors, method), factors, shape=shape)
    assert (back.values == large.values).all()


@examples(40)
@given(images(np.uint16, 6))
def test_labels_upscaled_keep_their_ids_and_dtype(given_):
    image, factors = given_
    large = upscale(image, factors, "labels")
    assert large.dtype == image.dtype
    assert set(np.unique(large)) == set(np.unique(image))


@examples(40)
@given(images(np.int64, 3))
def test_labels_win_as_one_hot_masks_interpolated_linearly(given_):
    image, factors = given_
    if image.ndim == 3:
        image, factors = image[0], factors[1:]
    ids = np.unique(image)
    votes = np.array([upscale((image == i).astype(float), factors, "linear") for i in ids])
    large = upscale(image, factors, "labels")
    won = np.take_along_axis(votes, np.searchsorted(ids, large)[None], 0)[0]
    assert (won > votes.max(axis=0) - 1e-9).all()


@examples(40)
@given(SHAPES, st.data())
def test_pixel_size_and_origin_are_restored(shape, data):
    factors = tuple(data.draw(FACTORS) for _ in shape)
    size = {"z": 2.0, "y": 0.3, "x": 0.1}
    start = {"z": -4.0, "y": 11.0, "x": 0.7}
    dims = "zyx"[-len(shape) :]
    image = as_image(np.zeros(shape, np.float32), dims=dims, pixel_size=size, origin=start, unit="um")
    small = downscale(image, factors)
    for d, f in zip(dims, factors, strict=True):
        assert pixel_size(small)[d] == pytest.approx(size[d] * f)
        assert origin(small)[d] == pytest.approx(start[d] + (f - 1) / 2 * size[d])
    back = upscale(small, factors, shape=shape)
    assert back.shape == shape
    assert pixel_size(back) == pytest.approx(pixel_size(image))
    assert origin(back) == pytest.approx(origin(image), abs=1e-9)
    assert unit(back) == "um"


def test_full_blocks_keep_the_sum_and_the_place_of_xarray_coarsen():
    rng = np.random.default_rng(0)
    image = as_image(rng.integers(0, 65536, (2, 3, 12, 18)).astype(np.uint16), dims="tcyx", pixel_size=0.5, unit="um")
    image = image.assign_coords(c=["a", "b", "d"])
    small = downscale(image, {"y": 3, "x": 6})
    reference = image.astype(float).coarsen(y=3, x=6).mean()
    assert np.allclose(small.values, reference.values, rtol=1e-6)
    assert np.allclose(small.values.sum() * 18, image.values.sum(dtype=float), rtol=1e-6)
    for d in "yx":
        assert np.allclose(small[d].values, reference[d].values)
    assert small.c.values.tolist() == ["a", "b", "d"]
    assert small.sizes["t"] == 2


def test_z_is_scaled_where_asked_for():
    image = as_image(np.zeros((4, 6, 6)), pixel_size={"z": 2, "y": 1, "x": 1})
    assert downscale(image, 3).shape == (4, 2, 2)
    assert downscale(image, {"z": 2}).shape == (2, 6, 6)
    assert pixel_size(downscale(image, {"z": 2})) == {"z": 4, "y": 1, "x": 1}
    assert downscale(np.zeros((4, 6, 6)), (2, 3, 3)).shape == (2, 2, 2)


@pytest.mark.parametrize(
    ("dtype", "mean"),
    [(bool, "f4"), ("u1", "f4"), ("u2", "f4"), ("f2", "f4"), ("f4", "f4"), ("f8", "f8"), ("i4", "f8")],
)
def test_dtypes(dtype, mean):
    image = np.ones((5, 5), dtype)
    assert downscale(image, 2).dtype == np.dtype(mean)
    assert downscale(image, 2, "max").dtype == image.dtype
    assert upscale(image, 2).dtype == image.dtype
    assert upscale(image, 2, "linear").dtype == np.dtype(mean)
    assert (downscale(image, 2) == 1).all()


def test_a_mean_does_not_overflow_and_spreads_nan():
    assert downscale(np.full((8, 8), 255, np.uint8), 8)[0, 0] == 255
    image = np.ones((4, 4))
    image[0, 0] = np.nan
    for method in ("mean", "max"):
        assert np.isnan(downscale(image, 2, method)).tolist() == [[True, False], [False, False]]


def test_a_tie_goes_to_the_cell_and_to_the_smaller_id():
    assert downscale(np.array([[0, 0], [9, 9]]), 2, "mode") == 9
    assert downscale(np.array([[7, 7], [9, 9]]), 2, "mode") == 7
    assert downscale(np.array([[0, 0], [0, 9]]), 2, "mode") == 0


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_a_linear_ramp_survives_inside(factor):
    y, x = np.mgrid[:30, :30].astype(float)
    ramp = 3 * y - 2 * x + 5
    back = upscale(downscale(ramp, factor), factor, "linear")
    inside = slice(factor, -factor)
    assert np.allclose(back[inside, inside], ramp[inside, inside])
    assert back.min() >= ramp.min()
    assert back.max() <= ramp.max()


def test_upscaled_labels_are_nearer_to_round_cells_than_blocks():
    y, x = np.mgrid[:240, :240]
    cells = np.where((y - 120) ** 2 + (x - 120) ** 2 < 80**2, 5, 0)
    small = downscale(cells, 12, "mode")
    wrong = {m: (upscale(small, 12, m) != cells).mean() for m in ("nearest", "labels")}
    assert wrong["labels"] < 0.8 * wrong["nearest"]


def test_a_thin_cell_keeps_its_width_and_a_single_voxel_is_not_lost():
    small = np.zeros((5, 5), np.uint8)
    small[:, 2] = 3
    assert (upscale(small, 4, "labels") == upscale(small, 4)).all()
    volume = np.ones((3, 3, 3), np.uint16)
    volume[1, 1, 1] = 2
    large = upscale(volume, (2, 2, 2), "labels")
    assert (large[2:4, 2:4, 2:4] == 2).all()
    assert (large == 2).sum() == 8


def test_many_ids():
    cells = np.arange(1, 12101).reshape(110, 110)
    large = upscale(cells, 5, "labels")
    assert (large[2::5, 2::5] == cells).all()
    assert np.unique(large).size == 12100


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: downscale(a, 0), "an integer of at least 1"),
        (lambda a: downscale(a, 2.5), "an integer of at least 1"),
        (lambda a: downscale(a, True), "an integer of at least 1"),
        (lambda a: downscale(a, {"z": 2}), "axis 'z', but the image has"),
        (lambda a: downscale(a, (2, 2, 2)), "3 axes, but the image has"),
        (lambda a: downscale(a, 2, "median"), "choose one of"),
        (lambda a: downscale(a, 2, "mode"), "integers or bool"),
        (lambda a: downscale(a + 1j, 2), "real numbers"),
        (lambda a: downscale(as_image(np.zeros((2, 5, 5)), "cyx"), {"c": 2}), "axis 'c' cannot be scaled"),
        (lambda a: upscale(a, 2, "labels"), "integers or bool"),
        (lambda a: upscale(a, 2, shape=(10, 12)), "is not the shape of the image"),
        (lambda a: upscale(a, 2, shape=(8, 14)), "is not the shape of the image"),
        (lambda a: downscale(np.zeros((0, 4)), 2), "empty"),
    ],
)
def test_what_cannot_be_scaled_says_why(call, message):
    with pytest.raises(ImageError, match=message):
        call(np.zeros((5, 7)))
