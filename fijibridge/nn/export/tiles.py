"""Tile sizes that an exported model accepts along each axis, and their halo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from fijibridge.errors import ModelError
from fijibridge.image import DIMS
from fijibridge.nn.receptive_field import receptive_field
from fijibridge.nn.traits import last_side, next_side, traits

_TEST_SIDE = {"z": 32, "y": 256, "x": 256}
"""Sides of the test image in pixels: large enough to be informative, small enough to ship with the model."""


@dataclass(frozen=True)
class Tiles:
    """Valid input sizes along one axis.

    Attributes
    ----------
    axis : str
        ``"z"``, ``"y"`` or ``"x"``.
    least, step : int
        Valid sizes are ``least + n * step`` pixels.
    halo : int
        Pixels of the output to crop from both sides of a tile, because they depend on pixels beyond it.
    shrink : int
        Pixels by which the output is smaller than the input on each side.
    test : int
        Side of the test image, pixels.
    """

    axis: str
    least: int
    step: int
    halo: int
    shrink: int
    test: int


def tiles_of(net: nn.Module, sizes: Sequence[int]) -> tuple[Tiles, ...]:
    """Return the valid input sizes along each axis.

    Parameters
    ----------
    net
        The network.
    sizes
        Sides of the image from which the test image is cut, ([z,] y, x) pixels.

    Raises
    ------
    ModelError
        If the image is smaller than the smallest tile, or the network has no finite receptive field.

    Notes
    -----
    The format requires tiles larger than twice their halo. Most stacks have fewer slices than that: z then gets no
    halo, and each tile must contain all slices.

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
        halo = 0  # pixels that depend on more than the tile are not in the output
    least = next_side(net, known, 2 * halo + 1)
    if axis == "z" and size < least:
        halo, least = 0, next_side(net, known, 1)
    test = last_side(net, known, min(size, max(_TEST_SIDE[axis], least)))
    if test is None or test < least:
        raise ModelError(
            f"the image has {size} px in {axis}, but the test image must be a tile of at least {least} px for this "
            "network: pass a larger image"
        )
    return Tiles(axis, least, step, halo, known.shrink, test)
