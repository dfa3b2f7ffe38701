"""Segmentation method: basins of the smoothed probability itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fijibridge.cells.segmentation.methods.method import Method, Parameter

if TYPE_CHECKING:
    from fijibridge.arrays import Floats32, Labels
    from fijibridge.cells.segmentation.flooding import Open
    from fijibridge.cells.segmentation.methods.method import Parameters


def find(prob: Floats32, parameters: Parameters, sides: Open) -> Labels:
    """Find one cell for each minimum of the smoothed probability that is deep enough."""
    from fijibridge.cells.segmentation.basins import find_minima, smooth

    relief, unsure = smooth(prob, parameters["sigma"], parameters.step, sides)
    return find_minima(relief, parameters["h"], sides, unsure).labels


METHOD = Method(
    find,
    summary="basins of the smoothed probability that are deeper than h",
    suits="noise, small cells, 3D",
    # The threshold is not varied: it has no effect if the growth of cells is unlimited.
    grid={"sigma": (0.5, 1.0, 2.0), "h": (0.02, 0.05, 0.1, 0.2)},
    parameters={
        "sigma": Parameter(1.0, "standard deviation of the smoothing"),
        "h": Parameter(0.05, "depth of a minimum below the lowest way out of it, a probability", "probability"),
    },
    covers=True,
)
