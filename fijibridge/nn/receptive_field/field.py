"""Receptive field of a network: computed from its layers, and confirmed by its gradient."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.nn.receptive_field.gradient import outline, reach
from fijibridge.nn.receptive_field.propagation import CannotFollow, follow
from fijibridge.nn.receptive_field.spans import Span
from fijibridge.nn.traits import Traits

_LONGEST = 20_000  # longest side tried, pixels; a network that sees farther is treated as one that sees the whole image
_PERIODS = 16  # longest period searched for in a network with unknown divisor


@dataclass(frozen=True, repr=False)
class ReceptiveField:
    """Receptive field of a network along one axis, or along all axes if it is the same for each.

    Attributes
    ----------
    size : int
        Largest number of input pixels that one output pixel can depend on.
    left, right : int
        Number of input pixels before and after the position of an output pixel that can affect this output pixel: the
        maximum over all positions relative to the pooling grid.
    divisor : int
        Sides and origins of tiles must be multiples of this number.
    axes : tuple of ReceptiveField
        Receptive field along each axis, ([z,] y, x), if they differ; empty if they are equal. If they differ, `size`,
        `left` and `right` are maxima over the axes, and `divisor` is the least common multiple.
    """

    size: int
    left: int
    right: int
    divisor: int
    axes: tuple[ReceptiveField, ...] = ()

    @property
    def halo(self) -> int:
        """Width of the margin on which the prediction of a tile depends, rounded up to a multiple of the divisor."""
        need = max(self.left, self.right)
        return -(-need // self.divisor) * self.divisor

    def along(self, dims: int) -> tuple[ReceptiveField, ...]:
        """Return the receptive field along each of `dims` axes."""
        return self.axes or (self,) * dims

    def __repr__(self) -> str:
        more = f", axes={self.axes}" if self.axes else ""
        return f"ReceptiveField(size={self.size}, left={self.left}, right={self.right}, divisor={self.divisor}{more})"


def receptive_field(net: nn.Module) -> ReceptiveField:
    """Compute the receptive field of a network from its layers.

    Parameters
    ----------
    net
        A :class:`UNet`, or any module built from convolutions, poolings, transposed convolutions, interpolations and
        skip connections. Its output must cover the pixels of the input or, with valid convolutions, of the middle.

    Returns
    -------
    ReceptiveField
        Receptive field relative to the input pixel at the same position as the output pixel.

    Raises
    ------
    ModelError
        If the network sees the whole image, or the receptive fields of the pixels do not repeat periodically
        (``align_corners=True``), so that tiled predictions cannot equal that of the whole image.

    Notes
    -----
    The forward pass runs on an empty batch. The first and last input pixel that affect each position are propagated
    from layer to layer, using kernel size, stride, padding and dilation. For a network with unknown layers, the field
    is measured by :func:`confirm_receptive_field`.

    Examples
    --------
    >>> from fijibridge import UNet
    >>> receptive_field(UNet(depth=2, width=2))
    ReceptiveField(size=44, left=23, right=23, divisor=4)
    """
    known, step = outline(net)
    try:
        return _combined([_field(line, known.divisor) for line in _followed(net, known, step)])
    except CannotFollow:
        return confirm_receptive_field(net)


def confirm_receptive_field(net: nn.Module) -> ReceptiveField:
    """Measure the receptive field of a network from the gradient of its output pixels.

    Raises
    ------
    ModelError
        As for :func:`receptive_field`.

    Notes
    -----
    The gradient is computed on a copy of the network with equal positive weights, means instead of maxima, and no
    normalisation, activation or dropout. There, the gradient of an output pixel is positive at each input pixel on
    which it can depend. It is computed for two periods of neighbouring output pixels, in the middle of an image so long
    that its borders are not reached.
    """
    known, step = outline(net)
    return _combined([_reached(net, known, step, axis) for axis in range(known.dims)])


def _followed(net: nn.Module, known: Traits, step: int) -> list[Span]:
    """Propagate spans through a network for images of growing size, until enough pixels in the middle see no border."""
    side, taken, enough = 8 * step, False, 4 * max(step, _PERIODS)
    while side <= _LONGEST:
        lines = _first_that_fits(net, known, step, side)
        taken = taken or lines is not None
        if lines is not None and all(_middle(line).stop - _middle(line).start >= enough for line, _ in lines):
            return [_centred(line, n) for line, n in lines]
        side *= 2
    if not taken:
        raise CannotFollow("the network accepted no image size")
    raise _sees_all()


def _first_that_fits(net: nn.Module, known: Traits, step: int, side: int) -> list[tuple[Span, int]] | None:
    """Propagate spans for the first valid side from `side` on; None if there is none.

    Several sides are tried because networks with valid convolutions accept only some.
    """
    for n in range(side, side + 2 * step + 2):
        try:
            spans = follow(net, known.in_channels, [n] * known.dims)
        except CannotFollow:
            raise
        except Exception:  # an unknown forward pass may raise anything on an invalid side
            continue
        if all(len(s) <= n and (n - len(s)) % 2 == 0 for s in spans):
            return [(s, n) for s in spans]
    return None


def _sees_all() -> ModelError:
    return ModelError(
        "the network sees the whole image (through pooling, normalisation or attention over it), so it has no "
        "finite receptive field, and tiled predictions would differ from the prediction of the whole image"
    )


def _middle(line: Span) -> slice:
    """Return the range of positions around the middle that see no border."""
    half = len(line) // 2
    edge = np.flatnonzero(line.edge)
    before, after = edge[edge < half], edge[edge >= half]
    return slice(int(before[-1]) + 1 if len(before) else 0, int(after[0]) if len(after) else len(line))


def _centred(line: Span, n: int) -> Span:
    """Return the spans of the middle, relative to the input pixel at the position of each output pixel."""
    where = _middle(line)
    below = np.arange(len(line))[where] + (n - len(line)) // 2
    return Span(line.low[where] - below, line.high[where] - below, line.edge[where])


def _field(line: Span, divisor: int) -> ReceptiveField:
    """Return the receptive field along one axis, given the relative spans of neighbouring output pixels."""
    period = _period(line)
    if period is None:
        raise ModelError(
            "the receptive fields of the network's pixels do not repeat periodically (align_corners=True, or sizes "
            "that do not divide), so tiled predictions would differ from that of the whole image: use integer scale "
            "factors and align_corners=False"
        )
    return ReceptiveField(
        size=int((line.high - line.low).max()) + 1,
        left=max(0, int(-line.low.min())),
        right=max(0, int(line.high.max())),
        divisor=math.lcm(period, divisor),
    )


def _period(line: Span) -> int | None:
    """Return the smallest shift that leaves the spans unchanged; it is the divisor, because poolings repeat with it."""
    n = len(line.low)
    for period in range(1, n // 2 + 1):
        if (line.low[period:] == line.low[:-period]).all() and (line.high[period:] == line.high[:-period]).all():
            return period
    return None


def _reached(net: nn.Module, known: Traits, step: int, axis: int) -> ReceptiveField:
    """Measure the field along one axis with images of increasing length, until they are longer than the field."""
    length, taken = 8 * step, False
    places = 2 * known.divisor if known.divisor > 1 else 2 * max(step, _PERIODS)
    while length <= _LONGEST // 10:
        line = reach(net, known, axis, length, places)
        taken = taken or line is not None
        if line is not None and not line.edge.any() and len(line) == places:
            return _field(line, known.divisor)
        length *= 2
    raise _sees_all() if taken else _takes_nothing(net, known)


def _takes_nothing(net: nn.Module, known: Traits) -> ModelError:
    return ModelError(
        f"{type(net).__name__} was tried on {known.dims}D images with {known.in_channels} channel(s) and many sizes, "
        "but no output had the input's size, or that size minus an equal margin on each side. The network must map "
        "(B, C, ...) to (B, K, ...); if it does, set its attribute traits (fijibridge.nn.traits.Traits)"
    )


def _combined(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    if len(set(fields)) == 1:
        return fields[0]
    return ReceptiveField(
        max(f.size for f in fields), max(f.left for f in fields), max(f.right for f in fields),
        math.lcm(*(f.divisor for f in fields)), tuple(fields),
    )  # fmt: skip
