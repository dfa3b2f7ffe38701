from __future__ import annotations

import numpy as np

from fijibridge.cells.segmentation.labelling import label_cells


def test_holes_are_filled_unless_they_open_to_the_border_or_hold_a_cell():
    prob = np.zeros((30, 30))
    prob[5:8, 5:8] = 1  # a vesicle
    prob[0:3, 20:23] = 1  # at the border of the image
    prob[15:24, 15:24] = 1
    prob[18:21, 18:21] = 0  # a cell within the cell
    labels = label_cells(prob, "threshold", grow=False)
    assert (labels[5:8, 5:8] == 1).all()
    assert (labels[0:3, 20:23] == 0).all()
    assert labels[19, 19] == 2
    assert (labels[15:24, 15] == 0).all()
    small = label_cells(prob, "threshold", grow=False, min_size=20)  # without the inner cell, all is one hole
    assert small.max() == 1
    assert (small[15:24, 15:24] == 1).all()
    assert (label_cells(prob, "threshold", grow=False, fill_holes=False)[5:8, 5:8] == 0).all()


def test_large_regions_leave_their_place_empty():
    """Background of 40 columns beside cells of 10: nothing grows into it."""
    prob = np.zeros((41, 61))
    prob[::10, :21], prob[:, :21:10] = 1, 1
    everything, cells = label_cells(prob, "threshold"), label_cells(prob, "threshold", max_size=100)
    assert everything.max() == cells.max() + 1 == 9
    assert not cells[:, 22:].any()
    assert (cells[:, :20] > 0).sum() == ((everything[:, :20] > 0) & (everything[:, :20] != everything[20, 40])).sum()


def test_cells_at_the_border_are_removed_without_others_growing_there():
    prob = np.zeros((45, 45))
    prob[2::10], prob[:, 2::10] = 1, 1  # 5 x 5 lines: 4 x 4 whole cells, 20 cut ones
    kept, inner = label_cells(prob, "threshold"), label_cells(prob, "threshold", edge_cells="remove")
    assert (kept.max(), inner.max()) == (36, 16)
    assert not inner[:2].any()
    assert not inner[:, -2:].any()
    assert (kept[4:40, 4:40] > 0).sum() == (inner[4:40, 4:40] > 0).sum()
