"""Start a training: everything is looked at before the first step."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.dataset import Dataset
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.augmentation.guard import check_augmentation, check_batches
from fijibridge.nn.devices import device_of
from fijibridge.nn.losses import Loss
from fijibridge.nn.model import FILE_NAME, Model
from fijibridge.nn.networks import Traits, traits
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.planning import check_memory, patch_size
from fijibridge.nn.training import processes
from fijibridge.nn.training.checkpoints import LAST, read_checkpoint
from fijibridge.nn.training.endings import explain
from fijibridge.nn.training.fitting import Drawn, Given, aside, is_first_process, loader, quiet, trainer_of
from fijibridge.nn.training.inputs import (
    Batches,
    Pair,
    Pairs,
    as_batch,
    check_classes,
    fingerprint,
    is_pairs,
    mean_pixel_size,
    read_pairs,
    samples_of,
)
from fijibridge.nn.training.judging import CellCounter, Segmenter
from fijibridge.nn.training.recording import Abandoned, Recorder, tell_unsaved
from fijibridge.nn.training.runs import RECORD, Run, write_record
from fijibridge.nn.training.settings import Settings
from fijibridge.nn.training.steps import LossFunction, Step
from fijibridge.nn.training.warm_starts import check_warm_start
from fijibridge.observing import Observer, watchers

log = logging.getLogger("fijibridge")


def train(
    net: nn.Module | Model | Run | str | os.PathLike[str],
    data: Dataset | Sequence[Pair] | Batches,
    *,
    out: str | Path | None = None,
    overwrite: bool = False,
    resume: bool | str = False,
    background: bool = False,
    validation: Sequence[Pair] | Batches = (),
    settings: Settings | None = None,
    normalisation: Normalisation | None = None,
    loss: LossFunction | None = None,
    segment: Segmenter | None = None,
    augmentation: Augmentation | None = None,
    device: str | None = None,
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    tensorboard: bool = False,
    observers: Sequence[Observer] | None = None,
    **changes: Any,
) -> Run:
    """Train a network on images and what is to be seen in them.

    Parameters
    ----------
    net
        A network, trained in place; or a model, a run, or the path of either, whose training goes on (a warm start).
    data
        A dataset, whose ``train`` images are learnt (their membranes as targets) and whose ``validation`` images
        are watched; or a list of (image, target) or (image, target, weight). A target holds class ids per pixel,
        255 = unknown; :func:`fijibridge.membrane_target` makes one. Or anything that gives batches: a
        :class:`fijibridge.PatchSampler`, a DataLoader, a generator, or a function that returns one, of (x, y) or
        (x, y, weight): (B, C, ...) floats, (B, ...) class ids, (B, ...) floats.
    out
        Folder for the run's record, checkpoints and the model.
    overwrite
        Whether `out` may be the folder of a finished run, which is then lost.
    resume
        Go on with the run in `out` from its last checkpoint, as if it had never been broken off; ``"auto"``: if there
        is one.
    background
        Return at once: ``run.stop()``, ``run.wait()``, ``run.history``.
    validation
        Pairs or batches to watch, besides those of a dataset.
    settings
        All settings in one; see :class:`fijibridge.Settings`.
    normalisation
        How intensities are scaled; the model's at a warm start, else two percentiles of each image.
    loss
        Your own: (output, y, weight) to a scalar tensor.
    segment
        Your own way from the class probabilities (K, ...) to cells, to count them: ``metric="val_f1"``.
    augmentation
        In place of ``settings.augment``.
    device
        ``"cpu"``, ``"cuda"`` ...; left out, the best there is.
    devices, nodes, strategy
        How many of the device's kind on how many machines, and Lightning's name for how (``"ddp"``).
    tensorboard
        Write logs for TensorBoard into `out` too.
    observers
        Told about steps and epochs; left out, a Fiji with windows that runs in this process.
    **changes
        Settings by name: ``epochs=100, patch=(160, 160)``; see :class:`fijibridge.Settings`.

    Returns
    -------
    Run

    Raises
    ------
    TrainingError
        Before the first step, if data, patch and network do not fit, `out` holds a finished run, or a step takes more
        memory than there is; later, if the loss is no number any more.
    DeviceError
        If there is no such device.
    DatasetError
        If files of labels or regions are missing.

    Notes
    -----
    Ctrl-C ends the run after the current step, saves it and hands it back; a second one raises KeyboardInterrupt.
    """
    chosen = Settings.of(settings, **changes)
    if processes.needed(devices, nodes):
        return processes.train_elsewhere(
            net, data, chosen, out=out, overwrite=overwrite, resume=resume, background=background, device=device,
            devices=devices, nodes=nodes, strategy=strategy, tensorboard=tensorboard, observers=observers or (),
            others={"validation": validation or None, "normalisation": normalisation, "loss": loss,
                    "segment": segment, "augmentation": augmentation},
        )  # fmt: skip
    start = net if isinstance(net, nn.Module) else _model_of(net)
    before = start if isinstance(start, Model) else None
    network = start.net if isinstance(start, Model) else start
    known = traits(network)
    if before is not None and "classes" not in chosen.model_fields_set:
        chosen = chosen.model_copy(update={"classes": before.classes[: known.n_classes]})
    job = _Job(network, known, chosen, device_of(device), before, normalisation, devices, nodes, segment)
    folder = Path(out) if out is not None else None
    if folder is not None:
        _look_at_folder(folder, overwrite, resume)
    job.take(data, validation, augmentation)
    recorder = Recorder(
        chosen, chosen.epochs * job.batches, watchers() if observers is None else observers, job.judge(observers),
        folder, {"format": 1, "data": job.about.get("fingerprint", "")},
    )  # fmt: skip
    run = Run(lambda: job.model(recorder), recorder, job.settings(), folder)
    run.environment = _environment(job.device, devices, nodes)
    checkpoint = _checkpoint(folder, resume, run.settings)
    if folder is not None and is_first_process():
        write_record(folder, run.record() | {"history": []})  # a bad folder costs no run

    step = Step(network, loss or Loss(chosen.loss, outputs=known.outputs), chosen, chosen.epochs * job.batches)
    trainer = lambda: trainer_of(  # noqa: E731  made on the thread that fits
        chosen, job.device, recorder, devices=devices, nodes=nodes, strategy=strategy, tensorboard=tensorboard
    )
    work = run.begin(lambda run: _fit(run, job, step, trainer, recorder, checkpoint))
    if background:
        aside(work)
        return run
    return _foreground(run, work)


def _model_of(net: object) -> Model:
    if isinstance(net, Model):
        return net
    if isinstance(net, Run):
        return net.model
    if isinstance(net, str | os.PathLike):
        return Model.load(net)
    raise TrainingError(f"got a {type(net).__name__}; expected a network, a Model, a Run, or the path of one")


def _look_at_folder(folder: Path, overwrite: bool, resume: bool | str) -> None:
    if not is_first_process() or resume or overwrite:
        return
    if (folder / FILE_NAME).is_file():
        raise TrainingError(
            f"{folder} holds a finished run, its {FILE_NAME} would be lost: choose another folder (out, --out), or say "
            "that it may be (overwrite=True, --overwrite)"
        )
    if (folder / LAST).is_file():
        raise TrainingError(
            f"{folder} holds a run that was broken off: go on with it (resume=True, --resume), choose another folder, "
            "or say that it may be lost (overwrite=True, --overwrite)"
        )


class _Job:
    """What one training works on."""

    def __init__(
        self, net: nn.Module, known: Traits, settings: Settings, device: torch.device, before: Model | None,
        normalisation: Normalisation | None, devices: int, nodes: int, segment: Segmenter | None,
    ):  # fmt: skip
        self.net, self.traits, self.chosen, self.device, self.before = net, known, settings, device, before
        self.world = devices * nodes
        self.segment = segment
        self.given = normalisation
        self.normalisation = normalisation or (before.normalisation if before else Normalisation())
        self.pairs: Pairs | None = None
        self.sampler: Any = None
        self.watch: Any = None
        self.about: dict[str, Any] = {}
        self.size: tuple[dict[str, float], str] = ({}, "pixel")

    @property
    def batches(self) -> int:
        return len(self.sampler)

    def take(self, data: Any, validation: Any, augmentation: Augmentation | None) -> None:
        """Look at all that goes in, and make the samplers."""
        if is_pairs(data):
            self._take_pairs(data, validation, augmentation)
        else:
            self._take_batches(data, validation)
        if self.chosen.patience is not None and self.watch is None:
            raise TrainingError(
                "patience needs validation data: name some in the dataset's split, or pass validation=[...]"
            )
        if self.chosen.metric == "val_f1" and not (self.pairs and self.pairs.watched):
            raise TrainingError(
                "metric 'val_f1' needs validation images: name some in the dataset's split, or pass "
                "validation=[(image, target), ...]"
            )

    def _take_pairs(self, data: Any, validation: Any, augmentation: Augmentation | None) -> None:
        chosen = self.chosen
        size = patch_size(self.net, chosen.patch)
        check_memory(self.net, size, chosen.batch, self.device)
        if chosen.batch % self.world:
            raise TrainingError(f"a batch of {chosen.batch} patches cannot be shared by {self.world} devices equally")
        transform = augmentation if augmentation is not None else _augmentation(chosen.augment)
        check_augmentation(transform, size)
        pairs = read_pairs(data, validation, chosen, self.traits)
        check_classes(self.traits, chosen.classes, {**pairs.learnt, **pairs.watched})
        if self.normalisation.kind == "dataset" and self.normalisation.values is None:
            self.normalisation = self.normalisation.fit([pair[0] for pair in pairs.learnt.values()])
        learnt = samples_of(pairs.learnt, self.traits, self.normalisation)
        watched = samples_of(pairs.watched, self.traits, self.normalisation)
        self.size = mean_pixel_size([pair[0] for pair in pairs.learnt.values()])
        if self.before is not None:
            check_warm_start(self.before, self.given, self.size, chosen)
        self.pairs = pairs
        self.sampler = PatchSampler(
            learnt, size, chosen.batch, chosen.batches, transform, chosen.seed, sampling=chosen.sampling
        )
        if watched:
            batches = _enough(watched, size, chosen.batch)
            self.watch = PatchSampler(watched, size, chosen.batch, batches, False, chosen.seed)
        check_batches([self.sampler.batch_at(0, 0)])
        self.about = dict(pairs.about) | {
            "patch": list(size), "images": len(learnt), "validation_images": len(watched),
            "fingerprint": fingerprint(learnt), "augmentation": _plain(transform),
        }  # fmt: skip

    def _take_batches(self, data: Any, validation: Any) -> None:
        if isinstance(data, PatchSampler):
            self.sampler = data
        else:
            self.sampler = Given(data, self.chosen.batches)
        if self.given is None and self.before is None:
            self.normalisation = Normalisation.none()
            log.warning(
                "the batches are learnt as they are, so images will be given to the network unscaled by predict: "
                "pass normalisation= if your batches were scaled"
            )
        if not _is_nothing(validation):
            self.watch = Given(validation, self.chosen.batches) if not is_pairs(validation) else None
            if self.watch is None:
                raise TrainingError("data are batches and validation are images: give batches for both")
        if not isinstance(self.sampler, Given) or self.sampler._stream is None:
            first = [as_batch(batch) for batch, _ in zip(iter(self.sampler), range(2), strict=False)]
            if isinstance(self.sampler, PatchSampler):
                self.sampler.epoch = 0
            if not first:
                raise TrainingError("the iterable gave no batch")
            check_batches(first)
            if first[0][0].shape[1] != self.traits.in_channels:
                raise TrainingError(
                    f"a batch has {first[0][0].shape[1]} channel(s), the network takes {self.traits.in_channels}"
                )
        self.about = {"data": type(data).__name__, "provenance": "unknown"}

    def judge(self, observers: Any) -> Any:
        """Return what counts the cells of the validation images, if that is asked for."""
        if self.pairs is None or not self.pairs.watched:
            return None
        seen = any(hasattr(o, "picture") for o in (watchers() if observers is None else observers))
        if self.chosen.cells_every is None and not seen:
            return None
        told = [o for o in (watchers() if observers is None else observers) if hasattr(o, "picture")]
        return CellCounter(self.as_model, self.pairs, self.chosen.cells_every, self.segment, told)

    def as_model(self, net: nn.Module) -> Model:
        """Return the network with all that is needed to use it."""
        return Model(net, self.class_names(), self.normalisation, *self.size, self.notes())

    def class_names(self) -> tuple[str, ...]:
        """Return the names of all output channels."""
        axes = ("z", "y", "x")[-self.traits.dims :]
        more = {"distance": ["distance"], "affinity": [f"affinity_{axis}" for axis in axes]}
        return (*self.chosen.classes, *(name for head in self.traits.outputs for name in more.get(head, [])))

    def notes(self) -> dict[str, Any]:
        """Return what a model says of its origin."""
        return {k: self.about[k] for k in ("data", "provenance") if k in self.about} | {"width": self.chosen.width}

    def model(self, recorder: Recorder) -> Model:
        """Return the model as it is now."""
        model = self.as_model(self.net)
        return replace(model, notes=model.notes | {"epochs": max(len(recorder.rows) - 1, 0)})

    def settings(self) -> dict[str, Any]:
        """Return what the record says."""
        config = getattr(self.net, "config", None)
        network = dict(config) if isinstance(config, Mapping) else {"class": type(self.net).__qualname__}
        chosen = json.loads(self.chosen.model_dump_json())
        more = {
            "normalisation": asdict(self.normalisation), "pixel_size": self.size[0], "unit": self.size[1],
            "device": str(self.device), "world": self.world, "warm_start": self.before is not None,
        }  # fmt: skip
        return {"network": network, **chosen, **self.about, **more}


def _is_nothing(validation: Any) -> bool:
    return validation is None or (isinstance(validation, list | tuple) and not len(validation))


def _augmentation(asked: bool | dict[str, Any]) -> Augmentation:
    if isinstance(asked, dict):
        try:
            return Augmentation(**asked)
        except TypeError as error:
            raise TrainingError(f"augment: {error}; see fijibridge.Augmentation for what there is") from error
    return Augmentation() if asked else Augmentation.none()


def _plain(transform: Augmentation) -> dict[str, Any]:
    return {k: v if isinstance(v, int | float | bool | tuple | None) else repr(v) for k, v in asdict(transform).items()}


def _enough(samples: Sequence[Sample], patch: Sequence[int], batch: int) -> int:
    """Return how many batches show every validation pixel about once."""
    pixels = sum(int((np.asarray(s.target[0] if s.extra else s.target) != IGNORE).sum()) for s in samples)
    return max(1, round(pixels / math.prod(patch) / batch))


_SAME = ("network", "patch", "batch", "batches", "epochs", "lr", "schedule", "seed", "sampling", "augmentation", "loss",
         "clip", "precision", "ema", "metric", "width", "fingerprint", "normalisation", "classes")  # fmt: skip


def _checkpoint(folder: Path | None, resume: bool | str, settings: Mapping[str, Any]) -> Path | None:
    """Return the checkpoint to go on from, looked at."""
    if not resume:
        return None
    if resume not in (True, "auto"):
        raise TrainingError(f"resume is {resume!r}; expected True, False or 'auto'")
    if folder is None:
        raise TrainingError("resume needs the folder of the run: out=")
    if not (folder / LAST).is_file():
        if resume == "auto" and not (folder / FILE_NAME).is_file():
            return None
        raise TrainingError(f"{folder} holds no {LAST} to go on from: leave resume out to begin anew")
    read_checkpoint(folder / LAST)
    try:
        before = json.loads((folder / RECORD).read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{folder / RECORD} cannot be read, which says how the run began: {error}") from error
    now = json.loads(json.dumps(dict(settings), default=str))
    other = [f"{k}: {before.get(k)} then, {now.get(k)} now" for k in _SAME if before.get(k) != now.get(k)]
    if other:
        raise TrainingError(
            f"the run in {folder} was begun in another way ({'; '.join(other)}): say what was said then, or begin a "
            "new run from its model, fijibridge.train(folder, ..., out=another)"
        )
    return folder / LAST


def _environment(device: torch.device, devices: int, nodes: int) -> dict[str, Any]:
    import lightning

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "fijibridge": version("fijibridge"), "torch": torch.__version__, "lightning": lightning.__version__,
        "python": platform.python_version(), "system": platform.system(), "device": str(device), "card": name,
        "threads": torch.get_num_threads(), "devices": devices, "nodes": nodes,
    }  # fmt: skip


def _foreground(run: Run, work: Callable[[], None]) -> Run:
    """Wait for a run: Ctrl-C ends it and hands it back, a second one raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        work()
        return run.wait()
    aside(work)
    pressed = 0
    while run.running:
        try:
            run._over.wait(0.5)
        except KeyboardInterrupt:
            pressed += 1
            run.stop("interrupted by Ctrl-C")
            if pressed > 1:
                run.abandon()
    if pressed > 1:
        raise KeyboardInterrupt
    return run.wait()


def _fit(
    run: Run, job: _Job, step: Step, make_trainer: Callable[[], Any], recorder: Recorder, checkpoint: Path | None
) -> None:
    """Fit, and say why it ended; on the training's thread."""
    settings, net = job.chosen, job.net
    if settings.epochs == 0:
        why = "epochs=0: the network was left as it was"
    else:
        with quiet():
            trainer = make_trainer()
            learnt = Drawn(job.sampler, lambda: trainer, True) if isinstance(job.sampler, PatchSampler) else job.sampler
            watched = Drawn(job.watch, lambda: trainer, False) if isinstance(job.watch, PatchSampler) else job.watch
            torch.manual_seed(settings.seed)
            if checkpoint is None:
                _before_the_first_step(job, step, recorder)
            try:
                trainer.fit(
                    step,
                    loader(learnt),
                    loader(watched),
                    ckpt_path=str(checkpoint) if checkpoint else None,
                    weights_only=True,
                )
            except Abandoned:
                return
        why = _why(recorder, settings, job)
    state = recorder.best_state or step.judged.state_dict()
    net.load_state_dict(state)
    net.eval()
    run.ending = explain(
        recorder.history(), why, metric=settings.metric, patience=settings.patience, warm=job.before is not None
    )
    log.info("training ended: %s", run.ending)
    if run.path is not None and is_first_process():
        _save(run)


def _before_the_first_step(job: _Job, step: Step, recorder: Recorder) -> None:
    """Keep the losses of the network as it came, and a first checkpoint is not needed: a start is one."""
    module = step.net
    was = module.training
    module.to(job.device).eval()
    row = {"epoch": 0.0, "train_loss": _loss_now(job.sampler, step, job), "val_loss": _loss_now(job.watch, step, job)}
    if job.pairs is not None and job.chosen.cells_every is not None and recorder.judge is not None:
        row |= recorder.judge(module, 0)
    module.train(was)
    recorder.add(row | {"lr": 0.0})


def _loss_now(sampler: Any, step: Step, job: _Job) -> float:
    """Return the loss on a few batches, without learning and without using up the draws."""
    if sampler is None or (isinstance(sampler, Given) and sampler._stream is not None):
        return float("nan")
    numbers = range(min(4, len(sampler)))
    batches = (
        (sampler.batch_at(0, n) for n in numbers)
        if isinstance(sampler, PatchSampler)
        else (batch for batch, _ in zip(iter(sampler), numbers, strict=False))
    )
    losses = []
    with torch.no_grad():
        for x, y, weight in batches:
            losses.append(float(step.loss(step.net(x.to(job.device)), y.to(job.device), weight.to(job.device))))
    return sum(losses) / len(losses) if losses else float("nan")


def _why(recorder: Recorder, settings: Settings, job: _Job) -> str:
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


def _save(run: Run) -> None:
    """Write the record; what cannot be written costs the files, not the run."""
    assert run.path is not None
    try:
        run.save(run.path)
        if run.ending is not None and len(run.history) > run.settings["epochs"]:
            (run.path / LAST).unlink(missing_ok=True)  # there is nothing to go on with
    except (OSError, TrainingError, RuntimeError) as error:
        run.unsaved = f"{run.path}: {error}"
        tell_unsaved(run.path / FILE_NAME, error)
