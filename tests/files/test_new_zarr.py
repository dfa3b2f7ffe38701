"""An OME-Zarr is at its place whole, or not at all."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from fijibridge.errors import ImageError
from fijibridge.files import read_image
from fijibridge.files.new_zarr import new_ome_zarr
from fijibridge.image import as_image, origin, pixel_size, unit

IMAGE = as_image(np.zeros((7, 9)), pixel_size={"y": 0.5, "x": 0.25}, unit="um", origin={"y": 3.0})


def break_off(path, error):
    with new(path) as array:
        array[:] = 1
        raise error


def new(path, **more):
    return new_ome_zarr(path, {"y": 7, "x": 9}, IMAGE, dtype=np.float32, chunks=(4, 4), **more)


def test_what_was_written_is_read_with_its_calibration(tmp_path):
    pixels = np.random.default_rng(0).random((7, 9), np.float32)
    with new(tmp_path / "deep" / "a [1].zarr") as array:
        array[:4] = pixels[:4]
        array[4:] = pixels[4:]
        assert not (tmp_path / "deep" / "a [1].zarr").exists(), "not before the end"
    read = read_image(tmp_path / "deep" / "a [1].zarr")
    assert (read.values == pixels).all()
    assert (pixel_size(read), origin(read), unit(read)) == (pixel_size(IMAGE), origin(IMAGE), unit(IMAGE))
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a [1].zarr"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_nothing_is_left_after_an_error(error, tmp_path):
    with pytest.raises(error):
        break_off(tmp_path / "a.zarr", error)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_there_stays(kind, tmp_path):
    target = tmp_path / "a.zarr"
    target.write_text("dear") if kind == "file" else target.mkdir()
    with pytest.raises(ImageError, match=r"a\.zarr is there already"), new(target):
        pytest.fail("it went on")
    assert target.is_file() == (kind == "file")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_what_a_killed_process_left_is_told(python, tmp_path, caplog):
    code = f"""
        import os, numpy as np
        from tests.files.test_new_zarr import new
        with new({str(tmp_path / "a [1].zarr")!r}) as array:
            array[:] = 1
            os._exit(9)
    """
    python(code, status=9)
    (left,) = tmp_path.iterdir()
    with caplog.at_level(logging.WARNING, "fijibridge"), new(tmp_path / "a [1].zarr"):
        pass
    assert str(left) in caplog.text
    assert sorted(tmp_path.iterdir()) == sorted([left, tmp_path / "a [1].zarr"])
