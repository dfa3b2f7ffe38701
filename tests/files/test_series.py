from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.files.series import grid
from tests.examples import examples


@examples(25)
@given(
    rows=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    columns=st.lists(st.integers(1, 5), min_size=1, max_size=3),
)
def test_tiles_without_overlap_are_the_whole(rows, columns):
    shapes = {(r, c): (rows[r], columns[c]) for r in range(len(rows)) for c in range(len(columns))}
    covered = np.zeros((sum(rows), sum(columns)), int)
    for cell, (y, x) in grid(shapes, (0, 0)).items():
        covered[y : y + shapes[cell][0], x : x + shapes[cell][1]] += 1
    assert (covered == 1).all()
