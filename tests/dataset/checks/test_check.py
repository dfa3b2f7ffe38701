from __future__ import annotations

import numpy as np
import tifffile
from skimage.segmentation import find_boundaries

import fijibridge as fb
from tests.dataset.checks.conftest import labels_of, looked_at, the


def test_nothing_is_wrong_with_a_good_folder(folder):
    assert [f for f in looked_at(folder) if f.severity == "problem"] == []


def test_a_wrong_description_is_a_finding(tmp_path):
    (finding,) = fb.check_dataset(tmp_path)
    assert finding.severity == "problem"
    assert finding.file == "dataset.toml"
    assert "no description" in finding.what


def test_missing_and_unreadable_files(folder):
    (folder / "a_labels.tif").unlink()
    (folder / "b_image.tif").write_bytes(b"broken")
    findings = looked_at(folder)
    assert the(findings, "labels file is missing").todo == 'add it, or set without = ["labels"] in [files."a"]'
    assert the(findings, "cannot be read").item == "b"


def test_values_and_masks(folder):
    for name in "abc":
        tifffile.imwrite(folder / f"{name}_mem.tif", find_boundaries(labels_of(folder, name)).astype(np.uint8) * 255)
        tifffile.imwrite(folder / f"{name}_roi.tif", np.zeros((64, 80), np.uint8))
    fields = {"classes": "*_mem.tif", "region": "*_roi.tif"}
    findings = looked_at(folder, **fields, values={"classes": {0: "membrane", 255: "cell"}})
    assert len([f for f in findings if "no truth is known" in f.what and f.severity == "problem"]) == 3
    assert len([f for f in findings if "of it is membrane" in f.what]) == 3
    findings = looked_at(folder, **fields, values={"classes": {0: "cell", 1: "membrane"}})
    assert len([f for f in findings if "contains 255" in f.what and f.severity == "problem"]) == 3
