"""Patches cut from images of different sizes, when they are needed."""

from fijibridge.nn.patches.prefetcher import Feed
from fijibridge.nn.patches.sample import Batch, Sample
from fijibridge.nn.patches.sampler import PatchSampler
from fijibridge.nn.patches.places import error_worth
from fijibridge.nn.patches.saved import SavedPatches, save_patches

__all__ = ["Batch", "Feed", "PatchSampler", "Sample", "SavedPatches", "error_worth", "save_patches"]
