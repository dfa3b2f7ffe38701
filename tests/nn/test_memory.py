from __future__ import annotations

import pytest
import torch
from torch import nn

from fijibridge.errors import TrainingError
from fijibridge.nn import memory
from fijibridge.nn.memory import parse_bytes
from fijibridge.nn.prediction.tiles import axes_of, largest_input, largest_sides
from fijibridge.nn.traits import Traits, traits
from fijibridge.nn.unet import UNet


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


@pytest.mark.parametrize(
    ("text", "count"), [("4GB", 4 * 10**9), ("1.5 GiB", 3 * 2**29), (7, 7), ("8", 8), ("2m", 2 * 10**6), (1e9, 10**9)]
)
def test_amounts(text, count):
    assert parse_bytes(text) == count


@pytest.mark.parametrize("text", ["", "GB", "-3", "4 apples", "0", "4GiBB"])
def test_no_amounts(text):
    with pytest.raises(TrainingError, match="memory limit"):
        parse_bytes(text)
