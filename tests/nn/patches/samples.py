"""Samples whose pixels are known, for tests of patches."""

from __future__ import annotations

import numpy as np
import torch

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.patches import PatchSampler, Sample


def coordinates(shape: tuple[int, int], number: int = 0, known: np.ndarray | None = None) -> Sample:
    """An image whose pixels say where they are; target and weight say the same."""
    where = np.arange(np.prod(shape)).reshape(shape) % 200
    target = where.astype(np.uint8)
    if known is not None:
        target = np.where(known, target, IGNORE).astype(np.uint8)
    image = np.stack([where, np.full(shape, number)]).astype(np.float32)
    return Sample(image, target, where.astype(np.float32))


def sampler_of(samples, patch, **more):
    return PatchSampler(samples, patch, **({"augment": Augmentation.symmetries(), "batches": 4} | more))


def places(sampler, epoch=0):
    return [sampler._place(epoch, i) for i in range(len(sampler) * sampler.batch)]


def same(a, b):
    return all(torch.equal(s, t) for s, t in zip(a, b, strict=True))
