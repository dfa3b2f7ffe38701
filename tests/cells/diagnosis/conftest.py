"""A drawn epithelium, and a prediction with holes in three of its membranes."""

from __future__ import annotations

import numpy as np
import pytest

from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target


@pytest.fixture(scope="module")
def truth():
    return synthetic_epithelium((160, 160), cell_size=20, seed=3).labels


@pytest.fixture(scope="module")
def broken(truth):
    """Perfect membranes but for holes in three, with their places."""
    prob = (np.asarray(membrane_target(truth, 3)) == 1).astype(np.float32)
    ids = truth.values
    places = []
    for y, x in np.argwhere(ids[30:130, 30:129] != ids[30:130, 31:130]) + 30:
        near = ids[y - 8 : y + 9, x - 8 : x + 9]
        if len(np.unique(near)) == 2 and all(abs(y - a) + abs(x - b) > 40 for a, b, _ in places):
            prob[y - 3 : y + 4, x - 3 : x + 4] = 0
            places.append((int(y), int(x), tuple(np.unique(near).tolist())))
    return prob, places
