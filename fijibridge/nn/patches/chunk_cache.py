"""Cache of chunks of arrays on disk, so that a chunk is not decompressed again for each patch.

A patch touches a few chunks, and neighbouring patches touch the same ones. All arrays share one memory limit; the least
recently used chunk is dropped first.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.nn.patches.sample import Sample


class ChunkCache:
    """Least-recently-used cache of chunks, with a limit in bytes.

    Parameters
    ----------
    limit
        Limit in bytes. Chunks larger than the limit are not cached.
    """

    def __init__(self, limit: int):
        self.limit, self.held = int(limit), 0
        self._kept: OrderedDict[tuple[int, tuple[int, ...]], npt.NDArray[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, array: Any, which: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return a chunk of an array by its index along each axis."""
        key = (id(array), which)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        where = tuple(slice(n * side, (n + 1) * side) for n, side in zip(which, array.chunks, strict=True))
        chunk = np.asarray(array[where])  # without the lock, so that other threads can read meanwhile
        with self._lock:  # another thread may have read the same chunk
            if key not in self._kept and chunk.nbytes <= self.limit:
                self._kept[key] = chunk
                self.held += chunk.nbytes
                while self.held > self.limit:
                    self.held -= self._kept.popitem(last=False)[1].nbytes
        return chunk


class CachedArray:
    """Chunked array (zarr, HDF5) whose parts are assembled from cached chunks.

    Parameters
    ----------
    array
        Array with a shape, a dtype, and chunks of equal size.
    chunks
        The cache; several arrays may share it.
    """

    def __init__(self, array: Any, chunks: ChunkCache):
        self.array, self._chunks = array, chunks
        self.shape, self.dtype = tuple(int(n) for n in array.shape), array.dtype
        self.ndim = len(self.shape)

    def __getitem__(self, key: Any) -> npt.NDArray[Any]:
        """Return a part, given by integers and slices without steps; other keys are passed to the array itself."""
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) > self.ndim or any(not isinstance(k, int | slice) or _odd(k) for k in keys):
            return np.asarray(self.array[key])
        keys = keys + (slice(None),) * (self.ndim - len(keys))
        spans = [_span(k, n) for k, n in zip(keys, self.shape, strict=True)]
        found = self._read(spans)
        return found[tuple(0 if isinstance(k, int) else slice(None) for k in keys)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """Return the whole array, bypassing the cache."""
        return np.asarray(self.array[...], dtype)

    def _read(self, spans: Sequence[tuple[int, int]]) -> npt.NDArray[Any]:
        out = np.empty([max(stop - start, 0) for start, stop in spans], self.dtype)
        if not out.size:
            return out
        sides = self.array.chunks
        numbers = [range(a // side, -(-b // side)) for (a, b), side in zip(spans, sides, strict=True)]
        for which in itertools.product(*numbers):
            chunk = self._chunks.get(self.array, which)
            # The requested part and the chunk are both intervals along each axis: copy their intersection.
            begins = [n * side for n, side in zip(which, sides, strict=True)]
            ends = [b + n for b, n in zip(begins, chunk.shape, strict=True)]
            shared = [(max(a, b), min(z, e)) for (a, z), b, e in zip(spans, begins, ends, strict=True)]
            to = tuple(slice(s - a, e - a) for (s, e), (a, _) in zip(shared, spans, strict=True))
            out[to] = chunk[tuple(slice(s - b, e - b) for (s, e), b in zip(shared, begins, strict=True))]
        return out


def _odd(key: int | slice) -> bool:
    return key < 0 or isinstance(key, bool) if isinstance(key, int) else key.step not in (None, 1)


def _span(key: int | slice, size: int) -> tuple[int, int]:
    if isinstance(key, slice):
        start, stop, _ = key.indices(size)
        return start, stop
    if key >= size:
        raise IndexError(f"index {key} is out of range for an axis of size {size}")
    return key, key + 1


def cached(samples: Sequence[Sample], limit: int) -> list[Sample]:
    """Return samples whose arrays on disk share one cache; arrays in memory and memory maps are left unchanged."""
    chunks = ChunkCache(limit)

    def one(array: Any) -> Any:
        sides = getattr(array, "chunks", None)
        regular = isinstance(sides, tuple) and all(isinstance(n, int) for n in sides) and math.prod(sides) > 0
        return CachedArray(array, chunks) if limit and regular and not isinstance(array, np.ndarray) else array

    return [
        replace(s, image=one(s.image), target=one(s.target), weight=one(s.weight), centres=one(s.centres))
        for s in samples
    ]
