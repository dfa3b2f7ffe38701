"""A network for tests whose answers are known beforehand."""

from __future__ import annotations

from pathlib import Path

import torch

import fijibridge as fb
from fijibridge.nn.normalisation import Normalisation


def brightness(path: Path) -> Path:
    """Write a network that passes on what it sees: what is bright is membrane."""
    net = fb.UNet(depth=1, width=2, norm="none")
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        first, second = (layer for layer in net.down[0] if isinstance(layer, torch.nn.Conv2d))
        third, fourth = (layer for layer in net.merge[0] if isinstance(layer, torch.nn.Conv2d))
        for layer, channel in ((first, 0), (second, 0), (third, 2), (fourth, 0)):  # 2: the first one of the way around
            layer.weight[0, channel, 1, 1] = 1
        net.head.weight[1, 0, 0, 0], net.head.bias[1] = 20, -10
    return fb.Model(net, ("other", "membrane"), normalisation=Normalisation.none()).save(path)
