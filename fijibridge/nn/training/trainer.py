"""Function :func:`fijibridge.train`: prepare, loop, ending."""

from __future__ import annotations

import copy
import os
import platform
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from fijibridge.dataset import Dataset
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.devices import device_of
from fijibridge.nn.model import FILE_NAME, Model
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.training import separate_process
from fijibridge.nn.training.checkpoints import LAST, check_folder, checkpoint_to_resume
from fijibridge.nn.training.data import Batches, Pair, is_pairs
from fijibridge.nn.training.job import Hardware, Inputs, Job, prepare
from fijibridge.nn.training.loop import is_first_process, precision_of
from fijibridge.nn.training.module import LossFunction
from fijibridge.nn.training.recorder import Recorder
from fijibridge.nn.training.runs import Run, train_and_keep
from fijibridge.nn.training.settings_schema import Settings
from fijibridge.nn.training.spill import clear_scratch
from fijibridge.nn.training.validation import Segmenter
from fijibridge.observers import Observer, watchers
from fijibridge.record import HISTORY, RECORD, RENAMED_SETTINGS
from fijibridge.renames import renamed_keywords


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
    observers: Sequence[Observer] | Literal["auto"] | None = "auto",
    **changes: Any,
) -> Run:
    """Train a network on images and targets.

    Parameters
    ----------
    net
        A network, which is trained in place; or a model, a run, or the path of either, of which a copy is trained (a
        warm start).
    data
        One of

        - a dataset: its ``train`` images are trained on, with membranes drawn between their cells or their pixel
          labels as targets, and its ``validation`` images validated with;
        - a list of (image, target) or (image, target, weight), axes with names in any order. A target holds class ids
          per pixel, 255 = unknown; :func:`fijibridge.membrane_target` makes one;
        - batches (x, y) or (x, y, weight) of shapes (B, C, ...) floats, (B, ...) class ids, (B, ...) floats: a
          :class:`fijibridge.PatchSampler`, a DataLoader, a generator, or a function that returns one. Several devices
          share each batch. An epoch is all batches if their number is known (``len``) and `batches` is left out; else
          `batches` of them. Generators continue across epochs; other iterables restart. Settings of patches have no
          effect here and are refused: give them where the batches are made.
    out
        Folder for record, checkpoints and model.
    overwrite
        Whether a run in `out` may be replaced. It is removed once the new one is checked.
    resume
        Continue the run in `out` from its last checkpoint, to the same result as without the interruption; ``"auto"``:
        if there is a checkpoint.
    background
        Return at once: ``run.stop()``, ``run.wait()``, ``run.history``.
    validation
        Further pairs to validate with, or batches: all of them if their number is known; of a sampler its first epoch,
        each time.
    settings
        All settings in one; see :class:`fijibridge.Settings`.
    normalisation
        Scaling of intensities. Default: that of the model at a warm start, else two percentiles of each image.
    loss
        Function from (output, y, weight) to a scalar tensor; or the value of the setting `loss`.
    segment
        Function from class probabilities (K, ...) to cells, to count them: ``metric="val_f1"``.
    augmentation
        Replaces ``settings.augment``.
    device
        ``"cpu"``, ``"cuda"`` ...; None for the best one of this machine.
    devices, nodes, strategy
        Number of devices of that kind, number of machines, and Lightning's name for their cooperation (``"ddp"``).
    tensorboard
        Whether to write logs for TensorBoard into `out`.
    observers
        Receive steps and epochs. ``"auto"`` (or None): the Fiji that runs in this process, if any; ``[]``: none.
    **changes
        Settings by name: ``epochs=100, patch=(160, 160)``; see :class:`fijibridge.Settings`.

    Returns
    -------
    Run

    Raises
    ------
    TrainingError
        Before the first step: data, patch and network do not fit, `out` holds a run, or a step takes more memory than
        there is. Later: the loss became infinite or NaN, or memory was not enough.
    DeviceError
        If the device does not exist.
    DatasetError
        If files of labels or regions are missing.

    Notes
    -----
    Ctrl-C ends the run after the current step, saves it and returns it; a second one raises KeyboardInterrupt.
    """
    _check_arguments(devices, nodes, loss)
    chosen = Settings.of(settings, **(changes | ({"loss": loss} if isinstance(loss, str) else {})))
    hardware = Hardware(device_of(device), devices, nodes, strategy)
    _check_hardware(hardware, chosen, data)
    informed = list(watchers() if observers is None or observers == "auto" else observers)
    own_loss = loss if callable(loss) else None
    folder = Path(out) if out is not None else None

    if separate_process.needed(devices, nodes):
        return separate_process.train_elsewhere(
            net, data, chosen, out=out, background=background, observers=informed,
            overwrite=overwrite, resume=resume, device=device, devices=devices, nodes=nodes, strategy=strategy,
            tensorboard=tensorboard, others={
                "validation": validation or None, "normalisation": normalisation, "loss": own_loss,
                "segment": segment, "augmentation": augmentation,
            },
        )  # fmt: skip

    # Prepare: all that can be refused is refused here, before anything of an older run is lost.
    if folder is not None:
        _clear(folder, hardware, overwrite or bool(resume))
    network, before = _network_of(net)
    inputs = Inputs(data, validation, before, normalisation, augmentation, segment)
    job = prepare(network, inputs, chosen, hardware, own_loss, folder)
    job = replace(job, checkpoint=checkpoint_to_resume(folder, resume, job.record()), tensorboard=tensorboard)
    recorder = _recorder(job, informed)
    if not _holds_a_run(folder):
        recorder.begin()  # already now: a folder that cannot be written costs no training

    # Train, and end: see `loop.fit` and `runs.train_and_keep`.
    run = Run(job, recorder)
    return run.start(partial(train_and_keep, run, job, recorder), background)


def _check_arguments(devices: int, nodes: int, loss: LossFunction | str | None) -> None:
    if min(devices, nodes) < 1:
        raise TrainingError(f"devices is {devices} and nodes {nodes}; expected 1 or more of each")
    if not (loss is None or isinstance(loss, str) or callable(loss)):
        raise TrainingError(f"loss is a {type(loss).__name__}; expected a function of (output, y, weight), or its name")


def _check_hardware(hardware: Hardware, settings: Settings, data: object) -> None:
    if is_pairs(data) and settings.batch % hardware.world:
        raise TrainingError(
            f"a batch of {settings.batch} patches cannot be shared by {hardware.world} devices equally: give a batch "
            f"that is a multiple of {hardware.world}"
        )
    precision_of(settings.precision, hardware.device)


def _clear(folder: Path, hardware: Hardware, replaces: bool) -> None:
    """Refuse a folder whose run would be lost; remove what a killed run left there."""
    if is_first_process():
        check_folder(folder, replaces)
    if hardware.world == 1:  # another process may use its files already
        clear_scratch(folder)


def _network_of(net: object) -> tuple[nn.Module, Model | None]:
    """Return the network to train; of a trained one a copy, and its model."""
    if isinstance(net, nn.Module):
        return net, None
    known = net.model if isinstance(net, Run) else net
    if isinstance(known, Model):
        before = replace(known, net=copy.deepcopy(known.net))
    elif isinstance(net, str | os.PathLike):
        before = Model.load(net)
    else:
        raise TrainingError(f"got a {type(net).__name__}; expected a network, a Model, a Run, or the path of one")
    return before.net, before


def _recorder(job: Job, observers: Sequence[Observer]) -> Recorder:
    return Recorder(
        job.settings, job.steps, observers, job.counter(observers), job.folder if is_first_process() else None,
        described=job.record(), environment=_environment(job.hardware), resumed=job.checkpoint is not None,
        alone=job.world == 1,
    )  # fmt: skip


def _holds_a_run(folder: Path | None) -> bool:
    """Return whether a folder holds files of a run that must survive until the new one is checked."""
    return folder is not None and any((folder / name).is_file() for name in (FILE_NAME, LAST, RECORD, HISTORY))


def _environment(hardware: Hardware) -> dict[str, Any]:
    device = hardware.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "fijibridge": version("fijibridge"), "torch": torch.__version__, "lightning": version("lightning"),
        "python": platform.python_version(), "system": platform.system(), "device": str(device), "card": name,
        "threads": torch.get_num_threads(), "devices": hardware.devices, "nodes": hardware.nodes,
    }  # fmt: skip
