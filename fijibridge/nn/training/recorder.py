"""What is kept of a training while it goes: metrics, best weights, checkpoints; and who is told of it."""

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
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor, nn

from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.files import atomic
from fijibridge.nn.planning import Measurement
from fijibridge.nn.training.checkpoints import LAST
from fijibridge.nn.training.module import Step
from fijibridge.nn.training.settings import Settings
from fijibridge.nn.training.verdict import higher_is_better
from fijibridge.observers import Observer
from fijibridge.record import HISTORY

log = logging.getLogger("fijibridge")

COLUMNS = ["epoch", "train_loss", "val_loss", "lr", "seconds"]
Judge = Callable[[nn.Module, int], Mapping[str, float]]
_DIVERGED = "the loss became {} by step {}: lower lr, and look for NaN in images and weights"


class Recorder(Checkpoint):
    """Keeps metrics and weights, saves checkpoints, ends the training where it should end, tells the observers.

    Parameters
    ----------
    settings
        Of the training.
    steps
        In all.
    observers
        To be told.
    judge
        Gives further metrics of the network at the end of an epoch, such as ``val_f1``.
    folder
        For the checkpoints; None for none.
    about
        What the checkpoints say of their origin.
    """

    def __init__(
        self,
        settings: Settings,
        steps: int,
        observers: Sequence[Observer],
        judge: Judge | None = None,
        folder: Path | None = None,
        about: Mapping[str, Any] | None = None,
    ):
        self.settings, self.steps, self.observers = settings, steps, observers
        self.judge, self.folder, self.about = judge, folder, dict(about or {})
        self.rows: list[dict[str, float]] = []
        self.best: float | None = None
        self.best_epoch = 0
        self.best_state: dict[str, Tensor] | None = None
        self.waited = 0
        self.stopped_early = False
        self.stop_asked: str | None = None
        self.abandoned = False
        self.epoch_seconds: list[float] = []
        self._losses: list[Tensor | float] = []
        self.measurement: Measurement | None = None
        self._seconds_before = 0.0
        self._validated = False
        self.finished = False
        self._began = self._saved = self._epoch_began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Wall time so far, that before a resumption included."""
        return self._seconds_before + time.monotonic() - self._began

    def history(self) -> pd.DataFrame:
        """Return the metrics, a row for each epoch."""
        more = [name for name in dict.fromkeys(k for row in self.rows for k in row) if name not in COLUMNS]
        return pd.DataFrame(list(self.rows), columns=[*COLUMNS, *more])

    def add(self, row: dict[str, float]) -> None:
        """Keep the metrics of an epoch and tell them."""
        self.rows.append(row | {"seconds": round(self.seconds, 3)})
        self._write_history()
        for observer in self.observers:
            observer.metrics(int(row["epoch"]), {k: v for k, v in row.items() if k != "epoch"})

    def say(self, text: str) -> None:
        """Log a text, and tell those observers that have an ear for it."""
        log.info("%s", text)
        for observer in self.observers:
            if hasattr(observer, "say"):
                observer.say(text)

    def end(self, why: str) -> None:
        """Tell those observers that want to know that it is over, and why."""
        for observer in self.observers:
            if hasattr(observer, "ended"):
                observer.ended(why)

    # --- Lightning's hooks ------------------------------------------------------------------------------

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to time the epoch."""
        self._epoch_began = time.monotonic()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Keep the loss, tell the step, save where it is time."""
        if self.abandoned:
            raise Abandoned
        _as_step(pl_module).follow()
        self._losses.append(outputs["loss"].detach())
        if batch_idx % 10 == 0:  # every tenth only: looking at the loss makes a GPU wait
            _check_loss(trainer, float(outputs["loss"]))
        try:
            for observer in self.observers:
                observer.progress(trainer.global_step, self.steps)
        except KeyboardInterrupt:
            self.stop_asked = "interrupted by an observer"
        if self.measurement is not None:
            self.measurement.step()
        asked, due = self._common(trainer, (self.stop_asked, self._is_due()))
        last = batch_idx + 1 >= int(trainer.num_training_batches)
        if not last and (asked or due):
            self.save(trainer)
        if asked:
            trainer.should_stop = True

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Know that there is a loss of this epoch: a validation can be without any batch."""
        self._validated = True

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Add the epoch's metrics, look whether it is the best one, and save."""
        if self.abandoned:
            raise Abandoned
        step = _as_step(pl_module)
        if not self._losses:  # a stream of batches was over before it
            trainer.should_stop = True
            return
        whole = len(self._losses) >= int(trainer.num_training_batches)
        train_loss = self._mean_loss(trainer)
        if not np.isfinite(train_loss):
            raise Diverged(_DIVERGED.format(train_loss, trainer.global_step))
        epoch = trainer.current_epoch + 1
        metrics = {"train_loss": train_loss}
        if self._validated:  # Lightning hands on that of the epoch before where there was none
            metrics["val_loss"] = float(trainer.callback_metrics.get("val_loss", float("nan")))
        self._validated = False
        lr = float(trainer.optimizers[0].param_groups[0]["lr"])
        metrics |= self._judged(trainer, step, epoch)
        self._keep_best(trainer, step, metrics, epoch)
        self.epoch_seconds.append(time.monotonic() - self._epoch_began)
        self.add({"epoch": epoch, "train_loss": train_loss, "val_loss": float("nan")} | metrics | {"lr": lr})
        if self.measurement is not None:
            self.measurement.epoch()
        if whole:  # one that was stopped has saved itself at its last step
            self.save(trainer)
            self.finished = epoch >= self.settings.epochs

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumption needs, plain values and tensors."""
        return {
            "rows": self.rows, "best": self.best, "best_epoch": self.best_epoch, "best_state": self.best_state,
            "waited": self.waited, "losses": [float(loss) for loss in self._losses], "seconds": self.seconds,
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from there."""
        self.rows = [dict(row) for row in state_dict["rows"]]
        self.best, self.best_epoch = state_dict["best"], state_dict["best_epoch"]
        self.best_state, self.waited = state_dict["best_state"], state_dict["waited"]
        self._losses = list(state_dict["losses"])
        self._seconds_before, self._began = state_dict["seconds"], time.monotonic()
        self._rng = state_dict["rng"], state_dict["cuda_rng"]

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw on as before the break."""
        if self.measurement is not None:
            self.measurement.began()
        self._epoch_began = time.monotonic()
        if hasattr(self, "_rng"):
            torch.set_rng_state(self._rng[0].cpu())
            if self._rng[1] and torch.cuda.is_available():
                torch.cuda.set_rng_state_all(self._rng[1])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Say what it is."""
        checkpoint["fijibridge"] = self.about

    # --- what they do -----------------------------------------------------------------------------------

    def save(self, trainer: Trainer) -> None:
        """Save a checkpoint; a full disk is told and costs the checkpoint, not the run."""
        self._saved = time.monotonic()
        if self.folder is None:
            return
        try:
            trainer.save_checkpoint(self.folder / LAST)
        except (OSError, RuntimeError) as error:
            tell_unsaved(self.folder / LAST, error)
            if trainer.world_size > 1:
                trainer.strategy.barrier()  # where the other processes, which write nothing, wait

    def _is_due(self) -> bool:
        return time.monotonic() - self._saved > 60 * self.settings.save_minutes

    @staticmethod
    def _common(trainer: Trainer, decided: tuple[str | None, bool]) -> tuple[str | None, bool]:
        """Return what the first process has decided: clocks differ, and to save is a thing of all processes."""
        return trainer.strategy.broadcast(decided) if trainer.world_size > 1 else decided

    def _write_history(self) -> None:
        if self.folder is None or int(getattr(rank_zero_only, "rank", 0)) > 0:  # one process writes
            return
        try:
            with atomic(self.folder / HISTORY) as temporary:
                self.history().to_csv(temporary, index=False)
        except OSError as error:
            tell_unsaved(self.folder / HISTORY, error)

    def _mean_loss(self, trainer: Trainer) -> float:
        losses = torch.tensor([float(loss) for loss in self._losses], dtype=torch.float64)
        self._losses = []
        mean = losses.mean() if len(losses) else torch.tensor(float("nan"), dtype=torch.float64)
        if trainer.world_size > 1:
            mean = trainer.strategy.reduce(mean.float().to(trainer.strategy.root_device), reduce_op="mean")
        return float(mean)

    def _judged(self, trainer: Trainer, module: Step, epoch: int) -> dict[str, float]:
        mine = self.judge if trainer.is_global_zero else None  # where nobody looks on, there may be none
        found = {} if mine is None else dict(mine(module.judged, epoch))
        return dict(trainer.strategy.broadcast(found)) if trainer.world_size > 1 else found

    def _keep_best(self, trainer: Trainer, module: Step, metrics: Mapping[str, float], epoch: int) -> None:
        measured = self.settings.metric in metrics
        value = metrics.get(self.settings.metric, float("nan"))
        if self._is_better(value):
            self.best, self.best_epoch, self.waited = value, epoch, 0
            self.best_state = {k: v.detach().clone().cpu() for k, v in module.judged.state_dict().items()}
            return
        self.waited += 1
        if not measured or self.settings.patience is None:
            return
        if self.waited >= self.settings.patience or np.isnan(value):
            self.stopped_early = True
            trainer.should_stop = True

    def _is_better(self, value: float) -> bool:
        if np.isnan(value):
            return False
        if self.best is None:
            return True
        gain = value - self.best if higher_is_better(self.settings.metric) else self.best - value
        return gain > self.settings.min_delta


def _as_step(module: LightningModule) -> Step:
    if not isinstance(module, Step):
        raise TypeError(f"a {type(module).__name__} is recorded; expected a Step")
    return module


def _check_loss(trainer: Trainer, loss: float) -> None:
    """End the fit, in all processes, where the loss of one is no number."""
    if trainer.strategy.reduce_boolean_decision(not np.isfinite(loss), all=False):
        found = float("nan") if np.isfinite(loss) else loss
        raise Diverged(_DIVERGED.format(found, trainer.global_step))


class Abandoned(Exception):
    """Ends a fit whose result nobody wants."""


class Diverged(TrainingError):
    """Ends a fit whose loss is no number any more."""


def tell_unsaved(path: Path, error: Exception) -> None:
    """Warn that a file could not be written, while the training goes on."""
    text = f"{path} could not be written: {error}. The training goes on; what was saved before is as it was"
    log.error(text)
    warnings.warn(text, FijiBridgeWarning, stacklevel=3)
