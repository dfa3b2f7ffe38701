from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from fijibridge.errors import DatasetError
from fijibridge.files import read_image, split_key

WHOLE = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)


def test_where_a_path_in_a_file_begins():
    assert split_key("a/b.h5:/c/d") == (Path("a/b.h5"), "/c/d")
    assert split_key(Path("C:/a.tif")) == (Path("C:/a.tif"), None)
    assert split_key("C:/a.h5:/b") == (Path("C:/a.h5"), "/b")


def test_parts_of_what_has_none(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", WHOLE, photometric="minisblack")
    with pytest.raises(DatasetError, match="is in a format whose files do not contain arrays or scenes"):
        read_image(f"{tmp_path / 'a.tif'}:/raw")
    with pytest.raises(DatasetError, match="is a folder"):
        read_image(tmp_path)


def test_colours(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3)).astype(np.uint8)
    imsave(tmp_path / "a.png", pixels, check_contrast=False)
    assert (read_image(tmp_path / "a.png").values == pixels.transpose(2, 0, 1)).all()
    tifffile.imwrite(tmp_path / "b.tif", pixels, photometric="rgb")
    assert (read_image(tmp_path / "b.tif").values == pixels.transpose(2, 0, 1)).all()


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(DatasetError, match="does not exist"):
        read_image(tmp_path / "a.tif")
    for name in ("a.tif", "a.png"):
        (tmp_path / name).write_bytes(b"not an image")
        with pytest.raises(DatasetError, match=name):
            read_image(tmp_path / name)
