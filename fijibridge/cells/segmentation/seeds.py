"""Seeds in the middle of cells, and flooding of a membrane probability from these seeds."""

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
        Membrane probability of an image, or of a piece of an image.
    sides
        Open sides of the piece.
    threshold
        Smallest smoothed probability at which a pixel is membrane.
    sigma, h
        Standard deviation of the smoothing, and height by which a maximum of the distance must stand out; both are in x
        pixels.
    step
        Distance between pixels along each axis.

    Returns
    -------
    numpy.ndarray
        ``int32``, ids from 1; every pixel belongs to a cell, or is :data:`UNSURE`.

    Notes
    -----
    This is the distance transform watershed of PlantSeg (Wolny et al. 2020), but with these seeds.
    """
    relief, unsure = smooth(prob, sigma, step, sides)
    inside = relief < threshold
    basins = find_basins(inside, 0, h, step, sides, unsure)
    # Flooding from the middle of a region that is a single basin would fill the region. All of it is used as the seed,
    # which saves time.
    seeds = np.where(_alone(basins.labels, inside), basins.labels, _middles(basins, h)).astype(np.int32)
    if unsure is not None:
        seeds[unsure] = UNSURE
    seeds[on_open_side(prob.shape, sides)] = UNSURE
    # The second key of the flood orders pixels of equal probability: inside cells, the deepest first; in membranes, the
    # nearest to a cell first. If the nearest cell may be beyond an open side, the position in this order is uncertain.
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
    """Return the pixels of each basin that are at most h below its peak."""
    floor = np.concatenate([basins.peak, [np.float32(0)]]) - np.float32(h)  # UNSURE = -1 indexes the last entry
    seeds: Labels = np.where(basins.depth >= floor[basins.labels], basins.labels, 0).astype(np.int32)
    seeds[basins.labels == UNSURE] = UNSURE
    return seeds
