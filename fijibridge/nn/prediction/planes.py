"""What a network is shown of an image at once, a plane or a volume: cut where it lies, then scaled."""

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
    """A plane or volume of an image, with its channels.

    Attributes
    ----------
    pixels : numpy or dask array
        (C, [Z,] Y, X), in memory or not.
    normalisation : Normalisation
        Of the model.
    levels : tuple
        Intensities that become 0 and 1, for each channel.
    """

    pixels: Any
    normalisation: Normalisation
    levels: Levels

    def cut(self, tile: Sequence[Line]) -> npt.NDArray[np.float32]:
        """Return what the network reads for a tile, (C, ...), mirrored where it reaches beyond the image.

        Raises
        ------
        ModelError
            If there are NaN or infinite values in it.
        """
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
    """Go through an image along all axes but those of space and channel, the last one fastest.

    Raises
    ------
    ModelError
        If there are NaN or infinite values in it.
    """
    ordered = image if "c" in image.dims else image.expand_dims("c")
    outer = [d for d in ordered.dims if d != "c" and d not in spatial]
    pixels = _left_where_it_lies(ordered.transpose(*outer, "c", *spatial))
    for index in np.ndindex(*pixels.shape[: len(outer)]):
        part = pixels[index]
        levels = normalisation.checked_levels if isinstance(part, np.ndarray) else normalisation.levels
        yield Plane(part, normalisation, levels(part))


def _left_where_it_lies(image: xr.DataArray) -> Any:
    """Return the array, as a dask array where it is not in memory."""
    if not is_mapped(image.data):
        return image.data
    import dask.array as da

    return da.from_array(image.data, name=False)  # type: ignore[no-untyped-call]
