from __future__ import annotations

import numpy as np
import pytest
import zarr
from scipy import ndimage

from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation import labelling
from fijibridge.cells.segmentation.labelling import grow_labels, label_cells
from fijibridge.cells.segmentation.methods import method_names
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.errors import FijiBridgeWarning, ImageError, RenamedWarning
from fijibridge.image import as_image, pixel_size

METHODS = method_names()


def grid(n: int = 4, side: int = 10) -> np.ndarray:
    """n x n square cells between 1 px wide membranes."""
    prob = np.zeros((n * side + 1, n * side + 1))
    prob[::side], prob[:, ::side] = 1, 1
    return prob


@pytest.mark.parametrize("method", METHODS)
def test_one_cell_per_square(method):
    labels = label_cells(grid(), method)
    assert labels.max() == 16
    assert labels.dtype == np.int32


def test_numbers_and_truths_of_numpy_are_those_of_python():
    classes = np.stack([1 - grid(), grid()])
    expected = label_cells(grid(), "threshold")
    assert (label_cells(classes, "threshold", membrane=np.int64(1)) == expected).all()
    assert (label_cells(as_image(classes, dims="cyx"), "threshold", membrane=np.uint8(1)).values == expected).all()
    assert (label_cells(grid(), "threshold", grow=np.True_) == label_cells(grid(), "threshold", grow=True)).all()
    wide = np.zeros((9, 30))
    wide[:, 10:20] = 1
    grown, not_grown = (label_cells(wide, "threshold", grow=np.bool_(grow)) for grow in (True, False))
    assert [(found == 0).sum() for found in (grown, not_grown)] == [9, 90]


@pytest.mark.parametrize("method", ["minima", "seeded", "agglomeration"])
def test_the_place_of_small_regions_stays_unlabelled_in_methods_that_cover_the_image(method):
    prob = grid(2, 20)
    prob[10], prob[10, 20:] = 0, 0
    prob[:, 34] = 1
    all_cells = label_cells(prob, method)
    small = all_cells[5, 37]
    assert small
    large = label_cells(prob, method, min_size=(all_cells == small).sum() + 60)
    assert (large[all_cells == small] == 0).all()
    assert large.max() < all_cells.max()


def test_lists_and_arrays_on_disk_give_plain_arrays(tmp_path):
    prob = np.stack([grid(2)] * 3).astype(np.float32)
    stored = zarr.create_array(tmp_path / "a", shape=prob.shape, dtype="f4", chunks=(1, 9, 9))
    mapped = np.memmap(tmp_path / "m", np.float32, "w+", shape=prob.shape)
    stored[:], mapped[:] = prob, prob
    for given in (stored, mapped, prob.tolist()):
        assert (label_cells(given, "threshold") == label_cells(prob, "threshold")).all()
        assert (label_cells(given, "threshold", membrane=1) == label_cells(prob[1], "threshold")).all()
    cells = label_cells(prob, "threshold")
    assert (membrane_target(cells.tolist(), 2) == membrane_target(cells, 2)).all()


@pytest.mark.parametrize("membrane", ["membrane", 1])
def test_colours_in_the_last_axis_are_no_slices(membrane):
    colours = np.zeros((60, 60, 3))
    with pytest.raises(ImageError, match="looks like colours in the last axis"):
        label_cells(colours, "threshold", membrane=membrane)
    assert label_cells(as_image(colours, dims="zyx"), "threshold").shape == colours.shape


def test_diagonal_membranes_do_not_leak():
    """With 8-connectivity the two halves would be one."""
    prob = np.eye(20)
    assert label_cells(prob, "threshold").max() == 2


def test_a_gap_joins_cells_for_the_threshold_but_not_for_the_watershed():
    prob = grid(2, 30)
    prob[14:17, 30] = 0
    assert label_cells(prob, "threshold").max() == 3
    assert label_cells(prob, "watershed").max() == 4


def touching(labels: np.ndarray) -> bool:
    return any(
        ((a != b) & (a > 0) & (b > 0)).any() for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1]))
    )


@pytest.mark.parametrize("method", METHODS)
def test_growing_leaves_a_gap_of_one_pixel(method):
    prob = np.clip(ndimage.grey_dilation(grid(), size=(5, 5)), 0, 1)
    thin, grown = label_cells(prob, method, grow=False), label_cells(prob, method, grow=True)
    assert (grown > 0).sum() > (thin > 0).sum()
    assert not touching(grown)
    free = grown == 0
    assert not ndimage.binary_erosion(free, np.ones((3, 3))).any(), "no gap is 3 px wide"
    assert (grown[thin > 0] == thin[thin > 0]).all()


def test_growing_a_given_distance():
    labels = np.zeros((21, 21), int)
    labels[10, 10] = 5
    assert (grow_labels(labels, distance=3) == 5).sum() == 29  # the disc of radius 3
    assert not grow_labels(np.zeros((3, 3), int)).any()


def test_small_regions_and_ids_without_gaps():
    prob = grid()
    prob[5, 1:10] = 1  # cuts one square into two of 4 rows
    labels = label_cells(prob, "threshold", min_size=40)
    assert sorted(np.unique(labels)) == list(range(16))


def test_channels_by_name_and_index():
    both = np.stack([1 - grid(), grid()])
    named = as_image(both, "cyx", pixel_size=0.5).assign_coords(c=["other", "membrane"])
    labels = label_cells(named, "threshold")
    assert labels.dims == ("y", "x")
    assert pixel_size(labels) == {"y": 0.5, "x": 0.5}
    assert (labels.values == label_cells(both, "threshold", membrane=1)).all()
    assert (label_cells(named, "threshold", membrane=1) == labels).all()
    with pytest.raises(ImageError, match=r"channel '.*' does not exist"):
        label_cells(named, "threshold", membrane="wall")
    for image in (both, named):
        with pytest.raises(ImageError, match="channel 7 does not exist"):
            label_cells(image, "threshold", membrane=7)


def test_each_frame_is_labelled_by_itself():
    series = as_image(np.stack([grid(4), grid(2, 20), grid(4)]), "tyx", pixel_size={"t": 5, "y": 0.2, "x": 0.2})
    labels = label_cells(series, "watershed")
    assert labels.dims == ("t", "y", "x")
    assert pixel_size(labels) == {"t": 5, "y": 0.2, "x": 0.2}
    assert labels.values.max(axis=(1, 2)).tolist() == [16, 4, 16]
    assert (labels.isel(t=1) == label_cells(grid(2, 20), "watershed")).all()


def test_classes_without_names_are_not_slices():
    both = np.stack([1 - grid(), grid()])
    with pytest.raises(ImageError, match=r"looks like 2 classes.*membrane=1"):
        label_cells(both, "threshold")
    stack = as_image(both, "zyx")
    assert label_cells(stack, "threshold").shape == both.shape
    with pytest.raises(ImageError, match="membrane=<index>"):
        label_cells(both[:, None], "threshold")


@pytest.mark.parametrize("image", [np.array([[0, 200]], np.uint8), np.array([[-0.5, 0.5]])])
def test_what_is_no_probability(image):
    with pytest.raises(ImageError, match=r"has values from .* to .*; expected 0 to 1: predict a raw image first"):
        label_cells(image, "threshold")


def test_volumes():
    prob = np.zeros((9, 9, 9))
    prob[4], prob[:, 4], prob[:, :, 4] = 1, 1, 1
    assert label_cells(prob, "threshold").max() == 8


@pytest.mark.parametrize(
    ("prob", "method", "words"),
    [
        (np.full((3, 3), np.nan), "threshold", "NaN"),
        (np.zeros((3, 3)), "magic", "magic"),
        (np.zeros(3), "threshold", "shape"),
    ],
)
def test_bad_input(prob, method, words):
    with pytest.raises(ImageError, match=words):
        label_cells(prob, method)


@pytest.mark.parametrize("method", METHODS)
def test_true_membranes_give_the_true_cells(method):
    tissue = synthetic_epithelium((200, 200), seed=4)
    prob = (membrane_target(tissue.labels.values, 2) == 1).astype(float)
    assert match_labels(tissue.labels.values, label_cells(prob, method)).f1 > 0.98


def noisy_tissue(shape=(160, 160), noise=0.1, seed=3):
    rng = np.random.default_rng(seed)
    truth = synthetic_epithelium(shape, cell_size=20, seed=seed).labels.values
    prob = ndimage.gaussian_filter((membrane_target(truth, 2) == 1).astype(float), 0.7)
    return np.clip(prob + rng.normal(0, noise, shape), 0, 1), truth


def test_noise_inside_cells_is_no_membrane_for_the_smoothing_methods():
    prob, truth = noisy_tissue(noise=0.25)
    f1 = {
        m: match_labels(truth, label_cells(prob, m, min_size=20, **{"h": 0.2} if m == "minima" else {})).f1
        for m in METHODS
    }
    assert min(f1[m] for m in ("minima", "seeded", "agglomeration")) > 0.96
    assert f1["threshold"] < 0.945


def test_distances_follow_the_shape_of_voxels():
    """Two balls of radius 3 um, 4.6 um apart, in voxels of 1 x 0.25 x 0.25 um: the neck is cut across z."""
    z, y, x = np.indices((17, 33, 33)) * np.array([1, 0.25, 0.25]).reshape(3, 1, 1, 1)
    balls = [(z - 8 - s) ** 2 + (y - 4) ** 2 + (x - 4) ** 2 < 9 for s in (-2.3, 2.3)]
    prob = as_image(1.0 - (balls[0] | balls[1]), pixel_size={"z": 1, "y": 0.25, "x": 0.25}, unit="um")
    labels = label_cells(prob, "watershed", grow=False).values
    assert labels.max() == 2
    assert set(np.unique(labels[:8])) == {0, 1}
    assert set(np.unique(labels[9:])) == {0, 2}


@pytest.mark.parametrize("method", METHODS)
def test_ids_follow_the_first_pixels(method):
    grow = method not in ("threshold", "watershed")  # growing changes the first pixels, the numbers are from before
    labels = label_cells(noisy_tissue()[0], method, grow=grow)
    ids, first = np.unique(labels, return_index=True)
    assert ids.tolist() == list(range(labels.max() + 1))
    assert (np.diff(first[1:]) > 0).mean() > 0.8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_images_without_membranes_or_without_cells(method, value):
    labels = label_cells(np.full((12, 13), value), method)
    covered = method in ("minima", "seeded", "agglomeration")
    assert labels.max() == (1 if value == 0 else 0) or covered


@pytest.mark.parametrize("number", ["15", "21"])
@pytest.mark.parametrize("method", METHODS)
def test_true_membranes_of_the_cornea_give_its_cells(data, method, number):
    from fijibridge.files import read_image

    folder = data / "cornea_alizarine"
    truth, region = read_image(folder / f"{number}_labels.tif").values, read_image(folder / f"{number}_roi.png").values
    prob = read_image(folder / f"{number}_membrane.png").values / 255
    assert match_labels(truth, label_cells(prob, method), region=region).f1 > 0.99


def test_without_a_method_it_is_the_watershed_with_one_warning():
    labelling.default_method.cache_clear()
    prob = grid()
    with pytest.warns(FijiBridgeWarning, match="version 0.1 used 'threshold' here") as caught:
        cells = label_cells(prob)
    assert caught[0].filename == __file__
    assert (cells == label_cells(prob, "watershed")).all()
    assert (label_cells(prob) == cells).all()  # a second warning would be an error


def test_border_is_the_old_name_of_edge_cells():
    with pytest.warns(RenamedWarning, match="border= of label_cells was renamed to edge_cells="):
        found = label_cells(grid(), "threshold", border="remove")
    assert (found == label_cells(grid(), "threshold", edge_cells="remove")).all()
