"""Augmentation of patches: random transformations, applied equally to image, target and weight."""

from fijibridge.nn.augmentation.augmentation import Augmentation

__all__ = ["Augmentation"]
