"""One drawn transformation for image, target and weight together."""

from fijibridge.nn.augmentation.transformation import Augmentation

__all__ = ["Augmentation"]
