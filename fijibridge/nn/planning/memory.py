"""What a training step takes at the least, from a network's shape alone, and patches that fit it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from fijibridge.errors import TrainingError
from fijibridge.nn.devices import memory
from fijibridge.nn.networks import traits
from fijibridge.nn.unet import UNet


def patch_size(net: nn.Module, patch: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the sides of a patch for a network; 128 per axis if left out, 16 for z, or what is next to it and fits.

    Raises
    ------
    TrainingError
        If they do not fit the network.
    """
    known = traits(net)
    usual = (16, 128, 128)[-known.dims :]
    size = tuple(patch) if patch is not None else tuple(_fitting(net, n) for n in usual)
    if len(size) != known.dims or any(n < 1 or _fitting(net, n) != n for n in size):
        valid = known.shrink > 0
        fits = f"the next sides that do are {[_fitting(net, n) for n in size]}" if valid else "each a multiple of "
        raise TrainingError(
            f"patch {size} does not fit the network: {known.dims} sides, {fits}"
            + ("" if valid else f"{known.divisor} (2**depth)")
        )
    return size


def _fitting(net: nn.Module, n: int) -> int:
    """Return the smallest side of n or more that the network can take."""
    known = traits(net)
    if isinstance(net, UNet):
        return net.input_size(n - 2 * known.shrink)
    return max(-(-n // known.divisor) * known.divisor, 1)


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


def check_memory(net: nn.Module, patch: Sequence[int], batch: int, device: torch.device) -> None:
    """Refuse a training that cannot fit into the memory of a device, where that is known.

    Raises
    ------
    TrainingError
        Says what it takes and what there is.
    """
    if not isinstance(net, UNet):  # what it takes is not known before it is tried
        return
    need, there = training_memory(net, patch, batch), memory(device)
    if there is not None and need > there:
        raise TrainingError(
            f"a training step takes at least {need / 2**30:.0f} GiB, {device} has {there / 2**30:.1f} GiB: lower the "
            f"patch {' x '.join(map(str, patch))}, the batch {batch}, or the network's channels "
            f"{net.config['width']} or depth {net.config['depth']}"
        )
