"""Pixels: between ImageJ's ImagePlus and our images, exactly, at about the speed of a copy.

Slices are read with ``getPixels``, never through ``ij.py.from_java``, whose cache is stale after a crop. Pixels cross
as one block a slice, through a direct buffer over the numpy memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.image import DIMS, RGB, as_image, channel_names, imagej_pixels, origin, pixel_size, time_unit, unit

_GRAY8, _GRAY16, _GRAY32, _COLOR_256, _COLOR_RGB = 0, 1, 2, 3, 4
_TYPES: dict[int, type[np.generic]] = {
    _GRAY8: np.uint8, _GRAY16: np.uint16, _GRAY32: np.float32, _COLOR_256: np.uint8, _COLOR_RGB: np.uint32
}  # fmt: skip
_MICRO = {"micron", "microns", "µm", "μm", "um", "micrometer", "micrometre"}


# --- ImageJ -> numpy --------------------------------------------------------------------------------


def from_imageplus(imp: Any) -> xr.DataArray:
    """Copy an ImagePlus into an image.

    Parameters
    ----------
    imp
        An ``ij.ImagePlus`` of any type: single plane, stack, hyperstack or virtual stack.

    Returns
    -------
    xarray.DataArray
        ``uint8`` (8-bit and indexed colour: the index), ``uint16``, ``int16`` (signed 16-bit calibration),
        ``float32``; RGB as three ``uint8`` channels. Axes of length 1 are left out; pixel size, origin, unit and
        frame interval are those of its calibration, names of channels those of its slice labels.
    """
    width, height, channels, slices, frames = (int(n) for n in imp.getDimensions(True))
    rgb = int(imp.getType()) == _COLOR_RGB
    planes = np.empty((frames, slices, channels, height, width), _TYPES[int(imp.getType())])
    stack = imp.getStack()
    flat = planes.reshape(-1, height, width)
    for number, plane in enumerate(flat, start=1):
        # A single image's stack may hold an older array than its processor.
        pixels = imp.getProcessor().getPixels() if len(flat) == 1 else stack.getPixels(number)
        copy_from_java(pixels, plane)
    array = planes.swapaxes(1, 2)  # (T, C, Z, Y, X)
    if rgb:
        return _image_of(imp, _split_rgb(array[:, 0]), RGB)
    if imp.getCalibration().isSigned16Bit():
        array = (array.astype(np.int32) - 32768).astype(np.int16)
    labels = [stack.getShortSliceLabel(number + 1) for number in range(len(flat))] if channels > 1 else []
    return _image_of(imp, array, channel_names([str(label or "") for label in labels], channels))


def _split_rgb(packed: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """Split (T, Z, Y, X) packed ``0xAARRGGBB`` into (T, 3, Z, Y, X)."""
    return np.stack([(packed >> shift).astype(np.uint8) for shift in (16, 8, 0)], axis=1)


def _image_of(imp: Any, array: npt.NDArray[Any], channels: Sequence[str] | None) -> xr.DataArray:
    keep = [d for d, n in zip(DIMS, array.shape, strict=True) if n > 1 or d in "yx"]
    squeezed = array.reshape([n for d, n in zip(DIMS, array.shape, strict=True) if d in keep])
    cal = imp.getCalibration()
    sizes = {"z": _positive(cal.pixelDepth), "y": _positive(cal.pixelHeight), "x": _positive(cal.pixelWidth)}
    # ImageJ: coordinate = (pixel - origin in pixels) * pixel size
    origins = {"z": -cal.zOrigin * sizes["z"], "y": -cal.yOrigin * sizes["y"], "x": -cal.xOrigin * sizes["x"]}
    units = dict.fromkeys(("z", "y", "x"), _unit_from_java(str(cal.getUnit())))
    if "t" in keep:
        interval = float(cal.frameInterval)
        sizes["t"] = interval if interval > 0 else 1.0
        units["t"] = str(cal.getTimeUnit()) if interval > 0 else "frame"
    image = as_image(
        squeezed, "".join(keep), pixel_size=sizes, origin={d: float(o) for d, o in origins.items()}, unit=units,
        name=str(imp.getTitle()),
    )  # fmt: skip
    return image.assign_coords(c=list(channels)) if channels is not None else image


def _positive(size: float) -> float:
    return float(size) if size > 0 else 1.0


def _unit_from_java(name: str) -> str:
    return "um" if name.lower() in _MICRO else "pixel" if name in ("", "pixels") else name


def copy_from_java(pixels: Any, out: npt.NDArray[Any]) -> None:
    """Copy a Java primitive array into numpy memory of the same size, in one block."""
    if len(pixels) != out.size:
        raise ImageError(f"ImageJ's plane has {len(pixels)} pixels, {out.size} were expected")
    target = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
    _buffer(target, _view_of(pixels)).put(pixels)
    if target is not out:
        out[...] = target


def copy_to_java(array: npt.NDArray[Any]) -> Any:
    """Copy numpy memory into a new Java primitive array of the same width."""
    array = np.ascontiguousarray(array)
    kind = {1: jpype.JByte, 2: jpype.JShort, 4: jpype.JFloat if array.dtype.kind == "f" else jpype.JInt}
    pixels = jpype.JArray(kind[array.dtype.itemsize])(array.size)
    _buffer(array, _view_of(pixels)).get(pixels)
    return pixels


def _view_of(pixels: Any) -> str | None:
    kinds = {"byte[]": None, "short[]": "asShortBuffer", "float[]": "asFloatBuffer", "int[]": "asIntBuffer"}
    return kinds[str(pixels.getClass().getSimpleName())]


def _buffer(array: npt.NDArray[Any], view: str | None) -> Any:
    order = jpype.JClass("java.nio.ByteOrder").nativeOrder()
    direct = jpype.nio.convertToDirectBuffer(array.reshape(-1).data.cast("B")).order(order)
    return direct if view is None else getattr(direct, view)()


# --- numpy -> ImageJ --------------------------------------------------------------------------------


def to_imageplus(image: xr.DataArray, title: str) -> Any:
    """Copy an image into a new ImagePlus.

    Parameters
    ----------
    image
        See :func:`fijibridge.image.imagej_pixels` for the types; ``int16`` becomes ImageJ's signed 16 bits, and
        three ``uint8`` channels named red, green, blue become RGB.
    title
        Of the new image.
    """
    rgb = _is_rgb(image)
    array = _packed_rgb(image) if rgb else _plain_pixels(image.values)
    dims = [str(d) for d in image.dims if not (rgb and d == "c")]
    full = array.reshape([array.shape[dims.index(d)] if d in dims else 1 for d in DIMS])  # (T, C, Z, Y, X)
    frames, channels, slices, height, width = full.shape
    stack = jpype.JClass("ij.ImageStack")(width, height)
    names = (
        [None] if rgb or "c" not in image.coords else [str(name) for name in np.atleast_1d(image.coords["c"].values)]
    )
    for number, plane in enumerate(full.swapaxes(1, 2).reshape(-1, height, width)):
        stack.addSlice(names[number % len(names)], copy_to_java(plane))
    imp = jpype.JClass("ij.ImagePlus")(title, stack)
    imp.setDimensions(channels, slices, frames)
    if channels > 1 or (slices > 1 and frames > 1):
        imp.setOpenAsHyperStack(True)
    _calibrate(imp, image)
    if not rgb:
        imp.resetDisplayRange()
    return imp


def _is_rgb(image: xr.DataArray) -> bool:
    if image.dtype != np.uint8 or image.sizes.get("c") != 3 or "c" not in image.coords:
        return False
    return tuple(image.coords["c"].values) == RGB


def _packed_rgb(image: xr.DataArray) -> npt.NDArray[np.int32]:
    red, green, blue = (image.isel(c=i).values.astype(np.uint32) for i in range(3))
    return (0xFF000000 | red << 16 | green << 8 | blue).astype(np.uint32).view(np.int32)


def _plain_pixels(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype == np.int16 and array.size:
        # ImageJ's signed 16 bits are unsigned ones with a calibration function
        return (array.astype(np.int32) + 32768).astype(np.uint16)
    return imagej_pixels(array)


def _calibrate(imp: Any, image: xr.DataArray) -> None:
    sizes, origins = pixel_size(image), origin(image)
    cal = jpype.JClass("ij.measure.Calibration")(imp)
    cal.pixelWidth, cal.pixelHeight = sizes.get("x", 1.0), sizes.get("y", 1.0)
    cal.pixelDepth = sizes.get("z", 1.0)
    cal.xOrigin, cal.yOrigin, cal.zOrigin = (-origins.get(d, 0.0) / sizes.get(d, 1.0) for d in ("x", "y", "z"))
    name = unit(image)
    if name != "pixel":
        cal.setUnit("micron" if name == "um" else name)
    if "t" in image.dims and time_unit(image) != "frame":
        cal.frameInterval = sizes["t"]
        cal.setTimeUnit(time_unit(image))
    if image.dtype == np.int16:
        cal.setSigned16BitCalibration()
    # what Python says about its image counts, not the calibration that ImageJ was told to use for all images
    imp.setIgnoreGlobalCalibration(True)
    imp.setCalibration(cal)
