from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation.from_membranes import labels_from_membranes
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.errors import ImageError
from fijibridge.files import read_image
from fijibridge.image import as_image, pixel_size
from tests.examples import examples


def carve(labels: np.ndarray) -> np.ndarray:
    """Mark the pixels that differ from a neighbour before them: membranes 1 px wide."""
    mask = np.zeros(labels.shape, bool)
    for axis in range(labels.ndim):
        ahead = np.moveaxis(mask, axis, 0)
        ahead[1:] |= np.diff(np.moveaxis(labels, axis, 0), axis=0) != 0
    return mask


def test_colours_in_the_last_axis_are_no_slices():
    colours = np.zeros((60, 60, 3), np.uint8)
    with pytest.raises(ImageError, match="looks like colours in the last axis"):
        labels_from_membranes(colours)
    assert labels_from_membranes(as_image(colours, dims="zyx")).shape == colours.shape


def same_up_to_ids(first: np.ndarray, second: np.ndarray) -> bool:
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    return all(len(np.unique(side)) == pairs.shape[1] for side in pairs)


def with_gaps(mask: np.ndarray, size: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Take chains of connected membrane pixels away, each 12 px from the next."""
    gapped, free, made = mask.copy(), mask.copy(), 0
    for start in rng.permutation(np.argwhere(mask)):
        chain = [start]
        while free[tuple(start)] and len(chain) < size:
            near = chain[-1] + np.argwhere(np.ones((3, 3))) - 1
            inside = near[((near >= 0) & (near < mask.shape)).all(axis=1)]
            more = [p for p in inside if mask[tuple(p)] and not any((p == c).all() for c in chain)]
            if not more:
                break
            chain.append(more[rng.integers(len(more))])
        if len(chain) == size and free[tuple(start)]:
            gapped[tuple(np.transpose(chain))] = False
            free[tuple(slice(max(0, s - 12 - size), s + 13 + size) for s in start)] = False
            made += 1
        if made == count:
            break
    assert made > count / 2
    return gapped


@examples(15)
@given(st.integers(0, 1000), st.sampled_from([12.0, 24.0]))
def test_labels_to_membranes_and_back(seed, cell_size):
    labels = synthetic_epithelium((96, 80), cell_size=cell_size, seed=seed).labels.values
    mask = carve(labels)
    left = np.where(mask, 0, labels)
    pieces = ndimage.label(left)[0]  # a narrow corner may be cut off by its own membrane
    whole = np.array([len(np.unique(pieces[left == i])) == 1 for i in np.unique(labels)])
    kept = np.isin(left, np.unique(labels)[whole])
    found = labels_from_membranes(mask)
    assert whole.mean() >= 0.8  # of all images that can be drawn here, this one has the fewest: seed 354, 24 px
    assert same_up_to_ids(np.where(kept, left, 0), np.where(kept, found, 0))
    assert ((found > 0) == ~mask).all()
    assert found.max() == len(np.unique(found)) - 1


@pytest.mark.parametrize("close", [1, 2, 4])
def test_cells_come_back_through_gaps(close):
    tissue = synthetic_epithelium((256, 256), cell_size=28, seed=5).labels.values
    mask = carve(tissue)
    inner = np.zeros(mask.shape, bool)
    inner[20:-20, 20:-20] = True  # cells that the frame cuts down to slivers are narrower than a gap
    gapped = np.where(inner, with_gaps(mask & inner, close, 60, np.random.default_rng(close)), mask)
    truth = labels_from_membranes(mask, min_size=60)
    assert match_labels(truth, labels_from_membranes(gapped)).f1 < 0.75
    assert match_labels(truth, labels_from_membranes(gapped, close, min_size=60)).f1 > 0.985
    assert match_labels(truth, labels_from_membranes(mask, close, min_size=60)).f1 > 0.99


def room(width: int, gap: int, side: int = 15) -> np.ndarray:
    """Two rooms of a width and 15 px, with a door in the wall between them."""
    mask = np.zeros((side, side + 1 + width), bool)
    low = (side - gap) // 2
    mask[:, side] = True
    mask[low : low + gap, side] = False
    return mask


@pytest.mark.parametrize("gap", [1, 2, 3, 4, 5])
def test_gaps_are_closed_up_to_the_width_asked_for(gap):
    mask = room(15, gap)
    assert labels_from_membranes(mask).max() == 1
    found = labels_from_membranes(mask, close=gap)
    assert found.max() == 2
    assert found[7, 10] != found[7, 20]
    wide = room(40, 11, 41)
    assert labels_from_membranes(wide, close=gap).max() == 1


def test_a_small_cell_is_not_swallowed():
    mask = np.zeros((30, 30), bool)
    mask[4:13, 4], mask[4:13, 12], mask[4, 4:13], mask[12, 4:13] = True, True, True, True
    mask[8, 12] = False
    found = labels_from_membranes(mask, close=4)
    assert found.max() == 2
    assert (found == found[8, 8]).sum() == pytest.approx(49, abs=2)


def test_diagonal_membranes_hold_and_their_gaps_close():
    mask = np.eye(40, dtype=bool)
    assert labels_from_membranes(mask).max() == 2
    mask[18:22, 18:22] = False
    assert labels_from_membranes(mask).max() == 1
    assert labels_from_membranes(mask, close=4).max() == 2


def test_sizes_and_region():
    mask = room(5, 0)
    mask[7, 16:] = True
    assert sorted(np.bincount(labels_from_membranes(mask).ravel())[1:]) == [35, 35, 225]
    assert labels_from_membranes(mask, min_size=36).max() == 1
    background = labels_from_membranes(mask, max_size=200)
    assert background[0, 0] == 0
    assert background.max() == 2
    region = np.ones(mask.shape)
    region[:, 10:] = 0
    inside = labels_from_membranes(mask, region=region)
    assert inside[:, 10:].max() == 0
    assert (inside[:, :10] == 1).all()


@pytest.mark.parametrize("depth", [1.0, 2.0])
def test_volumes(depth):
    mask = np.zeros((17, 17, 17), bool)
    mask[8], mask[:, 8], mask[:, :, 8] = True, True, True
    mask[8, 4, 4], mask[4, 8, 12] = False, False
    image = as_image(mask, pixel_size={"z": depth, "y": 1, "x": 1}, unit="um")
    assert labels_from_membranes(image).max() == 6
    found = labels_from_membranes(image, close=1)
    assert found.max() == 8
    assert pixel_size(found) == pixel_size(image)


def test_physical_gaps_and_kinds_of_masks():
    mask = room(15, 3)
    image = as_image(mask, pixel_size=0.2, unit="um")
    assert labels_from_membranes(image, close=0.6, unit="um").max() == 2
    assert labels_from_membranes(image, close=0.2, unit="um").max() == 1
    for other in (mask * np.uint8(255), mask.astype(float), mask.astype(int)):
        np.testing.assert_array_equal(labels_from_membranes(other, 3), labels_from_membranes(mask, 3))
    assert labels_from_membranes(np.ones((4, 4), bool), 1).max() == 0
    assert (labels_from_membranes(np.zeros((4, 4), bool), 1) == 1).all()


@pytest.mark.parametrize(
    ("mask", "arguments", "words"),
    [
        (np.array([[0, 1, 2]]), {}, "more than two values"),
        (np.array([[0.0, 0.3, 0.9]]), {}, "label_cells"),
        (np.zeros((3, 3)), {"close": -1}, "close is -1"),
        (np.zeros((3, 3)), {"close": 1, "unit": "um"}, "plain array"),
        (np.zeros((3, 3)), {"region": np.ones((2, 2))}, "region"),
        (np.zeros(3), {}, "expected"),
    ],
)
def test_bad_input(mask, arguments, words):
    with pytest.raises(ImageError, match=words):
        labels_from_membranes(mask, **arguments)


@pytest.mark.parametrize("close", [0, 2, 4])
def test_drawn_membranes_give_the_drawn_cells(data, close):
    folder = data / "cornea_alizarine"
    truth, mask, region = (read_image(folder / f"01_{w}").values for w in ("labels.tif", "membrane.png", "roi.png"))
    assert same_up_to_ids(truth, labels_from_membranes(mask, region=region))
    drawn = (mask > 0) & (region > 0)
    gapped = with_gaps(drawn, close, 200, np.random.default_rng(close)) if close else drawn
    found = labels_from_membranes(gapped, close, region=region)
    m = match_labels(truth, found)
    assert (m.tp, m.n_true, m.n_pred) == (283, 283, 283)
