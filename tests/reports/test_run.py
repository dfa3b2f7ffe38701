"""The report of a training."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

import fijibridge as fb
from fijibridge.errors import DatasetError, TrainingError
from fijibridge.record import picture_of
from fijibridge.reports.segmentation import PROVENANCE


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    images = {}
    for seed, name in enumerate(("a", "v", "t")):
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=seed)
        images[name] = {"image": tissue.image, "labels": tissue.labels}
    fb.save_dataset(images, folder, provenance="corrected", split={"validation": ["v"], "test": ["t"]}, overwrite=True)
    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("runs") / "evl"
    return fb.train(
        fb.UNet(depth=1, width=4), fb.Dataset.open(folder), out=out, epochs=3, batches=8, batch=4, patch=(32, 32),
        metric="val_f1", observers=[],
    )  # fmt: skip


@pytest.fixture(scope="module")
def written(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "run.html"
    table = fb.report_run(run.path, path)
    return table, path.read_text(encoding="utf-8")


def test_it_says_how_it_ended_and_what_it_took(run, written):
    page = written[1]
    assert run.stopped_because in page
    assert f"It looks like: {run.ending.looks_like}" in page
    for advice in run.ending.advice:
        assert f"<li>{advice}</li>" in page
    took = run.took().loc["epoch_s"]
    assert f"<td>{took['forecast']:.4f}</td><td>{took['measured']:.4f}</td><td>{took['ratio']:.4f}</td>" in page
    assert f"<td>{run.history['val_loss'].iloc[-1]:.4f}</td>" in page


def test_the_matches_are_those_of_the_model(run, written):
    table = written[0].set_index("image")
    data = fb.Dataset.open(run.settings["data_folder"])
    cells = fb.label_cells(fb.predict(run.model, data["t"].image()), "watershed")
    m = fb.match_labels(data["t"].labels().values, cells.values)
    assert (table.loc["t", "matched"], table.loc["t", "f1"]) == (m.tp, m.f1)
    assert f"test: {m.tp} of {m.n_true} cells found, F1 {m.f1:.3f}" in written[1]
    assert table.index.tolist() == ["v", "total validation", "t", "total test", "total"]


def test_it_says_where_it_comes_from(run, written):
    page = written[1]
    assert PROVENANCE["corrected"] in page
    for told in (run.settings["fingerprint"], run.environment["torch"], run.environment["card"], "depth", "0.003"):
        assert str(told) in page
    assert re.search(r"training images</td><td>\s*a<", page)


def test_it_is_one_file_that_runs_nothing(written):
    page = written[1]
    assert not re.search(r"<script|<link|https?://|<iframe", page)
    assert set(re.findall(r'src="([^,]*),', page)) == {"data:image/png;base64", "data:image/svg+xml;base64"}
    assert page.count("<img") == 1 + 2 * 5 + 2, "curves, five layers of two images, the two of the run's picture"


def test_a_run_from_elsewhere_has_the_picture_that_it_left(run, tmp_path):
    far = shutil.copytree(run.path, tmp_path / "far")
    record = json.loads((far / "run.json").read_text())
    record["settings"]["data_folder"] = "/cluster/scratch/tissue"
    (far / "run.json").write_text(json.dumps(record))
    table = fb.report_run(far, tmp_path / "far.html")
    page = (tmp_path / "far.html").read_text(encoding="utf-8")
    assert len(table) == 0
    assert "The run was not evaluated on images: the images that the runs were trained on cannot be opened" in page
    assert "Picture saved by the training" in page
    assert page.count("<img") == 3
    assert len(fb.report_run(far, tmp_path / "with.html", data=run.settings["data_folder"], split="test")) == 2


def test_a_run_that_was_broken_off_has_a_report(run, tmp_path):
    cut = tmp_path / "cut"
    cut.mkdir()
    record = json.loads((run.path / "run.json").read_text())
    (cut / "run.json").write_text(json.dumps(record | {"ending": None, "history": [], "measured": None}))
    shutil.copy(run.path / "history.csv", cut)
    fb.report_run(cut, tmp_path / "cut.html")
    page = (tmp_path / "cut.html").read_text(encoding="utf-8")
    assert "after 3 epoch(s): the training is running, or was interrupted" in page
    assert "cut has no model.safetensors" in page
    assert f"<td>{run.history['train_loss'].iloc[-1]:.4f}</td>" in page


def test_what_is_refused_leaves_no_file(run, tmp_path):
    with pytest.raises(TrainingError, match="is not the folder of a run"):
        fb.report_run(tmp_path, tmp_path / "r.html")
    with pytest.raises(DatasetError):
        fb.report_run(run.path, tmp_path / "r.html", data=tmp_path)
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(run, here, tmp_path):
    text = here("report", run.path, "--out", tmp_path / "r.html", "--csv", tmp_path / "m.csv", "--split=test")
    assert run.stopped_because in text
    assert pd.read_csv(tmp_path / "m.csv")["image"].tolist() == ["t", "total"]
    assert "Training evl" in (tmp_path / "r.html").read_text(encoding="utf-8")
    refused = " ".join(here("report", tmp_path, status=2).replace("│", " ").split())
    assert "is not the folder of a run (it contains no run.json); for images, add --pred" in refused


def test_a_volume_shows_its_middle(run, tmp_path):
    image = fb.as_image(np.arange(24, dtype=np.float32).reshape(4, 2, 3), "zyx")
    prob = fb.as_image(np.linspace(0, 1, 48, dtype=np.float32).reshape(2, 4, 2, 3), "czyx")
    run_of_volume = shutil.copytree(run.path, tmp_path / "volume")
    from fijibridge.files import write_image

    write_image(picture_of(image, prob), run_of_volume / "validation.tif")
    fb.report_run(run_of_volume, tmp_path / "v.html", split="test")
    assert "Picture saved by the training" in (tmp_path / "v.html").read_text(encoding="utf-8")


def test_cells_are_labelled_as_the_options_say(run, tmp_path, here):
    data = fb.Dataset.open(run.settings["data_folder"])
    cells = fb.label_cells(fb.predict(run.model, data["t"].image()), "minima", threshold=0.4, min_size=30, grow=5)
    m = fb.match_labels(data["t"].labels().values, cells.values)
    options = "method=minima threshold=0.4 min_size=30 grow_by=5"
    here(
        "report", str(run.path), "--out", str(tmp_path / "r.html"), "--csv", str(tmp_path / "m.csv"), "--label", options
    )
    table = pd.read_csv(tmp_path / "m.csv").set_index("image")
    assert table.loc["t", ["matched", "predicted"]].tolist() == [m.tp, m.n_pred]
    told = here("report", str(run.path), "--out", str(tmp_path / "x.html"), "--label", "sigm=2 h=a", status=2)
    assert "option 'sigm' does not exist" in told
    assert "h is 'a'" in told
    assert not (tmp_path / "x.html").exists()
