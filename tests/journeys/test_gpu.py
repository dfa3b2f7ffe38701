"""Training and prediction on a GPU: precision, streams, memory. Skipped without a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.patches import Feed, PatchSampler, Sample
from fijibridge.nn.planning import Measurement

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no NVIDIA GPU")
QUICK = {"epochs": 2, "batches": 10, "batch": 4, "patch": (64, 64), "forecast": False, "device": "cuda"}


@pytest.fixture(scope="module")
def tissue():
    return synthetic_epithelium((128, 160), cell_size=16, photons=400, seed=1)


@pytest.fixture(scope="module")
def pair(tissue):
    return tissue.image, fb.membrane_target(tissue.labels, 3)


def net(**more):
    torch.manual_seed(0)
    return fb.UNet(**({"depth": 2, "width": 8} | more))


def sampler(pair, augmentation=True, **more):
    image = np.asarray(pair[0], np.float32)[None] / 255
    return PatchSampler([Sample(image, np.asarray(pair[1]))], (64, 64), 4, 6, augmentation, **more)


@pytest.mark.parametrize("precision", ["32", "bf16", "16", "auto"])
def test_a_training_learns_in_each_precision(pair, precision):
    run = fb.train(net(), [pair], validation=[pair], **(QUICK | {"precision": precision, "epochs": 4}))
    assert run.history["val_loss"].iloc[-1] < 0.9 * run.history["val_loss"].iloc[0]
    assert all(torch.isfinite(p).all() for p in run.model.net.parameters())


def test_batches_are_those_of_the_processor(pair):
    """Noise has a generator of its own on each device; all the rest is the same up to rounding."""
    transform = Augmentation(noise=0)
    for here, there in zip(sampler(pair, transform), Feed(sampler(pair, transform), "cuda"), strict=True):
        assert torch.allclose(here[0], there[0].cpu(), atol=1e-3)
        assert (here[1] != there[1].cpu()).float().mean() < 1e-3  # a nearest pixel may round the other way
        assert torch.allclose(here[2], there[2].cpu(), atol=1e-3)


def test_batches_are_whole_when_the_network_is_slower_than_the_feed(pair):
    """A batch is used while the next ones are made: none may be written into the memory of one still in use."""
    expected = [tuple(part.clone() for part in batch) for batch in Feed(sampler(pair), "cuda")]
    big = torch.randn(4096, 4096, device="cuda")
    for batch, other in zip(Feed(sampler(pair), "cuda"), expected, strict=True):
        for _ in range(20):
            big = big @ big / 64
        kept = [part.clone() for part in batch]
        torch.cuda.synchronize()
        assert all(torch.equal(a, b) for a, b in zip(kept, other, strict=True))


def test_memory_does_not_grow_with_epochs(pair):
    feed = Feed(sampler(pair), "cuda")
    taken = []
    for _ in range(6):
        for _ in feed:
            pass
        torch.cuda.synchronize()
        taken.append(torch.cuda.memory_allocated())
    assert taken[-1] - taken[1] < 2**20  # a stream of its own for each epoch would leave 32 MiB of cuBLAS behind


def test_predictions_are_those_of_the_processor(pair):
    run = fb.train(net(), [pair], **QUICK)
    here, there = (fb.predict(run.model, pair[0], device=device).values for device in ("cpu", "cuda"))
    assert np.abs(here - there).max() < 1e-3
    tiled = fb.predict(run.model, pair[0], device="cuda", tile=32).values
    assert np.abs(tiled - there).max() < 1e-4


def test_tiles_are_halved_where_the_memory_is_full(pair):
    run = fb.train(net(width=32), [pair], **QUICK)
    image = np.random.default_rng(0).integers(0, 255, (2048, 2048)).astype(np.uint8)
    whole = fb.predict(run.model, image, device="cuda").values
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_allocated() + 2**29) / total)
    try:
        small = fb.predict(run.model, image, device="cuda", tile=2048).values
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert np.abs(small - whole).max() < 1e-3


def test_a_run_goes_on_as_if_it_had_not_been_stopped(pair, tmp_path):
    settings = QUICK | {"epochs": 3, "precision": "32"}
    torch.manual_seed(0)
    whole = fb.train(net(), [pair], out=tmp_path / "whole", **settings)

    class Stopping:
        def progress(self, step, steps):
            if step == 15:
                raise KeyboardInterrupt

        def metrics(self, epoch, values):
            pass

    fb.train(net(), [pair], out=tmp_path / "parts", observers=[Stopping()], **settings)
    resumed = fb.train(net(), [pair], out=tmp_path / "parts", resume=True, **settings)
    for a, b in zip(whole.model.net.parameters(), resumed.model.net.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-3)  # sums on a GPU have no fixed order


def test_a_plan_tells_the_memory_of_the_device(pair):
    made = fb.plan(net(), [pair], patch=(64, 64), batch=4, batches=10, epochs=2, device="cuda")
    with Measurement("cuda", made.patches) as measured:
        fb.train(net(), [pair], device="cuda", **made.settings())
    table = made.forecast.compare(measured.result())
    row = table.loc[next(name for name in table.index if name.startswith("device"))]
    assert 0.5 < row["ratio"] < 2
