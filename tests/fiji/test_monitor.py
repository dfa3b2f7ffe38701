"""A training shown while it runs."""

from __future__ import annotations

import logging
import threading
import time

import jpype
import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge.fiji import monitor, plots

QUICK = {"epochs": 3, "batches": 4, "batch": 2, "patch": (32, 32), "forecast": False}


@pytest.fixture(scope="module")
def pair():
    tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)
    return tissue.image, fb.membrane_target(tissue.labels, 3)


def small_net():
    torch.manual_seed(0)
    return fb.UNet(depth=1, width=4)


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
        raise jpype.JClass("java.lang.IllegalStateException")("no window today")

    monkeypatch.setattr(plots, "line_plot", broken)
    with caplog.at_level(logging.WARNING, "fijibridge"):
        run = fb.train(small_net(), [pair], **QUICK)
    assert len(run.history) == 4
    told = [r.message for r in caplog.records if "no longer shown in Fiji" in r.message]
    assert len(told) == 1
    assert "no window today" in told[0]


def test_a_training_does_not_wait_for_a_java_that_hangs(clean, pair, monkeypatch):
    leave = threading.Event()
    monkeypatch.setattr(type(clean), "progress", lambda *_: leave.wait())
    give_up = threading.Timer(240, leave.set)
    give_up.start()
    try:
        run = fb.train(small_net(), [pair], **QUICK)
        assert not leave.is_set(), "the training waited for Java"
    finally:
        give_up.cancel()
        leave.set()
    assert len(run.history) == 4
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
        run.wait(240)
    assert clean.titles() == ["meanwhile"]


def wait(done, seconds=240):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


TRAIN = """
import torch
torch.manual_seed(0)
tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)
pair = tissue.image, fb.membrane_target(tissue.labels, 3)
QUICK = {"batches": 4, "batch": 2, "patch": (32, 32), "forecast": False, "validation": [pair]}
"""


def test_a_training_has_one_plot_and_one_picture_updated_in_place(window):
    window(
        TRAIN
        + """
going = fb.train(fb.UNet(depth=1, width=4), [pair], epochs=10_000, background=True, **QUICK)
wait(lambda: {"Training curves", "Training picture"} <= set(fiji.titles()))
plot, picture = (fiji._find(f"Training {kind}").getWindow() for kind in ("curves", "picture"))
assert isinstance(plot, jpype.JClass("ij.gui.PlotWindow"))
wait(lambda: plot.getPlot() is not None)  # a window gets it after its title
points = len(plot.getXValues())
wait(lambda: len(plot.getXValues()) > points + 2)
assert fiji._find("Training curves").getWindow() == plot
before = fiji.array("Training picture")
wait(lambda: (fiji.array("Training picture") != before).any())
assert fiji._find("Training picture").getWindow() == picture
assert "train_loss" in str(jpype.JClass("ij.IJ").getLog())

plot.close()  # by the user
seen = len(going.history)
wait(lambda: len(going.history) > seen + 3)
assert "Training curves" not in fiji.titles() and going.running
fiji.show(np.zeros((20, 30), np.uint8), name="meanwhile")
going.stop("seen enough")
assert going.wait(BOUND).stopped_because.startswith("seen enough")
wait(lambda: "training ended: seen enough" in str(jpype.JClass("ij.IJ").getLog()))  # the end waits for 2 s only
assert set(fiji.titles()) == {"Training picture", "meanwhile"}
""",
    )


def test_a_window_closed_while_it_is_drawn_does_not_come_back(clean, monkeypatch):
    """The user closes a window after it was looked up, and before it is drawn."""
    line_plot, with_look = plots.line_plot, monitor.with_look

    def closing(make, title):
        def make_and_close(*args):
            made = make(*args)
            clean.close_image(title)
            return made

        return make_and_close

    shows = clean.training_monitor()
    image = np.ones((8, 9), np.float32)
    prob = fb.as_image(np.zeros((2, 8, 9), np.float32), "cyx")
    for epoch in range(2):
        shows.metrics(epoch, {"train_loss": 1.0 - epoch / 4})
    shows.picture(1, image, prob)
    wait(lambda: set(clean.titles()) == {"Training curves", "Training picture"})
    clean.show(image, name="mine")
    monkeypatch.setattr(plots, "line_plot", closing(line_plot, "Training curves"))
    monkeypatch.setattr(monitor, "with_look", closing(with_look, "Training picture"))
    shows.metrics(2, {"train_loss": 0.5})
    shows.picture(2, image, prob)
    wait(lambda: clean.titles() == ["mine"])
    monkeypatch.undo()
    shows.metrics(3, {"train_loss": 0.4})
    shows.picture(3, image, prob)
    shows.ended("all done")
    wait(lambda: not any(t.name == "fijibridge-monitor" for t in threading.enumerate()))
    assert clean.titles() == ["mine"]


def test_drawing_opens_no_window_that_was_closed(window):
    window("""
        import pandas as pd
        from contextlib import suppress
        from fijibridge.fiji import monitor, plots, updates
        curves = pd.DataFrame({"train_loss": [3.0, 2.0, 1.0]})
        plot = monitor.show_curves(curves, "curves")
        picture = updates.show_image(fb.as_image(np.zeros((2, 20, 30), np.uint8), "cyx"), "picture")
        assert fiji.titles() == ["curves", "picture"]
        plot.getWindow().close()
        picture.getWindow().close()
        wait(lambda: fiji.titles() == [])
        plots.redraw(plot, monitor.metrics_plot(curves, "curves"))
        for shape in ((2, 20, 30), (2, 30, 40), (20, 30)):  # in place, and where ImageJ needs another window
            new = updates.imageplus.to_imageplus(fb.as_image(np.ones(shape, np.uint8), "cyx"[-len(shape):]), "picture")
            with suppress(Exception):  # its pixels may be gone
                updates.replace(picture, new, keep_view=True)
        settle()
        assert fiji.titles() == []
        windows = jpype.JClass("java.awt.Window").getWindows()
        assert not [w for w in windows if isinstance(w, jpype.JClass("ij.gui.ImageWindow")) and w.isVisible()]
    """)
