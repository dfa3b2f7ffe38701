"""Sizes of patches: the default, and those that a network refuses."""

import pytest
from torch import nn

from fijibridge.errors import TrainingError
from fijibridge.nn.memory import training_memory
from fijibridge.nn.patches.size import patch_size
from fijibridge.nn.unet import UNet


def test_patches_for_anyone_s_network():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(4), nn.Upsample(scale_factor=4))
    assert patch_size(net) == (128, 128)
    with pytest.raises(TrainingError, match="a multiple of 4"):
        patch_size(net, (130, 128))
    assert training_memory(net, (128, 128), 2) > training_memory(net, (64, 64), 2) > 0


def test_patches_for_a_valid_network():
    net = UNet(depth=2, width=1, padding="valid")
    assert net.output_size(patch_size(net)[0]) > 0
    with pytest.raises(TrainingError, match="with valid convolutions such as"):
        patch_size(net, (128 + 1, 128))
