"""Patches, cut on demand from images of different sizes.

Names are loaded on first use, so that the registry of sampling modes can be read without torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fijibridge.renames import rename_attributes

if TYPE_CHECKING:
    from fijibridge.nn.patches.density import weight_errors
    from fijibridge.nn.patches.prefetcher import Feed
    from fijibridge.nn.patches.sample import Batch, Sample
    from fijibridge.nn.patches.sampler import PatchSampler
    from fijibridge.nn.patches.saved import SavedPatches, save_patches

_HOME = {
    "Batch": "sample", "Feed": "prefetcher", "PatchSampler": "sampler", "Sample": "sample", "SavedPatches": "saved",
    "save_patches": "saved", "weight_errors": "density",
}  # fmt: skip

__all__ = ["Batch", "Feed", "PatchSampler", "Sample", "SavedPatches", "save_patches", "weight_errors"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


rename_attributes(__name__, {"error_worth": "nn.patches.density:weight_errors"})
