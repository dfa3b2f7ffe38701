"""Planes and volumes of an image, from which network inputs are cut and scaled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.arrays import is_mapped
from fijibridge.nn.normalisation import Levels, Normalisation, check_finite
from fijibridge.nn.prediction.tiles import Line, reflected


@dataclass(frozen=True)
class Plane:
    """Plane or volume of an image, with its channels.

    Attributes
    ----------
    pixels : numpy or dask array
        (C, [Z,] Y, X), in memory or on disk.
    normalisation : Normalisation
        Normalisation of the model.
    levels : tuple
        Intensities mapped to 0 and 1, for each channel.
    """

    pixels: Any
    normalisation: Normalisation
    levels: Levels

    def cut(self, tile: Sequence[Line]) -> npt.NDArray[np.float32]:
        """Return the network input for a tile, (C, ...) ``float32``, extended beyond the image by mirroring.

        Raises
        ------
        ModelError
            If the input contains NaN or infinite values.
        """
        # Only one box is read. Mirrored pixels are picked from it, so that an image on disk is read only once.
        boxes, picks = zip(*(reflected(*line.read, n) for line, n in zip(tile, self.shape, strict=True)), strict=True)
        part = np.asarray(self.pixels[(slice(None), *boxes)])
        check_finite(part)
        for axis, pick in enumerate(picks, start=1):
            part = part if pick is None else part.take(pick, axis)
        return np.ascontiguousarray(self.normalisation.scale(part, self.levels))

    @property
    def shape(self) -> tuple[int, ...]:
        """Sides in pixels, ([z,] y, x)."""
        return tuple(self.pixels.shape[1:])


def planes(image: xr.DataArray, spatial: Sequence[str], normalisation: Normalisation) -> Iterator[Plane]:
    """Yield the planes or volumes of an image in row-major order of its other axes.

    Raises
    ------
    ModelError
        If the image contains NaN or infinite values.
    """
    ordered = image if "c" in image.dims else image.expand_dims("c")
    outer = [d for d in ordered.dims if d != "c" and d not in spatial]
    pixels = _lazy(ordered.transpose(*outer, "c", *spatial))
    for index in np.ndindex(*pixels.shape[: len(outer)]):
        part = pixels[index]
        levels = normalisation.checked_levels if isinstance(part, np.ndarray) else normalisation.levels
        yield Plane(part, normalisation, levels(part))


def _lazy(image: xr.DataArray) -> Any:
    """Return the pixels of an image, as a dask array if they are mapped from a file."""
    if not is_mapped(image.data):
        return image.data
    import dask.array as da

    return da.from_array(image.data, name=False)  # type: ignore[no-untyped-call]
