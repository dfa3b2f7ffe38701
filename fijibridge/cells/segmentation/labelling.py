"""Cells in a membrane prediction: the function :func:`label_cells`, and its steps."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.arrays import Floats32, Labels
from fijibridge.cells.distances import to_sources
from fijibridge.cells.segmentation.basins import smooth
from fijibridge.cells.segmentation.flooding import UNSURE, Open, closed, grow, grow_labels, room, with_gaps
from fijibridge.cells.segmentation.methods import DEFAULT_METHOD, THRESHOLD, EdgeCells, get_method
from fijibridge.cells.segmentation.methods.method import Parameters
from fijibridge.cells.segmentation.parameters import make_parameters
from fijibridge.cells.segmentation.regions import Summary, with_gaps_numbered
from fijibridge.errors import FijiBridgeWarning, ImageError
from fijibridge.image import ImageT, in_order, like, refuse_channels_last, values
from fijibridge.renames import renamed_keywords

__all__ = ["Labels", "grow_labels", "label_cells"]


@renamed_keywords(border="edge_cells")
def label_cells(
    prob: ImageT,
    method: str | None = None,
    *,
    membrane: int | str = "membrane",
    threshold: float = THRESHOLD,
    sigma: float | None = None,
    h: float | None = None,
    beta: float | None = None,
    grow: bool | float = True,
    min_size: float = 0,
    max_size: float | None = None,
    unit: str = "px",
    fill_holes: bool = True,
    edge_cells: EdgeCells = "keep",
    **own: float | None,
) -> ImageT:
    """Find the cells between membranes.

    Parameters
    ----------
    prob
        Membrane probability between 0 and 1, (Y, X) or (Z, Y, X); or the probabilities of all classes, (C, Y, X) or
        (C, Z, Y, X), of which the channel `membrane` is used. A plain array with three axes is (Z, Y, X), unless
        `membrane` is an index. The frames of a DataArray with an axis ``t`` are labelled independently: ids do not
        correspond between frames.
    method
        One of the following; numbers in parentheses are defaults.
        ``"threshold"``: connected regions below the threshold; a single gap in a membrane merges two cells.
        ``"watershed"``, the default: cuts such regions where they are narrow. The distance from the membranes is
        smoothed by `sigma` (1.5), and each of its maxima that stands out by `h` (2) becomes one cell. Closes gaps, but
        may cut bent cells.
        ``"minima"``: the probability is smoothed by `sigma` (1), and each minimum that is deeper by `h` (0.05, a
        probability) than the lowest path to the next minimum becomes one cell. The threshold matters only if `grow` is
        limited. Suits stacks, and small cells with a blurred interior.
        ``"seeded"``: smooths the probability by `sigma` (0.5) and floods it from the middle of each cell that
        ``"watershed"`` would find with `h` (2), so that cells are cut along faint membranes. Suits noisy or faint
        membranes, and stacks.
        ``"agglomeration"``: starts with too many cells, from ``"seeded"`` with a small `h` (0.5), and joins neighbours
        while the mean probability along their common boundary is below `beta` (0.5). Considers whole membranes rather
        than their weakest pixel.
    membrane
        Membrane channel: a name in the DataArray's ``c`` coordinate, or an index. A plain array has channels only if
        this is an index.
    threshold
        Smallest probability at which a pixel is membrane; the last three methods smooth the probability first.
    sigma
        Standard deviation of the Gaussian smoothing, in pixels. Values above 0.5 flatten membranes that are 1 px wide
        to less than 0.5.
    h
        Height by which a maximum of the distance (in pixels), or depth by which a minimum of the probability, must
        stand out to become a cell.
    beta
        Smallest mean probability, from 0 to 1, at which a membrane separates two cells.
    grow
        Grow the cells into the membranes until a gap of 1 px is left; a number limits the growth, in pixels.
    min_size, max_size
        Smaller regions are dropped before growing. Larger regions (background) are dropped after growing, so that cells
        do not grow into them. Sizes are measured before growing, with holes filled. For the last three methods, sizes
        are measured before gaps are cut, and small regions become unlabelled, since cells do not grow into them either.
    unit
        Unit of the sizes: ``"px"``, or an area or volume in the unit of the pixel size, ``"um2"`` or ``"um3"``.
    fill_holes
        Before growing, fill holes that are enclosed by one cell. Cells of the last three methods have no holes; if
        growth is limited, they lack the pixels that reach the threshold.
    edge_cells
        ``"keep"`` cells that touch the edge of the image before growing, or ``"remove"`` them after growing.
    **own
        Additional parameters of a method.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``int32`` label image with consecutive ids from 1, in the order of the first pixels of the cells; 0 = membrane.
        Calibrated if `prob` is.

    Raises
    ------
    ImageError
        If the channel does not exist, a value is not finite or not between 0 and 1, a parameter is out of range or
        belongs to another method, or `unit` is physical and `prob` has no pixel size. Also if a plain array looks like
        classes (its first axis sums to 1) while `membrane` is not an index, or like a colour image (its last axis
        contains colours).

    Notes
    -----
    Regions are 4-connected (6-connected in 3D); 8-connected regions would leak through membranes that are 1 px thin.

    Lengths in pixels are x pixels. If `prob` is calibrated, distances in z and y are scaled by the pixel size, so that
    a sphere in the tissue is a sphere for all methods.

    ``"watershed"`` uses the dynamics of the maxima of the distance (Grimaud 1992). ``"seeded"`` is the distance
    transform watershed of PlantSeg (Wolny et al. 2020), but with these seeds. ``"agglomeration"`` is GASP with average
    linkage (Bailoni et al. 2022) on the superpixels of ``"seeded"``, built with higra (Perret et al. 2019).

    Examples
    --------
    >>> prob = np.zeros((3, 7)); prob[:, 3] = 1
    >>> label_cells(prob, "threshold")[0]
    array([1, 1, 1, 0, 2, 2, 2], dtype=int32)
    """
    found = membrane_of(prob if isinstance(prob, xr.DataArray) else values(prob), membrane)
    frame = found.isel(t=0, drop=True) if isinstance(found, xr.DataArray) and "t" in found.dims else found
    parameters = make_parameters(
        frame, method or default_method("label_cells"), threshold=threshold, sigma=sigma, h=h, beta=beta, grow=grow,
        min_size=min_size, max_size=max_size, unit=unit, fill_holes=fill_holes, edge_cells=edge_cells, **own,
    )  # fmt: skip
    if isinstance(found, xr.DataArray) and "t" in found.dims:
        frames = [label_array(checked(values(found.isel(t=i))), parameters) for i in range(found.sizes["t"])]
        return like(np.stack(frames), found, name="labels")
    return like(label_array(checked(values(found)), parameters), found, name="labels")


@functools.cache
def default_method(function: str) -> str:
    """Return the default method; warn, once per process and function, that version 0.1 had another default."""
    warnings.warn(
        f"{function} without method= uses {DEFAULT_METHOD!r}; version 0.1 used 'threshold' here: set "
        f"method={DEFAULT_METHOD!r} or method='threshold'",
        FijiBridgeWarning,
        stacklevel=4,  # the caller of the function, beyond renamed_keywords
    )
    return DEFAULT_METHOD


def label_array(prob: Floats32, parameters: Parameters) -> Labels:
    """Find the cells of one image, in the steps that :mod:`~fijibridge.cells.segmentation.tiled` does tile by tile."""
    return complete(find(prob, parameters, closed(prob.ndim)), prob, parameters)


def find(prob: Floats32, parameters: Parameters, sides: Open) -> Labels:
    """Find the cells of an image, or of a piece of an image, with the method in `parameters`.

    Returns
    -------
    numpy.ndarray
        ``int32``, ids from 1, 0 = membrane, :data:`UNSURE` where the result may depend on pixels beyond the open sides.
        Methods that cover the image assign every pixel to a cell.
    """
    return get_method(parameters.method).find(prob, parameters, sides)


def complete(found: Labels, prob: Floats32, parameters: Parameters) -> Labels:
    """Filter, grow and number the cells that :func:`find` found in a whole image."""
    signed = with_gaps_numbered(found)
    summary = Summary(prob.shape)
    numbers = summary.numbered(signed)
    summary.add(numbers, (0,) * prob.ndim)
    summary.add_contacts(numbers)
    verdict = summary.decide(parameters.rules)
    cells = separate(verdict.growing(numbers), prob, parameters, closed(prob.ndim))
    return numbers_without_gaps(verdict.keep, np.bincount(cells.reshape(-1), minlength=len(verdict.keep)))[cells]


def separate(cells: Labels, prob: Floats32, parameters: Parameters, sides: Open) -> Labels:
    """Grow the cells of an image or a piece of it, or shrink cells that cover it, until there are gaps of 1 px."""
    if get_method(parameters.method).covers:
        return _shrink(cells, prob, parameters, sides)
    return grow(cells, prob, parameters.grow, parameters.step, sides, cut=True)


def _shrink(cells: Labels, prob: Floats32, parameters: Parameters, sides: Open) -> Labels:
    """Reduce cells that cover the image to the pixels below the threshold and those within the allowed growth."""
    relief, unsure = smooth(prob, parameters.own.get("sigma", 0.0), parameters.step, sides)
    inside = (cells > 0) & (relief < parameters.threshold)
    left = cells.copy()
    if np.isfinite(parameters.grow):
        away = to_sources(inside, parameters.step)
        left[away > parameters.grow] = 0
        # There may be a nearer pixel below the threshold beyond an open side, or where the relief itself is unsure.
        beyond = room(cells.shape, parameters.step, sides)
        left[(beyond < away) & (beyond <= parameters.grow)] = UNSURE
        if unsure is not None and unsure.any():
            left[to_sources(unsure, parameters.step) <= parameters.grow] = UNSURE
    if unsure is not None:
        left[unsure] = UNSURE
    return with_gaps(left, relief, None, inside, cut=True)


def numbers_without_gaps(keep: npt.NDArray[np.bool_], size: npt.NDArray[np.int64]) -> Labels:
    """Return the final id of each label: 0 for labels that are dropped or have no pixels left."""
    there = keep & (size > 0)
    number: Labels = (np.cumsum(there) * there).astype(np.int32)
    return number


def membrane_of(prob: ImageT, membrane: int | str) -> ImageT:
    """Return the membrane channel, with its calibration, without reading its pixels."""
    if isinstance(prob, xr.DataArray):
        prob = in_order(prob)
        return _channel(prob, membrane) if "c" in prob.dims else prob
    array = prob
    refuse_channels_last(array.shape)
    if isinstance(membrane, (int, np.integer)):
        if array.ndim < 3 or not -len(array) <= membrane < len(array):
            raise ImageError(f"channel {membrane} does not exist in an array of shape {array.shape}")
        array = array[membrane]
    else:
        refuse_classes(array)
    if array.ndim not in (2, 3):
        raise ImageError(
            f"membrane probability has shape {array.shape}; expected (Y, X) or (Z, Y, X), or an additional first axis "
            "c and membrane=<index>"
        )
    return array


def checked(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return a probability as ``float32``; refuse values that are not finite, or not between 0 and 1."""
    _check_probability(array)
    return np.ascontiguousarray(array, dtype=np.float32)


def refuse_classes(array: npt.NDArray[Any]) -> None:
    """Refuse a plain (C, Y, X) array that would be read as (Z, Y, X): the probabilities of classes sum to 1."""
    if array.ndim == 3 and len(array) > 1 and array.size and np.allclose(array.sum(axis=0, dtype=float), 1, atol=1e-3):
        raise ImageError(
            f"shape {array.shape} looks like {len(array)} classes rather than slices, since the values of each pixel "
            "sum to 1: name the membrane channel, label_cells(prob, membrane=1), or mark the array as a stack, "
            "label_cells(fijibridge.as_image(prob, dims='zyx'))"
        )


def _check_probability(array: npt.NDArray[Any]) -> None:
    if not np.isfinite(array).all():
        raise ImageError("membrane probability contains NaN or infinite values")
    low, high = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
    if low < -1e-3 or high > 1 + 1e-3:
        raise ImageError(
            f"membrane probability has values from {low:g} to {high:g}; expected 0 to 1: predict a raw image first, "
            "and divide a mask of 0 and 255 by 255"
        )


def _channel(prob: xr.DataArray, name: int | str) -> xr.DataArray:
    if isinstance(name, (int, np.integer)):
        if not -prob.sizes["c"] <= name < prob.sizes["c"]:
            raise ImageError(f"channel {name} does not exist; expected an index from 0 to {prob.sizes['c'] - 1}")
        return prob.isel(c=name, drop=True)
    names = [str(c) for c in prob.coords["c"].values] if "c" in prob.coords else []
    if name not in names:
        raise ImageError(f"channel {name!r} does not exist; the image has {names}: set membrane=<name or index>")
    return prob.isel(c=names.index(name), drop=True)
