"""One drawn transformation for image, target and weight together."""

from fijibridge.nn.augmentation.augmentation import Augmentation

__all__ = ["Augmentation"]
