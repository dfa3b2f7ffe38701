"""Files that are cut off or damaged are refused, with their name, whatever part is still readable."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tifffile
from PIL import Image

from fijibridge.errors import DatasetError
from fijibridge.files import read_image, write_image
from fijibridge.image import as_image

STACK = np.random.default_rng(0).integers(0, 255, (5, 60, 70)).astype(np.uint16)


def pages(path):
    with tifffile.TiffWriter(path) as file:
        for plane in STACK:
            file.write(plane, contiguous=False)


TIFFS = {
    "imagej": lambda path: write_image(as_image(STACK, pixel_size=0.5, unit="um"), path),
    "tifffile": lambda path: tifffile.imwrite(path, STACK),
    "no metadata": lambda path: tifffile.imwrite(path, STACK, metadata=None),
    "ome": lambda path: tifffile.imwrite(path, STACK, ome=True, metadata={"axes": "ZYX"}),
    "bigtiff": lambda path: tifffile.imwrite(path, STACK, bigtiff=True),
    "deflate": lambda path: tifffile.imwrite(path, STACK, compression="zlib"),
    "tiles": lambda path: tifffile.imwrite(path, STACK, tile=(32, 32)),
    "pages": pages,
}


@pytest.mark.parametrize("kind", TIFFS)
def test_a_truncated_tiff_is_an_error_however_much_is_left(tmp_path, kind):
    path = tmp_path / "a.tif"
    TIFFS[kind](path)
    whole = path.read_bytes()
    assert (read_image(path).values == STACK).all()
    for share in (0.1, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97, 0.995):
        path.write_bytes(whole[: int(len(whole) * share)])
        for lazy in (False, True):
            with pytest.raises(DatasetError, match=r"a\.tif cannot be read as an image"):
                read_image(path, lazy=lazy)


@pytest.mark.parametrize("kind", ["imagej", "tifffile", "deflate", "pages"])
def test_the_error_names_the_page(tmp_path, kind):
    path = tmp_path / "a.tif"
    TIFFS[kind](path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(DatasetError, match=r"(damaged after|truncated:) page [0-4]"):
        read_image(path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".webp"])
def test_a_truncated_picture_is_an_error(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    Image.fromarray((STACK[0] // 2).astype(np.uint8)).save(path)
    whole = path.read_bytes()
    read_image(path)
    for share in (0.3, 0.6, 0.9):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DatasetError, match=f"a\\{suffix} cannot be read as an image"):
            read_image(path)


def test_a_truncated_hdf5_is_an_error(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["raw"] = STACK
    whole = path.read_bytes()
    for share in (0.2, 0.6, 0.95):
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(DatasetError, match=r"a\.h5"):
            read_image(path)


@pytest.mark.parametrize("content", [b"", b"II*", b"a text", bytes(1000)])
def test_what_is_no_image_is_told_so(tmp_path, content):
    for name in ("a.tif", "a.png", "a.h5"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DatasetError, match=r"cannot be read as an image: it is (empty|in no known format)"):
            read_image(tmp_path / name)
