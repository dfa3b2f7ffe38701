"""Blocks of memory shared with another process, freed even if one of the two processes is killed."""

from __future__ import annotations

import gc
import logging
import math
import os
import re
import secrets
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
"""Maximum size in bytes of a block with several planes. Large stacks use several blocks, because only one core can
write to a file at a time."""
_AT_ONCE = min(4, os.cpu_count() or 1)
_BUFFER = 1 << 31
"""Size limit of Java's buffers, in bytes."""
_WHERE = "/dev/shm"
"""Folder of shared memory on Linux. It is a separate file system, which is small in containers."""

_NAME = re.compile(r"(psm|wnsm)_\w+")
"""Pattern of the names of blocks created by Appose (in Java) or Python; no other file or shared memory is touched."""
_MADE_HERE = re.compile(r"psm_fijibridge_(?P<space>\d+)_(?P<process>\d+)_[0-9a-f]+")
"""Names of blocks that this module and ``Blocks.java`` create on Linux."""
_TYPES = ("uint8", "uint16", "uint32", "int32", "float32")

_kept: list[SharedMemory] = []
"""Blocks that are still in use after their verb has ended. They are already unlinked; the end of the process frees
them."""


class Blocks:
    """The blocks that one call has received or created.

    If this process is killed, Python's resource tracker, which is a separate process, frees the blocks. (Appose's own
    worker removes its blocks from the tracker, so they remain in memory if it is killed.)
    """

    def __init__(self) -> None:
        self._attached: list[SharedMemory] = []

    def __bool__(self) -> bool:
        return bool(self._attached)

    def attach(self, value: Any) -> Any:
        """Replace the descriptions of blocks in a message with the blocks, at any depth of lists and mappings.

        :meth:`free` frees these blocks, too.

        Raises
        ------
        ImageError
            If a block does not exist, is too small, or has an invalid description.
        """
        if isinstance(value, Mapping):
            if value.get("appose_type") == "ndarray":
                return self._attach(value)
            return {name: self.attach(part) for name, part in value.items()}
        return [self.attach(part) for part in value] if isinstance(value, list) else value

    def _attach(self, description: Mapping[str, Any]) -> NDArray:
        try:
            name, dtype, shape = description["shm"]["name"], description["dtype"], description["shape"]
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"{name!r} is not the name of a block")
            if dtype not in _TYPES or not shape or not all(type(n) is int and n > 0 for n in shape):
                raise ValueError(
                    f"shape {shape} of {dtype!r}; expected a shape of positive integers and one of the types "
                    f"{', '.join(_TYPES)}"
                )
            block = SharedMemory(name=name, rsize=int(description["shm"]["rsize"]))
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise ImageError(f"a block of pixels cannot be read: {error}") from error
        self._attached.append(block)
        if np.dtype(dtype).itemsize * math.prod(shape) > block.size:
            raise ImageError(f"a block of {block.size} bytes is too small for shape {shape} of {dtype}")
        return NDArray(dtype, shape, block)

    def put(self, array: npt.NDArray[Any]) -> dict[str, Any] | None:
        """Copy an array into a new block, and return the block's description; None if the array is empty.

        Raises
        ------
        ImageError
            If there is too little shared memory.
        """
        if not array.size:
            return None
        _check_room(array.nbytes)
        made = self._new(array.dtype, array.shape)
        _copy(made, [array])
        return _description(made)

    def put_planes(self, planes: Sequence[npt.NDArray[Any]]) -> list[dict[str, Any]]:
        """Copy planes of equal shape into new blocks, several into each, and return the descriptions of the blocks.

        Raises
        ------
        ImageError
            If there is too little shared memory, or a plane is too large for Java.
        """
        size = planes[0].nbytes
        if size >= _BUFFER:
            raise ImageError(
                f"a plane of {size / 1e9:.1f} GB cannot be sent to Fiji, because Java's limit is 2 GB: use a part of "
                "the image"
            )
        several = max(1, BLOCK // size)
        parts = [planes[first : first + several] for first in range(0, len(planes), several)]
        _check_room(size * len(planes))
        blocks = [self._new(part[0].dtype, (len(part), *part[0].shape)) for part in parts]
        with ThreadPoolExecutor(min(len(parts), _AT_ONCE)) as pool:
            list(pool.map(_copy, blocks, parts))
        return [_description(block) for block in blocks]

    def _new(self, dtype: np.dtype[Any], shape: Sequence[int]) -> NDArray:
        size = dtype.itemsize * math.prod(shape)
        made = NDArray(str(dtype), list(shape), SharedMemory(_new_name(), create=True, rsize=size))
        self._attached.append(made.shm)
        return made

    def free(self) -> None:
        """Free all blocks."""
        for block in self._attached:
            _unlink(block)
        left = [block for block in self._attached if not _closed(block)]
        self._attached.clear()
        if left:
            gc.collect()
            _kept.extend(block for block in left if not _closed(block))


def _new_name() -> str | None:
    """Return a name that contains this process, so that the block can be removed if the process was killed.

    Python creates blocks that other users cannot read. None lets Appose choose a name, where no folder lists blocks.
    """
    space = _process_space()
    return None if space is None else f"psm_fijibridge_{space}_{os.getpid()}_{secrets.token_hex(8)}"


def _process_space() -> str | None:
    """Return the number of the namespace of process numbers: containers may share memory, but not these numbers."""
    try:
        return re.sub(r"\D", "", os.readlink("/proc/self/ns/pid")) if os.path.isdir(_WHERE) else None
    except OSError:
        return None


def remove_left_blocks() -> list[str]:
    """Remove the blocks of killed processes, and return their names."""
    space, removed = _process_space(), []
    for name in os.listdir(_WHERE) if space is not None else ():
        found = _MADE_HERE.fullmatch(name)
        if found is None or found["space"] != space or os.path.exists(f"/proc/{found['process']}"):
            continue
        path = os.path.join(_WHERE, name)
        try:
            if os.stat(path).st_uid == os.getuid():
                os.unlink(path)
                removed.append(name)
        except OSError as error:  # another worker was faster
            log.debug("%s cannot be removed: %s", path, error)
    return removed


def arrays_of(blocks: Sequence[Any]) -> list[npt.NDArray[Any]]:
    """Return blocks as arrays, without copying.

    Raises
    ------
    ImageError
        If an item of `blocks` is not a block.
    """
    other = [type(block).__name__ for block in blocks if not isinstance(block, NDArray)]
    if other:
        raise ImageError(f"got {other[0]}; expected a block of pixels")
    return [_array(block) for block in blocks]


def _array(block: NDArray) -> npt.NDArray[Any]:
    """Return a block as an array that keeps the memory mapped.

    ``numpy.ndarray(buffer=...)``, which Appose uses, does not keep the memory mapped: reading such an array after the
    block was closed crashes the process.
    """
    return np.frombuffer(block.shm.buf, block.dtype, math.prod(block.shape)).reshape(block.shape)


def _check_room(size: int) -> None:
    free = shutil.disk_usage(_WHERE).free if os.path.isdir(_WHERE) else None
    if free is not None and free < size:  # the first write beyond the free space would crash the process
        raise ImageError(
            f"sending this to Fiji needs {size / 1e6:.0f} MB, but only {free / 1e6:.0f} MB are free in {_WHERE}: "
            "enlarge this folder (in a container, with --shm-size), or use a part of the image"
        )


def _description(block: NDArray) -> dict[str, Any]:
    """Return the description of a block.

    Appose's own form of descriptions is not used, because Appose's Java side finds it only at some depths of a message.
    """
    return {"block": block.shm.name, "size": block.shm.rsize, "dtype": block.dtype, "shape": block.shape}


def _copy(block: NDArray, planes: Sequence[npt.NDArray[Any]]) -> None:
    """Copy planes into a block. If the block is a file, write to the file, because this avoids page faults."""
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
    except FileNotFoundError:  # the other process has freed it already
        if sys.platform != "win32":
            resource_tracker.unregister(f"/{block.name.lstrip('/')}", "shared_memory")
    except OSError as error:  # for example, it belongs to another user; the caller still needs an answer
        log.warning("shared memory %s cannot be freed: %s", block.name, error)


def _closed(block: SharedMemory) -> bool:
    try:
        block.close()
    except BufferError:  # an array in this block is still in use
        return False
    return True
