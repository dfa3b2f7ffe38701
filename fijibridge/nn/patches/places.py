"""Where patches lie: drawn by what a pixel is worth, or in a grid. Geometry and sums, no list of all positions."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.patches.sample import Sample, Slices

Sampling: TypeAlias = Literal["positions", "images", "locations", "weighted", "membranes", "grid"]
Place: TypeAlias = tuple[int, tuple[int, ...]]
"""Number of an image, and the corner of a patch in it."""

_BLOCK = 4096  # pixels of a block along each image's first axis, about: sums are kept for these only
_SLAB = 2**22  # pixels that are read at a time to sum them
_NEAR = 3  # pixels: how far from a membrane "membranes" still likes a centre
_LIKED = 10.0  # how much more
_TRIES = 1000


class Worth:
    """What the pixels of an image are worth as centres of patches, summed over blocks.

    Parameters
    ----------
    sample
        The image.
    of
        The worth of each pixel of a part of it, 0 for never.
    """

    def __init__(self, sample: Sample, of: Callable[[Sample, Slices], npt.NDArray[Any]]):
        self.sample, self._of = sample, of
        rest = max(math.prod(sample.shape[1:]), 1)
        self.rows = max(_BLOCK // rest, 1)
        slab = max(_SLAB // rest // self.rows, 1) * self.rows
        self.sums = np.cumsum(np.concatenate([self._sums(start, slab) for start in range(0, sample.shape[0], slab)]))

    @property
    def total(self) -> float:
        """Of all pixels."""
        return float(self.sums[-1])

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Return a pixel, each as likely as it is worth."""
        aim = rng.random() * self.total
        block = min(int(np.searchsorted(self.sums, aim, side="right")), len(self.sums) - 1)
        worth = self._part(block * self.rows, (block + 1) * self.rows)
        within = np.cumsum(worth.reshape(-1), dtype=float)
        aim = (aim - (self.sums[block - 1] if block else 0.0)) / (within[-1] or 1) * within[-1]
        flat = int(min(np.searchsorted(within, aim, side="right"), np.flatnonzero(worth.reshape(-1))[-1]))
        place = np.unravel_index(flat, worth.shape)
        return (int(place[0]) + block * self.rows, *(int(p) for p in place[1:]))

    def _sums(self, start: int, slab: int) -> npt.NDArray[np.float64]:
        worth = self._part(start, start + slab)
        rows = worth.reshape(len(worth), -1).sum(axis=1, dtype=float)
        return np.add.reduceat(rows, range(0, len(rows), self.rows))

    def _part(self, start: int, stop: int) -> npt.NDArray[Any]:
        where = (slice(start, min(stop, self.sample.shape[0])), *(slice(0, n) for n in self.sample.shape[1:]))
        worth = self._of(self.sample, where)
        return worth if self.sample.centres is None else worth * np.asarray(self.sample.centres[where])


def flat(sample: Sample, where: Slices) -> npt.NDArray[Any]:
    """Return the same worth for every pixel of known truth."""
    return np.asarray(sample.classes(where) != IGNORE)


def by_weight(sample: Sample, where: Slices) -> npt.NDArray[Any]:
    """Return the weight of each pixel of known truth."""
    weights = sample.weights(where)
    if weights is None:
        raise TrainingError(f"{sample.name or 'a sample'} has no weight image, by which sampling='weighted' draws")
    return np.where(flat(sample, where), weights, 0)


def near_membranes(membrane: int) -> Callable[[Sample, Slices], npt.NDArray[Any]]:
    """Return the worth by which pixels up to 3 px from a membrane are drawn ten times as often as others."""

    def worth(sample: Sample, where: Slices) -> npt.NDArray[Any]:
        first, last = where[0].start, where[0].stop
        above, below = min(_NEAR, first), min(_NEAR, sample.shape[0] - last)
        wider = (slice(first - above, last + below), *where[1:])
        classes = sample.classes(wider)
        near = ndimage.maximum_filter(classes == membrane, size=2 * _NEAR + 1)
        liked = np.where(classes == IGNORE, 0.0, np.where(near, _LIKED, 1.0))
        return liked[above : len(liked) - below]

    return worth


def worth_of(sampling: str, membrane: int) -> Callable[[Sample, Slices], npt.NDArray[Any]]:
    """Return what pixels are worth in a way of sampling."""
    return {"weighted": by_weight, "membranes": near_membranes(membrane)}.get(sampling, flat)


def error_worth(errors: npt.ArrayLike, reach: float = 8, floor: float = 0.05) -> npt.NDArray[np.float32]:
    """Return where to look again: high around wrong pixels, low but never 0 elsewhere.

    Parameters
    ----------
    errors
        True or non-zero where a prediction was wrong: ``fijibridge.diagnose(...).errors``, or a mask.
    reach
        Standard deviation of the Gaussian around a wrong pixel, in pixels.
    floor
        Worth of a pixel far from all errors; the highest is 1.

    Returns
    -------
    numpy.ndarray
        ``float32``, to be given as ``Sample(..., centres=...)``.

    Examples
    --------
    >>> errors = np.zeros((64, 64)); errors[16, 16] = 1
    >>> worth = error_worth(errors)
    >>> float(worth[16, 16]), round(float(worth[60, 60]), 2)
    (1.0, 0.05)
    """
    density = ndimage.gaussian_filter((np.asarray(errors) != 0).astype(np.float32), reach, truncate=3)
    highest = float(density.max())
    return np.asarray(floor + (1 - floor) * (density / highest if highest else density), np.float32)


class Drawn:
    """Places drawn at random.

    Parameters
    ----------
    samples, patch
        Images, and the sides of a patch.
    sampling
        ``"images"``: every image as likely as any other; ``"locations"``: the images in turn; else by the worth of
        their pixels.
    worth
        Of pixels.
    wanted
        A class id of which a patch must hold a pixel, None for any patch.
    """

    def __init__(
        self, samples: Sequence[Sample], patch: Sequence[int], sampling: str,
        worth: Callable[[Sample, Slices], npt.NDArray[Any]], wanted: int | None = None,
    ):  # fmt: skip
        self.samples, self.patch, self.sampling, self.wanted = samples, patch, sampling, wanted
        self.worths = [Worth(sample, worth) for sample in samples]
        totals = np.array([w.total for w in self.worths])
        self.useful = np.flatnonzero(totals > 0)
        if not len(self.useful):
            raise TrainingError(
                "no pixel of any image may be the centre of a patch: none has a known truth (check regions and label "
                "files), or all are worth nothing (weight, centres)"
            )
        even = sampling in ("images", "locations")
        self.likely = np.ones(len(self.useful)) if even else totals[self.useful]
        self.likely = self.likely / self.likely.sum()

    def place(self, number: int, rng: np.random.Generator) -> Place:
        """Draw the place of an epoch's patch of that number."""
        for _ in range(_TRIES):
            if self.sampling == "locations":
                which = int(self.useful[number % len(self.useful)])
            else:
                which = int(rng.choice(self.useful, p=self.likely))
            sample = self.samples[which]
            centre = self.worths[which].draw(rng)
            corner = tuple(
                min(max(c - p // 2, 0), max(n - p, 0)) for c, p, n in zip(centre, self.patch, sample.shape, strict=True)
            )
            if self.wanted is None or self._holds(sample, corner):
                return which, corner
        raise TrainingError(
            f"no patch with a pixel of class {self.wanted} was found in {_TRIES} tries: leave require out, or look "
            "whether the targets hold any"
        )

    def _holds(self, sample: Sample, corner: Sequence[int]) -> bool:
        where = tuple(slice(c, c + p) for c, p in zip(corner, self.patch, strict=True))
        return bool((sample.classes(where) == self.wanted).any())


class Grid:
    """Places in a regular grid, each once an epoch, in an order that the epoch's seed says.

    Parameters
    ----------
    samples, patch
        Images, and the sides of a patch.
    stride
        Pixels from one patch to the next, by axis; the last of a row ends with the image.
    """

    def __init__(self, samples: Sequence[Sample], patch: Sequence[int], stride: Sequence[int]):
        self.samples, self.patch, self.stride = samples, patch, stride
        self.counts = [tuple(self._steps(n, p, s) for n, p, s in self._axes(sample)) for sample in samples]
        self.ends = np.cumsum([math.prod(count) for count in self.counts])

    def __len__(self) -> int:
        return int(self.ends[-1])

    def _axes(self, sample: Sample) -> Iterator[tuple[int, int, int]]:
        return zip(sample.shape, self.patch, self.stride, strict=True)

    @staticmethod
    def _steps(size: int, patch: int, stride: int) -> int:
        return 1 + math.ceil(max(size - patch, 0) / stride)

    def at(self, number: int) -> Place:
        """Return the place of that number."""
        which = int(np.searchsorted(self.ends, number, side="right"))
        within = number - (int(self.ends[which - 1]) if which else 0)
        steps = np.unravel_index(within, self.counts[which])
        corner = [
            min(int(step) * s, max(n - p, 0))
            for step, (n, p, s) in zip(steps, self._axes(self.samples[which]), strict=True)
        ]
        return which, tuple(corner)

    def shuffled(self, number: int, seed: Sequence[int]) -> Place:
        """Return the place that comes as that number in an epoch: a permutation that needs no memory.

        Notes
        -----
        A Feistel network of four rounds over the next power of four, walked until it lands inside (Black and Rogaway
        2002, "Ciphers with arbitrary finite domains").
        """
        bits = max((len(self) - 1).bit_length(), 2)
        half = (bits + 1) // 2
        mask = (1 << half) - 1
        keys = np.random.default_rng(list(seed)).integers(1 << 62, size=4)
        while True:
            left, right = number >> half, number & mask
            for key in keys:
                mixed = (right * 0x9E3779B97F4A7C15 + int(key)) & (2**64 - 1)
                mixed ^= mixed >> 29
                mixed = (mixed * 0xBF58476D1CE4E5B9) & (2**64 - 1)
                left, right = right, left ^ ((mixed >> 32) & mask)
            number = (left << half) | right
            if number < len(self):
                return self.at(number)


def check_sampling(sampling: str) -> None:
    """Refuse a name that is not known.

    Raises
    ------
    TrainingError
        Says which there are.
    """
    if sampling not in get_args(Sampling):
        raise TrainingError(f"sampling is {sampling!r}; expected one of {', '.join(get_args(Sampling))}")
