"""Sampling density: the relative probability that a pixel becomes the centre of a patch."""

from __future__ import annotations

import math
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.patches.sample import Sample, Slices

_BLOCK = 4096  # approximate number of pixels in a block of rows
_SLAB = 2**22  # pixels read at a time for summation
_NEAR = 3  # largest distance from a membrane that counts as near, pixels
_NEAR_FACTOR = 10.0  # density near membranes; 1 elsewhere


class Density(Protocol):
    """Function that returns the sampling density of the pixels in a part of an image; 0 excludes a pixel."""

    def __call__(self, sample: Sample, where: Slices, membrane: int) -> npt.NDArray[Any]:
        """Return the density of the pixels at `where`, given the class id of membranes."""
        ...


def uniform(sample: Sample, where: Slices, membrane: int) -> npt.NDArray[np.bool_]:
    """Return density 1 where the truth is known, and 0 elsewhere."""
    return np.asarray(sample.classes(where) != IGNORE)


def by_weight(sample: Sample, where: Slices, membrane: int) -> npt.NDArray[Any]:
    """Return the weight of each pixel as its density, and 0 where the truth is unknown."""
    weights = sample.weights(where)
    if weights is None:
        raise TrainingError(f"{sample.name or 'a sample'} has no weight image, but sampling='weighted' needs one")
    return np.where(uniform(sample, where, membrane), weights, 0)


def near_membranes(sample: Sample, where: Slices, membrane: int) -> npt.NDArray[np.float64]:
    """Return density 10 up to 3 px from a membrane along each axis, 1 elsewhere, and 0 where the truth is unknown."""
    first, last = where[0].start, where[0].stop
    # Membranes just outside the part count too: the part is read with a margin along the first axis, the only one cut.
    above, below = min(_NEAR, first), min(_NEAR, sample.shape[0] - last)
    classes = sample.classes((slice(first - above, last + below), *where[1:]))
    near = ndimage.maximum_filter(classes == membrane, size=2 * _NEAR + 1)
    density = np.where(classes == IGNORE, 0.0, np.where(near, _NEAR_FACTOR, 1.0))
    return density[above : len(density) - below]


class DensityMap:
    """Density of one image, of which cumulative sums over blocks of rows are stored.

    Only the sums are kept, so memory use hardly grows with the image. To draw a pixel, its block is found from the
    sums, and the density of that block alone is computed again.

    Parameters
    ----------
    sample
        The image.
    density
        Function that returns the density of a part; the result is multiplied by ``sample.centres`` unless that is None.
    membrane
        Class id of membranes.
    """

    def __init__(self, sample: Sample, density: Density, membrane: int):
        self.sample, self._density, self._membrane = sample, density, membrane
        rest = max(math.prod(sample.shape[1:]), 1)
        self.rows = max(_BLOCK // rest, 1)  # rows in a block
        slab = max(_SLAB // rest // self.rows, 1) * self.rows
        self.sums = np.cumsum(np.concatenate([self._sums(start, slab) for start in range(0, sample.shape[0], slab)]))

    @property
    def total(self) -> float:
        """Sum over all pixels."""
        return float(self.sums[-1])

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """Draw a pixel with a probability proportional to its density.

        Notes
        -----
        Inverse transform sampling in two steps: a uniform random number in [0, total) selects a block by the cumulative
        sums of all blocks; its remainder selects a pixel by the cumulative sums within the block.
        """
        aim = rng.random() * self.total
        block = min(int(np.searchsorted(self.sums, aim, side="right")), len(self.sums) - 1)
        density = self._part(block * self.rows, (block + 1) * self.rows)
        within = np.cumsum(density.reshape(-1), dtype=float)
        aim = (aim - (self.sums[block - 1] if block else 0.0)) / (within[-1] or 1) * within[-1]
        # Rounding may move `aim` beyond the last sum, but a pixel with density 0 at the end must not be drawn.
        flat = int(min(np.searchsorted(within, aim, side="right"), np.flatnonzero(density.reshape(-1))[-1]))
        place = np.unravel_index(flat, density.shape)
        return (int(place[0]) + block * self.rows, *(int(p) for p in place[1:]))

    def _sums(self, start: int, slab: int) -> npt.NDArray[np.float64]:
        density = self._part(start, start + slab)
        rows = density.reshape(len(density), -1).sum(axis=1, dtype=float)
        return np.add.reduceat(rows, range(0, len(rows), self.rows))

    def _part(self, start: int, stop: int) -> npt.NDArray[Any]:
        where = (slice(start, min(stop, self.sample.shape[0])), *(slice(0, n) for n in self.sample.shape[1:]))
        density = self._density(self.sample, where, self._membrane)
        return density if self.sample.centres is None else density * np.asarray(self.sample.centres[where])


def weight_errors(errors: npt.ArrayLike, reach: float = 8, floor: float = 0.05) -> npt.NDArray[np.float32]:
    """Compute a sampling density that is high around wrong pixels and low, but never 0, elsewhere.

    Parameters
    ----------
    errors
        (Y, X) or (Z, Y, X), True or non-zero where a prediction was wrong: ``fijibridge.diagnose(...).errors`` or
        another mask.
    reach
        Standard deviation of the Gaussian around a wrong pixel, in pixels.
    floor
        Density of a pixel far from all errors; the maximum is 1.

    Returns
    -------
    numpy.ndarray
        ``float32`` of the same shape, for ``Sample(..., centres=...)``.

    Examples
    --------
    >>> errors = np.zeros((64, 64)); errors[16, 16] = 1
    >>> density = weight_errors(errors)
    >>> float(density[16, 16]), round(float(density[60, 60]), 2)
    (1.0, 0.05)
    """
    blurred = ndimage.gaussian_filter((np.asarray(errors) != 0).astype(np.float32), reach, truncate=3)
    highest = float(blurred.max())
    return np.asarray(floor + (1 - floor) * (blurred / highest if highest else blurred), np.float32)
