from __future__ import annotations

import pytest
import torch
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.nn.traits import Traits, traits
from fijibridge.nn.unet import UNet


class Own(nn.Module):
    """A network of someone else: it does not say what it is."""

    def __init__(self, net, crop=0):
        super().__init__()
        self.inner, self.crop = net, crop

    def forward(self, x):
        y = self.inner(x)
        return y[..., self.crop : y.shape[-1] - self.crop] if self.crop else y


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("dims", [2, 3])
def test_the_layers_tell_what_the_unet_tells(depth, dims):
    net = UNet(in_channels=3, n_classes=4, depth=depth, width=1, dims=dims)
    assert traits(Own(net)) == net.traits == Traits(dims, 3, {"classes": slice(0, 4)}, 2**depth, 0)


def test_convolutions_without_padding_shrink():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 5))
    assert traits(net) == Traits(2, 1, {"classes": slice(0, 2)}, 1, 3)


def test_looking_leaves_no_trace():
    net = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.BatchNorm2d(2), nn.Dropout(0.5))
    net[1].eval()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    numbers = torch.get_rng_state()
    traits(net)
    assert torch.equal(numbers, torch.get_rng_state())
    assert net.training
    assert not net[1].training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (nn.Linear(3, 3), "no 2D or 3D convolution"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.AdaptiveAvgPool2d(1)), "did not consistently have the input's size"),
        (Own(nn.Conv2d(1, 2, 3), crop=200), "did not consistently have the input's size"),
    ],
)
def test_what_is_no_segmentation_network(net, words):
    with pytest.raises(ModelError, match=words):
        traits(net)
