"""Tiling: sizes of tiles, and smaller tiles when memory runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fijibridge.errors import DeviceError, FijiBridgeWarning
from fijibridge.nn import memory
from fijibridge.nn.model import Model
from fijibridge.nn.prediction import predict
from fijibridge.nn.prediction.tiles import axes_of
from fijibridge.nn.unet import UNet


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


class Greedy(UNet):
    """Has memory for so many pixels only, and keeps the shapes that it was given."""

    def __init__(self, most: int, error: BaseException, **more):
        super().__init__(1, 2, 1, 4, **more)
        self.most, self.error, self.given = most, error, []

    def forward(self, x):
        self.given.append(tuple(x.shape[2:]))
        if x.numel() > self.most:
            raise self.error
        return super().forward(x)


SHORT = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 64 bytes"),
    RuntimeError("MPS backend out of memory"),
]


@pytest.mark.parametrize("error", SHORT, ids=repr)
def test_tiles_are_halved_until_they_fit_and_the_result_is_the_same(error):
    torch.manual_seed(0)
    net = Greedy(50**2, error).eval()
    image, told = noise(100, 70), []
    found = predict(Model(net, ("a", "b")), image, progress=lambda *n: told.append(n))
    assert told == [(1, 1)]
    tried = [shape for shape in net.given if shape[0] * shape[1] > 50**2]
    assert (100, 70) in tried
    assert tried.count((100, 70)) == 1, "what was too large is not tried again"
    net.most = 10**9
    np.testing.assert_allclose(found.values, predict(Model(net, ("a", "b")), image).values, atol=2e-6)


def test_sizes_that_were_too_large_are_not_tried_again():
    net = Greedy(30**2, MemoryError()).eval()
    predict(Model(net, ("a", "b")), noise(120, 120), tile=100)
    halo = axes_of(net, net.traits)[0].halo
    tried = [shape for shape in net.given if 30**2 < shape[0] * shape[1] <= (100 + halo) ** 2]
    assert tried[:3] == [(100 + halo,) * 2, (50 + halo,) * 2, (24 + halo,) * 2]
    assert len(tried) == len(set(tried))


def test_other_errors_are_no_shortage():
    net = Greedy(50**2, RuntimeError("expected a different dtype")).eval()
    with pytest.raises(RuntimeError, match="expected a different dtype"):
        predict(Model(net, ("a", "b")), noise(100, 70))


def test_where_no_tile_fits_it_is_told():
    net = Greedy(0, MemoryError())
    net.most = 10**9
    field = axes_of(net.eval(), net.traits)
    assert field
    net.most = 100
    with pytest.raises(DeviceError, match="a tile of 2 x 2 px does not fit into the memory of cpu"):
        predict(Model(net, ("a", "b")), noise(60, 60), device="cpu")


def test_statistics_of_tiles_are_told_where_memory_forces_them():
    net = Greedy(50**2, MemoryError(), norm="group").eval()
    with pytest.warns(FijiBridgeWarning, match="normalises by statistics"):
        predict(Model(net, ("a", "b")), noise(100, 70))


@pytest.mark.parametrize("norm", ["batch", "instance"])
def test_an_image_stays_in_one_piece_where_it_must_and_memory_is_enough(norm, monkeypatch):
    model = Model(UNet(1, 2, 1, 4, norm=norm).eval(), ("a", "b"))
    monkeypatch.setattr(memory, "_TILE_BYTES", {"cpu": 300_000})
    told: list[tuple[int, int]] = []
    predict(model, noise(100, 100), progress=lambda *n: told.append(n), device="cpu")
    assert (told[-1] == (1, 1)) == (norm == "instance")
    monkeypatch.setattr(memory, "device_memory", lambda device: 400_000)
    if norm == "instance":
        with pytest.warns(FijiBridgeWarning, match="100 x 100 px are predicted in tiles"):
            predict(model, noise(100, 100), device="cpu")


LIMITED = """
import resource, logging, numpy as np, torch
import fijibridge as fb
torch.set_num_threads(1)
torch.manual_seed(0)
model = fb.Model(fb.UNet(1, 2, 1, 32).eval(), ("a", "b"))
image = np.random.default_rng(0).normal(size=(640, 640)).astype(np.float32)
whole = fb.predict(model, image)
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + 120 * 2**20,) * 2)
logging.basicConfig(level=logging.INFO)
tiled = fb.predict(model, image, tile=640)
print(float(abs(tiled - whole).max()))
"""


def test_a_process_that_may_have_no_more_memory_goes_on_with_smaller_tiles(python):
    done = python(LIMITED, OMP_NUM_THREADS="1", MALLOC_ARENA_MAX="1")
    assert "was too small for tiles of 640 x 640 px: halving them" in done.stderr
    assert float(done.stdout) < 2e-6
