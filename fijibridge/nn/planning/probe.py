"""Probe of a training: time and memory of a few real steps on a copy of the network.

The first steps are a warm-up (cuDNN chooses algorithms, AdamW allocates its moments). The others are timed one by one,
including the preparation of their batches; the median excludes outliers. Memory is the peak over all steps.
"""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fijibridge.errors import TrainingError
from fijibridge.machine import PeakMemory, release_memory
from fijibridge.nn.devices import autocast, is_out_of_memory, resolve_precision
from fijibridge.nn.patches import Batch

LossFunction = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Cost:
    """Time and memory of a few real steps.

    Attributes
    ----------
    step_s : float
        Median seconds of a step including the preparation of its batch, without the warm-up.
    check_s : float
        Seconds for a validation batch: forward pass and loss.
    seconds : float
        Seconds of the whole probe.
    host_before, host_bytes : int or None
        Resident memory of this process before the steps, and its growth; None if the system does not report it.
    device_bytes : int or None
        Peak of allocated memory on a CUDA device, with network, gradients and optimizer; None for other devices.
    batch_size, batch_bytes : int
        Number of patches in a batch, and their size in bytes.
    steps : int
        Number of timed steps.
    """

    step_s: float
    check_s: float
    seconds: float
    host_before: int | None
    host_bytes: int | None
    device_bytes: int | None
    batch_size: int
    batch_bytes: int
    steps: int


def probe(
    net: nn.Module,
    batches: Iterable[Batch],
    device: torch.device,
    loss: LossFunction,
    precision: str | int | None = None,
    *,
    least: int = 2,
    most: int = 10,
    seconds: float = 5.0,
) -> Cost:
    """Run a few real steps: forward pass, loss, backward pass, clipping, AdamW.

    Parameters
    ----------
    net
        Network of which a copy is trained; the network itself and torch's random state are left unchanged.
    batches
        Batches (x, y, weight); consumed only as far as needed.
    device
        Compute device.
    loss
        Function that maps (output, y, weight) to a scalar.
    precision
        ``"32"``, ``"bf16"``, ``"16"``, ``"auto"``, or Lightning's names, such as ``"bf16-mixed"``.
    least, most, seconds
        Minimum and maximum number of timed steps, and their approximate total time.

    Raises
    ------
    TrainingError
        If a step does not fit into memory, or there are too few batches.
    """
    began = time.perf_counter()
    with _rng_kept(device), _memory_errors(device):
        release_memory()
        _reset(device)
        with PeakMemory() as host:
            stepper = _Stepper(net, device, loss, precision)
            times = stepper.run(iter(batches), least, most, seconds)
            check_s = stepper.check(3 if most > 1 else 1)
        peak = None if device.type != "cuda" else int(torch.cuda.max_memory_allocated(device))
    if peak is not None and stepper.copied:
        peak -= stepper.weights  # the original network is on the device too, but a training makes no copy
    batch_bytes = sum(t.nbytes for t in stepper.batch)
    return Cost(
        statistics.median(times), check_s, time.perf_counter() - began, host.before, host.growth,
        peak, len(stepper.batch[0]), batch_bytes, len(times),
    )  # fmt: skip


class _Stepper:
    """Trains a copy of a network in the same way as Lightning does."""

    def __init__(self, net: nn.Module, device: torch.device, loss: LossFunction, precision: str | int | None):
        first = next(net.parameters(), None)
        self.copied = first is not None and first.device.type == device.type
        self.net = copy.deepcopy(net).to(device).train()
        self.weights = sum(t.nbytes for t in (*self.net.parameters(), *self.net.buffers()))
        self.device, self.loss, self.precision = device, loss, resolve_precision(precision, device)
        self.optimizer = torch.optim.AdamW(self.net.parameters(), lr=1e-5, weight_decay=1e-4)
        half = self.precision == "16" and device.type == "cuda"
        self.scaler = torch.amp.GradScaler(device.type, enabled=half)
        self.batch: Batch

    def run(self, batches: Iterator[Batch], least: int, most: int, seconds: float) -> list[float]:
        """Warm up, then measure the duration of steps, including the preparation of their batches."""
        for _ in range(3 if self.device.type == "cuda" else 1):
            self.step(_next(batches))
        times: list[float] = []
        while len(times) < least or (len(times) < most and sum(times) < seconds):
            began = time.perf_counter()
            self.step(_next(batches))
            times.append(time.perf_counter() - began)
        return times

    def step(self, batch: Batch) -> None:
        """Train on one batch."""
        self.batch = batch
        self.optimizer.zero_grad()
        self.scaler.scale(self._loss(batch)).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._wait()

    def check(self, count: int) -> float:
        """Return the median seconds of the forward pass and loss over `count` runs."""
        self.net.eval()
        times = []
        with torch.no_grad():
            for _ in range(count):
                began = time.perf_counter()
                float(self._loss(self.batch))
                times.append(time.perf_counter() - began)
        return statistics.median(times)

    def _loss(self, batch: Batch) -> Tensor:
        x, y, weight = (t.to(self.device, non_blocking=True) for t in batch)
        with autocast(self.device, self.precision):
            return self.loss(self.net(x), y, weight)

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def _next(batches: Iterator[Batch]) -> Batch:
    batch = next(batches, None)
    if batch is None:
        raise TrainingError("too few batches for the trial: it needs at least two")
    return batch


def _reset(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


@contextmanager
def _rng_kept(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


@contextmanager
def _memory_errors(device: torch.device) -> Iterator[None]:
    """Raise :class:`OutOfMemory` if torch or Python runs out of memory."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"a training step does not fit into the memory of {device}: {ADVICE}") from error


ADVICE = "lower the batch or the patch, lower the network's width or depth, or use precision='bf16' on a GPU"


class OutOfMemory(TrainingError):
    """Raised when a step does not fit into memory."""
