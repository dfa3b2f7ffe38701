"""The verbs of training do what the functions do that they are named after."""

from __future__ import annotations

import threading

import pytest
import torch

import fijibridge as fb
from fijibridge.errors import OptionError, RenamedWarning, TrainingError
from fijibridge.nn.model import Model
from fijibridge.nn.training import Settings
from fijibridge.verbs import Call, Offer, ShowCurves, verb_named
from fijibridge.verbs.prediction import working
from fijibridge.verbs.training import TRAININGS, sides
from tests.verbs.conftest import call


def test_a_folder_without_a_description_says_how_to_get_one(tmp_path):
    with pytest.raises(OptionError, match="Save Training Set makes a folder with one"):
        call("plan", folder=str(tmp_path))


@pytest.fixture
def folder(tissue, tmp_path):
    fb.save_dataset({"a": {"image": tissue.image, "labels": tissue.labels}}, tmp_path / "set", provenance="manual")
    return str(tmp_path / "set")


SMALL = {"epochs": 2, "batches": 3, "batch": 2, "depth": 1, "channels": 4, "patch": "32", "forecast": "false",
         "device": "cpu"}  # fmt: skip


def test_the_defaults_of_train_are_those_of_the_settings():
    train, settings = verb_named("train_u_net"), Settings()
    shared = [p for p in train.parameters if p.name in Settings.model_fields and p.name != "epochs"]
    assert len(shared) == 13
    assert {p.name: p.default for p in shared} == {p.name: getattr(settings, p.name) for p in shared}


def test_train_is_the_training_of_the_function(folder, tmp_path):
    steps, told = [], []
    observed = Call(lambda *n: steps.append(n), told.append)
    given = {"folder": folder, "out": str(tmp_path / "verb"), "seed": "3", "membrane_width": "2", **SMALL}
    curves, said, *offers = call("train_u_net", None, observed, **given)
    torch.manual_seed(3)
    net = fb.UNet(depth=1, width=4)
    run = fb.train(net, fb.Dataset.open(folder), epochs=2, batches=3, batch=2, patch=(32, 32), forecast=False, seed=3,
                   membrane_width=2, device="cpu", observers=[])  # fmt: skip
    made = Model.load(tmp_path / "verb")
    for mine, theirs in zip(made.net.parameters(), run.model.net.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert isinstance(curves, ShowCurves)
    assert list(curves.table) == ["train_loss"]
    assert curves.table["train_loss"].tolist() == run.history["train_loss"].tolist()
    assert said.text.startswith("all 2 epochs done")
    assert offers == [Offer(verb, "model", given["out"]) for verb in ("predict", "predict_folder")]
    assert steps[-1] == (6, 6)
    assert told[-1].startswith("epoch 2: train_loss ")
    assert TRAININGS.running == []


def test_a_run_that_is_there_is_refused_replaced_or_resumed(folder, tmp_path):
    given = {"folder": folder, "out": str(tmp_path / "run"), **SMALL}
    pressed = Call()
    pressed._progress = lambda done, steps: pressed.stop.set() if done >= 4 else None
    _, said, *_ = call("train_u_net", None, pressed, **{**given, "epochs": 40})
    assert said.text.startswith("cancelled by the user after")
    with pytest.raises(OptionError, match="already has a run: set existing=resume to continue it"):
        call("train_u_net", **{**given, "epochs": 40})
    begun = len(fb.read_record(tmp_path / "run").curves)
    _, said, *_ = call("train_u_net", **{**given, "epochs": 40}, existing="resume")
    assert said.text.startswith("all 40 epochs done")
    assert len(fb.read_record(tmp_path / "run").curves) == 41 > begun
    with pytest.raises(OptionError, match="already has a run: set existing=resume to continue it"):
        call("train_u_net", **given)
    _, said, *_ = call("train_u_net", **given, existing="replace")
    assert said.text.startswith("all 2 epochs done")
    small = {key: value for key, value in given.items() if key not in ("depth", "channels")}
    _, said, *_ = call("train_u_net", **{**small, "out": str(tmp_path / "warm")}, start=str(tmp_path / "run"))
    assert said.text.startswith("all 2 epochs done")


def test_stop_training_ends_one_that_goes_on_in_another_thread(folder, tmp_path):
    begun, results = threading.Event(), []
    watched = Call(progress=lambda done, steps: begun.set())
    given = {"folder": folder, "out": str(tmp_path / "run"), **SMALL, "epochs": 10_000}
    thread = threading.Thread(target=lambda: results.extend(call("train_u_net", None, watched, **given)))
    with pytest.raises(TrainingError, match="no training is running"):
        call("stop_training")
    thread.start()
    assert begun.wait(60)
    (said,) = call("stop_training")
    thread.join(60)
    assert said.text == f"the training in {tmp_path / 'run'} will end after its current step, and is then saved"
    assert results[1].text.startswith("stopped by Stop Training")
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_no_epochs_have_no_curves(folder, tmp_path):
    said, *_ = call("train_u_net", folder=str(folder), out=str(tmp_path / "new"), **{**SMALL, "epochs": 0})
    assert said.text.startswith("epochs=0: the network was left as it was")
    assert (tmp_path / "new" / "model.safetensors").exists()


def test_an_error_of_a_training_is_that_of_the_call(folder, tmp_path):
    with pytest.raises(TrainingError, match="multiple of 2"):
        call("train_u_net", folder=folder, out=str(tmp_path / "run"), **{**SMALL, "patch": "31"})
    assert TRAININGS.running == []
    with working(Call(say=pytest.fail), "cpu"):
        pass  # the device is free again


def test_plan_says_what_the_function_says(folder):
    given = {"patch": "32", "stride": "16", "batch": "2", "depth": "1", "channels": "4", "probe": "false",
             "device": "cpu"}  # fmt: skip
    (said,) = call("plan", folder=folder, **given)
    data = fb.Dataset.open(folder)
    made = fb.plan(fb.UNet(depth=1, width=4), data, patch=(32, 32), stride=(16, 16), batch=2, probe=False,
                   device="cpu")  # fmt: skip
    assert said.text == f"{data}\n{made}"


def test_sides_of_patches():
    assert sides("patch", None, 2) is None
    assert sides("patch", "64", 2) == (64, 64)
    assert sides("patch", "64", 3) == (16, 64, 64)
    assert sides("patch", "8", 3) == (8, 8, 8)
    assert sides("patch", "16, 128,64", 3) == (16, 128, 64)
    with pytest.raises(OptionError, match=r"patch is '1\.5'; expected pixels, such as 160 or 16,128,128"):
        sides("patch", "1.5", 2)


def test_the_lists_of_version_0_1_work_and_warn():
    from fijibridge.verbs import training

    for name, kept in (
        ("running", TRAININGS.running),
        ("latest", [] if TRAININGS.latest is None else [TRAININGS.latest]),
    ):
        with pytest.warns(RenamedWarning, match=f"training.{name} was renamed"):
            assert getattr(training, name) == kept
