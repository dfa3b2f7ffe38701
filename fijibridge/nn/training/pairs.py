"""What a folder gives a training: images, what is to be learnt from them, and how much each pixel weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.cells.targets.from_labels import distance_target
from fijibridge.cells.targets.weights import class_weights, weight_map
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import ImageError, TrainingError
from fijibridge.image import Array, first_channel, same_shape, values
from fijibridge.messages import naming
from fijibridge.nn.training.hyperparameters import Border
from fijibridge.nn.training.settings import Settings
from fijibridge.nn.training.spill import Scratch
from fijibridge.nn.traits import Traits

Pair: TypeAlias = tuple[Array, Array] | tuple[Array, Array, Array]


@dataclass(frozen=True)
class Pairs:
    """Images with their targets, by names for messages.

    Attributes
    ----------
    learnt, watched : dict
        Image, target and perhaps weight by name; what is learnt from, and what is only looked at.
    cells : dict
        True cells of the watched images that have them.
    regions : dict
        Where these are known, of those where it is not everywhere.
    about : dict
        What to say of their origin.
    names : dict
        What a dataset calls its watched images.
    """

    learnt: Mapping[str, Pair]
    watched: Mapping[str, Pair]
    cells: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    regions: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def read_dataset(data: Dataset, settings: Settings, traits: Traits, scratch: Scratch) -> Pairs:
    """Read the images to learn and to watch, one after the other, and make what is learnt from them.

    Raises
    ------
    TrainingError
        If labels are needed that an image has not, or the disk is full.
    DatasetError
        If files are missing.
    """
    to_learn, to_watch = (data.with_truth(split, settings.target) for split in ("train", "validation"))
    _check_labels([*to_learn, *to_watch], settings, traits)  # look before the long reading
    learnt, watched = ({_path(i): _pair(i, settings, traits, scratch) for i in items} for items in (to_learn, to_watch))
    if settings.border_weight is not None and learnt:
        balance = class_weights([_class_ids(pair[1], traits) for pair in learnt.values()], traits.n_classes)
        for items, pairs in ((to_learn, learnt), (to_watch, watched)):
            for item in items:
                weighted = _weighted(pairs[_path(item)], item, settings.border_weight, balance, traits, scratch)
                pairs[_path(item)] = weighted
    cells = {_path(item): scratch.keep(item.labels().values) for item in to_watch if "labels" in item.paths}
    known = {_path(item): item.region() for item in to_watch}
    regions = {name: region.values for name, region in known.items() if region is not None}
    about = {
        "data": data.folder.name, "data_folder": str(data.folder.resolve()), "provenance": data.provenance,
        "train_names": [item.name for item in to_learn], "validation_names": [item.name for item in to_watch],
    }  # fmt: skip
    return Pairs(learnt, watched, cells, regions, about, {_path(item): item.name for item in to_watch})


def _check_labels(items: Sequence[Item], settings: Settings, traits: Traits) -> None:
    """Refuse images without cell labels where more is made from them than a target."""
    wanted = [head for head in traits.outputs if head != "classes"] + ["border_weight"] * (
        settings.border_weight is not None
    )
    without = [item.name for item in items if "labels" not in item.paths]
    if wanted and without:
        raise TrainingError(f"{', '.join(wanted)} is made from cell labels, and {without[0]} has none")


def _pair(item: Item, settings: Settings, traits: Traits, scratch: Scratch) -> Pair:
    """Read an image and what is to be learnt from it."""
    with naming(
        f"{_path(item)} and {', '.join(p.name for role, p in item.paths.items() if role != 'image')}", ImageError
    ):
        image, target = item.image(lazy=True), item.target(settings.membrane_width, settings.target)
        same_shape(image=first_channel(image), target=target)
        kept = image.copy(data=scratch.keep(image.data))
        return kept, scratch.keep(_with_heads(target, item, traits))


def _path(item: Item) -> str:
    """Return the path of the image, by which it is named in messages."""
    return str(item.paths["image"])


def _weighted(
    pair: Pair, item: Item, border: Border, balance: npt.NDArray[np.float32], traits: Traits, scratch: Scratch
) -> Pair:
    """Add the weights of the U-Net paper: those of the classes, and of the pixels between near cells."""
    image, target = pair[:2]
    ids = _class_ids(target, traits)
    weight = weight_map(item.labels(), border.w0, border.sigma, class_balance=balance, target=ids)
    return image, target, scratch.keep(weight.values)


def _class_ids(target: Array, traits: Traits) -> npt.NDArray[Any]:
    """Return the class ids of a target, which lie in front of what further heads learn."""
    array = values(target)
    return (array[0] if len(traits.outputs) > 1 else array).astype(np.uint8)


def _with_heads(target: xr.DataArray, item: Item, traits: Traits) -> npt.NDArray[Any]:
    """Put what further heads learn behind the class ids, as channels of their own."""
    more = {"distance": lambda: distance_target(item.labels()).values, "affinity": lambda: item.labels().values}
    channels = [more[head]() for head in traits.outputs if head in more]
    return np.stack([target.values, *channels]).astype(np.float32) if channels else target.values
