"""What several processes that train together must do alike: else they wait for each other for ever."""

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
import fijibridge as fb
from fijibridge.errors import TrainingError
from fijibridge.nn.training import recorder as recording
torch.set_num_threads(1)
tissue = fb.synthetic_epithelium((64, 80), cell_size=16, seed=1)
pair = (tissue.image, fb.membrane_target(tissue.labels, 3))
second = os.environ.get("LOCAL_RANK", "0") == "1"
options = dict(forecast=False, epochs=1, batches=12, batch=2, patch=(32, 32), device="cpu", devices=2, observers=[])
"""

CLOCKS = """
if second:  # whose clock stands still: for this process alone it is never time to save
    recording.time = types.SimpleNamespace(monotonic=lambda: 0.0)
run = fb.train(fb.UNet(depth=1, width=4), [pair], out=sys.argv[1], save_minutes=1e-9, **options)
print(run.stopped_because)
"""

NAN = """
from fijibridge.nn.losses import Loss
calls = 0
def loss(output, y, weight):
    global calls
    calls += 1
    if second and calls > 14:  # of one process alone; what is learnt from it is not shared
        return Loss()(output, y, weight) + float("nan")
    return Loss()(output, y, weight)
try:
    fb.train(fb.UNet(depth=1, width=4), [pair], out=sys.argv[1], loss=loss, **options)
except TrainingError as error:
    print("told:", error)
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
options["observers"] = [] if second else [Sees()]
run = fb.train(fb.UNet(depth=1, width=4), [pair], validation=[pair], out=sys.argv[1], **options)
if Sees.seen:
    print(run.stopped_because)
"""

DISK = """
from lightning.fabric.plugins import TorchCheckpointIO
if not second:
    def full(checkpoint, path):
        raise OSError(28, "No space left on device")
    torch.save = full
run = fb.train(fb.UNet(depth=1, width=4), [pair], out=sys.argv[1], **options)
print(run.stopped_because)
"""


REPLACES = """
options |= {"validation": [pair], "out": sys.argv[1]}
if not second:  # the other one is started when this one begins to learn
    fb.train(fb.UNet(depth=1, width=4), [pair], **options | {"devices": 1, "epochs": 0})
old = dict(fb.Model.load(sys.argv[1]).net.named_parameters())
run = fb.train(sys.argv[1], [pair], overwrite=True, lr=1e-12, **options)
assert all(torch.allclose(w, old[k], atol=1e-6) for k, w in run.model.net.named_parameters())
if not second:
    fb.Model.load(sys.argv[1])
print(run.stopped_because)
"""


@pytest.mark.parametrize(
    ("what", "words"),
    [
        (CLOCKS, "all 1 epochs done"),
        (NAN, "told: the loss became nan"),
        (LOOKS_ON, "all 1 epochs done"),
        (DISK, "all 1 epochs done"),
        (REPLACES, "all 1 epochs done"),
    ],
    ids=["clocks", "nan", "looks on", "disk", "replaces"],
)
def test_what_one_process_meets_is_no_end_of_the_others(what, words, tmp_path):
    script = tmp_path / "train.py"
    script.write_text(BEGIN + what)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run")], capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert words in done.stdout
    assert json.loads((tmp_path / "run" / "run.json").read_text())["ending"] is not None


GIVEN = """
import numpy as np
from fijibridge.nn.losses import Loss
sizes = [int(n) for n in sys.argv[2].split(",")]
def batches():
    for first, size in zip(range(0, 100, 10), sizes):
        numbers = np.arange(first, first + size, dtype=np.float32)[:, None, None] + 1
        yield np.ones((size, 1, 32, 32), np.float32), np.ones((size, 32, 32), int), numbers * np.ones((1, 32, 32))
learnt = []
def loss(output, y, weight):
    if output.requires_grad:
        learnt.append([int(n) for n in weight[:, 0, 0]])
    return Loss()(output, y, weight)
options |= {"batches": len(sizes)}
del options["patch"]
try:
    fb.train(fb.UNet(depth=1, width=4), batches, out=sys.argv[1], loss=loss, **options)
    with open(os.path.join(sys.argv[1], f"learnt {int(second)}.json"), "w") as file:
        print(learnt, file=file)
except TrainingError as error:
    print("told:", error)
"""


def _given(tmp_path, sizes):
    script = tmp_path / "train.py"
    script.write_text(BEGIN + GIVEN)
    return subprocess.run(
        [sys.executable, str(script), str(tmp_path / "run"), sizes], capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip


def test_each_device_learns_its_share_of_anyones_batches(tmp_path):
    done = _given(tmp_path, "4,2,6")
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / "run" / f"learnt {n}.json").read_text()) for n in (0, 1))
    assert first == [[1, 3], [11], [21, 23, 25]]
    assert second == [[2, 4], [12], [22, 24, 26]]


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    done = _given(tmp_path, "4,3")
    assert "told: a batch of 3 patches cannot be shared by 2 devices equally" in done.stdout, done.stderr[-3000:]


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


def test_two_processes_share_the_batches_and_learn_the_same(folder):
    """Two gloo processes on the CPU: the same patches as one, half of each batch in each; one record."""

    def trained_on(devices):
        out = folder / f"run{devices}"
        code = [
            sys.executable, "-m", "fijibridge", "train", str(folder / "images"), "--out", str(out), "--depth=1",
            "--channels=4", "--epochs=2", "--batches=4", "--batch=4", "--patch=32", f"--devices={devices}",
            "--device=cpu", "--no-forecast",
        ]  # fmt: skip
        done = subprocess.run(code, capture_output=True, text=True, timeout=280, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count("Model and record in") == 1
        return json.loads((out / "run.json").read_text()), pd.read_csv(out / "history.csv")

    (one, first), (two, second) = trained_on(1), trained_on(2)
    assert (one["settings"]["world"], two["settings"]["world"]) == (1, 2)
    assert "all 2 epochs done" in two["stopped_because"]
    # batch normalisation sees half of the batch, so that losses are near and not equal
    np.testing.assert_allclose(first["train_loss"], second["train_loss"], rtol=0.15)
    np.testing.assert_allclose(first["val_loss"], second["val_loss"], rtol=0.25)
