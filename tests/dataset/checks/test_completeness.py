from __future__ import annotations

import h5py
import numpy as np
import tifffile

import fijibridge as fb
from fijibridge.dataset import Dataset
from tests.dataset.checks.conftest import looked_at, the


def test_missing_members_of_a_series(tmp_path):
    for z in (0, 1, 3):
        tifffile.imwrite(tmp_path / f"a_z{z}.tif", np.eye(9, dtype=np.uint8))
    findings = fb.check_dataset(Dataset.from_patterns(tmp_path, image="{name}_z{z}.tif"))
    assert the(findings, "image file is missing").file == "a_z2.tif"


def test_files_that_nobody_speaks_of_and_provenance(folder):
    with h5py.File(folder / "left.h5", "w") as file:
        file["raw"] = np.zeros((4, 4))
    assert the(looked_at(folder), "no pattern of the description fits").file == "left.h5"
    assert len([f for f in looked_at(folder, provenance="algorithm") if "made by an algorithm" in f.what]) == 3
    assert len([f for f in looked_at(folder, provenance="unknown") if "origin of its truth is unknown" in f.what]) == 3
