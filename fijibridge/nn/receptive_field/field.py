"""How far a network sees: from its own layers, and confirmed by what its gradient reaches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.nn.receptive_field.gradient import Form, reach, shape_of
from fijibridge.nn.receptive_field.propagation import CannotFollow, follow
from fijibridge.nn.receptive_field.spans import Span

_LONGEST = 20_000  # pixels a side; a network that sees farther sees all there is
_PERIODS = 16  # longest period that is looked for in a network that does not tell its divisor


@dataclass(frozen=True, repr=False)
class ReceptiveField:
    """How far a network sees, along one axis, or along all where they are alike.

    Attributes
    ----------
    size : int
        Input pixels that one output pixel can depend on, at the most.
    left, right : int
        Of these, before and behind the output pixel; with pooling they depend on where it lies on the grid of
        the poolings, and these are the largest.
    divisor : int
        What sides and origins of tiles must be multiples of.
    axes : tuple of ReceptiveField
        One per axis, ([z,] y, x), where they differ; empty where they are alike. The numbers above are then the largest
        of each, the divisor the least common multiple.
    """

    size: int
    left: int
    right: int
    divisor: int
    axes: tuple[ReceptiveField, ...] = ()

    @property
    def halo(self) -> int:
        """Margin around a tile that makes its inside equal to the whole image's, a multiple of the divisor."""
        need = max(self.left, self.right)
        return -(-need // self.divisor) * self.divisor

    def along(self, dims: int) -> tuple[ReceptiveField, ...]:
        """Return the field of each of so many axes."""
        return self.axes or (self,) * dims

    def __repr__(self) -> str:
        more = f", axes={self.axes}" if self.axes else ""
        return f"ReceptiveField(size={self.size}, left={self.left}, right={self.right}, divisor={self.divisor}{more})"


def receptive_field(net: nn.Module) -> ReceptiveField:
    """Compute the receptive field of a network from its own layers.

    Parameters
    ----------
    net
        A :class:`UNet` or any module of convolutions, poolings, up-convolutions, interpolations, skip connections,
        of one image in and one of the same pixels (or, with valid convolutions, its middle) out.

    Returns
    -------
    ReceptiveField
        Of the output pixel above the middle of what it sees: of a valid network, of the input pixel below it.

    Raises
    ------
    ModelError
        If the network sees the whole image, or its answer depends on more than the place on the grid of its poolings
        (``align_corners=True``): no tile can then equal the whole.

    Notes
    -----
    Its forward pass is run without numbers, and the first and last input pixel behind each position are carried from
    layer to layer: kernel, stride, padding and dilation say what a position reads. Layers that are not known here are
    answered by :func:`confirm_receptive_field`.

    Examples
    --------
    >>> from fijibridge import UNet
    >>> receptive_field(UNet(depth=2, width=2))
    ReceptiveField(size=44, left=23, right=23, divisor=4)
    """
    form = shape_of(net)
    try:
        return _together([_field(line, form.divisor) for line in _followed(net, form)])
    except CannotFollow:
        return confirm_receptive_field(net)


def confirm_receptive_field(net: nn.Module) -> ReceptiveField:
    """Measure the receptive field of a network by the gradient: which inputs influence an output.

    Raises
    ------
    ModelError
        As :func:`receptive_field`.

    Notes
    -----
    On a copy with all weights positive and equal, maxima taken as means, and normalisations, activations and dropout
    taken away, so that nothing cancels and nothing is closed: the gradient of an output pixel is then above 0 at each
    input pixel that it can depend on. As many neighbouring output pixels as the divisor has places are asked, in the
    middle of an image long enough that its borders are not reached.
    """
    form = shape_of(net)
    return _together([_reached(net, form, axis) for axis in range(form.dims)])


def _followed(net: nn.Module, form: Form) -> list[Span]:
    """Follow with larger and larger images, until enough of the middle does not see their borders."""
    side, taken, enough = 8 * form.step, False, 4 * max(form.step, _PERIODS)
    while side <= _LONGEST:
        lines = _first_that_fits(net, form, side)
        taken = taken or lines is not None
        if lines is not None and all(_middle(line).stop - _middle(line).start >= enough for line, _ in lines):
            return [_centred(line, n) for line, n in lines]
        side *= 2
    if not taken:
        raise CannotFollow("no size of image was taken")
    raise _sees_all()


def _first_that_fits(net: nn.Module, form: Form, side: int) -> list[tuple[Span, int]] | None:
    """Follow with the first side from here on that the network takes, if any: a valid one takes few."""
    for n in range(side, side + 2 * form.step + 2):
        try:
            spans = follow(net, form.channels, [n] * form.dims)
        except CannotFollow:
            raise
        except Exception:  # whatever a stranger's forward pass says of a side that does not fit
            continue
        if all(len(s) <= n and (n - len(s)) % 2 == 0 for s in spans):
            return [(s, n) for s in spans]
    return None


def _sees_all() -> ModelError:
    return ModelError(
        "the network sees the whole image (a pooling, normalisation or attention over all of it): no tile of it gives "
        "what the whole would, and it has no receptive field"
    )


def _middle(line: Span) -> slice:
    """Return the stretch around the middle whose answer no border has a part in."""
    half = len(line) // 2
    bad = np.flatnonzero(line.edge)
    before, behind = bad[bad < half], bad[bad >= half]
    return slice(int(before[-1]) + 1 if len(before) else 0, int(behind[0]) if len(behind) else len(line))


def _centred(line: Span, n: int) -> Span:
    """Return the spans of the middle, as distances from the input pixel below each output pixel."""
    where = _middle(line)
    below = np.arange(len(line))[where] + (n - len(line)) // 2
    return Span(line.low[where] - below, line.high[where] - below, line.edge[where])


def _field(line: Span, divisor: int) -> ReceptiveField:
    """Read the field of one axis off the distances of neighbouring pixels, one period of them."""
    period = _period(line)
    if period is None:
        raise ModelError(
            "what the network sees does not repeat from pixel to pixel (align_corners=True, or sizes that do not "
            "divide): no tile gives what the whole would; use scale factors that are whole and align_corners=False"
        )
    return ReceptiveField(
        size=int((line.high - line.low).max()) + 1,
        left=max(0, int(-line.low.min())),
        right=max(0, int(line.high.max())),
        divisor=math.lcm(period, divisor),
    )


def _period(line: Span) -> int | None:
    n = len(line.low)
    for period in range(1, n // 2 + 1):
        if (line.low[period:] == line.low[:-period]).all() and (line.high[period:] == line.high[:-period]).all():
            return period
    return None


def _reached(net: nn.Module, form: Form, axis: int) -> ReceptiveField:
    """Ask the gradient along one axis, with longer and longer images, of two periods of neighbouring pixels."""
    length, taken = 8 * form.step, False
    places = 2 * form.step if form.told else 2 * max(form.step, _PERIODS)
    while length <= _LONGEST // 10:
        line = reach(net, form, axis, length, places)
        taken = taken or line is not None
        if line is not None and not line.edge.any() and len(line) == places:
            return _field(line, form.divisor)
        length *= 2
    raise _sees_all() if taken else _takes_nothing(net, form)


def _takes_nothing(net: nn.Module, form: Form) -> ModelError:
    return ModelError(
        f"{type(net).__name__} was given {form.dims}D images of {form.channels} channel(s) and of many sizes, and took "
        "none, or gave none of their size (or smaller by the same on both sides) back: if it is right, give it an "
        "attribute traits (fijibridge.nn.traits.Traits) that says what it takes"
    )


def _together(fields: Sequence[ReceptiveField]) -> ReceptiveField:
    if len(set(fields)) == 1:
        return fields[0]
    return ReceptiveField(
        max(f.size for f in fields), max(f.left for f in fields), max(f.right for f in fields),
        math.lcm(*(f.divisor for f in fields)), tuple(fields),
    )  # fmt: skip
