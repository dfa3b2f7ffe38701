from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.files.formats import stem


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", "a"),
        ("a.ome.tif", "a.ome"),
        ("b.ome.zarr", "b.ome"),
        ("c 1.2", "c 1.2"),
        (".tif", ".tif"),
        (None, "image"),
    ],
)
def test_names_without_the_ending_of_their_file(name, expected):
    assert stem(fb.as_image(np.zeros((2, 2)), name=name)) == expected
