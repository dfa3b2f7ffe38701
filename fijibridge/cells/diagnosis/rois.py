"""ROIs that show a diagnosis: cell outlines in the colours of their outcomes, and points on broken membranes."""

from __future__ import annotations

import pandas as pd

from fijibridge.cells.matching.matches import Matching
from fijibridge.colors import UNKNOWN_COLOR
from fijibridge.image import Array
from fijibridge.renames import rename_attributes
from fijibridge.rois import Roi, labels_to_rois


def matching_rois(matching: Matching, true: Array, pred: Array) -> tuple[list[Roi], dict[str, str]]:
    """Return the outlines of predicted cells and of unmatched true cells, with their colours.

    Parameters
    ----------
    matching
        Matching of the two label images.
    true, pred
        Integers, (Y, X) or (Z, Y, X).

    Returns
    -------
    rois
        ROIs named after the id of the predicted cell, or ``"missed 7"``, ``"merged 7"``, ``"split 7"`` for a true cell.
    colors
        ``"#rrggbb"`` by name, from :data:`fijibridge.colors.OUTCOME_COLORS`, or
        :data:`fijibridge.colors.UNKNOWN_COLOR`.
    """
    table = matching.cells()
    lost = table[table["predicted"].isna()]
    names = dict(zip(lost["true"].astype(int).astype(str), lost["label"], strict=True))
    truth = [roi.renamed(names[roi.name]) for roi in labels_to_rois(true) if roi.name in names]
    rois = [*labels_to_rois(pred), *truth]
    colors = dict(zip(table["label"], table["color"], strict=True))
    return rois, {roi.name: colors.get(roi.name, UNKNOWN_COLOR) for roi in rois}


def gap_points(gaps: pd.DataFrame) -> tuple[pd.DataFrame, list[Roi]]:
    """Return the broken membranes with a new column ``label`` (``"gap 1"``, ...), and one point ROI for each."""
    named = gaps.copy()
    named.insert(0, "label", [f"gap {n}" for n in range(1, len(gaps) + 1)])
    points = [
        Roi.points([(gap["x"], gap["y"])], name=gap["label"], position=gap.get("z", -1) + 1)
        for gap in named.to_dict("records")
    ]
    return named, points


rename_attributes(__name__, {"ELSEWHERE": "colors:UNKNOWN_COLOR"})
