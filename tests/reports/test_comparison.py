"""Runs and predictions side by side."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import fijibridge as fb
from fijibridge.errors import DatasetError, FijiBridgeWarning, ImageError, TrainingError
from fijibridge.files import read_image, write_image

QUICK = {"batches": 8, "batch": 4, "patch": (32, 32), "forecast": False, "observers": []}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four tissues: one to learn, one more, one to watch, one to test."""
    folder = tmp_path_factory.mktemp("tissue")
    images = {}
    for seed, name in enumerate(("a", "b", "v", "t")):
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=seed)
        images[name] = {"image": tissue.image, "labels": tissue.labels}
    fb.save_dataset(folder, images, provenance="manual", split={"validation": ["v"], "test": ["t"]}, overwrite=True)
    return folder


@pytest.fixture(scope="module")
def runs(folder, tmp_path_factory):
    """An old run, and a new one from it with another learning rate."""
    out = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    data = fb.Dataset.open(folder)
    old = fb.train(fb.UNet(depth=1, width=4), data, out=out / "old", epochs=2, **QUICK)
    new = fb.train(old.model, data, out=out / "new", epochs=4, lr=0.01, metric="val_f1", **QUICK)
    return old, new


@pytest.fixture(scope="module")
def compared(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("compared")
    return fb.compare_runs(*(run.path for run in runs), out=out), out


def test_settings_that_differ_and_no_others(compared):
    table = compared[0].settings.set_index("setting")
    assert table.loc["lr"].tolist() == ["0.003", "0.01"]
    assert table.loc["metric"].tolist() == ["val_loss", "val_f1"]
    assert table.loc["warm_start"].tolist() == ["False", "True"]
    assert not {"seed", "batch", "data_folder", "fingerprint", "torch"} & set(table.index)


def test_endings_and_curves_are_those_of_the_runs(compared, runs):
    found = compared[0]
    assert found.endings["stopped because"].tolist() == [run.stopped_because for run in runs]
    assert found.endings["epochs"].tolist() == [2, 4]
    for name, run in zip(("old", "new"), runs, strict=True):
        np.testing.assert_allclose(found.curves[name]["val_loss"].dropna(), run.history["val_loss"])


def test_matches_are_those_of_each_run_on_unseen_images(compared, runs, folder):
    found, data = compared[0], fb.Dataset.open(folder)
    assert found.matches["image"].tolist() == ["v", "total validation", "t", "total test", "total"]
    rows = found.matches.set_index("image")
    for name, run in zip(("old", "new"), runs, strict=True):
        for image in ("v", "t"):
            cells = fb.label_cells(fb.predict(run.model, data[image].image()), "watershed")
            m = fb.match_labels(data[image].labels().values, cells.values)
            assert rows.loc[image, f"matched {name}"] == m.tp
            assert rows.loc[image, f"f1 {name}"] == pytest.approx(m.f1)
    change = rows.loc["total", "f1 new"] - rows.loc["total", "f1 old"]
    assert rows.loc["total", "f1 change"] == pytest.approx(change)
    assert change > 0


def test_difference_images_are_the_difference(compared, runs, folder):
    found, out = compared
    image = fb.Dataset.open(folder)["t"].image()
    old, new = (fb.predict(run.model, image).sel(c="membrane") for run in runs)
    written = read_image(out / "differences" / "t_new-old.tif")
    np.testing.assert_allclose(written.values, new.values - old.values, atol=1e-6)
    assert fb.pixel_size(written) == pytest.approx(fb.pixel_size(image))
    row = found.differences.set_index("image").loc["t"]
    assert row["runs"] == "new - old"
    assert row["mean difference"] == pytest.approx(np.abs(new.values - old.values).mean(), rel=1e-4)
    assert row["classes differ"] == pytest.approx(((new > 0.5) != (old > 0.5)).values.mean(), abs=1e-3)


def test_the_page_holds_all_of_it_and_runs_nothing(compared):
    found, out = compared
    page = (out / "comparison.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<link|https?://|<iframe", page)
    assert set(re.findall(r'src="([^,]*),', page)) == {"data:image/png;base64", "data:image/svg+xml;base64"}
    for record in found.records.values():
        assert record.stopped_because in page
    assert page.count("new - old") >= 3
    assert pd.read_csv(out / "matches.csv")["matched new"].tolist() == found.matches["matched new"].tolist()
    assert sorted(p.name for p in out.iterdir()) == [
        "comparison.html", "differences", "differences.csv", "endings.csv", "matches.csv", "settings.csv",
    ]  # fmt: skip


def test_a_prediction_that_lies_in_the_folder_of_a_run_is_taken(runs, folder, tmp_path):
    old, new = (shutil.copytree(run.path, tmp_path / run.path.name) for run in runs)
    truth = fb.Dataset.open(folder)["t"].labels()
    write_image(new / "t_cells.tif", truth)
    found = fb.compare_runs(old, new, split="test")
    assert found.matches.set_index("image").loc["t", "f1 new"] == 1.0
    found = fb.compare_runs(old, new, split="test", label={"method": "threshold"})
    assert found.matches.set_index("image").loc["t", "f1 new"] < 1.0


def test_what_cannot_be_tried_is_said(runs, folder, tmp_path):
    old, new = (shutil.copytree(run.path, tmp_path / run.path.name) for run in runs)
    (new / "model.safetensors").unlink()
    told = str(fb.compare_runs(old, new))
    assert "Not tried on images: new has no model.safetensors" in told
    assert "lr" in told
    record = json.loads((old / "run.json").read_text())
    record["settings"]["data_folder"] = str(tmp_path / "gone")
    (old / "run.json").write_text(json.dumps(record))
    found = fb.compare_runs(old, old)
    assert "No image was tried: the images that the runs were trained on cannot be opened" in str(found)
    assert "Name the folder (data=, --data)" in str(found)
    assert found.endings["run"].is_unique
    shutil.copy(runs[1].path / "model.safetensors", new)
    note = next(
        n for n in fb.compare_runs(new, new, data=folder, split="train").notes if n.startswith("a is a training image")
    )
    assert note.endswith("its score says little about other images.")
    with pytest.raises(TrainingError, match=r"got 1 run\(s\); expected two"):
        fb.compare_runs(old)
    with pytest.raises(DatasetError, match=r"no folder|no description"):
        fb.compare_runs(old, new, data=tmp_path / "gone")


def test_runs_of_this_process_need_no_folder(folder):
    data = fb.Dataset.open(folder)
    runs = [fb.train(fb.UNet(depth=1, width=2), data, epochs=0, lr=lr, **QUICK) for lr in (0.1, 0.2)]
    found = fb.compare_runs(*runs, split="test")
    assert list(found.records) == ["run-1", "run-2"]
    assert found.settings.set_index("setting").loc["lr"].tolist() == ["0.1", "0.2"]
    assert len(found.matches) == 2


def test_from_the_command_line(runs, folder, here, tmp_path):
    text = here("compare", runs[0].path, runs[1].path, "--split=test", "-o", tmp_path / "out")
    assert re.search(r"lr\s+0.003\s+0.01", text)
    assert re.search(r"image\s+GT\s+matched old\s+matched new\s+matched change\s+f1 old", text)
    assert (tmp_path / "out" / "comparison.html").is_file()
    for name, run in zip("xy", runs, strict=True):
        prob = fb.predict(run.model, fb.Dataset.open(folder)["t"].image())
        write_image(tmp_path / name / "t_prob.tif", prob)
    text = here("compare", tmp_path / "x", tmp_path / "y", "-o", tmp_path / "two")
    table = pd.read_csv(tmp_path / "two" / "differences.csv")
    assert table["image"].tolist() == ["t"]
    assert f"{table['max difference'][0]:.6f}"[:6] in text
    refused = " ".join(here("compare", tmp_path, status=2).replace("│", " ").split())
    assert "expected runs, or two predictions" in refused


# --- predictions ----------------------------------------------------------------------------------------


def test_predictions_that_are_the_same_do_not_differ():
    prob = np.random.default_rng(0).random((2, 40, 50))
    prob /= prob.sum(axis=0)
    row = fb.compare_predictions(prob, prob.copy()).iloc[0]
    assert row["max difference"] == row["mean difference"] == row["classes differ"] == 0
    assert row["cells a"] == row["cells b"] == row["matched"]


def test_differences_are_counted_by_hand(tmp_path):
    one = np.zeros((2, 20, 20), np.float32)
    one[1, :, 10] = 1
    one[0] = 1 - one[1]
    other = one.copy()
    other[:, 2, 3] = 0.4, 0.6  # another class
    other[:, 5, 10] = 0.25, 0.75  # the same one
    for folder, prob in (("x", one), ("y", other)):
        write_image(tmp_path / folder / "i_prob.tif", fb.as_image(prob, "cyx").assign_coords(c=["other", "membrane"]))
    row = fb.compare_predictions(tmp_path / "x", tmp_path / "y").iloc[0]
    assert row["image"] == "i"
    assert row["max difference"] == pytest.approx(0.6)
    assert row["mean difference"] == pytest.approx((0.6 + 0.25) / 400)
    assert row["classes differ"] == 1 / 400
    labels = np.zeros((10, 10), np.int32)
    labels[:5], labels[5:] = 1, 2
    without = np.where(labels == 2, 0, labels)
    row = fb.compare_predictions(labels, without).iloc[0]
    assert row["classes differ"] == 0.5
    assert (row["cells a"], row["cells b"], row["matched"]) == (2, 1, 1)
    assert np.isnan(row["max difference"])


def test_predictions_on_disk_as_zarr(runs, folder, tmp_path):
    for name, run in zip("xy", runs, strict=True):
        fb.predict_files(run.path, fb.Dataset.open(folder).split("test"), tmp_path / name, zarr=True)
    table = fb.compare_predictions(tmp_path / "x", tmp_path / "y")
    assert table["image"].tolist() == ["t"]
    image = fb.Dataset.open(folder)["t"].image()
    old, new = (fb.predict(run.model, image).values for run in runs)
    assert table["max difference"][0] == pytest.approx(np.abs(old - new).max(), rel=1e-4)


def test_what_cannot_be_compared_is_refused(tmp_path):
    write_image(tmp_path / "x" / "i_prob.tif", np.zeros((4, 5), np.float32))
    write_image(tmp_path / "y" / "j_prob.tif", np.zeros((4, 5), np.float32))
    with pytest.raises(DatasetError, match="no image with the same name"):
        fb.compare_predictions(tmp_path / "x", tmp_path / "y")
    write_image(tmp_path / "y" / "i_prob.tif", np.zeros((4, 6), np.float32))
    with (
        pytest.raises(ImageError, match=r"i: a has axes .*\(4, 5\).*\(4, 6\)"),
        pytest.warns(FijiBridgeWarning, match=r"left out: j_prob\.tif"),
    ):
        fb.compare_predictions(tmp_path / "x", tmp_path / "y")
    with pytest.raises(DatasetError, match="one is a folder, the other a file"):
        fb.compare_predictions(tmp_path / "x", tmp_path / "y" / "j_prob.tif")
    with pytest.raises(ImageError, match="label image"):
        fb.compare_predictions(np.zeros((4, 5), int), np.zeros((4, 5)))
    with pytest.raises(ImageError, match="two arrays or two paths"):
        fb.compare_predictions(np.zeros((4, 5)), tmp_path / "x")
