"""Which sizes of images an exported model takes, by axis, and which part of its answer is good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from fijibridge.errors import ModelError
from fijibridge.image import DIMS
from fijibridge.nn.receptive_field import receptive_field
from fijibridge.nn.traits import last_side, next_side, traits

_TEST_SIDE = {"z": 32, "y": 256, "x": 256}
"""Pixels of the test image that are tried first: enough to see something in, small enough to be sent with the model."""


@dataclass(frozen=True)
class Tiles:
    """What one axis of an input may be.

    Attributes
    ----------
    axis : str
        ``"z"``, ``"y"`` or ``"x"``.
    least, step : int
        Sizes are ``least + n * step`` pixels.
    halo : int
        Pixels of the output to be cropped from both sides of a tile, as they depend on what lies beyond it.
    shrink : int
        Pixels by which the output is smaller on each side.
    test : int
        Pixels of the test image.
    """

    axis: str
    least: int
    step: int
    halo: int
    shrink: int
    test: int


def tiles_of(net: nn.Module, sizes: Sequence[int]) -> tuple[Tiles, ...]:
    """Return what the axes of an input may be, for a test image of these sizes ([z,] y, x).

    Parameters
    ----------
    net
        The network.
    sizes
        Pixels of the image that the test image is cut from.

    Raises
    ------
    ModelError
        If the image is smaller than the smallest tile, or the network has no receptive field.

    Notes
    -----
    The format asks for tiles larger than twice their halo. Where a stack has fewer slices than that, as most have, z
    gets no halo: all slices are one tile.

    Examples
    --------
    >>> from fijibridge import UNet
    >>> tiles_of(UNet(depth=2, width=2), (100, 300))[0]
    Tiles(axis='y', least=52, step=4, halo=24, shrink=0, test=100)
    """
    dims = traits(net).dims
    field = receptive_field(net).along(dims)
    axes = DIMS[-dims:]
    return tuple(_along(net, axis, f.halo, f.divisor, n) for axis, f, n in zip(axes, field, sizes, strict=True))


def _along(net: nn.Module, axis: str, halo: int, step: int, size: int) -> Tiles:
    known = traits(net)
    if known.shrink:
        halo = 0  # what depends on more than the tile is not in the output
    least = next_side(net, known, 2 * halo + 1)
    if axis == "z" and size < least:
        halo, least = 0, next_side(net, known, 1)
    test = last_side(net, known, min(size, max(_TEST_SIDE[axis], least)))
    if test is None or test < least:
        raise ModelError(
            f"the image has {size} px in {axis}; the network needs {least} of a tile, and the test image is one: give "
            "a larger image"
        )
    return Tiles(axis, least, step, halo, known.shrink, test)
