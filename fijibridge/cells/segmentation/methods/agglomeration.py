"""Segmentation method: small seeded regions that are joined if the membrane between them is weak (GASP)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fijibridge.cells.segmentation.methods.method import THRESHOLDS, WIDTHS, Method, Parameter

if TYPE_CHECKING:
    from fijibridge.arrays import Floats32, Labels
    from fijibridge.cells.segmentation.flooding import Open
    from fijibridge.cells.segmentation.methods.method import Parameters


def find(prob: Floats32, parameters: Parameters, sides: Open) -> Labels:
    """Flood from many seeds, then join regions while the mean probability along their boundary is below beta."""
    from fijibridge.cells.segmentation.linkage import join_weak
    from fijibridge.cells.segmentation.seeds import flood_from_seeds

    own = {name: parameters[name] for name in ("sigma", "h")}
    regions = flood_from_seeds(prob, sides, threshold=parameters.threshold, step=parameters.step, **own)
    return join_weak(regions, prob, parameters["beta"], parameters.step)


METHOD = Method(
    find,
    summary="too many seeded cells, joined where the mean probability along a boundary is low (GASP, average linkage)",
    suits="unequal cells; gaps that are short beside their membrane",
    grid={"threshold": THRESHOLDS, "h": WIDTHS, "beta": (0.3, 0.4, 0.5, 0.6)},
    parameters={
        "sigma": Parameter(0.5, "standard deviation of the smoothing"),
        "h": Parameter(0.5, "how much wider, in radius, a cell is than its necks"),
        "beta": Parameter(0.5, "mean probability from which a membrane separates two cells", "probability"),
    },
    covers=True,
)
