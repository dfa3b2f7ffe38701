"""What goes into a training: images with their truth, or batches, looked at before the first step."""

from __future__ import annotations

import os
import warnings
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import xarray as xr

from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.dataset import Dataset
from fijibridge.errors import FijiBridgeWarning, ImageError, TrainingError
from fijibridge.image import DIMS, Array, as_image, first_channel, pixel_size, same_shape, unit, values
from fijibridge.messages import naming
from fijibridge.nn.axes import as_in_image
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import Batch, Sample
from fijibridge.nn.training.pairs import Pair, Pairs, read_dataset
from fijibridge.nn.training.settings import Settings
from fijibridge.nn.training.spill import Scratch
from fijibridge.nn.traits import Traits

Batches: TypeAlias = Iterable[Any] | Callable[[], Iterable[Any]]
_EXPECTED = "expected a list of (image, target) or (image, target, weight)"


def is_pairs(data: object) -> bool:
    """Tell a dataset or a list of pairs from an iterable of batches."""
    return isinstance(data, Dataset | list | tuple | str | os.PathLike) or not _gives_batches(data)


def _gives_batches(data: object) -> bool:
    return isinstance(data, Iterable) or callable(data)


def read_pairs(data: Any, validation: Any, settings: Settings, traits: Traits, scratch: Scratch | None = None) -> Pairs:
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
    found = read_dataset(data, settings, traits, scratch or Scratch())
    _refuse_nothing(found.learnt)
    return replace(found, watched={**watched, **found.watched})


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
    return {which: _in_order(pair, which) for which, pair in pairs.items()}


def _in_order(pair: Pair, name: str) -> Pair:
    """Return a pair whose target and weight have their axes in the order in which those of the image are taken."""
    image, *others = pair
    with naming(name, ImageError):
        target, *weight = (
            as_in_image(array, image, f"{name}: the {what}")
            for what, array in zip(("target", "weight"), others, strict=False)
        )
    return (image, target, weight[0]) if weight else (image, target)


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


def samples_of(
    pairs: Mapping[str, Pair], traits: Traits, normalisation: Normalisation, scratch: Scratch | None = None
) -> list[Sample]:
    """Return images with targets as the sampler takes them: axes in order, intensities scaled when they are cut.

    What is given as a dask or zarr array goes to `scratch`, from where a patch is read at once.

    Raises
    ------
    TrainingError
        If an image has other axes or another number of channels than the network takes.
    ImageError
        If an image and its target differ in shape, or it holds NaN.
    """
    room = scratch or Scratch()
    samples = [_sample(pair, traits, normalisation, room, name) for name, pair in pairs.items()]
    for sample in samples:
        if len(sample.image) != traits.in_channels:
            raise TrainingError(
                f"{sample.name} has {len(sample.image)} channel(s), the network takes {traits.in_channels}: "
                "UNet(in_channels=...), or select with image.isel(c=...)"
            )
    return samples


def _sample(pair: Pair, traits: Traits, normalisation: Normalisation, scratch: Scratch, name: str) -> Sample:
    source = as_image(pair[0])
    spatial = DIMS[-traits.dims :]
    unknown = [d for d in source.dims if d not in (*spatial, "c")]
    if unknown or not set(spatial) <= set(source.dims):
        raise TrainingError(f"{name} has axes {source.dims}; a {traits.dims}D network takes {spatial} and c")
    target = _cuttable(pair[1], scratch)
    extra = len(traits.outputs) - 1
    if target.ndim == traits.dims and extra:
        raise TrainingError(
            f"{name}: the network also learns {', '.join(h for h in traits.outputs if h != 'classes')}, but its target "
            f"has the class ids only: expected ({1 + extra}, ...), the class ids in front"
        )
    with naming(name, ImageError):
        same_shape(image=first_channel(source), target=target[0] if extra else target)
    ordered = source if "c" in source.dims else source.expand_dims("c")
    pixels = _cuttable(ordered.transpose("c", *spatial), scratch)
    weight = _cuttable(pair[2], scratch) if len(pair) == 3 else None
    if weight is not None and not (np.isfinite(weight).all() and (weight >= 0).all()):
        raise TrainingError(f"{name}: the weight holds negative, infinite or NaN values; expected 0 and more")
    if weight is not None:
        _warn_of_nothing(weight, target[0] if extra else target, name)
    scaled = partial(normalisation.scale, levels=normalisation.checked_levels(pixels))
    return Sample(pixels, target, weight, name, scaled=scaled)


def _cuttable(array: Any, scratch: Scratch) -> npt.NDArray[Any]:
    """Return an array that can be cut at any time: in memory as it is, mapped into it, or in the scratch folder."""
    data = array.data if isinstance(array, xr.DataArray) else array
    if isinstance(data, np.ndarray) or not hasattr(data, "shape"):
        return np.asarray(data)
    return scratch.keep(data)


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


def cells_of(pairs: Pairs, membrane: int = 1) -> dict[str, npt.NDArray[Any]]:
    """Return the true cells of the watched images; where only a target is known, the regions between its membranes."""
    found = {}
    for name, pair in pairs.watched.items():
        if name in pairs.cells:
            found[name] = pairs.cells[name]
            continue
        membranes = (_ids_of(pair) == membrane).astype(np.float32)
        found[name] = values(label_cells(membranes, method="threshold", grow=False))
    return found


def known_of(pairs: Pairs) -> dict[str, npt.NDArray[np.bool_]]:
    """Return where the truth of the watched images is known, of those where it is not everywhere."""
    known = dict(pairs.regions)
    for name, pair in pairs.watched.items():
        if name not in pairs.cells and (unknown := _ids_of(pair) == IGNORE).any():
            known[name] = ~unknown
    return known


def _ids_of(pair: Pair) -> npt.NDArray[Any]:
    """Return the class ids of a target, which lie in front of what further heads learn."""
    target = values(pair[1])
    return np.asarray(target[0] if target.ndim > len(set(as_image(pair[0]).dims) - {"c"}) else target)


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


def fingerprint(samples: Sequence[Sample], normalisation: Normalisation) -> str:
    """Return a number that changes with the pixels and their scale: a run is resumed on the data that it began with."""
    check = zlib.crc32(repr(normalisation).encode())
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
