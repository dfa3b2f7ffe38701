from __future__ import annotations

import pytest
import torch
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.nn.planning import receptive_field, training_memory
from fijibridge.nn.unet import UNet


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_sizes(dims, depth):
    net = UNet(in_channels=3, n_classes=4, depth=depth, width=2, dims=dims).eval()
    side = [net.divisor * k for k in (1, 2, 3)][:dims]
    assert net(torch.zeros(2, 3, *side)).shape == (2, 4, *side)


def test_channels_double_per_level():
    net = UNet(depth=2, width=8)
    assert [block[0].out_channels for block in net.down] == [8, 16, 32]


def test_bad_architecture():
    with pytest.raises(ModelError, match="dims=4"):
        UNet(dims=4)
    with pytest.raises(ModelError, match="depth=0"):
        UNet(depth=0)


def gradient_span(net: UNet, at: int, length: int) -> tuple[int, int]:
    x = torch.zeros(1, 1, net.divisor, length, dtype=torch.float64, requires_grad=True)
    net(x)[0, 0, 0, at].backward()
    hit = torch.nonzero(x.grad[0, 0].abs().sum(0)).flatten()
    return at - int(hit[0]), int(hit[-1]) - at


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_receptive_field_is_what_the_gradient_sees(depth):
    """With positive weights, no ReLU is closed and the pooling is an average: every pixel in reach has a gradient."""
    net = UNet(depth=depth, width=1, n_classes=1).double().eval()
    for parameter in net.parameters():
        torch.nn.init.uniform_(parameter, 0.1, 0.2)
    net.pool = torch.nn.AvgPool2d(2)
    field = receptive_field(net)
    middle = 16 * net.divisor
    spans = [gradient_span(net, middle + i, 32 * net.divisor) for i in range(net.divisor)]
    assert max(left for left, _ in spans) == field.left
    assert max(right for _, right in spans) == field.right
    assert max(left + right + 1 for left, right in spans) == field.size


def test_known_receptive_fields():
    assert receptive_field(UNet(depth=2, width=1)).size == 44
    assert receptive_field(UNet(depth=3, width=1)).size == 100
    assert receptive_field(UNet(depth=2, width=1)).halo == 24


@pytest.mark.parametrize(("depth", "width", "dims"), [(1, 8, 2), (3, 8, 2), (2, 8, 3)])
def test_estimated_memory_is_what_the_gradient_keeps(depth, width, dims):
    """Against the tensors that torch keeps from the way there for the way back."""
    net, side, batch, kept = UNet(depth=depth, width=width, dims=dims), 32, 2, {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = net(torch.zeros(batch, 1, *[side] * dims))
    parameters = sum(p.numel() for p in net.parameters())
    activations = sum(kept.values()) - 4 * parameters
    assert logits.requires_grad
    assert training_memory(net, [side] * dims, batch) - 16 * parameters == pytest.approx(activations, rel=0.25)


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("options", [
    {"norm": "instance"}, {"norm": "group"}, {"norm": "none"}, {"residual": True}, {"dropout": 0.5},
    {"heads": ("affinity", "distance")}, {"padding": "valid"}, {"padding": "valid", "residual": True},
])  # fmt: skip
def test_each_option_learns_in_all_its_weights_and_is_built_again(options, dims):
    torch.manual_seed(0)
    net = UNet(depth=1, width=4, dims=dims, **options)
    side = net.input_size(8)
    output = net(torch.randn(2, 1, *[side] * dims))
    known = net.traits
    assert output.shape == (2, known.n_outputs, *[net.output_size(side)] * dims)
    assert side - 2 * known.shrink == output.shape[-1]
    output.square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters() if p.ndim > 1)
    again = UNet(**net.config)
    again.load_state_dict(net.state_dict())
    x = torch.randn(1, 1, *[side] * dims)
    assert torch.equal(again.eval()(x), net.eval()(x))


def test_the_sizes_of_the_paper():
    net = UNet(depth=4, width=1, padding="valid")
    assert (net.output_size(572), net.input_size(388), net.input_size(380)) == (388, 572, 572)
    with pytest.raises(ModelError, match="570 px does not fit the network; the next valid size is 572"):
        net.output_size(570)


def test_a_residual_level_of_no_convolution_is_its_shortcut():
    net = UNet(depth=1, width=2, norm="none", residual=True)
    level = net.down[0]
    for conv in (level[0], level[2]):
        nn.init.zeros_(conv.weight)
        nn.init.zeros_(conv.bias)
    x = torch.randn(1, 1, 4, 4)
    assert torch.equal(level(x), level.shortcut(x))


def test_dropout_acts_in_training_only():
    torch.manual_seed(0)
    net = UNet(depth=1, width=8, dropout=0.9)
    x = torch.randn(1, 1, 16, 16)
    assert not torch.equal(net(x), net(x))
    net.eval()
    assert torch.equal(net(x), net(x))
