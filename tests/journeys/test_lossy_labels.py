"""Labels that a lossy compression has changed are refused wherever a folder is read."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

import fijibridge as fb
from fijibridge.dataset import check_dataset
from fijibridge.errors import DatasetError


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".tif", ".png"])
def test_labels_in_a_lossy_file_are_refused(tmp_path, suffix):
    labels = np.kron(np.arange(1, 41).reshape(5, 8), np.ones((12, 12))).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a_image.tif", np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8))
    path = tmp_path / f"a_labels{suffix}"
    if suffix == ".tif":
        tifffile.imwrite(path, labels, compression="jpeg")
    else:
        Image.fromarray(labels).save(path, **({"quality": 90} if suffix == ".jpg" else {}))
    dataset = fb.Dataset.from_patterns(
        tmp_path, image="{name}_image.tif", labels=f"{{name}}_labels{suffix}", provenance="manual"
    )
    if suffix == ".png":
        assert (dataset["a"].labels().values == labels).all()
        return
    with pytest.raises(DatasetError, match=r"a_labels.* is compressed by JPEG or the like.*save it as PNG or TIFF"):
        dataset["a"].labels()
    assert any(
        "compressed by JPEG" in finding.what and finding.severity == "problem" for finding in check_dataset(dataset)
    )
