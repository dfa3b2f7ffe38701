"""Cells to show, and what runs scripts in their languages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.engines import JARS


@pytest.fixture
def cells() -> np.ndarray:
    """Three cells, with gaps in their ids, the last of one pixel."""
    labels = np.zeros((40, 50), np.uint16)
    labels[2:10, 3:12], labels[20:30, 20:45], labels[35:36, 1:2] = 4, 9, 700
    return labels


@pytest.fixture
def evaluate(fiji, engines) -> dict[str, Callable[[str], Any]]:
    """What runs a script in each language, and returns what it says."""
    return {language: engines.evaluate(language) for language in JARS}
