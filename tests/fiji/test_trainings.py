"""Trainings in a process with ImageJ, headless: seen while they go on, shown afterwards, corrected and continued."""

from __future__ import annotations

import logging
import threading
import time

import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge import observing
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
    assert shown.attrs["imagej"]["mode"] == "composite"
    assert shown.attrs["imagej"]["display_ranges"][-1] == (0.0, 1.0)
    fb.train(small_net(), [pair], **QUICK)
    assert clean.titles()[3:] == ["Training curves-1"], (
        "each training has windows of its own, a picture if it validates"
    )
    fb.train(small_net(), [pair], observers=[], **QUICK)
    assert len(clean.titles()) == 4


def test_a_closed_window_stays_closed_until_the_next_training(clean):
    monitor = clean.training_monitor()
    for epoch in range(2):
        monitor.metrics(epoch, {"train_loss": 1.0 - epoch / 4, "val_loss": float("nan"), "lr": 0.1})
    wait(lambda: clean.titles() == ["Training curves"])
    clean.close_image("Training curves")
    monitor.metrics(2, {"train_loss": 0.5})
    monitor.ended("all done")
    assert clean.titles() == []
    for epoch in range(2):
        monitor.metrics(epoch, {"train_loss": 1.0})
    monitor.ended("all done again")
    assert clean.titles() == ["Training curves"]


def test_the_curves_are_those_of_the_run(clean, pair):
    run = fb.train(small_net(), [pair], validation=[pair], metric="val_f1", **QUICK)
    imp = clean._find("Training curves")
    plot = imp.getProperty("thePlot")
    drawn = {str(name): np.array(plot.getDataObjectArrays(i)[1]) for i, name in enumerate(run.history.columns[1:4:1])}
    np.testing.assert_allclose(drawn["train_loss"], run.history["train_loss"], rtol=1e-6)
    np.testing.assert_allclose(drawn["val_loss"], run.history["val_loss"], rtol=1e-6)


def test_an_error_of_java_is_told_once_and_costs_the_training_nothing(clean, pair, monkeypatch, caplog):
    def broken(*_, **__):
        raise clean._java("java.lang.IllegalStateException")("no window today")

    monkeypatch.setattr(type(clean), "plot", broken)
    with caplog.at_level(logging.WARNING, "fijibridge"):
        run = fb.train(small_net(), [pair], **QUICK)
    assert len(run.history) == 4
    told = [r.message for r in caplog.records if "not shown in Fiji any more" in r.message]
    assert len(told) == 1
    assert "no window today" in told[0]


def test_a_training_does_not_wait_for_a_java_that_hangs(clean, pair, monkeypatch):
    leave = threading.Event()
    monkeypatch.setattr(type(clean), "progress", lambda *_: leave.wait(60))
    began = time.monotonic()
    run = fb.train(small_net(), [pair], **QUICK)
    seconds = time.monotonic() - began
    leave.set()
    assert len(run.history) == 4
    assert seconds < 20, "only the end waits, and for 2 s at most"
    wait(lambda: not any(t.name == "fijibridge-monitor" for t in threading.enumerate()))


def test_python_stays_usable_while_it_trains(clean, pair):
    run = fb.train(small_net(), [pair], background=True, **(QUICK | {"epochs": 10_000}))
    try:
        wait(lambda: "Training curves" in clean.titles())
        clean.show(np.ones((4, 5), np.uint8), name="meanwhile")
        assert clean.array("meanwhile").sum() == 20
        clean.close_image("Training curves")
        seen = len(run.history)
        wait(lambda: len(run.history) > seen + 2)
    finally:
        run.stop("seen enough")
        run.wait(60)
    assert clean.titles() == ["meanwhile"]


def test_the_session_forgets_trainings_when_it_is_closed(fiji):
    assert observing._factories.count(fiji.watch) == 1
    assert fb.Fiji.start(fiji_of_the_tests(), mode="headless") is fiji
    assert observing._factories.count(fiji.watch) == 1
    fiji.close()
    assert fiji.watch not in observing._factories
    assert not observing.watchers()
    again = fb.Fiji.start(fiji_of_the_tests(), mode="headless")
    assert observing._factories.count(again.watch) == 1


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
    with pytest.raises(TrainingError, match="is no folder of a run"):
        clean.show_run(tmp_path)


def test_python_ends_in_good_order_while_it_trains(python):
    done = python("""
        import torch
        import fijibridge as fb
        fb.Run  # trainings are loaded before Java is
        fiji = fb.Fiji.start("embedded", mode="headless")
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, seed=1)
        pair = tissue.image, fb.membrane_target(tissue.labels, 3)
        run = fb.train(fb.UNet(depth=1, width=4), [pair], validation=[pair], background=True, epochs=10_000, batches=4,
                       batch=2, patch=(32, 32), forecast=False)
        import time
        while "Training picture" not in fiji.titles():
            time.sleep(0.05)
        print("end of the script")
    """)
    assert done.stdout.strip() == "end of the script"
    assert "not shown" not in done.stderr
    assert "Traceback" not in done.stderr


def fiji_of_the_tests() -> str:
    import os

    return os.environ.get("FIJIBRIDGE_TEST_FIJI", "embedded")


def wait(done, seconds=30):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
