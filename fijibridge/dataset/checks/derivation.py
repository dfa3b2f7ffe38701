"""Comparison of crops with the images that they were made from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr

from fijibridge.dataset.checks.findings import Finding, finding
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import DerivedFrom
from fijibridge.dataset.item import Item
from fijibridge.errors import DatasetError
from fijibridge.messages import hint

_TODO = "correct offset or downscale in derived_from"


def derivation_findings(item: Item, dataset: Dataset, arrays: Mapping[str, xr.DataArray]) -> Iterator[Finding]:
    """Compare a crop with the part of its parent that it should show."""
    derived = item.derived_from
    if derived is None:
        return
    if derived.item not in dataset:
        guess = hint(derived.item, dataset.names())
        what = f"derived_from names {derived.item!r}, which is not an image of this folder{guess}"
        yield finding("note", item, dataset, "image", what, "correct the name, unless that image is in another folder")
        return
    if "image" not in arrays:
        return
    crop, place = arrays["image"], _place(arrays["image"], derived)
    try:
        parent = dataset[derived.item].image(lazy=True)
    except DatasetError:
        return
    beyond = [d for d, s in place.items() if d in parent.sizes and s.stop > parent.sizes[d]]
    if beyond:
        end = f"{place[beyond[0]].stop} of {parent.sizes[beyond[0]]}"
        what = f"it extends beyond {derived.item!r} in {beyond[0]}: to pixel {end}"
        yield finding("problem", item, dataset, "image", what, _TODO)
    elif all(derived.factor(d) == 1 for d in "zyx") and set(parent.dims) == set(crop.dims):
        try:
            original = parent.isel(place).values
        except DatasetError:  # is reported for the parent itself
            return
        if original.shape != crop.shape or not np.array_equal(original, crop.values):
            what = f"its pixels differ from the part of {derived.item!r} that it should show"
            yield finding("problem", item, dataset, "image", what, _TODO)


def _place(crop: xr.DataArray, derived: DerivedFrom) -> dict[str, slice]:
    """Return the range of pixels that a crop covers in its parent, by axis."""
    starts = {str(d): derived.start(str(d)) for d in crop.dims if str(d) in "zyx"}
    return {d: slice(start, start + crop.sizes[d] * derived.factor(d)) for d, start in starts.items()}
