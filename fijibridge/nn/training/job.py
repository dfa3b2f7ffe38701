"""What one training works on: network, images or batches, and how they are looked at."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict, replace
from dataclasses import fields as dataclass_fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.messages import did_you_mean
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.augmentation.alignment import check_augmentation, check_batches
from fijibridge.nn.model import Model
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import Batch, PatchSampler, Sample
from fijibridge.nn.patches.fingerprint import described, fingerprint_of, plain
from fijibridge.nn.planning import check_memory, patch_size
from fijibridge.nn.training.batches import Given
from fijibridge.nn.training.data import (
    check_classes,
    fingerprint,
    is_pairs,
    mean_pixel_size,
    read_pairs,
    samples_of,
)
from fijibridge.nn.training.hyperparameters import SETTINGS
from fijibridge.nn.training.pairs import Pairs
from fijibridge.nn.training.recorder import Recorder
from fijibridge.nn.training.settings import Settings
from fijibridge.nn.training.spill import Scratch
from fijibridge.nn.training.validation import CellCounter, Segmenter
from fijibridge.nn.training.warm_start import check_warm_start
from fijibridge.nn.traits import Traits
from fijibridge.record import membrane_class

log = logging.getLogger("fijibridge")

_OF_PATCHES = tuple(name for name, setting in SETTINGS.items() if setting.patches)
"""Settings that describe how patches are cut from images."""

_LOOKED_AT = 16  # patches: in a few, that a turned image explains the targets better can be chance


class Job:
    """What one training works on."""

    def __init__(
        self, net: nn.Module, known: Traits, settings: Settings, device: torch.device, before: Model | None,
        normalisation: Normalisation | None, devices: int, nodes: int, segment: Segmenter | None,
        folder: Path | None = None,
    ):  # fmt: skip
        self.net, self.traits, self.chosen, self.device, self.before = net, known, settings, device, before
        self.world = devices * nodes
        self.segment, self.folder = segment, folder
        self.given = normalisation
        self.normalisation = normalisation or (before.normalisation if before else Normalisation())
        self.pairs: Pairs | None = None
        self.scratch: Scratch | None = None
        self.sampler: Any = None
        self.watch: Any = None
        self.about: dict[str, Any] = {}
        self.size: tuple[dict[str, float], str] = ({}, "pixel")

    @property
    def heads(self) -> tuple[str, ...]:
        """What is learnt beside the classes."""
        return tuple(name for name in self.traits.outputs if name != "classes")

    @property
    def patches(self) -> int:
        """Patches in an epoch."""
        return self.batches * self.chosen.batch

    @property
    def batches(self) -> int:
        """Batches in an epoch."""
        return len(self.sampler)

    def take(self, data: Any, validation: Any, augmentation: Augmentation | None) -> None:
        """Look at all that goes in, and make the samplers."""
        if is_pairs(data):
            self._take_pairs(data, validation, augmentation)
        else:
            self._take_batches(data, validation, augmentation)
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
        transform = augmentation if augmentation is not None else _augmentation(chosen.augment, self.heads)
        check_augmentation(transform, size)
        scratch = Scratch(self.folder)
        pairs = read_pairs(data, validation, chosen, self.traits, scratch)
        check_classes(self.traits, chosen.classes, {**pairs.learnt, **pairs.watched})
        if self.normalisation.kind == "dataset" and self.normalisation.values is None:
            self.normalisation = self.normalisation.fit([pair[0] for pair in pairs.learnt.values()])
        learnt = samples_of(pairs.learnt, self.traits, self.normalisation, scratch)
        _warn_of_missing_classes(learnt, chosen.classes)
        _warn_of_odd_images(learnt, size if chosen.patch is not None else None)
        watched = samples_of(pairs.watched, self.traits, self.normalisation, scratch)
        self.size = mean_pixel_size([pair[0] for pair in pairs.learnt.values()])
        if self.before is not None:
            check_warm_start(self.before, self.given, self.size, chosen)
        self.pairs, self.scratch = pairs, scratch
        self.sampler = PatchSampler(
            learnt, size, chosen.batch, _batches(chosen), transform, chosen.seed, sampling=chosen.sampling,
            stride=chosen.stride, require=chosen.require, membrane=membrane_class(chosen.classes),
        )  # fmt: skip
        if watched:
            batches = _enough(watched, size, chosen.batch)
            self.watch = PatchSampler(watched, size, chosen.batch, batches, False, chosen.seed)
        check_batches(_first_of(self.sampler))
        self.about = dict(pairs.about) | {
            "patch": list(size), "images": len(learnt), "validation_images": len(watched),
            "fingerprint": fingerprint(learnt, self.normalisation), "augmentation": plain(vars(transform)),
        }  # fmt: skip

    def _take_batches(self, data: Any, validation: Any, augmentation: Augmentation | None) -> None:
        check_classes(self.traits, self.chosen.classes, {})
        if self.before is not None:
            check_warm_start(self.before, self.given, None, self.chosen)
        self.sampler, self.watch = self._batches_of(data), self._watched_of(validation)
        if self.given is None and self.before is None:
            self.normalisation = Normalisation.none()
            log.warning(
                "the batches are learnt as they are, so images will be given to the network unscaled by predict: "
                "pass normalisation= if your batches were scaled"
            )
        first = _first_of(self.sampler)
        _check_batches(first, self.traits)
        used = _used(self.sampler)
        self._refuse_what_is_idle(type(data).__name__, used, augmentation)
        self.chosen = self.chosen.model_copy(update={"batch": used["batch"] or len(first[0][0])})
        self.about = {"data": type(data).__name__, "provenance": "unknown"} | used
        if isinstance(data, PatchSampler):
            self._record_sampler(data)

    def _batches_of(self, data: Any) -> PatchSampler | Given:
        if isinstance(data, PatchSampler):
            data.share(0, self.world)  # refused now, not in each process
            return data
        asked = self.chosen.batches if "batches" in self.chosen.model_fields_set else None
        return Given(data, asked, self.chosen.batches)

    def _watched_of(self, validation: Any) -> PatchSampler | Given | None:
        if isinstance(validation, PatchSampler):
            validation.share(0, self.world)
            return validation
        if _is_nothing(validation):
            return None
        if is_pairs(validation):
            raise TrainingError("data are batches and validation are images: give batches for both")
        return Given(validation, None, self.chosen.batches)

    def _record_sampler(self, sampler: PatchSampler) -> None:
        if "seed" not in self.chosen.model_fields_set:
            self.chosen = self.chosen.model_copy(update={"seed": sampler.seed})
        self.about |= {
            "images": len(sampler.samples), "fingerprint": fingerprint_of(sampler.samples),
            "sampler": {"seed": sampler.seed, "fixed": sampler.fixed, "membrane": sampler.membrane},
        }  # fmt: skip

    def _refuse_what_is_idle(self, kind: str, used: Mapping[str, Any], augmentation: Augmentation | None) -> None:
        """Refuse what was asked for and would change nothing, because patches are cut elsewhere."""
        fine = {"patch", "batch"} if isinstance(self.sampler, Given) else set()  # of any size, each another perhaps
        if isinstance(self.watch, Given) and not self.watch.says_its_length:
            fine.add("batches")
        idle = _idle_settings(self.chosen, fine, used)
        asked = augmentation
        if asked is None and "augment" in self.chosen.model_fields_set:
            asked = _augmentation(self.chosen.augment, self.heads)
        done = self.sampler.augmentation if isinstance(self.sampler, PatchSampler) else Augmentation.none()
        if asked is not None and replace(asked, heads=()) != replace(done, heads=()):
            idle.append("augment" if augmentation is None else "augmentation")
        if self.segment is not None:
            idle.append("segment")
        if idle:
            raise TrainingError(
                f"data are a {kind}, of which {', '.join(idle)} would change nothing: say it where the batches are "
                "made, or leave it out"
            )

    def judge(self, observers: Sequence[Any]) -> CellCounter | None:
        """Return what counts the cells of the validation images, if that is asked for."""
        if self.pairs is None or not self.pairs.watched:
            return None
        shown_to = [observer for observer in observers if hasattr(observer, "picture")]
        if self.chosen.cells_every is None and not shown_to:
            return None
        membrane = membrane_class(self.chosen.classes)
        return CellCounter(self.as_model, self.pairs, self.chosen.cells_every, self.segment, shown_to, membrane)

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
        known = {"membrane_width": self.chosen.membrane_width} | self.about
        return {name: known[name] for name in ("data", "provenance", "membrane_width") if known.get(name) is not None}

    def model(self, recorder: Recorder) -> Model:
        """Return the model as it is now."""
        model = self.as_model(self.net)
        return replace(model, notes=model.notes | {"epochs": max(len(recorder.rows) - 1, 0)})

    def settings(self) -> dict[str, Any]:
        """Return what the record says."""
        config = getattr(self.net, "config", None)
        network = dict(config) if isinstance(config, Mapping) else {"class": type(self.net).__qualname__}
        more = {
            "normalisation": asdict(self.normalisation), "pixel_size": self.size[0], "unit": self.size[1],
            "batches": self.batches, "device": str(self.device), "world": self.world,
            "warm_start": self.before is not None,
        }  # fmt: skip
        return {"network": network, **plain(self.chosen.model_dump()), **self.about, **more}


def _warn_of_missing_classes(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    """Tell of classes of which no training image has a pixel: they cannot be learnt."""
    targets = [sample.classes() for sample in samples]
    missing = [name for k, name in enumerate(classes) if not any((target == k).any() for target in targets)]
    if missing and len(missing) < len(classes):  # the sampler refuses images of which nothing is known
        warnings.warn(
            f"none of {len(samples)} training image(s) has a pixel of {' or '.join(map(repr, missing))}: the network "
            "cannot learn what is never there; look at the labels and targets (fijibridge check)",
            FijiBridgeWarning,
            stacklevel=4,
        )


def _used(sampler: PatchSampler | Given) -> dict[str, Any]:
    """Return what stands for the settings of patches where these are cut elsewhere; None for what nobody knows."""
    known = described(sampler) if isinstance(sampler, PatchSampler) else {"batches": len(sampler)}
    return {name: known.get(name) for name in (*_OF_PATCHES, "augment", "augmentation")}


def _idle_settings(chosen: Settings, fine: Set[str], used: Mapping[str, Any]) -> list[str]:
    """Say which settings of patches were given, and are not those by which the patches are cut."""
    idle = []
    for name in _OF_PATCHES:
        asked, has = plain(getattr(chosen, name)), used[name]
        if name not in chosen.model_fields_set - fine or asked is None or asked == has:
            continue
        if name == "stride" and has is not None and all(asked == side for side in has):
            continue
        idle.append(f"{name}={asked}" if has is None else f"{name}={asked} (it has {has})")
    return idle


def _first_of(sampler: PatchSampler | Given) -> list[Batch]:
    """Return as many batches as are looked at, without moving the sampler on."""
    if isinstance(sampler, Given):
        return sampler.first(_LOOKED_AT)
    return [sampler.batch_at(0, number) for number in range(min(-(-_LOOKED_AT // sampler.batch), len(sampler)))]


def _check_batches(first: Sequence[Batch], traits: Traits) -> None:
    """Refuse anyone's batches that do not fit the network, or whose targets do not fit the images."""
    if not first:
        raise TrainingError("the iterable gave no batch")
    check_batches(first)
    top = max(int(ids[ids != IGNORE].max(initial=0)) for ids in (_ids(y) for _, y, _ in first))
    if top >= traits.n_classes:
        raise TrainingError(
            f"a batch holds the class id {top}; expected 0 to {traits.n_classes - 1}, {IGNORE} = unknown"
        )
    channels = next((x.shape[1] for x, _, _ in first if x.shape[1] != traits.in_channels), None)
    if channels is not None:
        raise TrainingError(f"a batch has {channels} channel(s), the network takes {traits.in_channels}")


def _warn_of_odd_images(samples: Sequence[Sample], patch: Sequence[int] | None) -> None:
    """Tell of images that are smaller than the patch that was asked for, and of those that look like cell labels."""
    small = [s for s in samples if patch and any(n < p for n, p in zip(s.shape, patch, strict=True))]
    if small:
        warnings.warn(
            f"{len(small)} of {len(samples)} training image(s) are smaller than the patch of {tuple(patch or ())} px, "
            f"such as {small[0].name} with {small[0].shape}: they are mirrored to fill it, and what was mirrored is "
            "not learnt. A smaller patch costs less time",
            FijiBridgeWarning,
            stacklevel=4,
        )
    labels = next((s for s in samples if _looks_like_labels(s.image)), None)
    if labels is not None:
        warnings.warn(
            f"{labels.name} looks like cell labels: whole numbers, the same over large areas. Is it the image?",
            FijiBridgeWarning,
            stacklevel=4,
        )


def _looks_like_labels(image: Any) -> bool:
    """Whether an image holds several whole numbers other than 0, each over areas without any noise."""
    pixels = np.asarray(image[(slice(None), *(slice(0, 1024) for _ in image.shape[1:]))])
    if not np.issubdtype(pixels.dtype, np.integer) or pixels.shape[-1] < 2:
        return False
    left, right = pixels[..., :-1], pixels[..., 1:]
    both = (left != 0) & (right != 0)
    return bool(both.any()) and len(np.unique(pixels)) > 3 and float((left == right)[both].mean()) > 0.9


def _ids(y: torch.Tensor) -> npt.NDArray[Any]:
    """Return the class ids of a batch, which lie in front of what further heads learn."""
    return np.asarray((y[:, 0] if y.is_floating_point() else y).cpu())


def _batches(settings: Settings) -> int | None:
    """Return the batches of an epoch; None for a whole grid."""
    whole = settings.sampling == "grid" and "batches" not in settings.model_fields_set
    return None if whole else settings.batches


def _is_nothing(validation: Any) -> bool:
    return validation is None or (isinstance(validation, list | tuple) and not len(validation))


def _augmentation(asked: bool | dict[str, Any], heads: tuple[str, ...]) -> Augmentation:
    if isinstance(asked, dict):
        try:
            fields: dict[str, Any] = {"heads": heads, **asked}
            return Augmentation(**fields)
        except TypeError as error:
            known = [field.name for field in dataclass_fields(Augmentation)]
            unknown = next((name for name in asked if name not in known), "")
            guess = did_you_mean(unknown, known) or f"there are {', '.join(known)}"
            raise TrainingError(f"augment: {error}; {guess}") from error
    if not asked:
        return replace(Augmentation.none(), heads=heads)
    return Augmentation(elastic=0, heads=heads) if "distance" in heads else Augmentation(heads=heads)


def _enough(samples: Sequence[Sample], patch: Sequence[int], batch: int) -> int:
    """Return how many batches show every validation pixel about once."""
    pixels = sum(int((s.classes() != IGNORE).sum()) for s in samples)
    return max(1, round(pixels / math.prod(patch) / batch))
