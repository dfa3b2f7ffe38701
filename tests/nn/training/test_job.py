"""What one can train, on what, and how a run behaves while it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

import fijibridge as fb
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import IGNORE, distance_target, membrane_target
from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.files import write_image
from fijibridge.nn.model import Model
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.prediction import predict
from fijibridge.nn.training import Settings, train
from fijibridge.nn.unet import UNet

QUICK = {"epochs": 2, "batches": 4, "batch": 4, "patch": (32, 32), "forecast": False}


@pytest.fixture(scope="module")
def tissue():
    return synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)


@pytest.fixture(scope="module")
def pair(tissue):
    return tissue.image, membrane_target(tissue.labels, 3)


def small_net(**options):
    torch.manual_seed(0)
    return UNet(depth=1, width=4, **options)


# --- in the background ----------------------------------------------------------------------------------


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
    with pytest.raises(TimeoutError, match="still runs"):
        run.wait(0.01)
    assert predict(run.model, pair[0]).shape == (2, 64, 80)
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


# --- anyone's batches -----------------------------------------------------------------------------------


def batches_of(pair, number=4, flipped=False):
    image = np.asarray(Normalisation()(pair[0].values[None]))
    sampler = PatchSampler([Sample(image, pair[1].values)], (32, 32), 4, number, augment=False)
    for x, y, _ in sampler:
        yield (x.flip(-1) if flipped else x), y


class Again:
    """Batches that can be gone through again, of numpy arrays with a weight."""

    def __init__(self, pair):
        self.pair = pair

    def __len__(self):
        return 4

    def __iter__(self):
        for x, y in batches_of(self.pair):
            yield x.numpy(), y.numpy(), np.ones(y.shape, np.float32)


@pytest.mark.parametrize("kind", ["object", "function", "sampler", "loader"])
def test_any_iterable_of_batches_trains_alike(pair, kind):
    image = np.asarray(Normalisation()(pair[0].values[None]))
    sampler = PatchSampler([Sample(image, pair[1].values)], (32, 32), 4, 4, augment=False, fixed=True)
    data = {
        "object": Again(pair), "function": lambda: batches_of(pair), "sampler": sampler,
        "loader": torch.utils.data.DataLoader(list(batches_of(pair)), batch_size=None),
    }[kind]  # fmt: skip
    run = train(small_net(), data, validation=Again(pair), normalisation=Normalisation(), **QUICK)
    reference = train(small_net(), Again(pair), validation=Again(pair), normalisation=Normalisation(), **QUICK)
    assert run.history["epoch"].tolist() == [0, 1, 2]
    pd.testing.assert_series_equal(run.history["train_loss"], reference.history["train_loss"])
    pd.testing.assert_series_equal(run.history["val_loss"], reference.history["val_loss"])


def test_a_stream_that_ends_ends_the_run(pair):
    run = train(small_net(), batches_of(pair, 6), normalisation=Normalisation(), **(QUICK | {"epochs": 9}))
    assert "the iterable ended after" in run.stopped_because


def test_the_pair_guard_looks_at_anyones_batches(tissue):
    """The border of a picture tells left from right: its left half is dark and has no membranes."""
    target = membrane_target(tissue.labels, 3)
    target[:, :40] = 0
    image = tissue.image.copy(data=np.where(np.arange(80) < 40, 0, tissue.image.values))
    with pytest.raises(TrainingError, match="fit the images better if those are mirrored in x"):
        train(small_net(), lambda: mirrored(image, target), normalisation=Normalisation(), **QUICK)


def mirrored(image, target):
    x = torch.from_numpy(Normalisation()(image.values[None]))[None]
    yield x.flip(-1).contiguous(), torch.from_numpy(target.values.astype(np.int64))[None]


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ((torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 9)), "expected"),
        ((torch.zeros(2, 3, 8, 8), torch.zeros(2, 8, 8)), "3 channel"),
        ((torch.zeros(2, 1, 8, 8),), "1 arrays"),
        ((torch.full((2, 1, 8, 8), float("nan")), torch.zeros(2, 8, 8)), "NaN"),
    ],
)
def test_batches_that_do_not_fit(batch, words):
    with pytest.raises(TrainingError, match=words):
        train(small_net(), lambda: iter([batch]), normalisation=Normalisation(), **QUICK)


# --- networks, heads, losses ----------------------------------------------------------------------------


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
        write_image(tmp_path / f"{name}_image.tif", tissue.image)
        write_image(tmp_path / f"{name}_labels.tif", tissue.labels)
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


# --- what is watched ------------------------------------------------------------------------------------


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
    """Of a network that sees membrane everywhere, and a truth whose membranes are class 0."""
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


@pytest.mark.parametrize("begun", [lambda run: run.model.net, lambda run: run, lambda run: run.model])
def test_a_trained_network_learns_in_training_mode(pair, begun):
    """Networks are handed back in evaluation mode, in which normalisation would not learn."""
    run = train(small_net(), [pair], **QUICK)
    assert not run.model.net.training
    modes = set()

    class Watching(nn.CrossEntropyLoss):
        def forward(self, output, y, weight):
            modes.add(output.grad_fn is not None and watched.net.training)
            return super().forward(output, y)

    watched = train(begun(run), [pair], epochs=0, patch=(32, 32), forecast=False).model
    before = [m.running_mean.clone() for m in watched.net.modules() if isinstance(m, nn.BatchNorm2d)]
    train(watched.net, [pair], loss=Watching(ignore_index=IGNORE), **QUICK)
    after = [m.running_mean for m in watched.net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert True in modes
    assert all((a != b).any() for a, b in zip(before, after, strict=True)), "the statistics follow the new images"


@pytest.mark.parametrize("given", [lambda run: run, lambda run: run.model])
def test_a_warm_start_leaves_the_model_that_it_began_from_as_it_is(pair, given):
    run = train(small_net(), [pair], **QUICK)
    before = {k: v.clone() for k, v in run.model.net.state_dict().items()}
    new = train(given(run), [pair], lr=0.1, **QUICK)
    assert all((v == before[k]).all() for k, v in run.model.net.state_dict().items())
    assert any((v != before[k]).any() for k, v in new.model.net.state_dict().items())


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
    assert said[0].startswith("Trying a few steps")
    assert "Forecast: 16 patches" in said[1]
    assert "Measured, beside the forecast" in said[-1]
    table = run.took()
    assert table.loc["patches", "ratio"] == 1
    assert table.loc["epoch_s", "measured"] > 0


def test_tensorboard(pair, tmp_path):
    train(small_net(), [pair], out=tmp_path / "run", tensorboard=True, **QUICK)
    assert list((tmp_path / "run").glob("tensorboard/events.*"))


# --- going on from a trained network --------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(pair, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return train(small_net(), [pair], out=folder, **(QUICK | {"epochs": 5}))


def test_a_warm_start_begins_where_the_other_ended(trained, pair):
    for start in (trained, trained.model, trained.path):
        run = train(start, [pair], **(QUICK | {"epochs": 1, "lr": 1e-4}))
        assert run.history["train_loss"].iloc[0] == pytest.approx(trained.history["train_loss"].iloc[-1], abs=0.2)
        assert run.settings["warm_start"]
        assert run.model.normalisation == trained.model.normalisation


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ("membrane", "other")}, "a class id would change its meaning"),
        ({"normalisation": Normalisation(0, 100)}, "scaled by"),
    ],
)
def test_what_a_warm_start_refuses(trained, pair, change, words):
    with pytest.raises(TrainingError, match=words):
        train(trained.model, [pair], **(QUICK | change))


def test_a_warm_start_compares_pixel_sizes(trained, pair):
    image, target = pair
    with pytest.warns(FijiBridgeWarning, match="the network was trained on 0.2"):
        train(trained.model, [(fb.as_image(image, pixel_size=0.3), target)], **(QUICK | {"epochs": 1}))
    with pytest.raises(TrainingError, match="rescale the images"):
        train(trained.model, [(fb.as_image(image, pixel_size=2.0), target)], **QUICK)
    with pytest.warns(FijiBridgeWarning, match="cannot be compared"):
        train(trained.model, [(image.values, target)], **(QUICK | {"epochs": 1}))


# --- settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patince": 3}, "no setting 'patince'.*did you mean 'patience'"),
        ({"epochs": -1}, "epochs is -1"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"loss": "mse"}, "loss is 'mse'"),
        ({"augment": {"spin": 3}}, "augment: .*spin"),
        ({"metric": "val_f1"}, "needs validation images"),
        ({"batch": 3, "devices": 2}, "cannot be shared"),
    ],
)
def test_settings_that_make_no_sense(pair, changes, words):
    with pytest.raises(TrainingError, match=words):
        train(small_net(), [pair], **(QUICK | changes))


def test_settings_from_a_file(tmp_path, pair):
    file = tmp_path / "run.toml"
    file.write_text(
        'epochs = 1\nbatches = 2\npatch = [32, 32]\nschedule = "cosine"\nforecast = false\n[border_weight]\nw0 = 5\n'
    )
    settings = Settings.read(file)
    assert (settings.schedule, settings.border_weight.w0, settings.border_weight.sigma) == ("cosine", 5, 5)
    run = train(small_net(), [pair], settings=settings, batches=3)
    assert (run.settings["batches"], run.settings["epochs"]) == (3, 1)
    file.write_text("epochs = 1\nbatchs = 2\n")
    with pytest.raises(TrainingError, match=r"run\.toml: a training has no setting 'batchs'"):
        Settings.read(file)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_schedules(pair, schedule):
    run = train(small_net(), [pair], schedule=schedule, lr=0.01, **QUICK)
    assert run.history["lr"].iloc[-1] == pytest.approx(0.01 if schedule == "constant" else 0, abs=1e-3)


# --- several processes ----------------------------------------------------------------------------------


@pytest.fixture
def folder(tissue, tmp_path):
    for name in ("a", "b"):
        write_image(tmp_path / "images" / f"{name}_image.tif", tissue.image)
        write_image(tmp_path / "images" / f"{name}_labels.tif", tissue.labels)
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


# --- which patches ------------------------------------------------------------------------------------------


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


def test_class_ids_that_a_network_has_not(pair):
    x, y = torch.rand(2, 1, 32, 32), torch.full((2, 32, 32), 3)
    with pytest.raises(TrainingError, match="holds the class id 3; expected 0 to 1"):
        train(small_net(), lambda: iter([(x, y)] * 8), **QUICK)


def test_each_epoch_draws_other_places_without_augmentation_too(pair):
    image, target = np.asarray(pair[0], np.float32)[None], np.asarray(pair[1])
    free, fixed = (PatchSampler([Sample(image, target)], (16, 16), 4, 2, False, fixed=f) for f in (False, True))
    assert not torch.equal(free.batch_at(0, 0)[0], free.batch_at(1, 0)[0])
    assert torch.equal(fixed.batch_at(0, 0)[0], fixed.batch_at(1, 0)[0])


def test_validation_looks_at_the_same_patches_after_each_epoch(pair):
    """A network that hardly learns has hardly another loss: what else would change are the patches."""
    torch.manual_seed(0)
    net = UNet(depth=1, width=4, norm="none")
    large = synthetic_epithelium((200, 240), cell_size=16, photons=400, seed=2)
    watched = (large.image, membrane_target(large.labels, 3))
    run = train(net, [pair], validation=[watched], lr=1e-9, schedule="constant", **(QUICK | {"epochs": 3}))
    assert np.ptp(run.history["val_loss"].iloc[1:]) < 1e-6
