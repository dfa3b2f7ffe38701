"""What there is to compute on: processor or accelerator, and its memory."""

from __future__ import annotations

import torch

from fijibridge.errors import DeviceError
from fijibridge.machine import available_memory


def device_of(name: str | torch.device | None) -> torch.device:
    """Return the device of that name, or the best there is.

    Parameters
    ----------
    name
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; None for an accelerator if there is one, else the CPU.

    Raises
    ------
    DeviceError
        If no device has that name, or this machine has none.
    """
    if name is None:
        return _best()
    kind, _, number = str(name).partition(":")
    if kind not in ("cpu", "cuda", "mps") or not (number.isdecimal() or str(name) == kind):
        raise DeviceError(f"device {str(name)!r} is not known; expected cpu, cuda, cuda:1 or the like, or mps")
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}[kind]
    if int(number or 0) >= count:
        raise DeviceError(f"this machine has no device {str(name)!r}, {count} of its kind: choose cpu, or leave it out")
    return torch.device(str(name))


def _best() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def memory(device: torch.device) -> int | None:
    """Return the bytes of a GPU's memory, or those that are available to programs; None where nothing says it.

    Notes
    -----
    Of the host, what is available within the limit of a container too (:func:`fijibridge.machine.available_memory`).
    """
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    return available_memory()


_FULL = (
    "out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory", "failed to allocate",
    "could not create a primitive", "could not execute a primitive",  # how oneDNN says it, on a CPU
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory was not enough: Python's own, or torch's on any device.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    True
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _FULL)
