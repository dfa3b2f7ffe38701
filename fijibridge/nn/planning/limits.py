"""Memory limits: the largest batch or patch whose training stays within a limit, found by real steps."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from fijibridge.errors import TrainingError
from fijibridge.machine import available_memory, resident_memory
from fijibridge.nn.devices import device_memory, device_of
from fijibridge.nn.losses import Loss
from fijibridge.nn.memory import parse_bytes, training_memory
from fijibridge.nn.patches import Batch
from fijibridge.nn.patches.size import patch_size
from fijibridge.nn.planning.forecast import host_bound
from fijibridge.nn.planning.probe import LossFunction, OutOfMemory, probe
from fijibridge.nn.traits import Traits, last_side, takes_side, traits
from fijibridge.renames import rename_attributes

_TRIES = 8


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
    """Find the largest batch whose training stays within a memory limit.

    Parameters
    ----------
    net
        The network; left unchanged.
    patch
        Sides of a patch, pixels.
    memory_limit
        Bytes, or text such as ``"4GB"``; by default, 90 % of the free memory of the device. On a CUDA device, the limit
        applies to the memory allocated there, otherwise to all memory of this process.
    device, loss, precision
        As in the training.
    more_bytes
        Further host memory of the training, such as images that are not loaded yet.
    most
        Largest batch to try.

    Returns
    -------
    int
        Patches in a batch.

    Raises
    ------
    TrainingError
        If not even one patch fits; the message states the memory that it needs.

    Notes
    -----
    The first candidate follows from the estimated minimum memory of a patch, and is tried with real steps. The measured
    memory per patch yields the next candidate, until the largest batch is found.

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
        raise _nothing(limit, trial.taken, where, f"a single patch of {_times(size)}")
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
    """Find the largest patch whose training stays within a memory limit.

    Parameters
    ----------
    net, memory_limit, device, loss, precision, more_bytes
        As in :func:`fit_batch`.
    batch
        Patches in a batch.
    largest
        Sides of the largest patch to try. Smaller patches have the same proportions, as far as the network allows.

    Returns
    -------
    tuple of int
        Sides of a patch, pixels.

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
        raise _nothing(limit, trial.taken, where, f"a batch of {batch} patches of {_times(sizes[0])}, the smallest")
    return sizes[found]


def _smaller(net: nn.Module, known: Traits, largest: Sequence[int]) -> list[tuple[int, ...]]:
    """Return patch sizes with about the proportions of `largest`, starting with the smallest valid one."""
    longest = max(largest)
    least = min(2 * known.divisor, longest)  # normalisation fails on a lowest level of one pixel per channel
    sides = [n for n in range(least, longest + 1) if takes_side(net, known, n)]
    if not sides:
        raise TrainingError(f"the network accepts no patch of at most {_times(largest)} px")
    sizes = [tuple(last_side(net, known, max(round(n * m / longest), sides[0])) or sides[0] for m in largest)
             for n in sides]  # fmt: skip
    return list(dict.fromkeys(sizes))


class _Trial:
    """Measures the memory of a training by real steps on random batches."""

    def __init__(
        self, net: nn.Module, device: torch.device, loss: LossFunction | None, precision: str | int | None, more: int
    ):
        self.net, self.device, self.precision, self.more = net, device, precision, more
        self.known = traits(net)
        self.loss = loss or Loss(outputs=self.known.outputs)
        self.weights = sum(t.nbytes for t in (*net.parameters(), *net.buffers()))
        self.each = max(training_memory(net, (1,) * self.known.dims, 1) - training_memory(net, (0,), 1), 1)
        self.taken = 0

    def bytes(self, patch: Sequence[int], batch: int) -> int | None:
        """Return the bytes that a training with batches of this size needs; None if a step does not fit at all."""
        try:
            cost = probe(self.net, _random_batches(self.known, patch, batch), self.device, self.loss, self.precision,
                         least=1, most=1)  # fmt: skip
        except OutOfMemory:
            return None
        taken = cost.device_bytes if self.device.type == "cuda" else host_bound(cost, self.weights, self.more)
        self.taken = taken or 0
        return self.taken


def _random_batches(known: Traits, patch: Sequence[int], batch: int) -> Iterator[Batch]:
    shape = (batch, *patch)
    y = torch.zeros(shape, dtype=torch.int64)
    y[..., ::2] = 1
    if len(known.outputs) > 1:
        y = torch.stack([y] * len(known.outputs), dim=1).float()
    made: tuple[Tensor, Tensor, Tensor] = (torch.rand(batch, known.in_channels, *patch), y, torch.ones(shape))
    while True:
        yield made


def _largest(measure: Callable[[int], int | None], pixels: Sequence[float], limit: int, each: float) -> int | None:
    """Return the index of the largest option whose memory stays within a limit; None if the first option exceeds it.

    Parameters
    ----------
    measure
        Function that maps the index of an option to the bytes that the option needs; None if it does not fit at all.
    pixels
        Number of pixels of each option; the options are sorted by it.
    limit
        Memory limit in bytes.
    each
        Estimate of the bytes per pixel.

    Notes
    -----
    The search narrows the range between `best`, the largest option known to fit, and `above`, the smallest known not to
    fit. Memory grows about linearly with pixels: each measurement corrects the bytes per pixel, from which the next
    option follows. A bisection by index would try large options, which are slow to compute.
    """
    first = measure(0)
    if first is None or first > limit:
        return None
    best, above = 0, len(pixels)
    for _ in range(_TRIES):
        aim = pixels[0] + (limit - first) / each
        n = min(max(bisect_right(pixels, aim) - 1, best + 1), above - 1)
        if n <= best:
            break
        taken = measure(n)
        if taken is not None and taken <= limit:
            best = n
        else:
            above = n
        if taken is not None:
            each = max(each / 2, (taken - first) / (pixels[n] - pixels[0]))
        elif above > best + 1:  # out of memory, so nothing was measured: aim at the middle
            each = (limit - first) / (pixels[(best + above) // 2] - pixels[0] + 1)
    return best


def _limit(given: int | float | str | None, device: torch.device) -> int:
    if given is not None:
        return parse_bytes(given)
    free = device_memory(device)
    if device.type == "cuda":
        free = int(torch.cuda.mem_get_info(device)[0])
    elif (now := resident_memory()) is not None and (left := available_memory()) is not None:
        free = now + left
    if free is None:
        raise TrainingError(f"the memory of {device} is unknown: pass memory_limit, such as '4GB'")
    return int(0.9 * free)


def _nothing(limit: int, taken: int, device: torch.device, what: str) -> TrainingError:
    need = f"needs {taken / 2**20:.0f} MiB" if taken else "does not fit at all"
    has = 0 if device.type == "cuda" else resident_memory() or 0
    of = f" ({has / 2**20:.0f} MiB of it already used by this process)" if has else ""
    return TrainingError(
        f"{what} {need} on {device}{of}; the limit is {limit / 2**20:.0f} MiB: lower the width or depth of the "
        "network, lower the patch, use precision='bf16' on a GPU, or raise the limit"
    )


def _times(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


rename_attributes(__name__, {"bytes_of": "nn.memory:parse_bytes"})
