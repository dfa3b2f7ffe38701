"""Running a network without changing it: evaluation mode, blank images, trial runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def evaluation(net: nn.Module) -> Iterator[None]:
    """Put a network into evaluation mode, and restore the previous mode of each module at the end.

    Examples
    --------
    >>> net = nn.Sequential(nn.Dropout().eval(), nn.Dropout())
    >>> with evaluation(net):
    ...     [module.training for module in net]
    [False, False]
    >>> [module.training for module in net]
    [False, True]
    """
    modes = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@contextmanager
def trial(net: nn.Module) -> Iterator[None]:
    """Run a network in evaluation mode, without gradients, and leave torch's random state unchanged."""
    with evaluation(net), torch.no_grad(), torch.random.fork_rng(devices=[]):
        yield


def blank_images(net: nn.Module, count: int, channels: int, sides: Sequence[int]) -> Tensor:
    """Return `count` all-zero images, (B, C, ...), on the device and with the dtype of a network's weights."""
    weights = next(net.parameters(), torch.zeros(()))
    return torch.zeros(count, channels, *sides, device=weights.device, dtype=weights.dtype)
