"""Function :func:`fijibridge.train`: preparation, loop and ending."""

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
        A network, which is trained in place. For a warm start, a model, a run, or the path of either; a copy of its
        network is trained.
    data
        One of

        - a dataset: its ``train`` images are used for training, and its ``validation`` images for validation. Targets
          are pixel labels, or membranes drawn between cell labels;
        - a list of (image, target) or (image, target, weight). Named axes may be in any order. A target contains the
          class id of each pixel, or 255 if that is unknown; :func:`fijibridge.membrane_target` makes one from cells;
        - batches (x, y) or (x, y, weight), where x is (B, C, ...) floats, y is (B, ...) class ids, and weight is
          (B, ...) floats. They come from a :class:`fijibridge.PatchSampler`, a DataLoader, a generator, or a function
          that returns one of these. Each batch is divided among the devices. If the number of batches is known from
          ``len`` and the setting `batches` is omitted, an epoch is all of them; otherwise it is `batches` batches.
          Generators continue across epochs; other iterables restart. Patch settings have no effect on batches and are
          refused: set them where the batches are made.
    out
        Folder for the record, the checkpoints and the model.
    overwrite
        Whether a run in `out` may be replaced. The old run is removed after the new one has passed its checks.
    resume
        Whether to continue the run in `out` from its last checkpoint, with the same result as without interruption.
        ``"auto"`` continues the run if there is a checkpoint, and otherwise starts one.
    background
        Whether to return at once, while the training continues on a thread. Then use ``run.stop()``, ``run.wait()`` and
        ``run.history``.
    validation
        Further pairs for validation, or batches. All batches are used if their number is known. A sampler always
        provides the batches of its first epoch.
    settings
        All settings in one object; see :class:`fijibridge.Settings`.
    normalisation
        Scaling of intensities. By default, that of the model for a warm start; otherwise, scaling by two percentiles of
        each image.
    loss
        Function that maps (output, y, weight) to a scalar tensor, or the value of the setting `loss`.
    segment
        Function that maps class probabilities (K, ...) to cells, used to count cells for ``metric="val_f1"``.
    augmentation
        Replaces ``settings.augment``.
    device
        ``"cpu"``, ``"cuda"`` ...; None for the best available one.
    devices, nodes, strategy
        Number of devices of that type, number of machines, and Lightning's name for the way in which they cooperate
        (``"ddp"``).
    tensorboard
        Whether to write TensorBoard logs to `out`.
    observers
        Observers to notify of steps and epochs. ``"auto"`` (or None): the Fiji running in this process, if any; ``[]``:
        none.
    **changes
        Settings by name: ``epochs=100, patch=(160, 160)``; see :class:`fijibridge.Settings`.

    Returns
    -------
    Run

    Raises
    ------
    TrainingError
        Before the first step, if data, patch and network do not match, `out` contains a run, or a step needs more
        memory than available. Later, if the loss becomes infinite or NaN, or memory runs out.
    DeviceError
        If the device does not exist.
    DatasetError
        If label or region files are missing.

    Notes
    -----
    Ctrl-C stops the run after the current step, saves it and returns it; a second Ctrl-C raises KeyboardInterrupt.
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

    # Prepare: all checks are done here, before anything of an older run is lost.
    if folder is not None:
        _clear(folder, hardware, overwrite or bool(resume))
    network, before = _network_of(net)
    inputs = Inputs(data, validation, before, normalisation, augmentation, segment)
    job = prepare(network, inputs, chosen, hardware, own_loss, folder)
    job = replace(job, checkpoint=checkpoint_to_resume(folder, resume, job.record()), tensorboard=tensorboard)
    recorder = _recorder(job, informed)
    if not _holds_a_run(folder):
        recorder.begin()  # before training: fail at once if the folder cannot be written

    # Train and finish: see `loop.fit` and `runs.train_and_keep`.
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
            f"a batch of {settings.batch} patches cannot be divided equally among {hardware.world} devices: use a "
            f"batch that is a multiple of {hardware.world}"
        )
    precision_of(settings.precision, hardware.device)


def _clear(folder: Path, hardware: Hardware, replaces: bool) -> None:
    """Refuse a folder whose run would be lost; remove scratch files left there by a killed run."""
    if is_first_process():
        check_folder(folder, replaces)
    if hardware.world == 1:  # otherwise another process may already use these files
        clear_scratch(folder)


def _network_of(net: object) -> tuple[nn.Module, Model | None]:
    """Return the network to train, and for a warm start its model; a trained network is copied."""
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
    """Return whether a folder contains files of a run, which must be kept until the new one has passed its checks."""
    return folder is not None and any((folder / name).is_file() for name in (FILE_NAME, LAST, RECORD, HISTORY))


def _environment(hardware: Hardware) -> dict[str, Any]:
    device = hardware.device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {
        "fijibridge": version("fijibridge"), "torch": torch.__version__, "lightning": version("lightning"),
        "python": platform.python_version(), "system": platform.system(), "device": str(device), "card": name,
        "threads": torch.get_num_threads(), "devices": hardware.devices, "nodes": hardware.nodes,
    }  # fmt: skip
