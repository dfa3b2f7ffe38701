"""Trainings in a process with ImageJ, headless: seen while they go on, shown afterwards, corrected and continued."""

from __future__ import annotations

import logging
import threading
import time

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
    with pytest.raises(TrainingError, match="is no folder of a run"):
        clean.show_run(tmp_path)


def test_correct_in_fiji_continue_and_set_old_beside_new(clean, tmp_path):
    """The way round: train, find cells, a person corrects them in Fiji, train on with them, old beside new."""
    tissues = {n: fb.synthetic_epithelium((96, 96), cell_size=16, photons=400, seed=s) for s, n in enumerate("atv")}
    first = fb.save_dataset(
        {n: {"image": t.image, "labels": t.labels} for n, t in tissues.items()}, tmp_path / "first",
        split={"validation": ["v"], "test": ["t"]}, provenance="manual",
    )  # fmt: skip
    quick = QUICK | {"batches": 12, "batch": 4}
    old = fb.train(small_net(), first, out=tmp_path / "old", **quick)
    assert clean.titles(), "it was seen while it went on"

    unlabelled = fb.synthetic_epithelium((96, 96), cell_size=16, photons=400, seed=7)
    clean.show(unlabelled.image, name="new image")
    cells = fb.label_cells(fb.predict(old.model, unlabelled.image), "watershed")
    clean.edit_cells(cells, "new image")
    person = fb.labels_to_rois(unlabelled.labels)  # what the person draws in place of the cells that were found
    clean._find("new image").setOverlay(None)
    clean.add_rois([roi.renamed("") for roi in person], "new image")
    corrected = clean.corrected_cells(cells, "new image")
    assert fb.match_labels(unlabelled.labels, corrected).f1 > 0.99
    second = clean.save_training_set(
        tmp_path / "second", ["new image"], provenance="corrected", provenance_note="by a person in ImageJ"
    )
    assert second.provenance == "corrected"

    before = {k: v.clone() for k, v in old.model.net.state_dict().items()}
    new = fb.train(old, second, out=tmp_path / "new", lr=0.01, **(quick | {"epochs": 6}))
    assert new.settings["warm_start"]
    assert all((v == before[k]).all() for k, v in old.model.net.state_dict().items()), "there is still an old one"

    found = fb.compare_runs(tmp_path / "old", tmp_path / "new", data=tmp_path / "first", out=tmp_path / "compared")
    beside = fb.compare_match_tables(found.tables["old"], found.tables["new"])
    assert beside["image"].tolist() == ["v", "total validation", "t", "total test", "total"]
    np.testing.assert_allclose(beside["f1 before"], found.matches["f1 old"])
    np.testing.assert_allclose(beside["f1 after"], found.matches["f1 new"])
    assert beside["f1 change"].iloc[-1] > 0
    told = found.settings.set_index("setting")
    assert told.loc["provenance"].tolist() == ["manual", "corrected"]
    assert told.loc["images learnt"].tolist() == ["a", "new image"]
    assert (tmp_path / "compared" / "comparison.html").is_file()
    clean.show_table(beside)
    assert clean.table()["f1 change"].tolist() == pytest.approx(beside["f1 change"].tolist())


def test_python_ends_in_good_order_while_it_trains(python):
    done = python("""
        import torch
        import fijibridge as fb
        fb.Run  # trainings are loaded before Java is
        fiji = fb.Fiji.start(WHERE, mode="headless")
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
