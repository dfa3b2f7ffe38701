"""Runs and predictions side by side."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.errors import DatasetError, TrainingError
from fijibridge.files import read_image, write_image
from tests.reports.conftest import QUICK


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
    write_image(truth, new / "t_cells.tif")
    found = fb.compare_runs(old, new, split="test")
    assert found.matches.set_index("image").loc["t", "f1 new"] == 1.0
    found = fb.compare_runs(old, new, split="test", label={"method": "threshold"})
    assert found.matches.set_index("image").loc["t", "f1 new"] < 1.0


def test_what_cannot_be_tried_is_said(runs, folder, tmp_path):
    old, new = (shutil.copytree(run.path, tmp_path / run.path.name) for run in runs)
    (new / "model.safetensors").unlink()
    told = str(fb.compare_runs(old, new))
    assert "Not evaluated on images: new has no model.safetensors" in told
    assert "lr" in told
    record = json.loads((old / "run.json").read_text())
    record["settings"]["data_folder"] = str(tmp_path / "gone")
    (old / "run.json").write_text(json.dumps(record))
    found = fb.compare_runs(old, old)
    assert "The runs were not evaluated on images: the images that the runs were trained on cannot be opened" in str(
        found
    )
    assert "give a folder (data=, --data)" in str(found)
    assert found.endings["run"].is_unique
    shutil.copy(runs[1].path / "model.safetensors", new)
    note = next(
        n for n in fb.compare_runs(new, new, data=folder, split="train").notes if n.startswith("a is a training image")
    )
    assert note.endswith("its score says little about other images.")
    with pytest.raises(TrainingError, match=r"got 1 run\(s\); expected two"):
        fb.compare_runs(old)
    with pytest.raises(DatasetError, match=r"does not exist|no description"):
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
        write_image(prob, tmp_path / name / "t_prob.tif")
    text = here("compare", tmp_path / "x", tmp_path / "y", "-o", tmp_path / "two")
    table = pd.read_csv(tmp_path / "two" / "differences.csv")
    assert table["image"].tolist() == ["t"]
    assert f"{table['max difference'][0]:.6f}"[:6] in text
    refused = " ".join(here("compare", tmp_path, status=2).replace("│", " ").split())
    assert "expected runs, or two predictions" in refused
