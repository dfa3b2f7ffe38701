from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation

STILL = Augmentation.none()


WARPED = replace(STILL, rotation=45, scale=0.3, elastic=3, smoothness=8, share=1)


def rngs(number, seed=0):
    return [np.random.default_rng((seed, i)) for i in range(number)]


def positions(patch, number=6):
    """Coordinates as image, numbers of pixels as target."""
    where = torch.stack(torch.meshgrid(*[torch.arange(float(n)) for n in patch], indexing="ij"))
    count = torch.arange(where[0].numel()).reshape(patch)
    return where.expand(number, *where.shape), count.expand(number, *patch), where[0].expand(number, *patch)


@pytest.mark.parametrize("patch", [(16, 16), (12, 20), (6, 16, 16), (5, 8, 12)])
@pytest.mark.parametrize("augmentation", [Augmentation.symmetries(), WARPED, replace(WARPED, flip=True)])
def test_coordinates_stay_together(patch, augmentation):
    x, y, weight = augmentation(positions(patch), rngs(6))
    assert torch.allclose(weight, x[:, 0], atol=1e-3)
    for axis in reversed(range(len(patch))):
        assert (x[:, axis] - y % patch[axis]).abs().max() < 0.51
        y = y // patch[axis]


def test_flips_and_quarter_turns_are_numpys():
    x, y, _ = positions((8, 8), 64)
    out, target, _ = Augmentation.symmetries()((x, y, x[:, 0]), rngs(64))
    eight = {
        np.rot90(np.flip(a, ()) if not f else a[:, ::-1], k).tobytes()
        for a in [y[0].numpy()]
        for k in range(4)
        for f in (0, 1)
    }
    assert {t.numpy().tobytes() for t in target} == {np.ascontiguousarray(e).tobytes() for e in
                                                     [np.frombuffer(b, np.int64) for b in eight]}  # fmt: skip
    assert (out[:, 0] * 8 + out[:, 1] == target).all()


def test_oblong_patches_are_turned_by_half():
    x, y, weight = positions((8, 12), 32)
    out, target, _ = Augmentation.symmetries()((x, y, weight), rngs(32))
    assert out.shape == x.shape
    assert (out[:, 0] * 12 + out[:, 1] == target).all()
    assert len({t.numpy().tobytes() for t in target}) == 4


def test_a_patch_does_not_depend_on_its_batch():
    batch = (torch.rand(5, 1, 16, 16), torch.randint(0, 2, (5, 16, 16)), torch.rand(5, 16, 16))
    whole = Augmentation()(batch, rngs(5))
    for number in range(5):
        alone = Augmentation()(tuple(part[number : number + 1] for part in batch), rngs(5)[number : number + 1])
        for a, b in zip(alone, whole, strict=True):
            assert torch.allclose(a[0].float(), b[number].float(), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("brightness", lambda a, b: torch.allclose(a - a.mean(), b - b.mean(), atol=1e-4)),
        ("contrast", lambda a, b: np.corrcoef(a.flatten(), b.flatten())[0, 1] > 0.9999),
        ("gamma", lambda a, b: (a.flatten().argsort() == b.flatten().argsort()).float().mean() > 0.99),
        ("blur", lambda a, b: b.std() <= a.std()),
        ("noise", lambda a, b: 0 <= (a - b).std() < 0.5),
    ],
)
def test_intensities_change_as_said_and_nothing_else(name, check):
    x, y, weight = torch.rand(8, 1, 16, 16), torch.randint(0, 2, (8, 16, 16)), torch.rand(8, 16, 16)
    out, target, weight2 = replace(STILL, **{name: 0.5 if name != "blur" else 2.0})((x, y, weight), rngs(8))
    assert torch.equal(y, target)
    assert torch.equal(weight, weight2)
    assert not torch.allclose(out, x)
    assert all(check(a, b) for a, b in zip(x, out, strict=True))


def test_nothing_changes_nothing():
    batch = (torch.rand(2, 1, 8, 8), torch.randint(0, 2, (2, 8, 8)), torch.rand(2, 8, 8))
    assert all(torch.equal(a, b) for a, b in zip(batch, STILL(batch, rngs(2)), strict=True))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rotation": -1}, "rotation is -1"),
        ({"noise": float("nan")}, "noise is nan"),
        ({"share": 2}, "expected a share up to 1"),
    ],
)
def test_strengths_that_make_no_sense(fields, words):
    with pytest.raises(TrainingError, match=words):
        Augmentation(**fields)
