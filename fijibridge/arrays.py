"""Array types, and iteration over parts of large arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product
from typing import Any, TypeAlias, TypeGuard

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Floats32: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]
Labels: TypeAlias = npt.NDArray[np.int32]
"""Label image: cell ids, 0 = background."""

_PART = 2**24  # largest number of elements in a part yielded by parts()
_PIECE = 2**20  # largest number of elements in a part yielded by some_parts()


def is_mapped(array: Any) -> TypeGuard[npt.NDArray[Any]]:
    """Return whether an array is a memory-mapped file, or a view of a memory-mapped file."""
    base = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


def parts(array: Any) -> Iterator[tuple[slice, ...]]:
    """Yield the slices of parts that cover an array; no part exceeds one chunk or 2**24 elements.

    Examples
    --------
    >>> list(parts(np.zeros((2, 3))))
    [(slice(0, 2, None), slice(0, 3, None))]
    """
    sides = _sides(array, _PART)
    for corner in product(*(range(0, n, side) for n, side in zip(array.shape, sides, strict=True))):
        yield tuple(slice(c, c + s) for c, s in zip(corner, sides, strict=True))


def some_parts(array: Any, count: int) -> Iterator[tuple[slice, ...]]:
    """Yield the slices of up to `count` parts, spread over an array; no part exceeds one chunk or 2**20 elements.

    Examples
    --------
    >>> list(some_parts(np.zeros((2, 3)), 5))
    [(slice(0, 2, None), slice(0, 3, None))]
    """
    sides = _sides(array, _PIECE)
    counts = [-(-n // side) for n, side in zip(array.shape, sides, strict=True)]
    total = math.prod(counts)
    for number in np.unique(np.linspace(0, total - 1, min(total, count)).astype(int)):
        which = np.unravel_index(number, counts)
        yield tuple(slice(int(w) * s, (int(w) + 1) * s) for w, s in zip(which, sides, strict=True))


def _sides(array: Any, most: int) -> list[int]:
    """Return the shape of an array's chunks, with the longest side halved until a part has at most `most` elements."""
    chunks = getattr(array, "chunks", None)
    sides = [c if isinstance(c, int) else max(c) for c in chunks] if chunks else list(array.shape)
    while math.prod(sides) > most and max(sides) > 1:
        longest = int(np.argmax(sides))
        sides[longest] = -(-sides[longest] // 2)
    return sides
