"""What one may do with a run that goes on, with a folder that is overwritten, and with settings as an object."""

from __future__ import annotations

import threading

import pytest
import torch

from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.errors import TrainingError
from fijibridge.nn.prediction import predict
from fijibridge.nn.training import Settings, train
from fijibridge.nn.training.checkpoints import LAST
from fijibridge.nn.unet import UNet
from fijibridge.record import read_record

SETTINGS = {"forecast": False, "epochs": 2, "batches": 4, "batch": 2, "patch": (16, 16)}


@pytest.fixture(scope="module")
def pair():
    tissue = synthetic_epithelium((48, 48), cell_size=16, seed=1)
    return tissue.image, membrane_target(tissue.labels, 3)


def small_net(**options):
    torch.manual_seed(0)
    return UNet(depth=1, width=4, **options)


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
    with pytest.raises(TrainingError, match=r"holds no last\.ckpt"):
        train(small_net(), [pair], out=out, resume=True, observers=[], lr=1e-5, **SETTINGS)


def test_settings_as_an_object_say_no_more_than_was_said(pair):
    """What it left out comes from the model of a warm start, as if it had been given by name."""
    names = ("inside", "wall")
    first = train(small_net(), [pair], classes=names, observers=[], **SETTINGS)
    for said in (Settings(**SETTINGS), Settings.of(**SETTINGS)):
        assert train(first, [pair], settings=said, observers=[]).model.classes == names
    assert Settings.of(Settings(metric="val_f1"), metric="val_loss").cells_every is None


def test_a_precision_that_a_cpu_does_not_have(pair):
    with pytest.raises(TrainingError, match="precision '16' is for a GPU"):
        train(small_net(), [pair], precision="16", device="cpu", observers=[], **SETTINGS)
