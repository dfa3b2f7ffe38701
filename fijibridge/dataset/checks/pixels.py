"""Comparison of the shapes and origins of truth and prediction with the image, and search for odd values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import xarray as xr

from fijibridge.dataset.checks.calibration import TRUTH
from fijibridge.dataset.checks.findings import Finding, finding
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.item import Item
from fijibridge.errors import ImageError
from fijibridge.image import first_channel, same_shape


def shape_findings(item: Item, dataset: Dataset, arrays: Mapping[str, xr.DataArray]) -> Iterator[Finding]:
    """Find arrays whose shape, apart from channels, differs from the shape of their image."""
    if "image" not in arrays:
        return
    wanted = {d: n for d, n in arrays["image"].sizes.items() if d != "c"}
    for role, array in arrays.items():
        found = {d: n for d, n in array.sizes.items() if d != "c"}
        if found != wanted:
            what = f"the {role} file has {_sizes(found)} pixels, but the image has {_sizes(wanted)}"
            todo = "crop or resample one of them to the pixels of the other"
            yield finding("problem", item, dataset, role, what, todo)


def _sizes(sizes: Mapping[Any, int]) -> str:
    return " x ".join(f"{n} ({d})" for d, n in sizes.items())


def origin_findings(item: Item, dataset: Dataset, arrays: Mapping[str, xr.DataArray]) -> Iterator[Finding]:
    """Find truth whose origin differs from the origin of its image, because training refuses such pairs."""
    for role in TRUTH:
        if not {role, "image"} <= arrays.keys() or role not in item.paths:
            continue
        try:
            same_shape(image=first_channel(arrays["image"]), **{role: first_channel(arrays[role])})
        except ImageError as error:
            yield finding("problem", item, dataset, role, str(error), "correct the calibration of one of them")


def odd_pixels(item: Item, dataset: Dataset, arrays: Mapping[str, xr.DataArray]) -> Iterator[Finding]:
    """Find pixels that are not finite, and uniform images."""
    for role in ("image", "prediction"):
        if role in arrays and arrays[role].dtype.kind == "f" and not np.isfinite(arrays[role].values).all():
            lost = int((~np.isfinite(arrays[role].values)).sum())
            yield finding("problem", item, dataset, role, f"{lost} pixels are not finite numbers", "replace them")
    if "image" in arrays and is_uniform(arrays["image"]):
        value = arrays["image"].values.flat[0]
        yield finding("note", item, dataset, "image", f"all pixels are {value}", "look at the image")


def is_uniform(image: xr.DataArray) -> bool:
    """Return whether all pixels have the same value."""
    pixels = image.values
    return bool(pixels.size and (pixels == pixels.flat[0]).all())
