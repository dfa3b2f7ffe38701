from __future__ import annotations

import numpy as np
import pytest
import tifffile

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.files import write_image

PATTERNS = {"image": "*_image.tif", "labels": "*_labels.tif", "provenance": "manual"}


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, seed=seed)
        write_image(tissue.image, tmp_path / f"{name}_image.tif")
        write_image(tissue.labels, tmp_path / f"{name}_labels.tif")
    return tmp_path


def looked_at(folder, **fields):
    return fb.check_dataset(Dataset.from_patterns(folder, **{**PATTERNS, "split": {"test": ["c"]}, **fields}))


def the(findings, words):
    found = [f for f in findings if words in f.what]
    assert len(found) == 1, "\n".join(map(str, findings))
    return found[0]


def labels_of(folder, name="a"):
    return tifffile.imread(folder / f"{name}_labels.tif").astype(np.uint16)
