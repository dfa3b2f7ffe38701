from __future__ import annotations

import pytest

from fijibridge.errors import DatasetError
from fijibridge.image import pixel_size
from tests.dataset.conftest import opened


def test_the_labels_of_one_image_are_no_image(folder):
    for path in list((folder / "truth").iterdir()):
        path.rename(folder / f"{path.stem}_labels.tif")
    dataset = opened(folder, labels="{name}_labels.tif")
    assert dataset.names() == ["a_1", "a_2", "b_1"]
    assert dataset["a_1"].missing() == []
    assert len(opened(folder, labels=None)) == 6


def test_single_images_differ(folder):
    dataset = opened(
        folder,
        pixel_size=0.5,
        unit="um",
        provenance="manual",
        membranes="dark",
        files={
            "a_*": {"provenance": "corrected", "membranes": "bright", "values": {"labels": {9: "ignore"}}},
            "a_2": {"provenance": "algorithm", "pixel_size": {"y": 1.0, "x": 2.0}, "without": ["labels"]},
        },
    )
    assert [item.provenance for item in dataset] == ["corrected", "algorithm", "manual"]
    assert [item.description.membranes for item in dataset] == ["bright", "bright", "dark"]
    assert [pixel_size(item.image()) for item in dataset] == [
        {"y": 0.5, "x": 0.5}, {"y": 1.0, "x": 2.0}, {"y": 0.5, "x": 0.5},
    ]  # fmt: skip
    assert [item.name for item in dataset.with_truth()] == ["a_1", "b_1"]
    assert 9 not in dataset["a_1"].labels()
    assert dataset["b_1"].region() is None
    assert (~dataset["a_1"].region()).sum() == (dataset["b_1"].labels() == 9).sum()
    assert repr(dataset).endswith("truth: algorithm and corrected and manual)")
    with pytest.raises(DatasetError, match="names no labels"):
        dataset["a_2"].labels()


def test_an_image_that_no_pattern_fits(folder):
    (folder / "a_2.tif").rename(folder / "odd.name.tif")
    dataset = opened(folder, image="{name}_1.tif", labels=None, files={"second": {"image": "odd.name.tif"}})
    assert dataset.names() == ["a", "b", "second"]
    assert dataset["second"].image()[0, 0] == 1


def test_splits_by_pattern(folder):
    dataset = opened(folder, split={"test": ["b_*"]})
    assert (dataset.names("train"), dataset.names("test")) == (["a_1", "a_2"], ["b_1"])
