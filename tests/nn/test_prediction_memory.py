"""How large tiles are, and what happens where memory is not enough."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch import nn

from fijibridge.errors import DeviceError, FijiBridgeWarning, ImageError
from fijibridge.nn import memory
from fijibridge.nn.model import Model
from fijibridge.nn.prediction import predict, predictor
from fijibridge.nn.prediction.tiles import axes_of, largest_input, largest_sides
from fijibridge.nn.traits import Traits, traits
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
    predict(Model(net, ("a", "b")), noise(200, 200), tile=100)
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
    with pytest.raises(DeviceError, match="memory of cpu is not enough for a tile of 2 x 2 px"):
        predict(Model(net, ("a", "b")), noise(60, 60), device="cpu")


def test_statistics_of_tiles_are_told_where_memory_forces_them():
    net = Greedy(50**2, MemoryError(), norm="group").eval()
    with pytest.warns(FijiBridgeWarning, match="normalises by statistics"):
        predict(Model(net, ("a", "b")), noise(100, 70))


@pytest.mark.parametrize("shape", [{}, {"padding": "valid"}, {"dims": 3}, {"norm": "instance"}, {"residual": True}])
def test_memory_for_a_pixel_is_what_torch_has_alive(shape):
    net = UNet(**{"depth": 2, "width": 16, **shape}).eval()
    known = traits(net)
    side = net.input_size(192 if known.dims == 2 else 64)
    cpu = [torch.profiler.ProfilerActivity.CPU]
    with torch.profiler.profile(profile_memory=True, activities=cpu) as seen, torch.no_grad():
        net(torch.zeros(1, 1, *[side] * known.dims))
    now = most = 0
    for event in seen.profiler.kineto_results.events():
        if event.name() == "[memory]":
            now += event.nbytes()
            most = max(most, now)
    windows = [axis.window for axis in axes_of(net, known)]
    found = memory.prediction_memory(net, known, windows) * side**known.dims
    assert 0.8 < found / most < 1.25


def test_a_network_that_needs_numbers_is_tried_with_some():
    class Numbers(nn.Conv2d):
        def forward(self, x):
            return super().forward(x) * float(x.max() + 1)

    net = Numbers(1, 2, 3, padding=1).eval()
    windows = [axis.window for axis in axes_of(UNet(depth=1, width=2), Traits(2, 1))]
    assert memory.prediction_memory(net, Traits(2, 1), windows) >= 4 + 2 * 8


@pytest.mark.parametrize("room", [2**18, 2**20, 2**22, 2**40])
@pytest.mark.parametrize("shape", [(1000, 300), (90, 4000)])
def test_tiles_fill_the_room_there_is(room, shape, monkeypatch):
    monkeypatch.setattr(memory, "tile_memory", lambda device, undivided=False: room)
    net = UNet(depth=2, width=4).eval()
    axes, cpu = axes_of(net, net.traits), torch.device("cpu")
    limit = memory.tile_pixels(cpu, 100.0)
    sides = largest_sides(axes, shape, "as trained", limit)
    assert all(side % 4 == 0 for side in sides)
    larger = [n * 2 for n in sides]
    if room > 2**18:
        assert largest_input(axes, shape, "as trained", sides) <= limit
    if room < 2**40:
        assert largest_input(axes, shape, "as trained", larger) > limit
    else:
        assert all(side >= n for side, n in zip(sides, shape, strict=True))


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


def test_a_result_that_does_not_fit_is_refused_before_work_starts(monkeypatch):
    monkeypatch.setattr(predictor, "available_memory", lambda: 10_000)
    with pytest.raises(ImageError, match=r"takes .* GiB, of .* free: .*out='name.ome.zarr'"):
        predict(Model(UNet(depth=1, width=2), ("a", "b")), noise(60, 60))


LARGE = """
import json, sys, numpy as np, torch, zarr
import fijibridge as fb
from fijibridge.machine import PeakMemory
torch.set_num_threads(1)
side = {side}
source = zarr.create_array("{folder}/a.zarr", shape=(side, side), chunks=(512, 512), dtype="uint16")
block = np.random.default_rng(0).integers(0, 999, (512, 512)).astype(np.uint16)
for y in range(0, side, 512):
    for x in range(0, side, 512):
        source[y : y + 512, x : x + 512] = block
net = torch.nn.Conv2d(1, 2, 3, padding=1)
model = fb.Model(net, ("a", "b"))
fb.predict(model, source[:512, :512], tile=512)
with PeakMemory() as watch:
    prob = fb.predict(model, source, out="{folder}/p.ome.zarr", tile=512)
assert prob.shape == (2, side, side)
part = prob[:, 700:900, 3:200].values
expected = fb.predict(fb.Model(net, ("a", "b"), fb.nn.normalisation.Normalisation.none()), np.zeros((8, 8)))
print(json.dumps({{"growth": watch.growth, "image": source.nbytes, "result": prob.nbytes}}))
"""


def test_memory_does_not_grow_with_the_image(python, tmp_path):
    """An image of 200 MB with a result of 800 MB."""
    growth = {}
    for side in (2048, 10240):
        (tmp_path / str(side)).mkdir()
        told = python(LARGE.format(side=side, folder=tmp_path / str(side)), timeout=200, OMP_NUM_THREADS="1")
        growth[side] = json.loads(told.stdout)
    assert growth[10240]["image"] > 200e6
    assert growth[10240]["result"] > 800e6
    assert growth[10240]["growth"] < 150e6
    assert growth[10240]["growth"] < growth[2048]["growth"] + 60e6


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
    assert "was not enough for tiles of 640 x 640 px: they are halved" in done.stderr
    assert float(done.stdout) < 2e-6
