"""Search for duplicates: images with the same pixels, and truth that two images share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from fijibridge.dataset.checks.findings import Finding, Severity, finding, relative
from fijibridge.dataset.checks.leaks import made_from
from fijibridge.dataset.checks.pixels import is_uniform
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.item import Item
from fijibridge.errors import DatasetError, ImageError


class PixelHashes:
    """Hashes of the images checked so far, which reveal duplicates."""

    def __init__(self) -> None:
        self._seen: dict[str, Item] = {}

    def twins(self, item: Item, dataset: Dataset, arrays: Mapping[str, xr.DataArray]) -> Iterator[Finding]:
        """Find an earlier image with the same pixels; uniform images do not count."""
        if "image" not in arrays or is_uniform(arrays["image"]):
            return
        pixels = arrays["image"].values
        digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes() + repr(pixels.shape).encode()).hexdigest()
        twin = self._seen.setdefault(digest, item)
        if twin is not item:
            severity: Severity = "problem" if twin.split != item.split else "note"
            what = f"it has the same pixels as {twin.name!r}; that image is in {twin.split}, this one in {item.split}"
            yield finding(severity, item, dataset, "image", what, "keep one of them")


def shared_truth(dataset: Dataset) -> Iterator[Finding]:
    """Find files that are the truth of two images with different pixels, if neither was made from the other."""
    owners: dict[tuple[Path, str | None], Item] = {}
    for item in dataset:
        for role in ("labels", "classes"):
            members = item.members.get(role)
            for path in () if members is None else members.paths.values():
                if members is None or not path.exists():
                    continue
                first = owners.setdefault((path.resolve(), members.pattern.key), item)
                related = first is item or made_from(item, first, dataset) or made_from(first, item, dataset)
                if not related and not _same_pixels(item, first):
                    what = f"its {role} file is also the {role} file of {first.name!r}"
                    file = relative(path, dataset.folder)
                    yield Finding("problem", item.name, file, what, "give each image its own file, or set derived_from")


def _same_pixels(item: Item, other: Item) -> bool:
    try:
        return np.array_equal(item.image().values, other.image().values)
    except (DatasetError, ImageError):
        return False
