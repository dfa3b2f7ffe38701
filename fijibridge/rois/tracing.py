"""Tracing of the outlines of all cells in a label image at once, along the edges of pixels.

Each edge between a labelled pixel and a pixel with another value is directed so that the labelled pixel is on its
right. At a corner, a straight run of edges ends and the outline turns. Every corner is followed by exactly one other
corner, so the corners of all cells form one permutation, and its cycles are the outlines. All steps are vectorized:
none loops over cells or pixels.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import Ints


class Outlines(NamedTuple):
    """Closed loops of corners, sorted by id.

    Attributes
    ----------
    ids
        (n_loops,) cell id of each loop, in ascending order; the first loop of an id is an outer outline.
    vertices
        (n_vertices, 2) x, y of the corners of all loops, in pixels, ``int32``.
    starts
        (n_loops + 1,) index in `vertices` at which each loop begins, followed by the number of vertices.
    """

    ids: Ints
    vertices: npt.NDArray[np.int32]
    starts: Ints


def trace(labels: npt.NDArray[Any]) -> Outlines:
    """Trace the outlines of all ids of a (Y, X) label image along the edges of pixels.

    Notes
    -----
    Corners are ordered as by ImageJ's ``ThresholdToSelection``, because ImageJ's perimeter depends on the first corner
    and the direction. A loop starts at the last corner of the bottom row and runs counterclockwise on the screen; holes
    run clockwise. Pixels of one id that touch only at a corner belong to one loop, which passes the corner twice.
    (ImageJ may or may not join such pixels, depending on what it traced before; the pixels inside are the same.)

    Examples
    --------
    >>> trace(np.array([[0, 7, 7]])).vertices.tolist()
    [[3, 1], [3, 0], [1, 0], [1, 1]]
    """
    padded = np.pad(labels, 1)
    corners = [_corners(padded, direction) for direction in range(4)]
    first = np.cumsum([0, *(len(c.pixel) for c in corners)])
    if not first[-1]:
        return Outlines(np.zeros(0, np.int64), np.zeros((0, 2), np.int32), np.zeros(1, np.int64))
    following = _ends_of_runs(corners, first[:-1], padded.shape)
    width = padded.shape[1]
    pixel = np.concatenate([c.pixel for c in corners])
    x = np.concatenate([c.pixel % width - 1 + (d <= 1) for d, c in enumerate(corners)])
    y = np.concatenate([c.pixel // width - 1 + (d in (1, 2)) for d, c in enumerate(corners)])
    owner = padded.reshape(-1)[pixel].astype(np.int64)
    order, starts = _walk(following, owner, y * width + x)
    return Outlines(owner[order[starts[:-1]]], np.stack([x, y], axis=1).astype(np.int32)[order], starts)


class _Corners(NamedTuple):
    """Edges in one direction that end where the outline turns.

    Attributes
    ----------
    pixel
        Pixel to the right of each edge, as a flat index into the padded image.
    next_pixel, next_direction
        Pixel to the right of the edge after the turn, and direction of that edge.
    """

    pixel: Ints
    next_pixel: Ints
    next_direction: Ints


def _corners(padded: npt.NDArray[Any], direction: int) -> _Corners:
    """Find the corners at the ends of edges that run east (0, along the top of a pixel), south, west or north (3)."""
    width = padded.shape[1]
    flat = padded.reshape(-1)
    outward = (-width, 1, width, -1)
    pixel = _boundary(padded, direction)
    value = flat[pixel]
    # Two pixels decide what happens at the end of an edge: the pixel ahead of the labelled pixel, and the pixel to the
    # left of the one ahead. If that left pixel has the same id, the outline turns left around it, even if the pixel
    # ahead has another id, so that pixels that touch at a corner stay one part. Otherwise the outline continues
    # straight if the pixel ahead has the same id, and turns right if it does not.
    ahead = pixel + outward[(direction + 1) % 4]
    aside = ahead + outward[direction]
    left = flat[aside] == value
    right = ~left & (flat[ahead] != value)
    turning = np.flatnonzero(left | right)
    left = left[turning]
    return _Corners(
        pixel[turning],
        np.where(left, aside[turning], pixel[turning]),
        np.where(left, (direction + 3) % 4, (direction + 1) % 4),
    )


def _boundary(padded: npt.NDArray[Any], direction: int) -> Ints:
    """Return the labelled pixels whose neighbour on one side has another value, as flat indices into `padded`."""
    width = padded.shape[1]
    flat = padded.reshape(-1)
    step = width if direction in (0, 2) else 1
    # The edge between two neighbours is above or left of the later one in memory, and below or right of the earlier.
    different = np.flatnonzero(flat[step:] != flat[:-step])
    pixel = different + step if direction in (0, 3) else different
    labelled: Ints = pixel[flat[pixel] != 0]
    return labelled


def _ends_of_runs(corners: list[_Corners], first: Ints, shape: tuple[int, ...]) -> Ints:
    """Return, for each corner, the index of the next corner.

    After a corner, a straight run of edges begins; the next corner is where this run ends. Instead of following each
    run, the function pairs the starts and ends of runs: runs in one direction share no edge, so when starts and ends
    are sorted along their rows or columns, the n-th start and the n-th end belong to the same run.
    """
    height, width = shape
    following = np.empty(sum(len(c.pixel) for c in corners), np.int64)
    next_pixel = np.concatenate([c.next_pixel for c in corners])
    next_direction = np.concatenate([c.next_direction for c in corners])
    for direction in range(4):
        here = np.flatnonzero(next_direction == direction)
        begins, ends = next_pixel[here], corners[direction].pixel
        if direction in (1, 3):  # vertical runs: sort by column, then by row
            begins, ends = (p % width * height + p // width for p in (begins, ends))
        following[here[np.argsort(begins)]] = first[direction] + np.argsort(ends)
    return following


def _walk(following: Ints, owner: Ints, place: Ints) -> tuple[Ints, Ints]:
    """Return the order of the corners, loop by loop and along each loop.

    Parameters
    ----------
    following
        Index of the corner after each corner, in the direction of the edges: a permutation whose cycles are the loops.
    owner
        Id of each corner.
    place
        Position of each corner in the image, ``y * width + x``.

    Returns
    -------
    order
        All corners, loop by loop; each loop starts at the corner with the largest `place` and runs against `following`.
    starts
        Index in `order` at which each loop begins, followed by the number of corners. Loops are sorted by owner; loops
        of one owner are sorted by descending `place` of their first corner.
    """
    from scipy.sparse import csr_array  # not needed to read ROIs, and slow to import
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    # The cycles of a permutation are the strongly connected components of its graph.
    n = len(following)
    edges = csr_array((np.ones(n, np.int8), following.astype(np.int32), np.arange(n + 1, dtype=np.int32)), (n, n))
    n_loops, loop = connected_components(edges, connection="strong")

    # A loop begins at its corner of the largest place, as in ImageJ. The outline of a cell therefore precedes its
    # holes, whose corners all have smaller places. Of two corners at the same place, the one with the lower index is
    # used, because it is assigned last; any fixed choice would do.
    farthest = np.full(n_loops, -1, np.int64)
    np.maximum.at(farthest, loop, place)
    candidates = np.flatnonzero(place == farthest[loop])[::-1]
    first = np.empty(n_loops, np.int64)
    first[loop[candidates]] = candidates
    in_order = np.lexsort((-place[first], owner[first]))
    rank = np.empty(n_loops, np.int64)
    rank[in_order] = np.arange(n_loops)

    # From here on, corners are numbered loop by loop in the order of the result, so that the corners of a loop are
    # close together in memory: block[new number] is the old number.
    block = np.argsort(rank[loop] * n + np.arange(n))
    number = np.empty(n, np.int32)
    number[block] = np.arange(n, dtype=np.int32)
    after, first = number[following[block]], number[first[in_order]]  # both in new numbers

    # Turn the cycles into one path, which a search in compiled code follows from end to end. Edges run clockwise around
    # a cell, and ImageJ's outlines counterclockwise, so loops are read backwards: for every step a -> b of a loop,
    # path[b] = a. Read backwards, a loop ends at the corner after its first one. This last step leads to the first
    # corner of the next loop instead of closing the loop; in the last loop, it leads to the very first corner, where
    # the search ends.
    path = np.empty(n, np.int32)
    path[after] = np.arange(n, dtype=np.int32)
    path[after[first]] = np.roll(first, -1)
    tied = csr_array((np.ones(n, np.int8), path, np.arange(n + 1, dtype=np.int32)), (n, n))
    order = breadth_first_order(tied, first[0], return_predecessors=False)
    return block[order], np.cumsum([0, *np.bincount(loop, minlength=n_loops)[in_order]])
