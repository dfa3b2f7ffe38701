from __future__ import annotations

import pytest
import tifffile

from fijibridge.dataset import Dataset
from fijibridge.errors import DatasetError
from fijibridge.files import write_image
from tests.dataset.checks.conftest import looked_at, the


def test_a_crop_that_is_from_elsewhere(folder):
    whole = tifffile.imread(folder / "a_image.tif")
    write_image(whole[10:40, 20:60], folder / "crop_image.tif")
    fields = {"labels": None, "split": {}}

    def found(y, x):
        derived = {"item": "a", "offset": {"y": y, "x": x}}
        return [
            f.what for f in looked_at(folder, files={"crop": {"derived_from": derived}}, **fields) if f.item == "crop"
        ]

    assert not [what for what in found(10, 20) if "'a'" in what]
    assert "its pixels differ from the part of 'a' that it should show" in found(10, 21)
    assert "it extends beyond 'a' in y: to pixel 70 of 64" in found(40, 20)


def test_images_that_are_derived_from_nothing_here(folder):
    finding = the(looked_at(folder, files={"b": {"derived_from": {"item": "aa"}}}), "derived_from names 'aa'")
    assert finding.severity == "note"
    assert finding.what.endswith("did you mean 'a'?")


def test_a_crop_of_a_broken_image(folder):
    whole = tifffile.imread(folder / "a_image.tif")
    write_image(whole[10:40, 20:60], folder / "crop_image.tif")
    tifffile.imwrite(folder / "a_image.tif", whole, compression="zlib")
    with tifffile.TiffFile(folder / "a_image.tif") as file:
        start = file.pages.first.dataoffsets[0]
    with (folder / "a_image.tif").open("rb+") as file:
        file.seek(start)
        file.write(b"no deflated pixels")
    files = {"crop": {"derived_from": {"item": "a", "offset": {"y": 10, "x": 20}}}}
    findings = looked_at(folder, labels=None, split={}, files=files)
    assert the(findings, "cannot be read").item == "a"
    lazy = Dataset.from_patterns(folder, image="*_image.tif")["a"].image(lazy=True)
    with pytest.raises(DatasetError, match=r"a_image\.tif cannot be read"):
        lazy.compute()
