"""Several processes train together: they take the same decisions, so that none waits for another forever."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from fijibridge.files import write_image
from tests.trained import small_tissue

BEGIN = """
import os, sys, types, time, torch
import numpy as np
import fijibridge as fb
from fijibridge.errors import TrainingError
from fijibridge.nn.losses import Loss
from fijibridge.nn.training import recorder
torch.set_num_threads(1)
tissue = fb.synthetic_epithelium((64, 80), cell_size=16, seed=1)
pair = (tissue.image, fb.membrane_target(tissue.labels, 3))
second = os.environ.get("LOCAL_RANK", "0") == "1"
options = dict(forecast=False, epochs=1, batches=12, batch=2, patch=(32, 32), device="cpu", devices=2, observers=[])
def out(name):
    return os.path.join(sys.argv[1], name)
def net():
    return fb.UNet(depth=1, width=4)
"""

CLOCKS = """
if second:  # whose clock stands still: for this process alone it is never time to save
    recorder.time = types.SimpleNamespace(monotonic=lambda: 0.0)
run = fb.train(net(), [pair], out=out("clocks"), save_minutes=1e-9, **options)
print("clocks:", run.stopped_because)
recorder.time = time
"""

LOOKS_ON = """
class Sees:
    seen = 0
    def progress(self, step, steps):
        pass
    def metrics(self, epoch, values):
        pass
    def picture(self, epoch, image, prob):
        Sees.seen += 1
watched = options | {"observers": [] if second else [Sees()]}
run = fb.train(net(), [pair], validation=[pair], out=out("looks on"), **watched)
if Sees.seen:
    print("looks on:", run.stopped_because)
"""

DISK = """
save = torch.save
if not second:
    def full(checkpoint, path):
        raise OSError(28, "No space left on device")
    torch.save = full
run = fb.train(net(), [pair], out=out("disk"), **options)
print("disk:", run.stopped_because)
torch.save = save
"""

SHARES = """
learnt = []
def loss(output, y, weight):
    if output.requires_grad:
        learnt.append([int(n) for n in weight[:, 0, 0]])
    return Loss()(output, y, weight)
def batches(*sizes):
    for first, size in zip(range(0, 100, 10), sizes):
        numbers = np.arange(first, first + size, dtype=np.float32)[:, None, None] + 1
        yield np.ones((size, 1, 32, 32), np.float32), np.ones((size, 32, 32), int), numbers * np.ones((1, 32, 32))
given = {name: value for name, value in options.items() if name != "patch"} | {"loss": loss}
fb.train(net(), lambda: batches(4, 2, 6), out=out("shares"), **given | {"batches": 3})
with open(os.path.join(out("shares"), f"learnt {int(second)}.json"), "w") as file:
    print(learnt, file=file)
try:
    fb.train(net(), lambda: batches(4, 3), out=out("uneven"), **given | {"batches": 2})
except TrainingError as error:
    print("uneven:", error)
"""

NAN = """
calls = 0
def loss(output, y, weight):
    global calls
    calls += 1
    if second and calls > 14:  # of one process alone; what is learnt from it is not shared
        return Loss()(output, y, weight) + float("nan")
    return Loss()(output, y, weight)
try:
    fb.train(net(), [pair], out=out("nan"), loss=loss, **options)
except TrainingError as error:
    print("nan:", error)
"""

REPLACES = """
options |= {"validation": [pair], "out": out("replaces")}
if not second:  # the other one is started when this one begins to learn
    fb.train(net(), [pair], **options | {"devices": 1, "epochs": 0})
old = dict(fb.Model.load(out("replaces")).net.named_parameters())
run = fb.train(out("replaces"), [pair], overwrite=True, lr=1e-12, **options)
assert all(torch.allclose(w, old[k], atol=1e-6) for k, w in run.model.net.named_parameters())
if not second:
    fb.Model.load(out("replaces"))
print("replaces:", run.stopped_because)
"""


def in_two_processes(folder, *parts):
    """Run a script on two processes; return their folder, and what was printed."""
    script = folder / "train.py"
    script.write_text(BEGIN + "".join(parts))
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    return folder, done.stdout


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Trainings one after the other, each of which would hang if the processes decided differently."""
    return in_two_processes(tmp_path_factory.mktemp("several"), CLOCKS, LOOKS_ON, DISK, SHARES, NAN)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("clocks", "clocks: all 1 epochs done"),
        ("nan", "nan: the loss became nan"),
        ("looks on", "looks on: all 1 epochs done"),
        ("disk", "disk: all 1 epochs done"),
    ],
)
def test_what_one_process_meets_is_no_end_of_the_others(several, what, words):
    folder, printed = several
    assert words in printed
    assert json.loads((folder / what / "run.json").read_text())["ending"] is not None


def test_each_device_learns_its_share_of_anyones_batches(several):
    folder, _ = several
    first, second = (json.loads((folder / "shares" / f"learnt {n}.json").read_text()) for n in (0, 1))
    assert first == [[1, 3], [11], [21, 23, 25]]
    assert second == [[2, 4], [12], [22, 24, 26]]


def test_a_batch_that_cannot_be_shared_is_refused(several):
    assert "uneven: a batch of 3 patches cannot be divided equally among 2 devices" in several[1]


def test_a_run_replaces_the_one_that_it_starts_from_in_all_processes(tmp_path):
    _, printed = in_two_processes(tmp_path, REPLACES)
    assert "replaces: all 1 epochs done" in printed


@pytest.fixture
def folder(tmp_path):
    tissue = small_tissue()
    for name in ("a", "b"):
        write_image(tissue.image, tmp_path / "images" / f"{name}_image.tif")
        write_image(tissue.labels, tmp_path / "images" / f"{name}_labels.tif")
    (tmp_path / "images" / "dataset.toml").write_text(
        'format = 1\nimage = "*_image.tif"\nlabels = "{name}_labels.tif"\n[split]\nvalidation = ["b"]\n'
    )
    return tmp_path


def test_two_processes_share_the_batches_and_learn_the_same(folder, warm_python):
    """Two gloo processes on the CPU: the same patches as one, half of each batch in each; one record."""

    def trained_on(devices):
        out = folder / f"run{devices}"
        arguments = [
            "train", str(folder / "images"), "--out", str(out), "--depth=1", "--channels=4", "--epochs=2",
            "--batches=4", "--batch=4", "--patch=32", f"--devices={devices}", "--device=cpu", "--no-forecast",
        ]  # fmt: skip
        if devices == 1:
            done = warm_python.run("from fijibridge.app.cli import main\nmain()", *arguments)
        else:
            command = [sys.executable, "-m", "fijibridge", *arguments]
            done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
            assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("Model and record in") == 1
        return json.loads((out / "run.json").read_text()), pd.read_csv(out / "history.csv")

    (one, first), (two, second) = trained_on(1), trained_on(2)
    assert (one["settings"]["world"], two["settings"]["world"]) == (1, 2)
    assert "all 2 epochs done" in two["stopped_because"]
    # batch normalisation sees half of the batch, so that losses are near and not equal
    np.testing.assert_allclose(first["train_loss"], second["train_loss"], rtol=0.15)
    np.testing.assert_allclose(first["val_loss"], second["val_loss"], rtol=0.25)
