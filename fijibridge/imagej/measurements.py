"""Names of ImageJ's measurements, and table columns with the positions of ROIs."""

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
"""Default measurements of ``fiji.measure``."""

ALL_MEASUREMENTS = {
    "area": "AREA", "mean": "MEAN", "std_dev": "STD_DEV", "mode": "MODE", "min_max": "MIN_MAX",
    "centroid": "CENTROID", "center_of_mass": "CENTER_OF_MASS", "perimeter": "PERIMETER", "rect": "RECT",
    "ellipse": "ELLIPSE", "shape": "SHAPE_DESCRIPTORS", "feret": "FERET", "integrated": "INTEGRATED_DENSITY",
    "median": "MEDIAN", "skewness": "SKEWNESS", "kurtosis": "KURTOSIS", "area_fraction": "AREA_FRACTION",
    "stack_position": "STACK_POSITION", "label": "LABELS",
}  # fmt: skip
"""Names of ImageJ's constants for all measurements in *Analyze ▸ Set Measurements*."""


def measurement_constants(names: Sequence[str]) -> list[str]:
    """Return the names of ImageJ's constants for names in :data:`ALL_MEASUREMENTS`.

    Raises
    ------
    ImageError
        If a name is unknown; the message lists all names.

    Examples
    --------
    >>> measurement_constants(["area", "Std dev"])
    ['AREA', 'STD_DEV']
    """
    if isinstance(names, str):
        raise ImageError(f"measurements is {names!r}; expected a list of names, such as [{names!r}]")
    names = [str(name).lower().replace(" ", "_") for name in names]
    unknown = [n for n in names if n not in ALL_MEASUREMENTS]
    if unknown:
        raise ImageError(f"ImageJ has no measurement {unknown[0]!r}; expected one of {', '.join(ALL_MEASUREMENTS)}")
    return [ALL_MEASUREMENTS[name] for name in names]


def places_of(rois: Sequence[Roi]) -> dict[str, list[int]]:
    """Return the positions of ROIs in a stack as table columns by name, without columns that contain only zeros."""
    columns = {
        "channel": [r.hyperstack_position[0] for r in rois],
        "frame": [r.hyperstack_position[2] for r in rois],
        "slice": [r.hyperstack_position[1] or max(r.header.position, 0) for r in rois],
    }
    return {name: places for name, places in columns.items() if any(places)}
