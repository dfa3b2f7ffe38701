"""Trace the outlines of all cells of a label image at once, along the edges of pixels.

Each edge between a labelled pixel and another value has a direction: the labelled pixel lies on its right. Every corner
of an outline, where a run of such edges ends and the outline turns, has exactly one corner that follows, so the corners
of all cells form one permutation, and its cycles are the outlines. No step visits one cell or one pixel at a time.
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
        (n_loops,) id of each loop, ascending; the first loop of an id is an outer outline.
    vertices
        (n_vertices, 2) x, y of the corners of all loops, in pixels, ``int32``.
    starts
        (n_loops + 1,) index in `vertices` at which each loop begins, and the end of the last one.
    """

    ids: Ints
    vertices: npt.NDArray[np.int32]
    starts: Ints


def trace(labels: npt.NDArray[Any]) -> Outlines:
    """Trace the outlines of all ids of a (Y, X) label image along the edges of pixels.

    Notes
    -----
    Corners have the order of ImageJ's ``ThresholdToSelection``, because ImageJ's perimeter depends on the first corner
    and the direction: from the last corner of the lowest row, counterclockwise on the screen; holes run the other way.
    Pixels of one id that touch at a corner only belong to one loop, which passes the corner twice. (ImageJ joins some
    of these and not others, depending on what it traced before; the pixels inside are the same.)

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
    """Edges of one direction at whose end the outline turns.

    Attributes
    ----------
    pixel
        Pixel to the right of the edge, as a flat index of the padded image.
    next_pixel, next_direction
        The edge after the turn.
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
    # Two pixels decide at the end of an edge: the one ahead of the labelled pixel, and the one to the left of that.
    # If the left one has the same id the outline turns left around it, even if the one ahead has another id: pixels
    # that touch at a corner stay one part. Else it goes straight on if the one ahead has the same id, and turns right
    # if not.
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
    """Return the labelled pixels whose neighbour on one side has another value, as flat indices of the padded image."""
    width = padded.shape[1]
    flat = padded.reshape(-1)
    step = width if direction in (0, 2) else 1
    # Of two neighbours, the later one in memory has the edge above or left of it, the earlier one below or right of it.
    different = np.flatnonzero(flat[step:] != flat[:-step])
    pixel = different + step if direction in (0, 3) else different
    labelled: Ints = pixel[flat[pixel] != 0]
    return labelled


def _ends_of_runs(corners: list[_Corners], first: Ints, shape: tuple[int, ...]) -> Ints:
    """Return the index of the corner that follows each corner.

    Behind a corner a straight run of edges begins, and the following corner is where this run ends. Instead of walking
    along the runs, their beginnings and ends are matched: each run has one of both, and runs of one direction share no
    edge. Sorted along the rows or columns that they follow, the n-th beginning and the n-th end belong to one run.
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
    """Put the corners in the order in which their loops are read.

    Parameters
    ----------
    following
        Corner after each corner, along the direction of the edges: a permutation, whose cycles are the loops.
    owner
        Id of each corner.
    place
        Position of each corner in the image, ``y * width + x``.

    Returns
    -------
    order
        All corners, loop by loop, each against `following` and from its corner of the largest place.
    starts
        Index in `order` at which each loop begins, and the end. Loops are sorted by owner, and within an owner from the
        largest starting place to the smallest.
    """
    from scipy.sparse import csr_array  # not needed to read ROIs, and slow to import
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    # The cycles of a permutation are the strongly connected components of its graph.
    n = len(following)
    edges = csr_array((np.ones(n, np.int8), following.astype(np.int32), np.arange(n + 1, dtype=np.int32)), (n, n))
    n_loops, loop = connected_components(edges, connection="strong")

    # A loop begins at its corner of the largest place. A loop through one point twice has two such corners: writing
    # them from the highest number down leaves the one of the lowest number.
    farthest = np.full(n_loops, -1, np.int64)
    np.maximum.at(farthest, loop, place)
    candidates = np.flatnonzero(place == farthest[loop])[::-1]
    first = np.empty(n_loops, np.int64)
    first[loop[candidates]] = candidates
    in_order = np.lexsort((-place[first], owner[first]))
    rank = np.empty(n_loops, np.int64)
    rank[in_order] = np.arange(n_loops)

    # From here on corners are numbered loop by loop in the order of the result, so that the steps along a loop stay
    # close together in memory: block[new number] is the old number.
    block = np.argsort(rank[loop] * n + np.arange(n))
    number = np.empty(n, np.int32)
    number[block] = np.arange(n, dtype=np.int32)
    behind, first = number[following[block]], number[first[in_order]]

    # Turn the cycles into one path that a search in compiled code walks from end to end. path[b] = a reverses every
    # step a -> b. The step back into the first corner of a loop, which would close it, leads to the first corner of the
    # next loop instead; that of the last loop leads to the beginning, where the search ends.
    path = np.empty(n, np.int32)
    path[behind] = np.arange(n, dtype=np.int32)
    path[behind[first]] = np.roll(first, -1)
    tied = csr_array((np.ones(n, np.int8), path, np.arange(n + 1, dtype=np.int32)), (n, n))
    order = breadth_first_order(tied, first[0], return_predecessors=False)
    return block[order], np.cumsum([0, *np.bincount(loop, minlength=n_loops)[in_order]])
