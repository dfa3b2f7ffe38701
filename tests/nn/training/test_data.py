"""Training data from a folder: pixel labels or cell labels, and the weight of each pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import DatasetError, FijiBridgeWarning, TrainingError
from fijibridge.files import write_image
from fijibridge.nn.training.data import read_pairs
from fijibridge.nn.training.settings_schema import Settings

QUICK = {"epochs": 1, "batches": 2, "batch": 2, "patch": (32, 32), "forecast": False}
VALUES = 'values.classes = {0 = "cell", 100 = "membrane", 200 = "ignore"}\n'


def net(**more):
    torch.manual_seed(0)
    return fb.UNet(depth=1, width=4, **more)


@pytest.fixture
def folder(tmp_path):
    """Two images, the first of which has thick membranes and an unknown corner as pixel labels."""
    for number, name in enumerate("ab"):
        tissue = synthetic_epithelium((64, 80), cell_size=16, photons=400, seed=number)
        pixels = np.where(np.asarray(fb.membrane_target(tissue.labels, 7)) == 1, 100, 0).astype(np.uint8)
        pixels[:10, :10] = 200
        write_image(tissue.image, tmp_path / f"{name}_image.tif")
        write_image(tissue.labels, tmp_path / f"{name}_labels.tif")
        write_image(tissue.image.copy(data=pixels), tmp_path / f"{name}_pixels.tif")
    return tmp_path


def described(folder, *roles, split=""):
    lines = {"labels": 'labels = "{name}_labels.tif"\n', "classes": 'classes = "{name}_pixels.tif"\n' + VALUES}
    text = 'image = "*_image.tif"\n' + "".join(lines[role] for role in roles) + split
    (folder / "dataset.toml").write_text(text)
    return fb.Dataset.open(folder)


def targets(data, **settings):
    pairs = read_pairs(data, (), Settings.of(**settings), net().traits)
    return [np.asarray(pair[1]) for pair in pairs.learnt.values()]


def test_pixel_labels_are_learnt_where_there_are_some(folder):
    data = described(folder, "labels", "classes")
    of_pixels, of_cells = targets(data)[0], targets(data, target="labels", membrane_width=3)[0]
    stored = data["a"].classes().values
    assert (of_pixels == stored).all()
    assert (of_pixels == IGNORE).sum() == 100
    inside = of_cells != IGNORE
    assert (of_cells == 1).sum() < (of_pixels == 1).sum()
    assert (of_cells[inside] == np.asarray(fb.membrane_target(data["a"].labels(), 3))[inside]).all()


def test_a_folder_with_pixel_labels_only(folder):
    data = described(folder, "classes", split='[split]\nvalidation = ["b"]\n')
    run = fb.train(net(), data, **(QUICK | {"metric": "val_f1"}))
    assert run.history["val_f1"].notna().any()
    assert fb.plan(net(), data, patch=(32, 32), probe=False).patches > 0
    with pytest.raises(DatasetError, match="names no labels"):
        fb.train(net(), data, target="labels", **QUICK)
    with pytest.raises(TrainingError, match="border_weight requires cell labels, but a has none"):
        fb.train(net(), data, border_weight={}, **QUICK)
    with pytest.raises(TrainingError, match="distance requires cell labels"):
        fb.train(net(heads=("distance",)), data, **QUICK)


def test_a_folder_with_cell_labels_only(folder):
    data = described(folder, "labels")
    with pytest.raises(DatasetError, match="names no pixel labels"):
        fb.train(net(), data, target="classes", **QUICK)


def test_the_border_weights_of_a_folder_leave_no_pixel_out(folder):
    data = described(folder, "labels", "classes")
    plain, weighed = (
        read_pairs(data, (), Settings.of(border_weight=b), net().traits).learnt for b in (None, {"w0": 5})
    )
    assert all(len(pair) == 2 for pair in plain.values())
    known = [np.asarray(target) != IGNORE for _, target, _ in weighed.values()]
    weights = [weight for *_, weight in weighed.values()]
    assert all((w[k] > 0).all() and (w[~k] == 0).all() for w, k in zip(weights, known, strict=True))
    ids = [np.asarray(target) for _, target, _ in weighed.values()]
    balance = fb.class_weights(ids)
    for weight, target in zip(weights, ids, strict=True):
        assert np.allclose(weight[target == 0], balance[0])  # inside cells there is no border term
        assert (weight[target == 1] >= balance[1]).all()
        assert weight[target == 1].max() > balance[1] + 1


def test_training_with_border_weights_finds_the_cells(folder):
    """A map that weighs nothing inside cells teaches nothing about them: everything becomes membrane."""
    data = described(folder, "labels", split='[split]\nvalidation = ["b"]\n')
    settings = QUICK | {"epochs": 6, "batches": 25, "batch": 4, "border_weight": {"w0": 5}, "seed": 1}
    run = fb.train(fb.UNet(depth=2, width=8), data, **settings)
    image, truth = data["b"].image(), data["b"].labels()
    f1 = fb.match_labels(truth, fb.label_cells(fb.predict(run.model, image), "threshold")).f1
    assert f1 > 0.7


def test_weights_of_nothing_are_told(folder):
    data = described(folder, "labels", "classes")
    image, labels, target = data["a"].image(), data["a"].labels(), data["a"].target(2, "labels")
    with pytest.warns(FijiBridgeWarning, match=r"% of the known pixels have weight 0"):
        fb.train(net(), [(image, target, fb.weight_map(labels, target=target))], **QUICK)
