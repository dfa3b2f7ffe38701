"""Images for a plan: their sizes, and a few samples for trial steps."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import TrainingError
from fijibridge.image import DIMS, as_image, values
from fijibridge.nn.axes import as_in_image
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches import Sample
from fijibridge.nn.traits import Traits

_EXPECTED = "a Dataset, a list of (image, target), or a list of image shapes such as [(576, 768)]"
_TRY_S = 2.0  # seconds spent on reading images for the trial
_PASSING = 48  # temporary bytes per pixel of an image while its target and its scaled copy are computed


@dataclass(frozen=True)
class Source:
    """Images of a training.

    Attributes
    ----------
    shapes, watched : list of tuple
        Sides of the training and the validation images in pixels.
    samples : list of Sample
        Some of the training images, for the trial.
    known : float
        Fraction of the pixels in `samples` whose truth is known.
    read_s : float
        Seconds per pixel for reading images and computing their targets.
    stored : int
        Bytes per pixel of the images as stored.
    """

    shapes: Sequence[tuple[int, ...]]
    watched: Sequence[tuple[int, ...]]
    samples: Sequence[Sample]
    known: float = 1.0
    read_s: float = 0.0
    stored: int = 0

    @property
    def pixels(self) -> int:
        """Total number of pixels of the training images."""
        return sum(math.prod(s) for s in self.shapes)

    @property
    def watched_pixels(self) -> int:
        """Total number of pixels of the validation images."""
        return sum(math.prod(s) for s in self.watched)

    def bytes(self, known: Traits) -> int:
        """Return the memory of the images in bytes: pixels as read, pixels as ``float32``, targets, weights."""
        pixel = (self.stored + 4) * known.in_channels + 2 + 4 + 4 * (len(known.outputs) - 1)
        largest = max(math.prod(s) for s in (*self.shapes, *self.watched))
        return (self.pixels + self.watched_pixels) * pixel + _PASSING * largest * known.in_channels

    @property
    def seconds(self) -> float:
        """Seconds to read all images."""
        return self.read_s * (self.pixels + self.watched_pixels)


def source_of(data: Any, validation: Any, known: Traits) -> Source:
    """Return the images for a plan; only a few of them are read.

    Raises
    ------
    TrainingError
        If there is no image, or `data` is of an unsupported type.
    """
    if isinstance(data, Dataset):
        return _of_dataset(data, known)
    if isinstance(data, str | bytes | Mapping) or not isinstance(data, Iterable):
        raise TrainingError(f"cannot plan with a {type(data).__name__}; expected {_EXPECTED}")
    entries = list(data)
    if not entries:
        raise TrainingError(f"got no images to plan with; expected {_EXPECTED}")
    if all(_is_shape(e) for e in entries):
        return _of_shapes(entries, [s for s in validation if _is_shape(s)], known)
    if not all(isinstance(e, tuple | list) and len(e) in (2, 3) for e in entries):
        raise TrainingError(f"cannot plan with a list of {type(entries[0]).__name__}; expected {_EXPECTED}")
    return _of_pairs(entries, list(validation), known)


def _is_shape(entry: Any) -> bool:
    return isinstance(entry, tuple | list) and all(isinstance(n, int | np.integer) for n in entry) and len(entry) > 0


def _of_shapes(shapes: Sequence[Sequence[int]], watched: Sequence[Sequence[int]], known: Traits) -> Source:
    wrong = next((s for s in (*shapes, *watched) if len(s) != known.dims or min(s) < 1), None)
    if wrong is not None:
        raise TrainingError(f"an image has shape {tuple(wrong)}; expected {known.dims} spatial axes of 1 px or more")
    sides = tuple(
        min(int(n), 512 if known.dims == 2 else 96) for n in np.max(np.array(list(map(list, shapes))), axis=0)
    )
    rng = np.random.default_rng(0)
    image = rng.random((known.in_channels, *sides), np.float32)
    target = (rng.random(sides) < 0.3).astype(np.uint8)
    as_tuples = [tuple(int(n) for n in s) for s in shapes]
    return Source(as_tuples, [tuple(map(int, s)) for s in watched], [Sample(image, _headed(target, known))], stored=2)


def _of_pairs(pairs: Sequence[Any], watched: Sequence[Any], known: Traits) -> Source:
    shapes = [_shape(as_image(pair[0]), known, f"image {n}") for n, pair in enumerate(pairs)]
    began = time.perf_counter()
    samples = [_sample_of(pair, known, f"image {n}") for n, pair in enumerate(pairs[:2])]
    per_pixel = (time.perf_counter() - began) / sum(math.prod(s) for s in shapes[:2])
    return Source(
        shapes, [_shape(as_image(pair[0]), known, "a validation image") for pair in watched], samples,
        _known_share(samples), per_pixel,
    )  # fmt: skip


def _sample_of(pair: Any, known: Traits, name: str) -> Sample:
    target = values(as_in_image(pair[1], pair[0], f"{name}: the target"))
    return _sample(as_image(pair[0]), target, known, name)


def _of_dataset(data: Dataset, known: Traits) -> Source:
    items, watched = data.with_truth("train", "auto"), data.with_truth("validation", "auto")
    if not items:
        raise TrainingError(f"{data} has nothing to train on: its split 'train' has no image with truth")
    first = items[0].image(lazy=True)
    shapes = [_shape(item.image(lazy=True), known, item.name) for item in items]
    samples, per_pixel, began = [], [], time.perf_counter()
    for item, shape in zip(items[:3], shapes, strict=False):
        before = time.perf_counter()
        samples.append(_read(item, known))
        per_pixel.append((time.perf_counter() - before) / math.prod(shape))
        if time.perf_counter() - began > _TRY_S:
            break
    return Source(
        shapes, [_shape(item.image(lazy=True), known, item.name) for item in watched], samples,
        _known_share(samples), min(per_pixel), first.dtype.itemsize,  # minimum: the first image also loads the reader
    )  # fmt: skip


def _read(item: Item, known: Traits) -> Sample:
    return _sample(item.image(), item.target().values, known, item.name)


def _shape(image: xr.DataArray, known: Traits, name: str) -> tuple[int, ...]:
    spatial = DIMS[-known.dims :]
    if not set(spatial) <= set(image.dims) or set(image.dims) - {*spatial, "c"}:
        raise TrainingError(f"{name} has axes {image.dims}; a {known.dims}D network expects {spatial} and optionally c")
    channels = image.sizes.get("c", 1)
    if channels != known.in_channels:
        raise TrainingError(
            f"{name} has {channels} channel(s), but the network expects {known.in_channels}: create it with "
            "UNet(in_channels=...), or select channels with image.isel(c=...)"
        )
    return tuple(int(image.sizes[d]) for d in spatial)


def _sample(image: xr.DataArray, target: Any, known: Traits, name: str) -> Sample:
    ordered = image if "c" in image.dims else image.expand_dims("c")
    pixels = Normalisation()(np.asarray(ordered.transpose("c", *DIMS[-known.dims :]).values))
    return Sample(pixels, _headed(np.asarray(target), known), name=name)


def _headed(target: Any, known: Traits) -> Any:
    """Append all-zero channels for further heads to the class ids; their values do not matter in a trial."""
    extra = len(known.outputs) - 1
    if not extra or target.ndim > known.dims:
        return target
    return np.stack([target, *[np.zeros_like(target)] * extra]).astype(np.float32)


def _known_share(samples: Sequence[Sample]) -> float:
    classes = [s.classes() for s in samples]
    return sum(int((c != IGNORE).sum()) for c in classes) / sum(c.size for c in classes)
