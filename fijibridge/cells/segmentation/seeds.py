"""Seeds in the middle of cells, and the flood of a membrane probability from them."""

from __future__ import annotations

import numpy as np

from fijibridge.arrays import Floats32, Labels, Mask
from fijibridge.cells.distances import Spacing, to_sources
from fijibridge.cells.segmentation.basins import Basins, find_basins, smooth
from fijibridge.cells.segmentation.flooding import UNSURE, Open, flood, on_open_side, room
from fijibridge.cells.segmentation.regions import connected_regions


def flood_from_seeds(prob: Floats32, sides: Open, *, threshold: float, sigma: float, h: float, step: Spacing) -> Labels:
    """Flood the smoothed probability from the middle of each basin of the distance map.

    Parameters
    ----------
    prob
        Membrane probability of an image, or of a piece of it.
    sides
        Open sides of the piece.
    threshold
        Smoothed pixels of at least this probability are membrane.
    sigma, h
        Standard deviation of the smoothing, and how far a maximum of the distance stands out, in pixels of x.
    step
        Distance between pixels per axis.

    Returns
    -------
    numpy.ndarray
        ``int32``, ids from 1; every pixel belongs to a cell, or is :data:`UNSURE`.

    Notes
    -----
    The distance transform watershed of PlantSeg (Wolny et al. 2020), with these seeds.
    """
    relief, unsure = smooth(prob, sigma, step, sides)
    inside = relief < threshold
    basins = find_basins(inside, 0, h, step, sides, unsure)
    # A region that is one basin would be filled by a flood from its middle: take it whole, which is faster.
    seeds = np.where(_alone(basins.labels, inside), basins.labels, _middles(basins, h)).astype(np.int32)
    if unsure is not None:
        seeds[unsure] = UNSURE
    seeds[on_open_side(prob.shape, sides)] = UNSURE
    # The second key of the flood orders pixels of equal probability: inside cells the deepest first, in membranes those
    # nearest to a cell. A pixel whose nearest cell may lie beyond an open side has no sure place in this order.
    height = to_sources(inside, step)
    seeds[room(prob.shape, step, sides) < height] = UNSURE
    if unsure is not None and unsure.any():
        seeds[(height > 0) & (to_sources(unsure, step) <= height)] = UNSURE
    return flood(relief, height - basins.depth * inside, seeds, seeds == 0)


def _alone(labels: Labels, inside: Mask) -> Mask:
    """Mark the connected regions below the threshold that consist of a single basin."""
    region = connected_regions(inside)
    # A region is one basin if the lowest and the highest label in it are equal.
    low, high = (np.full(int(region.max(initial=0)) + 1, value, np.int32) for value in (np.iinfo(np.int32).max, -2))
    flat, label = region[inside], labels[inside]
    np.minimum.at(low, flat, label)
    np.maximum.at(high, flat, label)
    alone: Mask = (low == high)[region] & inside
    return alone


def _middles(basins: Basins, h: float) -> Labels:
    """Return the pixels of each basin that lie less than h below its peak."""
    floor = np.concatenate([basins.peak, [np.float32(0)]]) - np.float32(h)  # UNSURE = -1 takes the last entry
    seeds: Labels = np.where(basins.depth >= floor[basins.labels], basins.labels, 0).astype(np.int32)
    seeds[basins.labels == UNSURE] = UNSURE
    return seeds
