from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.errors import DatasetError
from fijibridge.image import as_image, origin, pixel_size, unit

RAW = np.arange(80, dtype=np.uint16).reshape(8, 10)
CELLS = np.repeat(np.arange(8), 10).reshape(8, 10) * 10000


def test_what_is_saved_is_read(tmp_path):
    image = as_image(np.stack([RAW, RAW + 1]), "cyx", pixel_size=0.5, unit="um", origin={"y": 3, "x": 4})
    classes = np.where(RAW % 3 == 0, 255, RAW % 3 - 1)
    arrays = {"image": image, "labels": CELLS, "classes": classes, "region": RAW > 9, "prediction": image / 100}
    saved = fb.save_dataset(
        tmp_path / "new", {"a": arrays, "b": {"image": image}}, provenance="corrected", membranes="bright",
        split={"test": ["b"]},
    )  # fmt: skip
    item = Dataset.open(tmp_path / "new")["a"]
    assert (saved.names(), item.provenance, saved["b"].split) == (["a", "b"], "corrected", "test")
    assert (item.image().values == image.values).all()
    assert (pixel_size(item.image()), unit(item.labels())) == ({"y": 0.5, "x": 0.5}, "um")
    assert origin(item.image()) == pytest.approx({"y": 3, "x": 4})
    assert (item.labels().values == CELLS).all()
    assert (item.classes().values == classes).all()
    assert (item.region().values == ((RAW > 9) & (classes != 255))).all()
    assert item.prediction().values == pytest.approx(image.values / 100)
    assert saved["b"].paths.keys() == {"image"}
    assert saved.with_truth() == [saved["a"]]


def test_images_of_different_pixel_size_say_their_own(tmp_path):
    images = {n: {"image": as_image(RAW, pixel_size=s, unit="um")} for n, s in (("a", 0.5), ("b", 2.0))}
    saved = fb.save_dataset(tmp_path, images)
    assert saved.description.pixel_size is None
    assert [pixel_size(item.image())["x"] for item in saved] == pytest.approx([0.5, 2.0])


def test_nothing_is_lost(tmp_path):
    fb.save_dataset(tmp_path, {"a": {"image": RAW}})
    with pytest.raises(DatasetError, match="is there already"):
        fb.save_dataset(tmp_path, {"a": {"image": RAW + 1}})
    assert (Dataset.open(tmp_path)["a"].image().values == RAW).all()
    assert fb.save_dataset(tmp_path, {"a": {"image": RAW + 1}}, overwrite=True)["a"].image()[0, 0] == 1


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "/etc/a", "a\\b", "C:a", "a*", "{name}", "con", "NUL.x", "a.", "a\n", "x" * 300]
)
def test_names_that_are_no_names_of_files(tmp_path, name):
    with pytest.raises(DatasetError, match="is no name for the files"):
        fb.save_dataset(tmp_path, {name: {"image": RAW}})


@pytest.mark.parametrize(
    ("images", "fields", "words"),
    [
        ({}, {}, "nothing to save"),
        ({"a": {"labels": CELLS}}, {}, "there is no 'image'"),
        ({"a": {"image": RAW, "mask": CELLS}}, {}, "role 'mask' is unknown; roles are image, classes"),
        ({"a": {"image": RAW, "labels": CELLS[1:]}}, {}, r"a: image has shape \(8, 10\) but labels \(7, 10\)"),
        ({"a": {"image": RAW, "labels": CELLS > 0}}, {}, "binary mask"),
        ({"a": {"image": RAW, "classes": RAW}}, {}, "classes hold"),
        ({"a": {"image": RAW}, "A": {"image": RAW}}, {}, "upper and lower case"),
        ({"a": {"image": RAW}}, {"image": "*.tif"}, "image is set by the files"),
        ({"a": {"image": RAW}}, {"provenence": "manual"}, "did you mean 'provenance'"),
    ],
)
def test_what_cannot_be_saved_leaves_nothing(tmp_path, images, fields, words):
    with pytest.raises(DatasetError, match=words):
        fb.save_dataset(tmp_path / "new", images, **fields)
    assert not (tmp_path / "new").exists()
