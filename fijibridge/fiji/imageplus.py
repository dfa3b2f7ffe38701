"""Conversion between ImageJ's ImagePlus and DataArrays: pixels, calibration, display and properties.

Slices are read with ``getPixels``, not through ``ij.py.from_java``, whose cache is stale after a crop. Properties
without an equivalent in xarray are stored as text in ``image.attrs["imagej"]``, see :func:`fijibridge.imagej_info`.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.pixels import copy_to_java, each_plane
from fijibridge.fiji.stacks import ArrayStack, ImageStack, virtual_dtype
from fijibridge.image import DIMS, RGB
from fijibridge.imagej.description import facts_of
from fijibridge.imagej.hyperstack import Shown, image_of, shown, stored_pixels
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.metadata import imagej_info, keep_info

Region = Mapping[str, int | slice]

_SESSION = uuid.uuid4().hex
"""Id of this JVM. Each JVM numbers its images from the same start, so an image id is valid only in its own JVM."""

# --- ImageJ -> Python -------------------------------------------------------------------------------


def from_imageplus(imp: Any, region: Region | None = None, lazy: bool = False) -> xr.DataArray:
    """Copy an ImagePlus into an image.

    Parameters
    ----------
    imp
        An ``ij.ImagePlus`` of any type: single plane, stack, hyperstack or virtual stack.
    region
        Part to copy: 0-based slices or indices by axis, as for ``image.isel(region)``. By default, the whole image.
    lazy
        Return a dask array, which reads a plane only when the plane is needed.

    Returns
    -------
    xarray.DataArray
        Image of type ``uint8`` (8-bit, or the index of an indexed colour), ``uint16``, ``int16`` (signed 16-bit
        calibration) or ``float32``. RGB becomes three ``uint8`` channels. Axes of length 1 are dropped. Pixel size,
        origin, unit and frame interval come from the calibration, and channel names come from the slice labels.
        :func:`fijibridge.imagej_info` returns lookup tables, display ranges, slice labels and other properties. Grey
        values are raw: calibration functions are not applied.
    """
    stack = ImageStack(imp)
    keep = [d for d, n in zip(DIMS, stack.shape, strict=True) if n > 1 or d in "yx"]
    if region is None and not lazy:
        return _image_of(imp, stack[(slice(None),) * len(DIMS)], keep)
    whole = np.broadcast_to(np.zeros((), stack.dtype), stack.shape)  # full shape without allocating memory
    frame = _image_of(imp, whole, keep)
    if lazy:
        chunks = tuple(
            n if d in "yx" or (d == "c" and stack.rgb) else 1 for d, n in zip(DIMS, stack.shape, strict=True)
        )
        squeeze = tuple(slice(None) if d in keep else 0 for d in DIMS)
        about = imagej_info(frame)
        frame = frame.copy(deep=False, data=_dask_array(stack, chunks)[squeeze])
        frame = frame if region is None else frame.isel(_checked(region, frame))
        keep_info(frame, about)
        return frame
    index: dict[str, int | slice] = dict.fromkeys(DIMS, slice(None)) | {d: 0 for d in DIMS if d not in keep}
    region = _checked(region or {}, frame)
    index |= region
    about = imagej_info(frame)
    channels = range(stack.shape[1])[index["c"]]
    if isinstance(channels, int) or len(channels) == 1:  # a single channel has no coordinate with its number
        about["channel"] = channels if isinstance(channels, int) else channels[0]
    part = frame.isel(region).copy(deep=False, data=stack[tuple(index[d] for d in DIMS)])
    keep_info(part, about)
    return part


def open_id(image: xr.DataArray) -> int | None:
    """Return the ImageJ id of the open image that `image` was copied from in this session; None if unknown."""
    about = imagej_info(image)
    return about.get("id") if about.get("session", _SESSION) == _SESSION else None


def _dask_array(stack: ImageStack, chunks: tuple[int, ...]) -> Any:
    import dask.array

    make: Any = dask.array.from_array
    return make(stack, chunks=chunks, name=False, asarray=False, lock=False)


def _checked(region: Region, frame: xr.DataArray) -> dict[str, int | slice]:
    """Return a region with ``int`` indices; raise if it is outside the image."""
    for axis, index in region.items():
        if axis not in frame.dims:
            raise ImageError(f"region has the axis {axis!r}; the image has the axes {frame.dims}")
        size = frame.sizes[axis]
        if isinstance(index, slice):
            if not len(range(size)[index]):
                raise ImageError(f"region {index} along axis {axis!r} selects none of its {size} indices")
        elif not isinstance(index, int | np.integer):
            raise ImageError(f"region[{axis!r}] is {index!r}; expected a 0-based integer or slice")
        elif not -size <= index < size:
            raise ImageError(f"region[{axis!r}] is {index}; the axis has indices 0 to {size - 1}")
    return {d: int(i) if not isinstance(i, slice) else i for d, i in region.items()}


def _image_of(imp: Any, array: npt.NDArray[Any], keep: Sequence[str]) -> xr.DataArray:
    facts = facts_of(json.loads(str(classes.images().describeAsJson(imp))))
    facts.about["session"] = _SESSION
    return image_of(array, facts, keep)


# --- Python -> ImageJ -------------------------------------------------------------------------------


def to_imageplus(image: xr.DataArray, title: str, virtual: bool = False, mode: str | None = None) -> Any:
    """Copy an image into a new ImagePlus; a virtual one reads its planes on demand.

    Parameters
    ----------
    image
        An image of any type, see :func:`fijibridge.image.imagej_pixels`; ``int16`` becomes ImageJ's signed 16-bit type,
        and three ``uint8`` channels named red, green, blue become RGB. Properties in :func:`fijibridge.imagej_info` are
        restored if they still fit the image.
    title
        Title of the new image.
    virtual
        Make a virtual stack, whose planes are read when ImageJ shows them. Integers and floats that are wider than
        ImageJ's become 32-bit floats. Integers that these floats cannot represent are shown as NaN, and a warning is
        logged.
    mode
        Display mode of a multi-channel image: ``"composite"``, ``"color"`` or ``"grayscale"``. By default, the mode
        stored in the image.
    """
    look = shown(image, mode)
    if virtual:
        virtual_dtype(image.dtype)
        stack = ArrayStack(_five(image), look.labels, look.rgb).java
    else:
        stack = _filled(image, look)
    frames, channels, slices = look.counts
    imp = classes.images().of(title, stack, channels, slices, frames)
    _calibrate(imp, look)
    return imp if look.rgb else _displayed(imp, look)


def _five(image: xr.DataArray) -> Any:
    """Return an image's array with all five axes, without reading its pixels."""
    data = image.variable._data if not isinstance(image.data, np.ndarray) else image.data
    return _Five(data, [str(d) for d in image.dims])


class _Five:
    """Wrapper of an array that may lack some axes; it is indexed by t, c and z as if it had all axes."""

    def __init__(self, data: Any, dims: Sequence[str]):
        self.data, self.dims, self.dtype = data, dims, data.dtype
        sizes = dict(zip(dims, data.shape, strict=True))
        self.shape = tuple(sizes.get(d, 1) for d in DIMS)

    def __getitem__(self, index: tuple[int, int, int]) -> Any:
        place = dict(zip(DIMS, index, strict=False))
        return self.data[tuple(place.get(d, slice(None)) for d in self.dims)]


def _filled(image: xr.DataArray, look: Shown) -> Any:
    """Return an ImageStack with a copy of the pixels."""
    full = stored_pixels(image, look.rgb)  # (T, C, Z, Y, X)
    height, width = full.shape[3:]
    planes = [full[t, c, z] for t, z, c in np.ndindex(full.shape[0], full.shape[2], full.shape[1])]
    stack = jpype.JClass("ij.ImageStack")(width, height)
    for label, pixels in zip(look.labels, each_plane(copy_to_java, planes, full.nbytes), strict=True):
        stack.addSlice(label, pixels)
    return stack


def _calibrate(imp: Any, look: Shown) -> None:
    function = look.function or {"function": -1, "coefficients": (), "unit": None}
    numbers = function["coefficients"]
    classes.images().calibrate(
        imp, _doubles(look.pixel_size), _doubles(look.origin), jpype.JArray(jpype.JString)(list(look.units)),
        float(look.interval or 0), None if look.interval is None else look.time_unit, look.signed,
        int(function["function"]), _doubles(numbers) if numbers else None, function["unit"],
    )  # fmt: skip
    classes.images().annotate(imp, look.info, jpype.JArray(jpype.JString)(look.properties))


def _displayed(imp: Any, look: Shown) -> Any:
    """Set lookup tables and display ranges of a new image; without them, ImageJ chooses its own."""
    tables = jpype.JArray(jpype.JByte, 2)([_bytes(table) for table in look.luts])
    ranges = jpype.JArray(jpype.JDouble, 2)([_doubles(limits) for limits in look.ranges])
    return classes.images().display(imp, tables, ranges, look.mode or 0)


def _bytes(table: LookupTable) -> Any:
    return jpype.JArray(jpype.JByte)(np.frombuffer(table.data, np.int8))


def _doubles(numbers: Iterable[float]) -> Any:
    return jpype.JArray(jpype.JDouble)([float(number) for number in numbers])


def set_limits(imp: Any, limits: tuple[float, float]) -> None:
    """Set the values shown as black and as white in all channels. They are values of the array in Python."""
    if len(limits) != 2 or not limits[0] <= limits[1]:
        raise ImageError(f"limits={limits!r}; expected two ascending numbers: the values shown as black and as white")
    shift = 32768 if imp.getCalibration().isSigned16Bit() else 0
    low, high = (float(v) + shift for v in limits)
    classes.images().limit(imp, low, high)


def make_lut(table: LookupTable, low: float = 0.0, high: float = 255.0) -> Any:
    """Return an ``ij.process.LUT`` for a lookup table."""
    return classes.images().lut(_bytes(table), low, high)


_BUILT_IN_LUTS = (
    "Fire", "Grays", "Ice", "Spectrum", "3-3-2 RGB", "Red", "Green", "Blue", "Cyan", "Magenta", "Yellow", "Red/Green"
)  # fmt: skip
"""ImageJ's built-in lookup tables, which need no folder ``luts``."""


def set_lut(imp: Any, name: str) -> None:
    """Display a single-channel image with one of ImageJ's lookup tables."""
    if imp.isComposite():
        raise ImageError(
            f"lut={name!r} applies to one channel, but the image has {imp.getNChannels()} channels: omit mode= or lut="
        )
    table = jpype.JClass("ij.plugin.LutLoader").getLut(name)
    if table is None:
        names = [str(n) for n in jpype.JClass("ij.IJ").getLuts() or ()] or list(_BUILT_IN_LUTS)
        raise ImageError(f"ImageJ has no lookup table {name!r}; expected one of {', '.join(names)}")
    low, high = float(imp.getDisplayRangeMin()), float(imp.getDisplayRangeMax())
    imp.setLut(jpype.JClass("ij.process.LUT")(table, low, high))


def check_mode(image: xr.DataArray, mode: str) -> None:
    """Raise if a display mode does not exist, or does not fit the image."""
    if mode not in ("composite", "color", "grayscale"):
        raise ImageError(f"mode={mode!r}; expected 'composite', 'color' or 'grayscale'")
    channels = image.sizes.get("c", 1)
    if "c" in image.coords and tuple(image.coords["c"].values.ravel()) == RGB:
        raise ImageError(f"mode={mode!r} does not apply to an RGB image, which is shown in its own colours: omit mode=")
    if channels < 2:
        raise ImageError(f"mode={mode!r} needs several channels, but the image has the axes {image.dims}: omit mode=")


def is_lazy(image: Any) -> bool:
    """Tell whether the pixels are not in memory, but in dask, zarr, HDF5 or a memory map."""
    if isinstance(image, xr.DataArray):
        data = image.variable._data
        return image.chunks is not None or not isinstance(data, np.ndarray) or isinstance(data.base, np.memmap)
    return isinstance(image, np.memmap) or (hasattr(image, "chunks") and not isinstance(image, np.ndarray))
