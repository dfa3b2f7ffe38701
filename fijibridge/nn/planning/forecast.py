"""What a training will take, told before it, and what it took, told after it."""

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
"""Batches of training, at the most, whose loss is looked at before the first step; of validation it is all."""
_START_S = 0.6  # Lightning, before its first step
_WRITE = 300e6  # bytes a second, of a checkpoint
_SPARE = 64 * 2**20  # bytes of tables, logs, threads
_SLACK = 0.25  # of the growth seen in the trial: what the allocator does not give back between steps


@dataclass(frozen=True)
class Forecast:
    """What a training will take.

    Attributes
    ----------
    patches : int
        In an epoch.
    setup_s : float
        Seconds before the first step.
    host_bytes : int or None
        Memory of this process at the most, a bound; None where the system does not say what a process has.
    device_bytes : int or None
        Peak allocation on a CUDA device; None on others.
    step_s, epoch_s, total_s : float
        Seconds of a step, of an epoch with its validation and checkpoint, of all.
    """

    patches: int
    setup_s: float
    host_bytes: int | None
    device_bytes: int | None
    step_s: float
    epoch_s: float
    total_s: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Forecast:
        """Read what :meth:`to_dict` gave.

        Raises
        ------
        TrainingError
            If a field is missing.
        """
        names = [f.name for f in dataclasses.fields(cls)]
        missing = [n for n in names if n not in values]
        if missing:
            raise TrainingError(f"a forecast without {', '.join(missing)}; expected {', '.join(names)}")
        return cls(**{n: values[n] for n in names})

    def compare(self, measured: Mapping[str, Any]) -> pd.DataFrame:
        """Set it beside what really was.

        Parameters
        ----------
        measured
            By the names of the fields, as :meth:`Measurement.result` gives it; what is missing is NaN.

        Returns
        -------
        pandas.DataFrame
            Index ``quantity``; columns ``forecast``, ``measured``, ``ratio`` = measured / forecast.

        Examples
        --------
        >>> told = Forecast(100, 2.0, 1000, None, 0.5, 10.0, 102.0)
        >>> float(told.compare({"epoch_s": 11.0, "host_bytes": 900}).loc["epoch_s", "ratio"])
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
    """Forecast a training from a few real steps of it.

    Parameters
    ----------
    net
        The network; it is left as it is, and so are the sampler's place and torch's random numbers.
    sampler
        What gives the batches of an epoch: a :class:`fijibridge.PatchSampler`, or an iterable that begins anew
        each time.
    watch
        What gives those of the validation.
    epochs
        Of the training.
    device, loss, precision
        As they will be in the training; the loss is that of :class:`fijibridge.nn.losses.Loss` if left out.
    batches
        In an epoch, where the sampler has no length.
    spent_s
        Seconds that the set-up has taken so far: they are part of it.
    more_bytes
        Host memory that the training will take besides, such as images that are not loaded yet.
    ema
        Whether a moving average of the weights is kept on the device too.
    ahead
        Whether this is told ahead of the training, which will make its own, shorter, trial: what is loaded and compiled
        once is not counted in its set-up.
    seconds
        How long to try, about.

    Returns
    -------
    Forecast

    Raises
    ------
    TrainingError
        If a step does not fit into memory, or the sampler has no length and `batches` is left out, or it is an iterator
        that the trial would use up.

    Notes
    -----
    Time: the median step of the trial, with the making of its batch, times the batches; validation batches likewise.
    Host memory, a bound: what this process had before, and by how much it rose in the trial (which trains a copy of the
    network: weights, gradients, both moments of AdamW), a quarter of that for what the allocator keeps, six copies of
    the weights (best and averaged ones, a checkpoint with both moments, and its bytes while it is written), four
    batches, and 64 MiB for tables, logs and threads.
    """
    import lightning.pytorch  # noqa: F401  what the training will load is part of this process's memory

    where = torch.device(device)
    count = _length(sampler, batches)
    if loss is None:
        loss = Loss(outputs=traits(net).outputs)
    most = max(2, min(10, epochs * count))
    cost = probe(net, _endless(sampler, where), where, loss, precision, most=most, seconds=seconds)
    if ahead:
        cost = dataclasses.replace(cost, seconds=(cost.steps + 1) * cost.step_s + 3 * cost.check_s)
    weights = sum(t.nbytes for t in (*net.parameters(), *net.buffers()))
    return told(cost, count, _batch_size(sampler, cost), _checks(watch), epochs, weights, spent_s, more_bytes, ema)


def told(
    cost: Cost, batches: int, batch: int, checks: int, epochs: int, weights: int,
    spent_s: float = 0.0, more_bytes: int = 0, ema: bool = False,
) -> Forecast:  # fmt: skip
    """Make a forecast of what a trial has cost.

    Parameters
    ----------
    cost
        Of the trial.
    batches, batch, checks, epochs
        Batches of training in an epoch, patches in each, batches of validation, epochs.
    weights
        Bytes of the network.
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
    """Return a bound of the host memory that a training takes; see the notes of :func:`forecast_training`."""
    now = cost.host_before
    if now is None or cost.host_bytes is None:
        return None
    return int(now + (1 + _SLACK) * cost.host_bytes + 6 * weights + 4 * cost.batch_bytes + more_bytes + _SPARE)


def _length(sampler: Iterable[Batch], batches: int | None) -> int:
    if iter(sampler) is sampler:
        raise TrainingError(
            "the batches come from an iterator that a trial would use up: give something that begins anew each time, "
            "such as a list, a PatchSampler, or an object with __iter__ and __len__"
        )
    if batches is None:
        try:
            return len(sampler)  # type: ignore[arg-type]
        except TypeError:
            raise TrainingError("the sampler does not say how many batches an epoch has: pass batches=...") from None
    return int(batches)


def _checks(watch: Iterable[Batch] | None) -> int:
    return 0 if watch is None else _length(watch, None)


def _batch_size(sampler: Iterable[Batch], cost: Cost) -> int:
    return int(getattr(sampler, "batch", 0) or cost.batch_size)


def _endless(sampler: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """Yield batches as a training would, epoch after epoch, without moving the sampler on."""
    aside = copy.copy(sampler)
    source = Feed(aside, device) if isinstance(aside, PatchSampler) else aside
    while True:
        count = 0
        for count, batch in enumerate(source, start=1):  # noqa: B007
            yield batch
        if not count:
            return


class Measurement:
    """What a training really took; the other half of :class:`Forecast`.

    Notes
    -----
    Enter it when the set-up begins; call :meth:`began` when the first step begins, :meth:`step` after each step,
    :meth:`epoch` after each epoch with its validation. A training that is stopped early is measured as far as it went.

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
        """Say that the first step begins: the set-up is over."""
        self._began = self._last_step = self._last_epoch = time.perf_counter()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)  # the trial's own peak is not the training's

    def step(self) -> None:
        """Say that a step is done."""
        now = time.perf_counter()
        self._steps.append(now - self._last_step)
        self._last_step = now

    def epoch(self) -> None:
        """Say that an epoch is done, with its validation."""
        now = time.perf_counter()
        self._epochs.append(now - self._last_epoch)
        self._last_epoch = self._last_step = now

    def result(self) -> dict[str, Any]:
        """Return it by the names of the fields of :class:`Forecast`; None for what was not measured."""
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
