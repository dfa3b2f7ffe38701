"""What follows from a network's shape: how far it sees, and so which patches, strides and halos make sense."""

from __future__ import annotations

from dataclasses import dataclass

from fijibridge.nn.unet import UNet

Span = tuple[int, int]


@dataclass(frozen=True)
class ReceptiveField:
    """How far a network sees, along one axis.

    Attributes
    ----------
    size : int
        Input pixels that one output pixel can depend on, at the most.
    left, right : int
        Of these, before and behind the output pixel; with pooling they depend on where it lies on the grid of
        the poolings, and these are the largest.
    divisor : int
        What sides and origins of tiles must be multiples of.
    """

    size: int
    left: int
    right: int
    divisor: int

    @property
    def halo(self) -> int:
        """Margin around a tile that makes its inside equal to the whole image's, a multiple of the divisor."""
        need = max(self.left, self.right)
        return -(-need // self.divisor) * self.divisor


def receptive_field(net: UNet) -> ReceptiveField:
    """Compute the receptive field of a U-Net, encoder and decoder.

    Notes
    -----
    The span of input pixels is followed back through the layers for each place on the pooling grid: a double
    3x3 convolution widens it by 2 on each side, a pooling reads pixels 2i and 2i + 1, an up-convolution reads
    pixel i // 2.

    Examples
    --------
    >>> receptive_field(UNet(depth=2, width=2))
    ReceptiveField(size=44, left=23, right=23, divisor=4)
    """
    depth = int(net.config["depth"])
    spans = [(i, _decoded((i, i), 0, depth)) for i in range(net.divisor)]
    return ReceptiveField(
        size=max(high - low + 1 for _, (low, high) in spans),
        left=max(i - low for i, (low, _) in spans),
        right=max(high - i for i, (_, high) in spans),
        divisor=net.divisor,
    )


def _decoded(span: Span, level: int, depth: int) -> Span:
    """Return the input span behind a span of the decoder's output at a level."""
    if level == depth:
        return _encoded(span, level)
    merged = (span[0] - 2, span[1] + 2)
    below = _decoded((merged[0] // 2, merged[1] // 2), level + 1, depth)
    beside = _encoded(merged, level)
    return min(below[0], beside[0]), max(below[1], beside[1])


def _encoded(span: Span, level: int) -> Span:
    """Return the input span behind a span of the encoder's output at a level."""
    low, high = span[0] - 2, span[1] + 2
    return (low, high) if level == 0 else _encoded((2 * low, 2 * high + 1), level - 1)
