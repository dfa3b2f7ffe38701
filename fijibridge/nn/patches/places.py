"""Places of patches: drawn at random with a sampling density, or on a regular grid."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np

from fijibridge.errors import TrainingError
from fijibridge.nn.patches.density import DensityMap
from fijibridge.nn.patches.sample import Sample
from fijibridge.nn.patches.sampling_modes import SamplingMode
from fijibridge.renames import rename_attributes

Place: TypeAlias = tuple[int, tuple[int, ...]]
"""Index of an image, and the corner (first pixel) of a patch in it."""

_TRIES = 1000


class RandomPlaces:
    """Places drawn at random.

    Parameters
    ----------
    samples, patch
        Images, and the sides of a patch in pixels.
    mode
        Sampling mode, which defines the density and the choice of the image.
    membrane
        Class id of membranes.
    wanted
        Class id; a patch must contain a pixel of this class. None accepts any patch.

    Raises
    ------
    TrainingError
        If no pixel of any image can be the centre of a patch.
    """

    def __init__(
        self, samples: Sequence[Sample], patch: Sequence[int], mode: SamplingMode, membrane: int = 1,
        wanted: int | None = None,
    ):  # fmt: skip
        self.samples, self.patch, self.mode, self.wanted = samples, patch, mode, wanted
        self.maps = [DensityMap(sample, mode.density_function(), membrane) for sample in samples]
        totals = np.array([density.total for density in self.maps])
        self.useful = np.flatnonzero(totals > 0)
        if not len(self.useful):
            raise TrainingError(
                "no pixel of any image can be the centre of a patch: the truth is unknown everywhere (check regions "
                "and label files), or weight or centres are 0 everywhere"
            )
        likely = totals[self.useful] if mode.images == "by density" else np.ones(len(self.useful))
        self.probabilities = likely / likely.sum()

    def place(self, number: int, rng: np.random.Generator) -> Place:
        """Draw the place of patch `number` of an epoch.

        Raises
        ------
        TrainingError
            If no patch with a pixel of the wanted class is found in 1000 tries.
        """
        for _ in range(_TRIES):
            if self.mode.images == "in turn":
                which = int(self.useful[number % len(self.useful)])
            else:
                which = int(rng.choice(self.useful, p=self.probabilities))
            sample = self.samples[which]
            centre = self.maps[which].draw(rng)
            # Move the patch into the image; if the image is smaller than the patch, the corner is 0.
            corner = tuple(
                min(max(c - p // 2, 0), max(n - p, 0)) for c, p, n in zip(centre, self.patch, sample.shape, strict=True)
            )
            if self.wanted is None or self._holds(sample, corner):
                return which, corner
        raise TrainingError(
            f"no patch with a pixel of class {self.wanted} was found in {_TRIES} tries: omit require, or check "
            "that the targets contain that class"
        )

    def _holds(self, sample: Sample, corner: Sequence[int]) -> bool:
        where = tuple(slice(c, c + p) for c, p in zip(corner, self.patch, strict=True))
        return bool((sample.classes(where) == self.wanted).any())


class Grid:
    """Places on a regular grid; each place is used once per epoch, in an order that depends on a seed.

    Parameters
    ----------
    samples, patch
        Images, and the sides of a patch in pixels.
    stride
        Distance between neighbouring patches along each axis, in pixels. The last patch ends at the image border.
    """

    def __init__(self, samples: Sequence[Sample], patch: Sequence[int], stride: Sequence[int]):
        self.samples, self.patch, self.stride = samples, patch, stride
        self.counts = [grid_shape(sample.shape, patch, stride) for sample in samples]
        self.ends = np.cumsum([math.prod(count) for count in self.counts])

    def __len__(self) -> int:
        """Return the number of places in all images."""
        return int(self.ends[-1])

    def at(self, number: int) -> Place:
        """Return a place by its index; places are numbered in row-major order through all images."""
        which = int(np.searchsorted(self.ends, number, side="right"))
        within = number - (int(self.ends[which - 1]) if which else 0)
        steps = np.unravel_index(within, self.counts[which])
        corner = [
            min(int(step) * s, max(n - p, 0))
            for step, (n, p, s) in zip(steps, self._axes(self.samples[which]), strict=True)
        ]
        return which, tuple(corner)

    def shuffled(self, number: int, seed: Sequence[int]) -> Place:
        """Return the place at index `number` of the random order given by a seed."""
        return self.at(permuted(number, len(self), seed))

    def _axes(self, sample: Sample) -> Iterator[tuple[int, int, int]]:
        return zip(sample.shape, self.patch, self.stride, strict=True)


def grid_shape(shape: Sequence[int], patch: Sequence[int], stride: Sequence[int]) -> tuple[int, ...]:
    """Return the number of patches along each axis that together cover all pixels of an image.

    Examples
    --------
    >>> grid_shape((100, 16), (16, 16), (8, 8))
    (12, 1)
    """
    return tuple(1 + math.ceil(max(n - p, 0) / s) for n, p, s in zip(shape, patch, stride, strict=True))


def strides_of(stride: int | Sequence[int], dims: int) -> tuple[int, ...]:
    """Return a stride for each axis.

    Raises
    ------
    TrainingError
        If `stride` is neither one number nor one for each axis, or a number is below 1.
    """
    steps = (stride,) * dims if isinstance(stride, int | np.integer) else tuple(stride)
    if len(steps) != dims or any(int(step) < 1 for step in steps):
        raise TrainingError(
            f"stride is {stride}; expected one number of at least 1, or {dims} such numbers, one for each axis"
        )
    return tuple(int(step) for step in steps)


def permuted(number: int, count: int, seed: Sequence[int]) -> int:
    """Return element `number` of a pseudo-random permutation of ``range(count)``.

    Notes
    -----
    A Feistel network with four rounds permutes the numbers below the next power of four; cycle walking restricts it to
    ``range(count)`` (Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
    ``default_rng(seed).permutation(count)`` would be a one-line alternative, but runs and saved samplers of version 0.1
    are resumed in this order.

    Examples
    --------
    >>> [permuted(n, 6, (7, 0)) for n in range(6)]
    [1, 3, 2, 4, 5, 0]
    """
    bits = max((count - 1).bit_length(), 2)
    half = (bits + 1) // 2
    mask = (1 << half) - 1
    keys = np.random.default_rng(list(seed)).integers(1 << 62, size=4)
    while True:
        left, right = number >> half, number & mask
        # A round swaps the halves and mixes one into the other. It is invertible for any mixing function, so the rounds
        # are a permutation of the numbers below 4**half.
        for key in keys:
            mixed = (right * 0x9E3779B97F4A7C15 + int(key)) & (2**64 - 1)
            mixed ^= mixed >> 29
            mixed = (mixed * 0xBF58476D1CE4E5B9) & (2**64 - 1)
            left, right = right, left ^ ((mixed >> 32) & mask)
        number = (left << half) | right
        # Outside the range, apply the rounds again. In a cycle of a permutation, two different starts inside the range
        # cannot have the same next number inside the range, so the result is a permutation too.
        if number < count:
            return number


rename_attributes(__name__, {
    "Sampling": "nn.patches.sampling_modes:Sampling", "check_sampling": "nn.patches.sampling_modes:check_sampling",
    "error_worth": "nn.patches.density:weight_errors",
})  # fmt: skip
