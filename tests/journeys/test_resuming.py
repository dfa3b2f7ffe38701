"""A run that was broken off and goes on ends as one that never was."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch

from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.model import Model
from fijibridge.nn.training import train
from fijibridge.nn.training.checkpoints import LAST
from fijibridge.nn.unet import UNet
from tests.nn.observers import Interrupting

SETTINGS = {"forecast": False, "epochs": 4, "batches": 6, "batch": 4, "patch": (32, 32)}

SCRIPT = """
import sys, torch
import fijibridge as fb
torch.set_num_threads(1)
tissue = fb.synthetic_epithelium((64, 80), cell_size=16, seed=1)
pair = (tissue.image, fb.membrane_target(tissue.labels, 3))
class Slow:
    def progress(self, step, steps):
        print("step", step, flush=True)
    def metrics(self, epoch, values):
        print("epoch", epoch, flush=True)
torch.manual_seed(0)
net = fb.UNet(depth=1, width=4, dropout=0.2)
run = fb.train(net, [pair], validation=[pair], out=sys.argv[1], resume=sys.argv[2] == "resume", observers=[Slow()],
               forecast=False, epochs=4, batches=6, batch=4, patch=(32, 32), save_minutes=1e-9, ema=0.9)
print(run.stopped_because)
"""


def pair():
    tissue = synthetic_epithelium((64, 80), cell_size=16, seed=1)
    return tissue.image, membrane_target(tissue.labels, 3)


def small_net(**options):
    torch.manual_seed(0)
    return UNet(depth=1, width=4, **options)


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


@pytest.fixture(scope="module")
def whole(warm_python, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    warm_python.run(SCRIPT, folder, "anew")
    return folder


@pytest.mark.parametrize("step", [1, 6, 9, 23])
def test_killed_at_any_step_and_resumed_it_ends_with_the_same_weights(warm_python, whole, tmp_path, step):
    folder = tmp_path / "run"
    training = warm_python.start(SCRIPT, folder, "anew")
    for line in training.lines():
        if line == f"step {step}":
            time.sleep(0.002 * step)  # somewhere within saving or the next step
            os.kill(training.pid, signal.SIGKILL)
            break
    assert training.wait().returncode == -signal.SIGKILL
    if not (folder / LAST).is_file():
        assert step == 1  # it may be killed before its first checkpoint is there
        return
    for broken in folder.glob("*.csv"):
        pd.read_csv(broken)
    torch.load(folder / LAST, weights_only=True)
    assert "all 4 epochs done" in warm_python.run(SCRIPT, folder, "resume").stdout
    expected, found = Model.load(whole), Model.load(folder)
    assert same_weights(expected.net, found.net)
    columns = ["epoch", "train_loss", "val_loss", "lr"]
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "history.csv")[columns], pd.read_csv(whole / "history.csv")[columns]
    )


def stopped(tmp_path, at=9):
    """A run that was stopped in its second epoch."""
    folder = tmp_path / "run"

    class Stop:
        def progress(self, step, steps):
            if step == at:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)

        def metrics(self, epoch, values):
            pass

    run = train(small_net(), [pair()], out=folder, observers=[Stop()], **SETTINGS)
    assert "interrupted by Ctrl-C after" in run.stopped_because
    return folder


def test_stopped_by_hand_and_resumed(tmp_path):
    folder = stopped(tmp_path)
    again = train(small_net(), [pair()], out=folder, resume=True, **SETTINGS)
    never = train(small_net(), [pair()], **SETTINGS)
    assert same_weights(again.model.net, never.model.net)
    assert again.history["epoch"].tolist() == [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(again.history["train_loss"], never.history["train_loss"])
    assert not (folder / LAST).exists()
    with pytest.raises(TrainingError, match=r"contains no last\.ckpt"):
        train(small_net(), [pair()], out=folder, resume=True, **SETTINGS)


def test_resumed_with_the_network_that_was_stopped(tmp_path):
    """Which was handed back in evaluation mode."""
    folder = stopped(tmp_path)
    again = train(small_net().eval(), [pair()], out=folder, resume=True, **SETTINGS)
    assert same_weights(again.model.net, train(small_net(), [pair()], **SETTINGS).model.net)


def test_what_was_broken_off_is_not_lost_by_beginning_anew(tmp_path):
    folder = stopped(tmp_path)
    (folder / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match="resume=True"):
        train(small_net(), [pair()], out=folder, **SETTINGS)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"lr": 1e-3}, "lr: 0.003 then, 0.001 now"),
        ({"epochs": 9}, "epochs: 4 then, 9 now"),
        ({"seed": 1}, "seed: 0 then"),
    ],
)
def test_other_settings_are_refused(tmp_path, changes, words):
    folder = stopped(tmp_path)
    with pytest.raises(TrainingError, match=words):
        train(small_net(), [pair()], out=folder, resume=True, **(SETTINGS | changes))


def test_other_images_are_refused(tmp_path):
    folder = stopped(tmp_path)
    image, target = pair()
    with pytest.raises(TrainingError, match="fingerprint"):
        train(small_net(), [(image.copy(data=image.values[::-1]), target)], out=folder, resume=True, **SETTINGS)


def own_augmentation():
    def mine(x, y, weight, rng):
        return x, y, weight

    return mine


class Own:
    def __call__(self, x, y, weight, rng):
        return x, y, weight


@pytest.mark.parametrize("make", [own_augmentation, Own])
@pytest.mark.parametrize("how", ["augment", "augmentation"])
def test_an_augmentation_of_ones_own_is_known_again(tmp_path, make, how):
    """By its name: it lies elsewhere in the memory of another process."""

    def options():
        custom = make()
        given = {"custom": custom} if how == "augment" else Augmentation(custom=custom)
        return SETTINGS | {"batches": 2, "epochs": 2, "out": tmp_path / "run", how: given}

    train(small_net(), [pair()], observers=[Interrupting(3)], **options())
    kept = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    name = "Own" if make is Own else "own_augmentation.<locals>.mine"
    assert kept["augmentation"]["custom"] == f"{__name__}.{name}"
    assert "all 2 epochs done" in train(small_net(), [pair()], resume=True, **options()).stopped_because


def test_auto_begins_where_there_is_nothing(tmp_path):
    run = train(small_net(), [pair()], out=tmp_path / "new", resume="auto", **SETTINGS)
    assert "all 4 epochs done" in run.stopped_because
    with pytest.raises(TrainingError, match="expected True, False or 'auto'"):
        train(small_net(), [pair()], out=tmp_path / "new", resume="maybe", **SETTINGS)


class Evil:
    def __reduce__(self):
        return os.system, ("touch executed",)


@pytest.mark.parametrize("kind", ["code", "garbage", "cut short", "another"])
def test_a_checkpoint_that_is_no_checkpoint(tmp_path, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = stopped(tmp_path)
    file = folder / LAST
    if kind == "code":
        torch.save({"fijibridge": {}, "state_dict": Evil()}, file)
        words = "contains more than weights and numbers"
    elif kind == "garbage":
        file.write_bytes(pickle.dumps({"a": 1})[:10])
        words = "cannot be read as a checkpoint|contains more than"
    elif kind == "cut short":
        file.write_bytes(file.read_bytes()[:-2000])
        words = "cannot be read as a checkpoint"
    else:
        torch.save({"state_dict": {}}, file)
        words = "is not a checkpoint of a fijibridge training"
    with pytest.raises(TrainingError, match=words):
        train(small_net(), [pair()], out=folder, resume=True, **SETTINGS)
    assert not (tmp_path / "executed").exists()


def test_a_full_disk_costs_the_checkpoint_and_not_the_run(tmp_path, monkeypatch):
    real = torch.save
    calls = []

    def full(value, path, *args, **kwargs):
        calls.append(path)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        return real(value, path, *args, **kwargs)

    monkeypatch.setattr(torch, "save", full)
    with pytest.warns(FijiBridgeWarning, match="No space left on device"):
        run = train(small_net(), [pair()], out=tmp_path / "run", **SETTINGS)
    assert "all 4 epochs done" in run.stopped_because
    assert len(calls) > 2
    assert not [f for f in (tmp_path / "run").iterdir() if f.name.startswith(".")]


def test_a_full_disk_at_the_end_leaves_the_run_in_hand(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fijibridge.nn.model.save_file", full)
    with pytest.warns(FijiBridgeWarning, match="could not be written"):
        run = train(small_net(), [pair()], out=tmp_path / "run", **SETTINGS)
    assert "No space left" in run.unsaved
    monkeypatch.undo()
    run.save(tmp_path / "elsewhere")
    assert run.unsaved is None
    assert same_weights(Model.load(tmp_path / "elsewhere").net, run.model.net)
    assert json.loads((tmp_path / "elsewhere" / "run.json").read_text())["ending"]["looks_like"]
    shutil.rmtree(tmp_path / "elsewhere")
