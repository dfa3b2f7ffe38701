"""What one has to know of a network to feed it and to read what it gives: ours, or anyone's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from fijibridge.errors import ModelError

_DIMS: dict[type[nn.Module], int] = {nn.Conv1d: 1, nn.Conv2d: 2, nn.Conv3d: 3}
_SIDES = {2: (32, 96, 256), 3: (32, 64)}  # tried in this order, pixels
_MULTIPLES = 4  # so many of a divisor must pass in a row


@dataclass(frozen=True)
class Traits:
    """What goes into a network, and what comes out.

    Attributes
    ----------
    dims : int
        2 for planes, 3 for volumes.
    in_channels : int
        Channels of the image.
    outputs : dict
        Which output channels are what: ``{"classes": slice(0, 2), "distance": slice(2, 3)}``.
    divisor : int
        The sides of an input are multiples of it.
    shrink : int
        Pixels that the output is smaller than the input on each side; 0 unless convolutions are "valid".
    """

    dims: int
    in_channels: int
    outputs: Mapping[str, slice] = field(default_factory=lambda: {"classes": slice(0, 2)})
    divisor: int = 1
    shrink: int = 0

    @property
    def n_classes(self) -> int:
        """Classes per pixel."""
        classes = self.outputs["classes"]
        return int(classes.stop - classes.start)

    @property
    def n_outputs(self) -> int:
        """Channels of the output."""
        return max(int(part.stop) for part in self.outputs.values())


def traits(net: nn.Module) -> Traits:
    """Return what a network takes and gives.

    Parameters
    ----------
    net
        A :class:`fijibridge.UNet`, or any module from (B, C, [Z,] Y, X) to (B, K, [Z,] Y, X). One with an attribute
        ``traits`` is taken by its word; of others the layers are looked at, and inputs of zeros are tried.

    Raises
    ------
    ModelError
        If the network does not tell, or gives no image.

    Examples
    --------
    >>> traits(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.ConvTranspose2d(4, 2, 2, stride=2)))
    Traits(dims=2, in_channels=3, outputs={'classes': slice(0, 2, None)}, divisor=2, shrink=0)
    """
    told = getattr(net, "traits", None)
    if isinstance(told, Traits):
        return told
    first = next((m for m in net.modules() if type(m) in _DIMS), None)
    if first is None or _DIMS[type(first)] == 1:
        raise ModelError(
            f"{type(net).__name__} has no 2D or 3D convolution that would tell what images it takes: give it an "
            "attribute traits = fijibridge.nn.traits.Traits(dims=..., in_channels=..., outputs=..., divisor=...)"
        )
    dims, channels = _DIMS[type(first)], int(first.in_channels)  # type: ignore[arg-type]
    with _untouched(net):
        divisor, side = _divisor(net, dims, channels)
        output = _try(net, dims, channels, side)
    if output is None:  # it was there a moment ago
        raise ModelError(f"{type(net).__name__} gives different things for the same input")
    return Traits(dims, channels, {"classes": slice(0, output.shape[1])}, divisor, (side - output.shape[-1]) // 2)


def _divisor(net: nn.Module, dims: int, channels: int) -> tuple[int, int]:
    """Return the smallest power of two whose multiples pass, and a side that passes; small images are tried first."""
    for most in _SIDES[dims]:
        for divisor in (1, 2, 4, 8, 16, 32):
            sides = [most - divisor * k for k in range(min(_MULTIPLES, most // (2 * divisor)))]
            lost = {_lost(_try(net, dims, channels, side), side) for side in sides}
            if len(sides) > 1 and len(lost) == 1 and None not in lost:
                return divisor, most
    raise ModelError(
        f"{type(net).__name__} was given {dims}D images of {channels} channel(s) with sides up to {most} px and gave "
        "an image of that size, or one smaller by the same on both sides, for none of them: expected (B, C, ...) to "
        "(B, K, ...). If it is right, give it an attribute traits"
    )


def _lost(output: Tensor | None, side: int) -> int | None:
    return None if output is None else side - output.shape[-1]


def _try(net: nn.Module, dims: int, channels: int, side: int) -> Tensor | None:
    """Return the output for zeros, None if it is no image that lies in the middle of the input."""
    parameter = next(net.parameters(), None)
    zeros = torch.zeros((1, channels, *[side] * dims))
    try:
        output = net(zeros if parameter is None else zeros.to(parameter.device, parameter.dtype))
    except (RuntimeError, ValueError):
        return None
    if not isinstance(output, Tensor) or output.ndim != dims + 2 or len(set(output.shape[2:])) > 1:
        return None
    lost = side - output.shape[-1]
    return output if lost >= 0 and lost % 2 == 0 and output.shape[-1] > side // 4 else None


@contextmanager
def _untouched(net: nn.Module) -> Iterator[None]:
    """Look without leaving a trace: in evaluation, without gradients, with the random numbers as they were."""
    was = {module: module.training for module in net.modules()}
    net.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module, training in was.items():
            module.training = training
