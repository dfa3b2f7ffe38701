from __future__ import annotations

import tifffile

import fijibridge as fb
from fijibridge.dataset import Dataset
from tests.dataset.guess.conftest import write


def test_what_nobody_can_know_is_said(tmp_path, tissues):
    for n, tissue in enumerate((*tissues, tissues[0])):
        tifffile.imwrite(tmp_path / f"{n}.tif", tissue.image.values)
    guess = fb.describe_dataset(tmp_path)
    unknown = "\n".join(guess.unknown)
    for words in (
        "pixel_size and unit",
        "[split]",
        "neighbours in one stack",
        "membranes",
        "no file looks like labels",
    ):
        assert words in unknown
    assert "# not known: [split]" in guess.toml
    assert "Guessed from" in str(guess)
    assert guess.description.provenance == "unknown"
    assert guess.description.pixel_size is None


def test_the_image_without_truth_and_the_word_of_a_program(tmp_path, tissues):
    write(tmp_path, tissues, labels="{}_labels_auto.tif")
    (tmp_path / "b_labels_auto.tif").unlink()
    guess = fb.describe_dataset(tmp_path)
    assert guess.description.provenance == "algorithm"
    assert guess.description.files["b"].without == ("labels",)
    assert [item.name for item in Dataset(tmp_path, guess.description).with_truth()] == ["a"]
