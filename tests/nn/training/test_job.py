"""Networks, images and patches that a training accepts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import fijibridge as fb
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import IGNORE, distance_target
from fijibridge.errors import TrainingError
from fijibridge.files import write_image
from fijibridge.nn.model import Model
from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.prediction import predict
from fijibridge.nn.training import train
from tests.trained import QUICK, small_net


class Own(nn.Module):
    """A network of someone else."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1))

    def forward(self, x):
        return self.layers(x)


def test_a_network_and_a_loss_of_ones_own(pair, tmp_path):
    seen = []

    def own_loss(output, y, weight):
        seen.append(output.shape)
        return nn.functional.cross_entropy(output, y, ignore_index=IGNORE)

    torch.manual_seed(0)
    run = train(Own(), [pair], loss=own_loss, out=tmp_path / "run", **QUICK)
    assert seen[-1] == (4, 2, 32, 32)
    assert run.history["train_loss"].iloc[-1] < run.history["train_loss"].iloc[0]
    loaded = Model.load(tmp_path / "run", net=Own())
    assert np.array_equal(predict(loaded, pair[0]), predict(run.model, pair[0]))
    with pytest.raises(fb.FijiBridgeError, match=r"Own\(\.\.\.\)"):
        Model.load(tmp_path / "run")


def test_valid_convolutions(pair):
    net = small_net(padding="valid")
    run = train(net, [pair], **(QUICK | {"patch": (net.input_size(32),) * 2}))
    assert run.history["train_loss"].notna().all()
    with pytest.raises(TrainingError, match="with valid convolutions such as"):
        train(net, [pair], **(QUICK | {"patch": (33, 33)}))


@pytest.mark.parametrize("heads", [("distance",), ("affinity",), ("distance", "affinity")])
def test_heads_learn_from_a_dataset(tissue, tmp_path, heads):
    for name in ("a", "b"):
        write_image(tissue.image, tmp_path / f"{name}_image.tif")
        write_image(tissue.labels, tmp_path / f"{name}_labels.tif")
    data = fb.Dataset.from_patterns(
        tmp_path, image="*_image.tif", labels="{name}_labels.tif", split={"validation": ["b"]}
    )
    run = train(small_net(heads=heads), data, **(QUICK | {"epochs": 3}))
    assert run.history["val_loss"].iloc[-1] < run.history["val_loss"].iloc[0]
    names = {"distance": ["distance"], "affinity": ["affinity_y", "affinity_x"]}
    expected = ["other", "membrane", *(n for head in heads for n in names[head])]
    prob = predict(run.model, tissue.image)
    assert prob.c.values.tolist() == expected
    if "distance" in heads:
        assert (prob.sel(c="distance") >= 0).all()


def test_a_target_without_what_a_head_learns(pair):
    with pytest.raises(TrainingError, match="also learns distance"):
        train(small_net(heads=("distance",)), [pair], **QUICK)
    image, target = pair
    both = np.stack([target, distance_target(synthetic_epithelium((64, 80), cell_size=16, seed=1).labels)])
    with pytest.raises(TrainingError, match="cannot be deformed"):
        train(small_net(heads=("distance",)), [(image, both)], **(QUICK | {"augment": {"elastic": 2}}))


def test_volumes(tmp_path):
    rng = np.random.default_rng(0)
    image = fb.as_image(rng.random((12, 40, 40), dtype=np.float32), "zyx")
    target = (image.values > 0.7).astype(np.uint8)
    run = train(small_net(dims=3), [(image, target)], **(QUICK | {"patch": (8, 16, 16)}))
    assert predict(run.model, image).shape == (2, 12, 40, 40)
    assert run.history["train_loss"].iloc[-1] < run.history["train_loss"].iloc[0]


def test_a_forecast_stands_beside_the_truth(pair):
    said = []

    class Watcher:
        def progress(self, step, steps):
            pass

        def metrics(self, epoch, values):
            pass

        def say(self, text):
            said.append(text)

    run = train(small_net(), [pair], observers=[Watcher()], **(QUICK | {"forecast": True}))
    assert said[0].startswith("Running a few trial steps")
    assert "Forecast: 16 patches" in said[1]
    assert "Forecast and measurement" in said[-1]
    table = run.took()
    assert table.loc["patches", "ratio"] == 1
    assert table.loc["epoch_s", "measured"] > 0


def test_tensorboard(pair, tmp_path):
    train(small_net(), [pair], out=tmp_path / "run", tensorboard=True, **QUICK)
    assert list((tmp_path / "run").glob("tensorboard/events.*"))


class Counting:
    """Counts the steps of a training."""

    def __init__(self):
        self.steps = 0

    def progress(self, step, steps):
        self.steps, self.of = step, steps

    def metrics(self, epoch, values):
        pass


def test_a_grid_is_learnt_whole_as_the_plan_says(pair):
    made = fb.plan(small_net(), [pair], patch=(32, 32), stride=16, batch=4, epochs=1, probe=False)
    assert made.settings()["sampling"] == "grid"
    assert made.settings()["stride"] == (16, 16)
    for settings in (made.settings(), {"patch": (32, 32), "sampling": "grid", "stride": 16, "batch": 4, "epochs": 1}):
        steps = Counting()
        train(small_net(), [pair], observers=[steps], forecast=False, **settings)
        assert steps.steps == steps.of == made.batches
    few = Counting()
    train(small_net(), [pair], observers=[few], **(QUICK | {"sampling": "grid", "stride": 16}))
    assert few.steps == QUICK["epochs"] * QUICK["batches"]


def test_patches_without_a_membrane_are_left_out(pair, monkeypatch):
    image, target = np.array(pair[0], np.float32), np.array(pair[1])
    target[:, 40:] = 0
    fewest = []
    cut = PatchSampler.cut

    def looked_at(self, epoch, number):
        batch = cut(self, epoch, number)
        fewest.append(min(int((y == 1).sum()) for y in batch[1]))
        return batch

    monkeypatch.setattr(PatchSampler, "cut", looked_at)
    for require in (None, 1):
        fewest.clear()
        settings = QUICK | {"require": require, "patch": (16, 16), "batches": 20}
        train(small_net(), [(image, target)], **settings)
        assert min(fewest) == 0 if require is None else min(fewest) >= 1
    with pytest.raises(TrainingError, match="7"):
        train(small_net(), [(image, target)], **(QUICK | {"require": 7, "patch": (16, 16)}))


def test_an_observer_may_interrupt(pair, tmp_path):
    class Interrupting(Counting):
        def progress(self, step, steps):
            super().progress(step, steps)
            if step == 3:
                raise KeyboardInterrupt

    run = train(small_net(), [pair], observers=[Interrupting()], out=tmp_path / "run", **(QUICK | {"epochs": 50}))
    assert "interrupted by an observer" in run.stopped_because
    assert (tmp_path / "run" / "last.ckpt").exists()


def test_each_epoch_draws_other_places_without_augmentation_too(pair):
    image, target = np.asarray(pair[0], np.float32)[None], np.asarray(pair[1])
    free, fixed = (PatchSampler([Sample(image, target)], (16, 16), 4, 2, False, fixed=f) for f in (False, True))
    assert not torch.equal(free.batch_at(0, 0)[0], free.batch_at(1, 0)[0])
    assert torch.equal(fixed.batch_at(0, 0)[0], fixed.batch_at(1, 0)[0])
