"""Stacks that are read plane by plane: ImageJ stacks as arrays, and Python arrays as virtual stacks."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt

from fijibridge.errors import ImageError
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.pixels import copy_from_java, copy_to_java, each_plane
from fijibridge.imagej.hyperstack import pack_rgb

log = logging.getLogger("fijibridge")

GRAY8, GRAY16, GRAY32, COLOR_256, COLOR_RGB = 0, 1, 2, 3, 4
_TYPES: dict[int, type[np.generic]] = {
    GRAY8: np.uint8, GRAY16: np.uint16, GRAY32: np.float32, COLOR_256: np.uint8, COLOR_RGB: np.uint32
}  # fmt: skip
_PROCESSORS = {np.uint8: "ByteProcessor", np.uint16: "ShortProcessor", np.float32: "FloatProcessor"}


class ImageStack:
    """The pixels of an ImagePlus as an array (t, c, z, y, x), which are read when the array is indexed.

    The array refers to the planes, not to the window. It shows edited pixels, but not later changes of the whole image
    (crop, new type, deleted slices, close).

    Attributes
    ----------
    shape
        (t, c, z, y, x), each at least 1; RGB has 3 channels.
    dtype
        ``uint8``, ``uint16``, ``int16`` (signed 16-bit calibration) or ``float32``.
    """

    ndim = 5

    def __init__(self, imp: Any):
        width, height, channels, slices, frames = (int(n) for n in imp.getDimensions(True))
        self.type = int(imp.getType())
        self.rgb = self.type == COLOR_RGB
        self.signed = bool(imp.getCalibration().isSigned16Bit())
        self.channels = channels
        self.shape = (frames, 3 if self.rgb else channels, slices, height, width)
        self.dtype = np.dtype(np.uint8 if self.rgb else np.int16 if self.signed else _TYPES[self.type])
        self._stack = imp.getStack()
        # the stack of a single-plane image may contain an older array than its processor
        alone = int(self._stack.getSize()) == 1 and not self._stack.isVirtual()
        self._single = imp.getProcessor().getPixels() if alone else None
        self._lock = threading.Lock() if self._stack.isVirtual() else None
        count = int(self._stack.getSize())
        arrays = None if self._stack.isVirtual() else self._stack.getImageArray()
        self._arrays = None if arrays is None else jpype.JClass("java.util.Arrays").copyOf(arrays, count)

    def __getitem__(self, index: tuple[int | slice, ...]) -> npt.NDArray[Any]:
        """Read the part given by one integer or slice per axis; only the part's planes and rectangle are copied."""
        ranges = [_indices(i, n) for i, n in zip(index, self.shape, strict=True)]
        pixels = self._read(ranges)
        return pixels[tuple(0 if isinstance(i, int | np.integer) else slice(None) for i in index)]

    def _read(self, ranges: Sequence[range]) -> npt.NDArray[Any]:
        frames, channels, slices, rows, columns = ranges
        shape = tuple(len(r) for r in ranges)
        planes = range(1) if self.rgb else channels
        raw = np.empty((len(frames), len(slices), len(planes), len(rows), len(columns)), _TYPES[self.type])
        if 0 in shape:
            return np.empty(shape, self.dtype)
        depth = self.shape[2]
        numbers = [(t * depth + z) * self.channels + c + 1 for t in frames for z in slices for c in planes]
        flat = raw.reshape(len(numbers), len(rows), len(columns))
        each_plane(lambda i: self._read_plane(numbers[i], flat[i], rows, columns), range(len(numbers)), raw.nbytes)
        if self.rgb:
            packed = raw[:, :, 0]
            shifts = [(16, 8, 0)[c] for c in channels]
            return np.stack([(packed >> shift).astype(np.uint8) for shift in shifts], axis=1)
        if self.signed:
            raw = (raw ^ np.uint16(0x8000)).view(np.int16)  # ImageJ adds 32768
        return raw.swapaxes(1, 2)

    def _read_plane(self, number: int, out: npt.NDArray[Any], rows: range, columns: range) -> None:
        height, width = self.shape[3:]
        if self._lock is None:
            pixels = self._pixels(number)
        else:
            with self._lock:
                pixels = self._pixels(number)
        if len(rows) == height and len(columns) == width and rows.step == columns.step == 1:
            copy_from_java(pixels, out)
            return
        low, high = min(rows[0], rows[-1]), max(rows[0], rows[-1])
        left, right = min(columns[0], columns[-1]), max(columns[0], columns[-1])
        box = np.empty((high - low + 1, right - left + 1), out.dtype)
        if right - left + 1 == width:
            crop = jpype.JClass("java.util.Arrays").copyOfRange(pixels, low * width, (high + 1) * width)
        else:
            crop = self._cropped(pixels, left, low, box.shape)
        copy_from_java(crop, box)
        out[...] = box[np.array(rows) - low][:, np.array(columns) - left]

    def _pixels(self, number: int) -> Any:
        if self._single is not None:
            pixels = self._single
        else:
            pixels = self._stack.getPixels(number) if self._arrays is None else self._arrays[number - 1]
        if pixels is None:
            raise ImageError(f"ImageJ has no pixels for slice {number}; the image was probably closed")
        return pixels

    def _cropped(self, pixels: Any, left: int, top: int, shape: tuple[int, ...]) -> Any:
        height, width = self.shape[3:]
        if self.rgb:
            processor = jpype.JClass("ij.process.ColorProcessor")(width, height, pixels)
        else:
            processor = jpype.JClass(f"ij.process.{_PROCESSORS[_TYPES[self.type]]}")(width, height, pixels, None)
        processor.setRoi(left, top, shape[1], shape[0])
        return processor.crop().getPixels()


def _indices(index: int | slice, size: int) -> range:
    if isinstance(index, slice):
        return range(size)[index]
    return range(size)[index : index + 1 or None]


class ArrayStack:
    """Virtual ImageJ stack of a Python array (numpy, memmap, zarr, dask), which is read as the user scrolls."""

    def __init__(self, array: Any, labels: Sequence[str | None], rgb: bool):
        self.array, self.rgb = array, rgb  # (t, c, z, y, x)
        frames, self.channels, self.slices, height, width = array.shape
        if rgb:
            self.channels = 1
        self.size = frames * self.slices * self.channels
        self._warned = False
        source = jpype.JProxy("java.util.function.Function", dict={"apply": self._apply})
        names = jpype.JArray(jpype.JString)([*labels] if labels else [None] * self.size)
        java = classes.stack()(width, height, source, names)
        java.setBitDepth(24 if rgb else virtual_dtype(array.dtype).itemsize * 8)
        self.java = java

    def _apply(self, number: Any) -> Any:
        """Return the pixels of the slice with a 1-based number. Called by Java, on any thread."""
        return copy_to_java(self.plane(int(number)))

    def plane(self, number: int) -> npt.NDArray[Any]:
        """Return the pixels of the slice with a 1-based number, in one of ImageJ's pixel types."""
        rest, c = divmod(number - 1, self.channels)
        t, z = divmod(rest, self.slices)
        if self.rgb:
            return pack_rgb(*(np.asarray(self.array[t, i, z]) for i in range(3)))
        return self._pixels(np.asarray(self.array[t, c, z]), number)

    def _pixels(self, plane: npt.NDArray[Any], number: int) -> npt.NDArray[Any]:
        dtype = plane.dtype
        if dtype.kind == "b":
            return plane.astype(np.uint8) * np.uint8(255)
        if dtype == np.int16:
            return plane.view(np.uint16) ^ np.uint16(0x8000)
        converted = plane.astype(virtual_dtype(dtype), copy=False)
        if dtype.kind in "iu" and converted.dtype == np.float32:
            lost = np.abs(plane.astype(np.float64)) > 2**24
            if lost.any():
                converted[lost] = np.nan
                self._warn(number, int(lost.sum()), dtype)
        return converted

    def _warn(self, number: int, count: int, dtype: np.dtype[Any]) -> None:
        if not self._warned:
            self._warned = True
            log.warning(
                "slice %d: %d %s values cannot be represented as ImageJ's 32-bit floats, and are shown as NaN",
                number,
                count,
                dtype,
            )


def virtual_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return ImageJ's pixel type for a virtual stack. It depends only on `dtype`, because values are read later.

    Raises
    ------
    ImageError
        If ImageJ has no pixel type for `dtype`, for example if it is complex.
    """
    if dtype in (np.uint8, np.uint16, np.float32):
        return np.dtype(dtype)
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype == np.int16:
        return np.dtype(np.uint16)
    if dtype.kind in "iuf":
        return np.dtype(np.float32)
    raise ImageError(f"ImageJ has no pixel type for {dtype}: show the real part or the absolute value")
