from __future__ import annotations

import numpy as np
import pytest

from fijibridge.cells.segmentation.labelling import grow_labels
from fijibridge.errors import ImageError
from fijibridge.image import as_image, pixel_size


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
