"""Segmentation method: the probability flooded from the middle of each region."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fijibridge.cells.segmentation.methods.method import THRESHOLDS, WIDTHS, Method, Parameter

if TYPE_CHECKING:
    from fijibridge.arrays import Floats32, Labels
    from fijibridge.cells.segmentation.flooding import Open
    from fijibridge.cells.segmentation.methods.method import Parameters


def find(prob: Floats32, parameters: Parameters, sides: Open) -> Labels:
    """Flood the smoothed probability from the middle of each basin of the distance map."""
    from fijibridge.cells.segmentation.seeds import flood_from_seeds

    own = {name: parameters[name] for name in ("sigma", "h")}
    return flood_from_seeds(prob, sides, threshold=parameters.threshold, step=parameters.step, **own)


METHOD = Method(
    find,
    summary="seeds in the middle of regions, flooded over the probability",
    suits="noisy or faint membranes, 3D",
    grid={"threshold": THRESHOLDS, "h": WIDTHS},
    parameters={
        "sigma": Parameter(0.5, "standard deviation of the smoothing"),
        "h": Parameter(2.0, "how much wider, in radius, a cell is than its necks"),
    },
    covers=True,
)
