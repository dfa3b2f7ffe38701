"""The field computed from the layers is the one that the gradient sees, for our networks and for anyone's."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from fijibridge.errors import ModelError
from fijibridge.nn.planning import ReceptiveField, confirm_receptive_field, receptive_field
from fijibridge.nn.receptive_field import field as field_module
from fijibridge.nn.traits import Traits
from fijibridge.nn.unet import UNet


class Own(nn.Module):
    """A forward pass written by hand over some modules."""

    def __init__(self, forward, *modules):
        super().__init__()
        self.parts, self.rule = nn.ModuleList(modules), forward

    def forward(self, x):
        return self.rule(self.parts, x)


def conv(before, after, size=3, **more):
    return nn.Conv2d(before, after, size, padding=more.pop("padding", size // 2), **more)


def skip(m, x):
    deep = functional.max_pool2d(functional.relu(m[0](x)), 2)
    return m[1](torch.cat([x, functional.interpolate(deep, x.shape[2:], mode="bilinear", align_corners=False)], 1))


def channels_last(m, x):
    return (x + m[1](m[0](x).permute(0, 2, 3, 1)).movedim(-1, 1))[:, :1]


ANISOTROPIC = nn.Sequential(
    nn.Conv3d(1, 2, (1, 3, 3), padding=(0, 1, 1)), nn.MaxPool3d((1, 2, 2)), nn.Conv3d(2, 2, 3, padding=1),
    nn.Upsample(scale_factor=(1, 2, 2)), nn.Conv3d(2, 2, (3, 5, 1), padding=(1, 2, 0)),
)  # fmt: skip

_DEPTHS = [(1, 2), (2, 2), (3, 2), (1, 3), (2, 3)]

NETS = {
    **{f"UNet depth {d} {n}D": (lambda d=d, n=n: UNet(depth=d, width=2, dims=n)) for d, n in _DEPTHS},
    "UNet valid": lambda: UNet(depth=2, width=2, padding="valid"),
    "UNet valid 3D": lambda: UNet(depth=1, width=1, dims=3, padding="valid"),
    "UNet with all": lambda: UNet(2, 3, 2, 2, norm="group", dropout=0.3, residual=True, heads=("distance", "affinity")),
    "dilated": lambda: nn.Sequential(conv(1, 2, padding=2, dilation=2), nn.ReLU(), conv(2, 2, padding=4, dilation=4)),
    "strided, bilinear": lambda: nn.Sequential(
        conv(1, 2, stride=2), nn.GELU(), conv(2, 2, stride=2), nn.Upsample(scale_factor=4, mode="bilinear"), conv(2, 1)
    ),
    "bicubic, reflected": lambda: nn.Sequential(
        conv(1, 2, 2, stride=2, padding=0),
        nn.Upsample(scale_factor=2, mode="bicubic"),
        conv(2, 1, padding_mode="reflect"),
    ),
    "even kernels": lambda: nn.Sequential(
        conv(1, 2, 4, stride=2, padding=1), nn.ConvTranspose2d(2, 2, 4, stride=2, padding=1)
    ),
    "threes": lambda: nn.Sequential(
        conv(1, 2), nn.MaxPool2d(3, stride=1, padding=1), nn.MaxPool2d(3), nn.Upsample(scale_factor=3), conv(2, 2, 1)
    ),
    "functional skip": lambda: Own(skip, conv(1, 2), conv(3, 2)),
    "channels last": lambda: Own(channels_last, conv(1, 4, 7), nn.Linear(4, 4)),
    "cropped": lambda: Own(lambda m, x: m[0](x) + x[:, :, 2:-2, 2:-2], conv(1, 1, 5, padding=0)),
    "anisotropic": lambda: ANISOTROPIC,
}


@pytest.mark.parametrize("name", NETS)
def test_from_the_layers_it_is_what_the_gradient_sees(name):
    net = NETS[name]()
    assert receptive_field(net) == confirm_receptive_field(net)


@pytest.mark.parametrize(
    ("name", "size", "halo"),
    [
        ("UNet depth 1 2D", 18, 10), ("UNet depth 2 2D", 44, 24), ("UNet depth 2 3D", 44, 24),
        ("UNet depth 3 2D", 100, 56), ("dilated", 13, 6),
        ("strided, bilinear", 15, 12), ("channels last", 7, 3), ("cropped", 5, 2),
    ],
)  # fmt: skip
def test_known_fields(name, size, halo):
    field = receptive_field(NETS[name]())
    assert (field.size, field.halo) == (size, halo)


@pytest.mark.parametrize("norm", ["instance", "group", "none"])
def test_a_normalisation_changes_no_field_and_is_followed(norm, monkeypatch):
    expected = receptive_field(UNet(depth=2, width=4))
    monkeypatch.setattr(field_module, "confirm_receptive_field", lambda net: pytest.fail("the slow way was gone"))
    assert receptive_field(UNet(depth=2, width=4, norm=norm)) == expected


def test_axes_that_differ():
    field = receptive_field(ANISOTROPIC)
    assert [f.size for f in field.along(3)] == [5, 12, 8]
    assert [f.divisor for f in field.along(3)] == [1, 2, 2]
    assert (field.size, field.left, field.divisor) == (12, 6, 2)
    assert receptive_field(UNet(depth=1, width=1)).along(2) == (ReceptiveField(18, 9, 9, 2),) * 2


def test_an_unknown_layer_is_answered_by_the_gradient():
    field = receptive_field(Own(lambda m, x: m[0](x) + torch.roll(x, 3, -1), conv(1, 1)))
    assert [(f.left, f.right) for f in field.along(2)] == [(1, 1), (3, 1)]


def test_traits_are_believed():
    net = Own(lambda m, x: functional.pixel_shuffle(m[0](functional.pixel_unshuffle(x, 2)), 2), conv(4, 8))
    with pytest.raises(ModelError, match=r"4 channel.* attribute traits"):
        receptive_field(net)
    net.traits = Traits(dims=2, in_channels=1, divisor=2)
    assert receptive_field(net) == confirm_receptive_field(net) == ReceptiveField(6, 3, 3, 2)


def test_what_sees_the_whole_image_has_none():
    net = Own(
        lambda m, x: m[0](x) * torch.sigmoid(m[1](functional.adaptive_avg_pool2d(x, 1))), conv(1, 2), conv(1, 2, 1)
    )
    for ask in (receptive_field, confirm_receptive_field):
        with pytest.raises(ModelError, match="sees the whole image"):
            ask(net)


def test_aligned_corners_are_refused():
    net = nn.Sequential(
        conv(1, 2, 2, stride=2, padding=0), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
    )
    with pytest.raises(ModelError, match="align_corners=False"):
        receptive_field(net)


def test_no_convolution():
    with pytest.raises(ModelError, match="no 2D or 3D convolution"):
        receptive_field(nn.Flatten())


@pytest.mark.parametrize("ask", [receptive_field, confirm_receptive_field])
def test_the_network_is_left_as_it_was(ask):
    net = UNet(depth=1, width=2, dropout=0.5).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    torch.manual_seed(3)
    ask(net)
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    assert net.training
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert all(p.requires_grad for p in net.parameters())
