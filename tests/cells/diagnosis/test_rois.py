from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fijibridge import colors
from fijibridge.cells.diagnosis import rois
from fijibridge.cells.matching.matches import match_labels
from fijibridge.errors import RenamedWarning


def test_outlines_have_the_colour_of_their_outcome():
    true = np.kron([[1, 2, 3]], np.ones((4, 4), int))
    pred = np.kron([[7, 8, 9]], np.ones((4, 4), int))
    pred[:, 4:8] = 0
    region = np.ones(true.shape, bool)
    region[:, 8:] = False
    found, by_name = rois.matching_rois(match_labels(true, pred, region=region), true, pred)
    assert [roi.name for roi in found] == ["7", "9", "missed 2"]
    assert by_name == {
        "7": colors.OUTCOME_COLORS["matched"],
        "9": colors.UNKNOWN_COLOR,
        "missed 2": colors.OUTCOME_COLORS["missed"],
    }


def test_points_lie_on_gaps():
    gaps = pd.DataFrame({"z": [3], "y": [5], "x": [8]})
    named, (point,) = rois.gap_points(gaps)
    assert named["label"].tolist() == ["gap 1"]
    assert (point.name, point.position, point.paths()[0].tolist()) == ("gap 1", 4, [[8.0, 5.0]])


def test_old_name_of_the_colour():
    with pytest.warns(RenamedWarning, match="ELSEWHERE was renamed to fijibridge.colors.UNKNOWN_COLOR"):
        assert rois.ELSEWHERE == colors.UNKNOWN_COLOR
