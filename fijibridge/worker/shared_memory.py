"""Blocks of memory that are shared with another process, and freed whatever becomes of either of the two."""

from __future__ import annotations

import gc
import logging
import math
import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from typing import Any

import numpy as np
import numpy.typing as npt
from appose import NDArray, SharedMemory

from fijibridge.errors import ImageError

log = logging.getLogger("fijibridge")

BLOCK = 1 << 25
"""Bytes of a block of several planes: a file is written by one core at a time, so there are several."""
_AT_ONCE = min(4, os.cpu_count() or 1)
_BUFFER = 1 << 31
"""Bytes at which Java's buffers end."""
_WHERE = "/dev/shm"
"""Where Linux keeps them: a file system of its own, which is small in containers."""

_NAME = re.compile(r"(psm|wnsm)_\w+")
"""Of the blocks that Java's Appose and Python make: no other file or shared memory is touched."""
_TYPES = ("uint8", "uint16", "uint32", "int32", "float32")

_kept: list[SharedMemory] = []
"""Blocks that a verb still looks at after its end; without a name, and gone with the process."""


class Blocks:
    """The blocks of one call, those that came and those that go.

    Python's resource tracker, a process of its own, knows each of them until it is freed: if this process is killed, it
    frees them. (Appose's own worker takes them out of the tracker, and leaves them behind then.)
    """

    def __init__(self) -> None:
        self._attached: list[SharedMemory] = []

    def __bool__(self) -> bool:
        return bool(self._attached)

    def attach(self, value: Any) -> Any:
        """Return a message with the blocks that it names, at any depth; they are freed with the others.

        Raises
        ------
        ImageError
            If there is no such block, or it cannot hold what it should.
        """
        if isinstance(value, Mapping):
            if value.get("appose_type") == "ndarray":
                return self._attach(value)
            return {name: self.attach(part) for name, part in value.items()}
        return [self.attach(part) for part in value] if isinstance(value, list) else value

    def _attach(self, told: Mapping[str, Any]) -> NDArray:
        try:
            name, dtype, shape = told["shm"]["name"], told["dtype"], told["shape"]
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name of one")
            if dtype not in _TYPES or not shape or not all(type(n) is int and n > 0 for n in shape):
                raise ValueError(f"it would be {shape} of {dtype!r}")
            block = SharedMemory(name=name, rsize=int(told["shm"]["rsize"]))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ImageError(f"a block of pixels cannot be had: {error}") from error
        self._attached.append(block)
        if np.dtype(dtype).itemsize * math.prod(shape) > block.size:
            raise ImageError(f"a block of {block.size} bytes cannot hold {shape} of {dtype}")
        return NDArray(dtype, shape, block)

    def put(self, array: npt.NDArray[Any]) -> dict[str, Any] | None:
        """Copy an array into a new block, and return what finds it; None if it is empty.

        Raises
        ------
        ImageError
            If there is not so much shared memory.
        """
        if not array.size:
            return None
        _check_room(array.nbytes)
        made = self._new(array.dtype, array.shape)
        _copy(made, [array])
        return _told(made)

    def put_planes(self, planes: Sequence[npt.NDArray[Any]]) -> list[dict[str, Any]]:
        """Copy planes of one shape into new blocks, as many in each as it holds, and return what finds them.

        Raises
        ------
        ImageError
            If there is not so much shared memory, or a plane is too large for Java.
        """
        size = planes[0].nbytes
        if size >= _BUFFER:
            raise ImageError(
                f"a plane of {size / 1e9:.1f} GB is to go to Fiji, which takes 2: take a part of the image"
            )
        several = max(1, BLOCK // size)
        parts = [planes[first : first + several] for first in range(0, len(planes), several)]
        _check_room(size * len(planes))
        blocks = [self._new(part[0].dtype, (len(part), *part[0].shape)) for part in parts]
        with ThreadPoolExecutor(min(len(parts), _AT_ONCE)) as pool:
            list(pool.map(_copy, blocks, parts))
        return [_told(block) for block in blocks]

    def _new(self, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray:
        made = NDArray(str(dtype), list(shape))
        self._attached.append(made.shm)
        return made

    def free(self) -> None:
        """Give all of them back."""
        for block in self._attached:
            _unlink(block)
        left = [block for block in self._attached if not _closed(block)]
        self._attached.clear()
        if left:
            gc.collect()
            _kept.extend(block for block in left if not _closed(block))


def arrays_of(blocks: Sequence[Any]) -> list[npt.NDArray[Any]]:
    """Return what is in blocks, not copied.

    Raises
    ------
    ImageError
        If something else is there.
    """
    other = [type(block).__name__ for block in blocks if not isinstance(block, NDArray)]
    if other:
        raise ImageError(f"got {other[0]} in place of a block of pixels")
    return [_array(block) for block in blocks]


def _array(block: NDArray) -> npt.NDArray[Any]:
    """Return what is in a block, which cannot be unmapped while somebody looks at it.

    ``numpy.ndarray(buffer=...)``, and so Appose's own, holds no claim on the memory: whoever kept such an array would
    read memory that is gone, which ends the process.
    """
    return np.frombuffer(block.shm.buf, block.dtype, math.prod(block.shape)).reshape(block.shape)


def _check_room(size: int) -> None:
    free = shutil.disk_usage(_WHERE).free if os.path.isdir(_WHERE) else None
    if free is not None and free < size:  # the first write beyond it would end the process
        raise ImageError(
            f"{size / 1e6:.0f} MB are to go to Fiji, and {_WHERE} has {free / 1e6:.0f} MB free: make it larger "
            "(of a container: --shm-size), or take a part of the image"
        )


def _told(block: NDArray) -> dict[str, Any]:
    """Return what finds a block: not as Appose writes it, which in Java looks for blocks in some places only."""
    return {"block": block.shm.name, "size": block.shm.rsize, "dtype": block.dtype, "shape": block.shape}


def _copy(block: NDArray, planes: Sequence[npt.NDArray[Any]]) -> None:
    """Copy planes into a block: where it is a file, by writing that, which spares a fault for each of its pages."""
    place = os.path.join(_WHERE, block.shm.name)
    if not os.path.isfile(place):
        for into, plane in zip(_array(block).reshape(len(planes), *planes[0].shape), planes, strict=True):
            into[...] = plane
        return
    file = os.open(place, os.O_WRONLY)
    try:
        for number, plane in enumerate(planes):
            data = np.ascontiguousarray(plane).reshape(-1).view(np.uint8).data
            written = 0
            while written < len(data):
                written += os.pwrite(file, data[written:], number * plane.nbytes + written)
    finally:
        os.close(file)


def _unlink(block: SharedMemory) -> None:
    try:
        block.unlink()
    except FileNotFoundError:  # the other side was quicker
        if sys.platform != "win32":
            resource_tracker.unregister(f"/{block.name.lstrip('/')}", "shared_memory")
    except OSError as error:  # of another user, say: whoever called waits for an answer all the same
        log.warning("shared memory %s cannot be freed: %s", block.name, error)


def _closed(block: SharedMemory) -> bool:
    try:
        block.close()
    except BufferError:  # somebody still looks at it
        return False
    return True
