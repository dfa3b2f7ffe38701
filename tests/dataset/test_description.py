from __future__ import annotations

import re
import tomllib
from importlib import resources

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

import fijibridge as fb
from fijibridge.dataset import Dataset, Description, as_toml, read_description, schema, write_description
from fijibridge.errors import DatasetError
from fijibridge.image import origin, pixel_size, unit
from tests.conftest import ROOT

DOCS = ROOT / "docs" / "dataset.md"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "truth").mkdir()
    for n, name in enumerate(("a_1", "a_2", "b_1")):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.arange(80, dtype=np.uint8).reshape(8, 10) + n)
        tifffile.imwrite(tmp_path / "truth" / f"{name}.tif", np.diag(np.arange(10, dtype=np.uint16))[:8])
    return tmp_path


def opened(folder, **fields):
    return Dataset.from_patterns(folder, **{"image": "{name}.tif", "labels": "truth/{name}.tif", **fields})


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


def test_the_pixels_of_a_derived_image_follow_from_its_parent(folder):
    small = {"derived_from": {"item": "a_1", "downscale": 2}}

    def sizes(**files):
        dataset = opened(folder, pixel_size=0.5, unit="um", files=files)
        return [(pixel_size(i.image())["x"], unit(i.image())) for i in dataset]

    assert sizes(a_2=small) == [(0.5, "um"), (1.0, "um"), (0.5, "um")]
    assert sizes(a_2=small, **{"a_*": {"pixel_size": 0.2}}) == [(0.2, "um"), (0.4, "um"), (0.5, "um")]
    assert sizes(a_2=small, a_1={"pixel_size": 200, "unit": "nm"}) == [(200, "nm"), (400, "nm"), (0.5, "um")]
    assert sizes(a_2={**small, "pixel_size": 3}, a_1={"pixel_size": 0.2}) == [(0.2, "um"), (3, "um"), (0.5, "um")]
    chain = {"derived_from": {"item": "a_2", "downscale": 3}}
    assert sizes(a_2={**small, "pixel_size": 3}, b_1=chain) == [(0.5, "um"), (3, "um"), (9, "um")]
    assert sizes(a_2=small, b_1=chain) == [(0.5, "um"), (1, "um"), (3, "um")]
    elsewhere = {"derived_from": {"item": "elsewhere", "downscale": 4}}
    assert sizes(b_1=elsewhere) == [(0.5, "um"), (0.5, "um"), (2, "um")]


def test_an_image_that_no_pattern_fits(folder):
    (folder / "a_2.tif").rename(folder / "odd.name.tif")
    dataset = opened(folder, image="{name}_1.tif", labels=None, files={"second": {"image": "odd.name.tif"}})
    assert dataset.names() == ["a", "b", "second"]
    assert dataset["second"].image()[0, 0] == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"files": {"a_3": {"unit": "um"}}}, r"files names a_3: no such image.*did you mean 'a_\d'"),
        ({"files": {"c*": {"unit": "um"}}}, r"files names c\*: no such image"),
        ({"files": {"a_1": {"units": "um"}}}, r"unknown key 'units' in files\.a_1.*did you mean 'unit'"),
        ({"files": {"a_1": {"labels": "../x.tif"}}}, "leaves the folder"),
        ({"files": {"../../a": {"image": "a_1.tif"}}}, "cannot name an image: it leaves the folder"),
        ({"files": {"/etc/a": {"image": "a_1.tif"}}}, "cannot name an image: it leaves the folder"),
        ({"files": {"C:a": {"image": "a_1.tif"}}}, "cannot name an image: it leaves the folder"),
        ({"files": {"a_1": {"image": "x.tif"}}}, r"image .*x\.tif does not exist"),
        ({"files": {"a_1": {"derived_from": {"item": "a_1"}}}}, "runs in a circle"),
        ({"files": {"a_1": {"derived_from": {"item": "a_2", "ofset": {}}}}}, "did you mean 'offset'"),
        ({"values": {"labels": {"x": "ignore"}}}, "values.labels.x"),
        ({"values": {"labels": {1: "nucleus"}}}, "'background', 'membrane', 'ignore' or 'instance'"),
        ({"values": {"labls": {}}}, "did you mean 'labels'"),
        ({"classes": "truth/{name}.tif"}, r"need the meaning of their numbers: \[values\.classes\]"),
        ({"dims": "yxq"}, "are not axes"),
        ({"pixel_size": 0}, "greater than 0"),
        ({"pixel_size": {"c": 1}}, "pixel_size"),
        ({"unit": " "}, "is empty"),
        ({"names": "{name}"}, "unknown placeholder {name}; expected {source}, {position}"),
        ({"names": "x_{source}_{position}"}, "'a_1' does not fit names"),
        ({"split": {"test": ["c*"]}}, r"split names c\*"),
        ({"split": {"test": ["a*"], "validation": ["a_1"]}}, "split names a_1 in test and validation"),
        ({"image": "{name}.tif*"}, "exactly one"),
    ],
)
def test_what_is_wrong_is_said(folder, fields, words):
    with pytest.raises(DatasetError, match=words.replace("{", r"\{").replace("}", r"\}")):
        opened(folder, **fields)


def test_splits_by_pattern(folder):
    dataset = opened(folder, split={"test": ["b_*"]})
    assert (dataset.names("train"), dataset.names("test")) == (["a_1", "a_2"], ["b_1"])


def test_a_crop_and_a_smaller_copy_know_their_place(tmp_path):
    whole = np.arange(60 * 90, dtype=np.float32).reshape(60, 90)
    crop = whole[6:54, 12:84]
    small = crop.reshape(16, 3, 24, 3).mean((1, 3))
    for name, array in (("whole", whole), ("crop", crop), ("small", small)):
        tifffile.imwrite(tmp_path / f"{name}.tif", array)
    dataset = Dataset.from_patterns(
        tmp_path, image="*.tif", pixel_size=0.5, unit="um",
        files={
            "crop": {"derived_from": {"item": "whole", "offset": {"y": 6, "x": 12}}},
            "small": {"derived_from": {"item": "crop", "downscale": 3}},
        },
    )  # fmt: skip
    read = {item.name: item.image() for item in dataset}
    assert (read["crop"].values == read["whole"].sel(y=read["crop"].y, x=read["crop"].x).values).all()
    assert pixel_size(read["small"]) == {"y": 1.5, "x": 1.5}
    expected = read["crop"].coarsen(y=3, x=3).mean()
    assert origin(read["small"]) == pytest.approx(origin(expected))
    assert np.allclose(read["small"].values, expected.values)


def test_axes_by_role(tmp_path):
    tifffile.imwrite(tmp_path / "a_image.tif", np.zeros((8, 9, 2), np.uint8), metadata=None)
    tifffile.imwrite(tmp_path / "a_labels.tif", np.diag(np.arange(9, dtype=np.uint16))[:, :8], metadata=None)
    fields = {"image": "*_image.tif", "labels": "*_labels.tif"}
    item = Dataset.from_patterns(tmp_path, **fields, dims={"image": "yxc", "labels": "xy"})["a"]
    assert item.image().sizes == {"c": 2, "y": 8, "x": 9}
    assert item.labels().sizes == {"y": 8, "x": 9}
    with pytest.raises(DatasetError, match=r"has 3 axes.* but dims = 'yx' names 2"):
        Dataset.from_patterns(tmp_path, **fields, dims="yx")["a"].image()


NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="*\0", exclude_categories=["Cs"]), min_size=1, max_size=9
)
OF_IMAGES = st.text(
    st.characters(codec="utf-8", exclude_characters="*\0/\\:.", exclude_categories=["Cs"]), min_size=1, max_size=9
)
FACTS = st.fixed_dictionaries(
    {},
    optional={
        "provenance": st.sampled_from(["manual", "corrected", "algorithm"]),
        "provenance_note": st.text(st.characters(codec="utf-8"), max_size=20),
        "pixel_size": st.floats(1e-6, 1e6) | st.dictionaries(st.sampled_from("tzyx"), st.floats(1e-6, 1e6), min_size=1),
        "values": st.fixed_dictionaries(
            {"labels": st.dictionaries(st.integers(-9, 99), st.just("ignore"), max_size=3)}
        ),
        "derived_from": st.fixed_dictionaries(
            {"item": NAMES}, optional={"offset": st.just({"y": 3}), "downscale": st.just(2)}
        ),
        "position": st.integers(-5, 5),
        "channels": st.lists(NAMES, max_size=3).map(tuple),
    },
)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(OF_IMAGES, FACTS, max_size=3), NAMES, st.sampled_from(["{name}_z{z}.tif", "*.h5:/raw"]))
def test_what_is_written_is_read_back(files, unit, image):
    unit = unit if unit.strip() else "um"
    said = Description(image=image, unit=unit, files=files, tiles={"offsets": {"a b": (1, 2)}}, split={"test": ("x",)})
    text = as_toml(said)
    assert Description.model_validate(tomllib.loads(text)) == said
    assert text.startswith("#:schema ./dataset.schema.json\n")


def test_a_written_description_lies_beside_its_schema(tmp_path):
    said = Description(image="*.tif", provenance="manual")
    write_description(tmp_path, said)
    assert read_description(tmp_path / "dataset.toml") == said
    assert (tmp_path / "dataset.schema.json").read_text(encoding="utf-8") == schema()


def test_the_schema_in_the_package_is_the_models():
    shipped = resources.files("fijibridge.dataset").joinpath("dataset.schema.json").read_text("utf-8")
    assert shipped == schema(), "run: python -c 'from fijibridge.dataset import schema; print(schema(), end=\"\")'"


def blocks():
    return re.findall(r"```toml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)


def test_the_examples_of_the_documentation_are_valid():
    assert len(blocks()) >= 6
    for block in blocks():
        Description.model_validate(tomllib.loads(block))


def test_the_documentation_tells_every_key():
    text = DOCS.read_text(encoding="utf-8")
    for name in (*Description.model_fields, *fb.dataset.description.FileFacts.model_fields):
        assert f"`{name}`" in text, name


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('image = "*.tif"\n' + "".join(f'[files."{n}"]\nunit = "um"\n' for n in range(1_000_000)), "at most"),
        ('image = "*.tif"\n' + "".join(f"k{n} = 1\n" for n in range(100_000)), r"unknown key 'k0'.*and 99992 more"),
        ("a = " + "[" * 100_000, "not valid TOML"),
        (
            'image = "*.tif"\n' + "".join(f'[files."{n}*"]\nunit = "um"\n' for n in range(2000)),
            "at most 1000 are allowed",
        ),
        ('image = "*.tif"\n[files."' + "*a" * 5000 + '"]\nunit = "um"\n', "no such image"),
    ],
)
def test_no_description_takes_long(folder, toml, words):
    (folder / "dataset.toml").write_text(toml)
    with pytest.raises(DatasetError, match=words):
        Dataset.open(folder)
