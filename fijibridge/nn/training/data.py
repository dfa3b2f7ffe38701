"""Images with targets for a training, from a data set or from arrays, and their checks."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.targets.from_labels import IGNORE, distance_target
from fijibridge.cells.targets.weights import class_weights, weight_map
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import FijiBridgeWarning, ImageError, TrainingError
from fijibridge.image import DIMS, Array, as_image, first_channel, pixel_size, same_shape, unit, values
from fijibridge.messages import naming
from fijibridge.nn.axes import as_in_image
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import Sample
from fijibridge.nn.training.settings import Border
from fijibridge.nn.training.settings_schema import Settings
from fijibridge.nn.training.spill import Scratch
from fijibridge.nn.traits import Traits

Pair: TypeAlias = tuple[Array, Array] | tuple[Array, Array, Array]
Batches: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]]
_EXPECTED = "expected a list of (image, target) or (image, target, weight)"


@dataclass(frozen=True)
class Pairs:
    """Images with targets. The keys of all mappings are the image names that messages use.

    Attributes
    ----------
    learnt, watched : dict
        Pairs for training and for validation: image, target and optional weight.
    cells : dict
        True cells of those validation images that have cell labels.
    regions : dict
        Known-truth masks of validation images whose truth is partial.
    about : dict
        Origin of the data, for the record.
    names : dict
        Name of each validation image in the data set.
    """

    learnt: Mapping[str, Pair]
    watched: Mapping[str, Pair]
    cells: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)
    regions: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    about: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


def is_pairs(data: object) -> bool:
    """Return whether the data are a data set or a list of pairs, not an iterable of batches."""
    return isinstance(data, Dataset | list | tuple | str | os.PathLike) or not _gives_batches(data)


def _gives_batches(data: object) -> bool:
    return isinstance(data, Iterable) or callable(data)


def read_pairs(data: Any, validation: Any, settings: Settings, traits: Traits, scratch: Scratch | None = None) -> Pairs:
    """Return the pairs for training and for validation.

    Raises
    ------
    TrainingError
        If there is no image to train on, or `data` is not a list of pairs.
    DatasetError
        If files are missing.
    """
    watched = _named(validation, "validation image")
    if not isinstance(data, Dataset):
        learnt = _named(data, "image")
        _refuse_nothing(learnt)
        return Pairs(learnt, watched, about={"data": "arrays", "provenance": "unknown"})
    found = read_dataset(data, settings, traits, scratch or Scratch())
    _refuse_nothing(found.learnt)
    return replace(found, watched={**watched, **found.watched})


def _refuse_nothing(learnt: Mapping[str, Pair]) -> None:
    if not learnt:
        raise TrainingError("there is nothing to train on: no image, or no image in the split 'train'")


def _named(data: Any, name: str) -> dict[str, Pair]:
    if isinstance(data, str | os.PathLike):
        raise TrainingError(f"got the path {os.fspath(data)!r}; {_EXPECTED}, or fijibridge.Dataset.open(path)")
    if not isinstance(data, Iterable):
        raise TrainingError(f"got a {type(data).__name__}; {_EXPECTED}, or a Dataset")
    pairs = {f"{name} {number}": pair for number, pair in enumerate(data)}
    for which, pair in pairs.items():
        if not isinstance(pair, tuple | list):
            raise TrainingError(
                f"{which} is a {type(pair).__name__}; {_EXPECTED}, even for one pair: [(image, target)]"
            )
        if len(pair) not in (2, 3):
            raise TrainingError(f"{which} consists of {len(pair)} arrays; {_EXPECTED}")
    return {which: _in_order(pair, which) for which, pair in pairs.items()}


def _in_order(pair: Pair, name: str) -> Pair:
    """Return a pair in which target and weight have their axes in the same order as the image."""
    image, *others = pair
    with naming(name, ImageError):
        target, *weight = (
            as_in_image(array, image, f"{name}: the {what}")
            for what, array in zip(("target", "weight"), others, strict=False)
        )
    return (image, target, weight[0]) if weight else (image, target)


def check_classes(traits: Traits, classes: Sequence[str], pairs: Mapping[str, Pair]) -> None:
    """Refuse targets with values other than class ids, and class names that do not fit the network.

    Raises
    ------
    TrainingError
        If a target is invalid (the message names the image), or the number of class names is.
    """
    if len(classes) != traits.n_classes:
        raise TrainingError(
            f"the network has {traits.n_classes} classes, but got {len(classes)} class names: {list(classes)}"
        )
    for name, pair in pairs.items():
        target = values(pair[1])
        found = np.unique(target[0] if len(traits.outputs) > 1 and target.ndim > traits.dims else target)
        wrong = found[(found != IGNORE) & ((found < 0) | (found >= traits.n_classes) | (found % 1 != 0))]
        if len(wrong) or (len(traits.outputs) == 1 and not np.issubdtype(found.dtype, np.integer)):
            raise TrainingError(
                f"{name}: the target contains {found[:6].tolist()}{' ...' if len(found) > 6 else ''}; expected class "
                f"ids 0 to {traits.n_classes - 1} and {IGNORE} = unknown. To make a target from cell labels, use "
                "fijibridge.membrane_target"
            )


def samples_of(
    pairs: Mapping[str, Pair], traits: Traits, normalisation: Normalisation, scratch: Scratch | None = None
) -> list[Sample]:
    """Return images with targets for the sampler: axes are in order, and intensities are scaled when a patch is cut.

    Dask and zarr arrays are copied to `scratch`, from which patches can be read directly.

    Raises
    ------
    TrainingError
        If the axes or the number of channels of an image do not fit the network.
    ImageError
        If image and target differ in shape, or the image contains NaN.
    """
    room = scratch or Scratch()
    samples = [_sample(pair, traits, normalisation, room, name) for name, pair in pairs.items()]
    for sample in samples:
        if len(sample.image) != traits.in_channels:
            raise TrainingError(
                f"{sample.name} has {len(sample.image)} channel(s), but the network expects {traits.in_channels}: "
                "create it with UNet(in_channels=...), or select channels with image.isel(c=...)"
            )
    return samples


def _sample(pair: Pair, traits: Traits, normalisation: Normalisation, scratch: Scratch, name: str) -> Sample:
    source = as_image(pair[0])
    spatial = DIMS[-traits.dims :]
    unknown = [d for d in source.dims if d not in (*spatial, "c")]
    if unknown or not set(spatial) <= set(source.dims):
        raise TrainingError(
            f"{name} has axes {source.dims}; a {traits.dims}D network expects {spatial} and optionally c"
        )
    target = _cuttable(pair[1], scratch)
    extra = len(traits.outputs) - 1
    if target.ndim == traits.dims and extra:
        raise TrainingError(
            f"{name}: the network also learns {', '.join(h for h in traits.outputs if h != 'classes')}, but its target "
            f"has only class ids: expected a target ({1 + extra}, ...), with the class ids first"
        )
    with naming(name, ImageError):
        same_shape(image=first_channel(source), target=target[0] if extra else target)
    ordered = source if "c" in source.dims else source.expand_dims("c")
    pixels = _cuttable(ordered.transpose("c", *spatial), scratch)
    weight = _cuttable(pair[2], scratch) if len(pair) == 3 else None
    if weight is not None and not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise TrainingError(
            f"{name}: the weight contains negative, infinite or NaN values; expected finite values of at least 0"
        )
    if weight is not None:
        _warn_of_nothing(weight, target[0] if extra else target, name)
    scaled = partial(normalisation.scale, levels=normalisation.checked_levels(pixels))
    return Sample(pixels, target, weight, name, scaled=scaled)


def _cuttable(array: Any, scratch: Scratch) -> npt.NDArray[Any]:
    """Return an array from which patches can be cut quickly: the array itself, or a copy in `scratch`."""
    data = array.data if isinstance(array, xr.DataArray) else array
    if isinstance(data, np.ndarray) or not hasattr(data, "shape"):
        return np.asarray(data)
    return scratch.keep(data)


def _warn_of_nothing(weight: npt.NDArray[np.float32], target: npt.NDArray[Any], name: str) -> None:
    """Warn if most known pixels have weight 0, as in a weight map that consists only of the border term."""
    known = target != IGNORE
    share = float((weight[known] == 0).mean()) if known.any() else 0.0
    if share > 0.5:
        warnings.warn(
            f"{name}: {share:.0%} of the known pixels have weight 0 and so no effect. The border term alone is 0 "
            "inside cells: use the whole map, fijibridge.weight_map(..., class_balance=True)",
            FijiBridgeWarning,
            stacklevel=5,
        )


def cells_of(pairs: Pairs, membrane: int = 1) -> dict[str, npt.NDArray[Any]]:
    """Return the true cells of validation images: cell labels, or else the regions between the true membranes."""
    found = {}
    for name, pair in pairs.watched.items():
        if name in pairs.cells:
            found[name] = pairs.cells[name]
            continue
        membranes = (_ids_of(pair) == membrane).astype(np.float32)
        found[name] = values(label_cells(membranes, method="threshold", grow=False))
    return found


def known_of(pairs: Pairs) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the known-truth masks of those validation images whose truth is partial."""
    known = dict(pairs.regions)
    for name, pair in pairs.watched.items():
        if name not in pairs.cells and (unknown := _ids_of(pair) == IGNORE).any():
            known[name] = ~unknown
    return known


def _ids_of(pair: Pair) -> npt.NDArray[Any]:
    """Return the class ids of a target, without the targets of further heads."""
    target = values(pair[1])
    return np.asarray(target[0] if target.ndim > len(set(as_image(pair[0]).dims) - {"c"}) else target)


def mean_pixel_size(images: Sequence[Array]) -> tuple[dict[str, float], str]:
    """Return the mean pixel size of the training images and its unit; warn if sizes differ by more than a tenth."""
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


def warn_of_missing_classes(samples: Sequence[Sample], classes: Sequence[str]) -> None:
    """Warn about classes without a pixel in any training image: the network cannot learn them."""
    targets = [sample.classes() for sample in samples]
    missing = [name for k, name in enumerate(classes) if not any((target == k).any() for target in targets)]
    if missing and len(missing) < len(classes):  # the sampler refuses images without any known truth
        warnings.warn(
            f"none of {len(samples)} training image(s) has a pixel of {' or '.join(map(repr, missing))}, which the "
            "network therefore cannot learn: check labels and targets (fijibridge check)",
            FijiBridgeWarning,
            stacklevel=4,
        )


def warn_of_odd_images(samples: Sequence[Sample], patch: Sequence[int] | None) -> None:
    """Warn about images that are smaller than the patch, and images that look like cell labels."""
    small = [s for s in samples if patch and any(n < p for n, p in zip(s.shape, patch, strict=True))]
    if small:
        warnings.warn(
            f"{len(small)} of {len(samples)} training image(s) are smaller than the patch of {tuple(patch or ())} px, "
            f"such as {small[0].name} with {small[0].shape}: they are extended by mirrored pixels, which have no "
            "effect on the training. A smaller patch would save time",
            FijiBridgeWarning,
            stacklevel=4,
        )
    labels = next((s for s in samples if _looks_like_labels(s.image)), None)
    if labels is not None:
        warnings.warn(
            f"{labels.name} looks like cell labels (integers that are constant over areas): check that it is the image",
            FijiBridgeWarning,
            stacklevel=4,
        )


def _looks_like_labels(image: Any) -> bool:
    """Return whether an image contains several integers other than 0, each of which is constant over areas."""
    pixels = np.asarray(image[(slice(None), *(slice(0, 1024) for _ in image.shape[1:]))])
    if not np.issubdtype(pixels.dtype, np.integer) or pixels.shape[-1] < 2:
        return False
    left, right = pixels[..., :-1], pixels[..., 1:]
    both = (left != 0) & (right != 0)
    return bool(both.any()) and len(np.unique(pixels)) > 3 and float((left == right)[both].mean()) > 0.9


# --- from a dataset -------------------------------------------------------------------------------------


def read_dataset(data: Dataset, settings: Settings, traits: Traits, scratch: Scratch) -> Pairs:
    """Read the images of a data set one by one, and compute their targets and weights.

    Raises
    ------
    TrainingError
        If an image lacks required labels, or the disk is full.
    DatasetError
        If files are missing.
    """
    to_learn, to_watch = (data.with_truth(split, settings.target) for split in ("train", "validation"))
    _check_labels([*to_learn, *to_watch], settings, traits)  # check before the slow reading
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
    """Refuse images without cell labels if the targets of heads or the weights are computed from them."""
    wanted = [head for head in traits.outputs if head != "classes"] + ["border_weight"] * (
        settings.border_weight is not None
    )
    without = [item.name for item in items if "labels" not in item.paths]
    if wanted and without:
        raise TrainingError(f"{', '.join(wanted)} requires cell labels, but {without[0]} has none")


def _pair(item: Item, settings: Settings, traits: Traits, scratch: Scratch) -> Pair:
    """Read an image and compute its target."""
    with naming(
        f"{_path(item)} and {', '.join(p.name for role, p in item.paths.items() if role != 'image')}", ImageError
    ):
        image, target = item.image(lazy=True), item.target(settings.membrane_width, settings.target)
        same_shape(image=first_channel(image), target=target)
        kept = image.copy(data=scratch.keep(image.data))
        return kept, scratch.keep(_with_heads(target, item, traits))


def _path(item: Item) -> str:
    """Return the path of the image, used as its name in messages."""
    return str(item.paths["image"])


def _weighted(
    pair: Pair, item: Item, border: Border, balance: npt.NDArray[np.float32], traits: Traits, scratch: Scratch
) -> Pair:
    """Add the weights of the U-Net paper, which balance the classes and emphasise pixels between near cells."""
    image, target = pair[:2]
    ids = _class_ids(target, traits)
    weight = weight_map(item.labels(), border.w0, border.sigma, class_balance=balance, target=ids)
    return image, target, scratch.keep(weight.values)


def _class_ids(target: Array, traits: Traits) -> npt.NDArray[Any]:
    """Return the class ids of a target, without the targets of further heads."""
    array = values(target)
    return (array[0] if len(traits.outputs) > 1 else array).astype(np.uint8)


def _with_heads(target: xr.DataArray, item: Item, traits: Traits) -> npt.NDArray[Any]:
    """Append the targets of further heads to the class ids, one channel for each head."""
    more = {"distance": lambda: distance_target(item.labels()).values, "affinity": lambda: item.labels().values}
    channels = [more[head]() for head in traits.outputs if head in more]
    return np.stack([target.values, *channels]).astype(np.float32) if channels else target.values
