from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.patches import Feed, PatchSampler, Sample
from tests.nn.patches.samples import coordinates, same, sampler_of


def test_image_target_and_weight_are_cut_and_turned_alike():
    for x, y, weight in sampler_of([coordinates((40, 50)), coordinates((33, 64), 1)], (16, 16), batches=20):
        assert (x[:, 0] == y).all()
        assert (x[:, 0] == weight).all()


def test_oblong_patches_and_volumes():
    x, y, _ = next(iter(sampler_of([coordinates((40, 50))], (8, 24))))
    assert x.shape == (8, 2, 8, 24)
    assert (x[:, 0] == y).all()
    volume = np.arange(5 * 9 * 9).reshape(5, 9, 9)
    sample = Sample(volume[None].astype(np.float32), (volume % 200).astype(np.uint8))
    x, y, weight = next(iter(sampler_of([sample], (3, 8, 8))))
    assert (x[:, 0] % 200 == y).all()
    assert (weight == 1).all()


def test_same_seed_same_patches_and_each_epoch_others():
    def epochs(seed):
        sampler = sampler_of([coordinates((40, 50))], (16, 16), batches=2, seed=seed)
        return [torch.cat([x for x, _, _ in sampler]) for _ in range(2)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_fixed_patches_are_the_same_in_each_epoch():
    sampler = PatchSampler([coordinates((40, 50))], (16, 16), batches=2, fixed=True)
    a, b = (torch.cat([x for x, _, _ in sampler]) for _ in range(2))
    assert torch.equal(a, b)


def test_an_epoch_of_which_somebody_took_all_batches_is_over():
    """As islice takes them, which never comes back to hear that there is no further one."""
    sampler = sampler_of([coordinates((40, 50))], (16, 16))
    first, second = (list(islice(sampler, len(sampler))) for _ in range(2))
    assert len(first) == len(second) == len(sampler)
    assert not torch.equal(first[0][0], second[0][0])
    assert (sampler.epoch, sampler.done) == (1, 4)


def test_patches_lie_on_known_truth():
    known = np.zeros((60, 60), bool)
    known[:12, 50:] = True
    for _, y, _ in sampler_of([coordinates((60, 60), 0, known)], (8, 8), batches=5):
        assert (y != IGNORE).flatten(1).any(dim=1).all()


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample(np.zeros((1, 8, 8), np.float32), np.zeros((8, 9), np.uint8)), "do not fit"),
        (Sample(np.zeros((1, 8, 8), np.float32), np.full((8, 8), IGNORE, np.uint8)), "the truth is unknown everywhere"),
        (Sample(np.zeros((1, 8, 8), np.float32), np.zeros((8, 8), np.uint8), np.zeros((3, 3), np.float32)), "weight"),
    ],
)
def test_bad_input(sample, words):
    with pytest.raises(TrainingError, match=words):
        PatchSampler([sample], (4, 4))
    with pytest.raises(TrainingError, match="at least 1"):
        PatchSampler([sample], (0, 4))


def test_a_batch_depends_on_epoch_and_number_only(full):
    epochs = [list(full) for _ in range(2)]
    assert same(epochs[1][3], full.batch_at(1, 3))
    assert not same(epochs[0][3], epochs[1][3])


def test_devices_share_each_batch(full):
    whole = full.batch_at(0, 1)
    parts = [full.share(rank, 2).batch_at(0, 1) for rank in range(2)]
    assert same(whole, [torch.cat(part) for part in zip(*parts, strict=True)])
    with pytest.raises(TrainingError, match="cannot be divided equally among 3 devices"):
        full.share(0, 3)


def test_going_on_within_an_epoch(full):
    whole = list(full)
    state = {"epoch": 0, "done": 2}
    for source in (full, Feed(full, "cpu")):
        source.load_state_dict(state)
        rest = list(source)
        assert len(rest) == 3
        assert all(same(a, b) for a, b in zip(rest, whole[2:], strict=True))
        assert source.state_dict() == {"epoch": 1, "done": 0}


def test_names_that_are_not_known():
    with pytest.raises(TrainingError, match="sampling is 'everywhere'; expected one of positions"):
        PatchSampler([coordinates((20, 20))], (8, 8), sampling="everywhere")
    with pytest.raises(TrainingError, match="stride is 0"):
        PatchSampler([coordinates((20, 20))], (8, 8), sampling="grid", stride=0)
    plain = Sample(np.zeros((1, 20, 20), np.float32), np.zeros((20, 20), np.uint8))
    with pytest.raises(TrainingError, match="has no weight image"):
        PatchSampler([plain], (8, 8), sampling="weighted")
