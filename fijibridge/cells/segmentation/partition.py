"""A membrane probability cut into cells by each of the methods, for a whole image or for a piece of it.

Two steps: :func:`partition` finds the cells, :func:`finish` grows those that are kept, or cuts a gap between them. In a
piece, what may depend on pixels beyond its open sides is :data:`~fijibridge.cells.segmentation.flooding.UNSURE`.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from fijibridge.arrays import Floats32, Labels, Mask
from fijibridge.cells.distances import to_sources
from fijibridge.cells.segmentation.agglomeration import join_weak
from fijibridge.cells.segmentation.basins import Basins, find_basins, find_minima, smooth
from fijibridge.cells.segmentation.flooding import UNSURE, Open, flood, grow, on_open_side, room, with_gaps
from fijibridge.cells.segmentation.recipes import Recipe


def partition(prob: Floats32, recipe: Recipe, sides: Open) -> Labels:
    """Find the cells of a piece of an image.

    Returns
    -------
    numpy.ndarray
        ``int32``, ids from 1, 0 = membrane, :data:`UNSURE`. Of the methods that cover the image every
        pixel belongs to a cell. Those of ``"threshold"`` are what hangs together in this piece.
    """
    if recipe.method == "threshold":
        return components(prob < recipe.threshold)
    if recipe.method == "watershed":
        inside = prob < recipe.threshold
        return find_basins(inside, recipe.sigma, recipe.h, recipe.step, sides, None).labels
    if recipe.method == "minima":
        relief, unsure = smooth(prob, recipe.sigma, recipe.step, sides)
        return find_minima(relief, recipe.h, sides, unsure).labels
    cells = _seeded(prob, recipe, sides)
    return join_weak(cells, prob, recipe.beta, recipe.step) if recipe.method == "agglomeration" else cells


def finish(cells: Labels, prob: Floats32, recipe: Recipe, sides: Open) -> Labels:
    """Grow the cells of a piece until a gap of 1 px is left, or as far as the recipe says."""
    if recipe.covers:
        return _uncovered(cells, prob, recipe, sides)
    return grow(cells, prob, recipe.grow, recipe.step, sides, cut=True)


def components(inside: Mask) -> Labels:
    """Return the regions that hang together along the sides of pixels, with ids from 1."""
    labels: Labels = ndimage.label(inside, output=np.int32)[0]
    return labels


def _seeded(prob: Floats32, recipe: Recipe, sides: Open) -> Labels:
    """Flood the smoothed probability from the middle of each basin."""
    relief, unsure = smooth(prob, recipe.sigma, recipe.step, sides)
    inside = relief < recipe.threshold
    basins = find_basins(inside, 0, recipe.h, recipe.step, sides, unsure)
    seeds = np.where(_alone(basins.labels, inside), basins.labels, _middles(basins, recipe.h)).astype(np.int32)
    if unsure is not None:
        seeds[unsure] = UNSURE
    seeds[on_open_side(prob.shape, sides)] = UNSURE
    height = to_sources(inside, recipe.step)  # on level ground what is further from a membrane is flooded first
    seeds[room(prob.shape, recipe.step, sides) < height] = UNSURE
    if unsure is not None and unsure.any():
        seeds[(height > 0) & (to_sources(unsure, recipe.step) <= height)] = UNSURE
    return flood(relief, height - basins.depth * inside, seeds, seeds == 0)


def _alone(labels: Labels, inside: Mask) -> Mask:
    """Mark the regions below the threshold that are one basin: flooding it from its middle would fill just them."""
    region = components(inside)
    low, high = (np.full(int(region.max(initial=0)) + 1, value, np.int32) for value in (np.iinfo(np.int32).max, -2))
    flat, label = region[inside], labels[inside]
    np.minimum.at(low, flat, label)
    np.maximum.at(high, flat, label)
    alone: Mask = (low == high)[region] & inside
    return alone


def _middles(basins: Basins, h: float) -> Labels:
    """Return of each basin the pixels less than h below its peak."""
    floor = np.concatenate([basins.peak, [np.float32(0)]]) - np.float32(h)  # the last one is that of UNSURE
    seeds: Labels = np.where(basins.depth >= floor[basins.labels], basins.labels, 0).astype(np.int32)
    seeds[basins.labels == UNSURE] = UNSURE
    return seeds


def _uncovered(cells: Labels, prob: Floats32, recipe: Recipe, sides: Open) -> Labels:
    """Leave of cells that cover the image what lies inside or near it, with a gap between neighbours."""
    relief, unsure = smooth(prob, recipe.sigma, recipe.step, sides)
    inside = (cells > 0) & (relief < recipe.threshold)
    left = cells.copy()
    if np.isfinite(recipe.grow):
        away = to_sources(inside, recipe.step)
        left[away > recipe.grow] = 0
        beyond = room(cells.shape, recipe.step, sides)
        left[(beyond < away) & (beyond <= recipe.grow)] = UNSURE
        if unsure is not None and unsure.any():
            left[to_sources(unsure, recipe.step) <= recipe.grow] = UNSURE
    if unsure is not None:
        left[unsure] = UNSURE
    return with_gaps(left, relief, None, inside, cut=True)
