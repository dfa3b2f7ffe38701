"""What ImageJ can measure, without Java: its measurements by name, and what a table says of where ROIs lie."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fijibridge.errors import ImageError

if TYPE_CHECKING:
    from fijibridge.rois import Roi

MEASUREMENTS = (
    "area",
    "mean",
    "std_dev",
    "min_max",
    "centroid",
    "perimeter",
    "ellipse",
    "shape",
    "feret",
    "integrated",
)
"""What ``fiji.measure`` measures unless told otherwise."""

ALL_MEASUREMENTS = {
    "area": "AREA", "mean": "MEAN", "std_dev": "STD_DEV", "mode": "MODE", "min_max": "MIN_MAX",
    "centroid": "CENTROID", "center_of_mass": "CENTER_OF_MASS", "perimeter": "PERIMETER", "rect": "RECT",
    "ellipse": "ELLIPSE", "shape": "SHAPE_DESCRIPTORS", "feret": "FERET", "integrated": "INTEGRATED_DENSITY",
    "median": "MEDIAN", "skewness": "SKEWNESS", "kurtosis": "KURTOSIS", "area_fraction": "AREA_FRACTION",
    "stack_position": "STACK_POSITION", "label": "LABELS",
}  # fmt: skip
"""Names of all the measurements of Analyze ▸ Set Measurements, and ImageJ's names of them."""


def measurement_constants(names: Sequence[str]) -> list[str]:
    """Return ImageJ's constants for names of :data:`ALL_MEASUREMENTS`.

    Raises
    ------
    ImageError
        Lists the names that there are.

    Examples
    --------
    >>> measurement_constants(["area", "Std dev"])
    ['AREA', 'STD_DEV']
    """
    if isinstance(names, str):
        raise ImageError(f"measurements is the text {names!r}; expected a list of names: [{names!r}]")
    names = [str(name).lower().replace(" ", "_") for name in names]
    unknown = [n for n in names if n not in ALL_MEASUREMENTS]
    if unknown:
        raise ImageError(f"ImageJ has no measurement {unknown[0]!r}; there are {', '.join(ALL_MEASUREMENTS)}")
    return [ALL_MEASUREMENTS[name] for name in names]


def places_of(rois: Sequence[Roi]) -> dict[str, list[int]]:
    """Return the columns that say where ROIs lie, those in which any of them says something."""
    columns = {
        "channel": [r.hyperstack_position[0] for r in rois],
        "frame": [r.hyperstack_position[2] for r in rois],
        "slice": [r.position for r in rois],
    }
    return {name: places for name, places in columns.items() if any(places)}
