"""Training loop, run by Lightning: actions after each step and epoch, and at the end."""

from __future__ import annotations

import importlib.util
import logging
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.callbacks import Checkpoint
from lightning.pytorch.loggers import TensorBoardLogger

from fijibridge.errors import TrainingError
from fijibridge.nn.devices import is_out_of_memory, resolve_precision
from fijibridge.nn.model import FILE_NAME
from fijibridge.nn.patches import PatchSampler
from fijibridge.nn.planning import Measurement, forecast_training
from fijibridge.nn.planning.forecast import LOOKED_AT
from fijibridge.nn.planning.probe import ADVICE
from fijibridge.nn.training.batches import Position, UserBatches, loaders
from fijibridge.nn.training.checkpoints import LAST, read_checkpoint, write_checkpoint
from fijibridge.nn.training.job import Job
from fijibridge.nn.training.module import Step
from fijibridge.nn.training.recorder import (
    BOARD,
    Diverged,
    Recorder,
    random_state,
    restore_random_state,
    warn_unsaved,
)
from fijibridge.nn.training.settings import SETTINGS
from fijibridge.nn.training.verdict import Ending, explain

_TRIAL = 2.0  # seconds for trial steps on a copy, for the forecast
_CHECK_LOSS_EVERY = 10  # steps


class Abandoned(Exception):
    """Raised if the result of the training is no longer wanted."""


def fit(job: Job, recorder: Recorder) -> Ending:
    """Train the network of a job; afterwards, it has the weights of its best epoch, or its last ones if none is best.

    Do not call this function on the main thread: there, Lightning would replace the signal handlers of the process.

    Parameters
    ----------
    job
        The prepared training.
    recorder
        Receives metrics, forecast and measurements, and decides whether to stop. An error that ends the training but
        leaves a usable result, such as a lack of memory, is stored as `recorder.failure`.

    Returns
    -------
    Ending
        Reason why the training ended, in words.

    Raises
    ------
    Abandoned
        If the recorder was abandoned.
    TrainingError
        If the trial steps before the training do not fit into memory.
    """
    step = Step(job.net, job.loss, job.settings, job.steps)
    with Measurement(job.device, job.patches) as recorder.measurement:
        _forecast(job, step, recorder)
        try:
            _train(job, step, recorder)
        except (RuntimeError, MemoryError) as error:
            recorder.failure = _failure(error, recorder)  # raises again unless memory ran out or the loss diverged
    if job.settings.epochs:
        recorder.measured = recorder.measurement.result()
    # Without a best epoch, take the current weights: `judged` is the network with averaged weights if `ema` is set.
    job.net.load_state_dict(recorder.best_state or step.judged.state_dict())
    job.net.eval()
    exhausted = isinstance(job.learn, UserBatches) and job.learn.ended  # the user's batches ran out early
    return explain(
        _with_failed_epoch(recorder), recorder.reason(exhausted), metric=job.settings.metric,
        patience=job.settings.patience, min_delta=job.settings.min_delta, warm=job.before is not None,
    )  # fmt: skip


def _train(job: Job, step: Step, recorder: Recorder) -> None:
    """Run all steps of a training."""
    if job.settings.epochs == 0:
        recorder.begin()
        return
    with quiet():
        trainer = _trainer(job, recorder)
        learn, watch = loaders(job.learn, job.watch, partial(_position, trainer))
        # From here on, an older run in the folder is lost: all checks that can fail are done.
        recorder.begin()
        torch.manual_seed(job.settings.seed)
        if job.checkpoint is None:
            recorder.add(_before_the_first_step(job, step, recorder))
        step.train()  # a trained network is in evaluation mode, which Lightning would not change
        # Lightning runs the loop described in `Loop` below; with a checkpoint, it starts at the stored step.
        trainer.fit(step, learn, watch, ckpt_path=job.checkpoint and str(job.checkpoint), weights_only=True)


class Loop(Checkpoint):
    """Callbacks of the training loop.

    Lightning runs the loop, and calls the methods in this order::

        on_train_start
        for epoch in range(epochs):
            for batch in learn:                  # job.learn, starting at the position of the checkpoint
                loss = step.training_step(batch)
                loss.backward()
                clip the gradients; optimizer step; schedule step
                on_train_batch_end               # stop? save?
            for batch in watch:
                step.validation_step(batch)
                on_validation_batch_end
            on_train_epoch_end                   # metrics, best weights, patience, checkpoint

    Invariant: a checkpoint is written only between two steps, after the averaged weights were updated and the loss was
    recorded. A resumed training therefore continues bit for bit like one that was never interrupted. (With several
    processes, it does so only if the network draws no random numbers, as dropout does: a checkpoint contains the random
    state of the first process only.)
    """

    def __init__(self, job: Job, recorder: Recorder):
        self.job, self.recorder = job, recorder
        self._random_state: dict[str, Any] | None = None
        self._validated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Restore the random state of a checkpoint."""
        job = self.job
        if job.folder is not None and job.world > 1 and job.checkpoint is None and trainer.is_global_zero:
            # The model of an older run in this folder may be the network that the training starts from. By now, all
            # processes have read it, so it can be deleted. If there is only one process, `recorder.begin` has already
            # deleted it.
            (job.folder / FILE_NAME).unlink(missing_ok=True)
        assert self.recorder.measurement is not None
        self.recorder.measurement.began()
        # Done last: random numbers drawn before (by loaders, the trial) must not affect the next step.
        if self._random_state is not None:
            restore_random_state(self._random_state)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Record a step; stop or save if due."""
        if self.recorder.abandoned:
            raise Abandoned
        _step_of(pl_module).update_average()  # the running average of the weights, if `ema` is set
        if batch_idx % _CHECK_LOSS_EVERY == 0:  # reading the loss synchronises with the GPU
            _check_loss(trainer, float(outputs["loss"]))
        self.recorder.step(trainer.global_step, outputs["loss"])
        # The first process decides: clocks differ, and all processes must save and stop at the same step.
        stop, save = _broadcast(trainer, (self.recorder.stop_asked is not None, self.recorder.save_is_due()))
        last = batch_idx + 1 >= int(trainer.num_training_batches)
        if (stop or save) and not last:  # after the last step, on_train_epoch_end saves the epoch with its metrics
            self._save(trainer)
        if stop:
            trainer.should_stop = True  # Lightning then validates, and ends the epoch

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        """Record that this epoch was validated.

        Without this flag, an epoch that was not validated would get the loss of the previous validation, which
        Lightning keeps.
        """
        self._validated = True

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Record the metrics of an epoch, keep the best weights, and save."""
        recorder, step, epoch = self.recorder, _step_of(pl_module), trainer.current_epoch + 1
        if recorder.abandoned:
            raise Abandoned
        if recorder.steps_in_epoch == 0:  # a stream of batches was already exhausted
            trainer.should_stop = True
            return
        whole = recorder.steps_in_epoch >= int(trainer.num_training_batches)
        metrics = self._metrics(trainer, step, epoch)
        recorder.keep_best(epoch, metrics, step.judged)
        lr = float(trainer.optimizers[0].param_groups[0]["lr"])
        # These fix the order of the columns; the NaN remains if the epoch was not validated.
        recorder.add({"epoch": epoch, "train_loss": 0.0, "val_loss": float("nan")} | metrics | {"lr": lr})
        assert recorder.measurement is not None
        recorder.measurement.epoch()
        if recorder.stopped_early:  # all processes have the same metrics, so they decide alike
            trainer.should_stop = True
        # An epoch that was stopped on request was saved when it stopped, in on_train_batch_end, and is resumed from
        # there. An epoch whose stream of batches ended early is not saved either: after resuming, it would wait for
        # batches that never come.
        if whole:
            self._save(trainer)
            recorder.finished = epoch >= self.job.settings.epochs

    def _metrics(self, trainer: pl.Trainer, step: Step, epoch: int) -> dict[str, float]:
        """Return the metrics of an epoch, identical in all processes."""
        losses = torch.tensor(self.recorder.take_losses(), dtype=torch.float64)
        metrics = {"train_loss": _mean_over_processes(trainer, losses.mean())}
        if not np.isfinite(metrics["train_loss"]):
            raise _diverged(metrics["train_loss"], trainer.global_step)
        if self._validated:
            metrics["val_loss"] = float(trainer.callback_metrics.get("val_loss", float("nan")))
        self._validated = False
        # Only the first process counts cells; the others receive its numbers.
        judge = self.recorder.judge if trainer.is_global_zero else None
        judged: dict[str, float] = {} if judge is None else dict(judge(step.judged, epoch))
        return metrics | dict(_broadcast(trainer, judged))

    def _save(self, trainer: pl.Trainer) -> None:
        """Write a checkpoint; if that fails, for example on a full disk, warn and continue the training."""
        self.recorder.saved()  # restarts the clock even if writing fails, so that not every step tries again
        if self.job.folder is None:
            return
        try:
            trainer.save_checkpoint(self.job.folder / LAST)
        except (OSError, RuntimeError) as error:
            warn_unsaved(self.job.folder / LAST, error)
            if trainer.world_size > 1:
                # save_checkpoint ends with a barrier, where the processes that write no file are waiting
                trainer.strategy.barrier()

    # --- content of a checkpoint ------------------------------------------------------------------------

    state_key = "Recorder"  # its name in checkpoints of version 0.1

    def state_dict(self) -> dict[str, Any]:
        """Return the state needed to resume, besides weights, optimizer and position."""
        return self.recorder.state_dict() | random_state()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.recorder.load_state_dict(state_dict)
        self._random_state = {name: state_dict[name] for name in ("rng", "cuda_rng")}

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Mark the checkpoint as written by fijibridge; its fingerprint shows on resuming whether the data changed."""
        checkpoint["fijibridge"] = {"format": 1, "data": self.job.about.get("fingerprint", "")}


# --- before the first step ------------------------------------------------------------------------------


def _forecast(job: Job, step: Step, recorder: Recorder) -> None:
    """Forecast time and memory from a few steps on a copy of the network."""
    settings = job.settings
    if not (settings.forecast and settings.epochs and job.world == 1 and isinstance(job.learn, PatchSampler)):
        return
    recorder.say("Running a few trial steps on a copy of the network for a forecast (forecast=False skips them) ...")
    passed: dict[str, Any] = {name: getattr(settings, name) for name, s in SETTINGS.items() if s.forecast}
    passed["ema"] = settings.ema is not None
    made = forecast_training(
        job.net, job.learn, job.watch, device=job.device, loss=step.loss, seconds=_TRIAL, **passed
    )  # fmt: skip
    recorder.forecast = made.to_dict()
    memory = f", at most {made.host_bytes / 2**30:.1f} GiB of memory" if made.host_bytes else ""
    gpu = f", {made.device_bytes / 2**30:.1f} GiB on the GPU" if made.device_bytes else ""
    recorder.say(
        f"Forecast: {made.patches} patches and {made.epoch_s:.3g} s per epoch, {made.total_s:.3g} s in all{memory}{gpu}"
    )


def _before_the_first_step(job: Job, step: Step, recorder: Recorder) -> dict[str, float]:
    """Return the metrics of the network before its first step, which are recorded as epoch 0.

    The validation loss is computed over all batches, so that it can be compared with that of later epochs; the training
    loss is computed only over a few batches.
    """
    net = step.net
    was = net.training
    net.to(job.device).eval()
    train_loss, val_loss = _loss_now(job.learn, step, job, LOOKED_AT), _loss_now(job.watch, step, job)
    row = {"epoch": 0.0, "train_loss": train_loss, "val_loss": val_loss}
    if job.pairs is not None and job.settings.cells_every is not None and recorder.judge is not None:
        row |= recorder.judge(net, 0)
    net.train(was)
    return row | {"lr": 0.0}


def _loss_now(batches: PatchSampler | UserBatches | None, step: Step, job: Job, most: int | None = None) -> float:
    """Return the mean loss over an epoch, or over its first batches, without changing later random numbers."""
    if batches is None or (isinstance(batches, UserBatches) and batches.stream is not None):
        return float("nan")  # batches of a stream would be lost
    numbers = range(len(batches) if most is None else min(most, len(batches)))
    drawn = (
        (batches.batch_at(0, n) for n in numbers)
        if isinstance(batches, PatchSampler)
        else (batch for batch, _ in zip(iter(batches), numbers, strict=False))
    )
    total, patches = 0.0, 0
    with torch.no_grad():
        for x, y, weight in drawn:
            loss = step.loss(step.net(x.to(job.device)), y.to(job.device), weight.to(job.device))
            total, patches = total + len(x) * float(loss), patches + len(x)
    return total / patches if patches else float("nan")


# --- Lightning ------------------------------------------------------------------------------------------


def _trainer(job: Job, recorder: Recorder) -> pl.Trainer:
    """Return Lightning's trainer for one or several devices of the same type."""
    settings, hardware = job.settings, job.hardware
    several = hardware.world > 1
    board = job.tensorboard and job.folder is not None
    if board and importlib.util.find_spec("tensorboard") is None:
        raise TrainingError("logs for TensorBoard need the package tensorboard: pip install 'fijibridge[tensorboard]'")
    logger: Any = TensorBoardLogger(str(job.folder), name="", version=BOARD) if board else False
    accelerator, one = _accelerator(job.device)
    return pl.Trainer(
        max_epochs=settings.epochs, accelerator=accelerator, devices=hardware.devices if several else one,
        num_nodes=hardware.nodes, sync_batchnorm=several and accelerator == "gpu",
        strategy="ddp" if several and hardware.strategy == "auto" else hardware.strategy,
        precision=precision_of(settings.precision, job.device), gradient_clip_val=settings.clip,
        logger=logger, log_every_n_steps=10, callbacks=[Loop(job, recorder)], plugins=[_WholeCheckpoints()],
        enable_checkpointing=True, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        use_distributed_sampler=False, reload_dataloaders_every_n_epochs=0,
    )  # fmt: skip


def _accelerator(device: torch.device) -> tuple[str, Any]:
    """Return a device as Lightning's arguments ``accelerator`` and ``devices``."""
    if device.type == "cuda":
        return "gpu", 1 if device.index is None else [device.index]
    return device.type, 1


def precision_of(asked: str, device: torch.device) -> Any:
    """Return Lightning's name for a precision.

    Raises
    ------
    TrainingError
        If the device does not support it.
    """
    precision = resolve_precision(asked, device)
    if precision == "16" and device.type == "cpu":  # Lightning would silently use bf16
        raise TrainingError("precision '16' requires a GPU; on a CPU, use '32' or 'bf16'")
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision]


def is_first_process() -> bool:
    """Return whether this is the first of the processes that train together, which is the one that writes files."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


class _WholeCheckpoints(TorchCheckpointIO):
    """Lightning plugin that reads and writes checkpoints with :mod:`fijibridge.nn.training.checkpoints`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(checkpoint, path)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        return read_checkpoint(path)


@contextmanager
def quiet() -> Iterator[None]:
    """Hide Lightning's notices about devices and loaders from the user's console."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        warnings.filterwarnings("ignore", message=r".*(num_workers|isinstance\(treespec).*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _position(trainer: pl.Trainer) -> Position:
    done = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    device = trainer.strategy.root_device
    return Position(trainer.global_rank, trainer.world_size, trainer.current_epoch, done, device)


def _step_of(module: pl.LightningModule) -> Step:
    if not isinstance(module, Step):
        raise TypeError(f"Lightning trains a {type(module).__name__}; expected a Step")
    return module


# --- several processes ----------------------------------------------------------------------------------


def _broadcast(trainer: pl.Trainer, decided: Any) -> Any:
    """Return the value that the first process passed, in all processes."""
    return trainer.strategy.broadcast(decided) if trainer.world_size > 1 else decided


def _mean_over_processes(trainer: pl.Trainer, mean: torch.Tensor) -> float:
    if trainer.world_size > 1:
        mean = trainer.strategy.reduce(mean.float().to(trainer.strategy.root_device), reduce_op="mean")
    return float(mean)


def _check_loss(trainer: pl.Trainer, loss: float) -> None:
    """End the training in all processes if the loss is infinite or NaN in any of them."""
    if trainer.strategy.reduce_boolean_decision(not np.isfinite(loss), all=False):
        raise _diverged(float("nan") if np.isfinite(loss) else loss, trainer.global_step)


# --- failures -------------------------------------------------------------------------------------------


def _diverged(loss: float, step: int) -> Diverged:
    return Diverged(f"the loss became {loss} by step {step}: lower lr, and look for NaN in images and weights")


def _failure(error: BaseException, recorder: Recorder) -> TrainingError:
    """Return the error that ended a training as a TrainingError; re-raise it if memory is not its cause."""
    if isinstance(error, TrainingError):
        return error
    if not is_out_of_memory(error):
        raise error
    traceback.clear_frames(error.__traceback__)  # the frames keep the arrays that filled the memory alive
    lines = str(error).strip().splitlines()
    failure = TrainingError(
        f"memory ran out in epoch {max(len(recorder.rows), 1)} of {recorder.settings.epochs}"
        f"{f' ({lines[0][:200]})' if lines else ''}: {ADVICE}; or close other programs that use memory, and continue "
        "with resume=True"
    )
    failure.__cause__ = error
    return failure


def _with_failed_epoch(recorder: Recorder) -> pd.DataFrame:
    """Return the history; if the training diverged, append a row with NaN for the epoch that failed."""
    history = recorder.history()
    if not isinstance(recorder.failure, Diverged):
        return history
    last = pd.DataFrame([{"epoch": len(history), "train_loss": float("nan"), "val_loss": float("nan")}])
    return pd.concat([history, last], ignore_index=True)
