"""Images stored in many files: stacks of planes, channels and frames, and mosaics of tiles."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.errors import DatasetError
from fijibridge.files.lazy_array import Box, Content, OnDisk, planes
from fijibridge.image import last_dims


def stacked(axes: str, members: Mapping[tuple[int, ...], str], load: Callable[[str], Content]) -> Content:
    """Stack files along new axes.

    Parameters
    ----------
    axes
        Names of the new axes, such as ``"tz"``.
    members
        Name of the file or mosaic at each 0-based position along these axes. No position may be missing.
    load
        Function that returns the content of a file or mosaic, given its name. The first file or mosaic determines axes,
        shape and type.

    Raises
    ------
    DatasetError
        If the files already have one of the new axes, or differ in shape or type, which is noticed when they are read.
    """
    first = load(members[(0,) * len(axes)])
    inner = first.dims or last_dims(first.pixels.ndim)
    double = sorted(set(axes) & set(inner))
    if double:
        raise DatasetError(
            f"the axis {double[0]!r} is in the pattern and also in the file {members[(0,) * len(axes)]}, whose axes "
            f"are {inner!r}: leave {double[0]!r} out of the pattern, or give the files' axes with dims"
        )
    lengths = tuple(1 + max(place[n] for place in members) for n in range(len(axes)))
    shape = (*lengths, *first.pixels.shape)
    chunks = (*(1 for _ in axes), *(first.pixels.chunks or planes(first.pixels.shape)))

    def read(box: Box) -> npt.NDArray[Any]:
        # the first axes of the box select the files; the others are the box to read from each of them
        outer, rest = box[: len(axes)], box[len(axes) :]
        out = np.empty([s.stop - s.start for s in box], first.pixels.dtype)
        for place in itertools.product(*(range(s.start, s.stop) for s in outer)):
            pixels = load(members[place]).pixels
            _same_kind(members[place], pixels, first.pixels)
            out[tuple(p - s.start for p, s in zip(place, outer, strict=True))] = pixels[rest]
        return out

    return replace(first, pixels=OnDisk(shape, first.pixels.dtype, read, chunks), dims=axes + inner)


def _same_kind(member: str, found: OnDisk, first: OnDisk) -> None:
    if (found.shape, found.dtype) != (first.shape, first.dtype):
        raise DatasetError(
            f"{member} has shape {found.shape} and type {found.dtype}, but the first file of its series has shape "
            f"{first.shape} and type {first.dtype}"
        )


def mosaic(tiles: Sequence[tuple[str, tuple[int, int]]], load: Callable[[str], Content], what: str) -> Content:
    """Join tiles in y and x. Later tiles overwrite earlier ones; pixels without a tile are 0.

    Parameters
    ----------
    tiles
        For each tile, the name of its file and the position (y, x) of its first pixel in the mosaic.
    load
        Function that returns the content of a file, given its name.
    what
        Name of the mosaic, used in messages.

    Raises
    ------
    DatasetError
        If the tiles differ in type or in length along an axis other than y and x, or a position is negative.
    """
    contents = [(load(tile), place) for tile, place in tiles]
    first = contents[0][0]
    dims = first.dims or last_dims(first.pixels.ndim)
    y, x = dims.index("y"), dims.index("x")
    _check_tiles(tiles, contents, (y, x), what)
    shape = list(first.pixels.shape)
    for axis, n in ((y, 0), (x, 1)):
        shape[axis] = max(place[n] + tile.pixels.shape[axis] for tile, place in contents)

    def read(box: Box) -> npt.NDArray[Any]:
        out = np.zeros([s.stop - s.start for s in box], first.pixels.dtype)
        for tile, (top, left) in contents:
            _paste(out, box, tile.pixels, {y: top, x: left})
        return out

    chunks = tuple(min(c, n) for c, n in zip(first.pixels.chunks or planes(tuple(shape)), shape, strict=True))
    return replace(first, pixels=OnDisk(tuple(shape), first.pixels.dtype, read, chunks), dims=dims)


def _paste(out: npt.NDArray[Any], box: Box, tile: OnDisk, starts: Mapping[int, int]) -> None:
    """Copy the part of a tile that is inside `box` to `out`, the array of the box's pixels."""
    source, target = [], []
    for axis, part in enumerate(box):
        start = starts.get(axis, 0)
        low, high = max(part.start, start), min(part.stop, start + tile.shape[axis])
        if low >= high:
            return
        source.append(slice(low - start, high - start))
        target.append(slice(low - part.start, high - part.start))
    out[tuple(target)] = tile[tuple(source)]


def _check_tiles(
    tiles: Sequence[tuple[str, tuple[int, int]]],
    contents: Sequence[tuple[Content, tuple[int, int]]],
    plane: tuple[int, int],
    what: str,
) -> None:
    def rest(tile: OnDisk) -> tuple[Any, ...]:
        return (*(n for axis, n in enumerate(tile.shape) if axis not in plane), tile.dtype, tile.ndim)

    first = contents[0][0].pixels
    for (name, place), (content, _) in zip(tiles, contents, strict=True):
        if min(place) < 0:
            raise DatasetError(f"{what}: the tile {name} has the offset {place}; expected at least 0 pixels")
        if rest(content.pixels) != rest(first):
            raise DatasetError(
                f"{what}: the tile {name} has shape {content.pixels.shape} and type {content.pixels.dtype}, but the "
                f"tile {tiles[0][0]} has shape {first.shape} and type {first.dtype}; expected tiles that differ only "
                "in height and width"
            )


def grid(
    shapes: Mapping[tuple[int, int], tuple[int, int]], overlap: tuple[int, int]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return the position (y, x) of each tile of a regular grid.

    Parameters
    ----------
    shapes
        (height, width) of the tile at each 0-based (row, column).
    overlap
        Overlap of neighbouring tiles in y and x, in pixels.

    Examples
    --------
    >>> grid({(0, 0): (10, 20), (0, 1): (10, 15)}, overlap=(0, 4))
    {(0, 0): (0, 0), (0, 1): (0, 16)}
    """
    # each row is as high as its first tile, and each column as wide as its first tile
    heights = {r: shapes[r, c][0] for r, c in reversed(list(shapes))}
    widths = {c: shapes[r, c][1] for r, c in reversed(list(shapes))}
    tops = {r: sum(heights[i] - overlap[0] for i in range(r)) for r in heights}
    lefts = {c: sum(widths[i] - overlap[1] for i in range(c)) for c in widths}
    return {(r, c): (tops[r], lefts[c]) for r, c in shapes}
