from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from fijibridge.cells.targets import IGNORE, membrane_target
from fijibridge.errors import ImageError
from fijibridge.files import read_image
from fijibridge.image import as_image, pixel_size


def stripes(gap: int) -> np.ndarray:
    """Two wide cells side by side with a gap between them."""
    row = [1] * 20 + [0] * gap + [2] * 20
    return np.array([row] * 5)


@pytest.mark.parametrize(
    ("gap", "width", "expected"),
    [(0, 1, 2), (0, 2, 2), (0, 3, 4), (0, 4, 4), (1, 1, 1), (1, 2, 3), (1, 3, 3), (2, 2, 2), (2, 4, 4), (3, 3, 3)],
)
def test_width_across_a_straight_membrane(gap, width, expected):
    target = membrane_target(stripes(gap), width=width)
    assert (target.sum(axis=1) == expected).all()
    columns = np.flatnonzero(target[2])
    assert columns.mean() == pytest.approx(20 + (gap - 1) / 2)


def test_a_wide_gap_is_background_with_membranes_at_the_cells():
    target = membrane_target(stripes(20), width=2, max_gap=6)
    assert np.flatnonzero(target[2]).tolist() == [19, 20, 39, 40]


def test_outside_the_region_is_ignored():
    region = np.zeros((5, 40))
    region[:, :25] = 255
    target = membrane_target(stripes(0), width=2, region=region)
    assert (target[:, 25:] == IGNORE).all()
    assert set(np.unique(target[:, :25])) == {0, 1}


def test_volumes():
    labels = np.zeros((8, 6, 6), int)
    labels[:4], labels[4:] = 1, 2
    target = membrane_target(labels, width=2)
    assert target.sum(axis=0).tolist() == [[2] * 6] * 6


def test_no_cells_no_membrane():
    assert membrane_target(np.zeros((4, 4), int)).sum() == 0
    assert membrane_target(np.ones((4, 4), int)).sum() == 0


def test_calibration_is_kept_and_bad_input_refused():
    labels = as_image(stripes(1), pixel_size=0.3, unit="um")
    assert pixel_size(membrane_target(labels)) == {"y": 0.3, "x": 0.3}
    with pytest.raises(ImageError, match="1 or more"):
        membrane_target(labels, width=0)
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
    target = membrane_target(labels, width=3, region=region)
    inside = ndimage.binary_erosion(region > 0, iterations=4)
    assert (target[(drawn > 0) & inside] == 1).mean() > 0.995
    near = ndimage.binary_dilation(drawn > 0, np.ones((3, 3)))
    assert (target[~near & inside] == 1).mean() < 0.002
