"""How an image is cut into tiles so that what they give is what the whole image would: coordinates, no pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

import torch
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.nn.planning import receptive_field
from fijibridge.nn.traits import Traits
from fijibridge.nn.unet import UNet

Border: TypeAlias = Literal["as trained", "mirror", "valid"]
BORDERS: tuple[Border, ...] = ("as trained", "mirror", "valid")


@dataclass(frozen=True)
class Axis:
    """What a network asks of tiles along one axis.

    Attributes
    ----------
    divisor : int
        Tiles start at multiples of it.
    halo : int
        Pixels around a tile that its answer depends on, a multiple of the divisor.
    left, right : int
        How far the answer for a pixel depends on others, exactly.
    shrink : int
        Pixels that the network's output is smaller than its input on each side.
    base : int
        Its smallest input; the others are larger by multiples of the divisor.
    more : int
        Pixels of the output on each side of a tile that are asked for beside it, a multiple of the divisor; only with
        valid convolutions: without, the halo has them.
    """

    divisor: int
    halo: int
    left: int
    right: int
    shrink: int = 0
    base: int = 0
    more: int = 0

    def window(self, n: int) -> int:
        """Return the smallest input whose output has at least n pixels."""
        return self.base + _up(max(n + 2 * self.shrink - self.base, 0), self.divisor)

    def side(self, n: int) -> int:
        """Return the largest side of a tile, without its halo, that is n at the most, but at least the divisor."""
        return max(n - n % self.divisor, self.divisor)


@dataclass(frozen=True)
class Line:
    """A tile along one axis.

    Attributes
    ----------
    read : tuple of int
        First pixel of the network's input and the one behind its last, in pixels of the image; where they lie outside
        of it, the image is continued.
    write : slice
        Pixels that are decided, in the image.
    inside : slice
        Where these lie in the network's output.
    """

    read: tuple[int, int]
    write: slice
    inside: slice

    @property
    def length(self) -> int:
        """Pixels of the network's input."""
        return self.read[1] - self.read[0]


Tile: TypeAlias = tuple[Line, ...]


def axes_of(net: nn.Module, known: Traits, flips: bool = False) -> tuple[Axis, ...]:
    """Return what a network asks of tiles along each of its axes; with `flips`, of tiles that are mirrored too.

    Raises
    ------
    ModelError
        If it sees the whole image, or does not tell which sizes it takes.
    """
    base = _smallest(net, known) if known.shrink else 0
    found = []
    for field in receptive_field(net).along(known.dims):
        divisor = math.lcm(field.divisor, known.divisor)
        left, right, more = field.left, field.right, 0
        if flips:
            neighbour = int("affinity" in known.outputs)  # in a mirrored image, the pixel behind has the answer
            left = right = max(left, right) + neighbour
            more = divisor if neighbour and known.shrink else 0
        found.append(Axis(divisor, _up(max(left, right), divisor), left, right, known.shrink, base, more))
    return tuple(found)


def axes_of_whole(net: nn.Module, known: Traits) -> tuple[Axis, ...]:
    """Return the same for a network that sees the whole image: its only tile has no surroundings."""
    base = _smallest(net, known) if known.shrink else 0
    return (Axis(known.divisor, 0, 0, 0, known.shrink, base),) * known.dims


def _up(n: int, step: int) -> int:
    return -(-n // step) * step


def _smallest(net: nn.Module, known: Traits) -> int:
    """Return the smallest input of a network with valid convolutions."""
    if isinstance(net, UNet):
        return net.input_size(1)
    like = next(net.parameters(), torch.zeros(()))
    was = {module: module.training for module in net.modules()}
    net.eval()
    try:
        for n in range(2 * known.shrink + 1, 2 * known.shrink + 2 * known.divisor + 2):
            x = torch.zeros(1, known.in_channels, *[n] * known.dims, device=like.device, dtype=like.dtype)
            if _output_side(net, x) == n - 2 * known.shrink:
                return n
    finally:
        for module, training in was.items():
            module.training = training
    raise ModelError(f"{type(net).__name__} took no image from {2 * known.shrink + 1} px on: give it another traits")


def _output_side(net: nn.Module, x: torch.Tensor) -> int | None:
    try:
        with torch.no_grad():
            return int(net(x).shape[-1])
    except (RuntimeError, ValueError):
        return None


def decided(axis: Axis, n: int, border: Border) -> tuple[int, int]:
    """Return the pixels of an axis of n that get an answer: all, or with ``"valid"`` those that see no border.

    Raises
    ------
    ModelError
        If the image is so small that no pixel is left.
    """
    if border != "valid":
        return 0, n
    first, last = axis.left, n - axis.right
    if first >= last:
        raise ModelError(
            f"of an axis of {n} px no pixel is left whose surroundings, {axis.left} px before and {axis.right} px "
            "behind it, lie in the image: border='mirror' continues it"
        )
    return first, last


def lines(axis: Axis, n: int, side: int, border: Border) -> list[Line]:
    """Cut an axis of n pixels into tiles.

    Examples
    --------
    >>> [(line.read, line.write) for line in lines(Axis(4, 8, 5, 5), 30, 12, "as trained")]
    [((0, 20), slice(0, 12, None)), ((4, 32), slice(12, 24, None)), ((16, 32), slice(24, 30, None))]
    """
    return _along(axis, n, side, decided(axis, n, border), border)


def _along(axis: Axis, n: int, side: int, all_: tuple[int, int], border: Border) -> list[Line]:
    begin, side = all_[0] // axis.divisor * axis.divisor, axis.side(side)
    return [_line(axis, n, (c, c + side), all_, border) for c in range(begin, all_[1], side)]


def _line(axis: Axis, n: int, core: tuple[int, int], all_: tuple[int, int], border: Border) -> Line:
    write = slice(max(core[0], all_[0]), min(core[1], all_[1]))
    if axis.shrink:
        first = core[0] - axis.more
        start = first - axis.shrink
        return Line((start, start + axis.window(write.stop - first + axis.more)), write, _shifted(write, first))
    start, stop = core[0] - axis.halo, _up(write.stop, axis.divisor) + axis.halo
    if border == "as trained":  # the network's own continuation of the image begins where the image ends
        start, stop = max(start, 0), min(stop, _up(n, axis.divisor))
    return Line((start, stop), write, _shifted(write, start))


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start - by, part.stop - by)


def tiles(axes: Sequence[Axis], shape: Sequence[int], sides: Sequence[int], border: Border) -> list[Tile]:
    """Cut an image into tiles of these sides, without their halo, in the order of their first pixels."""
    return list(product(*(lines(a, n, s, border) for a, n, s in zip(axes, shape, sides, strict=True))))


def split(axes: Sequence[Axis], shape: Sequence[int], tile: Tile, sides: Sequence[int], border: Border) -> list[Tile]:
    """Cut a tile into smaller ones, which lie on the same grid."""
    return list(product(*(_parts(*each, border) for each in zip(axes, shape, tile, sides, strict=True))))


def _parts(axis: Axis, n: int, line: Line, side: int, border: Border) -> list[Line]:
    return _along(axis, n, side, (line.write.start, line.write.stop), border)


def reflected(start: int, stop: int, n: int) -> tuple[slice, list[int] | None]:
    """Return which pixels of an axis to read, and how to pick among them, where it is continued by mirroring.

    Examples
    --------
    >>> reflected(-2, 5, 4)
    (slice(0, 4, None), [2, 1, 0, 1, 2, 3, 2])
    >>> reflected(1, 3, 4)
    (slice(1, 3, None), None)
    """
    if start >= 0 and stop <= n:
        return slice(start, stop), None
    period = max(2 * (n - 1), 1)
    places = [min(i % period, period - i % period) if n > 1 else 0 for i in range(start, stop)]
    low, high = min(places), max(places)
    return slice(low, high + 1), [p - low for p in places]
