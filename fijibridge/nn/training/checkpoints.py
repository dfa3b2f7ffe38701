"""Checkpoints: writing, reading without executing code, and comparison with the run to resume."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fijibridge.errors import TrainingError
from fijibridge.files import atomic
from fijibridge.nn.model import FILE_NAME
from fijibridge.nn.training.settings import SETTINGS
from fijibridge.record import RECORD, with_current_names

LAST = "last.ckpt"

MUST_EQUAL = (
    "network", *(name for name, setting in SETTINGS.items() if setting.resume == "equal"),
    "augmentation", "fingerprint", "normalisation", "sampler",
)  # fmt: skip
"""Entries of a record that must be equal for a run to be resumed."""


def write_checkpoint(content: Mapping[str, Any], path: str | os.PathLike[str]) -> None:
    """Write a checkpoint to a temporary file, and rename that file.

    If the process is killed or the disk is full, the previous checkpoint is unchanged.

    Raises
    ------
    OSError
        If the disk is full.
    """
    with atomic(path) as temporary:
        try:
            torch.save(dict(content), temporary)
        except RuntimeError as error:  # raised by torch on a full disk
            free = shutil.disk_usage(temporary.parent).free / 2**20
            raise OSError(f"the checkpoint does not fit on the disk ({free:,.0f} MiB free): {error}") from error


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a checkpoint of a training, which contains only tensors and plain values, into CPU memory.

    Raises
    ------
    TrainingError
        If the file is missing, damaged or from another program, or contains anything but tensors and plain values, such
        as code.
    """
    file = Path(path)
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()  # torch writes checksums, but does not check them
        if damaged is not None:
            raise zipfile.BadZipFile(f"it is damaged: the checksum of {damaged} is wrong")
        content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise TrainingError(
            f"{file} contains more than weights and numbers, and was not read, because reading it could execute code: "
            f"use a checkpoint written by fijibridge ({str(error).splitlines()[0][:200]})"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise TrainingError(f"{file} cannot be read as a checkpoint: {error or type(error).__name__}") from error
    if not isinstance(content, dict) or "fijibridge" not in content:
        raise TrainingError(f"{file} is not a checkpoint of a fijibridge training")
    return content


def check_folder(folder: Path, overwrite: bool) -> None:
    """Refuse a folder whose run would be lost.

    Raises
    ------
    TrainingError
        If the folder contains a run, and `overwrite` is False.
    """
    if overwrite:
        return
    if (folder / LAST).is_file():
        raise TrainingError(
            f"{folder} contains an unfinished run: resume it (resume=True, --resume), choose another folder, or allow "
            "its loss (overwrite=True, --overwrite)"
        )
    if (folder / FILE_NAME).is_file():
        raise TrainingError(
            f"{folder} contains a finished run, whose {FILE_NAME} would be lost: choose another folder (out, --out), "
            "or allow its loss (overwrite=True, --overwrite)"
        )


def checkpoint_to_resume(folder: Path | None, resume: bool | str, described: Mapping[str, Any]) -> Path | None:
    """Check the checkpoint to resume from, and return its path; None to start from the beginning.

    Parameters
    ----------
    folder
        Folder of the run.
    resume
        The argument of :func:`fijibridge.train`.
    described
        Entry ``settings`` of the new record, to compare with the entry in the old record.

    Raises
    ------
    TrainingError
        If there is no checkpoint to resume from, it cannot be read, or the run started with other settings or images.
    """
    if not resume:
        return None
    if resume not in (True, "auto"):
        raise TrainingError(f"resume is {resume!r}; expected True, False or 'auto'")
    if folder is None:
        raise TrainingError("resume needs the folder of the run: pass out=")
    if not (folder / LAST).is_file():
        complete = (folder / FILE_NAME).is_file()
        if resume == "auto" and not complete:
            return None
        raise TrainingError(_nothing_to_resume(folder, complete))
    read_checkpoint(folder / LAST)
    _compare(folder, described)
    return folder / LAST


def _nothing_to_resume(folder: Path, complete: bool) -> str:
    if complete:
        return (
            f"{folder} contains no {LAST}, because its run is complete. For further epochs, train its model in a "
            "new run: fijibridge.train(folder, ..., out=another), or --from"
        )
    return f"{folder} contains no {LAST}: omit resume to start a run, or use resume='auto' to start or resume"


def _compare(folder: Path, described: Mapping[str, Any]) -> None:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{folder / RECORD}, the settings of the run to resume, cannot be read: {error}") from error
    then, now = with_current_names(record), json.loads(json.dumps(dict(described), default=str))
    other = [f"{k}: {then.get(k)} then, {now.get(k)} now" for k in MUST_EQUAL if then.get(k) != now.get(k)]
    if other:
        raise TrainingError(
            f"the run in {folder} started with other settings ({'; '.join(other)}): use the old ones, or train its "
            "model in a new run: fijibridge.train(folder, ..., out=another)"
        )
