from __future__ import annotations

import numpy as np
import pytest
import tifffile

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.dataset.guess import file_groups
from fijibridge.errors import RenamedWarning


def test_series_and_tiles(tmp_path):
    rng = np.random.default_rng(0)
    for t in range(2):
        for z in range(3):
            tifffile.imwrite(tmp_path / f"embryo_1_T{t:02}_Z{z:03}.tif", rng.integers(0, 99, (20, 30)).astype(np.uint8))
    guess = fb.describe_dataset(tmp_path)
    assert guess.description.image == "{name}_T{t}_Z{z}.tif"
    image = Dataset(tmp_path, guess.description)["embryo_1"].image()
    assert image.shape == (2, 3, 20, 30)


@pytest.mark.parametrize(("old", "new"), [("Family", "FileGroup"), ("families", "file_groups")])
def test_old_names_work_and_warn(old, new):
    with pytest.warns(RenamedWarning, match=rf"{old} was renamed to fijibridge\.dataset\.guess\.file_groups\.{new}"):
        assert getattr(file_groups, old) is getattr(file_groups, new)
