"""Compute devices: the CPU or an accelerator, its memory, and its numerical precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from fijibridge.errors import DeviceError
from fijibridge.machine import available_memory
from fijibridge.renames import rename_attributes

PRECISIONS: dict[str, torch.dtype] = {"32": torch.float32, "bf16": torch.bfloat16, "16": torch.float16}
"""Data types in which a network computes, by the names used in the settings."""


def device_of(name: str | torch.device | None) -> torch.device:
    """Return the device with a given name, or the best available device.

    Parameters
    ----------
    name
        Name, such as ``"cpu"``, ``"cuda"``, ``"cuda:1"`` or ``"mps"``. None means an accelerator if there is one,
        otherwise the CPU.

    Raises
    ------
    DeviceError
        If the name is unknown, or this machine has no such device.
    """
    if name is None:
        return _best()
    kind, _, number = str(name).partition(":")
    if kind not in ("cpu", "cuda", "mps") or not (number.isdecimal() or str(name) == kind):
        raise DeviceError(f"unknown device {str(name)!r}; expected cpu, mps, cuda, or a numbered GPU (cuda:1)")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(number or 0) >= count:
        raise DeviceError(
            f"there is no device {str(name)!r}: this machine has {count} {kind} device(s). Choose cpu, or omit device"
        )
    return torch.device(str(name))


def _best() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def device_memory(device: torch.device) -> int | None:
    """Return the total memory of a CUDA device, or for other devices the available memory of the host, in bytes.

    None means that the memory is unknown.

    See Also
    --------
    fijibridge.machine.available_memory : Available memory, within the limit of a container.
    """
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return available_memory()


def resolve_precision(asked: str | int | None, device: torch.device) -> str:
    """Resolve a requested precision to a key of :data:`PRECISIONS`.

    Parameters
    ----------
    asked
        A key of :data:`PRECISIONS`, or ``"auto"``: bf16 on a GPU that supports it, otherwise 32. None means 32.
        Lightning's names, such as ``"bf16-mixed"``, are accepted too.
    device
        Compute device.

    Examples
    --------
    >>> resolve_precision("auto", torch.device("cpu")), resolve_precision("bf16-mixed", torch.device("cpu"))
    ('32', 'bf16')
    """
    if asked == "auto":
        return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "32"
    return str(asked or "32").split("-")[0]


def autocast(device: torch.device, precision: str) -> AbstractContextManager[Any]:
    """Return a context in which torch computes with `precision`, a key of :data:`PRECISIONS`, where that is safe."""
    kind = PRECISIONS.get(precision, torch.float32)
    return nullcontext() if kind is torch.float32 else torch.autocast(device.type, dtype=kind)


_FULL = (
    "out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "failed to allocate",
    "could not create a primitive", "could not execute a primitive",  # messages of oneDNN, on a CPU
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error means that memory ran out, in Python or in torch on any device.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    True
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _FULL)


rename_attributes(__name__, {"memory": "nn.devices:device_memory"})
