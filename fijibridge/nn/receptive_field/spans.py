"""Spans: the first and last input pixel that affect each position of an array, along one axis.

Each kind of layer is one function here. All except the transposed convolution list the positions that each output
position reads, and compute the minimum and maximum of their spans (:func:`gathered`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import Ints

_NOWHERE = np.iinfo(np.int64).max // 4


@dataclass(frozen=True)
class Span:
    """Input pixels that affect each position of an array, along one axis.

    Attributes
    ----------
    low, high : numpy.ndarray
        (N,) ``int64``, first and last input pixel that affect each position.
    edge : numpy.ndarray
        (N,) ``bool``, whether padding at a border affects the position, so that it differs from the middle.
    """

    low: Ints
    high: Ints
    edge: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.low)

    def __getitem__(self, where: slice | Ints) -> Span:
        return Span(self.low[where], self.high[where], self.edge[where])

    @staticmethod
    def of_input(n: int) -> Span:
        """Return the spans of an input of n pixels: each pixel itself."""
        return Span(np.arange(n), np.arange(n), np.zeros(n, bool))


def union(spans: Sequence[Span]) -> Span:
    """Unite the spans of several arrays of equal length, position by position; length 1 is broadcast."""
    length = max(len(s) for s in spans)
    low = np.min([np.broadcast_to(s.low, length) for s in spans], axis=0)
    high = np.max([np.broadcast_to(s.high, length) for s in spans], axis=0)
    return Span(low, high, np.any([np.broadcast_to(s.edge, length) for s in spans], axis=0))


def joined(spans: Sequence[Span]) -> Span:
    """Concatenate spans along the axis."""
    return Span(*(np.concatenate([getattr(s, k) for s in spans]) for k in ("low", "high", "edge")))


def gathered(span: Span, read: Ints, beyond: npt.NDArray[np.bool_] | None = None) -> Span:
    """Return the spans of an array in which position o reads the positions ``read[o]`` of another array.

    Parameters
    ----------
    span
        Spans of the array that is read.
    read
        (N, K) positions. Positions outside the array are padding: they depend on no input pixel, but mark position o as
        affected by a border.
    beyond
        (N,) mask of further positions to mark as affected by a border.
    """
    outside = (read < 0) | (read >= len(span))
    at = np.clip(read, 0, len(span) - 1)  # outside: any valid index, masked below
    edge = np.asarray((outside | span.edge[at]).any(axis=1))
    if beyond is not None:
        edge = np.logical_or(edge, beyond)
    low = np.where(outside, _NOWHERE, span.low[at]).min(axis=1)
    high = np.where(outside, -_NOWHERE, span.high[at]).max(axis=1)
    return Span(low, high, edge)


def convolved(
    span: Span, size: int, stride: int = 1, padding: tuple[int, int] = (0, 0), dilation: int = 1, up: bool = False
) -> Span:
    """Return the spans of the result of a convolution or pooling.

    Parameters
    ----------
    span
        Spans of its input.
    size, stride, dilation
        Size, stride and dilation of the kernel.
    padding
        Positions added before and after.
    up
        Whether the last window may extend beyond the padded input (``ceil_mode`` of poolings).
    """
    reach = dilation * (size - 1) + 1
    room = len(span) + sum(padding) - reach
    count = (-(-room // stride) if up else room // stride) + 1
    if up and (count - 1) * stride >= len(span) + padding[0]:
        count -= 1  # as in torch: no window starts in the padding after the input
    first = np.arange(count) * stride - padding[0]
    return gathered(span, first[:, None] + dilation * np.arange(size))


def transposed(span: Span, size: int, stride: int, padding: int, extra: int, dilation: int = 1) -> Span:
    """Return the spans of the result of a transposed convolution.

    Input position i contributes to the outputs o = i * stride - padding + k * dilation, for each tap k of the kernel.
    Conversely, output o reads i = (o + padding - k * dilation) / stride for every k for which this is an integer.
    """
    count = (len(span) - 1) * stride - 2 * padding + dilation * (size - 1) + extra + 1
    o = np.arange(count)
    taps = np.arange(size)
    from_ = o[:, None] + padding - dilation * taps  # i * stride, (N, K)
    hit = from_ % stride == 0
    i = from_ // stride
    inside = hit & (i >= 0) & (i < len(span))
    edge = (hit & ~inside).any(axis=1)  # a tap that would read outside the input
    at = np.clip(i, 0, len(span) - 1)
    return Span(
        np.where(inside, span.low[at], _NOWHERE).min(axis=1),
        np.where(inside, span.high[at], -_NOWHERE).max(axis=1),
        edge | (inside & span.edge[at]).any(axis=1),
    )


_TAPS = {"linear": (0, 1), "cubic": (-1, 0, 1, 2)}  # positions read, relative to floor(place)


def interpolated(span: Span, n: int, scale: float | None, kind: str, corners: bool) -> Span:
    """Return the spans of the result of an interpolation to n positions.

    Parameters
    ----------
    span
        Spans of its input.
    n
        Number of output positions.
    scale
        Input positions per output position; None to use the ratio of the lengths.
    kind
        ``"nearest"``, ``"nearest-exact"``, ``"linear"`` or ``"cubic"``.
    corners
        torch's ``align_corners``.
    """
    step = len(span) / n if scale is None else scale
    o = np.arange(n)
    if kind.startswith("nearest"):
        place = (o + (0.5 if kind == "nearest-exact" else 0.0)) * step
        return gathered(span, np.minimum(np.floor(place + 1e-9).astype(np.int64), len(span) - 1)[:, None])
    place = o * ((len(span) - 1) / max(n - 1, 1)) if corners else (o + 0.5) * step - 0.5
    whole = np.floor(place + 1e-9).astype(np.int64)
    exact = np.abs(place - whole) < 1e-9  # exactly on an input position: the other taps have weight 0
    read = whole[:, None] + np.where(exact[:, None], 0, np.array(_TAPS[kind]))
    clipped = (read < 0) | (read >= len(span))
    return gathered(span, np.clip(read, 0, len(span) - 1), clipped.any(axis=1))


def averaged(span: Span, n: int) -> Span:
    """Return the spans of averages over n intervals that cover the axis (adaptive pooling)."""
    o = np.arange(n)
    first, last = o * len(span) // n, -(-(o + 1) * len(span) // n) - 1
    wide = int((last - first).max()) + 1
    return gathered(span, np.minimum(first[:, None] + np.arange(wide), last[:, None]))


def whole(span: Span, n: int) -> Span:
    """Return the spans of an axis of any length that is pooled to n positions, which all depend on the borders."""
    parts = averaged(span, n)
    return Span(parts.low, parts.high, np.ones(n, bool))


def padded(span: Span, before: int, after: int, mode: str) -> Span:
    """Return the spans of a padded axis; negative numbers crop it."""
    read = np.arange(-before, len(span) + after)
    outside = (read < 0) | (read >= len(span))
    if mode == "constant":
        return gathered(span, read[:, None])
    at = {"reflect": _reflected, "replicate": _clipped, "circular": _wrapped}[mode](read, len(span))
    return gathered(span, at[:, None], outside)


def _reflected(read: Ints, n: int) -> Ints:
    turn = np.abs(read)
    return np.where(turn >= n, 2 * (n - 1) - turn, turn)


def _clipped(read: Ints, n: int) -> Ints:
    return np.clip(read, 0, n - 1)


def _wrapped(read: Ints, n: int) -> Ints:
    return read % n
