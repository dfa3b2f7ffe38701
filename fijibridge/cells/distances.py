"""Measure exact distances from pixels to the cells around them, in 2D and 3D, also for anisotropic pixels.

Distances are measured between pixel centres. One distance transform per cell would be exact, but too slow for hundreds
of cells. Instead, each cell gets a number, and two transforms are computed for each binary digit of these numbers: the
distance to cells with a 0 in this digit, and to cells with a 1. The numbers of two cells differ in at least one digit.
The distance from a pixel to the nearest cell other than its own is therefore the minimum, over all digits, of the
distance to the cells whose digit differs from that of the pixel's own cell. This is exact and needs 2 log2(N)
transforms for N cells. If only cells within a certain reach of each other matter, cells farther apart can share a
number, and five or six digits suffice for any number of cells.

The transforms are computed by edt, which needs a quarter to half of scipy's time on two cores.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage

from fijibridge import image as calibration
from fijibridge.arrays import Floats32
from fijibridge.errors import ImageError
from fijibridge.image import MICROMETRES, Array, in_order, usual_unit

Spacing = tuple[float, ...]

_THREADS = 2  # more threads gain little, since memory bandwidth limits a transform


def spacing(image: Array, name: str = "labels") -> Spacing:
    """Return the distance between neighbouring pixels along each axis, in x pixels; 1 for all axes of a plain array.

    Raises
    ------
    ImageError
        If the axes are not (y, x) or (z, y, x).
    """
    image = in_order(image)
    if not isinstance(image, xr.DataArray):
        if np.ndim(image) not in (2, 3):
            raise ImageError(f"{name} has shape {np.shape(image)}; expected (Y, X) or (Z, Y, X)")
        return (1.0,) * np.ndim(image)
    dims = tuple(map(str, image.dims))
    if dims not in (("y", "x"), ("z", "y", "x")):
        raise ImageError(
            f"{name} has the axes {dims}; expected (y, x) or (z, y, x): select one frame and one channel, "
            f"such as {name}.isel(t=0)"
        )
    sizes = calibration.pixel_size(image)
    return tuple(round(sizes.get(d, 1.0) / sizes.get("x", 1.0), 6) for d in dims)


def in_pixels(length: float, unit: str, image: Array, name: str) -> float:
    """Convert a length to x pixels.

    Parameters
    ----------
    length
        Length in `unit`.
    unit
        ``"px"``, or a physical unit: ``"um"`` (also written with a micro sign, or ``"micron"``), ``"nm"``, ``"mm"``.
    image
        Image whose pixel size is used.
    name
        Name of the length, for the error message.

    Raises
    ------
    ImageError
        If the unit is unknown, or is physical and the image is not calibrated.
    """
    if unit == "px":
        return length
    if usual_unit(unit) not in MICROMETRES:
        raise ImageError(f"unit {unit!r} of {name} is not known; choose 'px' or one of {sorted(MICROMETRES)}")
    own = usual_unit(calibration.unit(image)) if isinstance(image, xr.DataArray) else None
    if not isinstance(image, xr.DataArray) or own not in MICROMETRES:
        what = "a plain array" if own is None else f"calibrated in {own!r}"
        raise ImageError(
            f"{name}={length:g} {unit} needs a pixel size, but the image is {what}: set the pixel size with "
            "fijibridge.as_image(labels, pixel_size=0.2, unit='um'), or give the length in pixels"
        )
    size: float = calibration.pixel_size(image)["x"] * MICROMETRES[str(own)]
    return length * MICROMETRES[usual_unit(unit)] / size


def pixel_length(unit: str, image: Array, name: str) -> float:
    """Return the size of an x pixel in a unit: 1 for ``"px"``. Raises the same errors as :func:`in_pixels`."""
    return 1 / in_pixels(1.0, unit, image, name)


def to_sources(source: npt.NDArray[np.bool_], step: Spacing) -> Floats32:
    """Return the distance of each pixel from the nearest source pixel; infinite if there is none."""
    return np.sqrt(_squared(source, step))


def to_other_labels(labels: npt.NDArray[np.int_], step: Spacing) -> Floats32:
    """Return the distance of each pixel from the nearest pixel with another value; infinite if there is none.

    0 counts as a value too, but the distance of pixels with the value 0 is 0.
    """
    import edt

    if labels.size == 0:
        return np.zeros(labels.shape, np.float32)
    distance: Floats32 = edt.edt(np.ascontiguousarray(labels), anisotropy=step, parallel=_THREADS)
    return distance


def two_nearest(labels: npt.NDArray[np.int_], step: Spacing, reach: float = math.inf) -> tuple[Floats32, Floats32]:
    """Return the distances of each pixel from its nearest and its second nearest cell.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) label image, 0 = no cell.
    step
        Distance between pixels along each axis.
    reach
        The second distance is exact where the sum of both distances is at most `reach`, and infinite elsewhere.

    Returns
    -------
    first, second : numpy.ndarray
        ``float32``, in the unit of `step`; the first is 0 inside a cell. Infinite if there is no such cell.

    Notes
    -----
    The numbers of the nearest and the second nearest cell differ in at least one digit. For such a digit, the larger of
    the two distances, to the cells with a 0 and with a 1, is the distance to the second nearest cell. For every other
    digit, the larger one is the distance to some cell other than the nearest. The minimum of the larger distances over
    all digits is therefore exactly the second distance.

    Examples
    --------
    >>> first, second = two_nearest(np.array([[7, 0, 0, 0, 2]]), (1.0, 1.0))
    >>> first.tolist(), second.tolist()
    ([[0.0, 1.0, 2.0, 1.0, 0.0]], [[4.0, 3.0, 2.0, 3.0, 4.0]])
    """
    first = np.full(labels.shape, np.inf, np.float32)
    second = first.copy()
    source = labels != 0
    numbers = _numbers(labels, source, step, reach, spare=False)
    for zeros, ones, _ in _digits(numbers, source, step):
        np.minimum(first, np.minimum(zeros, ones), out=first)
        np.minimum(second, np.maximum(zeros, ones, out=ones), out=second)
    np.sqrt(first, out=first), np.sqrt(second, out=second)
    if np.isfinite(reach):
        second[first + second > reach] = np.inf
    return first, second


def nearest_other(
    own: npt.NDArray[np.int_], source: npt.NDArray[np.bool_], step: Spacing, reach: float = math.inf
) -> Floats32:
    """Return each pixel's distance from the nearest source pixel in another region.

    Parameters
    ----------
    own
        Region of each pixel: any integers, including 0.
    source
        Pixels from which distances are measured.
    step
        Distance between pixels along each axis.
    reach
        The result is exact where the sum of the result and of the distance from the pixel's own region is at most
        `reach`; elsewhere, this sum is at least `reach`.
    """
    nearest = np.full(own.shape, np.inf, np.float32)
    numbers = _numbers(own, source, step, reach, spare=True)
    for zeros, ones, digit in _digits(numbers, source, step):
        np.minimum(nearest, np.where(digit, zeros, ones), out=nearest)
    return np.sqrt(nearest, out=nearest)


def _digits(
    numbers: npt.NDArray[np.int_], source: npt.NDArray[np.bool_], step: Spacing
) -> Iterator[tuple[Floats32, Floats32, npt.NDArray[np.bool_]]]:
    """Yield, for each binary digit, squared distances to sources with 0 and with 1, and the digit of each pixel."""
    highest = int(numbers.max()) if numbers.size else 0
    for place in range(max(highest.bit_length(), 1)):
        digit = (numbers >> place & 1).astype(bool)
        yield _squared(source & ~digit, step), _squared(source & digit, step), digit


def _squared(source: npt.NDArray[np.bool_], step: Spacing) -> Floats32:
    import edt

    if source.size == 0:
        return np.zeros(source.shape, np.float32)
    squared: Floats32 = edt.edtsq(~source, anisotropy=step, parallel=_THREADS)
    return squared


def _numbers(
    labels: npt.NDArray[np.int_], source: npt.NDArray[np.bool_], step: Spacing, reach: float, *, spare: bool
) -> npt.NDArray[np.int_]:
    """Return a number, from 0, for each pixel's region; regions within reach of each other have different numbers."""
    import pandas as pd

    found, ids = pd.factorize(labels.reshape(-1))
    place = (found.astype(np.int32) + 1).reshape(labels.shape)  # from 1, as find_objects skips 0
    boxes = ndimage.find_objects(np.where(source, place, 0), max_label=len(ids))
    real = np.array([box is not None for box in boxes], bool)
    ends = np.array([[(s.start, s.stop - 1) for s in box] for box in boxes if box is not None])
    low, high = ends.reshape(-1, labels.ndim, 2).transpose(2, 0, 1)
    number = _apart(low * step, high * step, reach)
    # A region without sources gets a spare number, so that all sources are in other regions.
    table = np.full(len(ids) + 1, number.max(initial=-1) + 1 if spare else 0, np.int64)
    table[1:][real] = number
    numbers: npt.NDArray[np.int_] = table.astype(np.min_scalar_type(int(table.max())))[place]
    return numbers


def _apart(low: npt.NDArray[np.float64], high: npt.NDArray[np.float64], reach: float) -> npt.NDArray[np.int_]:
    """Assign numbers to boxes greedily, so that boxes within reach of each other get different numbers.

    The boxes are visited along the longest axis: each box gets the lowest number still free for it, and this number is
    marked as taken for all later boxes within reach. Only boxes that begin before the end of this box plus `reach` can
    be so near.
    """
    n = len(low)
    if not np.isfinite(reach) or n < 3:
        return np.arange(n)
    axis = int(np.ptp(low, axis=0).argmax())
    order = np.argsort(low[:, axis])
    low, high = low[order], high[order]
    stops = np.searchsorted(low[:, axis], high[:, axis] + reach * (1 + 1e-6), side="right")
    taken = np.zeros((n, 16), bool)
    number = np.zeros(n, np.int64)
    for i, stop in enumerate(stops):
        number[order[i]] = free = int(taken[i].argmin())
        if free == taken.shape[1] - 1:  # keep the last column free: argmin needs one
            taken = np.pad(taken, ((0, 0), (0, free + 1)))
        later = slice(i + 1, stop)
        between = np.maximum(low[later] - high[i], low[i] - high[later]).clip(0)
        taken[later, free] |= (between**2).sum(axis=1) <= (reach * (1 + 1e-6)) ** 2
    return number
