"""Batches of samplers and of the user, saved patches, and epochs without a measurement."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
import zarr
from torch.utils.data import DataLoader, IterableDataset

from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import PatchSampler, Sample, SavedPatches, save_patches
from fijibridge.nn.patches.fingerprint import fingerprint_of
from fijibridge.nn.training import train
from fijibridge.nn.training.checkpoints import LAST
from fijibridge.nn.unet import UNet
from tests import trained
from tests.nn.observers import Interrupting
from tests.trained import QUICK


def small_net():
    torch.manual_seed(0)
    return UNet(depth=1, width=4, dropout=0.2)


def some_batches(count, seed=0):
    rng = torch.Generator().manual_seed(seed)
    for _ in range(count):
        x = torch.rand(2, 1, 32, 32, generator=rng)
        yield x, (x[:, 0] > 0.5).long()


def test_a_function_whose_batches_end_within_an_epoch_is_asked_anew(tmp_path):
    """So that an epoch is what was asked for: it is validated and saved, and the schedule ends with it."""
    out = tmp_path / "run"
    options = {"validation": lambda: some_batches(2, 1), "epochs": 3, "batches": 8, "out": out}
    stopped = train(small_net(), lambda: some_batches(5), observers=[Interrupting(20)], **options)
    assert stopped.history["epoch"].tolist() == [0, 1, 2, 3]  # the last of them in part
    again = train(small_net(), lambda: some_batches(5), observers=[], resume=True, **options)
    never = train(small_net(), lambda: some_batches(5), observers=[], **(options | {"out": None}))
    assert never.history["val_loss"].notna().all()
    assert never.history["lr"].iloc[-1] < 1e-4
    np.testing.assert_array_equal(again.history["train_loss"], never.history["train_loss"])
    np.testing.assert_array_equal(again.history["val_loss"], never.history["val_loss"])


def sampler_of(drawn=0, **more):
    image = np.random.default_rng(drawn).random((1, 64, 64), np.float32)
    options = {"batch": 4, "batches": 6} | more
    return PatchSampler([Sample(image, (image[0] > 0.5).astype(np.uint8))], (16, 16), **options)


def saved(tmp_path):
    return save_patches(sampler_of(), tmp_path / "patches.zarr")


@pytest.mark.parametrize("batches", [6, 4, 8])
def test_saved_patches_go_on_in_their_order(tmp_path, batches):
    """An epoch may have fewer or more batches than the six given."""
    path, options = saved(tmp_path), {"epochs": 3, "batches": batches, "observers": []}
    out = tmp_path / "run"
    train(small_net(), SavedPatches(path, 4), out=out, **(options | {"observers": [Interrupting(9)]}))
    assert (out / LAST).is_file()
    again = train(small_net(), SavedPatches(path, 4), out=out, resume=True, **options)
    never = train(small_net(), SavedPatches(path, 4), **options)
    np.testing.assert_array_equal(again.history["train_loss"], never.history["train_loss"])
    for a, b in zip(again.model.net.state_dict().values(), never.model.net.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_stream_that_ends_within_an_epoch_has_no_validation_of_it():
    run = train(
        small_net(), some_batches(12), validation=lambda: some_batches(2, 1), epochs=4, batches=8, patience=3,
        observers=[],
    )  # fmt: skip
    assert run.history["val_loss"].notna().tolist() == [True, True, False]
    assert "the iterable ended after 2 of 4 epochs" in run.stopped_because


@pytest.mark.parametrize("fixed", [True, False])
def test_a_sampler_validates_each_epoch(tmp_path, fixed):
    """On the same patches, also after a resumption; every second epoch had the loss of the one before."""
    watched = sampler_of(1, batches=2, fixed=fixed)
    options = {"validation": watched, "epochs": 4, "patience": 3, "forecast": False, "observers": []}
    never = train(small_net(), sampler_of(), **options)
    assert never.history["val_loss"].nunique() == 5
    assert "all 4 epochs done" in never.stopped_because
    out = tmp_path / "run"
    train(small_net(), sampler_of(), out=out, **(options | {"observers": [Interrupting(9)]}))
    again = train(small_net(), sampler_of(), out=out, resume=True, **options)
    np.testing.assert_array_equal(again.history["val_loss"], never.history["val_loss"])
    assert len(list(watched)) == 2


def test_epochs_after_a_validation_stream_has_ended_have_no_loss_of_it():
    run = train(
        small_net(), lambda: some_batches(3), validation=some_batches(5, 1), epochs=4, batches=3, patience=2,
        observers=[],
    )  # fmt: skip
    assert run.history["val_loss"].notna().tolist() == [False, True, True, False, False]
    assert "all 4 epochs done" in run.stopped_because


class Counted:
    """Batches that say how many they are, and keep which of them were asked for."""

    def __init__(self, count):
        self.count, self.asked = count, []

    def __len__(self):
        return self.count

    def __iter__(self):
        for number, batch in enumerate(some_batches(self.count)):
            self.asked.append(number)
            yield batch


def test_an_epoch_is_all_that_there_is_unless_batches_are_asked_for():
    learnt, watched = Counted(60), Counted(55)
    train(small_net(), learnt, validation=watched, epochs=1, observers=[])
    assert learnt.asked[-60:] == list(range(60))
    assert watched.asked[-55:] == list(range(55))
    learnt, watched = Counted(5), Counted(4)
    run = train(small_net(), learnt, validation=watched, epochs=2, batches=3, observers=[])
    assert learnt.asked[-6:] == [0, 1, 2, 0, 1, 2]
    assert watched.asked[-4:] == [0, 1, 2, 3]
    assert run.history["epoch"].tolist() == [0, 1, 2]
    train(small_net(), learnt, epochs=1, batches=7, observers=[])
    assert learnt.asked[-7:] == [0, 1, 2, 3, 4, 0, 1]


class Endless(IterableDataset):
    def __iter__(self):
        return ((x[0], y[0]) for x, y in some_batches(100))


def test_a_loader_that_does_not_know_its_length():
    data = DataLoader(Endless(), batch_size=4)
    run = train(small_net(), data, validation=data, epochs=2, batches=5, observers=[])
    assert run.history["val_loss"].notna().all()
    assert "all 2 epochs done" in run.stopped_because


def of_one_side():
    """Batches of an image that tells left from right, in the same arrays again and again."""
    target = np.zeros((2, 32, 32), int)
    target[:, 2:8] = 1
    x = np.empty((2, 1, 32, 32), np.float32)
    rng = np.random.default_rng(0)
    while True:
        x[...] = target[:, None] + rng.normal(0, 0.1, x.shape)
        yield x, target


def test_a_stream_is_looked_at_before_the_first_step():
    options = {"epochs": 1, "batches": 4, "observers": []}
    with pytest.raises(TrainingError, match="fit the images better if the images are mirrored in y"):
        train(small_net(), ((x, y[:, ::-1].copy()) for x, y in of_one_side()), **options)
    with pytest.raises(TrainingError, match="contains the class id 7"):
        train(small_net(), ((x, 7 * y) for x, y in of_one_side()), **options)
    with pytest.raises(TrainingError, match="has 2 channel"):
        train(small_net(), ((np.repeat(x, 2, 1), y) for x, y in of_one_side()), **options)
    with pytest.raises(TrainingError, match="yields no batch"):
        train(small_net(), iter([]), **options)


def test_what_was_looked_at_of_a_stream_is_learnt():
    options = {"epochs": 2, "batches": 6, "observers": []}
    assert train(small_net(), some_batches(12), **options).history["epoch"].tolist() == [0, 1, 2]
    once = iter(list(some_batches(17)))  # the loss before the first step takes five of them
    assert train(small_net(), lambda: once, **options).history["epoch"].tolist() == [0, 1, 2]
    refilled = train(small_net(), of_one_side(), **options)
    others = train(small_net(), ((x.copy(), y) for x, y in of_one_side()), **options)
    np.testing.assert_array_equal(refilled.history["train_loss"], others.history["train_loss"])


def test_classes_without_a_name_are_refused_before_a_model_that_cannot_be_loaded():
    net = UNet(depth=1, width=4, n_classes=3)
    with pytest.raises(TrainingError, match="has 3 classes, but got 2 class names"):
        train(net, sampler_of(), epochs=1, forecast=False, observers=[])


def test_a_warm_start_on_batches_keeps_the_meaning_of_the_classes_and_the_scale(recwarn):
    options = {"epochs": 1, "forecast": False, "observers": []}
    scale = Normalisation(2, 98)
    first = train(small_net(), sampler_of(), normalisation=scale, **options)
    for changes, words in (
        ({"classes": ("membrane", "other")}, "would change its meaning"),
        ({"normalisation": Normalisation.none()}, "scaled by"),
    ):
        with pytest.raises(TrainingError, match=words):
            train(first, sampler_of(), **changes, **options)
    assert train(first, sampler_of(), **options).model.normalisation == scale
    assert not [w for w in recwarn if "pixels" in str(w.message) or "membranes" in str(w.message)]


def test_the_record_says_what_a_sampler_did():
    sampler = sampler_of(
        batch=2, batches=5, seed=3, sampling="grid", stride=12, augment=Augmentation(custom=kept_as_is)
    )
    run = train(small_net(), sampler, epochs=1, observers=[])
    used = {"patch": [16, 16], "batch": 2, "batches": 5, "seed": 3, "sampling": "grid", "stride": [12, 12]}
    assert {name: run.settings[name] for name in used} == used
    assert run.settings["augmentation"]["custom"].endswith("kept_as_is")
    assert run.settings["membrane_width"] is None
    assert "membrane_width" not in run.model.notes
    assert run.took().loc["patches", ["forecast", "measured"]].tolist() == [10, 10]


def test_the_record_says_what_batches_of_anyone_were():
    run = train(small_net(), lambda: some_batches(5), epochs=1, batches=3, observers=[])
    used = {"patch": None, "batch": None, "batches": 3, "sampling": None, "augmentation": None}
    assert {name: run.settings[name] for name in used} == used
    assert run.measured["patches"] == 6


def of_any_size(first):
    for side in (first, 16, 32, 24, 16, 32):
        x = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(side))
        yield x, (x[:, 0] > 0.5).long()


def test_batches_of_any_size_go_on(tmp_path):
    options = {"epochs": 2, "batches": 3, "out": tmp_path / "run"}
    train(small_net(), of_any_size(16), observers=[Interrupting(4)], **options)
    again = train(small_net(), of_any_size(32), observers=[], resume=True, **options)
    assert "all 2 epochs done" in again.stopped_because


def kept_as_is(x, y, weight, rng):
    return x, y, weight


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"batch": 64}, r"batch=64 \(the batches have 4\) would"),
        (
            {"patch": (8, 8), "sampling": "membranes"},
            r"patch=\[8, 8\] \(the batches have \[16, 16\]\), sampling=membranes",
        ),
        ({"batches": 7}, r"batches=7 \(the batches have 6\)"),
        ({"augment": {"noise": 1.0}}, "augment would"),
        ({"augmentation": Augmentation(custom=kept_as_is)}, "augmentation would"),
        ({"border_weight": {"w0": 10}, "membrane_width": 5}, "membrane_width=5.0, border_weight"),
        ({"segment": np.asarray}, "segment would"),
    ],
)
def test_what_would_do_nothing_beside_a_sampler_is_refused(changes, words):
    with pytest.raises(TrainingError, match=words):
        train(small_net(), sampler_of(), epochs=1, observers=[], **changes)


def test_what_would_do_nothing_beside_batches_is_refused():
    with pytest.raises(TrainingError, match="data is a function, on which sampling=membranes, augment would"):
        train(small_net(), lambda: some_batches(5), sampling="membranes", augment=True, observers=[])


def test_what_is_said_of_a_sampler_may_be_said_again():
    same = {"patch": (16, 16), "batch": 4, "batches": 6, "sampling": "grid", "stride": 8, "augment": False, "seed": 7}
    sampler = sampler_of(augment=False, sampling="grid")
    run = train(small_net(), sampler, epochs=1, observers=[], forecast=False, **same)
    assert (run.settings["seed"], run.settings["sampler"]["seed"]) == (7, 0)
    watched = {"validation": some_batches(4, 1), "batches": 2}  # of which each epoch takes so many
    assert train(small_net(), sampler_of(), epochs=1, observers=[], forecast=False, **watched).settings["batches"] == 6


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: sampler_of(1), "fingerprint"),
        (lambda: sampler_of(0, seed=1), "seed: 0 then, 1 now"),
        (lambda: sampler_of(0, augment=False), "augmentation"),
        (lambda: sampler_of(0, fixed=True), "sampler"),
    ],
)
def test_a_run_goes_on_with_the_same_sampler_only(tmp_path, other, words):
    options = {"epochs": 2, "out": tmp_path / "run", "forecast": False}
    train(small_net(), sampler_of(), observers=[Interrupting(7)], **options)
    with pytest.raises(TrainingError, match=words):
        train(small_net(), other(), observers=[], resume=True, **options)
    assert "all 2 epochs done" in train(small_net(), sampler_of(), resume=True, **options).stopped_because


def test_images_are_known_again_wherever_they_lie(tmp_path):
    """Without reading all of what lies on disk."""
    image, target = np.random.default_rng(0).random((1, 300, 300), np.float32), np.zeros((300, 300), np.uint8)
    other = image.copy()
    other[0, 7, 5] += 1
    known, changed = fingerprint_of([Sample(image, target)]), fingerprint_of([Sample(other, target)])
    assert known != changed
    assert known == fingerprint_of([Sample(image.copy(), target)])
    store = zarr.create_array(tmp_path / "image.zarr", data=image, chunks=(1, 30, 30))
    read = Reading(store)
    on_disk = fingerprint_of(PatchSampler([Sample(read, target)], (16, 16)).samples)
    assert read.pixels == 64 * 30 * 30
    store[:] = 2 * image
    assert fingerprint_of([Sample(store, target)]) != on_disk
    assert fingerprint_of([Sample(image, target, scaled=lambda x: 2 * x)]) != known


class Reading:
    """An array on disk that keeps how much of it was read."""

    def __init__(self, array):
        self.array, self.pixels = array, 0
        self.shape, self.dtype, self.chunks, self.ndim = array.shape, array.dtype, array.chunks, array.ndim

    def __getitem__(self, where):
        found = self.array[where]
        self.pixels += found.size
        return found


def test_a_generator_function_that_gives_nothing_more_ends_the_run():
    once = iter(list(some_batches(8)))
    run = train(small_net(), lambda: once, epochs=4, batches=3, observers=[])
    assert "the iterable ended" in run.stopped_because


def test_no_batch_at_all():
    with pytest.raises(TrainingError, match="yields no batch"):
        train(small_net(), list, epochs=1, observers=[])


def test_patience_waits_for_cells_that_are_not_counted_each_epoch():
    tissue = synthetic_epithelium((48, 48), cell_size=16, seed=1)
    pair = (tissue.image, membrane_target(tissue.labels, 3))
    run = train(
        small_net(), [pair], validation=[pair], metric="val_f1", cells_every=2, patience=3, epochs=8, batches=1,
        batch=1, patch=(16, 16), lr=1e-6, observers=[], forecast=False, min_delta=1,
    )  # fmt: skip
    # the second epoch is the first that is counted, the fourth is no better, at the sixth it is enough
    assert run.stopped_because.startswith("early stop after 6 of 8 epochs: val_f1 did not improve for 3 epochs")


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
    run = train(trained.small_net(), data, validation=Again(pair), normalisation=Normalisation(), **QUICK)
    reference = train(trained.small_net(), Again(pair), validation=Again(pair), normalisation=Normalisation(), **QUICK)
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
    with pytest.raises(TrainingError, match="fit the images better if the images are mirrored in x"):
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


def test_class_ids_that_a_network_has_not(pair):
    x, y = torch.rand(2, 1, 32, 32), torch.full((2, 32, 32), 3)
    with pytest.raises(TrainingError, match="contains the class id 3; expected 0 to 1"):
        train(small_net(), lambda: iter([(x, y)] * 8), **QUICK)
