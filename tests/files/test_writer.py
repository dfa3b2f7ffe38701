from __future__ import annotations

import os

import numpy as np
import pytest

from fijibridge.errors import DatasetError, RenamedWarning
from fijibridge.files import atomic, make_folder, read_image, write_image, writer
from fijibridge.image import as_image, origin, pixel_size, time_unit, unit


def test_a_failed_write_leaves_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail():
        with atomic(target) as path:
            path.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("dims", ["yx", "zyx", "cyx", "tyx", "czyx", "tcyx", "tczyx"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_tiff_round_trip(tmp_path, dims, dtype):
    shape = tuple({"t": 2, "c": 3, "z": 4, "y": 5, "x": 6}[d] for d in dims)
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    size = {"z": 2.0, "y": 0.5, "x": 0.25} | ({"t": 30.0} if "t" in dims else {})
    units = {"z": "um", "y": "um", "x": "um", "t": "sec"}
    image = as_image(array, dims, pixel_size=size, origin={"y": 7.0, "x": -3.5}, unit=units)
    if "c" in dims:
        image = image.assign_coords(c=["other", "membrane", "third"])
    write_image(image, tmp_path / "a.tif")
    back = read_image(tmp_path / "a.tif")
    assert back.dims == image.dims
    assert back.dtype == dtype
    assert (back.values == array).all()
    assert unit(back) == "um"
    assert pixel_size(back) == pytest.approx(pixel_size(image))
    assert origin(back)["y"] == pytest.approx(7.0)
    assert origin(back)["x"] == pytest.approx(-3.5)
    if "t" in dims:
        assert time_unit(back) == "sec"
    if "c" in dims:
        assert back.coords["c"].values.tolist() == ["other", "membrane", "third"]


def test_units_that_are_not_ascii(tmp_path):
    write_image(as_image(np.zeros((2, 2), np.uint8), pixel_size=2, unit="\u00c5"), tmp_path / "a.tif")
    assert unit(read_image(tmp_path / "a.tif")) == "\u00c5"


def test_a_folder_for_results(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a") == tmp_path / "a"
    (tmp_path / "file").write_text("in the way")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(DatasetError, match="file"):
            make_folder(path)


def test_the_old_order_of_image_and_path_works_and_warns(tmp_path):
    old = (tmp_path / "a.tif", np.eye(8, dtype=np.uint8))
    with pytest.warns(RenamedWarning, match=r"write_image\(path, object\) was renamed to write_image\(object, path\)"):
        write_image(*old)
    assert (read_image(tmp_path / "a.tif") == np.eye(8)).all()


def test_what_killed_processes_left_is_removed_and_nothing_else(python, tmp_path, monkeypatch):
    python(
        f"""
        import os
        from fijibridge.files import atomic
        with atomic({str(tmp_path / "a.tif")!r}) as path:
            path.write_text("half")
            os._exit(9)
        """,
        status=9,
    )
    (left,) = tmp_path.iterdir()
    dead = left.name.split("-")[3]
    others = [f".a-fb-elsewhere-{dead}-abcd1234.tif", f".a-fb-{writer._HOST}-{os.getpid()}-abcd1234.tif", ".hidden.tif",
              "a-fb-b-1-abcd1234.tif"]  # fmt: skip
    for name in others:
        (tmp_path / name).write_text("of somebody else")
    monkeypatch.setattr(writer, "_scanned", set())
    with atomic(tmp_path / "b.tif") as path:
        path.write_text("new")
    assert not left.exists()
    assert {path.name for path in tmp_path.iterdir()} == {*others, "b.tif"}
