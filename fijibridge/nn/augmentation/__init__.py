"""Augmentation of patches: random transformations, applied to image, target and weight alike."""

from fijibridge.nn.augmentation.augmentation import Augmentation

__all__ = ["Augmentation"]
