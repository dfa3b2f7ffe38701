"""Patches cut from images of different sizes, when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import draw_symmetry, symmetry

Batch = tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Sample:
    """One image to learn from.

    Attributes
    ----------
    image : numpy.ndarray
        (C, Y, X) or (C, Z, Y, X) ``float32``, normalised.
    target : numpy.ndarray
        (Y, X) or (Z, Y, X) ``uint8`` class ids, 255 = unknown.
    weight : numpy.ndarray or None
        ``float32`` weight of each pixel, 1 everywhere if left out.
    name : str
        To name it in messages.
    """

    image: npt.NDArray[np.float32]
    target: npt.NDArray[np.uint8]
    weight: npt.NDArray[np.float32] | None = None
    name: str = ""


class PatchSampler:
    """Draw batches of patches, as many as an epoch is to have.

    Parameters
    ----------
    samples
        Images of any sizes with their targets.
    patch
        Size of a patch, (Y, X) or (Z, Y, X).
    batch
        Patches in a batch.
    batches
        Batches in an epoch.
    augment
        Turn and mirror each patch at random; image, target and weight alike.
    seed
        The same seed gives the same patches. Each epoch draws others, unless `augment` is off.

    Notes
    -----
    A patch is centred on a pixel with known truth, each such pixel of each image being as likely as any other, and
    moved into the frame. Where an image is smaller than the patch, it is mirrored at its border and the truth there
    is unknown. A batch is (x, y, weight): (B, C, Y, X) ``float32``, (B, Y, X) ``int64``, (B, Y, X) ``float32``.

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
        batches: int = 50,
        augment: bool = True,
        seed: int = 0,
    ):
        self.patch = tuple(int(n) for n in patch)
        if min(batch, batches, *self.patch) < 1:
            raise TrainingError(f"patch {self.patch}, batch {batch} and batches {batches} must be at least 1")
        for sample in samples:
            _check(sample, len(self.patch))
        channels = {len(s.image) for s in samples}
        if len(channels) > 1:
            raise TrainingError(f"the images have different numbers of channels: {sorted(channels)}")
        self.samples = [_padded(s, self.patch) for s in samples]
        self.batch, self.batches, self.augment, self.seed = batch, batches, augment, seed
        self.epoch = 0
        self._known = [np.flatnonzero(s.target != IGNORE) for s in self.samples]
        counts = np.array([len(k) for k in self._known], float)
        if not counts.sum():
            raise TrainingError("no pixel of any image has a known truth: check regions and label files")
        self._likely = counts / counts.sum()

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return self.batches

    def __iter__(self) -> Iterator[Batch]:
        """Draw one epoch; the next call draws the next one, if patches are augmented."""
        rng = np.random.default_rng((self.seed, self.epoch))
        self.epoch += self.augment
        for _ in range(self.batches):
            yield self._draw(rng)

    def _draw(self, rng: np.random.Generator) -> Batch:
        channels = self.samples[0].image.shape[0]
        x = np.empty((self.batch, channels, *self.patch), np.float32)
        y = np.empty((self.batch, *self.patch), np.int64)
        weight = np.empty((self.batch, *self.patch), np.float32)
        square = self.patch[-1] == self.patch[-2]
        for i in range(self.batch):
            number = int(rng.choice(len(self.samples), p=self._likely))
            sample, where = self.samples[number], self._place(number, rng)
            draw = draw_symmetry(rng, square) if self.augment else 0
            x[i] = symmetry(sample.image[(slice(None), *where)], draw)
            y[i] = symmetry(sample.target[where], draw)
            weight[i] = 1 if sample.weight is None else symmetry(sample.weight[where], draw)
        return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(weight)

    def _place(self, number: int, rng: np.random.Generator) -> tuple[slice, ...]:
        shape = self.samples[number].target.shape
        centre = np.unravel_index(rng.choice(self._known[number]), shape)
        corner = [min(max(int(c) - p // 2, 0), n - p) for c, p, n in zip(centre, self.patch, shape, strict=True)]
        return tuple(slice(c, c + p) for c, p in zip(corner, self.patch, strict=True))


def _check(sample: Sample, dims: int) -> None:
    if sample.target.ndim != dims or sample.image.shape[1:] != sample.target.shape:
        raise TrainingError(
            f"{sample.name or 'a sample'}: image {sample.image.shape} and target {sample.target.shape} do not fit a "
            f"patch of {dims} axes; expected (C, ...) and (...) of one shape"
        )
    if sample.weight is not None and sample.weight.shape != sample.target.shape:
        raise TrainingError(f"{sample.name or 'a sample'}: weight {sample.weight.shape}, target {sample.target.shape}")


def _padded(sample: Sample, patch: tuple[int, ...]) -> Sample:
    short = [(0, max(p - n, 0)) for p, n in zip(patch, sample.target.shape, strict=True)]
    if not any(after for _, after in short):
        return sample
    weight = None if sample.weight is None else np.pad(sample.weight, short)
    return Sample(
        np.pad(sample.image, [(0, 0), *short], mode="symmetric"),
        np.pad(sample.target, short, constant_values=IGNORE),
        weight,
        sample.name,
    )
