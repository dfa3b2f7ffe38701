"""What a training step takes at the least, from a network's shape alone, and patches that fit it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fijibridge.errors import ModelError, TrainingError
from fijibridge.nn.devices import memory
from fijibridge.nn.traits import Traits, traits

_SIDE = 128  # of a patch, pixels
_SLICES = 16


def patch_size(net: nn.Module, patch: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the sides of a patch for a network; 128 per axis if left out, 16 for z, or the next that fit it.

    Raises
    ------
    TrainingError
        If they do not fit the network.
    """
    known = traits(net)
    if patch is None:
        return tuple(next_side(net, known, n) for n in (_SLICES, _SIDE, _SIDE)[-known.dims :])
    size = tuple(int(n) for n in patch)
    if len(size) != known.dims or not all(fits(net, known, n) for n in size):
        said = _said(net, known) + _nearest(net, known, size)
        raise TrainingError(f"patch {size} does not fit the network: {known.dims} sides, {said}")
    return size


def _said(net: nn.Module, known: Traits) -> str:
    if known.shrink == 0:
        return (
            f"each a multiple of {known.divisor} (2**depth)"
            if hasattr(net, "config")
            else (f"each a multiple of {known.divisor}")
        )
    some = [n for n in range(2 * known.shrink + 1, 2 * known.shrink + 1 + 4 * known.divisor) if fits(net, known, n)]
    return f"with valid convolutions such as {', '.join(map(str, some[:3]))}"


def _nearest(net: nn.Module, known: Traits, size: Sequence[int]) -> str:
    """Say which sides are the nearest to those that do not fit."""
    said = []
    for side in dict.fromkeys(n for n in size if not fits(net, known, n)):
        found = dict.fromkeys((last_side(net, known, side), next_side(net, known, side)))
        said.append(f"{' or '.join(str(n) for n in found if n is not None)} in place of {side}")
    return f"; the nearest: {', '.join(said)}" if said else ""


def fits(net: nn.Module, known: Traits, side: int) -> bool:
    """Say whether an input may have this side."""
    told = getattr(net, "output_size", None)
    if callable(told) and known.shrink:
        try:
            return int(told(side)) > 0
        except ModelError:
            return False
    return side > 2 * known.shrink and side % known.divisor == 0


def next_side(net: nn.Module, known: Traits, side: int) -> int:
    """Return the first side from here on that an input may have."""
    return next(n for n in range(max(side, 1), side + 2 * known.shrink + 2 * known.divisor + 1) if fits(net, known, n))


def last_side(net: nn.Module, known: Traits, side: int) -> int | None:
    """Return the last side up to here that an input may have; None if there is none."""
    return next((n for n in range(side, 0, -1) if fits(net, known, n)), None)


def training_memory(net: nn.Module, patch: Sequence[int], batch: int) -> int:
    """Estimate the bytes that a training step takes at the least.

    Notes
    -----
    16 per parameter (weight, gradient, and AdamW's two moments), and the activations kept for the gradient. Of a U-Net:
    4 bytes * 10 arrays * batch * sum over levels l of channels(l) * pixels of the patch / 2**(dims * l). The arrays are
    what two convolutions and normalisations give on the way down (4) and up (4), and what was put together there (2).
    Steps on a CPU took 12 to 16 in place of 10. Of another network, what torch keeps of a small image, by its pixels.

    Examples
    --------
    >>> from fijibridge import UNet
    >>> round(training_memory(UNet(depth=3, width=32), (128, 128), batch=8) / 2**20)
    329
    """
    parameters = sum(p.numel() for p in net.parameters())
    return int(16 * parameters + batch * math.prod(patch) * _kept(net))


def _kept(net: nn.Module) -> float:
    """Return the bytes of activations that are kept for the gradient, by pixel of the input."""
    config = getattr(net, "config", None)
    if not isinstance(config, dict) or not {"depth", "width", "dims"} <= set(config):
        return _kept_of_a_trial(net)
    depth, width, dims = int(config["depth"]), int(config["width"]), int(config["dims"])
    return float(40 * sum(width * 2**level / 2 ** (dims * level) for level in range(depth + 1)))


def _kept_of_a_trial(net: nn.Module) -> float:
    known = traits(net)
    side = next_side(net, known, 2 * known.shrink + 4 * known.divisor)
    like = next(net.parameters(), torch.zeros(()))
    weights = {p.untyped_storage().data_ptr() for p in (*net.parameters(), *net.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            out = net(torch.zeros(1, known.in_channels, *[side] * known.dims, device=like.device, dtype=like.dtype))
    finally:
        for module, training in modes.items():
            module.training = training
    del out
    return float(sum(kept.values()) / side**known.dims)


def check_memory(net: nn.Module, patch: Sequence[int], batch: int, device: torch.device) -> None:
    """Refuse a training that cannot fit into the memory of a device, where that is known.

    Raises
    ------
    TrainingError
        Says what it takes and what there is.
    """
    need, there = training_memory(net, patch, batch), memory(device)
    if there is not None and need > there:
        config: Any = getattr(net, "config", {})
        of_it = f"'s channels {config['width']} or depth {config['depth']}" if "width" in config else " itself"
        raise TrainingError(
            f"a training step takes at least {need / 2**30:.0f} GiB, {device} has {there / 2**30:.1f} GiB: lower the "
            f"patch {' x '.join(map(str, patch))}, the batch {batch}, or the network{of_it}"
        )
