from __future__ import annotations

import numpy as np
import pytest
import torch

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import draw_symmetry, symmetry
from fijibridge.nn.patches import PatchSampler, Sample


def coordinates(shape: tuple[int, int], number: int = 0, known: np.ndarray | None = None) -> Sample:
    """An image whose pixels say where they are; target and weight say the same."""
    where = np.arange(np.prod(shape)).reshape(shape) % 200
    target = where.astype(np.uint8)
    if known is not None:
        target = np.where(known, target, IGNORE).astype(np.uint8)
    image = np.stack([where, np.full(shape, number)]).astype(np.float32)
    return Sample(image, target, where.astype(np.float32))


def test_eight_different_symmetries():
    square = np.arange(9).reshape(3, 3)
    assert len({symmetry(square, draw).tobytes() for draw in range(8)}) == 8
    assert (symmetry(square, 0) == square).all()


def test_image_target_and_weight_are_transformed_alike():
    sampler = PatchSampler([coordinates((40, 50)), coordinates((33, 64), 1)], (16, 16), batches=20)
    for x, y, weight in sampler:
        assert (x[:, 0] == y).all()
        assert (x[:, 0] == weight).all()


def test_oblong_patches_and_volumes():
    x, y, _ = next(iter(PatchSampler([coordinates((40, 50))], (8, 24))))
    assert x.shape == (8, 2, 8, 24)
    assert (x[:, 0] == y).all()
    volume = np.arange(5 * 9 * 9).reshape(5, 9, 9)
    sample = Sample(volume[None].astype(np.float32), (volume % 200).astype(np.uint8))
    x, y, weight = next(iter(PatchSampler([sample], (3, 8, 8))))
    assert (x[:, 0] % 200 == y).all()
    assert (weight == 1).all()
    assert {draw_symmetry(np.random.default_rng(s), square=False) for s in range(40)} == {0, 2, 4, 6}


def test_same_seed_same_patches_and_each_epoch_others():
    def epochs(seed):
        sampler = PatchSampler([coordinates((40, 50))], (16, 16), batches=2, seed=seed)
        return [torch.cat([x for x, _, _ in sampler]) for _ in range(2)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_without_augmentation_each_epoch_is_the_same():
    sampler = PatchSampler([coordinates((40, 50))], (16, 16), batches=2, augment=False)
    a, b = (torch.cat([x for x, _, _ in sampler]) for _ in range(2))
    assert torch.equal(a, b)


def test_every_known_pixel_is_as_likely_as_any_other():
    """A small and a large image: the number of patches follows the number of known pixels."""
    known = np.zeros((60, 60), bool)
    known[20:40, 20:40] = True
    samples = [coordinates((60, 60), 0, known), coordinates((40, 60), 1)]
    sampler = PatchSampler(samples, (8, 8), batch=50, batches=40)
    share = np.mean([float(x[:, 1].mean()) for x, _, _ in sampler])
    assert share == pytest.approx(2400 / 2800, abs=0.03)


def test_patches_lie_on_known_truth():
    known = np.zeros((60, 60), bool)
    known[:12, 50:] = True
    for _, y, _ in PatchSampler([coordinates((60, 60), 0, known)], (8, 8), batches=5):
        assert (y != IGNORE).flatten(1).any(dim=1).all()


def test_images_smaller_than_a_patch():
    x, y, _ = next(iter(PatchSampler([coordinates((5, 30))], (16, 16), augment=False)))
    assert x.shape[2:] == (16, 16)
    assert (y[:, 5:] == IGNORE).all()
    assert (x[:, 0, :5] == y[:, :5]).all()


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample(np.zeros((1, 8, 8), np.float32), np.zeros((8, 9), np.uint8)), "do not fit"),
        (Sample(np.zeros((1, 8, 8), np.float32), np.full((8, 8), IGNORE, np.uint8)), "known truth"),
        (Sample(np.zeros((1, 8, 8), np.float32), np.zeros((8, 8), np.uint8), np.zeros((3, 3), np.float32)), "weight"),
    ],
)
def test_bad_input(sample, words):
    with pytest.raises(TrainingError, match=words):
        PatchSampler([sample], (4, 4))
    with pytest.raises(TrainingError, match="at least 1"):
        PatchSampler([sample], (0, 4))
