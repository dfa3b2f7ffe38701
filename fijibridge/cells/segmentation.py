"""Cells out of a membrane prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

from fijibridge.errors import ImageError
from fijibridge.image import Array, ImageT, like, values

Labels = npt.NDArray[np.int32]


def label_cells(
    prob: ImageT,
    method: str = "threshold",
    *,
    membrane: int | str = "membrane",
    threshold: float = 0.5,
    grow: bool | float = True,
    min_size: int = 0,
    sigma: float = 1.5,
    h: float = 2.0,
) -> ImageT:
    """Find the cells between membranes.

    Parameters
    ----------
    prob
        Membrane probability between 0 and 1, (Y, X) or (Z, Y, X); or all classes, (C, Y, X) or (C, Z, Y, X), out
        of which `membrane` is taken. A plain array of three axes is (Z, Y, X), unless `membrane` is an index.
    method
        ``"threshold"``: connected regions below the threshold; one gap in a membrane makes one cell of two.
        ``"watershed"``: such regions are cut where they are narrow: every maximum of the distance from the
        membranes, smoothed, that stands out by `h` becomes one cell. It closes gaps, and may cut bent cells.
    membrane
        The channel with the membranes: a name of the DataArray's ``c`` coordinate, or an index. A plain array has
        channels only where this is an index.
    threshold
        Pixels with at least this probability are membrane.
    grow
        Grow the cells into the membranes until a gap of 1 px is left; a number grows at most so many pixels.
    min_size
        Regions of fewer pixels are left out before growing.
    sigma
        Gaussian smoothing of the distance before the watershed, in pixels.
    h
        How far, in pixels, a maximum of the distance must stand out to be a cell of its own.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``int32`` label image, ids from 1 without gaps, 0 = membrane; calibrated if `prob` was.

    Raises
    ------
    ImageError
        If there is no such channel, values are not finite or not between 0 and 1, or a plain array whose first axis
        sums to 1, as classes do, comes without the index of a channel.

    Notes
    -----
    Regions are 4-connected (6-connected in 3D): between 1 px thin membranes, 8-connected cells would leak into one.

    Examples
    --------
    >>> prob = np.zeros((3, 7)); prob[:, 3] = 1
    >>> label_cells(prob)[0]
    array([1, 1, 1, 0, 2, 2, 2], dtype=int32)
    """
    if not 0 <= threshold <= 1:
        raise ImageError(f"threshold is {threshold:g}; expected a probability between 0 and 1")
    landscape = _membrane_channel(prob, membrane)
    methods: dict[str, Callable[[], Labels]] = {
        "threshold": lambda: _components(landscape < threshold),
        "watershed": lambda: _basins(landscape < threshold, sigma, h),
    }
    if method not in methods:
        raise ImageError(f"method {method!r} is not known; choose one of {sorted(methods)}")
    labels = _without_small(methods[method](), min_size)
    if grow is not False:
        labels = grow_labels(labels, landscape, np.inf if grow is True else float(grow))
    return like(labels, _without_channels(prob), name="labels")


def grow_labels(labels: Labels, landscape: npt.NDArray[Any] | None = None, distance: float = np.inf) -> Labels:
    """Grow labels until a gap of 1 px is left between neighbours.

    Parameters
    ----------
    labels
        Label image, 0 = free.
    landscape
        The gap comes to lie on its ridges; without it, half way between the labels.
    distance
        Grow at most so many pixels.

    Returns
    -------
    numpy.ndarray
        ``int32``; labels that did not touch before do not touch along the side of a pixel.
    """
    if not labels.any():
        return labels.astype(np.int32)
    away = ndimage.distance_transform_edt(labels == 0)
    relief = away if landscape is None else landscape
    grown: Labels = watershed(relief, labels, mask=away <= distance, watershed_line=True).astype(np.int32)
    return grown


def _membrane_channel(prob: Array, membrane: int | str) -> npt.NDArray[np.float32]:
    if isinstance(prob, xr.DataArray) and "t" in prob.dims:
        raise ImageError("a time series is labelled frame by frame: label_cells(prob.isel(t=0)) and so on")
    if isinstance(prob, xr.DataArray) and "c" in prob.dims:
        array = values(_channel(prob, membrane))
    else:
        array = values(prob)
        if isinstance(membrane, int):
            if array.ndim < 3 or not -len(array) <= membrane < len(array):
                raise ImageError(f"no channel {membrane} in an array of shape {array.shape}")
            array = array[membrane]
        elif not isinstance(prob, xr.DataArray):
            _refuse_classes(array)
    if array.ndim not in (2, 3):
        raise ImageError(
            f"membrane probability has shape {array.shape}; expected (Y, X) or (Z, Y, X), or a channel more and "
            "membrane=<index>"
        )
    _check_probability(array)
    return np.ascontiguousarray(array, dtype=np.float32)


def _refuse_classes(array: npt.NDArray[Any]) -> None:
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
    if isinstance(name, int):
        if not -prob.sizes["c"] <= name < prob.sizes["c"]:
            raise ImageError(f"no channel {name} among {prob.sizes['c']}")
        return prob.isel(c=name)
    names = [str(c) for c in prob.coords["c"].values] if "c" in prob.coords else []
    if name not in names:
        raise ImageError(f"no channel named {name!r} among {names}: say membrane=<name or index>")
    return prob.isel(c=names.index(name))


def _without_channels(prob: ImageT) -> ImageT:
    if isinstance(prob, xr.DataArray) and "c" in prob.dims:
        return prob.isel(c=0, drop=True)
    return prob


def _components(inside: npt.NDArray[np.bool_]) -> Labels:
    labels: Labels = ndimage.label(inside, output=np.int32)[0]
    return labels


def _basins(inside: npt.NDArray[np.bool_], sigma: float, h: float) -> Labels:
    """Cut the inside into one basin for each maximum of the distance to its border that stands out by h."""
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), sigma)
    flattened = reconstruction(distance - h, distance)  # skimage's h_maxima is not exact for floats
    peaks = local_maxima(flattened, connectivity=1) & inside
    regions = _components(inside)
    with_peak = np.zeros(regions.max() + 1, bool)
    with_peak[regions[peaks]] = True
    seeds = _components(peaks | (inside & ~with_peak[regions]))  # a region too small for a peak is a cell as it is
    basins: Labels = watershed(-distance, seeds, mask=inside, watershed_line=True)
    return basins


def _without_small(labels: Labels, min_size: int) -> Labels:
    """Leave out regions below a size, and number the rest without gaps."""
    size = np.bincount(labels.reshape(-1))
    keep = size >= max(min_size, 1)
    keep[0] = False
    new_id = np.cumsum(keep) * keep
    result: Labels = new_id.astype(np.int32)[labels]
    return result
