from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.patches import PatchSampler, Sample, SavedPatches, save_patches


def sampler_of(channels=1, shape=(40, 50), heads=(), **more):
    rng = np.random.default_rng(0)
    target = rng.choice([0, 1, IGNORE], shape).astype(np.uint8)
    if heads:
        target = np.stack([target, *[rng.integers(0, 2**20, shape) for _ in heads]]).astype(np.float32)
    sample = Sample(rng.random((channels, *shape), np.float32), target, rng.random(shape, np.float32), "one")
    augment = replace(Augmentation(), heads=heads)
    return PatchSampler([sample], (16,) * len(shape), **({"batch": 4, "batches": 3, "augment": augment} | more))


def same(a, b):
    return all(s.dtype == t.dtype and torch.equal(s, t) for s, t in zip(a, b, strict=True))


@pytest.mark.parametrize(
    "sampler",
    [sampler_of(), sampler_of(2, heads=("affinity",)), sampler_of(1, (20, 24, 28))],
    ids=["2D", "two channels, cells", "3D"],
)
def test_what_is_read_is_what_was_drawn(sampler, tmp_path):
    sampler.load_state_dict({"epoch": 0, "done": 1})
    saved = SavedPatches(save_patches(sampler, tmp_path / "p.zarr"), batch=4, shuffle=False)
    assert sampler.state_dict() == {"epoch": 0, "done": 1}
    assert len(saved) == 3
    assert all(same(saved.batch_at(0, n), sampler.batch_at(0, n)) for n in range(3))


def test_the_array_says_what_it_holds(tmp_path):
    zarr = pytest.importorskip("zarr")
    path = save_patches(sampler_of(2, heads=("affinity",), seed=7), tmp_path / "p.zarr")
    group = zarr.open_group(path, mode="r")
    array = group["patches"]
    assert array.metadata.dimension_names == ("n", "c", "y", "x")
    assert array.attrs["channels"] == ["image_0", "image_1", "classes", "affinity", "weight"]
    assert array.shape == (12, 5, 16, 16)
    assert group.attrs["seed"] == 7
    assert group.attrs["augmentation"]["rotation"] == 20
    assert group.attrs["images"] == ["one"]


def test_more_batches_than_an_epoch_has_are_of_the_next(tmp_path):
    sampler = sampler_of()
    saved = SavedPatches(save_patches(sampler, tmp_path / "p.zarr", 5), batch=4, shuffle=False)
    assert same(saved.batch_at(0, 4), sampler.batch_at(1, 1))


def test_each_epoch_has_each_patch_once_in_another_order(tmp_path):
    saved = SavedPatches(save_patches(sampler_of(), tmp_path / "p.zarr"), batch=5)
    epochs = [[batch[0] for batch in saved] for _ in range(2)]
    assert [len(x) for x in epochs[0]] == [5, 5, 2]
    first, second = (torch.cat(x).flatten(1) for x in epochs)
    assert not torch.equal(first, second)
    assert {p.numpy().tobytes() for p in first} == {p.numpy().tobytes() for p in second}
    assert len({p.numpy().tobytes() for p in first}) == 12


def test_going_on_from_a_state_and_after_an_epoch_left_early(tmp_path):
    saved = SavedPatches(save_patches(sampler_of(), tmp_path / "p.zarr"), batch=4)
    whole = [list(saved), list(saved)]
    again = SavedPatches(saved.path, batch=4)
    next(iter(again))
    state = again.state_dict()
    assert state == {"epoch": 0, "done": 1}
    assert same(next(iter(again)), whole[1][0])  # another epoch
    again.load_state_dict(state)
    assert all(same(a, b) for a, b in zip(again, whole[0][1:], strict=True))
    assert again.state_dict() == {"epoch": 1, "done": 0}


def test_all_or_nothing(tmp_path):
    class Breaking(PatchSampler):
        def batch_at(self, epoch, number):
            if number == 2:
                raise OSError("no space left on device")
            return super().batch_at(epoch, number)

    sampler = sampler_of()
    breaking = Breaking(sampler.samples, (16, 16), batch=4, batches=3)
    with pytest.raises(OSError, match="no space"):
        save_patches(breaking, tmp_path / "p.zarr")
    assert list(tmp_path.iterdir()) == []
    path = save_patches(sampler, tmp_path / "p.zarr")
    with pytest.raises(TrainingError, match="exists"):
        save_patches(sampler, path)


def test_what_cannot_be_saved_or_read(tmp_path):
    with pytest.raises(TrainingError, match="batches is 0"):
        save_patches(sampler_of(), tmp_path / "p.zarr", 0)
    with pytest.raises(TrainingError, match="contains no saved patches"):
        SavedPatches(tmp_path / "nothing.zarr")
    large = np.stack([np.zeros((20, 20)), np.full((20, 20), 2.0**25)]).astype(np.float32)
    sampler = PatchSampler([Sample(np.zeros((1, 20, 20), np.float32), large)], (8, 8), augment=False)
    with pytest.raises(TrainingError, match="relabel the cells"):
        save_patches(sampler, tmp_path / "p.zarr")


def test_a_network_learns_from_them(tmp_path):
    import fijibridge as fb

    rng = np.random.default_rng(0)
    image = rng.random((1, 64, 64), np.float32)
    sampler = PatchSampler([Sample(image, (image[0] > 0.5).astype(np.uint8))], (16, 16), batch=4, batches=4)
    saved = SavedPatches(save_patches(sampler, tmp_path / "p.zarr"), batch=4)
    run = fb.train(
        fb.UNet(depth=1, width=2), saved, out=tmp_path / "run", epochs=2, batches=4, device="cpu",
        normalisation=fb.Normalisation.none(), validation=SavedPatches(saved.path, batch=4, shuffle=False),
    )  # fmt: skip
    history = pd.DataFrame(run.history)
    assert history["epoch"].max() == 2  # 0 is before the first step
    assert np.isfinite(history["val_loss"]).all()
