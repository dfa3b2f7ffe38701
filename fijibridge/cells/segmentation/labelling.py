"""Cells out of a membrane prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.arrays import Labels
from fijibridge.cells.segmentation.flooding import grow_labels
from fijibridge.cells.segmentation.partition import finish, partition
from fijibridge.cells.segmentation.recipes import Recipe, make_recipe
from fijibridge.cells.segmentation.regions import Summary, with_gaps_numbered
from fijibridge.errors import ImageError
from fijibridge.image import ImageT, in_order, like, refuse_channels_last, values

__all__ = ["Labels", "grow_labels", "label_cells"]


def label_cells(
    prob: ImageT,
    method: str = "threshold",
    *,
    membrane: int | str = "membrane",
    threshold: float = 0.5,
    sigma: float | None = None,
    h: float | None = None,
    beta: float | None = None,
    grow: bool | float = True,
    min_size: float = 0,
    max_size: float | None = None,
    unit: str = "px",
    fill_holes: bool = True,
    border: str = "keep",
) -> ImageT:
    """Find the cells between membranes.

    Parameters
    ----------
    prob
        Membrane probability between 0 and 1, (Y, X) or (Z, Y, X); or all classes, (C, Y, X) or (C, Z, Y, X), out
        of which `membrane` is taken. A plain array of three axes is (Z, Y, X), unless `membrane` is an index. Of a
        DataArray with an axis ``t``, each frame is labelled by itself: an id says nothing about other frames.
    method
        ``"threshold"``: connected regions below the threshold; one gap in a membrane makes one cell of two.
        ``"watershed"``: such regions are cut where they are narrow: every maximum of the distance from the
        membranes, smoothed by `sigma` (1.5), that stands out by `h` (2) becomes one cell. It closes gaps, and may
        cut bent cells.
        ``"minima"``: every minimum of the probability, smoothed by `sigma` (1), that is deeper by `h` (0.05, a
        probability) than the way to the next becomes one cell. The threshold plays a part only where cells do not grow
        without a bound. For stacks and for small cells, whose middle is blurred too.
        ``"seeded"``: the probability, smoothed by `sigma` (0.5), is flooded from the middle of each such cell, so that
        cells are cut along what membrane there is. For noisy or faint membranes, and stacks.
        ``"agglomeration"``: cells of ``"seeded"``, with a small `h` (0.5) many too many, are joined while the mean
        probability along their common boundary is below `beta` (0.5). It weighs whole membranes, not their weakest
        pixel.
    membrane
        The channel with the membranes: a name of the DataArray's ``c`` coordinate, or an index. A plain array has
        channels only where this is an index.
    threshold
        Pixels with at least this probability (smoothed, of the last three methods) are membrane.
    sigma
        Standard deviation of the Gaussian smoothing, in pixels. More than 0.5 flattens membranes of 1 px below 0.5.
    h
        How far a maximum of the distance, in pixels, or a minimum of the probability must stand out to be a cell of its
        own.
    beta
        Mean probability, from 0 to 1, from which on a membrane separates two cells.
    grow
        Grow the cells into the membranes until a gap of 1 px is left; a number grows at most so many pixels.
    min_size, max_size
        Regions of fewer pixels are left out before growing, larger ones (background) after it, so that nothing
        grows into their place. Sizes are those before growing, with holes filled; of the last three methods those of
        the areas that touch each other before a gap is cut, and nothing grows into the place of small ones either: it
        stays unlabelled.
    unit
        Of the sizes: ``"px"``, or the area or volume in the unit of the pixel size, ``"um2"`` or ``"um3"``.
    fill_holes
        Fill, before growing, what is enclosed by one cell. Cells of the last three methods have no holes; not grown,
        they lack pixels of at least the threshold.
    border
        ``"keep"`` cells that touch the border of the image before growing, or ``"remove"`` them afterwards.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``int32`` label image, ids from 1 without gaps in the order of the cells' first pixels, 0 = membrane;
        calibrated if `prob` was.

    Raises
    ------
    ImageError
        If there is no such channel, values are not finite or not between 0 and 1, a plain array whose first axis
        sums to 1, as classes do, comes without the index of a channel, or one has colours in its last axis, a
        parameter is out of its range or belongs to another method, or `unit` is a physical one and there is no pixel
        size.

    Notes
    -----
    Regions are 4-connected (6-connected in 3D): between 1 px thin membranes, 8-connected cells would leak into one.

    Pixels as a length are those of x; where `prob` is calibrated, distances in z and y are scaled by the pixel size,
    so that a sphere in the tissue is one for all methods.

    ``"watershed"`` cuts by the dynamics of the distance's maxima (Grimaud 1992), ``"seeded"`` is the distance
    transform watershed of PlantSeg (Wolny et al. 2020) with these seeds, ``"agglomeration"`` is GASP with average
    linkage (Bailoni et al. 2022) on its superpixels, built with higra (Perret et al. 2019).

    Examples
    --------
    >>> prob = np.zeros((3, 7)); prob[:, 3] = 1
    >>> label_cells(prob)[0]
    array([1, 1, 1, 0, 2, 2, 2], dtype=int32)
    """
    found = membrane_of(prob if isinstance(prob, xr.DataArray) else values(prob), membrane)
    frame = found.isel(t=0, drop=True) if isinstance(found, xr.DataArray) and "t" in found.dims else found
    recipe = make_recipe(
        frame, method, threshold=threshold, sigma=sigma, h=h, beta=beta, grow=grow, min_size=min_size,
        max_size=max_size, unit=unit, fill_holes=fill_holes, border=border,
    )  # fmt: skip
    if isinstance(found, xr.DataArray) and "t" in found.dims:
        frames = [label_array(checked(values(found.isel(t=i))), recipe) for i in range(found.sizes["t"])]
        return like(np.stack(frames), found, name="labels")
    return like(label_array(checked(values(found)), recipe), found, name="labels")


def label_array(prob: npt.NDArray[np.float32], recipe: Recipe) -> Labels:
    """Find the cells of one image, by the steps that stitching does piece by piece."""
    closed = ((False, False),) * prob.ndim
    return from_partition(partition(prob, recipe, closed), prob, recipe)


def from_partition(found: Labels, prob: npt.NDArray[np.float32], recipe: Recipe) -> Labels:
    """Leave out, grow and number the cells that :func:`~fijibridge.cells.segmentation.partition.partition` found."""
    closed = ((False, False),) * prob.ndim
    signed = with_gaps_numbered(found)
    summary = Summary(prob.shape)
    numbers = summary.numbered(signed)
    summary.add(numbers, (0,) * prob.ndim)
    summary.add_contacts(numbers)
    verdict = summary.decide(recipe.rules)
    cells = finish(verdict.growing(numbers), prob, recipe, closed)
    return numbers_without_gaps(verdict.keep, np.bincount(cells.reshape(-1), minlength=len(verdict.keep)))[cells]


def numbers_without_gaps(keep: npt.NDArray[np.bool_], size: npt.NDArray[np.int64]) -> Labels:
    """Return the last number of each label: 0 for those that are not kept, or have no pixel."""
    there = keep & (size > 0)
    number: Labels = (np.cumsum(there) * there).astype(np.int32)
    return number


def membrane_of(prob: ImageT, membrane: int | str) -> ImageT:
    """Return the channel with the membranes, with its calibration and unread as it is."""
    if isinstance(prob, xr.DataArray):
        prob = in_order(prob)
        return _channel(prob, membrane) if "c" in prob.dims else prob
    array = prob
    refuse_channels_last(array.shape)
    if isinstance(membrane, (int, np.integer)):
        if array.ndim < 3 or not -len(array) <= membrane < len(array):
            raise ImageError(f"no channel {membrane} in an array of shape {array.shape}")
        array = array[membrane]
    else:
        refuse_classes(array)
    if array.ndim not in (2, 3):
        raise ImageError(
            f"membrane probability has shape {array.shape}; expected (Y, X) or (Z, Y, X), or a channel more and "
            "membrane=<index>"
        )
    return array


def checked(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return a probability as ``float32``, or refuse what is none."""
    _check_probability(array)
    return np.ascontiguousarray(array, dtype=np.float32)


def refuse_classes(array: npt.NDArray[Any]) -> None:
    """Refuse a plain (C, Y, X) array that would pass for (Z, Y, X): the probabilities of all classes sum to 1."""
    if array.ndim == 3 and len(array) > 1 and array.size and np.allclose(array.sum(axis=0, dtype=float), 1, atol=1e-3):
        raise ImageError(
            f"shape {array.shape} looks like {len(array)} classes, which sum to 1 in each pixel, not like slices: say "
            "which one the membranes are, label_cells(prob, membrane=1), or that it is a stack, "
            "label_cells(fijibridge.as_image(prob, dims='zyx'))"
        )


def _check_probability(array: npt.NDArray[Any]) -> None:
    if not np.isfinite(array).all():
        raise ImageError("membrane probability holds NaN or infinite values")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if low < -1e-3 or high > 1 + 1e-3:
        raise ImageError(
            f"a membrane probability lies between 0 and 1; came {low:g} to {high:g}: for a raw image predict first, "
            "and divide a mask of 0 and 255 by 255"
        )


def _channel(prob: xr.DataArray, name: int | str) -> xr.DataArray:
    if isinstance(name, (int, np.integer)):
        if not -prob.sizes["c"] <= name < prob.sizes["c"]:
            raise ImageError(f"no channel {name} among {prob.sizes['c']}")
        return prob.isel(c=name, drop=True)
    names = [str(c) for c in prob.coords["c"].values] if "c" in prob.coords else []
    if name not in names:
        raise ImageError(f"no channel named {name!r} among {names}: say membrane=<name or index>")
    return prob.isel(c=names.index(name), drop=True)
