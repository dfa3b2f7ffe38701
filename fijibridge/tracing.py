"""Outlines of all the cells of a label image, followed along the edges of the pixels at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


def trace(labels: npt.NDArray[Any]) -> tuple[list[int], list[npt.NDArray[np.int32]]]:
    """Follow the pixel edges around all ids at once.

    Returns the id of each loop, ascending, and its corners as (n, 2) x, y. They are in the order of ImageJ's
    ``ThresholdToSelection``, on which its perimeter depends: from the last corner of the lowest row, counterclockwise
    on the screen; holes run the other way.
    """
    padded = np.pad(labels, 1)
    edge, following, turns = _edges(padded)
    if not len(edge):
        return [], []
    following = _skip_straight(following, turns)
    corners = np.flatnonzero(turns)
    rank = np.full(len(edge), -1, np.int64)
    rank[corners] = np.arange(len(corners))
    owner = padded.reshape(-1)[edge[corners] // 4].astype(np.int64)
    x, y = _end_of(edge[corners], padded.shape[1])
    loops = _walk(rank[following[corners]].tolist(), np.lexsort((-x, -y, owner)).tolist())
    vertices = np.stack([x, y], axis=1).astype(np.int32)
    order = np.fromiter((i for loop in loops for i in loop), np.int64)
    bounds = np.cumsum([len(loop) for loop in loops])[:-1]
    return [int(owner[loop[0]]) for loop in loops], np.split(vertices[order], bounds)


def _edges(padded: npt.NDArray[Any]) -> tuple[Ints, Ints, npt.NDArray[np.bool_]]:
    """List the edges between a labelled pixel and another value, the edge that follows each, and where it turns.

    An edge is numbered 4 * pixel + direction (0 east along the top, 1 south along the right, 2 west along the
    bottom, 3 north along the left): the pixel is always on the right hand. Pixels of one
    id that touch only at a corner are one part, whose outline comes through the corner twice.
    """
    width = padded.shape[1]
    flat = padded.reshape(-1)
    outward = (-width, 1, width, -1)
    edges, nexts, turns = [], [], []
    inside = np.flatnonzero(flat)
    own = flat[inside]
    for direction in range(4):
        pixel = inside[flat[inside + outward[direction]] != own]
        value = flat[pixel]
        ahead = pixel + outward[(direction + 1) % 4]
        aside = ahead + outward[direction]
        left = flat[aside] == value
        right = ~left & (flat[ahead] != value)
        straight = ~left & ~right
        following = np.where(straight, 4 * ahead + direction, 4 * aside + (direction + 3) % 4)
        nexts.append(np.where(right, 4 * pixel + (direction + 1) % 4, following))
        edges.append(4 * pixel + direction)
        turns.append(~straight)
    edge = np.concatenate(edges)
    order = np.argsort(edge)
    edge = edge[order]
    return edge, np.searchsorted(edge, np.concatenate(nexts)[order]), np.concatenate(turns)[order]


def _skip_straight(following: Ints, turns: npt.NDArray[np.bool_]) -> Ints:
    """Let each edge point to the next one that ends in a corner, doubling the stride each time."""
    straight = ~turns
    following = following.copy()
    while (running := np.flatnonzero(straight[following])).size:
        following[running] = following[following[running]]
    return following


def _walk(following: list[int], order: list[int]) -> list[list[int]]:
    seen = bytearray(len(following))
    loops = []
    for start in order:
        if seen[start]:
            continue
        loop, at = [], start
        while not seen[at]:
            seen[at] = 1
            loop.append(at)
            at = following[at]
        loop[1:] = reversed(loop[1:])
        loops.append(loop)
    return loops


def _end_of(edge: Ints, width: int) -> tuple[Ints, Ints]:
    """Return the vertex at which an edge ends, in the coordinates of the unpadded image."""
    pixel, direction = edge // 4, edge % 4
    x, y = pixel % width - 1, pixel // width - 1
    return x + (direction <= 1), y + ((direction == 1) | (direction == 2))
