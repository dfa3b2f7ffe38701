from __future__ import annotations

import json
import os
import signal
import time

import numpy as np
import pandas as pd
import pytest
import torch

import fijibridge as fb
from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.errors import DatasetError, DeviceError, FijiBridgeWarning, TrainingError
from fijibridge.files import write_image
from fijibridge.nn.model import Model
from fijibridge.nn.prediction import predict
from fijibridge.nn.training import train
from fijibridge.nn.unet import UNet


def small_net() -> UNet:
    torch.manual_seed(0)
    return UNet(depth=2, width=8)


@pytest.fixture(scope="module")
def pair():
    tissue = synthetic_epithelium((96, 112), cell_size=16, photons=400, weak_membranes=0, seed=1)
    return tissue.image, membrane_target(tissue.labels, 3)


class Watcher:
    def __init__(self):
        self.steps, self.epochs = [], {}

    def progress(self, step, steps):
        self.steps.append((step, steps))

    def metrics(self, epoch, values):
        self.epochs[epoch] = values


@pytest.fixture(scope="module")
def run(pair, tmp_path_factory):
    watcher = Watcher()
    out = tmp_path_factory.mktemp("run")
    done = train(small_net(), [pair], epochs=4, batches=30, patch=(64, 64), out=out, observers=[watcher])
    return done, watcher


def test_it_learns_and_unseen_cells_are_found(run, pair):
    done, _ = run
    losses = done.history["train_loss"]
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]
    unseen = synthetic_epithelium((96, 112), cell_size=16, photons=400, weak_membranes=0, seed=2)
    cells = label_cells(predict(done.model, unseen.image), "watershed", min_size=10)
    trained = match_labels(unseen.labels, cells).f1
    fresh = Model(small_net(), ("other", "membrane"))
    untrained = match_labels(unseen.labels, label_cells(predict(fresh, unseen.image), "watershed", min_size=10)).f1
    assert trained > 0.7
    assert not untrained > 0.3


def test_the_record(run):
    done, watcher = run
    assert done.stopped_because == "all 4 epochs done"
    assert done.history["epoch"].tolist() == [0, 1, 2, 3, 4]
    record = json.loads((done.path / "run.json").read_text())
    assert record["stopped_because"] == done.stopped_because
    assert record["settings"]["patch"] == [64, 64]
    assert record["history"][0]["val_loss"] is None
    assert pd.read_csv(done.path / "history.csv")["train_loss"].tolist() == pytest.approx(
        done.history["train_loss"].tolist()
    )
    assert watcher.steps[-1] == (120, 120)
    assert set(watcher.epochs) == {0, 1, 2, 3, 4}
    assert Model.load(done.path).pixel_size == {"y": 0.2, "x": 0.2}


def test_same_seed_same_weights(pair):
    def weights(seed):
        net = small_net()
        train(net, [pair], epochs=1, batches=3, patch=(32, 32), seed=seed)
        return net.head.weight.detach().clone()

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_no_epoch_no_change(pair):
    net = small_net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    run = train(net, [pair], epochs=0)
    assert "0" in run.stopped_because
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


def test_early_stop_says_why_and_keeps_the_best(pair):
    """Validation on targets turned upside down gets worse as the training learns."""
    image, target = pair
    run = train(
        small_net(), [pair], validation=[(image, 1 - target)], epochs=30, batches=6, patch=(32, 32), patience=2
    )  # fmt: skip
    assert "early stop" in run.stopped_because
    assert "patience" in run.stopped_because
    best = int(run.history["val_loss"].iloc[1:].idxmin())
    assert f"at epoch {best}" in run.stopped_because
    assert len(run.history) - 1 == best + 2 < 30


class Impatient(Watcher):
    """Presses Ctrl-C at the fifth step."""

    def __init__(self, presses):
        super().__init__()
        self.presses = presses

    def progress(self, step, steps):
        super().progress(step, steps)
        if step == 5:
            for _ in range(self.presses):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.3)  # as quick as a user is


def test_a_second_ctrl_c_is_a_keyboard_interrupt_and_not_the_end_of_python(pair):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(small_net(), [pair], epochs=50, batches=10, patch=(32, 32), observers=[Impatient(presses=2)])
    assert signal.getsignal(signal.SIGINT) is handler


def test_ctrl_c_ends_the_run_and_not_the_session(pair):
    impatient = Impatient(presses=1)
    handler = signal.getsignal(signal.SIGINT)
    run = train(small_net(), [pair], epochs=50, batches=10, patch=(32, 32), observers=[impatient])
    assert "interrupted by Ctrl-C" in run.stopped_because
    assert max(step for step, _ in impatient.steps) <= 6, "it ends after the current step"
    assert signal.getsignal(signal.SIGINT) is handler
    assert predict(run.model, pair[0]).shape == (2, 96, 112)


def test_a_diverging_loss_is_an_error(pair):
    def broken(output, y, weight):
        return output.mean() * float("nan")

    with pytest.raises(TrainingError, match="lower lr"):
        train(small_net(), [pair], epochs=1, batches=2, patch=(32, 32), loss=broken)
    with pytest.raises(TrainingError, match="image 0: the weight contains negative, infinite or NaN"):
        train(small_net(), [(*pair, np.full(pair[0].shape, np.nan))], epochs=1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"data": []}, "nothing to train on"),
        ({"patch": (30, 32)}, r"each a multiple of 4 \(2\*\*depth\); the nearest: 28 or 32 in place of 30$"),
        ({"patch": (2, 33)}, "the nearest: 4 in place of 2, 32 or 36 in place of 33"),
        ({"patch": (32,)}, "2 sides"),
        ({"classes": ["a"]}, "2 classes, but got 1"),
        ({"patience": 3}, "validation"),
        ({"lr": -1}, "lr is -1"),
        ({"lr": 0}, "lr is 0"),
        ({"data": "images/"}, r"got the path 'images/'.*Dataset\.open"),
        ({"data": None}, "got a NoneType"),
        ({"validation": [1]}, "validation image 0 is a int"),
        ({"patch": (40000, 40000)}, r"needs at least \d+ GiB, .* has .* GiB: lower the patch 40000 x 40000"),
    ],
)
def test_bad_input(pair, arguments, words):
    with pytest.raises(TrainingError, match=words):
        train(small_net(), **{"data": [pair], "epochs": 1, **arguments})


def test_a_pair_without_its_list(pair):
    with pytest.raises(TrainingError, match=r"image 0 is a DataArray; expected a list .*\[\(image, target\)\]"):
        train(small_net(), pair, epochs=1)
    with pytest.raises(TrainingError, match="image 0 consists of 1 arrays"):
        train(small_net(), [pair[:1]], epochs=1)


def test_a_device_that_is_not_there(pair):
    with pytest.raises(DeviceError, match="unknown device 'gpu'"):
        train(small_net(), [pair], epochs=1, device="gpu")


def test_a_finished_run_is_not_lost(pair, tmp_path):
    train(small_net(), [pair], epochs=0, out=tmp_path, patch=(32, 32))
    before = (tmp_path / "run.json").read_bytes()
    with pytest.raises(TrainingError, match=r"contains a finished run.*overwrite=True, --overwrite"):
        train(small_net(), [pair], epochs=0, out=tmp_path, patch=(64, 64))
    assert (tmp_path / "run.json").read_bytes() == before
    train(small_net(), [pair], epochs=0, out=tmp_path, patch=(64, 64), overwrite=True)
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["patch"] == [64, 64]


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate("ab"):
        tissue = synthetic_epithelium((48, 64), cell_size=16, seed=seed)
        write_image(tissue.image, tmp_path / f"{name}_image.tif")
        write_image(tissue.labels, tmp_path / f"{name}_labels.tif")
    return tmp_path


def train_on(folder):
    data = fb.Dataset.from_patterns(folder, image="*_image.tif", labels="{name}_labels.tif")
    return train(small_net(), data, epochs=0, patch=(32, 32))


def test_files_that_do_not_fit_are_named(folder):
    image = fb.Dataset.from_patterns(folder, image="*_image.tif")["b"].image()
    write_image(image[:-4], folder / "b_image.tif")
    with pytest.raises(ValueError, match=r"b_image\.tif and b_labels\.tif: image has shape \(44, 64\)"):
        train_on(folder)
    write_image(fb.as_image(np.stack([image.values] * 3), "cyx", pixel_size=0.2), folder / "b_image.tif")
    with pytest.raises(TrainingError, match=r"b_image\.tif has 3 channel\(s\), but the network expects 1"):
        train_on(folder)


def test_missing_labels_are_found_before_anything_is_read(folder):
    (folder / "b_labels.tif").unlink()
    (folder / "a_image.tif").write_bytes(b"unreadable")
    with pytest.raises(DatasetError, match=r"missing.*b_labels\.tif"):
        train_on(folder)


def test_channels_that_do_not_fit(pair):
    image, target = pair
    colours = fb.as_image(np.stack([image.values] * 3), "cyx")
    with pytest.raises(TrainingError, match=r"image 1 has 3 channel\(s\), but the network expects 1"):
        train(small_net(), [(image.values, target.values), (colours, target.values)], epochs=1)


def test_a_folder_that_cannot_be_written_costs_no_run(pair, tmp_path):
    (tmp_path / "file").write_text("in the way")
    watcher = Watcher()
    with pytest.raises(TrainingError, match="cannot write"):
        train(small_net(), [pair], epochs=1, batches=2, patch=(32, 32), out=tmp_path / "file", observers=[watcher])
    assert not watcher.steps


def test_numbers_of_numpy_in_the_settings(pair, tmp_path):
    size = np.array([32, 32])
    train(small_net(), [pair], epochs=np.int64(1), batches=2, patch=size, lr=np.float32(0.001), out=tmp_path)
    assert json.loads((tmp_path / "run.json").read_text())["settings"]["patch"] == [32, 32]


def test_images_of_different_scale_are_told(pair):
    image, target = pair
    fine = fb.as_image(image, pixel_size=0.1)
    with pytest.warns(FijiBridgeWarning, match="differ in scale"):
        run = train(small_net(), [(image, target), (fine, target.values)], epochs=0)
    assert run.model.pixel_size["x"] == pytest.approx(0.15)
    with pytest.warns(FijiBridgeWarning, match=r"trained on 0\.15"):
        predict(run.model, fb.as_image(image, pixel_size=1.0))


def test_labels_passed_as_a_target(pair):
    image, target = pair
    with pytest.raises(TrainingError, match="membrane_target"):
        train(small_net(), [(image, target + 7)], epochs=1)
    with pytest.raises(TrainingError, match="membrane_target"):
        train(small_net(), [(image, target * 0.5)], epochs=1)


def test_image_and_target_of_different_shape(pair):
    image, target = pair
    with pytest.raises(ValueError, match="shape"):
        train(small_net(), [(image, target[:-4])], epochs=1)
