"""Cells to show."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def cells() -> np.ndarray:
    """Three cells, with gaps in their ids, the last of one pixel."""
    labels = np.zeros((40, 50), np.uint16)
    labels[2:10, 3:12], labels[20:30, 20:45], labels[35:36, 1:2] = 4, 9, 700
    return labels
