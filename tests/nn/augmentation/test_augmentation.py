from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.augmentation.alignment import check_augmentation, check_batches
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
        ({"share": 2}, "expected share up to 1"),
    ],
)
def test_strengths_that_make_no_sense(fields, words):
    with pytest.raises(TrainingError, match=words):
        Augmentation(**fields)


# --- the guard ------------------------------------------------------------------------------------------


def invert(x, y, weight, rng):
    return 1 - x, y, weight


def noisy(x, y, weight, rng):
    return x + 0.3 * torch.from_numpy(rng.normal(size=x.shape)).float(), y, weight


def mirror_all(x, y, weight, rng):
    return x.flip(-1), y.flip(-1), weight.flip(-1)


def mirror_image(x, y, weight, rng):
    return x.flip(-1), y, weight


def shift_target(x, y, weight, rng):
    return x, y.roll(9, -2), weight


def forget_weight(x, y, weight, rng):
    return x.flip(-2), y.flip(-2), weight


@pytest.mark.parametrize("patch", [(32, 32), (24, 48), (8, 24, 24)])
def test_the_guard_lets_right_ones_pass(patch):
    for custom in (None, invert, noisy, mirror_all):
        for seed in range(5):
            check_augmentation(Augmentation(custom=custom), patch, seed)


@pytest.mark.parametrize("custom", [mirror_image, shift_target, forget_weight])
def test_the_guard_stops_wrong_ones(custom):
    for seed in range(5):
        with pytest.raises(TrainingError, match=r"the custom augmentation moves (image|weight) and target apart"):
            check_augmentation(Augmentation(custom=custom), (32, 32), seed)


def test_the_guard_stops_a_broken_augmentation(monkeypatch):
    monkeypatch.setattr(
        "fijibridge.nn.augmentation.augmentation.resample", lambda batch, *_: (batch[0].flip(-1), *batch[1:])
    )
    with pytest.raises(TrainingError, match="moves image and target apart"):
        check_augmentation(Augmentation(share=1), (32, 32))


def test_a_wrong_shape_of_your_own():
    with pytest.raises(TrainingError, match="returned"):
        check_augmentation(Augmentation(custom=lambda x, y, w, rng: (x[:, 1:], y, w)), (16, 16))


@pytest.fixture(scope="module")
def cornea(data):
    """Batches of real images: dark membranes, partly annotated."""
    import fijibridge as fb
    from fijibridge.nn.patches import PatchSampler
    from fijibridge.nn.training.data import read_pairs, samples_of
    from fijibridge.nn.training.settings import Settings

    dataset = fb.Dataset.from_patterns(
        data / "cornea_alizarine", image="*_image.png", labels="{name}_labels.tif", region="{name}_roi.png"
    )
    known = fb.UNet(depth=1, width=1).traits
    pairs = read_pairs(dataset, (), Settings(), known)
    samples = samples_of(pairs.learnt, known, fb.Normalisation())
    return PatchSampler(samples, (64, 64), batches=40, augment=False)


@pytest.mark.data
def test_real_pairs_pass_and_mirrored_ones_do_not(cornea):
    wrong = 0
    for number in range(20):
        x, y, weight = cornea.batch_at(0, number)
        check_batches([(x, y, weight)], 2)
        for moved in (x.flip(-1), x.flip(-2), torch.rot90(x, 1, (-2, -1))):
            try:
                check_batches([(moved, y, weight)], 2)
            except TrainingError:
                wrong += 1
    assert wrong == 60


@pytest.mark.parametrize("seed", range(20))
def test_images_that_tell_nothing_of_the_target_pass(seed):
    rng = torch.Generator().manual_seed(seed)
    x, y = torch.randn(4, 1, 32, 32, generator=rng), torch.randint(0, 2, (4, 32, 32), generator=rng)
    check_batches([(x, y, torch.ones(4, 32, 32))])


@pytest.mark.parametrize(
    ("x", "y", "weight", "words"),
    [
        (torch.full((1, 1, 8, 8), float("nan")), torch.zeros(1, 8, 8), torch.ones(1, 8, 8), "NaN"),
        (torch.zeros(1, 1, 8, 8), torch.full((1, 8, 8), 7), torch.ones(1, 8, 8), "class ids"),
        (torch.zeros(1, 1, 8, 8), torch.zeros(1, 8, 8), -torch.ones(1, 8, 8), "negative"),
    ],
)
def test_numbers_that_make_no_sense(x, y, weight, words):
    with pytest.raises(TrainingError, match=words):
        check_batches([(x, y, weight)], 2)
