"""Outlines of all the cells of a label image, followed along the edges of the pixels at once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import Ints


class Outlines(NamedTuple):
    """Closed loops of corners, of all ids one after the other.

    Attributes
    ----------
    ids
        (n_loops,) the id of each loop, ascending; the first loop of an id is the outline of a part.
    vertices
        (n_vertices, 2) x, y of the corners of all loops, in pixels.
    starts
        (n_loops + 1,) where each loop begins in `vertices`, and where the last one ends.
    """

    ids: Ints
    vertices: npt.NDArray[np.int32]
    starts: Ints


def trace(labels: npt.NDArray[Any]) -> Outlines:
    """Follow the pixel edges around all ids of a (Y, X) label image at once.

    The corners are in the order of ImageJ's ``ThresholdToSelection``, on which its perimeter depends: from the last
    corner of the lowest row, counterclockwise on the screen; holes run the other way. Pixels of one id that touch only
    at a corner are one part, whose outline comes through the corner twice.
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
    """The edges of one direction at whose end the outline turns.

    Attributes
    ----------
    pixel
        The pixel on the edge's right hand, as an index of the padded image.
    next_pixel, next_direction
        The edge that follows.
    """

    pixel: Ints
    next_pixel: Ints
    next_direction: Ints


def _corners(padded: npt.NDArray[Any], direction: int) -> _Corners:
    """Find the corners at the ends of edges that run east (0, along the top), south, west or north (3).

    An edge lies between a labelled pixel and another value; the pixel is always on its right hand.
    """
    width = padded.shape[1]
    flat = padded.reshape(-1)
    outward = (-width, 1, width, -1)
    pixel = _boundary(padded, direction)
    value = flat[pixel]
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
    """List the labelled pixels whose neighbour at that side is another one, as indices of the padded image."""
    width = padded.shape[1]
    flat = padded.reshape(-1)
    step = width if direction in (0, 2) else 1
    # of two neighbours in memory, the later one has an edge above or left of it, the earlier one below or right
    different = np.flatnonzero(flat[step:] != flat[:-step])
    pixel = different + step if direction in (0, 3) else different
    labelled: Ints = pixel[flat[pixel] != 0]
    return labelled


def _ends_of_runs(corners: list[_Corners], first: Ints, shape: tuple[int, ...]) -> Ints:
    """Return the number of the corner that follows each: where the run of edges that begins behind it ends.

    Each run has one beginning and one end, and runs of one direction share no edge: sorted along the rows or columns
    that they follow, the beginnings and the ends correspond one by one.
    """
    height, width = shape
    following = np.empty(sum(len(c.pixel) for c in corners), np.int64)
    next_pixel = np.concatenate([c.next_pixel for c in corners])
    next_direction = np.concatenate([c.next_direction for c in corners])
    for direction in range(4):
        here = np.flatnonzero(next_direction == direction)
        begins, ends = next_pixel[here], corners[direction].pixel
        if direction in (1, 3):  # by columns
            begins, ends = (p % width * height + p // width for p in (begins, ends))
        following[here[np.argsort(begins)]] = first[direction] + np.argsort(ends)
    return following


def _walk(following: Ints, owner: Ints, place: Ints) -> tuple[Ints, Ints]:
    """Go round the loops of a permutation backwards, each from its member of the largest place.

    Returns the members in this order, and where in it each loop begins; the loops are sorted by their owner and, from
    large to small, by the place where they begin.
    """
    from scipy.sparse import csr_array  # not needed to read ROIs, and slow to import
    from scipy.sparse.csgraph import breadth_first_order, connected_components

    n = len(following)
    edges = csr_array((np.ones(n, np.int8), following.astype(np.int32), np.arange(n + 1, dtype=np.int32)), (n, n))
    n_loops, loop = connected_components(edges, connection="strong")
    farthest = np.full(n_loops, -1, np.int64)
    np.maximum.at(farthest, loop, place)
    candidates = np.flatnonzero(place == farthest[loop])[::-1]
    first = np.empty(n_loops, np.int64)
    first[loop[candidates]] = candidates  # the last one written: the candidate of the lowest number
    in_order = np.lexsort((-place[first], owner[first]))
    rank = np.empty(n_loops, np.int64)
    rank[in_order] = np.arange(n_loops)
    # numbered loop by loop, so that what is looked at together lies together in memory
    block = np.argsort(rank[loop] * n + np.arange(n))
    number = np.empty(n, np.int32)
    number[block] = np.arange(n, dtype=np.int32)
    behind, first = number[following[block]], number[first[in_order]]
    # the loops backwards, cut open and tied into one path, which a search in compiled code follows
    path = np.empty(n, np.int32)
    path[behind] = np.arange(n, dtype=np.int32)
    path[behind[first]] = np.roll(first, -1)
    tied = csr_array((np.ones(n, np.int8), path, np.arange(n + 1, dtype=np.int32)), (n, n))
    order = breadth_first_order(tied, first[0], return_predecessors=False)
    return block[order], np.cumsum([0, *np.bincount(loop, minlength=n_loops)[in_order]])
