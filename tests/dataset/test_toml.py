from __future__ import annotations

import tomllib
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.dataset import Dataset, Description, as_toml, read_description, schema, write_description
from fijibridge.errors import DatasetError
from tests.examples import examples

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


@examples(60)
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
        ('image = "*.tif"\n[files."' + "*a" * 5000 + '"]\nunit = "um"\n', "which fits no image"),
    ],
)
def test_no_description_takes_long(folder, toml, words):
    (folder / "dataset.toml").write_text(toml)
    with pytest.raises(DatasetError, match=words):
        Dataset.open(folder)
