"""Blocks of memory that are shared with another process, and freed whatever becomes of either of the two."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing import resource_tracker
from typing import Any

import numpy as np
import numpy.typing as npt
from appose import NDArray, SharedMemory

from fijibridge.errors import ImageError

log = logging.getLogger("fijibridge")

LARGEST = 1 << 30
"""Bytes of a block: Java's buffers end at 2 GiB."""
_WHERE = "/dev/shm"
"""Where Linux keeps them: a file system of its own, which is small in containers."""

_kept: list[SharedMemory] = []
"""Blocks that a verb still looks at after its end; without a name, and gone with the process."""


class Blocks:
    """The blocks of one call, those that came and those that go.

    Python's resource tracker, a process of its own, knows each of them until it is freed: if this process is killed, it
    frees them. (Appose's own worker takes them out of the tracker, and leaves them behind then.)
    """

    def __init__(self) -> None:
        self._attached: list[SharedMemory] = []

    def add(self, value: Any) -> None:
        """Be responsible for all blocks in a message, at any depth."""
        self._attached += list(_shared(value))

    def put(self, array: npt.NDArray[Any]) -> dict[str, Any] | None:
        """Copy an array into a new block, and return what finds it; None if it is empty.

        Raises
        ------
        ImageError
            If there is not so much shared memory.
        """
        if not array.size:
            return None
        made = self._new(array.dtype, array.shape)
        _copy(made, [array])
        return _told(made)

    def put_planes(self, planes: Sequence[npt.NDArray[Any]]) -> list[dict[str, Any]]:
        """Copy planes of one shape into new blocks, as many in each as it holds, and return what finds them."""
        several = max(1, LARGEST // planes[0].nbytes)
        made = []
        for first in range(0, len(planes), several):
            part = planes[first : first + several]
            block = self._new(part[0].dtype, (len(part), *part[0].shape))
            _copy(block, part)
            made.append(_told(block))
        return made

    def _new(self, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray:
        size = dtype.itemsize * int(np.prod(shape))
        free = shutil.disk_usage(_WHERE).free if os.path.isdir(_WHERE) else None
        if free is not None and free < size:  # the first write beyond it would end the process
            raise ImageError(
                f"{size / 1e6:.0f} MB are to go to Fiji, and {_WHERE} has {free / 1e6:.0f} MB free: make it larger "
                "(of a container: --shm-size), or take a part of the image"
            )
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
        If a block is smaller than what it should hold.
    """
    arrays = []
    for block in blocks:
        if not isinstance(block, NDArray):
            raise ImageError(f"got {type(block).__name__} in place of a block of pixels")
        size = np.dtype(block.dtype).itemsize * int(np.prod(block.shape))
        if size > block.shm.size:
            raise ImageError(f"a block of {block.shm.size} bytes cannot hold {block.shape} of {block.dtype}")
        arrays.append(block.ndarray())
    return arrays


def _told(block: NDArray) -> dict[str, Any]:
    """Return what finds a block: not as Appose writes it, which in Java looks for blocks in some places only."""
    return {"block": block.shm.name, "size": block.shm.rsize, "dtype": block.dtype, "shape": block.shape}


def _copy(block: NDArray, planes: Sequence[npt.NDArray[Any]]) -> None:
    """Copy planes into a block: where it is a file, by writing that, which spares a fault for each of its pages."""
    place = os.path.join(_WHERE, block.shm.name)
    if not os.path.isfile(place):
        for into, plane in zip(block.ndarray().reshape(len(planes), *planes[0].shape), planes, strict=True):
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


def _shared(value: Any) -> Iterator[SharedMemory]:
    if isinstance(value, NDArray):
        yield value.shm
    elif isinstance(value, SharedMemory):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _shared(part)
    elif isinstance(value, list):
        for part in value:
            yield from _shared(part)


def _unlink(block: SharedMemory) -> None:
    try:
        block.unlink()
    except FileNotFoundError:  # the other side was quicker
        if sys.platform != "win32":
            resource_tracker.unregister(f"/{block.name.lstrip('/')}", "shared_memory")


def _closed(block: SharedMemory) -> bool:
    try:
        block.close()
    except BufferError:  # somebody still looks at it
        return False
    return True
