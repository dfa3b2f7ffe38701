"""Coordinates of tiles whose predictions equal the prediction of the whole image.

Along each axis, a tile reads an interval of the image, and determines the result for the pixels in its middle. Three
rules make tiled predictions equal to the whole one. First, a tile starts on the grid of the network's poolings
(multiples of the divisor), so that pixels fall into the same pooling windows. Second, it reads a halo as wide as the
receptive field around its result, so that no pixel on which the result depends is missing. Third, at the border of the
image, a tile ends or is extended as the whole image would be, so that the network's own padding acts there and nowhere
else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias, get_args

import torch
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.nn.inference import blank_images, evaluation
from fijibridge.nn.receptive_field import receptive_field
from fijibridge.nn.traits import Traits
from fijibridge.nn.unet import UNet
from fijibridge.renames import rename_attributes

Padding: TypeAlias = Literal["as trained", "mirror", "valid"]
PADDINGS: tuple[Padding, ...] = get_args(Padding)


@dataclass(frozen=True)
class Axis:
    """Requirements of a network on tiles along one axis.

    Attributes
    ----------
    divisor : int
        Tiles start at multiples of this number.
    halo : int
        Pixels read on each side of a tile, a multiple of the divisor; 0 with valid convolutions.
    left, right : int
        Exact distances from an output pixel to the farthest input pixels, before and after it, on which it depends.
    shrink : int
        Pixels by which the network's output is smaller than its input on each side.
    base : int
        Smallest valid side of an input with valid convolutions; larger ones are `base` plus multiples of the divisor.
    margin : int
        With valid convolutions, number of output pixels on each side of a tile that are computed but not used; it is a
        multiple of the divisor. Otherwise 0, because these pixels are part of the halo.
    """

    divisor: int
    halo: int
    left: int
    right: int
    shrink: int = 0
    base: int = 0
    margin: int = 0

    def window(self, n: int) -> int:
        """Return the smallest side of an input whose output has at least n pixels."""
        return self.base + _round_up(max(n + 2 * self.shrink - self.base, 0), self.divisor)

    def side(self, n: int) -> int:
        """Return the largest side of a tile, without halo, up to n pixels; at least the divisor."""
        return max(n - n % self.divisor, self.divisor)


@dataclass(frozen=True)
class Line:
    """A tile along one axis.

    Attributes
    ----------
    read : tuple of int
        Start and stop (exclusive) of the network's input, in image pixels. Beyond the image, pixels are mirrored.
    write : slice
        Pixels of the image for which the tile determines the result.
    inside : slice
        Position of these pixels in the network's output.
    """

    read: tuple[int, int]
    write: slice
    inside: slice

    @property
    def length(self) -> int:
        """Number of pixels of the network's input."""
        return self.read[1] - self.read[0]


Tile: TypeAlias = tuple[Line, ...]


# --- requirements of a network ------------------------------------------------------------------------


def axes_of(net: nn.Module, known: Traits, flips: bool = False) -> tuple[Axis, ...]:
    """Return the requirements of a network on tiles along each axis; with `flips`, on mirrored tiles too.

    Raises
    ------
    ModelError
        If the network sees the whole image, or no valid input size is found.
    """
    base = _smallest_input(net, known) if known.shrink else 0
    found = []
    for field in receptive_field(net).along(known.dims):
        divisor = math.lcm(field.divisor, known.divisor)
        left, right, margin = field.left, field.right, 0
        if flips:
            # In a mirrored image, the network sees as far to the left as otherwise to the right. A pixel's affinity
            # there is the affinity of the next pixel in the original, so one more pixel is needed.
            neighbour = int("affinity" in known.outputs)
            left = right = max(left, right) + neighbour
            margin = divisor if neighbour and known.shrink else 0
        halo = _round_up(max(left, right), divisor)
        found.append(Axis(divisor, halo, left, right, known.shrink, base, margin))
    return tuple(found)


def axes_of_whole(net: nn.Module, known: Traits) -> tuple[Axis, ...]:
    """Return the requirements of a network that sees the whole image: a single tile without halo."""
    base = _smallest_input(net, known) if known.shrink else 0
    return (Axis(known.divisor, 0, 0, 0, known.shrink, base),) * known.dims


def _round_up(n: int, step: int) -> int:
    return -(-n // step) * step


def _smallest_input(net: nn.Module, known: Traits) -> int:
    """Return the smallest valid side of an input of a network with valid convolutions."""
    if isinstance(net, UNet):
        return net.input_size(1)
    least = 2 * known.shrink + 1
    with evaluation(net), torch.no_grad():
        for n in range(least, least + 2 * known.divisor + 1):
            if _output_side(net, blank_images(net, 1, known.in_channels, [n] * known.dims)) == n - 2 * known.shrink:
                return n
    raise ModelError(
        f"{type(net).__name__} accepted no image with sides from {least} px on: correct its attribute traits"
    )


def _output_side(net: nn.Module, x: torch.Tensor) -> int | None:
    try:
        return int(net(x).shape[-1])
    except (RuntimeError, ValueError):
        return None


# --- tiles --------------------------------------------------------------------------------------------


def decided(axis: Axis, n: int, padding: Padding) -> tuple[int, int]:
    """Return the predicted range of an axis of n pixels: all, or with ``"valid"`` only pixels that see no border.

    Raises
    ------
    ModelError
        If the image is so small that no pixel is left.
    """
    if padding != "valid":
        return 0, n
    first, last = axis.left, n - axis.right
    if first >= last:
        raise ModelError(
            f"padding='valid' leaves no pixel along an axis of {n} px: the network sees {axis.left} px before and "
            f"{axis.right} px after a pixel; use a larger image, or padding='mirror'"
        )
    return first, last


def lines(axis: Axis, n: int, side: int, padding: Padding) -> list[Line]:
    """Cut an axis of n pixels into tiles.

    Examples
    --------
    >>> [(line.read, line.write) for line in lines(Axis(4, 8, 5, 5), 30, 12, "as trained")]
    [((0, 20), slice(0, 12, None)), ((4, 32), slice(12, 24, None)), ((16, 32), slice(24, 30, None))]
    """
    return _along(axis, n, side, decided(axis, n, padding), padding)


def _along(axis: Axis, n: int, side: int, range_: tuple[int, int], padding: Padding) -> list[Line]:
    """Cut a range of an axis into tiles that start at multiples of the divisor, even if the range does not."""
    begin, side = range_[0] // axis.divisor * axis.divisor, axis.side(side)
    return [_line(axis, n, (c, c + side), range_, padding) for c in range(begin, range_[1], side)]


def _line(axis: Axis, n: int, core: tuple[int, int], range_: tuple[int, int], padding: Padding) -> Line:
    write = slice(max(core[0], range_[0]), min(core[1], range_[1]))
    if axis.shrink:
        # Valid convolutions: output pixel i is input pixel i + shrink, and only some input sizes are valid. Use the
        # smallest input whose output extends from `first` to the end of the margin after the tile.
        first = core[0] - axis.margin
        start = first - axis.shrink
        return Line((start, start + axis.window(write.stop - first + axis.margin)), write, _shifted(write, first))
    start, stop = core[0] - axis.halo, _round_up(write.stop, axis.divisor) + axis.halo
    if padding == "as trained":
        # The input ends where the image ends, rounded up to a valid side, so that the network's own padding acts there.
        start, stop = max(start, 0), min(stop, _round_up(n, axis.divisor))
    return Line((start, stop), write, _shifted(write, start))


def _shifted(part: slice, by: int) -> slice:
    return slice(part.start - by, part.stop - by)


def tiles(axes: Sequence[Axis], shape: Sequence[int], sides: Sequence[int], padding: Padding) -> list[Tile]:
    """Cut an image into tiles with the given sides, without halo, in row-major order."""
    return list(product(*(lines(a, n, s, padding) for a, n, s in zip(axes, shape, sides, strict=True))))


def split(axes: Sequence[Axis], shape: Sequence[int], tile: Tile, sides: Sequence[int], padding: Padding) -> list[Tile]:
    """Cut a tile into smaller ones on the same grid."""
    return list(product(*(_parts(*each, padding) for each in zip(axes, shape, tile, sides, strict=True))))


def _parts(axis: Axis, n: int, line: Line, side: int, padding: Padding) -> list[Line]:
    return _along(axis, n, side, (line.write.start, line.write.stop), padding)


# --- sizes of tiles -----------------------------------------------------------------------------------


def largest_input(axes: Sequence[Axis], shape: Sequence[int], padding: Padding, sides: Sequence[int]) -> int:
    """Return the number of pixels of the largest input among the tiles of an image."""
    each = zip(axes, shape, sides, strict=True)
    return math.prod(max(line.length for line in lines(axis, n, side, padding)) for axis, n, side in each)


def largest_sides(axes: Sequence[Axis], shape: Sequence[int], padding: Padding, limit: float) -> tuple[int, ...]:
    """Return the sides of the largest tiles whose inputs have at most `limit` pixels, or of the smallest tiles.

    Sides are equal along all axes at first, then adjusted so that the tiles along an axis have about the same size.
    """
    step = math.lcm(*(axis.divisor for axis in axes))
    low, high = 1, -(-max(shape) // step)
    while low < high:  # bisection: `low` fits or is the smallest, everything above `high` does not fit
        middle = (low + high + 1) // 2
        fits = largest_input(axes, shape, padding, [middle * step] * len(shape)) <= limit
        low, high = (middle, high) if fits else (low, middle - 1)
    return tuple(_even(n, low * step, axis.divisor) for axis, n in zip(axes, shape, strict=True))


def _even(n: int, side: int, divisor: int) -> int:
    """Return the smallest side that cuts an axis into the same number of tiles."""
    parts = -(-n // side)
    return -(-n // (parts * divisor)) * divisor


# --- pixels beyond the image --------------------------------------------------------------------------


def reflected(start: int, stop: int, n: int) -> tuple[slice, list[int] | None]:
    """Return which pixels of an axis to read, and their order (None if unchanged), to extend an image by mirroring.

    Examples
    --------
    >>> reflected(-2, 5, 4)
    (slice(0, 4, None), [2, 1, 0, 1, 2, 3, 2])
    >>> reflected(1, 3, 4)
    (slice(1, 3, None), None)
    """
    if start >= 0 and stop <= n:
        return slice(start, stop), None
    period = max(2 * (n - 1), 1)  # mirrored at its first and last pixel, the image repeats after this distance
    places = [min(i % period, period - i % period) if n > 1 else 0 for i in range(start, stop)]
    low, high = min(places), max(places)
    return slice(low, high + 1), [p - low for p in places]


rename_attributes(__name__, {"Border": "nn.prediction.tiles:Padding", "BORDERS": "nn.prediction.tiles:PADDINGS"})
