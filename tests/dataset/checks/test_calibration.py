from __future__ import annotations

import numpy as np
import tifffile

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.files import write_image
from tests.dataset.checks.conftest import labels_of, looked_at, the


def test_pixel_sizes_against_the_files(folder):
    for name in "abc":
        image = fb.as_image(tifffile.imread(folder / f"{name}_image.tif"), pixel_size=0.2, unit="um")
        write_image(image, folder / f"{name}_image.tif")
    good = looked_at(folder, pixel_size=200, unit="nm") + looked_at(folder, pixel_size=0.2, unit="um")
    assert not [f for f in good if "pixel size in" in f.what]
    good = looked_at(folder, pixel_size=0.2, unit="\u00b5m")
    assert not [f for f in good if "pixel size" in f.what]
    assert len([f for f in looked_at(folder, pixel_size=1, unit="ell") if "cannot be compared" in f.what]) == 3
    wrong = [f for f in looked_at(folder, pixel_size={"y": 0.2, "x": 0.4}, unit="um") if "pixel size in" in f.what]
    assert {f.what for f in wrong} == {"pixel size in x: the file has 0.2 um, the description has 0.4 um"}
    assert {f.severity for f in wrong} == {"problem"}
    assert len([f for f in looked_at(folder, unit="nm") if "the description's unit is nm" in f.what]) == 3


def test_wrong_axes(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.random.default_rng(0).random((30, 40, 3), np.float32), metadata=None)
    findings = fb.check_dataset(Dataset.from_patterns(tmp_path, image="*.tif", dims="zyx"))
    assert the(findings, "the axis x is 3 pixels long").severity == "problem"


def test_pixel_sizes_that_contradict(folder):
    for name, size in (("a", 0.2), ("b", 0.2), ("c", 0.5)):
        for role in ("image", "labels"):
            pixels = tifffile.imread(folder / f"{name}_{role}.tif")
            write_image(fb.as_image(pixels, pixel_size=size, unit="um"), folder / f"{name}_{role}.tif")
    assert not [f for f in looked_at(folder) if f.severity == "problem"]
    found = [f for f in looked_at(folder) if "differ" in f.what]
    assert [(f.severity, f.what) for f in found] == [
        ("note", f"pixel sizes in {d} differ: 0.2 um in 'a', 0.5 um in 'c'") for d in "xy"
    ]
    derived = {"c": {"derived_from": {"item": "elsewhere"}}}
    assert not [f for f in looked_at(folder, files=derived) if "differ" in f.what]
    write_image(fb.as_image(labels_of(folder), pixel_size={"y": 0.2, "x": 0.4}, unit="um"), folder / "a_labels.tif")
    finding = the(looked_at(folder), "the labels file has 0.4 um, the image has 0.2 um")
    assert (finding.severity, finding.item, finding.file) == ("problem", "a", "a_labels.tif")
