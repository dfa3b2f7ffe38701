"""Start a training: everything is looked at before the first step."""

from __future__ import annotations

import copy
import json
import logging
import os
import platform
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fijibridge.dataset import Dataset
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.devices import device_of
from fijibridge.nn.losses import Loss
from fijibridge.nn.model import FILE_NAME, Model
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.training import separate_process
from fijibridge.nn.training.checkpoints import LAST, read_checkpoint
from fijibridge.nn.training.data import Batches, is_pairs
from fijibridge.nn.training.hyperparameters import SETTINGS
from fijibridge.nn.training.job import Job
from fijibridge.nn.training.loop import BOARD, aside, fit, is_first_process, precision_of, trainer_of
from fijibridge.nn.training.module import LossFunction, Step
from fijibridge.nn.training.pairs import Pair
from fijibridge.nn.training.recorder import Recorder
from fijibridge.nn.training.runs import Run, write_record
from fijibridge.nn.training.settings import Settings
from fijibridge.nn.training.spill import clear_scratch
from fijibridge.nn.training.validation import Segmenter
from fijibridge.nn.traits import traits
from fijibridge.observers import Observer, watchers
from fijibridge.record import HISTORY, PICTURE, RECORD, RENAMED_SETTINGS, with_current_names
from fijibridge.renames import renamed_keywords

log = logging.getLogger("fijibridge")


@renamed_keywords(**RENAMED_SETTINGS)
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
    loss: LossFunction | str | None = None,
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
        A network, trained in place; or a model, a run, or the path of either, whose training goes on with a copy (a
        warm start): it stays as it is.
    data
        A dataset, whose ``train`` images are learnt (their membranes as targets) and whose ``validation`` images
        are watched; or a list of (image, target) or (image, target, weight), axes with names in any order. A target
        holds class ids per pixel, 255 = unknown; :func:`fijibridge.membrane_target` makes one. Or anything that gives
        batches: a :class:`fijibridge.PatchSampler`, a DataLoader, a generator, or a function that returns one, of
        (x, y) or (x, y, weight): (B, C, ...) floats, (B, ...) class ids, (B, ...) floats. Several devices share each
        batch. An epoch is all batches that there are, where their number is known (``len``) and `batches` is left
        out; else `batches` of them: a generator goes on, anything else begins anew. How patches are cut and
        transformed is then said where the batches are made: settings that would change nothing here are refused.
    out
        Folder for the run's record, checkpoints and the model.
    overwrite
        Whether `out` may be the folder of a finished run, which is lost as soon as all of the new one is looked at.
    resume
        Go on with the run in `out` from its last checkpoint, as if it had never been broken off; ``"auto"``: if there
        is one.
    background
        Return at once: ``run.stop()``, ``run.wait()``, ``run.history``.
    validation
        Pairs or batches to watch, besides those of a dataset: of batches all, where their number is known; of a
        sampler its first epoch, each time.
    settings
        All settings in one; see :class:`fijibridge.Settings`.
    normalisation
        How intensities are scaled; the model's at a warm start, else two percentiles of each image.
    loss
        Your own, (output, y, weight) to a scalar tensor; or the setting of that name.
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
        Told about steps and epochs; left out, the Fiji that runs in this process, if one does; ``[]``: nobody.
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
    if min(devices, nodes) < 1:
        raise TrainingError(f"devices is {devices} and nodes {nodes}; expected 1 or more of each")
    if not (loss is None or isinstance(loss, str) or callable(loss)):
        raise TrainingError(f"loss is a {type(loss).__name__}; expected a function of (output, y, weight), or its name")
    own_loss = loss if callable(loss) else None
    chosen = Settings.of(settings, **(changes | ({"loss": loss} if isinstance(loss, str) else {})))
    if is_pairs(data) and chosen.batch % (devices * nodes):
        raise TrainingError(f"a batch of {chosen.batch} patches cannot be shared by {devices * nodes} devices equally")
    where = device_of(device)
    precision_of(chosen.precision, where)  # refused before anything is read
    if separate_process.needed(devices, nodes):
        return separate_process.train_elsewhere(
            net, data, chosen, out=out, overwrite=overwrite, resume=resume, background=background, device=device,
            devices=devices, nodes=nodes, strategy=strategy, tensorboard=tensorboard, observers=observers,
            others={"validation": validation or None, "normalisation": normalisation, "loss": own_loss,
                    "segment": segment, "augmentation": augmentation},
        )  # fmt: skip
    start = net if isinstance(net, nn.Module) else _model_of(net)
    before = start if isinstance(start, Model) else None
    network = start.net if isinstance(start, Model) else start
    known = traits(network)
    if before is not None and "classes" not in chosen.model_fields_set:
        chosen = chosen.model_copy(update={"classes": before.classes[: known.n_classes]})
    folder = Path(out) if out is not None else None
    job = Job(network, known, chosen, where, before, normalisation, devices, nodes, segment, folder)
    if folder is not None:
        _look_at_folder(folder, overwrite, resume)
        if devices * nodes == 1:  # else others may read theirs already
            clear_scratch(folder)
    job.take(data, validation, augmentation)
    told = list(watchers() if observers is None else observers)
    recorder = Recorder(
        chosen, chosen.epochs * job.batches, told, job.judge(told),
        folder, {"format": 1, "data": job.about.get("fingerprint", "")},
    )  # fmt: skip
    run = Run(lambda: job.model(recorder), recorder, job.settings(), folder)
    run.environment = _environment(job.device, devices, nodes)
    checkpoint = _checkpoint(folder, resume, run.settings)
    begin = partial(_begin, run, anew=checkpoint is None, alone=devices * nodes == 1)
    if not _holds_a_run(folder):
        begin()  # at once: a bad folder costs no run

    step = Step(network, own_loss or Loss(chosen.loss, outputs=known.outputs), chosen, chosen.epochs * job.batches)
    trainer = lambda: trainer_of(  # noqa: E731  made on the thread that fits
        chosen, job.device, recorder, devices=devices, nodes=nodes, strategy=strategy, tensorboard=tensorboard
    )
    work = run.begin(lambda run: fit(run, job, step, trainer, recorder, checkpoint, begin))
    if background:
        aside(work)
        return run
    return _foreground(run, work)


def _holds_a_run(folder: Path | None) -> bool:
    """Whether a run has left something that is not to be lost before all of a new one is looked at."""
    return folder is not None and any((folder / name).is_file() for name in (FILE_NAME, LAST, RECORD, HISTORY))


def _begin(run: Run, anew: bool, alone: bool) -> None:
    """Make its folder that of a run: if it begins anew, what is there could be taken for its own and is removed."""
    folder = run.path
    if folder is None or not is_first_process():
        return
    if anew and folder.is_dir():
        left = [LAST, HISTORY, PICTURE, *([FILE_NAME] if alone else [])]  # the others may still have to read the model
        for old in (*(folder / name for name in left), *(folder / BOARD).glob("events.out.tfevents.*")):
            old.unlink(missing_ok=True)
    write_record(folder, run.record() | {"history": []})


def _model_of(net: object) -> Model:
    known = net.model if isinstance(net, Run) else net
    if isinstance(known, Model):
        return replace(known, net=copy.deepcopy(known.net))
    if isinstance(net, str | os.PathLike):
        return Model.load(net)
    raise TrainingError(f"got a {type(net).__name__}; expected a network, a Model, a Run, or the path of one")


def _look_at_folder(folder: Path, overwrite: bool, resume: bool | str) -> None:
    if not is_first_process() or resume or overwrite:
        return
    if (folder / FILE_NAME).is_file() and not (folder / LAST).is_file():
        raise TrainingError(
            f"{folder} holds a finished run, its {FILE_NAME} would be lost: choose another folder (out, --out), or say "
            "that it may be (overwrite=True, --overwrite)"
        )
    if (folder / LAST).is_file():
        raise TrainingError(
            f"{folder} holds a run that did not come to its end: go on with it (resume=True, --resume), choose another "
            "folder, or say that it may be lost (overwrite=True, --overwrite)"
        )


_SAME = (
    "network", *(name for name, setting in SETTINGS.items() if setting.resume == "equal"),
    "augmentation", "fingerprint", "normalisation", "sampler",
)  # fmt: skip
"""Entries of a record that must be equal for a run to be resumed."""


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
        if (folder / FILE_NAME).is_file():
            raise TrainingError(
                f"{folder} holds no {LAST} to go on from: a run that is complete leaves none. Further epochs are a new "
                "run from its model: fijibridge.train(folder, ..., out=another), --from"
            )
        raise TrainingError(
            f"{folder} holds no {LAST} to go on from: leave resume out to begin anew, or say resume='auto' for both"
        )
    read_checkpoint(folder / LAST)
    try:
        before = json.loads((folder / RECORD).read_text(encoding="utf-8"))["settings"]
        before = with_current_names(before)
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
