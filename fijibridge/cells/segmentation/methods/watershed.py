"""Segmentation method: regions below the threshold, cut at their necks by a watershed of the distance map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fijibridge.cells.segmentation.methods.method import THRESHOLDS, WIDTHS, Method, Parameter

if TYPE_CHECKING:
    from fijibridge.arrays import Floats32, Labels
    from fijibridge.cells.segmentation.flooding import Open
    from fijibridge.cells.segmentation.methods.method import Parameters


def find(prob: Floats32, parameters: Parameters, sides: Open) -> Labels:
    """Find one cell for each maximum of the distance from the membranes that stands out.

    Cells are cut using the distance map rather than the probability: a gap in a membrane is a neck of a region, and the
    cut runs through the neck. A region without a maximum that stands out stays one cell.
    """
    from fijibridge.cells.segmentation.basins import find_basins

    inside = prob < parameters.threshold
    return find_basins(inside, parameters["sigma"], parameters["h"], parameters.step, sides, None).labels


# The defaults were chosen on the training images of cornea_alizarine.
METHOD = Method(
    find,
    summary="connected regions, cut where they are narrow; closes gaps in membranes",
    suits="gaps in membranes between round cells",
    grid={"threshold": THRESHOLDS, "h": WIDTHS},
    parameters={
        "sigma": Parameter(1.5, "standard deviation of the smoothing"),
        "h": Parameter(2.0, "how much wider, in radius, a cell is than its necks"),
    },
)
