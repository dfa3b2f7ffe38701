"""Batches of patches, as many as an epoch is to have."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.patches.chunk_cache import cached
from fijibridge.nn.patches.sample import Batch, Sample, check_samples
from fijibridge.nn.patches.places import Drawn, Grid, Place, check_sampling, worth_of


class PatchSampler:
    """Draw batches of patches, as many as an epoch is to have.

    Parameters
    ----------
    samples
        Images of any sizes with their targets, in memory or not.
    patch
        Size of a patch, (Y, X) or (Z, Y, X).
    batch
        Patches in a batch.
    batches
        Batches in an epoch; of a grid, as many as it takes if left out.
    augment
        Transform each patch: True for the usual :class:`fijibridge.Augmentation`, or one of your own.
    seed
        The same seed gives the same patches. Each epoch draws others, unless they are `fixed`.
    sampling
        Which pixel a patch is centred on, before it is moved into the frame:

        - ``"positions"``: each pixel of known truth of each image is as likely as any other;
        - ``"images"``: each image is as likely as any other, and each of its known pixels;
        - ``"locations"``: image by image in turn, each of its known pixels as likely as any other;
        - ``"weighted"``: a pixel is as likely as its weight says;
        - ``"membranes"``: pixels up to 3 px from a membrane are ten times as likely as others;
        - ``"grid"``: no draw; patches at a `stride`, each once an epoch, in another order each epoch.
    stride
        Of the grid, in pixels: one number, or one for each axis; half a patch if left out.
    require
        A class id: patches without a pixel of it are not drawn.
    membrane
        The class id of membranes.
    fixed
        All epochs are the same, as one wants it to compare them.
    cache
        Bytes of memory for chunks of images on disk (zarr, HDF5), which are otherwise decompressed for each patch.

    Notes
    -----
    Patch i of epoch e depends on (seed, e, i) and on nothing else: not on batches, devices, or what was drawn before.
    Memory depends on the images that are in memory and on `cache` only: nothing is cut before it is needed, and no list
    of positions is made. Where an image is smaller than the patch, it is mirrored at its border and the truth there is
    unknown.
    A batch is (x, y, weight): (B, C, Y, X) ``float32``, (B, Y, X) ``int64``, (B, Y, X) ``float32``.

    Raises
    ------
    TrainingError
        If an image and its target do not fit, or no pixel has a known truth.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        patch: Sequence[int],
        batch: int = 8,
        batches: int | None = None,
        augment: bool | Augmentation = True,
        seed: int = 0,
        *,
        sampling: str = "positions",
        stride: int | Sequence[int] | None = None,
        require: int | None = None,
        membrane: int = 1,
        fixed: bool = False,
        cache: int = 2**27,
    ):
        self.patch = tuple(int(n) for n in patch)
        check_sampling(sampling)
        batches = 50 if batches is None and sampling != "grid" else batches
        if min(batch, 1 if batches is None else batches, *self.patch) < 1:
            raise TrainingError(f"patch {self.patch}, batch {batch} and batches {batches} must be at least 1")
        check_samples(samples, len(self.patch))
        self.samples = cached(samples, cache)
        self.augmentation = _augmentation(augment)
        self.batch, self.seed, self.sampling, self.fixed = int(batch), int(seed), sampling, fixed
        self.require, self.membrane = require, membrane
        self.epoch, self.done = 0, 0
        self._rank, self._world = 0, 1
        self.grid: Grid | None = None
        self._drawn: Drawn | None = None
        if sampling == "grid":
            self.grid = Grid(self.samples, self.patch, _stride(stride, self.patch))
            whole = math.ceil(len(self.grid) / self.batch)
            self.batches = whole if batches is None else int(batches)
        else:
            self.batches = int(batches or 1)
            self._drawn = Drawn(self.samples, self.patch, sampling, worth_of(sampling, membrane), require)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.batches

    def __iter__(self) -> Iterator[Batch]:
        """Draw one epoch, or what is left of it; the next call draws the next one."""
        if self.done >= self.batches:  # who counts, as islice does, does not come back for the end
            self.epoch, self.done = self.epoch + 1, 0
        while self.done < self.batches:
            number, epoch = self.done, self.epoch
            self.done += 1
            yield self.batch_at(epoch, number)
        self.epoch, self.done = self.epoch + 1, 0

    def batch_at(self, epoch: int, number: int) -> Batch:
        """Return one batch of an epoch, both counted from 0."""
        return self.transform(self.cut(epoch, number), epoch, number)

    def cut(self, epoch: int, number: int) -> Batch:
        """Return one batch of an epoch as it is cut, on the CPU."""
        places = [self._place(epoch, i) for i in self._numbers(number)]
        cuts = [self.samples[which].cut(corner, self.patch) for which, corner in places]
        x, y, weight = (np.stack(part) for part in zip(*cuts, strict=True))
        y = y.astype(np.float32 if self.samples[0].extra else np.int64)
        return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(weight)

    def transform(self, batch: Batch, epoch: int, number: int) -> Batch:
        """Transform a batch as it was cut, on the device where it is."""
        if replace(self.augmentation, heads=()) == Augmentation.none():
            return batch
        rngs = [np.random.default_rng((*self._key(epoch, i), 1)) for i in self._numbers(number)]
        return self.augmentation(batch, rngs)

    def share(self, rank: int, world: int) -> PatchSampler:
        """Return the sampler of one of several devices: its part of each batch.

        Raises
        ------
        TrainingError
            If the batch cannot be shared equally.
        """
        if self.batch % world:
            raise TrainingError(f"a batch of {self.batch} patches cannot be shared by {world} devices equally")
        part = copy(self)
        part._rank, part._world = rank, world
        return part

    def state_dict(self) -> dict[str, Any]:
        """Return where it is."""
        return {"epoch": self.epoch, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.epoch, self.done = int(state["epoch"]), int(state["done"])

    def coverage(self) -> float:
        """Return how many patches of an epoch hold a pixel, on average over all pixels."""
        pixels = sum(math.prod(sample.shape) for sample in self.samples)
        return self.batches * self.batch * math.prod(self.patch) / pixels

    def _numbers(self, number: int) -> range:
        """Return the numbers, in the epoch, of a batch's patches on this device."""
        each = self.batch // self._world
        first = number * self.batch + self._rank * each
        return range(first, first + each)

    def _key(self, epoch: int, number: int) -> tuple[int, int, int]:
        return self.seed, 0 if self.fixed else epoch, number

    def _place(self, epoch: int, number: int) -> Place:
        if self.grid is not None:
            key = self._key(epoch, 0)
            return self.grid.shuffled(number % len(self.grid), key)
        if self._drawn is None:
            raise TrainingError("a sampler without grid or draw")
        return self._drawn.place(number, np.random.default_rng(self._key(epoch, number)))


def _augmentation(asked: bool | Augmentation) -> Augmentation:
    if isinstance(asked, Augmentation):
        return asked
    return Augmentation() if asked else Augmentation.none()


def _stride(given: int | Sequence[int] | None, patch: Sequence[int]) -> tuple[int, ...]:
    if given is None:
        return tuple(max(p // 2, 1) for p in patch)
    steps = (given,) * len(patch) if isinstance(given, int | np.integer) else tuple(given)
    if len(steps) != len(patch) or any(int(step) < 1 for step in steps):
        raise TrainingError(f"stride is {given}; expected one number of at least 1, or {len(patch)}, one for each axis")
    return tuple(int(step) for step in steps)
