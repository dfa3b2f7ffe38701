"""Hyperstacks: the properties of an ImagePlus, which other modules read from and write to ImageJ.

Nothing here needs Java: the properties come from the JVM in this process, or through a pipe from another Fiji.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.image import (
    DIMS,
    RGB,
    as_image,
    channel_names,
    imagej_pixels,
    origin,
    pixel_size,
    time_unit,
    unit,
)
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.metadata import imagej_info, keep_info

MODES = {1: "composite", 2: "color", 3: "grayscale"}
"""Display modes of multi-channel images, by ImageJ's number."""

_MICRO = {"micron", "microns", "µm", "μm", "um", "micrometer", "micrometre"}
_SPATIAL = ("z", "y", "x")
_SIGN = 32768
"""Offset that ImageJ adds to signed 16-bit values to store them as unsigned ones."""


# --- from ImageJ ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """Properties of an ImagePlus besides its pixels, in ImageJ's units.

    Attributes
    ----------
    title
        Title of its window.
    rgb
        True if each pixel consists of three colours.
    channels
        Number of channels as ImageJ counts them: RGB has one.
    pixel_size, origin, units
        For z, y, x: ImageJ's pixelDepth ..., zOrigin ... (in pixels), getZUnit ...
    interval, time_unit
        Frame interval, 0 if unknown, and its unit.
    about
        Further properties, as :func:`fijibridge.imagej_info` returns them.
    """

    title: str
    rgb: bool
    channels: int
    pixel_size: tuple[float, float, float]
    origin: tuple[float, float, float]
    units: tuple[str, str, str]
    interval: float
    time_unit: str
    about: dict[str, Any]


def image_of(array: npt.NDArray[Any], facts: Facts, keep: Sequence[str]) -> xr.DataArray:
    """Return pixels as an image with the axes, calibration and names of an ImagePlus.

    Parameters
    ----------
    array
        (t, c, z, y, x), with length 1 along missing axes.
    facts
        Properties of the ImagePlus.
    keep
        Axes that the image keeps; all others have length 1.
    """
    squeezed = array.reshape([n for d, n in zip(DIMS, array.shape, strict=True) if d in keep])
    sizes = {d: size if size > 0 else 1.0 for d, size in zip(_SPATIAL, facts.pixel_size, strict=True)}
    # ImageJ: coordinate = (pixel - origin in pixels) * pixel size
    origins = {d: -first * sizes[d] for d, first in zip(_SPATIAL, facts.origin, strict=True)}
    units = {d: _unit_of(name) for d, name in zip(_SPATIAL, facts.units, strict=True)}
    if "t" in keep:
        sizes["t"] = facts.interval if facts.interval > 0 else 1.0
        units["t"] = facts.time_unit if facts.interval > 0 else "frame"
    image = as_image(
        squeezed, "".join(d for d in DIMS if d in keep), pixel_size=sizes, origin=origins, unit=units, name=facts.title
    )
    labels = facts.about.get("slice_labels", [])
    channels = RGB if facts.rgb else channel_names(labels, facts.channels) if labels else None
    if channels is not None and "c" in image.dims:
        image = image.assign_coords(c=list(channels))
    keep_info(image, facts.about)
    return image


def _unit_of(name: str) -> str:
    name = name.strip()  # ImageJ's unit is a blank if the resolution in the file has no unit
    return "um" if name.lower() in _MICRO else "pixel" if name in ("", "pixels") else name


def signed_ranges(ranges: Sequence[tuple[float, float]], signed: bool) -> list[tuple[float, float]]:
    """Return display ranges as values of the array; `signed` if ImageJ stores signed 16-bit values."""
    return [(low - _SIGN, high - _SIGN) for low, high in ranges] if signed else list(ranges)


# --- to ImageJ --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """Properties with which ImageJ shows an image, in ImageJ's units.

    Attributes
    ----------
    rgb
        True if three channels become one RGB pixel.
    signed
        True if values are stored as ImageJ's signed 16-bit type.
    counts
        Numbers of frames, channels and slices in the stack.
    labels
        Labels of the slices in the order of the stack: c varies fastest, then z, then t.
    pixel_size, origin, units
        For z, y, x; origin in pixels, units None if unknown.
    interval, time_unit
        Frame interval and its unit, if known.
    function
        Calibration function of grey values.
    info, properties
        Text of Image > Show Info; further properties as alternating keys and values.
    luts, ranges
        Lookup table of each channel, and values shown as black and white; empty if unknown.
    mode
        Number of the display mode, see :data:`MODES`; None if unknown.
    """

    rgb: bool
    signed: bool
    counts: tuple[int, int, int]
    labels: list[str | None]
    pixel_size: tuple[float, ...]
    origin: tuple[float, ...]
    units: tuple[str | None, ...]
    interval: float | None
    time_unit: str
    function: Mapping[str, Any] | None
    info: str
    properties: list[str]
    luts: list[LookupTable]
    ranges: list[tuple[float, float]]
    mode: int | None


def shown(image: xr.DataArray, mode: str | None = None) -> Shown:
    """Return the properties with which ImageJ shows an image.

    Parameters
    ----------
    image
        Image with axes in the order ``t c z y x``. The properties in :func:`fijibridge.imagej_info` are used where they
        still fit the type and number of channels.
    mode
        Display mode of a multi-channel image; by default the stored one.

    Raises
    ------
    ImageError
        If the image is empty, or a plane has 2**31 pixels or more.
    """
    frames, channels, slices, height, width = (image.sizes.get(d, 1) for d in DIMS)
    if 0 in image.shape:
        raise ImageError(f"the array is empty, shape {image.shape}: an ImageJ image needs at least one pixel")
    if height * width >= 2**31:
        raise ImageError(f"a plane of {height} x {width} has 2**31 pixels or more, ImageJ's limit: show a part of it")
    about, rgb, signed = _fitting(image), _is_rgb(image), image.dtype == np.int16
    sizes, origins = pixel_size(image), origin(image)
    timed = "t" in image.dims and (time_unit(image) != "frame" or sizes["t"] != 1)
    ranges = [(float(low), float(high)) for low, high in about.get("display_ranges", [])]
    wanted = mode if mode is not None else about.get("mode")
    return Shown(
        rgb=rgb, signed=signed, counts=(frames, 1 if rgb else channels, slices),
        labels=_slice_labels(image, about, rgb),
        pixel_size=tuple(sizes.get(d, 1.0) for d in _SPATIAL),
        origin=tuple(-origins.get(d, 0.0) / sizes.get(d, 1.0) for d in _SPATIAL),
        units=tuple(_imagej_unit(image, d) for d in _SPATIAL),
        interval=sizes["t"] if timed else None, time_unit=time_unit(image),
        function=about.get("calibration_function"), info=str(about.get("info") or ""),
        properties=[str(text) for pair in about.get("properties", {}).items() for text in pair],
        luts=list(about.get("luts", [])),
        ranges=[(low + _SIGN, high + _SIGN) for low, high in ranges] if signed else ranges,
        mode=next((number for number, name in MODES.items() if name == wanted), None),
    )  # fmt: skip


def _imagej_unit(image: xr.DataArray, axis: str) -> str | None:
    name = str(image.coords[axis].attrs.get("units", "pixel")) if axis in image.coords else unit(image)
    return None if name == "pixel" else "micron" if name == "um" else name


def _fitting(image: xr.DataArray) -> dict[str, Any]:
    """Return the stored properties of an image, without those that no longer fit its type or channels."""
    about = imagej_info(image)
    kinds = {"uint8": ("8-bit", "8-bit color", "RGB"), "uint16": ("16-bit",), "int16": ("signed 16-bit",),
             "float32": ("32-bit",)}  # fmt: skip
    channels = image.sizes.get("c", 1)
    same = about.get("type") in kinds.get(str(image.dtype), ())
    counts = {len(about.get(name, ())) for name in ("luts", "display_ranges")}
    if not same or len(counts) > 1 or not counts <= {1, channels}:
        for name in ("luts", "display_ranges", "mode", "calibration_function"):
            about.pop(name, None)
    return about


def _slice_labels(image: xr.DataArray, about: Mapping[str, Any], rgb: bool) -> list[str | None]:
    frames, channels, slices = (image.sizes.get(d, 1) for d in DIMS[:3])
    count = frames * slices * (1 if rgb else channels)
    labels = about.get("slice_labels", [])
    if rgb or "c" not in image.coords:
        return [text or None for text in labels] if len(labels) == count else [None] * count
    names = [str(name) for name in np.atleast_1d(image.coords["c"].values)]
    return [*names] * (count // len(names))


def _is_rgb(image: xr.DataArray) -> bool:
    if image.dtype != np.uint8 or image.sizes.get("c") != 3 or "c" not in image.coords:
        return False
    return tuple(image.coords["c"].values) == RGB


def stored_pixels(image: xr.DataArray, rgb: bool) -> npt.NDArray[Any]:
    """Return the pixels of an image in one of ImageJ's types, (t, c, z, y, x); RGB as one channel of 0xFFRRGGBB.

    ``int16`` becomes ImageJ's signed 16-bit type; for other types see :func:`fijibridge.image.imagej_pixels`.
    """
    dims = [str(d) for d in image.dims if not (rgb and d == "c")]
    array = pack_rgb(*(image.isel(c=i).values for i in range(3))) if rgb else plain_pixels(image.values)
    return array.reshape([array.shape[dims.index(d)] if d in dims else 1 for d in DIMS])


def plain_pixels(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert pixels to one of ImageJ's types; ``int16`` becomes its signed 16-bit type.

    For other types see :func:`fijibridge.image.imagej_pixels`.
    """
    if array.dtype == np.int16 and array.size:
        # ImageJ stores unsigned values and subtracts 32768 by a calibration function; flipping the top bit adds 32768
        return np.asarray(array.view(np.uint16) ^ np.uint16(_SIGN))
    return imagej_pixels(array)


def pack_rgb(red: npt.NDArray[Any], green: npt.NDArray[Any], blue: npt.NDArray[Any]) -> npt.NDArray[np.int32]:
    """Pack three ``uint8`` channels into ImageJ's RGB pixels, 0xFFRRGGBB."""
    packed: npt.NDArray[np.uint32] = 0xFF000000 | red.astype(np.uint32) << 16 | green.astype(np.uint32) << 8 | blue
    return packed.astype(np.uint32).view(np.int32)
