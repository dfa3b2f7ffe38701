from __future__ import annotations

from itertools import product

import dask.array
import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fijibridge.cells.scaling.resampling import downscale, upscale
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.targets.from_labels import IGNORE, affinity_target, class_target, distance_target, membrane_target
from fijibridge.errors import ImageError, RenamedWarning
from fijibridge.files import read_image
from fijibridge.image import as_image, pixel_size
from tests.examples import examples


def stripes(gap: int) -> np.ndarray:
    """Two wide cells side by side with a gap between them."""
    row = [1] * 20 + [0] * gap + [2] * 20
    return np.array([row] * 5)


@pytest.mark.parametrize(
    ("gap", "width", "expected"),
    [(0, 1, 2), (0, 2, 2), (0, 3, 4), (0, 4, 4), (1, 1, 1), (1, 2, 3), (1, 3, 3), (2, 2, 2), (2, 4, 4), (3, 3, 3)],
)
def test_width_across_a_straight_membrane(gap, width, expected):
    target = membrane_target(stripes(gap), membrane_width=width)
    assert (target.sum(axis=1) == expected).all()
    columns = np.flatnonzero(target[2])
    assert columns.mean() == pytest.approx(20 + (gap - 1) / 2)


def test_a_wide_gap_is_background_with_membranes_at_the_cells():
    target = membrane_target(stripes(20), membrane_width=2, max_gap=6)
    assert np.flatnonzero(target[2]).tolist() == [19, 20, 39, 40]


def test_colours_in_the_last_axis_are_no_slices():
    colours = np.ones((60, 60, 3), int)
    for target in (membrane_target, class_target):
        with pytest.raises(ImageError, match="looks like colours in the last axis"):
            target(colours)
        assert target(as_image(colours, dims="zyx")).shape == colours.shape


def test_outside_the_region_is_ignored():
    region = np.zeros((5, 40))
    region[:, :25] = 255
    target = membrane_target(stripes(0), membrane_width=2, region=region)
    assert (target[:, 25:] == IGNORE).all()
    assert set(np.unique(target[:, :25])) == {0, 1}


def test_volumes():
    labels = np.zeros((8, 6, 6), int)
    labels[:4], labels[4:] = 1, 2
    target = membrane_target(labels, membrane_width=2)
    assert target.sum(axis=0).tolist() == [[2] * 6] * 6


def test_no_cells_no_membrane():
    assert membrane_target(np.zeros((4, 4), int)).sum() == 0
    assert membrane_target(np.ones((4, 4), int)).sum() == 0


def test_calibration_is_kept_and_bad_input_refused():
    labels = as_image(stripes(1), pixel_size=0.3, unit="um")
    assert pixel_size(membrane_target(labels)) == {"y": 0.3, "x": 0.3}
    with pytest.raises(ImageError, match="1 or more"):
        membrane_target(labels, membrane_width=0)
    with pytest.raises(ImageError, match="region"):
        membrane_target(labels, region=np.ones((2, 2)))


def test_a_mask_has_no_cells_to_part():
    mask = (stripes(2) > 0) * np.uint8(255)
    with pytest.raises(ImageError, match="255, for 2 separate regions"):
        membrane_target(mask)


def test_covers_the_hand_drawn_membranes(data):
    folder = data / "cornea_alizarine"
    labels, drawn = (read_image(folder / f"01_{what}").values for what in ("labels.tif", "membrane.png"))
    region = read_image(folder / "01_roi.png").values
    target = membrane_target(labels, membrane_width=3, region=region)
    inside = ndimage.binary_erosion(region > 0, iterations=4)
    assert (target[(drawn > 0) & inside] == 1).mean() > 0.995
    near = ndimage.binary_dilation(drawn > 0, np.ones((3, 3)))
    assert (target[~near & inside] == 1).mean() < 0.002


def stack(cells: np.ndarray, depth: float) -> object:
    return as_image(cells, "zyx", pixel_size={"z": 0.2 * depth, "y": 0.2, "x": 0.2}, unit="um")


def random_labels(seed: int) -> np.ndarray:
    """Blocks over one another and over nothing, in 2D or 3D."""
    rng = np.random.default_rng(seed)
    labels = np.zeros(rng.integers(3, 12, rng.integers(2, 4)), int)
    for i in range(1, rng.integers(2, 9)):
        corner = rng.integers(0, labels.shape)
        labels[tuple(slice(c, c + s) for c, s in zip(corner, rng.integers(1, 8, labels.ndim), strict=True))] = 3 * i
    return labels


def from_other(owner: np.ndarray, source: np.ndarray, own_pixels: np.ndarray) -> np.ndarray:
    """Distance of each pixel from the nearest source that does not belong to its owner, one owner at a time."""
    result = np.full(owner.shape, np.inf)
    for i in np.unique(owner):
        others = source & (own_pixels != i)
        if others.any():
            result[owner == i] = ndimage.distance_transform_edt(~others)[owner == i]
    return result


@examples(150)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 2.5, 3, 5]))
def test_membranes_without_background_by_brute_force(seed, width):
    """With gaps of any width, (b - a) / 2 of the docstring, from one distance transform per cell."""
    labels = random_labels(seed)
    if len(np.unique(labels)) < 3:
        return
    source = labels > 0
    outside, nearest = ndimage.distance_transform_edt(~source, return_indices=True)
    owner = labels[tuple(nearest)]
    a = np.where(source, 0.5 - from_other(owner, np.ones_like(source), labels), outside - 0.5)
    b = from_other(owner, source, labels) - 0.5
    sure = np.abs(b - a - width) > 1e-5
    target = membrane_target(labels, width, max_gap=100)
    np.testing.assert_array_equal(target[sure], (b - a <= width)[sure])


@pytest.mark.parametrize(("depth", "width"), [(1.0, 4), (2.0, 4), (2.0, 8), (2.5, 10), (4.0, 8)])
def test_membranes_are_as_wide_across_slices_as_within(depth, width):
    cells = np.ones((24, 24, 24), int)
    cells[12:] = 2
    across = membrane_target(stack(cells, depth), width)[:, 12, 12]
    within = membrane_target(stack(cells.transpose(2, 1, 0), depth), width)[12, 12]
    assert float(across.sum()) * depth == pytest.approx(width)
    assert int(within.sum()) == width


def test_thin_membranes_do_not_fall_between_slices():
    for depth in (1.3, 2.5, 3.7, 5.0, 12.5):
        cells = np.ones((8, 6, 6), int)
        cells[4:] = 2
        assert np.flatnonzero(membrane_target(stack(cells, depth), 1)[:, 3, 3]).tolist() == [3, 4]
        cells[4] = 0
        assert np.flatnonzero(membrane_target(stack(cells, depth), 1, max_gap=13)[:, 3, 3]).tolist() == [4]


def test_oblique_membranes_of_volumes():
    """A plane at 45 degrees between two cells, in physical space; area over length is the width."""
    z, _, x = np.mgrid[:60, :3, :160]
    cells = np.where((z - 30) * 2.5 + (x - 80) < 0, 1, 2)
    area = float(membrane_target(stack(cells, 2.5), 8).sum()) / 3 * 2.5
    assert area / (60 * 2.5 * np.sqrt(2)) == pytest.approx(8, rel=0.05)


def test_physical_widths():
    labels = as_image(stripes(1), pixel_size=0.2, unit="um")
    expected = membrane_target(labels, 3, max_gap=6)
    assert (membrane_target(labels, 0.6, max_gap=1.2, unit="um") == expected).all()
    assert (membrane_target(labels, 600, max_gap=1200, unit="nm") == expected).all()
    assert (class_target(labels, 0.6, max_gap=1.2, unit="um") == class_target(labels, 3)).all()
    with pytest.raises(ImageError, match=r"plain array: .*as_image"):
        membrane_target(stripes(1), 0.6, unit="um")
    with pytest.raises(ImageError, match="in 'pixel'"):
        membrane_target(as_image(stripes(1)), 0.6, unit="um")
    with pytest.raises(ImageError, match=r"width is 0\.5 px"):
        membrane_target(labels, 0.1, unit="um")


def test_a_series_is_not_a_stack():
    with pytest.raises(ImageError, match=r"labels.isel\(t=0\)"):
        membrane_target(as_image(stripes(1)[None], "tyx"))


def test_three_classes():
    row = [1] * 10 + [0] * 4 + [2] * 10 + [0] * 20
    target = class_target(np.array([row] * 3), membrane_width=2)
    expected = [2] * 11 + [1] * 2 + [2] * 10 + [1] * 2 + [0] * 19
    assert target[1].tolist() == expected, "what the gap leaves beside its membrane is interior"
    region = np.ones(target.shape)
    region[:, 30:] = 0
    assert (class_target(np.array([row] * 3), 2, region=region)[:, 30:] == IGNORE).all()
    assert (class_target(np.zeros((5, 5), int)) == 0).all()
    assert (class_target(np.ones((5, 5), int)) == 2).all()


@examples(60)
@given(st.integers(0, 10**6), st.sampled_from([1, 3]))
def test_three_classes_have_the_membranes_of_two(seed, width):
    labels = random_labels(seed)
    two, three = membrane_target(labels, width), class_target(labels, width)
    assert ((two == 1) == (three == 1)).all()
    assert (three[labels > 0] > 0).all()


@examples(80)
@given(st.integers(0, 10**6), st.sampled_from([1.0, 2.5]))
def test_distances_by_brute_force(seed, depth):
    labels = random_labels(seed)
    if len(np.unique(labels)) < 2:
        return
    image = stack(labels, depth) if labels.ndim == 3 else as_image(labels, pixel_size=0.2, unit="um")
    step = (depth, 1, 1)[-labels.ndim :]
    expected = np.zeros(labels.shape)
    for i in np.unique(labels[labels > 0]):
        own = labels == i
        expected[own] = ndimage.distance_transform_edt(own, sampling=step)[own]
    distance = distance_target(image)
    assert distance.dtype == np.float32
    np.testing.assert_allclose(distance.values, expected, rtol=1e-5)
    np.testing.assert_allclose(distance_target(image, unit="um").values, 0.2 * expected, rtol=1e-5)
    shares = distance_target(image, normalise=True).values
    for i in np.unique(labels[labels > 0]):
        own = labels == i
        np.testing.assert_allclose(shares[own], expected[own] / expected[own].max(), rtol=1e-5)
    assert (shares[labels == 0] == 0).all()


def test_unknown_distances_and_cells_without_an_edge():
    region = np.ones((5, 40))
    region[:, :10] = 0
    distance = distance_target(stripes(0), region)
    assert np.isnan(distance[:, :10]).all()
    assert distance[2, 10] == 10
    with pytest.raises(ImageError, match="cell 4 fills the whole image"):
        distance_target(np.full((5, 5), 4))
    assert distance_target(np.zeros((5, 5), int)).max() == 0


@examples(60)
@given(st.integers(0, 10**6))
def test_affinities_pixel_by_pixel(seed):
    labels = random_labels(seed)
    rng = np.random.default_rng(seed)
    known = rng.random(labels.shape) < 0.9
    offsets = [tuple(o) for o in rng.integers(-4, 5, (4, labels.ndim)) if any(o)]
    if not offsets:
        return
    affinities = affinity_target(labels, offsets, region=known)
    for channel, offset in zip(affinities, offsets, strict=True):
        for here in product(*map(range, labels.shape)):
            there = tuple(np.add(here, offset))
            inside = all(0 <= t < n for t, n in zip(there, labels.shape, strict=True))
            if not inside or not known[here] or not known[there]:
                assert channel[here] == IGNORE
            else:
                assert channel[here] == (labels[here] == labels[there] != 0)


def test_affinities_of_a_calibrated_image():
    affinities = affinity_target(stack(np.ones((3, 4, 5), int), 2.0))
    assert affinities.dims == ("c", "z", "y", "x")
    assert affinities.c.values.tolist() == ["-1,0,0", "0,-1,0", "0,0,-1"]
    assert pixel_size(affinities)["z"] == pytest.approx(0.4)
    assert (affinities[0, 0] == IGNORE).all()
    assert (affinities[0, 1:] == 1).all()


@pytest.mark.parametrize("offsets", [[(0, 0)], [(1,)], [(0.5, 1)], []])
def test_offsets_that_are_none(offsets):
    with pytest.raises(ImageError, match="offset"):
        affinity_target(stripes(0), offsets)


def test_a_gap_is_as_wide_in_any_unit():
    labels = np.zeros((20, 60), int)
    labels[:, :15], labels[:, 45:] = 1, 2
    image = as_image(labels, pixel_size=0.2, unit="um")
    assert (membrane_target(image, 0.6, unit="um") == membrane_target(image, 3)).all()
    assert membrane_target(image, 0.6, max_gap=8, unit="um").values[10, 25:35].any()


def test_arrays_on_disk_give_plain_arrays(tmp_path):
    labels = np.kron([[1, 2], [3, 4]], np.ones((8, 8), np.uint16))
    stored = zarr.create_array(tmp_path / "l", shape=labels.shape, dtype="u2", chunks=(4, 4))
    stored[:] = labels
    for lazy in (stored, dask.array.from_array(labels)):
        for work in (membrane_target, lambda a: downscale(a, 2, "mode"), lambda a: upscale(a, 2)):
            result = work(lazy)
            assert isinstance(result, np.ndarray)
            assert (result == work(labels)).all()
    prob = (membrane_target(labels, 2) == 1).astype(np.float32)
    assert (label_cells(dask.array.from_array(prob), "threshold") == label_cells(prob, "threshold")).all()


@pytest.mark.parametrize("target", [membrane_target, class_target])
def test_width_is_the_old_name_of_membrane_width(target):
    labels = np.array([[1, 1, 1, 1, 2, 2, 2, 2]] * 2)
    expected = target(labels, membrane_width=2, region=labels > 0)
    with pytest.warns(RenamedWarning, match=f"width= of {target.__name__} was renamed to membrane_width="):
        assert (target(labels, width=2, region=labels > 0) == expected).all()
    with pytest.warns(RenamedWarning, match=f"argument 3 of {target.__name__} is keyword-only now: region="):
        assert (target(labels, 2, labels > 0) == expected).all()
