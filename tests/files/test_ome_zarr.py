"""An OME-Zarr is at its place whole, or not at all."""

from __future__ import annotations

import builtins
import json
import pickle

import numpy as np
import pytest
import zarr

from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import read_image
from fijibridge.files.ome_zarr import new_ome_zarr
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
    with pytest.raises(ImageError, match=r"a\.zarr exists already"), new(target):
        pytest.fail("it went on")
    assert target.is_file() == (kind == "file")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_what_a_killed_process_left_is_removed_by_the_next(python, tmp_path):
    code = f"""
        import os, numpy as np
        from tests.files.test_ome_zarr import new
        with new({str(tmp_path / "a [1].zarr")!r}) as array:
            array[:] = 1
            os._exit(9)
    """
    python(code, status=9)
    (left,) = tmp_path.iterdir()
    assert left.suffix == ".partial"
    with new(tmp_path / "a [1].zarr"):
        assert not left.exists()
    assert list(tmp_path.iterdir()) == [tmp_path / "a [1].zarr"]


def test_a_zarr_that_is_replaced_is_whole_at_any_time(python, tmp_path):
    path = tmp_path / "a.zarr"
    for value, end in ((1, ""), (2, "os._exit(9)"), (3, "raise KeyboardInterrupt")):
        python(
            f"""
            import os, numpy as np
            from tests.files.test_ome_zarr import new
            try:
                with new({str(path)!r}, overwrite=True) as array:
                    array[:] = {value}
                    {end}
            except KeyboardInterrupt:
                pass
            """,
            status=9 if "exit" in end else 0,
        )
        assert (read_image(path).values == 1).all()
    assert list(tmp_path.iterdir()) == [path], "Ctrl-C, and the next start, leave nothing"


WHOLE = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)


def write_ome_zarr(path, version):
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    array = group.create_array("0", shape=(2, *WHOLE.shape), dtype="u2", chunks=(1, 1, 16, 16))
    array[:] = np.stack([WHOLE, WHOLE + 1])
    axes = [{"name": "c", "type": "channel"}] + [{"name": d, "type": "space", "unit": "micrometer"} for d in "zyx"]
    steps = [
        {"type": "scale", "scale": [1, 2, 0.5, 0.25]},
        {"type": "translation", "translation": [0, 0, 1, 2]},
    ]
    scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
    metadata = {"multiscales": scales, "omero": {"channels": [{"label": "a"}, {"label": "b"}]}}
    group.attrs.update(metadata if version == "0.4" else {"ome": {"version": "0.5", **metadata}})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path, version):
    path = write_ome_zarr(tmp_path / "a.ome.zarr", version)
    image = read_image(path, lazy=True)
    assert image.dims == ("c", "z", "y", "x")
    assert pixel_size(image) == {"z": 2, "y": 0.5, "x": 0.25}
    assert origin(image) == {"z": 0, "y": 1, "x": 2}
    assert unit(image) == "um"
    assert image.coords["c"].values.tolist() == ["a", "b"]
    assert (image[1, 2, 3:20, 4].values == WHOLE[2, 3:20, 4] + 1).all()
    assert (read_image(f"{path}:/0").values == image.values).all()
    with pytest.raises(DatasetError, match="leaves this folder"):
        read_image(f"{path}:/../b")
    with pytest.raises(DatasetError, match="contains no zarr group or array"):
        read_image(f"{path}:/7")


def test_an_image_inside_of_a_zarr(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w").create_group("labels/cells")
    group.create_array("0", data=WHOLE[0])
    axes = [{"name": d, "type": "space", "unit": "nanometer"} for d in "yx"]
    steps = [{"type": "scale", "scale": [3, 4]}]
    scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": scales}
    image = read_image(tmp_path / "a.zarr", key="labels/cells")
    assert (pixel_size(image), unit(image)) == ({"y": 3, "x": 4}, "nm")
    with pytest.raises(DatasetError, match=r"arrays labels/cells/0: name one, such as 'a\.zarr:/labels/cells/0'"):
        read_image(tmp_path / "a.zarr")


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (builtins.open, (self.path, "w"))


def test_a_zarr_that_would_run_code_is_refused(tmp_path):
    path, made = tmp_path / "a.zarr", tmp_path / "made"
    path.mkdir()
    for name, compressor, filters, dtype in (
        ("0", {"id": "pickle"}, None, "|u1"),
        ("1", None, [{"id": "pickle"}], "|O"),
    ):
        array = {"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "dtype": dtype, "compressor": compressor,
                 "filters": filters, "fill_value": 0, "order": "C"}  # fmt: skip
        (path / name).mkdir()
        (path / name / ".zarray").write_text(json.dumps(array))
        (path / name / "0.0").write_bytes(pickle.dumps(Touch(made)))
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        with pytest.raises(DatasetError):
            read_image(f"{path}:/{name}")
        assert not made.exists()
