"""Join regions with a weak membrane between them, by average linkage on the graph of regions (GASP)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import Floats, Floats32, Ints, Labels
from fijibridge.cells.distances import Spacing
from fijibridge.cells.neighbours import ahead
from fijibridge.cells.segmentation.flooding import UNSURE


@dataclass(frozen=True)
class Boundaries:
    """Boundaries between regions that touch, one entry per pair, sorted by ids.

    Attributes
    ----------
    a, b : numpy.ndarray
        Ids of the two regions, a < b.
    mean : numpy.ndarray
        Mean membrane probability along the boundary. Of each two neighbouring pixels, the higher value counts.
    length : numpy.ndarray
        Length of the boundary, in x pixels: the length of its pixel sides, in 3D the area of its pixel faces.
    """

    a: Ints
    b: Ints
    mean: Floats
    length: Floats


def find_boundaries(labels: Labels, prob: Floats32, step: Spacing) -> Boundaries:
    """Measure the boundaries between all regions that touch. 0 is not a region, but :data:`UNSURE` is.

    Examples
    --------
    >>> found = find_boundaries(np.array([[1, 1, 2]]), np.array([[0, 0.2, 0.5]]), (1, 1))
    >>> found.a, found.b, found.mean, found.length
    (array([1]), array([2]), array([0.5]), array([1.]))
    """
    low, high, membrane, area = _faces(labels, prob, step)
    # One number for each pair of ids; ids start at -1 (UNSURE).
    n = int(max(high.max(initial=0), 0)) + 2
    pair, place = np.unique((low + 1) * n + high + 1, return_inverse=True)
    length = np.bincount(place, area, len(pair)).astype(float)
    total = np.bincount(place, area * membrane, len(pair))
    return Boundaries(pair // n - 1, pair % n - 1, total / np.maximum(length, 1e-300), length)


def _faces(labels: Labels, prob: Floats32, step: Spacing) -> tuple[Ints, Ints, Floats, Floats]:
    """Return the lower id, the higher id, the membrane probability and the area of each pixel side between regions."""
    parts: list[tuple[Ints, Ints, Floats, Floats]] = []
    for axis in range(labels.ndim):
        first, second = ahead(axis, labels.ndim)
        one, other = labels[first], labels[second]
        meet = (one != other) & (one != 0) & (other != 0)
        a, b = one[meet].astype(np.int64), other[meet].astype(np.int64)
        membrane = np.maximum(prob[first][meet], prob[second][meet]).astype(float)
        area = np.full(len(a), float(np.prod(step)) / step[axis])
        parts.append((np.minimum(a, b), np.maximum(a, b), membrane, area))
    low, high, membrane, area = (np.concatenate(column) for column in zip(*parts, strict=True))
    return low, high, membrane, area


def join_weak(labels: Labels, prob: Floats32, beta: float, step: Spacing) -> Labels:
    """Join regions until the mean membrane probability between any two touching regions is at least `beta`.

    Parameters
    ----------
    labels
        Regions with consecutive ids from 1; 0 is not a region, and :data:`UNSURE` is not joined.
    prob
        Membrane probability.
    beta
        Regions are joined while the mean along their common boundary is below `beta`, the weakest boundary first.
    step
        Distance between pixels along each axis, for the area of boundaries.

    Returns
    -------
    numpy.ndarray
        ``int32``, ids from 1 in the order of the first region of each cell; :data:`UNSURE` for regions that may be
        joined with a region that continues outside the piece.

    Notes
    -----
    This is average linkage with boundaries weighted by their length: the "average" case of the generalised algorithm
    for signed graph partitioning, GASP (Bailoni et al. 2022, eq. 3), with ``prob - beta`` as the signed weight.

    The mean of a joined boundary is a weighted mean over its parts, so it can be below `beta` only if a part is.
    Regions are therefore joined only within groups connected by boundaries below `beta`. A group that touches no unsure
    region has the same cells as in the whole image, which limits how far the result depends on pixels outside a piece.

    Examples
    --------
    >>> cells = join_weak(np.array([[1, 2, 3]], np.int32), np.array([[0, 0.2, 0.9]], np.float32), 0.5, (1, 1))
    >>> cells
    array([[1, 1, 2]], dtype=int32)
    """
    n = int(labels.max(initial=0))
    if n == 0:
        return labels
    found = find_boundaries(labels, prob, step)
    new_id = _linked(found, n, beta)
    new_id[_contaminated(found, n, beta)] = UNSURE
    new_id = np.concatenate([[0], new_id, [UNSURE]]).astype(np.int32)  # UNSURE = -1 indexes the last entry
    joined: Labels = new_id[labels]
    return joined


def _linked(found: Boundaries, n: int, beta: float) -> Labels:
    """Return the cell of each region, numbered from 1 in the order of the first region of each cell.

    higra builds the whole tree of joins; cutting the tree at `beta` undoes the joins at a mean of at least `beta`.
    """
    import higra as hg

    real = found.a > 0
    graph = hg.UndirectedGraph(n)
    graph.add_edges(found.a[real] - 1, found.b[real] - 1)
    # higra needs a connected graph, so bridges are added between its parts. Their infinite mean (limited below to a
    # finite number) makes them the last joins, and their tiny length hardly affects the means of other boundaries.
    links = _bridges(found, n)
    graph.add_edges(links[:, 0], links[:, 1])
    means = np.concatenate([found.mean[real], np.full(len(links), np.inf)])
    lengths = np.concatenate([found.length[real], np.full(len(links), 1e-12)])
    if not len(means):
        return np.ones(n, np.int32)
    means = np.minimum(means, 1e6)
    tree, altitudes = hg.binary_partition_tree_average_linkage(graph, means, lengths)
    # higra keeps joins up to and including the threshold; the next float below beta keeps only joins below beta.
    cells = hg.labelisation_horizontal_cut_from_threshold(tree, altitudes, np.nextafter(beta, -1))
    _, first, place = np.unique(cells, return_index=True, return_inverse=True)
    number = np.empty(len(first), np.int32)
    number[np.argsort(first)] = np.arange(1, len(first) + 1)
    linked: Labels = number[place]
    return linked


def _bridges(found: Boundaries, n: int) -> Ints:
    """Return pairs of regions, counted from 0, that connect all parts of the graph to its first part."""
    part = _parts(found.a, found.b, n, found.a > 0)
    first = np.unique(part, return_index=True)[1]
    return np.stack([np.repeat(first[:1], len(first) - 1), first[1:]], axis=1).astype(np.int64)


def _contaminated(found: Boundaries, n: int, beta: float) -> npt.NDArray[np.bool_]:
    """Mark regions that weak boundaries connect, directly or through others, to a region beside an unsure pixel."""
    open_regions = found.b[found.a == UNSURE] - 1
    if not len(open_regions):
        return np.zeros(n, bool)
    part = _parts(found.a, found.b, n, (found.a > 0) & (found.mean < beta))
    marked: npt.NDArray[np.bool_] = np.isin(part, part[open_regions])
    return marked


def _parts(a: Ints, b: Ints, n: int, chosen: npt.NDArray[np.bool_]) -> npt.NDArray[np.int32]:
    """Return the connected component of each of n regions; the chosen boundaries are the edges of the graph."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = coo_array((np.ones(chosen.sum(), np.int8), (a[chosen] - 1, b[chosen] - 1)), shape=(n, n))
    part: npt.NDArray[np.int32] = connected_components(edges, directed=False)[1]
    return part
