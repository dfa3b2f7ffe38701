from __future__ import annotations

import pytest

from fijibridge.nn.patches import PatchSampler
from tests.nn.patches.samples import coordinates


@pytest.fixture
def full():
    """A sampler with all that is drawn."""
    return PatchSampler([coordinates((40, 50)), coordinates((60, 20), 1)], (16, 16), batch=4, batches=5, seed=3)
