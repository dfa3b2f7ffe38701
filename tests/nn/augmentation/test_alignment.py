from __future__ import annotations

import pytest
import torch

from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.augmentation.alignment import check_augmentation, check_batches


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
    from fijibridge.nn.training.settings_schema import Settings

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
