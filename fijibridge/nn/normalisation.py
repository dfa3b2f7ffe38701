"""Normalisation of intensities by percentiles of each image or of a whole data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.arrays import parts
from fijibridge.errors import ModelError
from fijibridge.image import Array, as_image

Levels: TypeAlias = tuple[tuple[float, float], ...]
_BINS = 2**16  # bins in the histogram of an image on disk


@dataclass(frozen=True)
class Normalisation:
    """Linear scaling of intensities that maps two percentiles to 0 and 1.

    Attributes
    ----------
    low, high : float
        The percentiles, computed for each channel.
    kind : str
        ``"image"``: each image is scaled by its own percentiles. ``"dataset"``: all images are scaled by the levels of
        the training images. Choose ``"dataset"`` if absolute brightness matters and microscope settings are constant.
    values : tuple or None
        For ``"dataset"``: the intensities mapped to 0 and 1, for each channel; None before :meth:`fit`.

    Examples
    --------
    >>> Normalisation(0, 100)(np.array([[[10, 20, 30]]]))
    array([[[0. , 0.5, 1. ]]], dtype=float32)
    >>> Normalisation(0, 100, "dataset").fit([np.array([[0, 50]]), np.array([[100, 50]])]).values
    ((0.0, 100.0),)
    """

    low: float = 1.0
    high: float = 99.8
    kind: Literal["image", "dataset"] = "image"
    values: Levels | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 100 or self.kind not in ("image", "dataset"):
            raise ModelError(
                f"normalisation has kind {self.kind!r} and percentiles {self.low} and {self.high}; expected 'image' or "
                "'dataset', and 0 <= low < high <= 100"
            )
        if self.values is not None:
            object.__setattr__(self, "values", tuple((float(a), float(b)) for a, b in self.values))

    @classmethod
    def none(cls, channels: int = 1) -> Normalisation:
        """Return a normalisation that leaves intensities unchanged."""
        return cls(kind="dataset", values=((0.0, 1.0),) * channels)

    def fit(self, images: Iterable[Array]) -> Normalisation:
        """Return the normalisation ``"dataset"`` with levels common to all images.

        The levels are the minimum of the low percentiles and the maximum of the high percentiles of the images. Images
        have axes y and x, and optionally z and c.

        Raises
        ------
        ModelError
            If an image contains NaN, the images differ in their number of channels, or there are no images.
        """
        alone = Normalisation(self.low, self.high)
        levels = [alone.levels(_channels_first(image)) for image in images]
        if len({len(level) for level in levels}) != 1:
            raise ModelError(
                f"got images with {sorted({len(level) for level in levels})} channels; expected at least one image, "
                "and the same number of channels in all images"
            )
        return Normalisation(
            self.low, self.high, "dataset", tuple(_widest(pairs) for pairs in zip(*levels, strict=True))
        )

    def __call__(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the scaled image, (C, ...) ``float32``."""
        return self.scale(image, self.checked_levels(image))

    def checked_levels(self, image: npt.NDArray[Any]) -> Levels:
        """Return the :meth:`levels` of an image after checking that all its values are finite.

        Raises
        ------
        ModelError
            If there are NaN or infinite values.
        """
        check_finite(image)
        return self.levels(image)

    def scale(self, image: npt.NDArray[Any], levels: Levels) -> npt.NDArray[np.float32]:
        """Scale an image (C, ...), or a part of it, by known levels."""
        if len(levels) != len(image):
            raise ModelError(f"the image has {len(image)} channel(s), but the normalisation expects {len(levels)}")
        low, high = (np.reshape(side, (-1, *[1] * (image.ndim - 1))) for side in zip(*levels, strict=True))
        span = np.where(high > low, high - low, 1.0)
        return np.asarray((image - low) / span, np.float32)

    def levels(self, image: Any) -> Levels:
        """Return the intensities mapped to 0 and 1, for each channel of an image (C, ...).

        An array on disk is read in parts. Percentiles of integers of up to 16 bits are then exact; those of other types
        are precise to 1/65,536 of the range of intensities.
        """
        if self.kind == "dataset":
            if self.values is None:
                raise ModelError("the normalisation 'dataset' has no levels yet: call fit(images) before using it")
            return self.values
        if isinstance(image, np.ndarray) and not isinstance(image, np.memmap):
            flat = image.reshape(len(image), -1)
            low, high = np.percentile(flat, (self.low, self.high), axis=1)
            return tuple((float(a), float(b)) for a, b in zip(low, high, strict=True))
        return tuple(self._streamed(image[channel]) for channel in range(image.shape[0]))

    def _streamed(self, image: Any) -> tuple[float, float]:
        """Compute the two percentiles from a histogram, in two passes over the parts: range, then counts."""
        first, last = np.inf, -np.inf
        for part in _parts(image):
            check_finite(part)
            first, last = min(first, float(part.min())), max(last, float(part.max()))
        # One bin per value for integers with a small range, otherwise a fixed number of bins.
        exact = np.issubdtype(image.dtype, np.integer) and last - first < _BINS
        bins = int(last - first) + 1 if exact else _BINS
        span = 1.0 if exact or last == first else (last - first) / (bins - 1)
        counts = np.zeros(bins, np.int64)
        for part in _parts(image):
            numbers = np.rint((part.astype(float) - first) / span).astype(np.int64)
            counts += np.bincount(numbers.reshape(-1), minlength=bins)
        ends = np.cumsum(counts)
        low, high = (self._ranked(ends, q) * span + first for q in (self.low, self.high))
        return float(low), float(high)

    @staticmethod
    def _ranked(ends: npt.NDArray[np.int64], percent: float) -> float:
        """Return the bin of a percentile, interpolated between the two nearest ranks (numpy's default)."""
        rank = percent / 100 * (ends[-1] - 1)
        below, above = (int(np.searchsorted(ends, r, side="right")) for r in (np.floor(rank), np.ceil(rank)))
        return float(below + (rank - np.floor(rank)) * (above - below))


def check_finite(pixels: npt.NDArray[Any]) -> None:
    """Refuse pixels that are not finite.

    Raises
    ------
    ModelError
        If there are NaN or infinite values.
    """
    if pixels.dtype.kind in "fc" and not np.isfinite(pixels).all():
        raise ModelError("the image contains NaN or infinite values: replace them, or crop them away")


def _parts(image: Any) -> Iterator[npt.NDArray[Any]]:
    """Yield the pixels of an array part by part."""
    return (np.asarray(image[where]) for where in parts(image))


def _channels_first(image: Array) -> npt.NDArray[Any]:
    source: xr.DataArray = as_image(image)
    ordered = source if "c" in source.dims else source.expand_dims("c")
    return np.asarray(ordered.transpose("c", ...).values)


def _widest(pairs: Iterable[tuple[float, float]]) -> tuple[float, float]:
    lows, highs = zip(*pairs, strict=True)
    return float(np.min(lows)), float(np.max(highs))
