"""Scratch space for the images of a training: memory up to a limit, and memory-mapped files beyond it."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import is_mapped, parts
from fijibridge.errors import TrainingError
from fijibridge.machine import available_memory

_PREFIX = ".fijibridge-images-"
_UNKNOWN = 2**33  # bytes assumed if the system does not report its free memory


class Scratch:
    """Store for images: memory up to a limit, and beyond it uncompressed memory-mapped files in a folder.

    Cutting a patch reads only the pixels that it covers, and the system caches the files as memory permits. The folder
    is deleted with the object.

    Parameters
    ----------
    folder
        Parent folder, in which a folder for the files is created when needed; None for the system's temporary folder.
    limit
        Bytes to keep in memory; None for a quarter of the free memory.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, limit: int | None = None):
        self.folder = None if folder is None else Path(folder)
        self.limit = (available_memory() or _UNKNOWN) // 4 if limit is None else limit
        self.held = self.files = 0
        self._place: Path | None = None

    def keep(self, array: Any) -> npt.NDArray[Any]:
        """Return an array from which patches can be cut quickly: one in memory, or a memory-mapped copy.

        Raises
        ------
        TrainingError
            If the disk is full.
        """
        if is_mapped(array):
            return array
        if self.held + array.nbytes <= self.limit:
            self.held += array.nbytes
            return np.asarray(array)
        path = self._made() / f"{self.files}.npy"
        self.files += 1
        try:
            kept = np.lib.format.open_memmap(path, mode="w+", dtype=array.dtype, shape=tuple(array.shape))
            _take_room(path)
            for where in parts(array):
                kept[where] = np.asarray(array[where])
            kept.flush()
        except OSError as error:
            raise TrainingError(
                f"the images need more than a quarter of the free memory, and their copy in {path.parent} could not be "
                f"written: {error}. Free some space there, or set out= to another disk"
            ) from error
        mapped: npt.NDArray[Any] = np.load(path, mmap_mode="r")
        return mapped

    def _made(self) -> Path:
        if self._place is None:
            if self.folder is not None:
                self.folder.mkdir(parents=True, exist_ok=True)
            self._place = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=self.folder))
            weakref.finalize(self, shutil.rmtree, self._place, ignore_errors=True)
        return self._place


def clear_scratch(folder: Path) -> None:
    """Remove scratch folders that a killed run has left behind."""
    for old in folder.glob(f"{_PREFIX}*"):
        shutil.rmtree(old, ignore_errors=True)


def _take_room(path: Path) -> None:
    """Allocate a file on disk: if space ran out later, writing to the mapped file would kill the process (SIGBUS)."""
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
