"""Size of a patch: the default, and a check that a size fits a network."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from fijibridge.errors import TrainingError
from fijibridge.nn.traits import Traits, last_side, next_side, takes_side, traits

PATCH_SIDE = 128
"""Default side of a patch in y and x in pixels, rounded up to a valid side for the network."""
PATCH_SLICES = 16
"""Default side of a patch in z in pixels, rounded up likewise."""


def patch_size(net: nn.Module, patch: Sequence[int] | None = None) -> tuple[int, ...]:
    """Return the sides of a patch after checking that they fit a network.

    Parameters
    ----------
    net
        The network.
    patch
        (Y, X) or (Z, Y, X) pixels; by default 128 in y and x and 16 in z, rounded up to sides that fit.

    Raises
    ------
    TrainingError
        If the sides do not fit the network; the message states the nearest ones that do.
    """
    known = traits(net)
    if patch is None:
        usual = (PATCH_SLICES, PATCH_SIDE, PATCH_SIDE)[-known.dims :]
        return tuple(next_side(net, known, n) for n in usual)
    size = tuple(int(n) for n in patch)
    if len(size) != known.dims or not all(takes_side(net, known, n) for n in size):
        raise TrainingError(
            f"patch {size} does not fit the network: expected {known.dims} sides, {_expected_sides(net, known)}"
            f"{_nearest_sides(net, known, size)}"
        )
    return size


def _expected_sides(net: nn.Module, known: Traits) -> str:
    if known.shrink == 0:
        return f"each a multiple of {known.divisor}{' (2**depth)' if hasattr(net, 'config') else ''}"
    least = 2 * known.shrink + 1
    some = [n for n in range(least, least + 4 * known.divisor) if takes_side(net, known, n)]
    return f"with valid convolutions such as {', '.join(map(str, some[:3]))}"


def _nearest_sides(net: nn.Module, known: Traits, size: Sequence[int]) -> str:
    proposals = []
    for side in dict.fromkeys(n for n in size if not takes_side(net, known, n)):
        found = dict.fromkeys((last_side(net, known, side), next_side(net, known, side)))
        proposals.append(f"{' or '.join(str(n) for n in found if n is not None)} in place of {side}")
    return f"; the nearest: {', '.join(proposals)}" if proposals else ""
