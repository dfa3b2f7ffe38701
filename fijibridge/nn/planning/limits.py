"""The largest batch or patch whose training keeps a limit of memory, shown by a real step."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from fijibridge.errors import TrainingError
from fijibridge.machine import available_memory, resident_memory
from fijibridge.nn.devices import device_of, memory
from fijibridge.nn.losses import Loss
from fijibridge.nn.memory import fits, last_side, patch_size, training_memory
from fijibridge.nn.patches import Batch
from fijibridge.nn.planning.forecast import host_bound
from fijibridge.nn.planning.probe import LossFunction, OutOfMemory, probe
from fijibridge.nn.traits import Traits, traits

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_TRIES = 8


def bytes_of(limit: int | float | str) -> int:
    """Read an amount of memory.

    Raises
    ------
    TrainingError
        If it is none.

    Examples
    --------
    >>> bytes_of("4GB"), bytes_of("512 MiB"), bytes_of(1e9)
    (4000000000, 536870912, 1000000000)
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][0-9]+)?)\s*([KMGT]?I?)B?\s*", str(limit), re.IGNORECASE)
    if found is None or found[2].upper() not in _UNITS or not float(found[1]):
        raise TrainingError(f"memory limit {limit!r}: expected bytes, or text such as '4GB', '512 MiB'")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def fit_batch(
    net: nn.Module,
    patch: Sequence[int] | None = None,
    *,
    memory_limit: int | float | str | None = None,
    device: str | torch.device | None = None,
    loss: LossFunction | None = None,
    precision: str | int | None = None,
    more_bytes: int = 0,
    most: int = 128,
) -> int:
    """Find the largest batch whose training keeps a limit of memory.

    Parameters
    ----------
    net
        The network; left as it is.
    patch
        Sides of a patch.
    memory_limit
        Bytes, or text such as ``"4GB"``; what the device has left if left out. On a CUDA device it is the most that is
        allocated there, elsewhere all that this process has.
    device, loss, precision
        Of the training.
    more_bytes
        Host memory that the training will take besides, such as images that are not loaded yet.
    most
        The largest batch that is thought of.

    Returns
    -------
    int

    Raises
    ------
    TrainingError
        If not even one patch fits; says what it took.

    Notes
    -----
    What a patch takes at the least tells which batch may fit; it is tried with real steps, which tell what a patch
    takes indeed, until the largest is found.

    Examples
    --------
    >>> from fijibridge import UNet
    >>> fit_batch(UNet(depth=1, width=2), (16, 16), memory_limit="64GB", device="cpu", most=4)
    4
    """
    where = device_of(device)
    size = patch_size(net, patch)
    trial = _Trial(net, where, loss, precision, more_bytes)
    limit = _limit(memory_limit, where)
    pixels = [n * math.prod(size) for n in range(1, max(most, 1) + 1)]
    found = _largest(lambda n: trial.bytes(size, n + 1), pixels, limit, trial.each)
    if found is None:
        raise _nothing(limit, trial.bytes_told, where, f"a single patch of {_times(size)}")
    return found + 1


def fit_patch(
    net: nn.Module,
    batch: int = 8,
    *,
    largest: Sequence[int],
    memory_limit: int | float | str | None = None,
    device: str | torch.device | None = None,
    loss: LossFunction | None = None,
    precision: str | int | None = None,
    more_bytes: int = 0,
) -> tuple[int, ...]:
    """Find the largest patch whose training keeps a limit of memory.

    Parameters
    ----------
    net, memory_limit, device, loss, precision, more_bytes
        As in :func:`fit_batch`.
    batch
        Patches in a batch.
    largest
        Sides of the largest patch that is thought of; smaller ones are of its form, as near as the network allows.

    Raises
    ------
    TrainingError
        If not even the smallest patch fits.
    """
    where = device_of(device)
    trial, limit = _Trial(net, where, loss, precision, more_bytes), _limit(memory_limit, where)
    sizes = _smaller(net, traits(net), largest)
    pixels = [batch * math.prod(size) for size in sizes]
    found = _largest(lambda n: trial.bytes(sizes[n], batch), pixels, limit, trial.each)
    if found is None:
        raise _nothing(
            limit, trial.bytes_told, where, f"a batch of {batch} patches of {_times(sizes[0])}, the smallest"
        )
    return sizes[found]


def _smaller(net: nn.Module, known: Traits, largest: Sequence[int]) -> list[tuple[int, ...]]:
    """Return patches of about one form, from the smallest that the network takes to the largest."""
    longest = max(largest)
    least = min(2 * known.divisor, longest)  # a single value per channel cannot be normalised
    sides = [n for n in range(least, longest + 1) if fits(net, known, n)]
    if not sides:
        raise TrainingError(f"no patch within {_times(largest)} fits the network")
    sizes = [tuple(last_side(net, known, max(round(n * m / longest), sides[0])) or sides[0] for m in largest)
             for n in sides]  # fmt: skip
    return list(dict.fromkeys(sizes))


class _Trial:
    """Real steps on made-up batches, for their memory."""

    def __init__(
        self, net: nn.Module, device: torch.device, loss: LossFunction | None, precision: str | int | None, more: int
    ):
        self.net, self.device, self.precision, self.more = net, device, precision, more
        self.known = traits(net)
        self.loss = loss or Loss(outputs=self.known.outputs)
        self.weights = sum(t.nbytes for t in (*net.parameters(), *net.buffers()))
        self.each = max(training_memory(net, (1,) * self.known.dims, 1) - training_memory(net, (0,), 1), 1)
        self.bytes_told = 0

    def bytes(self, patch: Sequence[int], batch: int) -> int | None:
        """Return what a training with such batches takes; None if a step does not fit at all."""
        try:
            cost = probe(self.net, _made_up(self.known, patch, batch), self.device, self.loss, self.precision,
                         least=1, most=1)  # fmt: skip
        except OutOfMemory:
            return None
        taken = cost.device_bytes if self.device.type == "cuda" else host_bound(cost, self.weights, self.more)
        self.bytes_told = taken or 0
        return self.bytes_told


def _made_up(known: Traits, patch: Sequence[int], batch: int) -> Iterator[Batch]:
    shape = (batch, *patch)
    y = torch.zeros(shape, dtype=torch.int64)
    y[..., ::2] = 1
    if len(known.outputs) > 1:
        y = torch.stack([y] * len(known.outputs), dim=1).float()
    made: tuple[Tensor, Tensor, Tensor] = (torch.rand(batch, known.in_channels, *patch), y, torch.ones(shape))
    while True:
        yield made


def _largest(bytes_of: Callable[[int], int | None], pixels: Sequence[float], limit: int, each: float) -> int | None:
    """Return the largest of some options whose bytes keep a limit, None if the first does not.

    Parameters
    ----------
    bytes_of
        Tries the option of that number, from 0; None if it does not fit at all.
    pixels
        Of each option, from the smallest on.
    limit
        Bytes.
    each
        Bytes of a pixel, as far as they are known.

    Notes
    -----
    The trial of an option tells what a pixel takes, and so which option is to be tried next.
    """
    first = bytes_of(0)
    if first is None or first > limit:
        return None
    best, above = 0, len(pixels)
    for _ in range(_TRIES):
        aim = pixels[0] + (limit - first) / each
        n = min(max(bisect_right(pixels, aim) - 1, best + 1), above - 1)
        if n <= best:
            break
        taken = bytes_of(n)
        if taken is not None and taken <= limit:
            best = n
        else:
            above = n
        if taken is not None:
            each = max(each / 2, (taken - first) / (pixels[n] - pixels[0]))
        elif above > best + 1:
            each = (limit - first) / (pixels[(best + above) // 2] - pixels[0] + 1)
    return best


def _limit(given: int | float | str | None, device: torch.device) -> int:
    if given is not None:
        return bytes_of(given)
    free = memory(device)
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info(device)[0])
    elif (now := resident_memory()) is not None and (left := available_memory()) is not None:
        free = now + left
    if free is None:
        raise TrainingError(f"{device} does not say how much memory it has: give memory_limit, such as '4GB'")
    return int(0.9 * free)


def _nothing(limit: int, taken: int, device: torch.device, what: str) -> TrainingError:
    told = f"takes {taken / 2**20:.0f} MiB" if taken else "does not fit at all"
    has = 0 if device.type == "cuda" else resident_memory() or 0
    of = f", of which this process has {has / 2**20:.0f} MiB already" if has else ""
    return TrainingError(
        f"{what} {told} on {device}{of}, above the limit of {limit / 2**20:.0f} MiB: a network of less width or "
        "depth, smaller patches, or precision='bf16' on a GPU take less; or raise the limit"
    )


def _times(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))
