"""Decide which regions of a label image are kept, from a summary of its pieces.

Size, holes and contact with the edge are properties of whole regions, which may extend over many pieces of an image.
For each piece, the summary records the pixels and contacts of regions, by numbers that are unique in the whole image,
and the pairs of numbers that denote the same region. The decision then needs no pixels. An image in memory is a single
piece.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fijibridge.arrays import Ints, Labels, Mask
from fijibridge.cells.neighbours import ahead


def connected_regions(inside: Mask) -> Labels:
    """Label regions that are connected along the sides of pixels, with ids from 1; 0 outside."""
    labels: Labels = ndimage.label(inside, output=np.int32)[0]
    return labels


def with_gaps_numbered(cells: Labels) -> Labels:
    """Return the cells with gaps between them numbered -1, -2, ...: regions of zeros, connected also diagonally."""
    between = ndimage.label(cells == 0, np.ones((3,) * cells.ndim), output=np.int32)[0]
    signed: Labels = np.where(cells > 0, cells, -between).astype(np.int32)
    return signed


@dataclass(frozen=True)
class Rules:
    """Rules for which regions are kept; sizes are in pixels, before growing.

    Attributes
    ----------
    min_size, max_size : float
        Smaller regions are dropped before cells grow. Larger regions are dropped afterwards, so that cells do not grow
        into them.
    fill_holes : bool
        Fill holes that are enclosed by one cell.
    without_border : bool
        After growing, drop the cells that touched the edge of the image before growing.
    """

    min_size: float = 0
    max_size: float = np.inf
    fill_holes: bool = True
    without_border: bool = False


@dataclass(frozen=True)
class Verdict:
    """Decision about each region.

    Attributes
    ----------
    before : numpy.ndarray
        Label of each region while cells grow, 0 = none, indexed by number + `gaps`.
    gaps : int
        How many numbers are below 0.
    keep : numpy.ndarray
        Whether each label is kept at the end, indexed by label.
    """

    before: Labels
    gaps: int
    keep: Mask

    def growing(self, signed: Labels) -> Labels:
        """Return the labels from which cells grow, given the number of the region of each pixel."""
        labels: Labels = self.before[signed + self.gaps]
        return labels


@dataclass
class Summary:
    """Sizes, positions and contacts of the regions of an image, entered piece by piece.

    Numbers are unique in the whole image: cells are 1, 2, ..., gaps between them are -1, -2, ... A region that extends
    over several pieces has several numbers. To be used as an index, a number is increased by `gaps`.
    """

    shape: tuple[int, ...]
    cells: int = 0
    gaps: int = 0
    _rows: list[npt.NDArray[np.int64]] = field(default_factory=list)
    _same: list[Ints] = field(default_factory=list)
    _touching: list[Ints] = field(default_factory=list)

    def numbered(self, signed: Labels) -> Labels:
        """Replace the numbers in a piece by new numbers that are unique in the whole image."""
        low = int(signed.min(initial=0))
        seen = np.bincount(signed.reshape(-1) - low)
        present = np.flatnonzero(seen) + low
        table = np.zeros(len(seen), np.int32)
        here, between = present[present > 0], present[present < 0][::-1]
        table[here - low] = self.cells + 1 + np.arange(len(here))
        table[between - low] = -(self.gaps + 1 + np.arange(len(between)))
        self.cells += len(here)
        self.gaps += len(between)
        new: Labels = table[signed - low]
        return new

    def add(self, numbers: Labels, corner: tuple[int, ...]) -> None:
        """Enter the pixels of a piece whose first pixel is at `corner`; each pixel of the image is entered once."""
        flat = numbers.reshape(-1)
        offset = int(flat.min(initial=0))
        size = np.bincount(flat - offset)
        seen = np.flatnonzero(size)
        first = np.zeros(len(size), np.int64)
        first[flat[::-1] - offset] = np.arange(flat.size - 1, -1, -1)  # backwards, so that the first pixel remains
        place = [p + c for p, c in zip(np.unravel_index(first[seen], numbers.shape), corner, strict=True)]
        at_border = np.zeros(len(size), bool)
        for axis, (n, c, whole) in enumerate(zip(numbers.shape, corner, self.shape, strict=True)):
            for index, outermost in ((0, c == 0), (n - 1, c + n == whole)):
                if outermost:
                    at_border[np.take(numbers, index, axis) - offset] = True
        ravelled = np.ravel_multi_index(place, self.shape)
        self._rows.append(np.stack([seen + offset, size[seen], ravelled, at_border[seen]], axis=1).astype(np.int64))

    def add_contacts(self, numbers: Labels) -> None:
        """Enter the pairs of regions that touch along the side of a pixel; pixels with 0 are not known yet."""
        base = np.int64(self.cells + self.gaps + 1)
        for axis in range(numbers.ndim):
            a, b = (numbers[s] for s in ahead(axis, numbers.ndim))
            meet = (a != b) & (a != 0) & (b != 0)
            one, other = (side[meet].astype(np.int64) + self.gaps for side in (a, b))
            pair = np.unique(np.minimum(one, other) * base + np.maximum(one, other))
            self._touching.append(np.stack([pair // base, pair % base], axis=1) - self.gaps)

    def add_same(self, numbers: Labels, others: Labels) -> None:
        """Enter pixels shared by two pieces: both numbers of a pixel denote the same region; 0 is not known yet."""
        known = (numbers != 0) & (others != 0)
        self._same.append(np.unique(np.stack([numbers[known], others[known]], axis=1).astype(np.int64), axis=0))

    def decide(self, rules: Rules) -> Verdict:
        """Decide which regions are kept or filled; labels are in the order of their first pixels."""
        region, size, first, at_border = self._regions()
        number = np.concatenate([*self._rows, np.zeros((0, 4), np.int64)])[:, 0]
        is_cell = np.zeros(len(size), bool)
        is_cell[region[number[number > 0] + self.gaps]] = True
        kept = is_cell & (size >= max(rules.min_size, 1))
        touching = _unique_pairs(region, [t + self.gaps for t in self._touching])
        # Holes count towards the size of their cell, even if the cell is then dropped because it is too large.
        holes, owner = _holes(kept, at_border, touching) if rules.fill_holes else (np.zeros(0, np.int64),) * 2
        np.add.at(size, owner, size[holes])
        # Number the cells in the order of their first pixels, and assign to each hole the label of its cell.
        order = np.flatnonzero(kept)
        order = order[np.argsort(first[order], kind="stable")]
        label = np.zeros(len(size), np.int32)
        label[order] = np.arange(1, len(order) + 1)
        label[holes] = label[owner]
        good = size[order] <= rules.max_size
        if rules.without_border:
            good &= ~at_border[order]
        before = label[region].astype(np.int32)
        before[self.gaps] = 0  # the number 0 means unknown
        return Verdict(before, self.gaps, np.concatenate([[False], good]))

    def _regions(self) -> tuple[Ints, Ints, Ints, Mask]:
        """Return the region of each number, and the size, first pixel and edge contact of each region."""
        n = self.cells + self.gaps + 1
        same = np.concatenate([*self._same, np.zeros((0, 2), np.int64)]) + self.gaps
        region = _components(n, same)
        rows = np.concatenate([*self._rows, np.zeros((0, 4), np.int64)])
        which = region[rows[:, 0] + self.gaps]
        count = int(region.max()) + 1
        size = np.bincount(which, rows[:, 1], count).astype(np.int64)
        first = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(first, which, rows[:, 2])
        border = np.bincount(which, rows[:, 3], count) > 0
        return region, size, first, border


def _components(n: int, pairs: Ints) -> Ints:
    """Return the connected component of each of n nodes, with pairs as edges."""
    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _unique_pairs(region: Ints, touching: list[Ints]) -> Ints:
    """Convert contacts between numbers to contacts between different regions, each listed once."""
    pairs = region[np.concatenate([*touching, np.zeros((0, 2), np.int64)])]
    return np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)


def _holes(kept: Mask, at_border: Mask, touching: Ints) -> tuple[Ints, Ints]:
    """Find the regions enclosed by a single kept cell.

    Parameters
    ----------
    kept, at_border
        Whether each region is a kept cell, and whether it touches the edge of the image.
    touching
        (n, 2) pairs of regions that touch.

    Returns
    -------
    regions, cells
        The regions to fill, and the cell around each of them.

    Notes
    -----
    Regions that are not kept cells (gaps, and cells that are too small) form connected groups. A group is a hole, and
    is filled, if it does not touch the edge of the image and touches exactly one kept cell.
    """
    n = len(kept)
    free = ~kept[touching]

    # Group the regions that are not kept cells; each kept cell is a separate group.
    group = _components(n, touching[free.all(axis=1)])  # group of each region

    # If one region of a group is at the edge of the image, the whole group is open.
    outside = np.zeros(n, bool)
    outside[group[at_border & ~kept]] = True

    # Contacts between a region that is not kept and a kept cell, as (gap, cell). If a group has one neighbouring cell,
    # the lowest and the highest neighbouring cell are equal. If it has none, low = n and high = -1 remain, and differ.
    mixed = touching[free[:, 0] != free[:, 1]]
    first_free = ~kept[mixed[:, 0]]
    gap, cell = np.where(first_free, mixed[:, 0], mixed[:, 1]), np.where(first_free, mixed[:, 1], mixed[:, 0])
    low, high = np.full(n, n), np.full(n, -1)
    np.minimum.at(low, group[gap], cell)
    np.maximum.at(high, group[gap], cell)
    enclosed = (low == high) & ~outside
    regions = np.flatnonzero(enclosed[group])  # none is a kept cell: no contact was entered for the group of one
    return regions, low[group[regions]]
