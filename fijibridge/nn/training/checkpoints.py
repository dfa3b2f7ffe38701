"""Checkpoints that are whole or not there, and that execute nothing when they are read."""

from __future__ import annotations

import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from fijibridge.errors import TrainingError
from fijibridge.files import atomic

LAST = "last.ckpt"


class AtomicCheckpoints(TorchCheckpointIO):
    """Lightning's checkpoints in files that replace the one before in one step, read with ``weights_only``."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        """Write beside, then rename: a kill or a full disk leaves the one before as it was."""
        with atomic(path) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # what torch makes of a full disk
                free = shutil.disk_usage(temporary.parent).free / 2**20
                raise OSError(f"the disk, with {free:,.0f} MiB free, did not take all of it: {error}") from error

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        """Read tensors and plain values, nothing else, onto the CPU."""
        return read_checkpoint(path)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint of a training.

    Raises
    ------
    TrainingError
        If it is not there, damaged, not one of ours, or holds more than tensors and plain values (code, that is).
    """
    file = Path(path)
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TrainingError(
            f"{file} holds more than weights and numbers, and was not read, because reading could execute it: "
            f"take a checkpoint that fijibridge wrote ({str(error).splitlines()[0][:200]})"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{file} cannot be read as a checkpoint: {error or type(error).__name__}") from error
    if not isinstance(content, dict) or "fijibridge" not in content:
        raise TrainingError(f"{file} is no checkpoint of a fijibridge training")
    return content
