from __future__ import annotations

import numpy as np
import pytest
import tifffile

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


def test_what_was_saved_before_does_not_pass_for_new(tmp_path):
    fb.save_dataset(tmp_path, {n: {"image": RAW, "labels": CELLS} for n in "ab"}, provenance="algorithm")
    (tmp_path / "notes.txt").write_text("mine")
    saved = fb.save_dataset(tmp_path, {"a": {"image": RAW + 1}}, overwrite=True, provenance="manual")
    assert saved.names() == ["a"]
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"a_image.tif", "dataset.toml", "dataset.schema.json", "notes.txt"}


def test_what_is_read_lazily_can_be_saved_in_its_place(tmp_path):
    first = fb.save_dataset(tmp_path, {"a": {"image": RAW}})
    assert (
        fb.save_dataset(tmp_path, {"b": {"image": first["a"].image(lazy=True)}}, overwrite=True)["b"].image() == RAW
    ).all()
    assert not (tmp_path / "a_image.tif").exists()


def test_images_of_others_are_neither_taken_nor_removed(tmp_path):
    tifffile.imwrite(tmp_path / "x_image.tif", RAW)
    with pytest.raises(DatasetError, match=r"no earlier call saved: x_image\.tif"):
        fb.save_dataset(tmp_path, {"a": {"image": RAW}})
    (tmp_path / "dataset.toml").write_text('image = "{name}_*.tif"')
    with pytest.raises(DatasetError, match=r"x_image\.tif"):
        fb.save_dataset(tmp_path, {"a": {"image": RAW}}, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset.toml", "x_image.tif"]


def test_a_failed_overwrite_leaves_the_old(tmp_path):
    fb.save_dataset(tmp_path, {"a": {"image": RAW}})
    images = {"a": {"image": RAW + 1}, "b": {"image": RAW.astype(complex)}}
    with pytest.raises(DatasetError, match=r"b: .*complex"):
        fb.save_dataset(tmp_path, images, overwrite=True)
    assert (Dataset.open(tmp_path)["a"].image().values == RAW).all()


def test_meanings_are_kept_beside_those_of_classes(tmp_path):
    arrays = {"image": RAW, "labels": CELLS, "classes": (RAW > 9).astype(np.uint8)}
    saved = fb.save_dataset(tmp_path, {"a": arrays}, values={"labels": {70000: "ignore"}})
    assert saved.description.values.labels == {70000: "ignore"}
    assert saved.description.values.classes == {0: "background", 1: "membrane", 255: "ignore"}
    assert (saved["a"].region().values == (CELLS != 70000)).all()


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
        ({"a": {"image": RAW.astype(complex)}}, {}, "complex"),
        ({"a": {"image": RAW, "classes": RAW > 9}}, {"values": {"classes": {1: "cell"}}}, "values.classes is set"),
        ({"a": {"image": RAW}}, {"image": "*.tif"}, "image is set by the files"),
        ({"a": {"image": RAW}}, {"provenence": "manual"}, "did you mean 'provenance'"),
    ],
)
def test_what_cannot_be_saved_leaves_nothing(tmp_path, images, fields, words):
    with pytest.raises(DatasetError, match=words):
        fb.save_dataset(tmp_path / "new", images, **fields)
    assert not (tmp_path / "new").exists()
