"""Training beside a JVM: in the background, ended by hand, and on several devices in a process of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pandas as pd
import pytest
import torch

import fijibridge as fb
from fijibridge.errors import TrainingError
from fijibridge.files import write_image

QUICK = {"epochs": 2, "batches": 4, "batch": 4, "patch": (32, 32), "forecast": False}
TWO = QUICK | {"devices": 2, "device": "cpu"}


def small_net():
    torch.manual_seed(0)
    return fb.UNet(depth=1, width=4)


class Watcher:
    def __init__(self):
        self.epochs = {}
        self.first = threading.Event()

    def progress(self, step, steps):
        pass

    def metrics(self, epoch, values):
        self.epochs[epoch] = values
        self.first.set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    for seed, name in enumerate("ab"):
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=seed)
        write_image(tissue.image, folder / f"{name}_image.tif")
        write_image(tissue.labels, folder / f"{name}_labels.tif")
    return folder


@pytest.fixture(scope="module")
def images(folder):
    return fb.Dataset.from_patterns(
        folder, image="*_image.tif", labels="{name}_labels.tif", split={"validation": ["b"]}
    )


# --- in this process ------------------------------------------------------------------------------------


def test_in_the_background_while_fiji_is_used(clean, images, tmp_path):
    watcher = Watcher()
    run = fb.train(
        small_net(), images, background=True, out=tmp_path, observers=[watcher], **(QUICK | {"epochs": 10_000})
    )
    assert watcher.first.wait(240)
    clean.show(images["a"].image(), name="while it trains")
    assert clean.titles() == ["while it trains"]
    prob = fb.predict(run.model, clean.image("while it trains"))
    assert prob.shape == (2, 64, 80)
    if not run.running:
        run.wait()
    assert run.running
    run.stop("I have seen enough")
    assert run.wait(240).stopped_because.startswith("I have seen enough after")
    assert len(run.history) >= 1
    assert np.array_equal(fb.predict(tmp_path, images["a"].image()), fb.predict(run.model, images["a"].image()))
    assert clean.titles() == ["while it trains"]


def test_ctrl_c_leaves_python_fiji_and_the_run(python, tmp_path):
    """What a user does at a prompt: Ctrl-C while a training runs, twice in a row, and on with all of it."""
    done = python(
        f"""
        import os, signal, time, fijibridge as fb
        fiji = fb.Fiji.start(WHERE, mode="headless")
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, seed=1)
        pair = (tissue.image, fb.membrane_target(tissue.labels, 3))
        class Press:
            def progress(self, step, steps):
                if step == 6:
                    os.kill(os.getpid(), signal.SIGINT)
            def metrics(self, epoch, values):
                pass
        net = fb.UNet(depth=1, width=4)
        for number in (1, 2):
            run = fb.train(net, [pair], epochs=10_000, batches=4, batch=4, patch=(32, 32), forecast=False,
                           out={str(tmp_path)!r} + f"/run{{number}}", observers=[Press()])
            print(run.stopped_because)
        fiji.show(fb.predict(run.model, tissue.image)[1], name="after")
        fiji.run_macro('selectImage("after"); run("Invert");')  # compiled Java, whose null checks are SIGSEGVs
        for _ in range(200):
            fiji.run_macro('x = 0; for (i = 0; i < 1000; i++) x += i;')
        print(fiji.titles(), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(240)
        except KeyboardInterrupt:
            print("and Ctrl-C is Python's again")
        """,
        timeout=600,
    )
    lines = done.stdout.splitlines()
    for line in lines[:2]:
        assert re.match(r"interrupted by Ctrl-C after \d+ of 10000 epochs", line), line
    assert lines[2:] == ["['after'] True", "and Ctrl-C is Python's again"]
    for number in (1, 2):
        assert "Ctrl-C" in json.loads((tmp_path / f"run{number}" / "run.json").read_text())["stopped_because"]


# --- in a process of its own ----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _one_thread_each(monkeypatch):
    """The processes of two devices share the cores of one machine, and each would take all of them."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def test_two_devices_from_beside_a_jvm(clean, images, tmp_path):
    watcher = Watcher()
    net = small_net()
    run = fb.train(net, images, out=tmp_path, observers=[watcher], **TWO)
    assert "all 2 epochs done" in run.stopped_because
    assert run.settings["world"] == 2
    assert run.environment["devices"] == 2
    assert run.history["epoch"].tolist() == [0, 1, 2]
    assert sorted(watcher.epochs) == [0, 1, 2]
    assert run.history[["train_loss", "val_loss"]].notna().all(axis=None)
    assert run.history["val_loss"].iloc[-1] < run.history["val_loss"].iloc[0]
    pd.testing.assert_series_equal(run.history["val_loss"], pd.read_csv(tmp_path / "history.csv")["val_loss"])
    # the model is that of the best epoch, and it is another than the one that went out
    first = fb.Model(small_net(), ("other", "membrane"))
    image = images["a"].image()
    assert not np.array_equal(fb.predict(run.model, image), fb.predict(first, image))
    assert np.array_equal(fb.predict(run.model, image), fb.predict(tmp_path, image))
    clean.show(image, name="a")
    assert clean.titles() == ["a"]


def test_it_is_stopped_and_goes_on(clean, images, tmp_path):
    watcher = Watcher()
    long = TWO | {"epochs": 4, "batches": 20}
    run = fb.train(small_net(), images, out=tmp_path, observers=[watcher], background=True, **long)
    assert watcher.first.wait(240)
    assert run.running
    with pytest.raises(TimeoutError):
        run.wait(0.01)
    run.stop()
    run.wait(240)
    done = len(run.history) - 1
    assert 0 <= done < 4
    assert f"after {done} of 4 epochs" in run.stopped_because
    assert fb.predict(run.model, images["a"].image()).shape == (2, 64, 80)
    assert (tmp_path / "last.ckpt").is_file()
    again = fb.train(small_net(), images, out=tmp_path, resume=True, **long)
    assert "all 4 epochs done" in again.stopped_because
    assert again.history["epoch"].tolist() == list(range(5))
    columns = ["epoch", "train_loss", "val_loss"]  # of the whole epochs; the one that was stopped is done to its end
    pd.testing.assert_frame_equal(again.history.iloc[:done][columns], run.history.iloc[:done][columns])


def test_an_error_of_the_other_process_comes_back_in_its_words(clean, images, tmp_path):
    with pytest.raises(TrainingError, match="multiple of 2") as error:
        fb.train(small_net(), images, out=tmp_path, **(TWO | {"patch": (31, 31)}))
    assert "Traceback" not in str(error.value)
    assert len(str(error.value)) < 500


def test_a_process_that_is_killed_is_told(clean, images, tmp_path):
    watcher = Watcher()
    run = fb.train(
        small_net(), images, out=tmp_path, observers=[watcher], background=True, **(TWO | {"epochs": 10_000})
    )
    assert watcher.first.wait(240)
    for child in children(os.getpid()):
        os.kill(child, signal.SIGKILL)
    with pytest.raises(TrainingError, match=r"killed|SIGKILL"):
        run.wait(240)
    deadline = time.monotonic() + 240
    while workers(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not workers(tmp_path), "the second process outlived the first"


def children(pid):
    """Return the processes that a process has started in Python, from /proc."""
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    rows = [line.split(None, 1) for line in listed.stdout.splitlines()]
    return [int(number) for number, command in rows if "fijibridge train --job" in command]


def workers(folder):
    listed = subprocess.run(["ps", "-e", "-o", "args="], capture_output=True, text=True, check=False)
    return [line for line in listed.stdout.splitlines() if f"--job {folder}" in line and "defunct" not in line]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"out": None}, "pass out="),
        ({"segment": lambda prob: prob}, "cannot receive segment"),
        ({"loss": lambda *_: 0}, "cannot receive loss"),
        ({"data": [(np.zeros((64, 64)), np.zeros((64, 64), np.uint8))]}, "reads its images from a folder"),
    ],
)
def test_what_another_process_cannot_be_given(clean, images, tmp_path, change, words):
    told = {"data": images, "out": tmp_path / "run", **TWO} | change
    with pytest.raises(TrainingError, match=words):
        fb.train(small_net(), told.pop("data"), **told)


def test_a_job_that_is_none(tmp_path):
    (tmp_path / "job.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-m", "fijibridge", "train", "--job", str(tmp_path / "job.json")],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "does not describe a training" in done.stderr
