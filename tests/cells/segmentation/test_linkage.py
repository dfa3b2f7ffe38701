from __future__ import annotations

import numpy as np

from fijibridge.cells.segmentation.labelling import label_cells


def grid(n: int = 4, side: int = 10) -> np.ndarray:
    """n x n square cells between 1 px wide membranes."""
    prob = np.zeros((n * side + 1, n * side + 1))
    prob[::side], prob[:, ::side] = 1, 1
    return prob


def test_agglomeration_weighs_the_whole_membrane():
    """Half of the membrane is missing: its mean is about 0.5."""
    prob = grid(2, 30)
    prob[1:15, 30] = 0
    counts = [label_cells(prob, "agglomeration", beta=beta, grow=False).max() for beta in (0.3, 0.7)]
    assert counts == [4, 3]
