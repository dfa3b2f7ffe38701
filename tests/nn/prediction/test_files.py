"""Files, folders and data sets are predicted into files of their own, and what is there is not lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fijibridge.dataset import Dataset
from fijibridge.errors import Cancelled, DatasetError
from fijibridge.files import read_image, write_image
from fijibridge.image import as_image, pixel_size
from fijibridge.nn.model import Model
from fijibridge.nn.prediction import predict, predict_files
from fijibridge.nn.unet import UNet


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(0)
    return Model(UNet(1, 2, 1, 4).eval(), ("other", "membrane"))


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "images"
    rng = np.random.default_rng(0)
    for name in "abc":
        write_image(as_image(rng.random((20, 30), np.float32), pixel_size=0.5, unit="um"), place / f"{name}.tif")
    return place


def same(path, model, image) -> bool:
    found, expected = read_image(path), predict(model, image)
    return bool((found.values == expected.values).all()) and pixel_size(found)["x"] == pixel_size(expected)["x"]


def test_a_file_several_and_a_folder(folder, model, tmp_path):
    one = predict_files(model, folder / "a.tif", tmp_path / "one")
    assert one == {"a": tmp_path / "one" / "a_prob.tif"}
    assert same(one["a"], model, read_image(folder / "a.tif"))
    two = predict_files(model, [folder / "c.tif", str(folder / "a.tif")], tmp_path / "two")
    assert list(two) == ["c", "a"]
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.tif").write_text("no image")
    told: list[tuple[int, int]] = []
    predict_files(model, folder, folder, progress=lambda *n: told.append(n))
    assert told == [(1, 3), (2, 3), (3, 3)]
    again = predict_files(model, folder, tmp_path / "again")
    assert list(again) == ["a", "b", "c"], "results in the folder are no images"


def test_a_data_set_its_folder_and_its_items(folder, model, tmp_path):
    (folder / "dataset.toml").write_text('image = "*.tif"\npixel_size = 0.25\nunit = "um"\n[split]\ntest = ["b"]\n')
    dataset = Dataset.open(folder)
    assert list(predict_files(model, dataset, tmp_path / "set")) == ["a", "b", "c"]
    assert list(predict_files(model, folder, tmp_path / "folder")) == ["a", "b", "c"]
    items = predict_files(model, dataset.split("test"), tmp_path / "items")
    assert list(items) == ["b"]
    assert same(items["b"], model, dataset["b"].image())
    assert pixel_size(read_image(items["b"]))["x"] == 0.25


def test_results_are_not_lost(folder, model, tmp_path):
    out = tmp_path / "out"
    first = predict_files(model, folder / "b.tif", out)["b"]
    write_image(np.zeros((2, 20, 30), np.float32), first)
    with pytest.raises(DatasetError, match=r"1 of 3 results already exist, such as .*b_prob\.tif: .*resume.*overwrite"):
        predict_files(model, folder, out)
    assert [p.name for p in out.iterdir()] == ["b_prob.tif"], "it is told before anything is done"
    assert list(predict_files(model, folder, out, resume=True)) == ["a", "b", "c"]
    assert (read_image(first).values == 0).all()
    assert same(out / "c_prob.tif", model, read_image(folder / "c.tif"))
    predict_files(model, folder, out, overwrite=True)
    assert same(first, model, read_image(folder / "b.tif"))


def test_part_by_part_onto_disk(folder, model, tmp_path):
    for more in ({}, {"overwrite": True}, {"resume": True}):
        found = predict_files(model, folder, tmp_path / "out", zarr=True, tile=8, **more)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [f"{n}_prob.ome.zarr" for n in "abc"]
    expected = predict(model, read_image(folder / "a.tif"))
    np.testing.assert_allclose(read_image(found["a"]).values, expected.values, atol=1e-3)  # percentiles by a histogram


def test_what_was_cancelled_can_be_resumed(folder, model, tmp_path):
    asked: list[int] = []

    def enough() -> bool:
        asked.append(1)
        return len(asked) > 3

    with pytest.raises(Cancelled):
        predict_files(model, folder, tmp_path / "out", cancel=enough)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["a_prob.tif"]
    assert len(predict_files(model, folder, tmp_path / "out", resume=True)) == 3


def test_a_single_image_tells_its_tiles(folder, model, tmp_path):
    told: list[tuple[int, int]] = []
    predict_files(model, folder / "a.tif", tmp_path / "out", tile=16, progress=lambda *n: told.append(n))
    assert told[-1] == (4, 4)


@pytest.mark.parametrize(("inputs", "words"), [
    ("{0}/no.tif", "no.tif does not exist"), ([], "no image to predict"), ("{0}/empty", "empty contains no image file"),
    (["{0}/a.tif", "{0}/other/a.tif"], "have the same name, 'a'"), ([3], "got a int; expected a Dataset"),
])  # fmt: skip
def test_wrong_inputs(inputs, words, folder, model, tmp_path):
    (folder / "empty").mkdir()
    write_image(np.zeros((8, 8), np.uint8), folder / "other" / "a.tif")
    placed = [i.format(folder) if isinstance(i, str) else i for i in ([inputs] if isinstance(inputs, str) else inputs)]
    with pytest.raises(DatasetError, match=words):
        predict_files(model, placed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_resuming_computes_again_what_is_damaged(folder, model, tmp_path, caplog):
    made = predict_files(model, folder, tmp_path / "out")
    whole = made["b"].read_bytes()
    made["b"].write_bytes(whole[: len(whole) // 2])
    kept = made["a"].stat().st_mtime_ns
    predict_files(model, folder, tmp_path / "out", resume=True)
    assert "b_prob.tif is computed again, because it is damaged" in caplog.text
    assert same(made["b"], model, read_image(folder / "b.tif"))
    assert made["a"].stat().st_mtime_ns == kept
    zarrs = predict_files(model, folder, tmp_path / "zarr", zarr=True)
    (zarrs["c"] / "0" / "zarr.json").unlink()
    predict_files(model, folder, tmp_path / "zarr", zarr=True, resume=True)
    again = predict(model, read_image(folder / "c.tif"))
    np.testing.assert_allclose(read_image(zarrs["c"]).values, again.values, atol=1e-6)
