from __future__ import annotations

import numpy as np
import pytest
import tifffile

from fijibridge.dataset import Dataset


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "truth").mkdir()
    for n, name in enumerate(("a_1", "a_2", "b_1")):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.arange(80, dtype=np.uint8).reshape(8, 10) + n)
        tifffile.imwrite(tmp_path / "truth" / f"{name}.tif", np.diag(np.arange(10, dtype=np.uint16))[:8])
    return tmp_path


def opened(folder, **fields):
    return Dataset.from_patterns(folder, **{"image": "{name}.tif", "labels": "truth/{name}.tif", **fields})
