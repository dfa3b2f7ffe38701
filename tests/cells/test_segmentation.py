from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from fijibridge.cells.matching import match_labels
from fijibridge.cells.segmentation import grow_labels, label_cells
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets import membrane_target
from fijibridge.errors import ImageError
from fijibridge.image import as_image, pixel_size

METHODS = ["threshold", "watershed", "seeded", "agglomeration"]


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


def test_diagonal_membranes_do_not_leak():
    """With 8-connectivity the two halves would be one."""
    prob = np.eye(20)
    assert label_cells(prob).max() == 2


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
    labels = label_cells(prob, min_size=40)
    assert sorted(np.unique(labels)) == list(range(16))


def test_channels_by_name_and_index():
    both = np.stack([1 - grid(), grid()])
    named = as_image(both, "cyx", pixel_size=0.5).assign_coords(c=["other", "membrane"])
    labels = label_cells(named)
    assert labels.dims == ("y", "x")
    assert pixel_size(labels) == {"y": 0.5, "x": 0.5}
    assert (labels.values == label_cells(both, membrane=1)).all()
    assert (label_cells(named, membrane=1) == labels).all()
    with pytest.raises(ImageError, match="no channel named"):
        label_cells(named, membrane="wall")
    for image in (both, named):
        with pytest.raises(ImageError, match="no channel 7"):
            label_cells(image, membrane=7)


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
        label_cells(both)
    stack = as_image(both, "zyx")
    assert label_cells(stack).shape == both.shape
    with pytest.raises(ImageError, match="membrane=<index>"):
        label_cells(both[:, None])


@pytest.mark.parametrize("image", [np.array([[0, 200]], np.uint8), np.array([[-0.5, 0.5]])])
def test_what_is_no_probability(image):
    with pytest.raises(ImageError, match=r"between 0 and 1; came .* to .*: for a raw image predict first"):
        label_cells(image)


@pytest.mark.parametrize("threshold", [5, -0.1, np.nan])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ImageError, match="threshold is"):
        label_cells(grid(), threshold=threshold)


def test_volumes():
    prob = np.zeros((9, 9, 9))
    prob[4], prob[:, 4], prob[:, :, 4] = 1, 1, 1
    assert label_cells(prob).max() == 8


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
