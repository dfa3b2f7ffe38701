from __future__ import annotations

import numpy as np
import pytest
from skimage.io import imsave
from skimage.segmentation import find_boundaries

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.files import write_image
from tests.dataset.guess.conftest import write


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("{}_image.tif", "{}_labels.tif"),
        ("img_{}.tif", "seg_{}.tif"),
        ("raw/{}.tif", "labels/{}.tif"),
        ("{}.tif", "{}_masks.tif"),
        ("{}/image.tif", "{}/labels.tif"),
        ("well_{}.raw.tif", "well_{}.gt.tif"),
    ],
)
def test_roles_by_names_and_pixels(tmp_path, tissues, image, labels):
    guess = fb.describe_dataset(write(tmp_path, tissues, image, labels))
    described = guess.description
    assert len(Dataset(tmp_path, described)) == 2
    for role, text in (("image", image), ("labels", labels)):
        fields = getattr(described, role).replace("{name}", "{}")
        assert fields in (text, text.replace("well_", ""))
    read = Dataset(tmp_path, described).items[0]
    assert (read.labels().values == tissues[0].labels.values).all()
    assert described.membranes == fb.describe_dataset(tmp_path).description.membranes != "unknown"


def test_masks_are_told_apart_by_name_and_their_membranes_by_thickness(tmp_path, tissues):
    write(tmp_path, tissues)
    for name, tissue in zip("ab", tissues, strict=True):
        membrane = find_boundaries(tissue.labels.values)
        imsave(tmp_path / f"{name}_membrane.png", (~membrane).astype(np.uint8) * 255, check_contrast=False)
        imsave(tmp_path / f"{name}_roi.png", np.full(membrane.shape, 255, np.uint8), check_contrast=False)
        write_image(
            membrane.astype(np.float32) * 0.5
            + np.float32(0.25) * tissue.labels.values.astype(bool)
            + np.linspace(0, 0.2, 112, dtype=np.float32),
            tmp_path / f"{name}_prob.tif",
        )
    described = fb.describe_dataset(tmp_path).description
    assert described.classes == "{name}_membrane.png"
    assert described.values.classes == {0: "membrane", 255: "cell"}
    assert described.region == "{name}_roi.png"
    assert described.prediction == "{name}_prob.tif"
