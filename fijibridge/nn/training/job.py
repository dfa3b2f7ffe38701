"""Preparation of a training: all inputs are checked before the first step."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.augmentation.alignment import check_augmentation, check_batches
from fijibridge.nn.losses import Loss
from fijibridge.nn.model import Model
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import Batch, PatchSampler, Sample
from fijibridge.nn.patches.fingerprint import fingerprint_of, pixel_fingerprint, plain
from fijibridge.nn.planning import check_memory, patch_size
from fijibridge.nn.training.batches import UserBatches, check_user_batches, idle_settings, used_settings
from fijibridge.nn.training.data import (
    Pairs,
    check_classes,
    is_pairs,
    mean_pixel_size,
    read_pairs,
    samples_of,
    warn_of_missing_classes,
    warn_of_odd_images,
)
from fijibridge.nn.training.module import LossFunction
from fijibridge.nn.training.settings_schema import Settings
from fijibridge.nn.training.spill import Scratch
from fijibridge.nn.training.validation import CellCounter, Segmenter
from fijibridge.nn.training.warm_start import check_warm_start
from fijibridge.nn.traits import Traits, traits
from fijibridge.record import membrane_class

log = logging.getLogger("fijibridge")

PatchBatches: TypeAlias = PatchSampler | UserBatches

_CHECKED = 16  # number of patches to check; fewer may fit the mirrored image better by chance


@dataclass(frozen=True)
class Hardware:
    """Devices of a training.

    Attributes
    ----------
    device : torch.device
        Type of device, or a specific device.
    devices, nodes : int
        Number of devices of that type on each machine, and number of machines.
    strategy : str
        Lightning's name for the way in which the devices cooperate, such as ``"ddp"``.
    """

    device: torch.device
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"

    @property
    def world(self) -> int:
        """Number of processes, one for each device."""
        return self.devices * self.nodes


@dataclass(frozen=True)
class Inputs:
    """Arguments of :func:`fijibridge.train` that determine the data, as given by the user.

    Attributes
    ----------
    data, validation
        Dataset, pairs or batches.
    before : Model or None
        Trained model of a warm start.
    normalisation : Normalisation or None
        Normalisation requested by the user.
    augmentation : Augmentation or None
        Replaces ``settings.augment``.
    segment : callable or None
        Function that maps class probabilities (K, ...) to cells.
    """

    data: Any
    validation: Any = ()
    before: Model | None = None
    normalisation: Normalisation | None = None
    augmentation: Augmentation | None = None
    segment: Segmenter | None = None


@dataclass(frozen=True)
class Job:
    """A training that is ready for its first step.

    Attributes
    ----------
    net, traits
        The network and its requirements.
    settings : Settings
        Settings, completed with values that follow from network and data.
    hardware : Hardware
        Devices of the training.
    loss : callable
        Function that maps (output, y, weight) to a scalar.
    learn, watch : PatchSampler or UserBatches
        Batches for training and for validation (None without validation).
    normalisation : Normalisation
        Scaling of intensities, stored in the model.
    pairs : Pairs or None
        Images with targets; None for the user's batches.
    scratch : Scratch or None
        Owner of the image copies on disk; they are deleted together with this object.
    pixel_size, unit
        Mean pixel size of the training images, and its unit.
    about : dict
        Origin of the data, for the record.
    before : Model or None
        Trained model of a warm start.
    segment : callable or None
        Function that maps class probabilities (K, ...) to cells.
    folder, checkpoint : Path or None
        Folder of the run, and checkpoint from which the run is resumed.
    tensorboard : bool
        Whether logs for TensorBoard are written.
    """

    net: nn.Module
    traits: Traits
    settings: Settings
    hardware: Hardware
    loss: LossFunction
    learn: PatchBatches
    watch: PatchBatches | None
    normalisation: Normalisation
    about: Mapping[str, Any]
    pairs: Pairs | None = None
    scratch: Scratch | None = None
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = "pixel"
    before: Model | None = None
    segment: Segmenter | None = None
    folder: Path | None = None
    checkpoint: Path | None = None
    tensorboard: bool = False

    @property
    def device(self) -> torch.device:
        """Device of this process, or its type."""
        return self.hardware.device

    @property
    def world(self) -> int:
        """Number of processes."""
        return self.hardware.world

    @property
    def batches(self) -> int:
        """Number of batches in an epoch."""
        return len(self.learn)

    @property
    def patches(self) -> int:
        """Number of patches in an epoch."""
        return self.batches * self.settings.batch

    @property
    def steps(self) -> int:
        """Total number of steps in all epochs."""
        return self.batches * self.settings.epochs

    def counter(self, observers: Sequence[Any]) -> CellCounter | None:
        """Return the counter of validation cells; None if they are neither counted nor shown to an observer."""
        if self.pairs is None or not self.pairs.watched:
            return None
        shown_to = [observer for observer in observers if hasattr(observer, "picture")]
        if self.settings.cells_every is None and not shown_to:
            return None
        membrane = membrane_class(self.settings.classes)
        return CellCounter(self.as_model, self.pairs, self.settings.cells_every, self.segment, shown_to, membrane)

    def as_model(self, net: nn.Module) -> Model:
        """Return a network of this training as a model, with everything needed to use it."""
        known = {"membrane_width": self.settings.membrane_width} | dict(self.about)
        notes = {name: known[name] for name in ("data", "provenance", "membrane_width") if known.get(name) is not None}
        return Model(net, self._class_names(), self.normalisation, dict(self.pixel_size), self.unit, notes)

    def model(self, epochs: int) -> Model:
        """Return the network in its current state as a model."""
        model = self.as_model(self.net)
        return replace(model, notes=model.notes | {"epochs": epochs})

    def _class_names(self) -> tuple[str, ...]:
        axes = ("z", "y", "x")[-self.traits.dims :]
        more = {"distance": ["distance"], "affinity": [f"affinity_{axis}" for axis in axes]}
        return (*self.settings.classes, *(name for head in self.traits.outputs for name in more.get(head, [])))

    def record(self) -> dict[str, Any]:
        """Return the entry ``settings`` of ``run.json``."""
        config = getattr(self.net, "config", None)
        network = dict(config) if isinstance(config, Mapping) else {"class": type(self.net).__qualname__}
        more = {
            "normalisation": asdict(self.normalisation), "pixel_size": dict(self.pixel_size), "unit": self.unit,
            "batches": self.batches, "device": str(self.device), "world": self.world,
            "warm_start": self.before is not None,
        }  # fmt: skip
        return {"network": network, **plain(self.settings.model_dump()), **self.about, **more}


def prepare(
    net: nn.Module, inputs: Inputs, settings: Settings, hardware: Hardware, loss: LossFunction | None = None,
    folder: Path | None = None,
) -> Job:  # fmt: skip
    """Check all inputs of a training, and read its images.

    Parameters
    ----------
    net
        Network to train.
    inputs
        Images or batches, and how to process them.
    settings, hardware
        Settings and devices.
    loss
        User's loss; None for the loss named in the settings.
    folder
        Folder of the run, in which images that do not fit into memory are stored temporarily.

    Raises
    ------
    TrainingError
        If network, data and settings do not match, or a step needs more memory than available.
    DatasetError
        If label or region files are missing.
    """
    known = traits(net)
    if inputs.before is not None and "classes" not in settings.model_fields_set:
        settings = settings.model_copy(update={"classes": inputs.before.classes[: known.n_classes]})
    if is_pairs(inputs.data):
        supply = _from_pairs(net, known, settings, hardware.device, inputs, folder)
    else:
        supply = _from_batches(known, settings, hardware.world, inputs)
    job = Job(
        net, known, hardware=hardware, loss=loss or Loss(settings.loss, outputs=known.outputs), before=inputs.before,
        segment=inputs.segment, folder=folder, **vars(supply),
    )  # fmt: skip
    if job.settings.patience is not None and job.watch is None:
        raise TrainingError(
            "patience needs validation data: name validation images in the dataset's split, or pass validation=[...]"
        )
    if job.settings.metric == "val_f1" and not (job.pairs and job.pairs.watched):
        raise TrainingError(
            "metric 'val_f1' needs validation images: name them in the dataset's split, or pass "
            "validation=[(image, target), ...]"
        )
    return job


@dataclass(frozen=True)
class _Supply:
    """Fields of a job that follow from its data."""

    settings: Settings
    learn: PatchBatches
    watch: PatchBatches | None
    normalisation: Normalisation
    about: Mapping[str, Any]
    pairs: Pairs | None = None
    scratch: Scratch | None = None
    pixel_size: Mapping[str, float] = field(default_factory=dict)
    unit: str = "pixel"


def _normalisation(inputs: Inputs) -> Normalisation:
    return inputs.normalisation or (inputs.before.normalisation if inputs.before else Normalisation())


# --- images with targets --------------------------------------------------------------------------------


def _from_pairs(
    net: nn.Module, known: Traits, settings: Settings, device: torch.device, inputs: Inputs, folder: Path | None
) -> _Supply:
    """Read images and targets, and create samplers of their patches."""
    size = patch_size(net, settings.patch)
    check_memory(net, size, settings.batch, device)
    transform = inputs.augmentation or Augmentation.of(settings.augment, _heads(known))
    check_augmentation(transform, size)
    scratch = Scratch(folder)
    pairs = read_pairs(inputs.data, inputs.validation, settings, known, scratch)
    check_classes(known, settings.classes, {**pairs.learnt, **pairs.watched})
    normalisation = _normalisation(inputs)
    if normalisation.kind == "dataset" and normalisation.values is None:
        normalisation = normalisation.fit([pair[0] for pair in pairs.learnt.values()])
    learnt, watched = (samples_of(part, known, normalisation, scratch) for part in (pairs.learnt, pairs.watched))
    warn_of_missing_classes(learnt, settings.classes)
    warn_of_odd_images(learnt, size if settings.patch is not None else None)
    pixel_size, unit = mean_pixel_size([pair[0] for pair in pairs.learnt.values()])
    if inputs.before is not None:
        check_warm_start(inputs.before, inputs.normalisation, (pixel_size, unit), settings)
    learn = PatchSampler(
        learnt, size, settings.batch, _batches(settings), transform, settings.seed, sampling=settings.sampling,
        stride=settings.stride, require=settings.require, membrane=membrane_class(settings.classes),
    )  # fmt: skip
    check_batches(_first_of(learn))
    about = dict(pairs.about) | {
        "patch": list(size), "images": len(learnt), "validation_images": len(watched),
        "fingerprint": pixel_fingerprint(learnt, normalisation), "augmentation": plain(vars(transform)),
    }  # fmt: skip
    watch = _watching(watched, size, settings)
    return _Supply(settings, learn, watch, normalisation, about, pairs, scratch, pixel_size, unit)


def _batches(settings: Settings) -> int | None:
    """Return the number of batches in an epoch; None for a whole grid."""
    whole = settings.sampling == "grid" and "batches" not in settings.model_fields_set
    return None if whole else settings.batches


def _watching(watched: Sequence[Sample], size: tuple[int, ...], settings: Settings) -> PatchSampler | None:
    """Return a sampler with enough batches to show every validation pixel about once."""
    if not watched:
        return None
    pixels = sum(int((s.classes() != IGNORE).sum()) for s in watched)
    batches = max(1, round(pixels / math.prod(size) / settings.batch))
    return PatchSampler(watched, size, settings.batch, batches, False, settings.seed)


def _heads(known: Traits) -> tuple[str, ...]:
    """Return the heads other than the classes."""
    return tuple(name for name in known.outputs if name != "classes")


# --- the user's batches ---------------------------------------------------------------------------------


def _from_batches(known: Traits, settings: Settings, world: int, inputs: Inputs) -> _Supply:
    """Check the first of the user's batches, and return the batches."""
    check_classes(known, settings.classes, {})
    if inputs.before is not None:
        check_warm_start(inputs.before, inputs.normalisation, None, settings)
    learn, watch = _batches_of(inputs.data, settings, world), _watched_of(inputs.validation, settings, world)
    normalisation = _scaling_of_batches(inputs)
    first = _first_of(learn)
    check_user_batches(first, known)
    used = used_settings(learn)
    _refuse_idle(settings, inputs, used, learn, watch, _heads(known))
    changes: dict[str, Any] = {"batch": used["batch"] or len(first[0][0])}
    about = {"data": type(inputs.data).__name__, "provenance": "unknown"} | used
    if isinstance(learn, PatchSampler):
        about |= {
            "images": len(learn.samples), "fingerprint": fingerprint_of(learn.samples),
            "sampler": {"seed": learn.seed, "fixed": learn.fixed, "membrane": learn.membrane},
        }  # fmt: skip
        if "seed" not in settings.model_fields_set:
            changes["seed"] = learn.seed
    return _Supply(settings.model_copy(update=changes), learn, watch, normalisation, about)


def _scaling_of_batches(inputs: Inputs) -> Normalisation:
    if inputs.normalisation is None and inputs.before is None:
        log.warning(
            "the batches are used unchanged, so predict will pass unscaled images to the network: pass "
            "normalisation= if your batches were scaled"
        )
        return Normalisation.none()
    return _normalisation(inputs)


def _batches_of(data: Any, settings: Settings, world: int) -> PatchBatches:
    if isinstance(data, PatchSampler):
        data.share(0, world)  # raise here rather than in each process
        return data
    asked = settings.batches if "batches" in settings.model_fields_set else None
    return UserBatches(data, asked, settings.batches)


def _watched_of(validation: Any, settings: Settings, world: int) -> PatchBatches | None:
    if isinstance(validation, PatchSampler):
        validation.share(0, world)
        return validation
    if validation is None or (isinstance(validation, list | tuple) and not len(validation)):
        return None
    if is_pairs(validation):
        raise TrainingError("data consists of batches, but validation of images: pass batches for both")
    return UserBatches(validation, None, settings.batches)


def _refuse_idle(
    settings: Settings, inputs: Inputs, used: Mapping[str, Any], learn: PatchBatches, watch: PatchBatches | None,
    heads: tuple[str, ...],
) -> None:  # fmt: skip
    """Refuse settings that have no effect on the user's batches."""
    fine = {"patch", "batch"} if isinstance(learn, UserBatches) else set()  # sizes may differ between batches
    if isinstance(watch, UserBatches) and not watch.has_length:
        fine.add("batches")
    idle = idle_settings(settings, fine, used)
    asked = inputs.augmentation
    if asked is None and "augment" in settings.model_fields_set:
        asked = Augmentation.of(settings.augment, heads)
    done = learn.augmentation if isinstance(learn, PatchSampler) else Augmentation.none()
    if asked is not None and replace(asked, heads=()) != replace(done, heads=()):
        idle.append("augment" if inputs.augmentation is None else "augmentation")
    if inputs.segment is not None:
        idle.append("segment")
    if idle:
        raise TrainingError(
            f"data is a {type(inputs.data).__name__}, on which {', '.join(idle)} would have no effect: set them "
            "where the batches are made, or omit them"
        )


def _first_of(batches: PatchBatches) -> list[Batch]:
    """Return the first batches for checks, without consuming them."""
    if isinstance(batches, UserBatches):
        return batches.first(_CHECKED)
    return [batches.batch_at(0, number) for number in range(min(-(-_CHECKED // batches.batch), len(batches)))]
