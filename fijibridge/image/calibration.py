"""Pixel size, origin and units of images, stored with the coordinates of their axes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.image.axes import DIMS, SPATIAL, Array, in_order, with_our_axes

PIXEL = "pixel"
MICROMETRES = {"nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0}
"""Length of each known unit, in micrometres."""
_SPELLINGS = {  # the micro sign and the Greek mu look alike
    **dict.fromkeys(("\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometre"), "um"),
    "nanometer": "nm",
    "nanometre": "nm",
    "millimeter": "mm",
    "millimetre": "mm",
}

PerAxis: TypeAlias = "float | Mapping[str, float]"


def pixel_size(image: xr.DataArray) -> dict[str, float]:
    """Return the pixel size of each axis in :func:`unit`; for ``t``, the frame interval in :func:`time_unit`."""
    return read_calibration(image)[0]


def origin(image: xr.DataArray) -> dict[str, float]:
    """Return the coordinate of the first pixel's centre along each axis, measured in :func:`unit`."""
    return read_calibration(image)[1]


def unit(image: xr.DataArray) -> str:
    """Return the unit of the spatial axes; ``"pixel"`` if it is unknown."""
    units = read_calibration(image)[2]
    return next((units[d] for d in ("x", "y", "z") if d in units), PIXEL)


def time_unit(image: xr.DataArray) -> str:
    """Return the unit of the frame interval; ``"frame"`` if it is unknown."""
    return read_calibration(image)[2].get("t", "frame")


def usual_unit(name: str) -> str:
    """Return the usual spelling of a unit: ``"um"`` for micrometres in any spelling, and so on.

    Examples
    --------
    >>> usual_unit("micron"), usual_unit("pixel")
    ('um', 'pixel')
    """
    return _SPELLINGS.get(name, name)


def per_axis(value: PerAxis | None, what: str) -> dict[str, float]:
    """Return a pixel size or origin as a dict by axis; a single number applies to y and x.

    Raises
    ------
    ImageError
        If `value` names an axis other than t, z, y, x.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"y": float(value), "x": float(value)}
    unknown = set(value) - set(DIMS) | ({"c"} & set(value))
    if unknown:
        raise ImageError(f"{what} is given for the axes {sorted(unknown)}; expected t, z, y or x")
    return {d: float(v) for d, v in value.items()}


def with_coordinates(
    image: xr.DataArray, sizes: dict[str, float], origins: dict[str, float], units: dict[str, str], name: Hashable
) -> xr.DataArray:
    """Return an image with coordinates computed from the pixel size, origin and unit of each axis."""
    coords: dict[Hashable, Any] = {k: v for k, v in image.coords.items() if k not in DIMS or k == "c"}
    for d in ("t", *SPATIAL):
        if d not in image.dims and d not in sizes:
            continue
        step, first = sizes.get(d, 1.0), origins.get(d, 0.0)
        attrs = {"pixel_size": step, "units": units.get(d, PIXEL if d != "t" else "frame")}
        if d in image.dims:
            coords[d] = (d, first + step * np.arange(image.sizes[d]), attrs)
        else:
            coords[d] = ((), first, attrs)
    return xr.DataArray(image.variable, coords=coords, name=name)


def read_calibration(image: xr.DataArray) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """Return the pixel size, origin and unit of each axis, read from the coordinates.

    Coordinates remain correct after cropping, striding and block averaging. The stored pixel size only removes the
    rounding errors of the coordinates.
    """
    sizes, origins, units = {}, {}, {}
    image = with_our_axes(image)
    for d in ("t", *SPATIAL):
        if d not in image.coords:
            continue
        coordinate = _undated(image.coords[d])
        values = np.atleast_1d(coordinate.values).astype(float)
        origins[d] = float(values[0])
        units[d] = str(coordinate.attrs.get("units", PIXEL if d != "t" else "frame"))
        sizes[d] = _step(d, values, coordinate.attrs.get("pixel_size"))
    return sizes, origins, units


def _undated(coordinate: xr.DataArray) -> xr.DataArray:
    """Convert timedeltas back to numbers, because xarray decodes numbers stored with a time unit to timedeltas."""
    if coordinate.dtype.kind != "m":
        return coordinate
    unit = str(coordinate.encoding.get("units", "seconds"))
    seconds = coordinate.values / np.timedelta64(1, "ns") * 1e-9
    each = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0, "milliseconds": 1e-3}
    kept = unit if unit in each else "seconds"
    return coordinate.copy(data=seconds / each[kept]).assign_attrs(units=kept)


def _step(dim: str, values: npt.NDArray[np.float64], stored: float | None) -> float:
    """Return the step of evenly spaced coordinates: the stored step if it agrees, because it has no rounding error."""
    if len(values) < 2:
        return 1.0 if stored is None else float(stored)
    step = float((values[-1] - values[0]) / (len(values) - 1))
    scale = max(abs(step), 1e-300)
    if step <= 0 or np.abs(np.diff(values) - step).max() > 1e-4 * scale:
        raise ImageError(f"the coordinates of axis {dim!r} are {values[:4]} ...; expected even, ascending steps")
    close = stored is not None and abs(stored - step) <= 1e-6 * scale
    return float(stored) if close and stored is not None else step


def same_shape(**images: Array) -> tuple[int, ...]:
    """Check that images have the same shape, pixel size and origin, and return the shape.

    Raises
    ------
    ImageError
        If two images differ in one of these; the message names both.
    """
    (first, reference), *rest = ((name, in_order(image)) for name, image in images.items())
    for other, image in rest:
        if image.shape != reference.shape:
            raise ImageError(
                f"{first} has shape {reference.shape}, but {other} has shape {image.shape}: "
                "crop or resample one of them to match the other"
            )
        _refuse_different_origin(first, reference, other, image)
    return tuple(reference.shape)


def _refuse_different_origin(a: str, first: Array, b: str, second: Array) -> None:
    if not (isinstance(first, xr.DataArray) and isinstance(second, xr.DataArray)):
        return
    steps, other_steps = pixel_size(first), pixel_size(second)
    starts, other_starts = origin(first), origin(second)
    for d in set(first.dims) & set(second.dims) & set(steps) & set(other_steps):
        if abs(steps[str(d)] - other_steps[str(d)]) > 1e-3 * steps[str(d)]:
            raise ImageError(f"{a} has pixel size {steps[str(d)]:g} in {d}, but {b} has {other_steps[str(d)]:g}")
        if abs(starts[str(d)] - other_starts[str(d)]) > 0.01 * steps[str(d)]:
            raise ImageError(
                f"{a} and {b} are crops from different places: {d} starts at {starts[str(d)]:g} in the first and at "
                f"{other_starts[str(d)]:g} in the second"
            )
