from __future__ import annotations

import numpy as np
import pytest
import zarr
from scipy import ndimage

from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation import labelling
from fijibridge.cells.segmentation import parameters as segmentation_parameters
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


@pytest.mark.parametrize("own", ["um", "\u00b5m", "\u03bcm", "micron", "microns"])
@pytest.mark.parametrize("asked", ["um", "\u00b5m", "\u03bcm", "micron"])
def test_micrometres_have_many_names(own, asked):
    image = as_image(grid(), pixel_size=0.5, unit=own)
    plain = as_image(grid(), pixel_size=0.5, unit="um")
    cells = label_cells(image, "threshold", min_size=20, unit=f"{asked}2")
    assert cells.values.max() == label_cells(plain, "threshold", min_size=20, unit="um2").values.max() == 16
    assert label_cells(image, "threshold", min_size=25, unit=f"{asked}2").values.max() == 0
    wide = membrane_target(cells, 2, max_gap=3, unit=asked)
    assert (wide.values == membrane_target(cells, 4, max_gap=6).values).all()


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
    with pytest.raises(ImageError, match="no channel named"):
        label_cells(named, "threshold", membrane="wall")
    for image in (both, named):
        with pytest.raises(ImageError, match="no channel 7"):
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


@pytest.mark.parametrize("threshold", [5, -0.1, np.nan])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ImageError, match="threshold is"):
        label_cells(grid(), "threshold", threshold=threshold)


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


def test_agglomeration_weighs_the_whole_membrane():
    """Half of the membrane is missing: its mean is about 0.5."""
    prob = grid(2, 30)
    prob[1:15, 30] = 0
    counts = [label_cells(prob, "agglomeration", beta=beta, grow=False).max() for beta in (0.3, 0.7)]
    assert counts == [4, 3]


def test_holes_are_filled_unless_they_open_to_the_border_or_hold_a_cell():
    prob = np.zeros((30, 30))
    prob[5:8, 5:8] = 1  # a vesicle
    prob[0:3, 20:23] = 1  # at the border of the image
    prob[15:24, 15:24] = 1
    prob[18:21, 18:21] = 0  # a cell within the cell
    labels = label_cells(prob, "threshold", grow=False)
    assert (labels[5:8, 5:8] == 1).all()
    assert (labels[0:3, 20:23] == 0).all()
    assert labels[19, 19] == 2
    assert (labels[15:24, 15] == 0).all()
    small = label_cells(
        prob, "threshold", grow=False, min_size=20
    )  # the inner cell is too small and becomes part of the hole
    assert small.max() == 1
    assert (small[15:24, 15:24] == 1).all()
    assert (label_cells(prob, "threshold", grow=False, fill_holes=False)[5:8, 5:8] == 0).all()


def test_large_regions_leave_their_place_empty():
    """Background of 40 columns beside cells of 10: nothing grows into it."""
    prob = np.zeros((41, 61))
    prob[::10, :21], prob[:, :21:10] = 1, 1
    everything, cells = label_cells(prob, "threshold"), label_cells(prob, "threshold", max_size=100)
    assert everything.max() == cells.max() + 1 == 9
    assert not cells[:, 22:].any()
    assert (cells[:, :20] > 0).sum() == ((everything[:, :20] > 0) & (everything[:, :20] != everything[20, 40])).sum()


def test_cells_at_the_border_are_removed_without_others_growing_there():
    prob = np.zeros((45, 45))
    prob[2::10], prob[:, 2::10] = 1, 1  # 5 x 5 lines: 4 x 4 whole cells, 20 cut ones
    kept, inner = label_cells(prob, "threshold"), label_cells(prob, "threshold", edge_cells="remove")
    assert (kept.max(), inner.max()) == (36, 16)
    assert not inner[:2].any()
    assert not inner[:, -2:].any()
    assert (kept[4:40, 4:40] > 0).sum() == (inner[4:40, 4:40] > 0).sum()


def test_sizes_in_micrometres():
    prob = as_image(grid(4, 10), pixel_size=0.5, unit="um")  # cells of 81 px, 20.25 um2
    assert label_cells(prob, "threshold", min_size=20.2, unit="um2").max() == 16
    assert label_cells(prob, "threshold", min_size=20.3, unit="um2").max() == 0
    assert label_cells(prob, "threshold", max_size=20.2, unit="um2").max() == 0
    volume = as_image(np.zeros((4, 5, 6)), pixel_size={"z": 2, "y": 0.5, "x": 0.5}, unit="um")
    assert label_cells(volume, "threshold", min_size=59.9, unit="um3").max() == 1
    assert label_cells(volume, "threshold", min_size=60.1, unit="um3").max() == 0
    for image, wrong, words in (
        (prob.values, "um2", "need a pixel size"),
        (prob, "um3", "use 'um2'"),
        (volume, "nm3", "use 'um3'"),
    ):
        with pytest.raises(ImageError, match=words):
            label_cells(image, "threshold", unit=wrong)


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


@pytest.mark.parametrize(
    ("method", "parameters", "words"),
    [
        ("threshold", {"sigma": 1}, "sigma is not a parameter of the method 'threshold', which takes threshold"),
        ("watershed", {"beta": 0.5}, "beta is not a parameter"),
        ("agglomeration", {"beta": 1.5}, "beta is 1.5"),
        ("seeded", {"sigma": -1}, "sigma is -1"),
        ("seeded", {"h": np.nan}, "h is nan"),
        ("threshold", {"grow": -1}, "grow is -1"),
        ("threshold", {"min_size": 10, "max_size": 5}, "max_size is 5; expected at least min_size"),
        ("threshold", {"edge_cells": "cut"}, "edge_cells is 'cut'"),
    ],
)
def test_parameters_out_of_range_or_place(method, parameters, words):
    with pytest.raises(ImageError, match=words):
        label_cells(grid(), method, **parameters)


def test_growing_along_ridges_and_calibrated():
    labels = np.zeros((3, 9), int)
    labels[:, 0], labels[:, 8] = 4, 9
    ridge = np.zeros((3, 9))
    ridge[:, 6] = 1
    assert grow_labels(labels, ridge)[0].tolist() == [4, 4, 4, 4, 4, 4, 0, 9, 9]
    long = as_image(np.moveaxis(np.array([[[1, 0, 0, 0]]]), 2, 0), "zyx", pixel_size={"z": 2, "y": 1, "x": 1})
    grown = grow_labels(long, distance=4)
    assert grown.values[:, 0, 0].tolist() == [1, 1, 1, 0]
    assert pixel_size(grown) == pixel_size(long)
    touching_before = np.array([[1, 1, 2, 2]])
    assert (grow_labels(touching_before) == touching_before).all()
    with pytest.raises(ImageError, match="ids up to"):
        grow_labels(np.array([[2**31, 0]]))


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


def test_old_names_of_the_parameters():
    with pytest.warns(RenamedWarning, match="make_recipe was renamed to fijibridge.cells.segmentation.parameters.make"):
        recipe = segmentation_parameters.make_recipe(grid(), "watershed")
    assert recipe == segmentation_parameters.make_parameters(grid(), "watershed")
