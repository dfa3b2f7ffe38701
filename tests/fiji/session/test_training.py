"""Trainings of a session: shown, watched and forgotten."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge import observers
from fijibridge.errors import TrainingError

QUICK = {"epochs": 3, "batches": 4, "batch": 2, "patch": (32, 32), "forecast": False}


@pytest.fixture(scope="module")
def pair():
    tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)
    return tissue.image, fb.membrane_target(tissue.labels, 3)


def small_net():
    torch.manual_seed(0)
    return fb.UNet(depth=1, width=4)


def test_a_training_is_seen_in_fiji_without_being_asked_for(clean, pair):
    clean.show(np.zeros((5, 6), np.uint8), name="mine")
    run = fb.train(small_net(), [pair], validation=[pair], **QUICK)
    assert set(clean.titles()) == {"mine", "Training curves", "Training picture"}
    assert clean.image().name == "mine", "the active image is still the user's"
    shown = clean.image("Training picture")
    np.testing.assert_allclose(shown.sel(c="membrane").values, run.picture.sel(c="membrane").values)
    assert fb.imagej_info(shown)["mode"] == "composite"
    assert fb.imagej_info(shown)["display_ranges"][-1] == (0.0, 1.0)
    fb.train(small_net(), [pair], **QUICK)
    assert clean.titles()[3:] == ["Training curves-1"], (
        "each training has windows of its own, a picture if it validates"
    )
    fb.train(small_net(), [pair], observers=[], **QUICK)
    assert len(clean.titles()) == 4


def test_the_session_forgets_trainings_when_it_is_closed(fiji):
    assert observers.WATCHERS._factories.count(fiji.watch) == 1
    assert fb.Fiji.start(fiji_of_the_tests(), mode="headless") is fiji
    assert observers.WATCHERS._factories.count(fiji.watch) == 1
    fiji.close()
    assert fiji.watch not in observers.WATCHERS._factories
    assert not observers.watchers()
    again = fb.Fiji.start(fiji_of_the_tests(), mode="headless")
    assert observers.WATCHERS._factories.count(again.watch) == 1


def test_a_run_made_elsewhere_is_shown(clean, pair, tmp_path, python):
    run = fb.train(small_net(), [pair], validation=[pair], observers=[], out=tmp_path / "far", **QUICK)
    record = clean.show_run(tmp_path / "far")
    assert record.stopped_because == run.stopped_because
    assert record.curves.equals(run.history.set_index("epoch")[["train_loss", "val_loss"]])
    assert clean.titles() == ["far curves", "far picture"]
    np.testing.assert_allclose(
        clean.image("far picture").sel(c="membrane").values, run.picture.sel(c="membrane").values
    )
    clean.show_run(run, name="near")
    assert clean.titles()[2:] == ["near curves", "near picture"]
    clean.show_run(tmp_path / "far")
    assert len(clean.titles()) == 4, "shown again in the same windows"
    with pytest.raises(TrainingError, match="is not the folder of a run"):
        clean.show_run(tmp_path)


def fiji_of_the_tests() -> str:
    import os

    return os.environ.get("FIJIBRIDGE_TEST_FIJI", "embedded")


TRAIN = """
import torch
torch.manual_seed(0)
tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)
pair = tissue.image, fb.membrane_target(tissue.labels, 3)
QUICK = {"batches": 4, "batch": 2, "patch": (32, 32), "forecast": False, "validation": [pair]}
"""


def test_a_run_with_its_tables(window):
    window(
        TRAIN
        + """
import tempfile
folder = os.path.join(tempfile.mkdtemp(), "far")
fb.train(fb.UNet(depth=1, width=4), [pair], epochs=2, metric="val_f1", observers=[], out=folder, **QUICK)
assert fiji.titles() == []
record = fiji.show_run(folder)
assert fiji.titles() == ["far curves", "far picture"]
assert sorted(fiji.tables()) == ["far history", "far matches", "far settings"]
assert fiji.table("far matches")["image"].tolist() == ["validation image 0", "total"]
np.testing.assert_allclose(fiji.table("far history")["train_loss"], record.history["train_loss"])
assert "far: all 2 epochs done" in str(jpype.JClass("ij.IJ").getLog())
""",
    )
