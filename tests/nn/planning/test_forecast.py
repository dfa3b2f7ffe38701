from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import torch
from torch import nn

from fijibridge.errors import TrainingError
from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.planning import Forecast, Measurement, forecast_training
from fijibridge.nn.planning.forecast import extrapolate
from fijibridge.nn.planning.probe import Cost
from fijibridge.nn.unet import UNet


@pytest.fixture
def sampler():
    rng = np.random.default_rng(0)
    image, target = rng.random((1, 40, 40), np.float32), rng.integers(0, 2, (40, 40), np.uint8)
    return PatchSampler([Sample(image, target)], (16, 16), 2, 6)


class Slow(nn.Module):
    """A network whose step takes a known time."""

    def __init__(self, seconds):
        super().__init__()
        self.conv, self.seconds = nn.Conv2d(1, 2, 3, padding=1), seconds

    def forward(self, x):
        time.sleep(self.seconds)
        return self.conv(x)


def test_times_follow_from_the_step(sampler):
    """A step of 0.1 s, 6 of them an epoch and as many without learning: 1.2 s; the first seconds are the trial's."""
    told = forecast_training(Slow(0.1), sampler, sampler, epochs=3, loss=lambda o, y, w: o.mean())
    assert told.patches == 12
    assert told.step_s == pytest.approx(0.1, rel=0.3)
    assert told.epoch_s == pytest.approx(1.2, rel=0.3)
    assert told.total_s == pytest.approx(told.setup_s + 3 * told.epoch_s)


def test_the_sum_is_the_sum_of_its_parts():
    cost = Cost(2.0, 0.5, 10.0, 1000, 400, None, 8, 64, 5)
    assert extrapolate(cost, 100, 8, 10, 4, 0, spent_s=3).epoch_s == 205
    before = 3 + 10 + 0.6
    assert extrapolate(cost, 100, 8, 10, 4, 0, spent_s=3).total_s == pytest.approx(before + (4 + 10) * 0.5 + 4 * 205)
    assert extrapolate(cost, 3, 8, 0, 0, 0, spent_s=3).total_s == pytest.approx(before + 3 * 0.5), (
        "there are but 3 batches"
    )
    more = extrapolate(cost, 1, 8, 0, 1, 0, more_bytes=5000).host_bytes - extrapolate(cost, 1, 8, 0, 1, 0).host_bytes
    assert more == 5000
    assert extrapolate(cost, 1, 8, 0, 1, 0).host_bytes >= 1000 + 400


def test_batches_of_one_s_own(sampler):
    batches = list(sampler)[:1]
    assert forecast_training(UNet(depth=1, width=2), batches, epochs=1).patches == 2
    with pytest.raises(TrainingError, match="would consume"):
        forecast_training(UNet(depth=1, width=2), iter(batches))
    with pytest.raises(TrainingError, match="it needs at least two"):
        forecast_training(UNet(depth=1, width=2), [], batches=3)


def test_a_sampler_without_length():
    class Endless:
        def __iter__(self):
            while True:
                yield torch.zeros(2, 1, 8, 8), torch.zeros(2, 8, 8, dtype=torch.int64), torch.ones(2, 8, 8)

    with pytest.raises(TrainingError, match="batches="):
        forecast_training(UNet(depth=1, width=2), Endless())
    assert forecast_training(UNet(depth=1, width=2), Endless(), batches=7).patches == 14


def test_host_memory_is_a_bound_of_a_training_by_hand(sampler):
    """Against the same steps, longer, with the weights kept in two copies."""
    net = UNet(depth=2, width=8)
    bound = forecast_training(net, sampler, sampler, epochs=2).host_bytes
    if bound is None:
        pytest.skip("this system does not say what a process has in memory")
    with Measurement() as measured:
        optimizer = torch.optim.AdamW(net.parameters())
        measured.began()
        for _ in range(3):
            for x, y, _ in sampler:
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x), y.clamp(max=1)).backward()
                optimizer.step()
                measured.step()
            kept = [{k: v.clone() for k, v in net.state_dict().items()} for _ in range(2)]
            measured.epoch()
    assert kept
    assert measured.result()["host_bytes"] <= bound


def test_dict_and_back():
    there = Forecast(100, 1.5, 10, None, 0.1, 2.0, 20.0)
    assert Forecast.from_dict(json.loads(json.dumps(there.to_dict())) | {"more": 1}) == there
    with pytest.raises(TrainingError, match="lacks the fields setup_s"):
        Forecast.from_dict({"patches": 3})


def test_compare():
    table = Forecast(100, 2.0, 1000, None, 0.5, 10.0, 100.0).compare({"patches": 100, "total_s": 150.0, "epochs": 3})
    assert list(table.columns) == ["forecast", "measured", "ratio"]
    assert "device_bytes" not in table.index
    assert table.loc["total_s"].tolist() == [100.0, 150.0, 1.5]
    assert math.isnan(table.loc["epoch_s", "measured"])


def test_measurement_counts_what_it_was_told():
    with Measurement(patches=30) as measured:
        time.sleep(0.05)
        measured.began()
        for _ in range(2):
            for _ in range(3):
                time.sleep(0.02)
                measured.step()
            time.sleep(0.05)
            measured.epoch()
    result = measured.result()
    assert (result["patches"], result["epochs"], result["device_bytes"]) == (30, 2, None)
    assert 0.05 <= result["setup_s"] < 0.2
    assert 0.02 <= result["step_s"] < 0.1
    assert 0.11 <= result["epoch_s"] < 0.4
    assert result["total_s"] >= result["setup_s"] + 2 * result["epoch_s"] - 0.05


def test_a_training_that_never_began():
    with Measurement() as measured:
        pass
    assert measured.result()["step_s"] is None
    assert measured.result()["setup_s"] is None
