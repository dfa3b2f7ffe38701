from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.augmentation.geometry import Warp, resample, turned

STILL = Augmentation.none()


WARPED = replace(STILL, rotation=45, scale=0.3, elastic=3, smoothness=8, share=1)


def rngs(number, seed=0):
    return [np.random.default_rng((seed, i)) for i in range(number)]


def positions(patch, number=6):
    """Coordinates as image, numbers of pixels as target."""
    where = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in patch], indexing="ij"))
    count = torch.arange(where[0].numel()).reshape(patch)
    return where.expand(number, *where.shape), count.expand(number, *patch), where[0].expand(number, *patch)


def test_a_turn_and_a_scale_by_hand():
    """A quarter turn by resampling is the exact one; twice the size is every pixel twice."""
    x, y, weight = positions((9, 9), 1)
    quarter = resample((x, y, weight), [Warp(np.pi / 2, 1, None)])
    assert (quarter[1][0] == turned((y[:1],), [([False, False], 3)])[0][0]).all()
    assert torch.allclose(quarter[0][0], turned((x[:1],), [([False, False], 3)])[0][0], atol=1e-4)
    larger = resample((x, y, weight), [Warp(0, 2, None)])[0][0]
    assert torch.allclose(larger[0, :, 4], torch.arange(9) / 2 + 2, atol=1e-4)


def test_a_displacement_moves_by_what_it_says():
    x, y, weight = positions((24, 24), 1)
    shifts = np.zeros((2, 6, 6), np.float32)
    shifts[1] = 3  # all points come from 3 px further right
    out, target, _ = resample((x, y, weight), [Warp(0, 1, shifts)])
    assert torch.allclose(out[0, 1, :, :20], x[0, 1, :, 3:23], atol=1e-4)
    assert (target[0, :, :20] == y[0, :, 3:23]).all()


@pytest.mark.parametrize("patch", [(7, 12), (4, 7, 12), (1, 9)])
def test_what_comes_from_far_beyond_is_mirrored_as_often_as_it_takes(patch):
    """Against numpy's padding: shifts of several times the patch."""
    x, y, weight = positions(patch, 1)
    for shift in (-30, -13, 0, 17, 40):
        shifts = np.full((len(patch), *[5] * len(patch)), shift, np.float32)
        out, target, _ = resample((x, y, weight), [Warp(0, 1, shifts)])
        wide = np.pad(y[0].numpy(), 45, mode="reflect")
        expected = wide[tuple(slice(45 + shift, 45 + shift + n) for n in patch)]
        assert (target[0].numpy() == expected).all()
        assert torch.allclose(out[0, -1], (target[0] % patch[-1]).float(), atol=1e-3)


def test_displacements_are_smooth_and_as_large_as_said():
    x, y, weight = positions((96, 96), 16)
    out, _, _ = replace(STILL, elastic=3, smoothness=24, share=1)((x, y, weight), rngs(16))
    shift = (out - x)[:, :, 24:-24, 24:-24]
    assert 2 < float(shift.std()) < 3.5
    assert float(shift.diff(dim=-1).abs().max()) < 1  # no fold
    assert float(shift.diff(n=2, dim=-1).abs().max()) < 0.1


def test_unknown_truth_and_large_ids_stay_what_they_are():
    classes = torch.full((4, 16, 16), IGNORE)
    classes[:, 4:12] = 1
    cells = torch.full((4, 16, 16), 70_001.0)
    y = torch.stack([classes.float(), cells], 1)
    augmentation = replace(WARPED, heads=("affinity",))
    _, out, _ = augmentation((torch.zeros(4, 1, 16, 16), y, torch.ones(4, 16, 16)), rngs(4))
    assert set(out[:, 0].unique().tolist()) == {1, IGNORE}
    assert (out[:, 1] == 70_001).all()


def test_distances_grow_with_the_scale():
    y = torch.stack([torch.zeros(8, 16, 16), torch.full((8, 16, 16), 4.0)], 1)
    augmentation = replace(STILL, scale=1.0, share=1, heads=("distance",))
    _, out, _ = augmentation((torch.zeros(8, 1, 16, 16), y, torch.ones(8, 16, 16)), rngs(8))
    found = out[:, 1].flatten(1)
    assert torch.allclose(found, found[:, :1].expand_as(found), atol=1e-4)
    assert (found[:, 0] / 4).log2().abs().max() < 1.01
    assert found[:, 0].std() > 0.5
    with pytest.raises(TrainingError, match="cannot be deformed"):
        replace(augmentation, elastic=1.0)
