from __future__ import annotations

import sys

import pytest

from fijibridge.errors import DatasetError
from fijibridge.files import read_image
from fijibridge.image import pixel_size


def test_formats_that_need_the_extra_say_so(tmp_path, monkeypatch):
    path = tmp_path / "a.czi"
    path.write_bytes(b"ZISRAWFILE")
    monkeypatch.setitem(sys.modules, "bioio", None)
    with pytest.raises(DatasetError, match=r"pip install 'fijibridge\[readers\]'"):
        read_image(path)


def test_a_format_without_a_plugin(tmp_path):
    pytest.importorskip("bioio")
    (tmp_path / "a.lif").write_bytes(b"no")
    with pytest.raises(DatasetError, match="bioio-lif"):
        read_image(tmp_path / "a.lif")


def test_real_files_of_microscopes(data):
    pytest.importorskip("bioio_czi")
    image = read_image(data / "mdck_zo1" / "wt_Zo_1_5.czi")
    assert (image.values == read_image(data / "mdck_zo1" / "wt_Zo_1_5_image.tif").values).all()
    assert pixel_size(image) == pytest.approx({"y": 0.10238, "x": 0.10238}, rel=1e-4)
    part = read_image(data / "mdck_zo1" / "wt_Zo_1_5.czi", lazy=True)[100:120, 7]
    assert (part.values == image.values[100:120, 7]).all()
