from __future__ import annotations

import numpy as np
import torch

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.nn.patches import PatchSampler, Sample
from tests.nn.patches.samples import coordinates, same


def test_images_smaller_than_a_patch():
    x, y, _ = next(iter(PatchSampler([coordinates((5, 30))], (16, 16), augment=False)))
    assert x.shape[2:] == (16, 16)
    assert (y[:, 5:] == IGNORE).all()
    assert (x[:, 0, :5] == y[:, :5]).all()
    assert (x[:, 0, 5:10] == x[:, 0, :5].flip(1)).all()


def test_only_what_is_cut_is_read(tmp_path):
    """A zarr array: the chunks of the patch, not the image."""
    import zarr

    rng = np.random.default_rng(0)
    pixels = rng.random((1, 256, 256), dtype=np.float32)
    store = zarr.create_array(tmp_path / "a.zarr", shape=pixels.shape, chunks=(1, 32, 32), dtype="f4")
    store[:] = pixels
    target = np.zeros((256, 256), np.uint8)
    lazy = PatchSampler([Sample(store, target)], (16, 16), augment=False, batches=2)
    memory = PatchSampler([Sample(pixels, target)], (16, 16), augment=False, batches=2)
    assert all(same(a, b) for a, b in zip(lazy, memory, strict=True))
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", "f4", pixels.shape)
    mapped[:] = pixels
    from_disk = PatchSampler([Sample(np.load(tmp_path / "a.npy", mmap_mode="r"), target)], (16, 16), augment=False)
    assert same(from_disk.batch_at(0, 0), memory.batch_at(0, 0))


def test_further_target_channels_travel_along():
    where = coordinates((20, 20))
    distance, cells = np.full((20, 20), 2.5), np.arange(400.0).reshape(20, 20) + 70_000
    sample = Sample(where.image, np.stack([where.target, distance, cells]).astype(np.float32))
    sampler = PatchSampler([sample], (24, 24), augment=False)
    x, y, weight = sampler.batch_at(0, 0)
    assert y.shape == (8, 3, 24, 24)
    assert y.dtype == torch.float32
    assert (y[:, 0, :20, :20] == x[:, 0, :20, :20]).all()
    assert (y[:, 0, 20:] == IGNORE).all()
    assert (y[:, 1, :20, :20] == 2.5).all()
    assert int(y[0, 2, 19, 19]) == 70_399
    assert (weight[:, 20:] == 0).all()
