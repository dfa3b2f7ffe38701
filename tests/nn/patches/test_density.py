from __future__ import annotations

import numpy as np
import pytest

from fijibridge.nn.patches import Sample
from fijibridge.nn.patches.density import weight_errors
from tests.nn.patches.samples import places, sampler_of


def test_a_weight_image_says_where():
    weight = np.zeros((50, 40), np.float32)
    weight[30, 20], weight[10, 12] = 3, 1
    sample = Sample(np.zeros((1, 50, 40), np.float32), np.zeros((50, 40), np.uint8), weight)
    found = [corner for _, corner in places(sampler_of([sample], (4, 4), batches=100, sampling="weighted"))]
    assert set(found) == {(28, 18), (8, 10)}
    assert np.mean([corner == (28, 18) for corner in found]) == pytest.approx(0.75, abs=0.05)


def test_membranes_draw_ten_times_as_often():
    target = np.zeros((200, 30), np.uint8)
    target[150] = 1  # a line; the seven rows around it are liked
    sample = Sample(np.zeros((1, 200, 30), np.float32), target)
    rows = np.array(
        [corner[0] for _, corner in places(sampler_of([sample], (1, 1), batches=400, sampling="membranes"))]
    )
    near = np.mean(abs(rows - 150) <= 3)
    assert near == pytest.approx(70 / (193 + 70), abs=0.03)


def test_errors_are_looked_at_again():
    errors = np.zeros((100, 100), bool)
    errors[20, 20] = True
    sample = Sample(
        np.zeros((1, 100, 100), np.float32), np.zeros((100, 100), np.uint8), centres=weight_errors(errors, 4)
    )
    rows, columns = np.array([corner for _, corner in places(sampler_of([sample], (1, 1), batches=200))]).T
    share = np.mean(np.hypot(rows - 20, columns - 20) < 16)
    assert 0.2 < share < 0.6  # by chance 0.08
    assert np.mean(np.hypot(rows - 80, columns - 80) < 16) > 0
