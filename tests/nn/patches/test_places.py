from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.errors import TrainingError
from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.patches.places import Grid
from tests.nn.patches.samples import coordinates, places, sampler_of


def test_every_known_pixel_is_as_likely_as_any_other():
    """A small and a large image: the number of patches follows the number of known pixels."""
    known = np.zeros((60, 60), bool)
    known[20:40, 20:40] = True
    samples = [coordinates((60, 60), 0, known), coordinates((40, 60), 1)]
    sampler = sampler_of(samples, (8, 8), batch=50, batches=40)
    share = np.mean([float(x[:, 1].mean()) for x, _, _ in sampler])
    assert share == pytest.approx(2400 / 2800, abs=0.03)


def test_images_are_drawn_evenly_or_in_turn():
    samples = [coordinates((60, 60), 0), coordinates((10, 12), 1)]
    evenly = [which for which, _ in places(sampler_of(samples, (8, 8), batches=100, sampling="images"))]
    assert np.mean(evenly) == pytest.approx(0.5, abs=0.06)
    in_turn = [which for which, _ in places(sampler_of(samples, (8, 8), sampling="locations"))]
    assert in_turn == [0, 1] * 16


def test_no_patch_without_a_membrane():
    target = np.zeros((64, 64), np.uint8)
    target[:, 50] = 1
    sample = Sample(np.zeros((1, 64, 64), np.float32), target)
    for _, y, _ in sampler_of([sample], (8, 8), require=1):
        assert (y == 1).flatten(1).any(1).all()
    none = Sample(sample.image, np.zeros((64, 64), np.uint8))
    with pytest.raises(TrainingError, match="no patch with a pixel of class 1"):
        next(iter(sampler_of([none], (8, 8), require=1)))


def test_centres_only_in_a_region():
    region = np.zeros((64, 64), bool)
    region[40:44, 8:12] = True
    sample = Sample(np.zeros((1, 64, 64), np.float32), np.zeros((64, 64), np.uint8), centres=region)
    corners = {corner for _, corner in places(sampler_of([sample], (4, 4)))}
    assert corners <= {(y - 2, x - 2) for y in range(40, 44) for x in range(8, 12)}
    assert len(corners) > 8


@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    stride=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_a_grid_visits_each_place_once_and_covers_every_pixel(shapes, stride, seed):
    samples = [Sample(np.zeros((1, *s), np.float32), np.zeros(s, np.uint8)) for s in shapes]
    patch = (9, 9)
    grid = Grid(samples, patch, stride)
    regular = [grid.at(n) for n in range(len(grid))]
    assert sorted(grid.shuffled(n, (seed, 0)) for n in range(len(grid))) == sorted(regular)
    covered = [np.zeros(s, bool) for s in shapes]
    for which, corner in regular:
        assert all(c >= 0 and (c + p <= n or c == 0) for c, p, n in zip(corner, patch, shapes[which], strict=True))
        covered[which][tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))] = True
    assert all(c.all() for c in covered)


def test_the_grid_of_an_epoch():
    sampler = PatchSampler([coordinates((40, 50))], (16, 16), batch=4, fixed=True, sampling="grid", stride=8)
    assert len(sampler) == 6  # 4 x 6 places
    first = places(sampler)
    assert len(set(first)) == 24
    assert first == places(sampler, 1)  # nothing is drawn
    turning = sampler_of([coordinates((40, 50))], (16, 16), batch=4, batches=None, sampling="grid", stride=8)
    assert places(turning) != places(turning, 1)
    assert sorted(places(turning)) == sorted(places(turning, 1))


@pytest.mark.parametrize(
    ("sampling", "first"),
    [
        ("positions", [(1, (17, 30)), (1, (7, 48)), (0, (1, 13))]),
        ("images", [(1, (17, 30)), (1, (7, 48)), (0, (1, 13))]),
        ("locations", [(0, (17, 0)), (1, (17, 23)), (0, (0, 2))]),
        ("weighted", [(1, (17, 36)), (1, (7, 31)), (0, (2, 12))]),
        ("membranes", [(1, (17, 0)), (1, (7, 28)), (0, (1, 0))]),
        ("grid", [(1, (0, 40)), (1, (17, 32)), (1, (0, 48))]),
    ],
)
def test_places_are_those_of_version_0_1(sampling, first):
    """A run is resumed on the patches that it began with."""
    samples = [coordinates((40, 50)), coordinates((33, 64), 1)]
    sampler = PatchSampler(samples, (16, 16), seed=7, sampling=sampling, batch=3, batches=1)
    assert places(sampler) == first
