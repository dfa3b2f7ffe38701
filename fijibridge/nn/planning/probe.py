"""A few real training steps on a copy of the network: what they take of time and memory."""

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
    """What a few real steps took.

    Attributes
    ----------
    step_s : float
        Seconds of a step, with the making of its batch; the median, without the first ones.
    check_s : float
        Seconds of a batch of validation: forward and loss.
    seconds : float
        Of the whole trial.
    host_before, host_bytes : int or None
        What this process had in memory before, and by which it rose; None where the system does not say.
    device_bytes : int or None
        The most that was allocated on a CUDA device, with network, gradients and optimizer; None for other devices.
    batch_size, batch_bytes : int
        Patches and bytes of a batch.
    steps : int
        That were timed.
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
    """Take a few real steps: forward, loss, backward, clipping, AdamW.

    Parameters
    ----------
    net
        A copy of it is trained; the network and torch's random numbers are left as they are.
    batches
        Where batches come from; used up as far as it is read.
    device
        Where the steps are taken.
    loss
        Called with (output, y, weight).
    precision
        ``"32"``, ``"bf16"``, ``"16"``, ``"auto"``, or these as Lightning calls them, ``"bf16-mixed"``.
    least, most, seconds
        Of the steps that are timed: at least and at the most so many, for about so long.

    Raises
    ------
    TrainingError
        If a step does not fit into memory, or there is no batch.
    """
    began = time.perf_counter()
    with _rng_kept(device), _told(device):
        release_memory()
        _reset(device)
        with PeakMemory() as host:
            stepper = _Stepper(net, device, loss, precision)
            times = stepper.run(iter(batches), least, most, seconds)
            check_s = stepper.check(3 if most > 1 else 1)
        peak = None if device.type != "cuda" else int(torch.cuda.max_memory_allocated(device))
    if peak is not None and stepper.copied:
        peak -= stepper.weights  # the network itself is on the device already, its copy is one too many
    batch_bytes = sum(t.nbytes for t in stepper.batch)
    return Cost(
        statistics.median(times), check_s, time.perf_counter() - began, host.before, host.growth,
        peak, len(stepper.batch[0]), batch_bytes, len(times),
    )  # fmt: skip


class _Stepper:
    """A copy of a network that is trained as Lightning would."""

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
        """Warm up, then take steps and time them, with the making of their batches."""
        for _ in range(3 if self.device.type == "cuda" else 1):
            self.step(_next(batches))
        times: list[float] = []
        while len(times) < least or (len(times) < most and sum(times) < seconds):
            began = time.perf_counter()
            self.step(_next(batches))
            times.append(time.perf_counter() - began)
        return times

    def step(self, batch: Batch) -> None:
        """Learn from one batch."""
        self.batch = batch
        self.optimizer.zero_grad()
        self.scaler.scale(self._loss(batch)).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self._wait()

    def check(self, count: int) -> float:
        """Return the seconds of forward and loss alone; the median of so many."""
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
        raise TrainingError("the batches have ended before the trial: there are fewer than it takes, or none")
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
def _told(device: torch.device) -> Iterator[None]:
    """Say in our words that memory was not enough."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(f"a training step does not fit into the memory of {device}: {ADVICE}") from error


ADVICE = "lower the batch or the patch, the network's width or depth, or take precision='bf16' on a GPU"


class OutOfMemory(TrainingError):
    """A trial step that did not fit."""
