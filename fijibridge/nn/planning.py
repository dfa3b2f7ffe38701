"""What follows from a network's shape: how far it sees, which patches and halos make sense, what memory it takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fijibridge.errors import TrainingError
from fijibridge.nn.devices import memory
from fijibridge.nn.unet import UNet

Span = tuple[int, int]


@dataclass(frozen=True)
class ReceptiveField:
    """How far a network sees, along one axis.

    Attributes
    ----------
    size : int
        Input pixels that one output pixel can depend on, at the most.
    left, right : int
        Of these, before and behind the output pixel; with pooling they depend on where it lies on the grid of
        the poolings, and these are the largest.
    divisor : int
        What sides and origins of tiles must be multiples of.
    """

    size: int
    left: int
    right: int
    divisor: int

    @property
    def halo(self) -> int:
        """Margin around a tile that makes its inside equal to the whole image's, a multiple of the divisor."""
        need = max(self.left, self.right)
        return -(-need // self.divisor) * self.divisor


def receptive_field(net: UNet) -> ReceptiveField:
    """Compute the receptive field of a U-Net, encoder and decoder.

    Notes
    -----
    The span of input pixels is followed back through the layers for each place on the pooling grid: a double
    3x3 convolution widens it by 2 on each side, a pooling reads pixels 2i and 2i + 1, an up-convolution reads
    pixel i // 2.

    Examples
    --------
    >>> receptive_field(UNet(depth=2, width=2))
    ReceptiveField(size=44, left=23, right=23, divisor=4)
    """
    depth = int(net.config["depth"])
    spans = [(i, _decoded((i, i), 0, depth)) for i in range(net.divisor)]
    return ReceptiveField(
        size=max(high - low + 1 for _, (low, high) in spans),
        left=max(i - low for i, (low, _) in spans),
        right=max(high - i for i, (_, high) in spans),
        divisor=net.divisor,
    )


def _decoded(span: Span, level: int, depth: int) -> Span:
    """Return the input span behind a span of the decoder's output at a level."""
    if level == depth:
        return _encoded(span, level)
    merged = (span[0] - 2, span[1] + 2)
    below = _decoded((merged[0] // 2, merged[1] // 2), level + 1, depth)
    beside = _encoded(merged, level)
    return min(below[0], beside[0]), max(below[1], beside[1])


def _encoded(span: Span, level: int) -> Span:
    """Return the input span behind a span of the encoder's output at a level."""
    low, high = span[0] - 2, span[1] + 2
    return (low, high) if level == 0 else _encoded((2 * low, 2 * high + 1), level - 1)


def patch_size(net: UNet, patch: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the sides of a patch for a network; 128 per axis if left out, 16 for z.

    Raises
    ------
    TrainingError
        If they do not fit the network.
    """
    size = tuple(patch) if patch is not None else (128, 128) if net.dims == 2 else (16, 128, 128)
    if len(size) != net.dims or any(n < 1 or n % net.divisor for n in size):
        raise TrainingError(
            f"patch {size} does not fit the network: {net.dims} sides, each a multiple of {net.divisor} (2**depth)"
        )
    return size


def training_memory(net: UNet, patch: Sequence[int], batch: int) -> int:
    """Estimate the bytes that a training step takes at the least.

    Notes
    -----
    16 per parameter (weight, gradient, and AdamW's two moments), and the activations kept for the gradient:
    4 bytes * 10 arrays * batch * sum over levels l of channels(l) * pixels of the patch / 2**(dims * l). The arrays are
    what two convolutions and normalisations give on the way down (4) and up (4), and what was put together there (2).
    Steps on a CPU took 12 to 16 in place of 10.

    Examples
    --------
    >>> round(training_memory(UNet(depth=3, width=32), (128, 128), batch=8) / 2**20)
    329
    """
    depth, width = int(net.config["depth"]), int(net.config["width"])
    per_pixel = sum(width * 2**level / 2 ** (net.dims * level) for level in range(depth + 1))
    parameters = sum(p.numel() for p in net.parameters())
    return int(16 * parameters + 4 * 10 * batch * math.prod(patch) * per_pixel)


def check_memory(net: UNet, patch: Sequence[int], batch: int, device: torch.device) -> None:
    """Refuse a training that cannot fit into the memory of a device, where that is known.

    Raises
    ------
    TrainingError
        Says what it takes and what there is.
    """
    need, there = training_memory(net, patch, batch), memory(device)
    if there is not None and need > there:
        raise TrainingError(
            f"a training step takes at least {need / 2**30:.0f} GiB, {device} has {there / 2**30:.1f} GiB: lower the "
            f"patch {' x '.join(map(str, patch))}, the batch {batch}, or the network's channels "
            f"{net.config['width']} or depth {net.config['depth']}"
        )
