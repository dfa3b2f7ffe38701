"""What goes into a training: images with their truth, or batches, looked at before the first step."""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import xarray as xr

from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.targets.from_labels import IGNORE, distance_target
from fijibridge.cells.targets.weights import class_weights, weight_map
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import FijiBridgeWarning, ImageError, TrainingError
from fijibridge.image import DIMS, Array, as_image, pixel_size, same_shape, unit, values
from fijibridge.nn.networks import Traits
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import Batch, Sample
from fijibridge.nn.training.settings import Border, Settings

Pair: TypeAlias = tuple[Array, Array] | tuple[Array, Array, Array]
Batches: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]]
_EXPECTED = "expected a list of (image, target) or (image, target, weight)"


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
    """

    learnt: Mapping[str, Pair]
    watched: Mapping[str, Pair]
    cells: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    regions: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)


def is_pairs(data: object) -> bool:
    """Tell a dataset or a list of pairs from an iterable of batches."""
    return isinstance(data, Dataset | list | tuple | str | os.PathLike) or not _gives_batches(data)


def _gives_batches(data: object) -> bool:
    return isinstance(data, Iterable) or callable(data)


def read_pairs(data: Any, validation: Any, settings: Settings, traits: Traits) -> Pairs:
    """Return what to learn and what to watch.

    Raises
    ------
    TrainingError
        If there is nothing to learn from, or it is no list of pairs.
    DatasetError
        If files are missing.
    """
    watched = _named(validation, "validation image")
    if not isinstance(data, Dataset):
        learnt = _named(data, "image")
        _refuse_nothing(learnt)
        return Pairs(learnt, watched, about={"data": "arrays", "provenance": "unknown"})
    to_learn, to_watch = (data.with_truth(split, settings.target) for split in ("train", "validation"))
    _check_labels([*to_learn, *to_watch], settings, traits)  # look before the long reading
    learnt = _read(to_learn, settings, traits)
    _refuse_nothing(learnt)
    from_data = _read(to_watch, settings, traits)
    if settings.border is not None:
        balance = class_weights([_class_ids(pair[1], traits) for pair in learnt.values()], traits.n_classes)
        for items, pairs in ((to_learn, learnt), (to_watch, from_data)):
            _weigh(pairs, items, settings.border, balance, traits)
    watched |= from_data
    cells = {str(item.paths["image"]): item.labels().values for item in to_watch if "labels" in item.paths}
    known = {str(item.paths["image"]): item.region() for item in to_watch}
    regions = {name: region.values for name, region in known.items() if region is not None}
    about = {
        "data": data.folder.name, "data_folder": str(data.folder.resolve()), "provenance": data.provenance,
        "train_names": [item.name for item in to_learn], "validation_names": [item.name for item in to_watch],
    }  # fmt: skip
    return Pairs(learnt, watched, cells, regions, about)


def _refuse_nothing(learnt: Mapping[str, Pair]) -> None:
    if not learnt:
        raise TrainingError("there is nothing to train on: no image, or none in the split 'train'")


def _named(data: Any, name: str) -> dict[str, Pair]:
    if isinstance(data, str | os.PathLike):
        raise TrainingError(f"got the path {os.fspath(data)!r}; {_EXPECTED}, or fijibridge.Dataset.open(path)")
    if not isinstance(data, Iterable):
        raise TrainingError(f"got a {type(data).__name__}; {_EXPECTED}, or a Dataset")
    pairs = {f"{name} {number}": pair for number, pair in enumerate(data)}
    for which, pair in pairs.items():
        if not isinstance(pair, tuple | list):
            raise TrainingError(f"{which} is a {type(pair).__name__}; {_EXPECTED}, also of one pair: [(image, target)]")
        if len(pair) not in (2, 3):
            raise TrainingError(f"{which} is {len(pair)} arrays; {_EXPECTED}")
    return pairs


def _check_labels(items: Sequence[Item], settings: Settings, traits: Traits) -> None:
    """Refuse images without cell labels where more is made from them than a target."""
    wanted = [head for head in traits.outputs if head != "classes"] + ["border"] * (settings.border is not None)
    without = [item.name for item in items if "labels" not in item.paths]
    if wanted and without:
        raise TrainingError(f"{', '.join(wanted)} is made from cell labels, and {without[0]} has none")


def _read(items: Sequence[Item], settings: Settings, traits: Traits) -> dict[str, Pair]:
    return dict(_pair(item, settings, traits) for item in items)


def _pair(item: Item, settings: Settings, traits: Traits) -> tuple[str, Pair]:
    """Read an image of a folder and what is to be learnt from it."""
    name = str(item.paths["image"])
    with _naming(f"{name} and {', '.join(p.name for role, p in item.paths.items() if role != 'image')}"):
        image, target = item.image(), item.target(settings.width, settings.target)
        same_shape(image=_one_channel(image), target=target)
        return name, (image, _with_heads(target, item, traits))


def _weigh(
    pairs: dict[str, Pair], items: Sequence[Item], border: Border, balance: npt.NDArray[np.float32], traits: Traits
) -> None:
    """Add the weights of the U-Net paper: those of the classes, and of the pixels between near cells."""
    for item in items:
        image, target = pairs[str(item.paths["image"])][:2]
        ids = _class_ids(target, traits)
        weight = weight_map(item.labels().values, border.w0, border.sigma, class_balance=balance, target=ids)
        pairs[str(item.paths["image"])] = (image, target, weight)


def _class_ids(target: Array, traits: Traits) -> npt.NDArray[Any]:
    """Return the class ids of a target, which lie in front of what further heads learn."""
    array = values(target)
    return (array[0] if len(traits.outputs) > 1 else array).astype(np.uint8)


def _with_heads(target: xr.DataArray, item: Item, traits: Traits) -> Any:
    """Put what further heads learn behind the class ids, as channels of their own."""
    more = {"distance": lambda: distance_target(item.labels()).values, "affinity": lambda: item.labels().values}
    channels = [more[head]() for head in traits.outputs if head in more]
    return np.stack([target.values, *channels]).astype(np.float32) if channels else target


def _one_channel(image: xr.DataArray) -> xr.DataArray:
    return image.isel(c=0, drop=True) if "c" in image.dims else image


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Say in an image's error which one it is."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{what}: {error}") from error


def check_classes(traits: Traits, classes: Sequence[str], pairs: Mapping[str, Pair]) -> None:
    """Refuse targets that hold anything but class ids, and names that do not fit the network.

    Raises
    ------
    TrainingError
        Names the image.
    """
    if len(classes) != traits.n_classes:
        raise TrainingError(f"the network has {traits.n_classes} classes but {len(classes)} names: {list(classes)}")
    for name, pair in pairs.items():
        target = values(pair[1])
        found = np.unique(target[0] if len(traits.outputs) > 1 and target.ndim > traits.dims else target)
        wrong = found[(found != IGNORE) & ((found < 0) | (found >= traits.n_classes) | (found % 1 != 0))]
        if len(wrong) or (len(traits.outputs) == 1 and not np.issubdtype(found.dtype, np.integer)):
            raise TrainingError(
                f"{name}: the target holds {found[:6].tolist()}{' ...' if len(found) > 6 else ''}; expected class ids "
                f"0 to {traits.n_classes - 1} and {IGNORE} = unknown. Cell labels become one with "
                "fijibridge.membrane_target"
            )


def samples_of(pairs: Mapping[str, Pair], traits: Traits, normalisation: Normalisation) -> list[Sample]:
    """Return images with targets as the sampler takes them: axes in order, intensities scaled.

    Raises
    ------
    TrainingError
        If an image has other axes or another number of channels than the network takes.
    ImageError
        If an image and its target differ in shape, or it holds NaN.
    """
    samples = [_sample(pair, traits, normalisation, name) for name, pair in pairs.items()]
    for sample in samples:
        if len(sample.image) != traits.in_channels:
            raise TrainingError(
                f"{sample.name} has {len(sample.image)} channel(s), the network takes {traits.in_channels}: "
                "UNet(in_channels=...), or select with image.isel(c=...)"
            )
    return samples


def _sample(pair: Pair, traits: Traits, normalisation: Normalisation, name: str) -> Sample:
    source = as_image(pair[0])
    spatial = DIMS[-traits.dims :]
    unknown = [d for d in source.dims if d not in (*spatial, "c")]
    if unknown or not set(spatial) <= set(source.dims):
        raise TrainingError(f"{name} has axes {source.dims}; a {traits.dims}D network takes {spatial} and c")
    target = values(pair[1])
    extra = len(traits.outputs) - 1
    if target.ndim == traits.dims and extra:
        raise TrainingError(
            f"{name}: the network also learns {', '.join(h for h in traits.outputs if h != 'classes')}, but its target "
            f"has the class ids only: expected ({1 + extra}, ...), the class ids in front"
        )
    with _naming(name):
        same_shape(image=_one_channel(source), target=target[0] if extra else target)
    ordered = source if "c" in source.dims else source.expand_dims("c")
    pixels = normalisation(np.asarray(ordered.transpose("c", *spatial).values))
    weight = np.asarray(values(pair[2]), np.float32) if len(pair) == 3 else None
    if weight is not None and not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise TrainingError(f"{name}: the weight holds negative, infinite or NaN values; expected 0 and more")
    if weight is not None:
        _warn_of_nothing(weight, target[0] if extra else target, name)
    return Sample(pixels, np.asarray(target, np.float32 if extra else np.uint8), weight, name)


def _warn_of_nothing(weight: npt.NDArray[np.float32], target: npt.NDArray[Any], name: str) -> None:
    """Warn where most of what is known weighs nothing, as under the border term of a weight map alone."""
    known = target != IGNORE
    share = float((weight[known] == 0).mean()) if known.any() else 0.0
    if share > 0.5:
        warnings.warn(
            f"{name}: {share:.0%} of the known pixels weigh 0, so they are never learnt. The border term alone is 0 "
            "inside cells: fijibridge.weight_map(..., class_balance=True) is the whole map",
            FijiBridgeWarning,
            stacklevel=5,
        )


def cells_of(pairs: Pairs) -> dict[str, npt.NDArray[Any]]:
    """Return the true cells of the watched images; where only a target is known, the regions between its membranes."""
    found = {}
    for name, pair in pairs.watched.items():
        if name in pairs.cells:
            found[name] = pairs.cells[name]
            continue
        target = values(pair[1])
        found[name] = values(label_cells((target == 1).astype(np.float32), method="threshold", grow=False))
    return found


def known_of(pairs: Pairs) -> dict[str, npt.NDArray[np.bool_]]:
    """Return where the truth of the watched images is known, of those where it is not everywhere."""
    known = dict(pairs.regions)
    for name, pair in pairs.watched.items():
        if name not in pairs.cells and (unknown := values(pair[1]) == IGNORE).any():
            known[name] = ~unknown
    return known


def mean_pixel_size(images: Sequence[Array]) -> tuple[dict[str, float], str]:
    """Return the mean pixel size of the training images and its unit; warn if they differ by more than a tenth."""
    calibrated = [as_image(image) for image in images]
    units = {unit(image) for image in calibrated}
    sizes = pd.DataFrame([pixel_size(image) for image in calibrated])
    if len(units) > 1 or (sizes.max() > 1.1 * sizes.min()).any():
        warnings.warn(
            f"the training images differ in scale: pixel sizes {sizes.min().to_dict()} to {sizes.max().to_dict()} "
            f"in {sorted(units)}",
            FijiBridgeWarning,
            stacklevel=4,
        )
    if len(units) > 1:
        return {}, "pixel"
    return {str(axis): float(size) for axis, size in sizes.mean().items()}, units.pop()


def fingerprint(samples: Sequence[Sample]) -> str:
    """Return a number that changes with the pixels: a run is resumed on the data that it began with."""
    check = 0
    for sample in samples:
        for array in (sample.image, sample.target, sample.weight):
            if array is not None:
                check = zlib.crc32(np.ascontiguousarray(array).tobytes(), check)
    return f"{len(samples)} images, {check:08x}"


def as_batch(given: Any) -> Batch:
    """Return a batch of anyone's iterable as tensors, a weight of 1 where it has none.

    Raises
    ------
    TrainingError
        If it is no (x, y) or (x, y, weight) of fitting shapes.
    """
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise TrainingError(f"a batch is {_kind(given)}; expected (x, y) or (x, y, weight)")
    x, y = (torch.as_tensor(_array(a)) for a in given[:2])
    x = x.float()
    y = y.float() if y.ndim == x.ndim else y.long()
    weight = torch.as_tensor(_array(given[2])).float() if len(given) == 3 else torch.ones((len(x), *x.shape[2:]))
    if y.ndim == x.ndim:
        y = y[:, 0].long() if y.shape[1] == 1 else y
    spatial = tuple(x.shape[2:])
    if len(y) != len(x) or tuple(y.shape[-len(spatial) :]) != spatial or tuple(weight.shape) != (len(x), *spatial):
        raise TrainingError(
            f"a batch has x {tuple(x.shape)}, y {tuple(y.shape)} and weight {tuple(weight.shape)}; expected "
            "(B, C, ...), (B, ...) and (B, ...) of one shape"
        )
    return x, y, weight.to(x.device)


def _array(given: Any) -> Any:
    return given if isinstance(given, torch.Tensor) else np.asarray(values(given))


def _kind(given: Any) -> str:
    return f"{len(given)} arrays" if isinstance(given, tuple | list) else f"a {type(given).__name__}"
