"""Batches of patches, cut and transformed on demand."""

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
from fijibridge.nn.patches.places import Grid, Place, RandomPlaces, strides_of
from fijibridge.nn.patches.sample import Batch, Sample, check_samples
from fijibridge.nn.patches.sampling_modes import DEFAULT, Sampling, sampling_mode

_BATCHES = 50  # batches in an epoch of random patches


class PatchSampler:
    """Draw batches of patches from images of any size.

    Parameters
    ----------
    samples
        Images with their targets, in memory or on disk.
    patch
        Sides of a patch in pixels, (Y, X) or (Z, Y, X).
    batch
        Number of patches in a batch.
    batches
        Number of batches in an epoch. By default 50; for a grid, as many as the whole grid needs.
    augment
        Transformation of each patch: True for the default :class:`fijibridge.Augmentation`, False for none, or an
        augmentation.
    seed
        Seed of the random numbers; the same seed gives the same patches.
    sampling
        Rule for placing patches, one of :data:`fijibridge.nn.patches.sampling_modes.MODES`. Each rule except the grid
        draws the centre of a patch; the patch is then moved so that it lies within the image:

        - ``"positions"``: all pixels with known truth are equally likely;
        - ``"images"``: all images are equally likely, and so are the known pixels within an image;
        - ``"locations"``: images take turns, and the known pixels within an image are equally likely;
        - ``"weighted"``: the probability of a pixel is proportional to its weight;
        - ``"membranes"``: pixels near membranes are ten times as likely;
        - ``"grid"``: each place of a regular grid is used once per epoch, in random order.
    stride
        Distance between neighbouring patches of the grid, in pixels: one number, or one for each axis. By default half
        a patch.
    require
        Class id; only patches that contain a pixel of this class are drawn.
    membrane
        Class id of membranes.
    fixed
        Whether to repeat the same patches in each epoch.
    cache
        Memory in bytes for caching chunks of images on disk (zarr, HDF5), which otherwise are decompressed for each
        patch.

    Raises
    ------
    TrainingError
        If an image and its target do not match, or no pixel has a known truth.

    Notes
    -----
    Patch i of epoch e depends only on (seed, e, i): not on batches, devices, or earlier patches. Patches are cut on
    demand, and no list of positions is stored, so memory use depends only on `cache` and the images in memory. An image
    that is smaller than the patch is extended by mirroring at its border, with unknown truth there. A batch is (x, y,
    weight): x is (B, C, Y, X) ``float32``, y is (B, Y, X) ``int64``, weight is (B, Y, X) ``float32``.
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
        sampling: Sampling = DEFAULT,
        stride: int | Sequence[int] | None = None,
        require: int | None = None,
        membrane: int = 1,
        fixed: bool = False,
        cache: int = 2**27,
    ):
        self.patch = tuple(int(n) for n in patch)
        mode = sampling_mode(sampling)
        batches = _BATCHES if batches is None and not mode.grid else batches
        if min(batch, 1 if batches is None else batches, *self.patch) < 1:
            raise TrainingError(f"patch {self.patch}, batch {batch} and batches {batches} must be at least 1")
        check_samples(samples, len(self.patch))
        self.samples = cached(samples, cache)
        self.augmentation = Augmentation.of(augment)
        self.batch, self.seed, self.sampling, self.fixed = int(batch), int(seed), sampling, fixed
        self.require, self.membrane = require, membrane
        self.epoch, self.done = 0, 0
        self._rank, self._world = 0, 1
        self.grid: Grid | None = None
        self._random: RandomPlaces | None = None
        if mode.grid:
            steps = tuple(max(p // 2, 1) for p in self.patch) if stride is None else strides_of(stride, len(self.patch))
            self.grid = Grid(self.samples, self.patch, steps)
            self.batches = math.ceil(len(self.grid) / self.batch) if batches is None else int(batches)
        else:
            self.batches = int(batches or 1)
            self._random = RandomPlaces(self.samples, self.patch, mode, membrane, require)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.batches

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of an epoch, or its remaining batches; the next call yields the next epoch."""
        if self.done >= self.batches:  # a caller that counts batches does not exhaust the generator
            self.epoch, self.done = self.epoch + 1, 0
        while self.done < self.batches:
            number, epoch = self.done, self.epoch
            self.done += 1
            yield self.batch_at(epoch, number)
        self.epoch, self.done = self.epoch + 1, 0

    def batch_at(self, epoch: int, number: int) -> Batch:
        """Return one transformed batch; epoch and number count from 0."""
        return self.transform(self.cut(epoch, number), epoch, number)

    def cut(self, epoch: int, number: int) -> Batch:
        """Return one untransformed batch on the CPU."""
        places = [self._place(epoch, i) for i in self._numbers(number)]
        cuts = [self.samples[which].cut(corner, self.patch) for which, corner in places]
        x, y, weight = (np.stack(part) for part in zip(*cuts, strict=True))
        y = y.astype(np.float32 if self.samples[0].extra else np.int64)
        return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(weight)

    def transform(self, batch: Batch, epoch: int, number: int) -> Batch:
        """Transform a batch returned by :meth:`cut`, on its current device."""
        if replace(self.augmentation, heads=()) == Augmentation.none():
            return batch
        rngs = [np.random.default_rng((*self._key(epoch, i), 1)) for i in self._numbers(number)]
        return self.augmentation(batch, rngs)

    def share(self, rank: int, world: int) -> PatchSampler:
        """Return a sampler for one of `world` devices, which yields that device's part of each batch.

        Raises
        ------
        TrainingError
            If the batch cannot be divided equally.
        """
        if self.batch % world:
            raise TrainingError(f"a batch of {self.batch} patches cannot be divided equally among {world} devices")
        part = copy(self)
        part._rank, part._world = rank, world
        return part

    def state_dict(self) -> dict[str, Any]:
        """Return the position (epoch and batch) from which to continue later."""
        return {"epoch": self.epoch, "done": self.done}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a position returned by :meth:`state_dict`."""
        self.epoch, self.done = int(state["epoch"]), int(state["done"])

    def coverage(self) -> float:
        """Return the number of patches per epoch that contain a pixel, averaged over all pixels."""
        pixels = sum(math.prod(sample.shape) for sample in self.samples)
        return self.batches * self.batch * math.prod(self.patch) / pixels

    def _numbers(self, number: int) -> range:
        """Return the indices within the epoch of this device's patches in a batch."""
        each = self.batch // self._world
        first = number * self.batch + self._rank * each
        return range(first, first + each)

    def _key(self, epoch: int, number: int) -> tuple[int, int, int]:
        return self.seed, 0 if self.fixed else epoch, number

    def _place(self, epoch: int, number: int) -> Place:
        if self.grid is not None:
            return self.grid.shuffled(number % len(self.grid), self._key(epoch, 0))
        assert self._random is not None
        return self._random.place(number, np.random.default_rng(self._key(epoch, number)))
