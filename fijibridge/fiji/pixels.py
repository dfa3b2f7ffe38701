"""Copying of pixels between Java arrays and numpy memory, at about the speed of numpy.copy.

A plane is copied as one block, through a direct buffer over the numpy memory. Several planes are copied in parallel,
because calls into Java release Python's global interpreter lock.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jpype
import numpy as np
import numpy.typing as npt

from fijibridge.errors import ImageError

T = TypeVar("T")
R = TypeVar("R")

_PARALLEL_FROM = 1 << 20
"""Number of bytes below which threads cost more time than they save."""


def copy_from_java(pixels: Any, out: npt.NDArray[Any]) -> None:
    """Copy a Java primitive array into numpy memory of the same size, in one block."""
    if len(pixels) != out.size:
        raise ImageError(f"the plane from ImageJ has {len(pixels)} pixels; expected {out.size}")
    target = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
    _buffer(target, _view_of(pixels)).put(pixels)
    if target is not out:
        out[...] = target


def copy_to_java(array: npt.NDArray[Any]) -> Any:
    """Copy numpy memory into a new Java primitive array with the same item size."""
    array = np.ascontiguousarray(array)
    kind = {1: jpype.JByte, 2: jpype.JShort, 4: jpype.JFloat if array.dtype.kind == "f" else jpype.JInt}
    pixels = jpype.JArray(kind[array.dtype.itemsize])(array.size)
    copy_into_java(array, pixels)
    return pixels


def copy_into_java(array: npt.NDArray[Any], pixels: Any) -> None:
    """Copy numpy memory into a Java primitive array of the same size."""
    _buffer(np.ascontiguousarray(array), _view_of(pixels)).get(pixels)


def _view_of(pixels: Any) -> str | None:
    kinds = {"byte[]": None, "short[]": "asShortBuffer", "float[]": "asFloatBuffer", "int[]": "asIntBuffer"}
    return kinds[str(pixels.getClass().getSimpleName())]


def _buffer(array: npt.NDArray[Any], view: str | None) -> Any:
    order = jpype.JClass("java.nio.ByteOrder").nativeOrder()
    direct = jpype.nio.convertToDirectBuffer(array.reshape(-1).data.cast("B")).order(order)
    return direct if view is None else getattr(direct, view)()


def each_plane(work: Callable[[T], R], planes: Iterable[T], nbytes: int) -> list[R]:
    """Call a function for each plane, in threads if the planes are large, and return the results in order."""
    items = list(planes)
    if len(items) < 2 or nbytes < _PARALLEL_FROM:
        return [work(item) for item in items]
    # More than a few threads exceed the memory bandwidth. Each call has its own pool: computing a plane of a virtual
    # stack may read other planes from Fiji, which would deadlock in a shared pool.
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 4, len(items)), thread_name_prefix="fijibridge-pixels") as pool:
        return list(pool.map(work, items))
