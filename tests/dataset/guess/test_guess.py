from __future__ import annotations

import pytest

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.errors import DatasetError
from tests.dataset.guess.conftest import write


def test_it_is_written_once(tmp_path, tissues):
    guess = fb.describe_dataset(write(tmp_path, tissues))
    assert list(tmp_path.glob("dataset*")) == []
    path = guess.write()
    assert Dataset.open(tmp_path).description == guess.description
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(DatasetError, match="already exists"):
        guess.write()
    assert "# mine" in path.read_text()
    guess.write(overwrite=True)
    assert "# mine" not in path.read_text()


def test_a_folder_without_images(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(DatasetError, match=r"looks like an image .* it contains a\.txt"):
        fb.describe_dataset(tmp_path)
    with pytest.raises(DatasetError, match="is a file; expected a folder"):
        fb.describe_dataset(tmp_path / "a.txt")
