from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.app.demo import GOAL, run_demo
from fijibridge.files import read_image

pytestmark = pytest.mark.jvm

WRITTEN = {
    "comparison.png", "matches.csv", "measurements.csv", "RoiSet.zip", "model.safetensors", "run.json", "history.csv",
    "demo.json", "unseen_01.tif", "unseen_01_prob.tif", "unseen_01_cells.tif",
}  # fmt: skip


@pytest.fixture(scope="module")
def short(tmp_path_factory):
    """The demo's short form: too short to reach the goal, long enough to learn something."""
    out = tmp_path_factory.mktemp("demo")
    return run_demo(out, epochs=4, batches=12, training_images=2, unseen_images=1), out


def test_it_learns_more_than_a_threshold_knows(short):
    outcome, _ = short
    assert outcome.f1 > outcome.threshold_f1 > outcome.untrained_f1
    assert outcome.f1 > 0.85
    assert outcome.threshold_f1 < GOAL
    assert outcome.untrained_f1 < GOAL


def test_what_it_leaves(short):
    outcome, out = short
    assert {p.name for p in out.iterdir()} == WRITTEN
    cells = read_image(out / "unseen_01_cells.tif").values
    table = pd.read_csv(out / "matches.csv")
    assert table["image"].tolist() == ["unseen_01", "total"]
    assert table["f1"].iloc[-1] == pytest.approx(outcome.f1)
    assert table["predicted"].iloc[0] == len(np.unique(cells)) - 1
    assert json.loads((out / "demo.json").read_text())["f1"] == pytest.approx(outcome.f1)


def test_areas_agree_cell_by_cell(short):
    """RoiSet.zip, ImageJ's measurements and the label image have the same pixels."""
    _, out = short
    cells = read_image(out / "unseen_01_cells.tif").values
    assert (fb.rois_to_labels(fb.read_rois(out / "RoiSet.zip"), cells.shape) == cells).all()
    measured = pd.read_csv(out / "measurements.csv")
    ids, pixels = np.unique(cells[cells > 0], return_counts=True)
    assert measured["label"].tolist() == ids.tolist()
    np.testing.assert_allclose(measured["Area"], pixels * 0.2**2, rtol=1e-6)


def test_without_learning_it_fails(tmp_path):
    (tmp_path / "model.safetensors").write_text("of an earlier demo in the same folder")
    outcome = run_demo(tmp_path, epochs=0, training_images=1, unseen_images=1)
    assert not outcome.passed
    assert outcome.f1 < 0.5
