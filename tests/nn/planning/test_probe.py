from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.planning import forecast_training
from fijibridge.nn.planning.probe import OutOfMemory, probe
from fijibridge.nn.unet import UNet

CPU = torch.device("cpu")


@pytest.fixture
def sampler():
    rng = np.random.default_rng(0)
    image, target = rng.random((1, 40, 40), np.float32), rng.integers(0, 2, (40, 40), np.uint8)
    return PatchSampler([Sample(image, target)], (16, 16), 2, 6)


def test_nothing_is_moved(sampler):
    net = UNet(depth=1, width=2, dropout=0.5)
    before = {k: v.clone() for k, v in net.state_dict().items()}
    torch.manual_seed(5)
    sampler.epoch = 3
    forecast_training(net.eval(), sampler, sampler, epochs=2)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    assert not net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert (sampler.epoch, sampler.done) == (3, 0)


def test_full_memory_is_told():
    class Full(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 1)

        def forward(self, x):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory: you tried ...")

    batch = (torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4, dtype=torch.int64), torch.ones(1, 4, 4))
    with pytest.raises(OutOfMemory, match="lower the batch"):
        probe(Full(), [batch], CPU, lambda o, y, w: o.mean())


def test_other_errors_stay_what_they_are(sampler):
    with pytest.raises(RuntimeError, match="channels"):
        forecast_training(UNet(in_channels=3, depth=1, width=2), sampler)
