"""Receptive field measured by the gradient: the input pixels on which an output pixel can depend.

An output pixel depends on an input pixel if the derivative of the former with respect to the latter is not 0. In a
trained network, the derivative may be 0 by chance: a ReLU is inactive, contributions cancel, or another pixel is the
maximum. None of this can happen in the copy of the network used here: its weights are positive, maxima are replaced by
means, and activations and normalisations are skipped.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from fijibridge.errors import ModelError
from fijibridge.nn.receptive_field.spans import Span
from fijibridge.nn.traits import Traits, declared_traits, first_convolution


def outline(net: nn.Module) -> tuple[Traits, int]:
    """Return a network's traits without running it, and a number of which its input sides are probably multiples.

    Without an attribute ``traits`` or ``divisor``, dimensions and channels are taken from the first convolution, the
    divisor is 1, and that number is estimated from the strides.
    """
    declared = declared_traits(net)
    if declared is not None:
        return declared, declared.divisor
    dims, channels = first_convolution(net)
    divisor = getattr(net, "divisor", None)
    return Traits(dims, channels, divisor=int(divisor or 1)), int(divisor or _strides(net))


def _strides(net: nn.Module) -> int:
    """Return the product of all downsampling strides, at most 64, as an estimate of the divisor."""
    down = 1
    for module in net.modules():
        stride = getattr(module, "stride", 1)
        if isinstance(module, nn.modules.conv._ConvTransposeNd):
            continue
        if isinstance(stride, int | tuple):
            down *= max(stride) if isinstance(stride, tuple) else stride
    return down if down <= 64 else 64


def reach(net: nn.Module, known: Traits, axis: int, length: int, places: int) -> Span | None:
    """Return the relative spans of neighbouring output pixels along one axis; None if no image size is accepted.

    Parameters
    ----------
    net, known
        The network, and its dimensions and channels.
    axis
        Axis along which the image is long.
    length
        Length of the image along this axis in pixels, rounded up to the next valid length.
    places
        Number of neighbouring output pixels in the middle.
    """
    positive = _positive(net)
    found = _forward(positive, known.in_channels, known.dims, axis, length)
    if found is None:
        return None
    x, out = found
    # Summing over channels and the short axes leaves one number for each position along the long axis.
    line = out.sum(dim=[d for d in range(out.ndim) if d != axis + 2])
    first = max((len(line) - places) // 2, 0)
    below = (x.shape[axis + 2] - len(line)) // 2
    spans = [_hit(x, line[first + i], axis) for i in range(min(places, len(line)))]
    centre = first + below + np.arange(len(spans))
    low, high = np.array(spans).T
    return Span(low - centre, high - centre, (low <= 0) | (high >= x.shape[axis + 2] - 1))


def _hit(x: Tensor, value: Tensor, axis: int) -> tuple[int, int]:
    """Return the first and last position along an axis at which the gradient of a value is not 0."""
    (gradient,) = torch.autograd.grad(value, x, retain_graph=True)
    along = gradient.abs().sum(dim=[d for d in range(x.ndim) if d != axis + 2])
    hit = torch.nonzero(along).flatten()
    if not len(hit):
        raise ModelError("no input pixel has a gradient: the output of the network does not depend on the image")
    return int(hit[0]), int(hit[-1])


def _forward(net: nn.Module, channels: int, dims: int, axis: int, length: int) -> tuple[Tensor, Tensor] | None:
    """Run the network on the smallest valid image at least `length` long along an axis; return input and output."""
    empty = copy.deepcopy(net).to("meta")
    short = next((n for n in range(1, length + 1) if _takes(empty, channels, [n] * dims)), None)
    if short is None:
        return None
    for longer in range(length):
        sides = [length + longer if d == axis else short for d in range(dims)]
        if _takes(empty, channels, sides):
            x = torch.ones(1, channels, *sides, dtype=torch.float64, requires_grad=True)
            return x, _run(net, x)
    return None


def _takes(empty: nn.Module, channels: int, sides: Sequence[int]) -> bool:
    """Return whether a network on the meta device, which computes nothing, accepts an image with these sides."""
    try:
        with torch.no_grad():
            out = _run(empty, torch.ones(1, channels, *sides, dtype=torch.float64, device="meta"))
    except Exception:  # an unknown forward pass may raise anything on invalid sides
        return False
    return all(0 < n <= m and (m - n) % 2 == 0 for n, m in zip(out.shape[2:], sides, strict=True))


def _run(net: nn.Module, x: Tensor) -> Tensor:
    with _Linear():
        out = net(x)
    if not isinstance(out, Tensor):
        raise ModelError(f"the network returns a {type(out).__name__}; expected one tensor")
    return out


def _positive(net: nn.Module) -> nn.Module:
    """Return a copy of a network with biases 0 and weights 1 / (number of inputs), so that each output is a mean."""
    made = copy.deepcopy(net).cpu().double().eval().requires_grad_(False)
    for name, parameter in made.named_parameters():
        if parameter.ndim > 1:
            parameter.fill_(1 / max(1, math.prod(parameter.shape[1:])))
        else:
            parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return made


class _Linear(TorchFunctionMode):
    """Make a forward pass linear: replace maxima by means, and skip activations, normalisations and dropout."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func.__name__.lstrip("_").removesuffix("_")
        if name in _LEFT_OUT:
            return args[0] if args else kwargs["input"]
        if name.startswith("max_pool"):
            return _mean_pool(name, *args, **kwargs)
        if name.startswith("adaptive_max_pool"):
            return getattr(functional, name.replace("max", "avg"))(*args[:2], **kwargs)
        if name == "amax":
            return torch.mean(*args, **kwargs)
        return func(*args, **kwargs)


def _mean_pool(
    name: str, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Tensor:  # fmt: skip
    """Average over the windows of a max pooling by a convolution, because torch's average pooling has no dilation."""
    dims = int(name.removeprefix("max_pool")[0])
    size = (kernel_size,) * dims if isinstance(kernel_size, int) else tuple(kernel_size)
    if ceil_mode:
        pool = {1: functional.avg_pool1d, 2: functional.avg_pool2d, 3: functional.avg_pool3d}[dims]
        return pool(input, size, stride or size, padding, True)
    conv = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}[dims]
    weight = torch.full((input.shape[1], 1, *size), 1 / math.prod(size), dtype=input.dtype, device=input.device)
    return conv(input, weight, None, stride or size, padding, dilation, input.shape[1])


_LEFT_OUT = {
    "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish", "hardtanh", "sigmoid",
    "hardsigmoid", "tanh", "softplus", "softsign", "prelu", "rrelu", "logsigmoid", "softmax", "log_softmax",
    "threshold", "batch_norm", "instance_norm", "group_norm", "layer_norm", "local_response_norm", "rms_norm", "clamp",
    "clip", "dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout", "exp", "abs",
    "clamp_min", "clamp_max", "hardshrink", "softshrink", "tanhshrink", "sqrt", "rsqrt", "normalize",
}  # fmt: skip
