"""Failures of a training: it ends with a reason and advice, and keeps the best weights."""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
import time
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import fijibridge as fb
from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import DatasetError, FijiBridgeWarning, ImageError, ModelError, TrainingError
from fijibridge.files import write_image

QUICK = {"epochs": 3, "batches": 4, "batch": 4, "patch": (32, 32), "forecast": False}


@pytest.fixture(scope="module")
def tissue():
    return fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)


@pytest.fixture(scope="module")
def pair(tissue):
    return tissue.image, fb.membrane_target(tissue.labels, 3)


def small_net(**options):
    torch.manual_seed(0)
    return fb.UNet(depth=1, width=4, **options)


def same_weights(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


# --- memory ---------------------------------------------------------------------------------------------


class Hungry(nn.Module):
    """A network whose memory is gone from some step on."""

    def __init__(self, steps):
        super().__init__()
        self.layers = small_net()
        self.left = steps

    @property
    def traits(self):
        return self.layers.traits

    def forward(self, x):
        self.left -= self.training
        if self.left < 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.")
        return self.layers(x)


def test_memory_that_is_gone_ends_the_run_with_a_reason_and_keeps_the_model(pair, tmp_path):
    run = fb.train(Hungry(9), [pair], validation=[pair], out=tmp_path / "run", background=True, **QUICK)
    words = r"memory ran out in epoch 3 of 3 \(CUDA out of memory.*lower the batch or the patch.*resume=True"
    with pytest.raises(TrainingError, match=words) as error:
        run.wait(60)
    assert isinstance(error.value.__cause__, torch.OutOfMemoryError)
    assert "memory ran out" in run.stopped_because
    assert run.history["epoch"].tolist() == [0, 1, 2]
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["stopped_because"] == run.stopped_because
    kept = fb.Model.load(tmp_path / "run", net=Hungry(0))
    best = run.history["val_loss"].iloc[1:].idxmin()
    assert run.ending.best_epoch == best
    assert same_weights(kept.net, run.model.net)
    assert (tmp_path / "run" / "last.ckpt").is_file()


def test_what_ended_for_memory_goes_on_where_it_was(pair, tmp_path):
    with pytest.raises(TrainingError, match="memory ran out"):
        fb.train(Hungry(9), [pair], out=tmp_path / "run", **QUICK)
    again = fb.train(Hungry(99), [pair], out=tmp_path / "run", resume=True, **QUICK)
    never = fb.train(Hungry(99), [pair], **QUICK)
    assert "all 3 epochs done" in again.stopped_because
    assert same_weights(again.model.net, never.model.net)


def test_memory_that_is_gone_at_the_first_step_leaves_no_model(pair, tmp_path):
    """So that the same folder can be used again with a smaller batch."""
    with pytest.raises(TrainingError, match="memory ran out in epoch 1 of 3"):
        fb.train(Hungry(0), [pair], out=tmp_path / "run", **QUICK)
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert "memory ran out" in json.loads((tmp_path / "run" / "run.json").read_text())["stopped_because"]
    run = fb.train(Hungry(99), [pair], out=tmp_path / "run", **(QUICK | {"batch": 2}))
    assert "all 3 epochs done" in run.stopped_because


def test_real_memory(warm_python, tmp_path):
    """A process that may not have more than it has: torch's own error of the CPU."""
    done = warm_python.run(
        f"""
        import resource, torch, fijibridge as fb
        torch.set_num_threads(1)
        tissue = fb.synthetic_epithelium((600, 600), cell_size=30, seed=1)
        pair = (tissue.image, fb.membrane_target(tissue.labels, 3))
        class Limit:
            def progress(self, step, steps):
                if step == 3:
                    used = 1024 * int(next(l for l in open("/proc/self/status") if l.startswith("VmSize")).split()[1])
                    resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, resource.RLIM_INFINITY))
            def metrics(self, epoch, values):
                pass
        try:
            fb.train(fb.UNet(depth=1, width=16), [pair], epochs=3, batches=2, batch=2, patch=(512, 512), augment=False,
                     out={str(tmp_path / "run")!r}, observers=[Limit()], forecast=False, device="cpu")
        except fb.FijiBridgeError as error:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            print(type(error).__name__, error)
        """
    )
    assert done.stdout.startswith("TrainingError memory ran out in epoch 2 of 3"), done.stdout + done.stderr
    assert "lower the batch or the patch" in done.stdout
    assert fb.Model.load(tmp_path / "run").notes["epochs"] == 1


# --- a loss that is no number ---------------------------------------------------------------------------


def test_a_loss_that_becomes_nan_late_keeps_the_best_epoch(pair, tmp_path):
    steps = []

    def loss(output, y, weight):
        steps.append(output.requires_grad)
        good = nn.functional.cross_entropy(output, y)
        return good * float("nan") if sum(steps) > 9 else good

    run = fb.train(small_net(), [pair], validation=[pair], loss=loss, out=tmp_path, background=True, **QUICK)
    with pytest.raises(TrainingError, match=r"the loss became nan by step \d+: lower lr"):
        run.wait(60)
    assert run.ending.looks_like == "learning rate too high"
    assert "the loss became nan" in run.stopped_because
    kept = fb.Model.load(tmp_path)
    assert all(torch.isfinite(w).all() for w in kept.net.state_dict().values())
    assert kept.notes["epochs"] == 2
    assert run.ending.best_epoch in (1, 2)


def test_weights_that_are_no_numbers_are_not_kept(pair, tmp_path):
    """Without validation there is no best epoch, and the last weights are spoilt."""
    steps = []

    def loss(output, y, weight):
        steps.append(output.requires_grad)
        good = nn.functional.cross_entropy(output, y)
        return good * float("nan") if sum(steps) > 9 else good

    with pytest.raises(TrainingError, match="the loss became nan"):
        fb.train(small_net(), [pair], loss=loss, out=tmp_path, **QUICK)
    assert not (tmp_path / "model.safetensors").exists()
    assert (tmp_path / "last.ckpt").is_file()


# --- images and masks -----------------------------------------------------------------------------------


def test_no_membrane_at_all(pair):
    image, target = pair
    empty = np.zeros(target.shape, np.uint8)
    with pytest.warns(FijiBridgeWarning, match=r"none of 1 training image\(s\) has a pixel of 'membrane'"):
        run = fb.train(small_net(), [(image, empty)], validation=[(image, empty)], **QUICK)
    assert run.history[["train_loss", "val_loss"]].notna().all(axis=None)


def test_nothing_is_known(pair):
    image, target = pair
    with pytest.raises(TrainingError, match=r"unknown|255|known"):
        fb.train(small_net(), [(image, np.full(target.shape, IGNORE, np.uint8))], **QUICK)


def test_one_image_only_in_a_folder(tissue, tmp_path):
    write_image(tissue.image, tmp_path / "a_image.tif")
    write_image(tissue.labels, tmp_path / "a_labels.tif")
    data = fb.Dataset.from_patterns(tmp_path, image="*_image.tif", labels="{name}_labels.tif")
    run = fb.train(small_net(), data, **QUICK)
    assert "all 3 epochs done" in run.stopped_because
    assert run.history["val_loss"].isna().all()
    with pytest.raises(TrainingError, match="patience needs validation data"):
        fb.train(small_net(), data, patience=2, **QUICK)
    alone = fb.Dataset.from_patterns(
        tmp_path, image="*_image.tif", labels="{name}_labels.tif", split={"validation": ["a"]}
    )
    with pytest.raises(TrainingError, match=r"nothing to train on.*no image in the split 'train'"):
        fb.train(small_net(), alone, **QUICK)


def test_an_image_smaller_than_the_patch(pair):
    image, target = (array[:20, :24] for array in pair)
    with pytest.warns(FijiBridgeWarning, match=r"smaller than the patch of \(64, 64\) px.*mirrored"):
        run = fb.train(small_net(), [(image, target)], **(QUICK | {"patch": (64, 64)}))
    assert run.history["train_loss"].notna().all()
    assert fb.predict(run.model, image).shape == (2, 20, 24)


def test_labels_for_the_image_and_the_image_for_labels(tissue, tmp_path):
    image, labels = tissue.image, tissue.labels
    with pytest.raises(TrainingError, match="class ids 0 to 1 and 255 = unknown"):
        fb.train(small_net(), [(labels, image)], **QUICK)
    write_image(labels, tmp_path / "a_image.tif")
    write_image(image.astype(np.float32) + 0.5, tmp_path / "a_labels.tif")
    data = fb.Dataset.from_patterns(tmp_path, image="*_image.tif", labels="{name}_labels.tif")
    with pytest.raises((ImageError, DatasetError), match=r"a_labels\.tif"):
        fb.train(small_net(), data, **QUICK)


def test_labels_for_the_image_are_told(tissue, pair):
    with pytest.warns(FijiBridgeWarning, match="looks like cell labels"):
        fb.train(small_net(), [(tissue.labels, pair[1])], **QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FijiBridgeWarning)
        fb.train(small_net(), [pair], **QUICK)


def test_what_is_no_sample(pair):
    for given in ([pair], pair, fb.train, [pair[0]]):
        with pytest.raises(TrainingError, match=r"expected a list of fijibridge\.Sample"):
            fb.PatchSampler(given, (32, 32))


def test_a_strength_that_augmentation_has_not(pair):
    with pytest.raises(TrainingError, match="did you mean 'rotation'"):
        fb.train(small_net(), [pair], **(QUICK | {"augment": {"rotatio": 15}}))


def test_a_complete_run_is_not_resumed(pair, tmp_path):
    fb.train(small_net(), [pair], out=tmp_path, **QUICK)
    with pytest.raises(TrainingError, match="because its run is complete"):
        fb.train(small_net(), [pair], out=tmp_path, resume=True, **QUICK)


def test_x_and_y_of_different_shape(pair):
    image, target = pair
    for wrong in (target.values[:-1], target.values[None], target.values.T):
        with pytest.raises((ImageError, TrainingError), match=r"image 0.*\(64, 80\)|image 0.*axes"):
            fb.train(small_net(), [(image, wrong)], **QUICK)


# --- the disk -------------------------------------------------------------------------------------------


def test_a_real_full_disk_leaves_the_checkpoint_before(warm_python, tmp_path):
    """No file may become larger than a few kB from the second epoch on (RLIMIT_FSIZE)."""
    done = warm_python.run(
        f"""
        import resource, signal, warnings, torch, fijibridge as fb
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        torch.set_num_threads(1)
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, seed=1)
        pair = (tissue.image, fb.membrane_target(tissue.labels, 3))
        class Limit:
            def progress(self, step, steps):
                if step == 6:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
            def metrics(self, epoch, values):
                pass
        net = fb.UNet(depth=1, width=8)
        run = fb.train(net, [pair], epochs=3, batches=4, batch=4, patch=(32, 32), out={str(tmp_path / "run")!r},
                       observers=[Limit()], forecast=False, device="cpu")
        print(run.stopped_because, "|", run.unsaved)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        run.save({str(tmp_path / "elsewhere")!r})
        """
    )
    assert "all 3 epochs done" in done.stdout
    assert "File too large" in done.stdout
    assert "last.ckpt could not be written: the checkpoint does not fit on the disk" in done.stderr
    left = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert left["epoch"] == 0
    assert [row["epoch"] for row in left["callbacks"][next(iter(left["callbacks"]))]["rows"]] == [0, 1]
    assert not (tmp_path / "run" / "model.safetensors").exists()
    assert not [f for f in (tmp_path / "run").iterdir() if f.name.startswith(".")]
    assert fb.Model.load(tmp_path / "elsewhere").notes["epochs"] == 3
    assert len(pd.read_csv(tmp_path / "elsewhere" / "history.csv")) == 4


# --- a folder that may be overwritten -------------------------------------------------------------------


@pytest.fixture
def finished(pair, tmp_path):
    fb.train(small_net(), [pair], validation=[pair], out=tmp_path / "run", **QUICK)
    logs = tmp_path / "run" / "tensorboard" / "events.out.tfevents.1"
    logs.parent.mkdir()
    logs.write_bytes(b"curves")
    return tmp_path / "run"


def content_of(folder):
    return {file.relative_to(folder): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def nan_loss(output, y, weight):
    return output.sum() * float("nan")


def test_a_run_that_fails_leaves_nothing_of_the_one_that_it_replaces(pair, finished):
    assert {"model.safetensors", "validation.tif"} < {file.name for file in finished.iterdir()}
    with pytest.raises(TrainingError, match="the loss became nan"):
        fb.train(small_net(), [pair], loss=nan_loss, out=finished, overwrite=True, **QUICK)
    left = content_of(finished)
    assert {str(name) for name in left} == {"run.json", "history.csv"}
    assert "the loss became nan" in fb.read_record(finished).stopped_because
    with pytest.raises(ModelError, match="no model at"):
        fb.predict(finished, pair[0])


@pytest.mark.parametrize("epochs", [0, 3])
def test_nothing_is_lost_before_all_of_a_new_run_is_looked_at(pair, finished, epochs):
    before = content_of(finished)
    image, target = pair
    options = {"out": finished, "overwrite": True} | QUICK | {"epochs": epochs}
    with pytest.raises(TrainingError):
        fb.train(small_net(), [(image, target + 7)], **options)
    with pytest.raises(TrainingError):
        fb.train(small_net(), [pair], patience=3, **options)
    assert content_of(finished) == before


def test_memory_that_is_gone_in_the_trial_costs_no_run_before(pair, finished):
    before = content_of(finished)
    with pytest.raises(TrainingError, match="lower the batch or the patch"):
        fb.train(Hungry(0), [pair], out=finished, overwrite=True, **(QUICK | {"forecast": True}))
    assert content_of(finished) == before


@pytest.mark.parametrize("given", [lambda folder: folder, lambda folder: folder / "model.safetensors"])
def test_a_run_may_replace_the_one_that_it_begins_from(pair, finished, given):
    old = fb.Model.load(finished)
    run = fb.train(given(finished), [pair], out=finished, overwrite=True, **(QUICK | {"lr": 1e-12}))
    new = fb.Model.load(finished)
    assert same_weights(new.net, run.model.net)
    for a, b in zip(new.net.parameters(), old.net.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    assert not (finished / "validation.tif").exists(), "this one watches no image"


# --- files from strangers -------------------------------------------------------------------------------


class Evil:
    """Makes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


def test_the_evil_file_is_one(tmp_path):
    """Else the tests below could not fail."""
    pickle.loads(pickle.dumps(Evil(tmp_path / "marker")))
    assert (tmp_path / "marker").is_dir()


@pytest.mark.parametrize("written", ["pickle", "torch.save"])
@pytest.mark.parametrize("name", ["model.safetensors", "model.pt", "last.ckpt"])
def test_nothing_of_a_file_is_executed(pair, tmp_path, written, name):
    file = tmp_path / "run" / name
    file.parent.mkdir()
    evil = {"fijibridge": {}, "state_dict": Evil(tmp_path / "marker")}
    if written == "pickle":
        file.write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil, file)
    for use in (
        lambda: fb.Model.load(file),
        lambda: fb.predict(file, pair[0]),
        lambda: fb.train(file, [pair], **QUICK),
        lambda: fb.train(small_net(), [pair], out=file.parent, resume=True, **QUICK),
    ):
        with pytest.raises((ModelError, TrainingError)):
            use()
    assert not (tmp_path / "marker").exists()


def written(tmp_path, **config):
    about = {
        "format": 1, "architecture": "UNet", "config": config, "classes": ["a", "b"], "normalisation": {},
        "pixel_size": {}, "unit": "pixel", "notes": {},
    }  # fmt: skip
    save_file({"w": torch.zeros(2)}, tmp_path / "m.safetensors", {"fijibridge": json.dumps(about)})
    return tmp_path / "m.safetensors"


@pytest.mark.parametrize(
    "config",
    [
        {"width": 10**6}, {"depth": 40}, {"depth": 10**6}, {"n_classes": 10**12}, {"width": 10**30}, {"width": "a"},
        {"width": 2.5}, {"width": -1}, {"width": None}, {"norm": ["batch"]}, {"heads": 5}, {"heads": [["distance"]]},
        {"dims": [2]}, {"surprise": 1}, {"dropout": "much"}, {"width": True},
    ],
)  # fmt: skip
def test_a_description_that_asks_for_too_much_is_refused_before_memory_is_taken(tmp_path, config):
    file = written(tmp_path, **config)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        fb.Model.load(file)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
    assert time.monotonic() - began < 20


def test_a_header_that_says_it_is_huge(tmp_path):
    (tmp_path / "m.safetensors").write_bytes(struct.pack("<Q", 2**60) + b"{}")
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        fb.Model.load(tmp_path / "m.safetensors")


def test_a_description_that_is_nested_without_end(tmp_path):
    save_file({"w": torch.zeros(1)}, tmp_path / "m.safetensors", {"fijibridge": "[" * 100_000})
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        fb.Model.load(tmp_path / "m.safetensors")


@pytest.mark.parametrize("cut", [0, 4, 9, 0.5, -1])
def test_a_model_file_that_was_cut_short(pair, tmp_path, cut):
    file = fb.Model(small_net(), ("other", "membrane")).save(tmp_path / "m.safetensors")
    whole = file.read_bytes()
    file.write_bytes(whole[: int(cut * len(whole)) if isinstance(cut, float) else cut])
    with pytest.raises(ModelError, match="not a readable safetensors file"):
        fb.predict(file, pair[0])


def test_a_weight_that_is_no_number_is_told(pair, tmp_path):
    net = small_net()
    with torch.no_grad():
        net.head.weight[0] = float("nan")
    file = fb.Model(net, ("other", "membrane")).save(tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="NaN"):
        fb.predict(file, pair[0])


@pytest.mark.parametrize(
    "change", [{"classes": "ab"}, {"classes": ["a"]}, {"normalisation": {"low": 200}}, {"pixel_size": 3}, {"notes": 1}]
)
def test_a_description_that_makes_no_sense(tmp_path, change):
    net = small_net()
    about = {
        "format": 1, "architecture": "UNet", "config": net.config, "classes": ["a", "b"], "normalisation": {},
        "pixel_size": {}, "unit": "pixel", "notes": {},
    } | change  # fmt: skip
    save_file(
        {k: v.contiguous().clone() for k, v in net.state_dict().items()}, tmp_path / "m.safetensors",
        {"fijibridge": json.dumps(about)},
    )  # fmt: skip
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        fb.Model.load(tmp_path / "m.safetensors")
