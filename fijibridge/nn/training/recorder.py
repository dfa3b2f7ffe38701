"""Record of a training: metrics, best weights, ending and files. It also notifies the observers."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor, nn

from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.files import atomic, write_json
from fijibridge.files.folder_lock import FolderLock
from fijibridge.nn.model import FILE_NAME
from fijibridge.nn.planning import Measurement
from fijibridge.nn.training.checkpoints import LAST
from fijibridge.nn.training.settings_schema import Settings
from fijibridge.nn.training.verdict import Ending, higher_is_better
from fijibridge.observers import Observer
from fijibridge.record import FORMAT, HISTORY, PICTURE, RECORD

log = logging.getLogger("fijibridge")

BOARD = "tensorboard"
"""Subfolder of the run for TensorBoard logs."""
COLUMNS = ["epoch", "train_loss", "val_loss", "lr", "seconds"]
Judge = Callable[[nn.Module, int], Mapping[str, float]]


class Recorder:
    """Stores the results of a training, notifies its observers, and provides the state for checkpoints.

    Parameters
    ----------
    settings
        Settings of the training.
    steps
        Total number of steps in all epochs.
    observers
        Observers to notify.
    judge
        Function that returns further metrics of the network at the end of an epoch, such as ``val_f1``.
    folder
        Folder of the run; None to write no files, as in all processes except the first.
    described, environment
        Entries ``settings`` and ``environment`` of ``run.json``.
    resumed
        Whether the run continues from a checkpoint; if so, its files are kept.
    alone
        Whether a single process trains. If not, :meth:`begin` keeps the model of an older run, which other processes
        may still have to read.

    Attributes
    ----------
    rows : list of dict
        Metrics of each epoch; epoch 0 is the network before its first step.
    best, best_epoch, best_state
        Best value of the watched metric, its epoch, and the weights of that epoch; None, 0 and None before epoch 1.
    stop_asked : str or None
        Reason to stop after the current step.
    failure : TrainingError or None
        Error that ended the training.
    finished : bool
        Whether the last epoch is complete.
    """

    def __init__(
        self, settings: Settings, steps: int, observers: Sequence[Observer], judge: Judge | None = None,
        folder: Path | None = None, *, described: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None, resumed: bool = False, alone: bool = True,
    ):  # fmt: skip
        self.settings, self.steps, self.observers = settings, steps, observers
        self.judge, self.folder, self.resumed, self.alone = judge, folder, resumed, alone
        self.described, self.environment = dict(described or {}), dict(environment or {})
        self.rows: list[dict[str, float]] = []
        self.best: float | None = None
        self.best_epoch = 0
        self.best_state: dict[str, Tensor] | None = None
        self.stop_asked: str | None = None
        self.stopped_early = self.abandoned = self.finished = False
        self.failure: TrainingError | None = None
        self.ending: Ending | None = None
        self.forecast: dict[str, Any] | None = None
        self.measured: dict[str, Any] | None = None
        self.matches: list[dict[str, Any]] | None = None
        self.picture: xr.DataArray | None = None
        self.measurement: Measurement | None = None
        self._losses: list[Tensor | float] = []
        self._waited = 0
        self._lock: FolderLock | None = None
        self._seconds_before = 0.0
        self._seconds: float | None = None
        self._began = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time in seconds, including the time before a resumption."""
        return self._seconds_before + time.monotonic() - self._began if self._seconds is None else self._seconds

    @property
    def epochs(self) -> int:
        """Number of epochs in the record."""
        return max(len(self.rows) - 1, 0)

    def history(self) -> pd.DataFrame:
        """Return the metrics, one row for each epoch."""
        more = [name for name in dict.fromkeys(k for row in self.rows for k in row) if name not in COLUMNS]
        return pd.DataFrame(list(self.rows), columns=[*COLUMNS, *more])

    # --- during the training ----------------------------------------------------------------------------

    def step(self, number: int, loss: Tensor) -> None:
        """Store the loss of a step and notify the observers.

        If an observer raises KeyboardInterrupt, the training ends after this step and its result is kept.
        """
        self._losses.append(loss.detach())
        try:
            for observer in self.observers:
                observer.progress(number, self.steps)
        except KeyboardInterrupt:
            self.stop_asked = "interrupted by an observer"
        if self.measurement is not None:
            self.measurement.step()

    def take_losses(self) -> list[float]:
        """Return the losses of the steps since the last epoch, and clear them."""
        losses = [float(loss) for loss in self._losses]
        self._losses = []
        return losses

    @property
    def steps_in_epoch(self) -> int:
        """Number of steps since the last epoch."""
        return len(self._losses)

    def add(self, row: dict[str, float]) -> None:
        """Store the metrics of an epoch, write them, and notify the observers."""
        self.rows.append(row | {"seconds": round(self.seconds, 3)})
        self._write_history()
        for observer in self.observers:
            observer.metrics(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"})

    def keep_best(self, epoch: int, metrics: Mapping[str, float], net: nn.Module) -> None:
        """Store the weights if this epoch is the best so far; otherwise check whether patience is exhausted."""
        value = metrics.get(self.settings.metric, float("nan"))
        if self._is_better(value):
            self.best, self.best_epoch, self._waited = value, epoch, 0
            self.best_state = {k: v.detach().clone().cpu() for k, v in net.state_dict().items()}
            return
        self._waited += 1
        if self.settings.metric not in metrics or self.settings.patience is None:
            return  # cells may be counted only every few epochs
        self.stopped_early = self._waited >= self.settings.patience or bool(np.isnan(value))

    def _is_better(self, value: float) -> bool:
        if np.isnan(value):
            return False
        if self.best is None:
            return True
        gain = value - self.best if higher_is_better(self.settings.metric) else self.best - value
        return gain > self.settings.min_delta

    def save_is_due(self) -> bool:
        """Return whether the last checkpoint is older than `save_minutes`."""
        return time.monotonic() - self._saved > 60 * self.settings.save_minutes

    def saved(self) -> None:
        """Restart the timer for the next checkpoint within an epoch."""
        self._saved = time.monotonic()

    def say(self, text: str) -> None:
        """Log a message, and pass it to observers that define ``say``."""
        log.info("%s", text)
        for observer in self.observers:
            if hasattr(observer, "say"):
                observer.say(text)

    # --- for a checkpoint -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return the state needed to resume, as plain values and tensors."""
        return {
            "rows": self.rows, "best": self.best, "best_epoch": self.best_epoch, "best_state": self.best_state,
            "waited": self._waited, "losses": [float(loss) for loss in self._losses], "seconds": self.seconds,
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from a state returned by :meth:`state_dict`."""
        self.rows = [dict(row) for row in state["rows"]]
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.best_state, self._waited = state["best_state"], state["waited"]
        self._losses = list(state["losses"])
        self._seconds_before, self._began = state["seconds"], time.monotonic()

    # --- at the end -------------------------------------------------------------------------------------

    def reason(self, exhausted: bool = False) -> str:
        """Return the reason why the training ended, in a sentence.

        Parameters
        ----------
        exhausted
            Whether the user's iterable was exhausted.
        """
        if self.failure is not None:
            return str(self.failure)
        epochs, metric = self.settings.epochs, self.settings.metric
        best = f"; best {metric} {self.best:.4f} at epoch {self.best_epoch}" if self.best is not None else ""
        done = f"after {self.epochs} of {epochs} epochs"
        if epochs == 0:
            return "epochs=0: the network was left as it was"
        if self.stop_asked is not None:
            return f"{self.stop_asked} {done}{best}"
        if self.stopped_early and (last := self.rows[-1].get(metric, float("nan"))) != last:
            return f"stopped {done}: {metric} became {last}; lower lr"
        if self.stopped_early and self.epochs < epochs:
            return (
                f"early stop {done}: {metric} did not improve for {self.settings.patience} epochs{best}; a larger "
                "patience trains longer"
            )
        if exhausted and self.epochs < epochs:
            return f"the iterable ended {done}{best}"
        return f"all {epochs} epochs done{best}"

    def end(self, why: str) -> None:
        """Stop the clock of the run, and pass the reason for the end to observers that define ``ended``."""
        self._seconds = self.seconds
        for observer in self.observers:
            if hasattr(observer, "ended"):
                observer.ended(why)

    # --- files ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Claim the folder for this run: remove files of an older run that could be mistaken for those of this one.

        Raises
        ------
        TrainingError
            If the record cannot be written, or another training writes into the folder.
        """
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._lock is None:
                lock = FolderLock(self.folder)
                lock.acquire()
                self._lock = lock
        except OSError as error:
            raise TrainingError(f"cannot write the run's record into {self.folder}: {error}") from error
        if not self.resumed and self.folder.is_dir():
            left = [LAST, HISTORY, PICTURE, *([FILE_NAME] if self.alone else [])]
            logs = (self.folder / BOARD).glob("events.out.tfevents.*")
            for old in (*(self.folder / name for name in left), *logs):
                old.unlink(missing_ok=True)
        write_record(self.folder, self.record() | {"history": []})

    def release(self) -> None:
        """Let other trainings write into the folder."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def record(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""
        history = self.history()
        return {
            "format": FORMAT, "settings": self.described,
            "stopped_because": self.ending.why if self.ending is not None else None,
            "ending": self.ending.to_dict() if self.ending is not None else None, "seconds": round(self.seconds, 2),
            "forecast": self.forecast, "measured": self.measured, "environment": self.environment,
            "matches": self.matches,
            "history": history.astype(object).where(history.notna(), None).to_dict("records"),
        }  # fmt: skip

    def _write_history(self) -> None:
        if self.folder is None:
            return
        try:
            with atomic(self.folder / HISTORY) as temporary:
                self.history().to_csv(temporary, index=False)
        except OSError as error:
            warn_unsaved(self.folder / HISTORY, error)


class Diverged(TrainingError):
    """Raised if the loss becomes infinite or NaN."""


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``.

    Raises
    ------
    TrainingError
        If the file cannot be written.
    """
    try:
        write_json(folder / RECORD, dict(record))
    except OSError as error:
        raise TrainingError(f"cannot write the run's record into {folder}: {error}") from error


def warn_unsaved(path: Path, error: Exception) -> None:
    """Warn that a file could not be written; the training continues."""
    text = f"{path} could not be written: {error}. The training continues; earlier files are unchanged"
    log.error(text)
    warnings.warn(text, FijiBridgeWarning, stacklevel=3)


def random_state() -> dict[str, Any]:
    """Return the state of torch's random generators, on which dropout depends."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"rng": torch.get_rng_state(), "cuda_rng": cuda}


def restore_random_state(state: Mapping[str, Any]) -> None:
    """Restore the state of torch's random generators."""
    torch.set_rng_state(state["rng"].cpu())
    if state["cuda_rng"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda_rng"])
