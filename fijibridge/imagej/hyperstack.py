"""Conversion between images and the properties of hyperstacks, which other modules read from and write to ImageJ.

This module needs no Java: the properties come from the JVM in this process, or through a pipe from another Fiji.
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
    read_calibration,
    time_unit,
    unit,
    usual_unit,
)
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.metadata import imagej_info, keep_info

MODES = {1: "composite", 2: "color", 3: "grayscale"}
"""Display modes of multi-channel images, by ImageJ's number of the mode."""

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
        Title of the image.
    rgb
        True if each pixel consists of three colours.
    channels
        Number of channels as ImageJ counts them; an RGB image has one.
    pixel_size, origin, units
        Values for z, y, x in ImageJ's ``Calibration``: ``pixelDepth``, ``pixelHeight``, ``pixelWidth``; ``zOrigin`` ...
        in pixels; ``getZUnit()`` ...
    interval, time_unit
        Frame interval (0 if unknown), and its unit.
    about
        Further properties, in the form of :func:`fijibridge.imagej_info`.
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
        Axes that the image keeps. The other axes have length 1 and are dropped.
    """
    squeezed = array.reshape([n for d, n in zip(DIMS, array.shape, strict=True) if d in keep])
    sizes = {d: size if size > 0 else 1.0 for d, size in zip(_SPATIAL, facts.pixel_size, strict=True)}
    # ImageJ: coordinate = (pixel - origin in pixels) * pixel size
    origins = {d: -first * sizes[d] for d, first in zip(_SPATIAL, facts.origin, strict=True)}
    units = {d: usual_unit(name) for d, name in zip(_SPATIAL, facts.units, strict=True)}
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


def signed_ranges(ranges: Sequence[tuple[float, float]], signed: bool) -> list[tuple[float, float]]:
    """Convert display ranges from ImageJ's stored values to array values, which differ for signed 16-bit images."""
    return [(low - _SIGN, high - _SIGN) for low, high in ranges] if signed else list(ranges)


# --- to ImageJ --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """Properties that ImageJ needs to show an image, in ImageJ's units.

    Attributes
    ----------
    rgb
        True if the three channels become an RGB image.
    signed
        True if values are stored in ImageJ's signed 16-bit type.
    counts
        Numbers of frames, channels and slices in the stack.
    labels
        Labels of the slices, in the order of the stack: c varies fastest, then z, then t.
    pixel_size, origin, units
        Values for z, y, x. The origin is in pixels; an unknown unit is None.
    interval, time_unit
        Frame interval (None if unknown), and its unit.
    function
        Calibration function of grey values; None if there is none.
    info, properties
        Text of Image ▸ Show Info; further properties, as alternating keys and values.
    luts, ranges
        Lookup table of each channel, and the values that it shows as black and white; empty if unknown.
    mode
        Number of the display mode in :data:`MODES`; None if unknown.
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
    """Return the properties that ImageJ needs to show an image.

    Parameters
    ----------
    image
        Image with axes in the order ``t c z y x``. Its :func:`fijibridge.imagej_info` is used where it still fits the
        type and number of channels.
    mode
        Display mode of a multi-channel image; by default, the mode stored with the image.

    Raises
    ------
    ImageError
        If the image is empty, or a plane has 2**31 pixels or more.
    """
    frames, channels, slices, height, width = (image.sizes.get(d, 1) for d in DIMS)
    if 0 in image.shape:
        raise ImageError(f"the array is empty, shape {image.shape}: an ImageJ image needs at least one pixel")
    if height * width >= 2**31:
        raise ImageError(f"a plane has {height} x {width} pixels, but ImageJ needs fewer than 2**31: show a part of it")
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
    name = read_calibration(image)[2].get(axis, unit(image))
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
    """Return the (t, c, z, y, x) pixels of an image in one of ImageJ's types; RGB becomes one channel of 0xFFRRGGBB.

    ``int16`` becomes ImageJ's signed 16-bit type; for other types see :func:`fijibridge.image.imagej_pixels`.
    """
    dims = [str(d) for d in image.dims if not (rgb and d == "c")]
    array = pack_rgb(*(image.isel(c=i).values for i in range(3))) if rgb else plain_pixels(image.values)
    return array.reshape([array.shape[dims.index(d)] if d in dims else 1 for d in DIMS])


def plain_pixels(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert pixels to one of ImageJ's types; ``int16`` becomes ImageJ's signed 16-bit type.

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
