"""Images that the tests of trainings share."""

from __future__ import annotations

import pytest

from fijibridge.cells.targets.from_labels import membrane_target
from tests.trained import small_tissue


@pytest.fixture(scope="session")
def tissue():
    return small_tissue()


@pytest.fixture(scope="session")
def pair(tissue):
    return tissue.image, membrane_target(tissue.labels, 3)
