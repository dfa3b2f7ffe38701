"""Arrays that stay in their files until they are indexed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Box: TypeAlias = "tuple[slice, ...]"
_CHUNK_BYTES = 2**21


@dataclass(frozen=True, eq=False)
class OnDisk:
    """An array in a file. Indexing reads the smallest box that contains the requested pixels; no file stays open.

    Attributes
    ----------
    shape : tuple of int
        Shape of the whole array.
    dtype : numpy.dtype
        Type of the values.
    read : callable
        Function that returns the pixels of a box. The box has one slice per axis, with start and stop.
    chunks : tuple of int, optional
        Shape of the smallest part that can be read; by default, a plane.

    Examples
    --------
    >>> pixels = OnDisk((4, 5), np.dtype(int), lambda box: np.arange(20).reshape(4, 5)[box])
    >>> pixels[1, ::2]
    array([5, 7, 9])
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    read: Callable[[Box], npt.NDArray[Any]]
    chunks: tuple[int, ...] | None = None

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        box, rest = _enclosing(index, self.shape)
        pixels: npt.NDArray[Any] = np.asarray(self.read(box))
        return np.asarray(pixels[rest])

    def first(self, axis: int, count: int | None = None) -> OnDisk:
        """Return the first `count` entries along an axis; without a count, the first entry without the axis."""
        kept, read = 1 if count is None else count, self.read
        shape, chunks = list(self.shape), list(self.chunks or planes(self.shape))
        shape[axis], chunks[axis] = kept, min(chunks[axis], kept)
        if count is not None:
            return replace(self, shape=tuple(shape), chunks=tuple(chunks))  # a box within it is one of the whole, too

        def within(box: Box) -> npt.NDArray[Any]:
            pixels: npt.NDArray[Any] = read((*box[:axis], slice(0, 1), *box[axis:]))
            return np.asarray(pixels).squeeze(axis)

        del shape[axis], chunks[axis]
        return replace(self, shape=tuple(shape), read=within, chunks=tuple(chunks))

    def lazy(self) -> Any:
        """Return a dask array, whose chunks are read when they are computed."""
        import dask.array as da

        own = self.chunks or planes(self.shape)
        wanted = tuple(
            1 if n == 1 else "auto" for n in own
        )  # small tiles are joined, but a chunk never spans two files
        limit = max(_CHUNK_BYTES, math.prod(own) * self.dtype.itemsize)
        chunks = da.core.normalize_chunks(  # type: ignore[no-untyped-call]
            wanted, self.shape, limit=limit, dtype=self.dtype, previous_chunks=own
        )
        meta = np.empty((0,) * self.ndim, self.dtype)
        return da.from_array(self, chunks, name=False, fancy=False, meta=meta)  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Content:
    """Unread pixels and metadata of a file.

    Attributes
    ----------
    pixels : OnDisk
        The pixels.
    dims : str, optional
        Axes in the file's order; None if the file does not name them, or has axes other than ``t c z y x``.
    calibration : dict
        Those of ``pixel_size``, ``origin`` and ``unit`` that are known; each is an argument of
        :func:`fijibridge.as_image`.
    channels : list of str, optional
        Names of the channels.
    numbers : OnDisk, optional
        The stored numbers, if the file has a palette that maps them to the colours in `pixels`.
    """

    pixels: OnDisk
    dims: str | None = None
    calibration: Mapping[str, Any] = field(default_factory=dict)
    channels: Sequence[str] | None = None
    numbers: OnDisk | None = None

    def as_numbers(self) -> Content:
        """Return the content with the stored numbers as pixels, instead of the palette's colours."""
        return (
            self if self.numbers is None else replace(self, pixels=self.numbers, dims=None, channels=None, numbers=None)
        )


def planes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of a chunk that contains one plane."""
    return (1,) * (len(shape) - 2) + tuple(max(n, 1) for n in shape[-2:])


def joined_planes(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Return the shape of a chunk that contains as many whole planes as fit into 2 MiB, but at least one.

    Joining planes saves time, because the file is opened once for each chunk.

    Examples
    --------
    >>> joined_planes((1000, 64, 64), 2), joined_planes((5, 2048, 2048), 2)
    ((256, 64, 64), (1, 2048, 2048))
    """
    chunks = list(planes(shape))
    room = _CHUNK_BYTES // (math.prod(chunks) * itemsize)
    for axis in range(len(shape) - 3, -1, -1):  # innermost axis first
        chunks[axis] = max(1, min(room, shape[axis]))
        room //= chunks[axis]
        if chunks[axis] < shape[axis]:
            break  # an outer axis is joined only where the inner ones are complete
    return tuple(chunks)


def whole(shape: tuple[int, ...]) -> Box:
    """Return the box that contains all pixels."""
    return tuple(slice(0, n) for n in shape)


def _enclosing(index: Any, shape: tuple[int, ...]) -> tuple[Box, tuple[Any, ...]]:
    """Split an index of slices and integers into the box to read and the rest, an index into that box.

    ``array[index]`` equals ``read(box)[rest]``.
    """
    given = index if isinstance(index, tuple) else (index,)
    if Ellipsis in [i for i in given if not isinstance(i, np.ndarray)]:
        place = next(n for n, i in enumerate(given) if i is Ellipsis)
        given = given[:place] + (slice(None),) * (len(shape) - len(given) + 1) + given[place + 1 :]
    given += (slice(None),) * (len(shape) - len(given))
    parts = [_one_axis(i, n) for i, n in zip(given, shape, strict=True)]
    return tuple(box for box, _ in parts), tuple(rest for _, rest in parts)


def _one_axis(index: Any, length: int) -> tuple[slice, Any]:
    """Return the range to read along an axis, and the index into it: a slice with the step, or 0 for an integer."""
    if isinstance(index, slice):
        steps = range(length)[index]
        if not steps:
            return slice(0, 0), slice(None)
        low, high = min(steps[0], steps[-1]), max(steps[0], steps[-1])
        return slice(low, high + 1), slice(None, None, steps.step)
    number = range(length)[int(index)]
    return slice(number, number + 1), 0
