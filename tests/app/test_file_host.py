from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.app import file_host
from fijibridge.app.file_host import FileHost
from fijibridge.errors import RenamedWarning
from fijibridge.files import read_image, write_image
from fijibridge.verbs import ShowImage, verb_named


def test_a_result_never_takes_the_place_of_an_input(tmp_path):
    image = fb.as_image(np.eye(4, dtype=np.uint8), name="a")
    write_image(image, tmp_path / "a.tif")
    before = (tmp_path / "a.tif").read_bytes()
    host = FileHost(tmp_path, overwrite=True)
    host.take(verb_named("predict")["image"], tmp_path / "a.tif", {})
    host.give(ShowImage(image * 2, "a"))
    assert (tmp_path / "a.tif").read_bytes() == before
    assert (read_image(tmp_path / "a_2.tif").values == 2 * np.eye(4)).all()


def test_the_name_of_version_0_1_works_and_warns():
    with pytest.warns(RenamedWarning, match="file_host.OnFiles was renamed to fijibridge.app.file_host.FileHost"):
        assert file_host.OnFiles is FileHost
