"""Lightning, kept from the user's signals and console: fitting on a thread of its own."""

from __future__ import annotations

import importlib.util
import logging
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pandas as pd
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import TensorBoardLogger

from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.image import as_image
from fijibridge.nn.devices import is_out_of_memory
from fijibridge.nn.model import FILE_NAME
from fijibridge.nn.patches import PatchSampler
from fijibridge.nn.planning import Measurement, forecast_training
from fijibridge.nn.planning.forecast import LOOKED_AT
from fijibridge.nn.planning.probe import ADVICE
from fijibridge.nn.planning.text import took_text
from fijibridge.nn.prediction import predict
from fijibridge.nn.training.batches import Drawn, Given, Learnt, loader
from fijibridge.nn.training.checkpoints import LAST, AtomicCheckpoints
from fijibridge.nn.training.job import Job
from fijibridge.nn.training.module import Step
from fijibridge.nn.training.recorder import Abandoned, Diverged, Recorder, tell_unsaved
from fijibridge.nn.training.runs import Run, write_record
from fijibridge.nn.training.settings import Settings
from fijibridge.nn.training.validation import CellCounter, middle_of
from fijibridge.nn.training.verdict import explain
from fijibridge.record import RECORD, picture_of

log = logging.getLogger("fijibridge")

BOARD = "tensorboard"
"""Folder of the logs for TensorBoard, in that of the run."""
_TRIAL = 2.0  # seconds of steps on a copy, for the forecast


def trainer_of(
    settings: Settings, device: torch.device, recorder: Recorder, *, devices: int = 1, nodes: int = 1,
    strategy: str = "auto", tensorboard: bool = False,
) -> pl.Trainer:  # fmt: skip
    """Return Lightning's trainer for a device, or for several of its kind."""
    accelerator, which = _accelerator(device)
    several = devices > 1 or nodes > 1
    board = tensorboard and recorder.folder is not None
    if board and importlib.util.find_spec("tensorboard") is None:
        raise TrainingError("logs for TensorBoard need the package tensorboard: pip install 'fijibridge[tensorboard]'")
    logger: Any = TensorBoardLogger(str(recorder.folder), name="", version=BOARD) if board else False
    return pl.Trainer(
        max_epochs=settings.epochs, accelerator=accelerator, devices=devices if several else which, num_nodes=nodes,
        strategy="ddp" if several and strategy == "auto" else strategy, sync_batchnorm=several and accelerator == "gpu",
        precision=precision_of(settings.precision, device), gradient_clip_val=settings.clip,
        logger=logger, log_every_n_steps=10, callbacks=[recorder], plugins=[AtomicCheckpoints()],
        enable_checkpointing=True, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        use_distributed_sampler=False, reload_dataloaders_every_n_epochs=0,
    )  # fmt: skip


def _accelerator(device: torch.device) -> tuple[str, Any]:
    """Return a device in Lightning's words."""
    if device.type == "cuda":
        return "gpu", 1 if device.index is None else [device.index]
    return device.type, 1


def precision_of(asked: str, device: torch.device) -> Any:
    """Return a precision in Lightning's words.

    Raises
    ------
    TrainingError
        If the device does not have it.
    """
    if asked == "auto":
        asked = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "32"
    if asked == "16" and device.type == "cpu":  # Lightning would take bf16 without a word
        raise TrainingError("precision '16' is for a GPU, a CPU computes in '32' or 'bf16'")
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[asked]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's notices about devices and loaders from the user's console."""
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


def aside(work: Callable[[], None]) -> threading.Thread:
    """Begin work on a thread of its own.

    On the main thread Lightning would take the signals: it ends the process on Ctrl-C, and leaves SIGSEGV at its
    default afterwards, which a Java virtual machine in this process needs for itself and soon dies of.
    """
    thread = threading.Thread(target=work, name="fijibridge-training", daemon=True)
    thread.start()
    return thread


def is_first_process() -> bool:
    """Whether this is the process, of several that train together, that writes files."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0


def fit(
    run: Run, job: Job, step: Step, make_trainer: Callable[[], Any], recorder: Recorder, checkpoint: Path | None,
    begin: Callable[[], None],
) -> None:  # fmt: skip
    """Fit, and say why it ended; on the training's thread. Before `begin` nothing of a run before is lost."""
    settings, net = job.chosen, job.net
    failure: TrainingError | None = None
    with Measurement(job.device, job.patches) as recorder.measurement:
        if settings.epochs == 0:
            why = "epochs=0: the network was left as it was"
            begin()
        else:
            _forecast(run, job, step, recorder)
            try:
                _fit_with_lightning(job, step, make_trainer, recorder, checkpoint, begin)
            except Abandoned:
                return
            except (RuntimeError, MemoryError) as error:
                failure = _failure(error, recorder, settings)
            why = str(failure) if failure else _why(recorder, settings, job)
    if settings.epochs:
        run.measured = recorder.measurement.result()
    state = recorder.best_state or step.judged.state_dict()
    net.load_state_dict(state)
    net.eval()
    try:
        _look_back(run, job, recorder, failure, why)
    finally:  # whatever goes wrong in looking back does not cost the model
        if run.path is not None and is_first_process():
            _keep(run, recorder, failure)
    if failure is not None:
        raise failure


def _look_back(run: Run, job: Job, recorder: Recorder, failure: TrainingError | None, why: str) -> None:
    """Say why it ended and what it took, and look at what the network that is kept sees."""
    settings = job.chosen
    run.ending = explain(
        _with_end(recorder.history(), failure), why, metric=settings.metric, patience=settings.patience,
        min_delta=settings.min_delta, warm=job.before is not None,
    )  # fmt: skip
    log.info("training ended: %s", run.ending)
    if failure is not None:
        return
    _show_first(run, job, recorder)
    _count_last(run, job, recorder)
    took = run.took()
    if took is not None:
        recorder.say(f"What it took, beside the forecast:\n{took_text(took)}")


def _forecast(run: Run, job: Job, step: Step, recorder: Recorder) -> None:
    """Try a few steps on a copy of the network, and say what the training will take."""
    if not job.chosen.forecast or job.world > 1 or not isinstance(job.sampler, PatchSampler):
        return
    recorder.say("A few steps are tried on a copy of the network, for a forecast (forecast=False leaves them out) ...")
    told = forecast_training(
        job.net, job.sampler, job.watch, job.chosen.epochs, job.device, step.loss, job.chosen.precision,
        ema=job.chosen.ema is not None, seconds=_TRIAL,
    )  # fmt: skip
    run.forecast = told.to_dict()
    memory = f", at most {told.host_bytes / 2**30:.1f} GiB of memory" if told.host_bytes else ""
    gpu = f", {told.device_bytes / 2**30:.1f} GiB of it on the GPU" if told.device_bytes else ""
    recorder.say(
        f"Forecast: {told.patches} patches and {told.epoch_s:.3g} s an epoch, {told.total_s:.3g} s in all{memory}{gpu}"
    )


def _fit_with_lightning(
    job: Job, step: Step, make_trainer: Callable[[], Any], recorder: Recorder, checkpoint: Path | None,
    begin: Callable[[], None],
) -> None:  # fmt: skip
    with quiet():
        trainer = make_trainer()
        begin()
        if checkpoint is None and job.world > 1 and job.folder is not None:
            trainer.callbacks.append(_ForgetsModel(job.folder))
        drawn = isinstance(job.sampler, PatchSampler)
        learnt = Drawn(job.sampler, lambda: trainer, True) if drawn else Learnt(job.sampler, lambda: trainer)
        watched = Drawn(job.watch, lambda: trainer, False) if isinstance(job.watch, PatchSampler) else job.watch
        torch.manual_seed(job.chosen.seed)
        if checkpoint is None:
            _before_the_first_step(job, step, recorder)
        resumed = str(checkpoint) if checkpoint else None
        step.train()  # Lightning leaves it as it is: a trained network would learn with fixed statistics, no dropout
        trainer.fit(step, loader(learnt), loader(watched), ckpt_path=resumed, weights_only=True)


class _ForgetsModel(pl.Callback):
    """Removes the model of a run before, with which the other processes may begin, once all have come to the fit."""

    def __init__(self, folder: Path):
        self.folder = folder

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            (self.folder / FILE_NAME).unlink(missing_ok=True)


def _before_the_first_step(job: Job, step: Step, recorder: Recorder) -> None:
    """Keep the losses of the network as it came, and a first checkpoint is not needed: a start is one.

    That of the validation is of all its batches, as after each epoch: of some, it would not be what a later one is
    compared with.
    """
    module = step.net
    was = module.training
    module.to(job.device).eval()
    train_loss, val_loss = _loss_now(job.sampler, step, job, LOOKED_AT), _loss_now(job.watch, step, job)
    row = {"epoch": 0.0, "train_loss": train_loss, "val_loss": val_loss}
    if job.pairs is not None and job.chosen.cells_every is not None and recorder.judge is not None:
        row |= recorder.judge(module, 0)
    module.train(was)
    recorder.add(row | {"lr": 0.0})


def _loss_now(sampler: Any, step: Step, job: Job, most: int | None = None) -> float:
    """Return the mean loss of an epoch's patches, or of its first batches, without learning or using up the draws."""
    if sampler is None or (isinstance(sampler, Given) and sampler.stream is not None):
        return float("nan")
    numbers = range(len(sampler) if most is None else min(most, len(sampler)))
    batches = (
        (sampler.batch_at(0, n) for n in numbers)
        if isinstance(sampler, PatchSampler)
        else (batch for batch, _ in zip(iter(sampler), numbers, strict=False))
    )
    total, patches = 0.0, 0
    with torch.no_grad():
        for x, y, weight in batches:
            loss = step.loss(step.net(x.to(job.device)), y.to(job.device), weight.to(job.device))
            total, patches = total + len(x) * float(loss), patches + len(x)
    return total / patches if patches else float("nan")


def _why(recorder: Recorder, settings: Settings, job: Job) -> str:
    done = max(len(recorder.rows) - 1, 0)
    metric = settings.metric
    best = f"; best {metric} {recorder.best:.4f} at epoch {recorder.best_epoch}" if recorder.best is not None else ""
    if recorder.stop_asked is not None:
        return f"{recorder.stop_asked} after {done} of {settings.epochs} epochs{best}"
    if recorder.stopped_early:
        last = recorder.rows[-1].get(metric, float("nan"))
        if last != last:
            return f"stopped after {done} of {settings.epochs} epochs: {metric} became {last}; lower lr"
        return (
            f"early stop after {done} of {settings.epochs} epochs: {metric} did not improve for {settings.patience} "
            f"epochs{best}; a larger patience would let it go on"
        )
    if isinstance(job.sampler, Given) and job.sampler.ended and done < settings.epochs:
        return f"the iterable ended after {done} of {settings.epochs} epochs{best}"
    return f"all {settings.epochs} epochs done{best}"


def _failure(error: BaseException, recorder: Recorder, settings: Settings) -> TrainingError:
    """Return what ended the training, in our words; raise what is no end but a fault in somebody's code."""
    if isinstance(error, TrainingError):
        return error
    if not is_out_of_memory(error):
        raise error
    traceback.clear_frames(error.__traceback__)  # they hold what filled the memory
    said = str(error).strip().splitlines()
    failure = TrainingError(
        f"memory was not enough in epoch {max(len(recorder.rows), 1)} of {settings.epochs}"
        f"{f' ({said[0][:200]})' if said else ''}: {ADVICE}; or end what else takes memory, and go on with resume=True"
    )
    failure.__cause__ = error
    return failure


def _with_end(history: pd.DataFrame, failure: TrainingError | None) -> pd.DataFrame:
    """Return the curves, with a last epoch without a loss if it was that what ended the training."""
    if not isinstance(failure, Diverged):
        return history
    last = pd.DataFrame([{"epoch": len(history), "train_loss": float("nan"), "val_loss": float("nan")}])
    return pd.concat([history, last], ignore_index=True)


def _keep(run: Run, recorder: Recorder, failure: TrainingError | None) -> None:
    """Keep the model and the record; after a failure the model of the best epoch before it.

    Without a whole epoch there is nothing to keep; of weights that are no numbers any more neither.
    """
    assert run.path is not None
    learnt = len(recorder.rows) > 1 and (recorder.best_state is not None or not isinstance(failure, Diverged))
    if failure is None or learnt:
        _save(run, finished=failure is None and recorder.finished)
        return
    try:
        write_record(run.path, run.record())
    except TrainingError as error:  # it must not hide the failure
        tell_unsaved(run.path / RECORD, error)


def _show_first(run: Run, job: Job, recorder: Recorder) -> None:
    """Show the first validation image as the best epoch has it, and keep that; a failure costs the picture only."""
    shown_to = [observer for observer in recorder.observers if hasattr(observer, "picture")]
    if job.pairs is None or not job.pairs.watched or not is_first_process() or (run.path is None and not shown_to):
        return
    image = middle_of(as_image(next(iter(job.pairs.watched.values()))[0]))
    try:
        prob = predict(job.as_model(job.net), image, device=str(job.device))
    except (RuntimeError, ValueError, MemoryError) as error:
        text = f"there is no picture of the validation image, it could not be predicted: {error}"
        warnings.warn(text, FijiBridgeWarning, stacklevel=2)
        return
    run.picture = picture_of(image, prob)
    for observer in shown_to:
        observer.picture(recorder.best_epoch, image, prob)


def _count_last(run: Run, job: Job, recorder: Recorder) -> None:
    """Keep the match table of the network that is kept, if cells were counted."""
    counter = recorder.judge
    if isinstance(counter, CellCounter) and counter.every is not None and is_first_process():
        last = max(len(recorder.rows) - 1, 0)
        table = counter.table(job.net, recorder.best_epoch if recorder.best is not None else last)
        run.matches = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _save(run: Run, finished: bool) -> None:
    """Write the record; what cannot be written costs the files, not the run."""
    assert run.path is not None
    try:
        run.save(run.path)
        if finished:
            (run.path / LAST).unlink(missing_ok=True)  # there is nothing to go on with
    except (OSError, TrainingError, RuntimeError) as error:
        run.unsaved = f"{run.path}: {error}"
        tell_unsaved(run.path / FILE_NAME, error)
