"""Pixel size, origin and units of images, stored with the coordinates of their axes."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.image.axes import DIMS, SPATIAL, Array, in_order, with_our_axes

PIXEL = "pixel"
ANGSTROM = "\u00c5"
MICROMETRES = {
    ANGSTROM: 1e-4, "pm": 1e-6, "nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0,
}  # fmt: skip
"""Length of each known unit, in micrometres."""
_SPELLINGS = {
    "um": ("\u00b5m", "\u03bcm", "micron", "microns"),  # the micro sign and the Greek mu look alike
    "inch": ("inches",),
    ANGSTROM: ("A", "\u212b", "angstrom", "\u00e5ngstr\u00f6m"),
    PIXEL: ("", "pixels", "px", "null", "none", "arbitrary", "reference frame"),  # "null" is written by Bio-Formats
} | {
    short: [f"{prefix}{word}{end}" for word in ("meter", "metre") for end in ("", "s")]
    for short, prefix in {"pm": "pico", "nm": "nano", "mm": "milli", "cm": "centi", "m": ""}.items()
}
_USUAL = {other.lower(): usual for usual, others in _SPELLINGS.items() for other in others} | {
    f"micro{word}{end}": "um" for word in ("meter", "metre") for end in ("", "s")
}

_ESCAPED = re.compile(r"\\u([0-9A-Fa-f]{4})")
"""A character as Java writes it in properties, such as those of ImageJ's TIFF."""

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
    """Return the usual spelling of a unit: ``"um"`` for micrometres in any spelling, ``"pixel"`` if it is unknown.

    Examples
    --------
    >>> usual_unit("micron"), usual_unit("null"), usual_unit("parsec")
    ('um', 'pixel', 'parsec')
    """
    name = _ESCAPED.sub(lambda code: chr(int(code.group(1), 16)), name).strip()
    return name if name in MICROMETRES else _USUAL.get(name.lower(), name)


def in_one_unit(
    sizes: Mapping[str, float], origins: Mapping[str, float], units: Mapping[str, str]
) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """Convert the pixel sizes and origins of z, y and x to the unit of x; lengths in unknown units stay unchanged.

    Examples
    --------
    >>> in_one_unit({"z": 250, "x": 0.1}, {}, {"z": "nm", "x": "um"})
    ({'z': 0.25, 'x': 0.1}, {}, {'z': 'um', 'x': 'um'})
    """
    sizes, origins, units = dict(sizes), dict(origins), dict(units)
    target = next((units[d] for d in ("x", "y", "z") if d in units and usual_unit(units[d]) in MICROMETRES), None)
    for d in SPATIAL:
        factor = None if target is None or d not in units or units[d] == target else factor_to(units[d], target)
        if factor is not None:
            units[d] = str(target)
            for lengths in (sizes, origins):
                if d in lengths:
                    lengths[d] = lengths[d] * factor
    return sizes, origins, units


def factor_to(name: str, other: str) -> float | None:
    """Return the length of one unit in another unit; None if one of them is not a known length.

    Examples
    --------
    >>> factor_to("nm", "um"), factor_to("pixel", "um")
    (0.001, None)
    """
    name, other = usual_unit(name), usual_unit(other)
    if name == other:
        return 1.0
    return MICROMETRES[name] / MICROMETRES[other] if name in MICROMETRES and other in MICROMETRES else None


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
    rounding errors of the coordinates. Sizes and origins of z, y and x are in one unit, even if their coordinates are
    not.
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
    return in_one_unit(sizes, origins, units)


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
            if _without_single(image.shape) == _without_single(reference.shape):
                longer = first if reference.ndim > image.ndim else other
                raise ImageError(
                    f"{first} has shape {reference.shape}, but {other} has shape {image.shape}: drop the axes of "
                    f"length 1 of {longer}, with numpy.squeeze({longer})"
                )
            raise ImageError(
                f"{first} has shape {reference.shape}, but {other} has shape {image.shape}: "
                "crop or resample one of them to match the other"
            )
        _refuse_different_origin(first, reference, other, image)
    return tuple(reference.shape)


def _without_single(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape without axes of length 1."""
    return tuple(n for n in shape if n != 1)


def _refuse_different_origin(a: str, first: Array, b: str, second: Array) -> None:
    """Refuse images whose pixel sizes or origins differ. An image without calibration fits any other image."""
    if not (isinstance(first, xr.DataArray) and isinstance(second, xr.DataArray)):
        return
    if not (_is_calibrated(first) and _is_calibrated(second)):
        return
    steps, other_steps = pixel_size(first), pixel_size(second)
    starts, other_starts = origin(first), origin(second)
    own, other = unit(first), unit(second)
    factor = 1.0 if PIXEL in (usual_unit(own), usual_unit(other)) else factor_to(other, own)
    for d in sorted({str(d) for d in first.dims} & {str(d) for d in second.dims} & set(steps) & set(other_steps)):
        scale = 1.0 if d == "t" else factor
        if scale is None:
            raise ImageError(
                f"{a} is measured in {own!r}, but {b} in {other!r}: give both the same unit, with "
                "fijibridge.as_image(image, pixel_size=..., unit='um')"
            )
        if abs(steps[d] - other_steps[d] * scale) > 1e-3 * steps[d]:
            raise ImageError(
                f"{a} has pixel size {steps[d]:g} {own} in {d}, but {b} has {other_steps[d]:g} {other}: if both show "
                "the same place, correct one of them with fijibridge.as_image(image, pixel_size=..., unit='um')"
            )
        if abs(starts[d] - other_starts[d] * scale) > 0.01 * steps[d]:
            raise ImageError(
                f"{a} and {b} are crops from different places: {d} starts at {starts[d]:g} {own} in the first and at "
                f"{other_starts[d]:g} {other} in the second"
            )


def _is_calibrated(image: xr.DataArray) -> bool:
    """Return whether an image has a pixel size, an origin or a unit; formats such as PNG store none of them."""
    sizes, origins, units = read_calibration(image)
    spatial = [d for d in SPATIAL if d in sizes]
    return any(sizes[d] != 1 or origins[d] != 0 or usual_unit(units[d]) != PIXEL for d in spatial)
