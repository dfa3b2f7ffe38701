"""Segmentation method: connected regions below the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fijibridge.cells.segmentation.methods.method import THRESHOLDS, Method

if TYPE_CHECKING:
    from fijibridge.arrays import Floats32, Labels
    from fijibridge.cells.segmentation.flooding import Open
    from fijibridge.cells.segmentation.methods.method import Parameters


def find(prob: Floats32, parameters: Parameters, sides: Open) -> Labels:
    """Return the connected regions below the threshold."""
    from fijibridge.cells.segmentation.regions import connected_regions

    return connected_regions(prob < parameters.threshold)


METHOD = Method(
    find,
    summary="connected regions below the threshold; one gap in a membrane merges two cells",
    suits="perfect membranes",
    grid={"threshold": THRESHOLDS},
    needs_halo=False,
)
