from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest
import tifffile

import fijibridge as fb
from fijibridge.dataset import Dataset, Description
from fijibridge.errors import DatasetError
from tests.conftest import ROOT
from tests.dataset.conftest import opened

DOCS = ROOT / "docs" / "dataset.md"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"files": {"a_3": {"unit": "um"}}}, r"files names a_3, which fits no image.*did you mean 'a_\d'"),
        ({"files": {"c*": {"unit": "um"}}}, r"files names c\*, which fits no image"),
        ({"files": {"a_1": {"units": "um"}}}, r"unknown key 'units' in files\.a_1.*did you mean 'unit'"),
        ({"files": {"a_1": {"labels": "../x.tif"}}}, "leaves the folder"),
        ({"files": {"../../a": {"image": "a_1.tif"}}}, "cannot name an image: it leaves the folder"),
        ({"files": {"/etc/a": {"image": "a_1.tif"}}}, "cannot name an image: it leaves the folder"),
        ({"files": {"C:a": {"image": "a_1.tif"}}}, "cannot name an image: it leaves the folder"),
        ({"files": {"a_1": {"image": "x.tif"}}}, r"image .*x\.tif does not exist"),
        ({"files": {"a_1": {"derived_from": {"item": "a_1"}}}}, "forms a cycle"),
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
        ({"split": {"test": ["a*"], "validation": ["a_1"]}}, "split lists a_1 under both test and validation"),
        ({"image": "{name}.tif*"}, "exactly one"),
    ],
)
def test_what_is_wrong_is_said(folder, fields, words):
    with pytest.raises(DatasetError, match=words.replace("{", r"\{").replace("}", r"\}")):
        opened(folder, **fields)


def test_axes_by_role(tmp_path):
    tifffile.imwrite(tmp_path / "a_image.tif", np.zeros((8, 9, 2), np.uint8), metadata=None)
    tifffile.imwrite(tmp_path / "a_labels.tif", np.diag(np.arange(9, dtype=np.uint16))[:, :8], metadata=None)
    fields = {"image": "*_image.tif", "labels": "*_labels.tif"}
    item = Dataset.from_patterns(tmp_path, **fields, dims={"image": "yxc", "labels": "xy"})["a"]
    assert item.image().sizes == {"c": 2, "y": 8, "x": 9}
    assert item.labels().sizes == {"y": 8, "x": 9}
    with pytest.raises(DatasetError, match=r"has 3 axes.* but dims = 'yx' names 2"):
        Dataset.from_patterns(tmp_path, **fields, dims="yx")["a"].image()


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
