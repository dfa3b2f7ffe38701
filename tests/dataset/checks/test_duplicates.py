from __future__ import annotations

import numpy as np
import tifffile

from fijibridge.files import write_image
from tests.dataset.checks.conftest import looked_at, the


def test_pixels_that_are_no_numbers_and_twins_across_a_split(folder):
    image = tifffile.imread(folder / "a_image.tif").astype(np.float32)
    write_image(image, folder / "c_image.tif")
    image[3, 4] = np.nan
    write_image(image, folder / "b_image.tif")
    write_image(np.nan_to_num(image * 0 + tifffile.imread(folder / "c_image.tif"), nan=0), folder / "a_image.tif")
    findings = looked_at(folder)
    assert the(findings, "1 pixels are not finite numbers").severity == "problem"
    write_image(tifffile.imread(folder / "c_image.tif"), folder / "a_image.tif")
    twin = the(looked_at(folder), "the same pixels as 'a'")
    assert (twin.severity, twin.item) == ("problem", "c")


def test_one_truth_for_two_images(folder):
    shared = {"b": {"labels": "a_labels.tif"}}
    finding = the(looked_at(folder, files=shared), "its labels file is also the labels file of 'a'")
    assert (finding.severity, finding.item) == ("problem", "b")
    shared["b"]["derived_from"] = {"item": "a"}
    assert not [f for f in looked_at(folder, files=shared) if "its labels file is" in f.what]
