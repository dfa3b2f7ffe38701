"""Arrays that lie on disk: how one tells them, and goes through them in parts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any, TypeGuard

import numpy as np
import numpy.typing as npt

_PART = 2**24  # elements of a part, at most


def is_mapped(array: Any) -> TypeGuard[npt.NDArray[Any]]:
    """Whether an array, or what it is a view of, is a file that is mapped into memory."""
    base = array
    while isinstance(base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    return isinstance(base, np.memmap)


def parts(array: Any) -> Iterator[tuple[slice, ...]]:
    """Cut an array into parts along its chunks, none much larger than 16 million elements.

    Examples
    --------
    >>> list(parts(np.zeros((2, 3))))
    [(slice(0, 2, None), slice(0, 3, None))]
    """
    chunks = getattr(array, "chunks", None)
    sides = [c if isinstance(c, int) else max(c) for c in chunks] if chunks else list(array.shape)
    while int(np.prod(sides)) > _PART and max(sides) > 1:
        longest = int(np.argmax(sides))
        sides[longest] = -(-sides[longest] // 2)
    for corner in product(*(range(0, n, side) for n, side in zip(array.shape, sides, strict=True))):
        yield tuple(slice(c, c + s) for c, s in zip(corner, sides, strict=True))
