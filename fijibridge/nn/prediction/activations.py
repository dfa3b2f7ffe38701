"""Activations of a network's outputs, and their mean over mirrored images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product

import torch
from torch import Tensor, nn

from fijibridge.errors import ModelError
from fijibridge.nn.traits import Traits

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "classes": lambda t: torch.softmax(t, dim=1),
    "affinity": torch.sigmoid,
    "distance": torch.relu,
}


def answer(net: nn.Module, x: Tensor, known: Traits, flips: bool = False) -> Tensor:
    """Return the activated output of a network, (B, K, ...); with `flips`, the mean over all mirrored images.

    Raises
    ------
    ModelError
        If the output has another number of channels than the network's traits say.

    Notes
    -----
    An affinity relates a pixel to the one before it along an axis. The pixel before it in the mirrored image is the
    pixel after it in the original, so affinities that are mirrored back are off by one pixel, and are moved by one.
    This leaves the first pixel without a value; it gets the value from the image that is not mirrored along this axis.
    """
    plain = activated(net(x), known)
    if not flips:
        return plain
    found: dict[tuple[int, ...], Tensor] = {(): plain}
    total = plain.clone()
    for axes in _mirrored(known.dims):
        y = activated(net(x.flip(axes)), known).flip(axes)
        if "affinity" in known.outputs:
            y = found[axes] = _moved(y, axes, known, found)
        total += y
    return total.div_(2**known.dims)


def activated(output: Tensor, known: Traits) -> Tensor:
    """Apply the activation of each head of an output: classes, affinity, distance; leave other channels unchanged.

    Raises
    ------
    ModelError
        If the output has another number of channels than the network's traits say.
    """
    if not isinstance(output, Tensor) or output.ndim < 2 or output.shape[1] != known.n_outputs:
        found = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        raise ModelError(f"the network returned {found}; expected a tensor with {known.n_outputs} channels in axis 1")
    parts = []
    for name, part in sorted(known.outputs.items(), key=lambda item: item[1].start):
        raw = output[:, part].float()
        parts.append(_ACTIVATIONS[name](raw) if name in _ACTIVATIONS else raw)
    return torch.cat(parts, dim=1)


def check_flips(known: Traits) -> None:
    """Refuse the mean over mirrored images if the meaning of an output in a mirrored image is unknown.

    Raises
    ------
    ModelError
        If there is such an output; the message names it.
    """
    for name in known.outputs:
        if name not in _ACTIVATIONS:
            raise ModelError(
                f"the meaning of the output {name!r} in a mirrored image is unknown: predict with flips=False"
            )
    affinity = known.outputs.get("affinity")
    if affinity is not None and affinity.stop - affinity.start != known.dims:
        raise ModelError(
            f"the network has {affinity.stop - affinity.start} affinities; mirrored images need one for each of "
            f"{known.dims} axes: predict with flips=False"
        )


def _mirrored(dims: int) -> Iterator[tuple[int, ...]]:
    """Yield each set of axes of (B, C, ...) to mirror, after all its subsets."""
    for chosen in product((False, True), repeat=dims):
        if any(chosen):
            yield tuple(axis + 2 for axis, flipped in enumerate(chosen) if flipped)


def _moved(y: Tensor, axes: tuple[int, ...], known: Traits, found: dict[tuple[int, ...], Tensor]) -> Tensor:
    """Move the affinities by one pixel along each mirrored axis, from the next pixel to the pixel itself."""
    y = y.clone()
    first = known.outputs["affinity"].start
    for axis in axes:
        channel = first + axis - 2
        moved = y[:, channel].roll(1, axis - 1)
        # `roll` moved the last value to the first pixel; the result not mirrored along this axis has the right one.
        unmirrored = found[tuple(a for a in axes if a != axis)][:, channel]
        moved.narrow(axis - 1, 0, 1).copy_(unmirrored.narrow(axis - 1, 0, 1))
        y[:, channel] = moved
    return y
