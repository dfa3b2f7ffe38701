from __future__ import annotations

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

import fijibridge as fb
from fijibridge.dataset import Dataset, check_dataset
from fijibridge.errors import DatasetError, RenamedWarning
from fijibridge.files import write_image
from fijibridge.image import as_image, origin, pixel_size, same_shape, unit

DESCRIPTION = """
format = 1
image = "*_image.tif"
labels = "{name}_labels.tif"
region = "{name}_roi.tif"
provenance = "manual"
pixel_size = 0.5
unit = "um"
[split]
test = ["b"]
validation = ["c"]
"""


@pytest.fixture
def folder(tmp_path):
    for name in "abc":
        tifffile.imwrite(tmp_path / f"{name}_image.tif", np.full((8, 9), ord(name), np.uint8))
        tifffile.imwrite(tmp_path / f"{name}_labels.tif", np.diag(np.arange(1, 10, dtype=np.uint16))[:8])
        tifffile.imwrite(tmp_path / f"{name}_roi.tif", np.full((8, 9), 255, np.uint8))
    (tmp_path / "dataset.toml").write_text(DESCRIPTION)
    return tmp_path


def test_a_described_folder(folder):
    dataset = Dataset.open(folder)
    assert dataset.names() == ["a", "b", "c"]
    assert (dataset.names("train"), dataset.names("test"), dataset.names("validation")) == (["a"], ["b"], ["c"])
    item = dataset["b"]
    assert (item.image() == ord("b")).all()
    assert pixel_size(item.image()) == {"y": 0.5, "x": 0.5}
    assert unit(item.labels()) == "um"
    assert item.region().dtype == bool
    assert "manual" in repr(dataset)
    assert len(list(dataset)) == len(dataset) == 3


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"*_image.tif"', '"image.tif"', "exactly one"),
        ('"{name}_labels.tif"', '"../{name}_labels.tif"', "leaves the folder"),
        ('"{name}_labels.tif"', '"/etc/{name}"', "leaves the folder"),
        ('"manual"', '"guessed"', "provenance"),
        ("format = 1", "format = 7", "format"),
        ("format = 1", "colour = 1", "unknown key 'colour'; expected one of format, image"),
        ("labels =", "label =", "did you mean 'labels'"),
        ("test =", "tests =", "unknown key 'tests' in split.*did you mean 'test'"),
        ('"{name}_labels.tif"', '"a_labels.tif"', r"one file for all images; expected \{name\}"),
        ('"{name}_roi.tif"', '"a_roi.tif"', "one file for all images"),
        ("{name}_labels", "{nam}_labels", r"unknown placeholder \{nam\}"),
        ("format = 1", "format = ", "TOML"),
        ('"b"', '"z"', "names z, which fits no image.*its images are a, b, c"),
        ('"b"', '"c"', "under both test and validation"),
        ("*_image.tif", "*_pic.tif", "no file"),
    ],
)
def test_wrong_descriptions(folder, old, new, words):
    (folder / "dataset.toml").write_text(DESCRIPTION.replace(old, new))
    with pytest.raises(DatasetError, match=words):
        Dataset.open(folder)


def test_a_star_works_as_the_name(folder):
    (folder / "dataset.toml").write_text(DESCRIPTION.replace("{name}", "*"))
    assert Dataset.open(folder)["b"].paths["labels"].name == "b_labels.tif"


def test_truth_is_missing_only_where_it_is_read(folder):
    (folder / "a_roi.tif").unlink()
    (folder / "b_labels.tif").unlink()
    dataset = Dataset.open(folder)
    assert (dataset["b"].image() == ord("b")).all()
    for read, lost in ((dataset["b"].labels, "b_labels.tif"), (dataset["a"].region, "a_roi.tif")):
        with pytest.raises(DatasetError, match=f"{lost} is missing"):
            read()
    with pytest.raises(DatasetError, match=r"2 label or region file\(s\) are missing in .*: a_roi.tif, b_labels.tif"):
        dataset.with_truth()
    assert [item.name for item in dataset.with_truth("validation")] == ["c"]


def test_a_mask_in_place_of_labels_is_named(folder):
    mask = np.zeros((8, 9), np.uint8)
    mask[1:3, 1:3] = mask[5:7, 5:7] = 255
    tifffile.imwrite(folder / "a_labels.tif", mask)
    with pytest.raises(DatasetError, match=r"a_labels\.tif: .*255, for 2 separate regions.*skimage\.measure\.label"):
        Dataset.open(folder)["a"].labels()


def test_a_file_in_place_of_the_folder(folder):
    with pytest.raises(DatasetError, match=r"a_image\.tif is a file; expected the folder"):
        Dataset.open(folder / "a_image.tif")
    with pytest.raises(DatasetError, match="is a file; expected a folder"):
        Dataset.from_patterns(folder / "a_image.tif", image="*")
    assert len(Dataset.open(folder / "dataset.toml")) == 3


def test_no_link_leads_out_of_the_folder(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.tif"
    tifffile.imwrite(outside, np.zeros((8, 9), np.uint16))
    (folder / "a_labels.tif").unlink()
    (folder / "a_labels.tif").symlink_to(outside)
    with pytest.raises(DatasetError, match="outside"):
        Dataset.open(folder)


def test_without_a_description(folder):
    (folder / "dataset.toml").unlink()
    with pytest.raises(DatasetError, match="no description"):
        Dataset.open(folder)
    dataset = Dataset.from_patterns(folder, image="*_image.tif")
    assert dataset["a"].region() is None
    for read in (dataset["a"].labels, dataset.with_truth):
        with pytest.raises(DatasetError, match="names no labels"):
            read()
    with pytest.raises(DatasetError, match="no image 'q'"):
        dataset["q"]


def test_labels_that_are_none(folder):
    tifffile.imwrite(folder / "a_labels.tif", np.full((8, 9), 0.5, np.float32))
    with pytest.raises(DatasetError, match="a_labels"):
        Dataset.open(folder)["a"].labels()


@pytest.mark.parametrize("fields", [{}, {"pixel_size": 0.2, "unit": "um"}, {"unit": "um"}])
@pytest.mark.parametrize("ends", ["png", "tif"])
def test_truth_without_a_calibration_has_that_of_its_image(tmp_path, ends, fields):
    """A crop from Fiji in um, with what belongs to it in files that say nothing of their pixels."""
    image = as_image(np.arange(72, dtype=np.uint8).reshape(8, 9), pixel_size=0.2, unit="um", origin={"y": 3, "x": 4})
    write_image(image, tmp_path / "a_image.tif")
    cells = np.repeat(np.arange(8, dtype=np.uint8), 9).reshape(8, 9)
    for role, array in (("labels", cells), ("region", (cells > 2).astype(np.uint8)), ("classes", cells % 2)):
        imsave(tmp_path / f"a_{role}.{ends}", array, check_contrast=False)
    roles = {role: f"{{name}}_{role}.{ends}" for role in ("labels", "region", "classes")}
    values = {"classes": {0: "cell", 1: "membrane"}}
    dataset = Dataset.from_patterns(tmp_path, image="*_image.tif", **roles, values=values, **fields)
    item = dataset["a"]
    read = {"labels": item.labels(), "region": item.region(), "classes": item.classes(), "target": item.target()}
    for array in read.values():
        assert (pixel_size(array), unit(array)) == (pixel_size(item.image()), "um")
        assert origin(array) == pytest.approx(origin(item.image()))
    assert same_shape(image=item.image(), **read) == (8, 9)
    assert [finding for finding in check_dataset(dataset) if finding.severity == "problem"] == []


def test_truth_of_another_place_is_a_problem(tmp_path):
    cells = np.repeat(np.arange(8, dtype=np.uint8), 9).reshape(8, 9)
    for role, start in (("image", 3), ("labels", 4)):
        write_image(as_image(cells, pixel_size=0.2, unit="um", origin=start), tmp_path / f"a_{role}.tif")
    dataset = Dataset.from_patterns(tmp_path, image="*_image.tif", labels="{name}_labels.tif")
    assert unit(dataset["a"].labels()) == "um"
    assert origin(dataset["a"].labels()) == pytest.approx({"y": 4, "x": 4}), "its own word"
    problems = [finding for finding in check_dataset(dataset) if finding.severity == "problem"]
    assert [("crops from different places" in p.what, p.file) for p in problems] == [(True, "a_labels.tif")]


@pytest.mark.parametrize("told", [{}, {"pixel_size": 0.5, "unit": "um"}, {"pixel_size": 500, "unit": "nm"}])
def test_what_is_made_from_an_image_lies_where_its_file_says(tmp_path, told):
    """A crop of an image that is a crop itself, a smaller copy of that, and labels, in files that say nothing."""
    whole = as_image(np.arange(3840.0, dtype=np.float32).reshape(48, 80), pixel_size=0.5, unit="um", origin=100)
    expected = {"whole": whole, "crop": whole[4:40, 6:66]}
    expected["small"] = as_image(expected["crop"].coarsen(y=3, x=3).mean(), pixel_size=1.5, unit="um")
    write_image(whole, tmp_path / "whole.tif")
    for name in ("crop", "small"):
        tifffile.imwrite(tmp_path / f"{name}.tif", expected[name].values.astype(np.float32))
        imsave(tmp_path / f"{name}.png", np.ones(expected[name].shape, np.uint8), check_contrast=False)
    files = {
        "whole": {"without": ["labels"]},
        "crop": {"derived_from": {"item": "whole", "offset": {"y": 4, "x": 6}}},
        "small": {"derived_from": {"item": "crop", "downscale": 3}},
    }
    dataset = Dataset.from_patterns(tmp_path, image="*.tif", labels="{name}.png", files=files, **told)
    scale = 1000 if told.get("unit") == "nm" else 1
    for item in dataset:
        for array in (item.image(), item.image(lazy=True), *([item.labels()] if "labels" in item.paths else [])):
            assert unit(array) == told.get("unit", "um")
            for of in (pixel_size, origin):
                wanted = {d: scale * n for d, n in of(expected[item.name]).items()}
                assert of(array) == pytest.approx(wanted), (item.name, of)
    assert [finding for finding in check_dataset(dataset) if finding.severity == "problem"] == []


def test_the_word_of_a_derived_images_own_file_counts(tmp_path):
    image = as_image(np.arange(80.0, dtype=np.float32).reshape(8, 10), pixel_size=0.5, unit="um", origin=100)
    write_image(image, tmp_path / "a.tif")
    write_image(as_image(image, pixel_size=0.25, origin=7), tmp_path / "b.tif")
    files = {"b": {"derived_from": {"item": "a", "downscale": 2}}}
    own = Dataset.from_patterns(tmp_path, image="*.tif", files=files)["b"].image()
    assert (pixel_size(own), origin(own)) == ({"y": 0.25, "x": 0.25}, {"y": pytest.approx(7), "x": pytest.approx(7)})


def test_real_folder(data):
    dataset = Dataset.from_patterns(
        data / "cornea_alizarine", image="*_image.png", labels="{name}_labels.tif", region="{name}_roi.png"
    )
    assert len(dataset) == 18
    assert sum(len(np.unique(item.labels())) - 1 for item in dataset) == 6034


@pytest.mark.parametrize("old", ["check", "describe"])
def test_old_names_work_and_warn(old):
    with pytest.warns(RenamedWarning, match=rf"fijibridge\.dataset\.{old} was renamed to fijibridge\.dataset\.{old}_"):
        assert getattr(fb.dataset, old) is getattr(fb, f"{old}_dataset")
