from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.errors import ImageError
from fijibridge.image import pixel_size, unit


@pytest.fixture(scope="module")
def tissue():
    return synthetic_epithelium((192, 224), seed=5)


def test_each_id_is_one_region_and_ids_have_no_gaps(tissue):
    labels = tissue.labels.values
    ids = np.unique(labels)
    assert ids.tolist() == list(range(1, len(ids) + 1))
    assert all(ndimage.label(labels == i)[1] == 1 for i in ids)


def test_cells_have_the_size_asked_for(tissue):
    area = np.median(np.bincount(tissue.labels.values.reshape(-1))[1:])
    assert area == pytest.approx(np.pi / 4 * 24**2, rel=0.25)


def test_membranes_are_brighter_but_no_threshold_finds_them(tissue):
    membrane = membrane_target(tissue.labels.values, 2) == 1
    image = tissue.image.values.astype(float)
    assert image[membrane].mean() > image[~membrane].mean() + image[~membrane].std()
    cuts = np.percentile(image, np.arange(50, 100, 2))
    best = max(2 * (membrane & (image > c)).sum() / (membrane.sum() + (image > c).sum()) for c in cuts)
    assert best < 0.8


def test_reproducible_and_calibrated(tissue):
    again = synthetic_epithelium((192, 224), seed=5)
    assert (again.image == tissue.image).all()
    assert not (synthetic_epithelium((192, 224), seed=6).labels.values == tissue.labels.values).all()
    assert pixel_size(tissue.image) == {"y": 0.2, "x": 0.2}
    assert unit(tissue.labels) == "um"


def test_light_is_uneven(tissue):
    even = synthetic_epithelium((192, 224), seed=5, unevenness=0)

    def spread(image):
        quarters = [image[a : a + 64, b : b + 64].mean() - 100 for a in (0, 128) for b in (0, 160)]
        return max(quarters) / min(quarters)

    assert spread(tissue.image.values.astype(float)) > 1.4 * spread(even.image.values.astype(float))


def test_bad_input():
    with pytest.raises(ImageError, match="twice"):
        synthetic_epithelium((20, 20))
