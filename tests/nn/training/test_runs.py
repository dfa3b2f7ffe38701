"""Runs while they train, and folders of older runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from scipy import ndimage

from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import IGNORE, membrane_target
from fijibridge.errors import TrainingError
from fijibridge.nn.model import Model
from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.prediction import predict
from fijibridge.nn.training import Settings, train
from fijibridge.nn.training.checkpoints import LAST
from fijibridge.record import read_record
from tests.trained import QUICK, small_net

SETTINGS = {"forecast": False, "epochs": 2, "batches": 4, "batch": 2, "patch": (16, 16)}


@pytest.fixture(scope="module")
def pair():
    tissue = synthetic_epithelium((48, 48), cell_size=16, seed=1)
    return tissue.image, membrane_target(tissue.labels, 3)


class Observer:
    def progress(self, step, steps):
        pass

    def metrics(self, epoch, values):
        pass


def test_a_run_that_goes_on_is_predicted_with_without_changing_how_it_learns(pair):
    """Prediction sets its network to evaluation: were it the one that learns, steps would be taken like that."""
    net, began, seen = small_net(), threading.Event(), threading.Event()

    class Waits(Observer):
        def progress(self, step, steps):
            began.set()
            assert seen.wait(60)

    run = train(net, [pair], background=True, observers=[Waits()], **SETTINGS)
    assert began.wait(60)
    modes = []
    model = run.model
    model.net.register_forward_hook(lambda *_: modes.append(net.training))
    predict(model, pair[0], device="cpu")
    seen.set()
    assert modes
    assert all(modes)
    assert run.wait().model.net is net


def test_an_overwritten_run_is_not_gone_on_with(pair, tmp_path):
    class Stops(Observer):
        def progress(self, step, steps):
            if step == 6:
                raise KeyboardInterrupt

    class Fails(Observer):
        def metrics(self, epoch, values):
            raise LookupError("as if killed before the first checkpoint")

    out = tmp_path / "run"
    train(small_net(), [pair], out=out, observers=[Stops()], **SETTINGS)
    assert (out / LAST).is_file()
    with pytest.raises(LookupError):
        train(small_net(), [pair], out=out, overwrite=True, observers=[Fails()], lr=1e-5, **SETTINGS)
    assert len(read_record(out).history) <= 1
    with pytest.raises(TrainingError, match=r"contains no last\.ckpt"):
        train(small_net(), [pair], out=out, resume=True, observers=[], lr=1e-5, **SETTINGS)


def test_settings_as_an_object_say_no_more_than_was_said(pair):
    """A warm start supplies the settings that are left out, as if they were given by name."""
    names = ("inside", "wall")
    first = train(small_net(), [pair], classes=names, observers=[], **SETTINGS)
    for said in (Settings(**SETTINGS), Settings.of(**SETTINGS)):
        assert train(first, [pair], settings=said, observers=[]).model.classes == names
    assert Settings.of(Settings(metric="val_f1"), metric="val_loss").cells_every is None


def test_a_precision_that_a_cpu_does_not_have(pair):
    """It is told before anything is read: what is given is not looked at."""
    for data in ([pair], [("no", "pair")]):
        with pytest.raises(TrainingError, match="precision '16' requires a GPU"):
            train(small_net(), data, precision="16", device="cpu", observers=[], **SETTINGS)


def test_targets_of_several_channels_are_counted_by_their_class_ids(pair):
    image, target = pair
    tissue = synthetic_epithelium((48, 48), cell_size=16, seed=1)
    both = np.stack([target, tissue.labels]).astype(np.float32)
    both[0, :8] = IGNORE
    run = train(
        small_net(heads=("affinity",)), [(image, both)], validation=[(image, both)], metric="val_f1", observers=[],
        **SETTINGS,
    )  # fmt: skip
    assert run.history["val_f1"].notna().all()
    assert run.matches[-1]["GT"] > 0


def test_a_sampler_is_where_it_was_before_the_training(pair):
    image, target = (np.asarray(array) for array in pair)
    sampler = PatchSampler([Sample(image[None].astype(np.float32), target)], (16, 16), batch=2, batches=5)
    train(small_net(), sampler, epochs=1, observers=[], forecast=False)
    assert len(list(sampler)) == 5


@pytest.mark.parametrize(("classes", "often"), [(("membrane", "cell"), True), (("cell", "membrane"), False)])
def test_patches_near_membranes_are_near_the_class_of_that_name(monkeypatch, classes, often):
    """Class 0 is a narrow strip that few patches would hold by chance."""
    target = np.ones((128, 128), np.uint8)
    target[:, 60:64] = 0
    image = target + np.random.default_rng(0).normal(0, 0.1, target.shape).astype(np.float32)
    held = []
    cut = PatchSampler.cut

    def looked_at(self, epoch, number):
        batch = cut(self, epoch, number)
        held.extend(bool((y == 0).any()) for y in batch[1])
        return batch

    monkeypatch.setattr(PatchSampler, "cut", looked_at)
    settings = SETTINGS | {"epochs": 1, "batch": 16, "batches": 8, "sampling": "membranes", "classes": classes}
    train(small_net(), [(image, target)], observers=[], **settings)
    assert (np.mean(held) > 1 / 3) == often


def test_targets_that_have_nothing_to_do_with_an_image_are_not_called_turned():
    """In a patch or two a turned image explains such a target better by chance, so that a training was refused."""
    rng = np.random.default_rng(0)
    image = ndimage.gaussian_filter(rng.normal(size=(200, 200)), 2).astype(np.float32)
    target = (ndimage.gaussian_filter(rng.normal(size=(200, 200)), 4) > 0).astype(np.uint8)
    for seed in range(5):
        few = SETTINGS | {"epochs": 0, "batch": 1, "batches": 16, "patch": (32, 32)}
        train(small_net(), [(image, target)], seed=seed, observers=[], **few)


@pytest.mark.parametrize(("wrong", "words"), [({"devices": 0}, "devices is 0"), ({"loss": 5}, "loss is a int")])
def test_arguments_that_make_no_sense(pair, wrong, words):
    with pytest.raises(TrainingError, match=words):
        train(small_net(), [pair], observers=[], **wrong, **SETTINGS)


def test_in_the_background_python_goes_on_and_the_run_can_be_stopped(pair):
    going = threading.Event()

    class Watcher:
        def progress(self, step, steps):
            going.set()

        def metrics(self, epoch, values):
            pass

    run = train(small_net(), [pair], background=True, observers=[Watcher()], **(QUICK | {"epochs": 10_000}))
    assert going.wait(60)
    assert run.running
    assert run.stopped_because is None
    with pytest.raises(TimeoutError, match="still running"):
        run.wait(0.01)
    assert predict(run.model, pair[0]).shape == (2, 48, 48)
    run.stop("I have seen enough")
    assert run.wait(60) is run
    assert run.stopped_because.startswith("I have seen enough after")
    assert not run.running
    assert len(run.history) >= 1


def test_an_error_in_the_background_is_raised_by_wait(pair):
    def broken(output, y, weight):
        raise ValueError("my loss has a bug")

    run = train(small_net(), [pair], background=True, loss=broken, **QUICK)
    with pytest.raises(ValueError, match="my loss has a bug"):
        run.wait(60)
    assert not run.running


def test_python_may_end_while_a_run_goes_on(tmp_path):
    code = f"""
import torch, fijibridge as fb
tissue = fb.synthetic_epithelium((64, 80), cell_size=16, seed=1)
net = fb.UNet(depth=1, width=4)
run = fb.train(net, [(tissue.image, fb.membrane_target(tissue.labels, 3))], background=True, out={str(tmp_path)!r},
               epochs=10_000, batches=4, patch=(32, 32), forecast=False)
import time
while len(run.history) < 3: time.sleep(0.05)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "Python ended" in json.loads((tmp_path / "run.json").read_text())["stopped_because"]
    assert Model.load(tmp_path).notes["epochs"] >= 2
