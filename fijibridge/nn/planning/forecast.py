"""Forecast and measurement of the time and memory of a training."""

from __future__ import annotations

import copy
import dataclasses
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import pandas as pd
import torch
from torch import nn

from fijibridge.errors import TrainingError
from fijibridge.machine import PeakMemory
from fijibridge.nn.losses import Loss
from fijibridge.nn.patches import Batch, Feed, PatchSampler
from fijibridge.nn.planning.probe import Cost, LossFunction, probe
from fijibridge.nn.traits import traits
from fijibridge.record import compare_forecast

LOOKED_AT = 4
"""Number of training batches whose loss is computed before the first step; for validation, all batches are used."""
_START_S = 0.6  # seconds that Lightning needs before its first step
_WRITE = 300e6  # bytes per second when writing a checkpoint
_SPARE = 64 * 2**20  # bytes for tables, logs and threads
_SLACK = 0.25  # fraction of the memory growth during the trial that the allocator may retain


@dataclass(frozen=True)
class Forecast:
    """Predicted time and memory of a training.

    Attributes
    ----------
    patches : int
        Number of patches in an epoch.
    setup_s : float
        Seconds before the first step.
    host_bytes : int or None
        Upper bound of the memory of this process; None if the system does not report it.
    device_bytes : int or None
        Peak of allocated memory on a CUDA device; None for other devices.
    step_s, epoch_s, total_s : float
        Duration of a step, of an epoch with its validation and checkpoint, and of the whole training, in seconds.
    """

    patches: int
    setup_s: float
    host_bytes: int | None
    device_bytes: int | None
    step_s: float
    epoch_s: float
    total_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Forecast:
        """Create a forecast from a dict returned by :meth:`to_dict`.

        Raises
        ------
        TrainingError
            If a field is missing.
        """
        names = [f.name for f in dataclasses.fields(cls)]
        missing = [n for n in names if n not in values]
        if missing:
            raise TrainingError(f"the forecast lacks the fields {', '.join(missing)}; expected {', '.join(names)}")
        return cls(**{n: values[n] for n in names})

    def compare(self, measured: Mapping[str, Any]) -> pd.DataFrame:
        """Compare the forecast with a measurement.

        Parameters
        ----------
        measured
            Measured values by field name, as :meth:`Measurement.result` returns them; missing values become NaN.

        Returns
        -------
        pandas.DataFrame
            Index ``quantity``; columns ``forecast``, ``measured``, ``ratio`` = measured / forecast.

        Examples
        --------
        >>> forecast = Forecast(100, 2.0, 1000, None, 0.5, 10.0, 102.0)
        >>> float(forecast.compare({"epoch_s": 11.0, "host_bytes": 900}).loc["epoch_s", "ratio"])
        1.1
        """
        return compare_forecast(self.to_dict(), measured)


def forecast_training(
    net: nn.Module,
    sampler: Iterable[Batch],
    watch: Iterable[Batch] | None = None,
    epochs: int = 1,
    device: torch.device | str = "cpu",
    loss: LossFunction | None = None,
    precision: str | int | None = None,
    *,
    batches: int | None = None,
    spent_s: float = 0.0,
    more_bytes: int = 0,
    ema: bool = False,
    ahead: bool = False,
    seconds: float = 5.0,
) -> Forecast:
    """Forecast the time and memory of a training from a few real steps.

    Parameters
    ----------
    net
        Network to train. The network, the position of the sampler and torch's random state are left unchanged.
    sampler
        Batches of an epoch: a :class:`fijibridge.PatchSampler`, or an iterable that can be iterated repeatedly.
    watch
        Validation batches.
    epochs
        Number of epochs of the training.
    device, loss, precision
        As in the training; if omitted, the loss is :class:`fijibridge.nn.losses.Loss`.
    batches
        Number of batches in an epoch; required if the sampler has no length.
    spent_s
        Seconds already spent on the set-up, which are added to the forecast of its duration.
    more_bytes
        Further host memory of the training, such as images that are not loaded yet.
    ema
        Whether the training keeps a moving average of the weights on the device.
    ahead
        Whether this forecast precedes a training that runs its own, shorter trial. If so, the set-up does not include
        what this trial has already loaded and compiled.
    seconds
        Approximate time of the trial.

    Returns
    -------
    Forecast

    Raises
    ------
    TrainingError
        If a step does not fit into memory, if the sampler has no length and `batches` is omitted, or if the sampler is
        an iterator, which the trial would consume.

    Notes
    -----
    Time is the median duration of a trial step, including the preparation of its batch, times the number of batches;
    the same holds for validation.

    Host memory (an upper bound) is the sum of: this process's memory before the trial; its growth during the trial, in
    which a copy of the network is trained (weights, gradients, both AdamW moments); a quarter of that growth, which the
    allocator may retain; six copies of the weights (the best and the averaged weights, a checkpoint with both
    moments, and its bytes while it is written); four batches; `more_bytes`; and 64 MiB for tables, logs and threads.
    """
    import lightning.pytorch  # noqa: F401  loaded by the training, so its memory counts

    where = torch.device(device)
    count = _length(sampler, batches)
    if loss is None:
        loss = Loss(outputs=traits(net).outputs)
    most = max(2, min(10, epochs * count))
    cost = probe(net, _endless(sampler, where), where, loss, precision, most=most, seconds=seconds)
    if ahead:  # a later trial is faster: one warm-up step, the timed steps, three checks
        cost = dataclasses.replace(cost, seconds=(cost.steps + 1) * cost.step_s + 3 * cost.check_s)
    weights = sum(t.nbytes for t in (*net.parameters(), *net.buffers()))
    batch, checks = _batch_size(sampler, cost), _checks(watch)
    return extrapolate(cost, count, batch, checks, epochs, weights, spent_s, more_bytes, ema)


def extrapolate(
    cost: Cost, batches: int, batch: int, checks: int, epochs: int, weights: int,
    spent_s: float = 0.0, more_bytes: int = 0, ema: bool = False,
) -> Forecast:  # fmt: skip
    """Extrapolate the cost of a trial to a whole training.

    Parameters
    ----------
    cost
        Cost of the trial.
    batches, batch, checks, epochs
        Number of training batches in an epoch, of patches in a batch, of validation batches, and of epochs.
    weights
        Size of the network in bytes.
    spent_s, more_bytes, ema
        As in :func:`forecast_training`.
    """
    before = min(LOOKED_AT, batches) + checks
    setup_s = spent_s + cost.seconds + before * cost.check_s + _START_S
    epoch_s = batches * cost.step_s + checks * cost.check_s + 4 * weights / _WRITE
    on_device = None if cost.device_bytes is None else cost.device_bytes + (weights if ema else 0)
    total_s = setup_s + epochs * epoch_s
    host = host_bound(cost, weights, more_bytes)
    return Forecast(batches * batch, setup_s, host, on_device, cost.step_s, epoch_s, total_s)


def host_bound(cost: Cost, weights: int, more_bytes: int = 0) -> int | None:
    """Return an upper bound of the host memory of a training; see the notes of :func:`forecast_training`."""
    now = cost.host_before
    if now is None or cost.host_bytes is None:
        return None
    return int(now + (1 + _SLACK) * cost.host_bytes + 6 * weights + 4 * cost.batch_bytes + more_bytes + _SPARE)


def _length(sampler: Iterable[Batch], batches: int | None) -> int:
    if iter(sampler) is sampler:
        raise TrainingError(
            "the batches are an iterator, which a trial would consume: pass an iterable that can be iterated "
            "repeatedly, such as a list, a PatchSampler, or an object with __iter__ and __len__"
        )
    if batches is None:
        try:
            return len(sampler)  # type: ignore[arg-type]
        except TypeError:
            raise TrainingError(
                "the sampler has no length: pass the number of batches in an epoch as batches="
            ) from None
    return int(batches)


def _checks(watch: Iterable[Batch] | None) -> int:
    return 0 if watch is None else _length(watch, None)


def _batch_size(sampler: Iterable[Batch], cost: Cost) -> int:
    return int(getattr(sampler, "batch", 0) or cost.batch_size)


def _endless(sampler: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield batches epoch after epoch, without advancing the sampler."""
    aside = copy.copy(sampler)  # has its own position
    source = Feed(aside, device) if isinstance(aside, PatchSampler) else aside
    while True:
        count = 0
        for count, batch in enumerate(source, start=1):  # noqa: B007
            yield batch
        if not count:
            return


class Measurement:
    """Measurement of the time and memory of a training, to compare with its :class:`Forecast`.

    Notes
    -----
    Use it as a context manager that is entered when the set-up begins. Call :meth:`began` when the first step begins,
    :meth:`step` after each step, and :meth:`epoch` after each epoch with its validation. A training that stops early is
    measured up to that point.

    Examples
    --------
    >>> with Measurement() as measured:
    ...     measured.began()
    ...     for _ in range(3):
    ...         measured.step()
    ...     measured.epoch()
    >>> sorted(measured.result())
    ['device_bytes', 'epoch_s', 'epochs', 'host_bytes', 'patches', 'setup_s', 'step_s', 'total_s']
    """

    def __init__(self, device: torch.device | str = "cpu", patches: int | None = None):
        self.device, self.patches = torch.device(device), patches
        self._memory = PeakMemory()
        self._steps: list[float] = []
        self._epochs: list[float] = []
        self._start = self._last_step = self._last_epoch = self._began = self._ended = 0.0

    def __enter__(self) -> Measurement:
        self._memory.__enter__()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = time.perf_counter()
        self._memory.__exit__(kind, error, trace)

    def began(self) -> None:
        """Mark the beginning of the first step, which ends the set-up."""
        self._began = self._last_step = self._last_epoch = time.perf_counter()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)  # forget the peak of the trial

    def step(self) -> None:
        """Mark the end of a step."""
        now = time.perf_counter()
        self._steps.append(now - self._last_step)
        self._last_step = now

    def epoch(self) -> None:
        """Mark the end of an epoch with its validation."""
        now = time.perf_counter()
        self._epochs.append(now - self._last_epoch)
        self._last_epoch = self._last_step = now

    def result(self) -> dict[str, Any]:
        """Return the measured values by field name of :class:`Forecast`; values that were not measured are None."""
        cuda = self.device.type == "cuda"
        return {
            "patches": self.patches,
            "setup_s": self._began - self._start if self._began else None,
            "host_bytes": self._memory.peak,
            "device_bytes": int(torch.cuda.max_memory_allocated(self.device)) if cuda else None,
            "step_s": statistics.median(self._steps) if self._steps else None,
            "epoch_s": statistics.median(self._epochs) if self._epochs else None,
            "total_s": (self._ended or time.perf_counter()) - self._start,
            "epochs": len(self._epochs),
        }
