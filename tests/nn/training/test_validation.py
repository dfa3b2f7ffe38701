"""Cells and pictures of validation images."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.nn.model import Model
from fijibridge.nn.prediction import predict
from fijibridge.nn.training import train
from fijibridge.nn.unet import UNet
from tests.trained import QUICK, small_net


def test_cells_are_counted_and_the_best_epoch_is_kept(tissue, pair):
    calls = []

    def segment(prob):
        calls.append(prob.shape)
        return tissue.labels.values if len(calls) == 2 else np.zeros((64, 80), int)

    run = train(
        small_net(), [pair], validation=[pair], segment=segment, metric="val_f1", patience=2, **(QUICK | {"epochs": 9})
    )
    f1 = run.history["val_f1"].tolist()
    assert f1[0] == 0
    assert f1[1] > 0.3  # the second time: the true cells, which are larger than what is between membranes
    assert f1[2:] == [0, 0]
    assert "early stop after 3 of 9 epochs: val_f1 did not improve for 2 epochs" in run.stopped_because
    assert run.ending.best_epoch == 1
    assert run.matches[-1]["image"] == "total"
    assert run.matches[-1]["f1"] == f1[1], "of the network that is kept"


def test_cells_that_are_counted_before_the_first_step_only(pair, tmp_path):
    calls = []

    def segment(prob):
        calls.append(prob.shape)
        return np.where(np.arange(80) < 40, 1, len(calls)) * np.ones((64, 80), int)

    options = {"validation": [pair], "metric": "val_f1", "cells_every": 9, "segment": segment, "out": tmp_path}
    run = train(small_net(), [pair], **options, **QUICK)
    assert run.history["val_f1"].isna().tolist() == [False, True, True]
    assert "all 2 epochs done" in run.stopped_because
    assert run.ending.metric == "val_loss"
    assert Model.load(tmp_path).notes["epochs"] == 2
    assert run.matches[-1]["predicted"] == 2, "of the last epoch, whose weights are kept"


def test_membranes_are_the_class_of_that_name(pair, tmp_path):
    """A network sees membrane everywhere; membranes are class 0 in the truth."""
    image, target = pair
    net = small_net()
    with torch.no_grad():
        net.head.weight[:] = 0
        net.head.bias[:] = torch.tensor([9.0, -9.0])
    turned = [(image, 1 - target)]
    options = {"metric": "val_f1", "classes": ("membrane", "cell"), "out": tmp_path}
    run = train(net, turned, validation=turned, **options, **(QUICK | {"epochs": 0}))
    cells = label_cells((target == 1).astype(np.float32), "threshold", grow=False)
    assert (run.matches[-1]["GT"], run.matches[-1]["predicted"]) == (cells.max(), 0)
    assert cells.max() > 10
    assert (run.picture.sel(c="membrane") > 0.99).all()


def test_what_fails_after_the_last_epoch_does_not_cost_the_model(pair, tmp_path):
    calls = []

    def segment(prob):
        calls.append(prob.shape)
        if len(calls) > 1:
            raise ValueError("my segmentation has a bug")
        return np.zeros((64, 80), int)

    options = {"validation": [pair], "cells_every": 9, "segment": segment, "out": tmp_path}
    with pytest.raises(ValueError, match="my segmentation has a bug"):
        train(small_net(), [pair], **options, **QUICK)
    assert Model.load(tmp_path).notes["epochs"] == 2
    assert "all 2 epochs done" in json.loads((tmp_path / "run.json").read_text())["stopped_because"]


def test_the_validation_picture(pair):
    class Watcher:
        pictures = []  # noqa: RUF012

        def progress(self, step, steps):
            pass

        def metrics(self, epoch, values):
            pass

        def picture(self, epoch, image, prob):
            self.pictures.append((epoch, image.shape, prob.sizes["c"]))

    run = train(small_net(), [pair], validation=[pair], observers=[Watcher()], **QUICK)
    first, *_, last = Watcher.pictures
    assert first == (1, (64, 80), 2)
    assert last == (run.ending.best_epoch, (64, 80), 2)
    prob = predict(run.model, pair[0])
    np.testing.assert_array_equal(run.picture.sel(c="membrane").values, prob.sel(c="membrane").values)
    np.testing.assert_array_equal(run.picture.sel(c="image").values, pair[0].values.astype(np.float32))


def test_validation_looks_at_the_same_patches_after_each_epoch(pair):
    """A network that hardly learns has hardly another loss: what else would change are the patches."""
    torch.manual_seed(0)
    net = UNet(depth=1, width=4, norm="none")
    large = synthetic_epithelium((200, 240), cell_size=16, photons=400, seed=2)
    watched = (large.image, membrane_target(large.labels, 3))
    run = train(net, [pair], validation=[watched], lr=1e-9, schedule="constant", **(QUICK | {"epochs": 3}))
    assert np.ptp(run.history["val_loss"].iloc[1:]) < 1e-6
