"""Tables: between ImageJ's ResultsTable and pandas, and what ImageJ measures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jpype
import numpy as np
import pandas as pd

from fijibridge.errors import ImageError, RoiError

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

_CONSTANTS = {
    "area": "AREA", "mean": "MEAN", "std_dev": "STD_DEV", "mode": "MODE", "min_max": "MIN_MAX",
    "centroid": "CENTROID", "center_of_mass": "CENTER_OF_MASS", "perimeter": "PERIMETER", "rect": "RECT",
    "ellipse": "ELLIPSE", "shape": "SHAPE_DESCRIPTORS", "feret": "FERET", "integrated": "INTEGRATED_DENSITY",
    "median": "MEDIAN", "skewness": "SKEWNESS", "kurtosis": "KURTOSIS", "area_fraction": "AREA_FRACTION",
}  # fmt: skip


def measurement_flags(names: Sequence[str]) -> int:
    """Return ImageJ's bit set for names of :data:`MEASUREMENTS` and the like.

    Raises
    ------
    ImageError
        Lists the names that there are.
    """
    unknown = [n for n in names if n not in _CONSTANTS]
    if unknown:
        raise ImageError(f"ImageJ has no measurement {unknown[0]!r}; there are {', '.join(_CONSTANTS)}")
    constants = jpype.JClass("ij.measure.Measurements")
    flags = 0
    for name in names:
        flags |= int(getattr(constants, _CONSTANTS[name]))
    return flags


def measure_rois(imp: Any, rois: Sequence[Any], names: Sequence[str]) -> pd.DataFrame:
    """Let ImageJ's own Analyzer measure ROIs, each on the slice of its position; a row per ROI, in their order.

    Parameters
    ----------
    imp
        An ``ij.ImagePlus``; its slice and selection are put back afterwards.
    rois
        ``ij.gui.Roi``; those without a position are measured on the current slice.
    names
        Out of :data:`MEASUREMENTS` and the like.
    """
    analyzer = jpype.JClass("ij.plugin.filter.Analyzer")
    if analyzer.isRedirectImage():
        raise ImageError(
            "Analyze > Set Measurements redirects measuring to another image: choose 'Redirect to: None' there"
        )
    before, position, selection = int(analyzer.getMeasurements()), int(imp.getCurrentSlice()), imp.getRoi()
    analyzer.setMeasurements(measurement_flags(names))
    slices = np.array([int(roi.getPosition()) or int(roi.getZPosition()) for roi in rois])
    tables: list[pd.DataFrame] = []
    try:
        for z in np.unique(slices):
            here = np.flatnonzero(slices == z)
            overlay = jpype.JClass("ij.gui.Overlay")()
            for i in here.tolist():
                overlay.add(rois[i])
            imp.setSliceWithoutUpdate(_stack_index(imp, int(z)) if z else position)
            table = to_dataframe(overlay.measure(imp))
            if len(table) != len(here):
                raise RoiError(
                    "a ROI has several rows in ImageJ's table (multi-point): measure areas, or single points"
                )
            tables.append(table.set_index(here))
    finally:
        analyzer.setMeasurements(before)
        imp.setSliceWithoutUpdate(position)
        if selection is not None:
            imp.setRoi(selection)
    return pd.concat(tables).sort_index()


def _stack_index(imp: Any, z: int) -> int:
    """Return the slice of a stack, or of a hyperstack's current channel and frame."""
    depth, size = int(imp.getNSlices()), int(imp.getStackSize())
    if z > (depth if depth > 1 else size):
        raise ImageError(f"a ROI lies on slice {z}, the image has {depth if depth > 1 else size}")
    return int(imp.getStackIndex(imp.getC(), z, imp.getT())) if depth > 1 else z


def to_dataframe(table: Any) -> pd.DataFrame:
    """Copy a ResultsTable into a DataFrame: numbers as float64, text as str, empty cells as NaN."""
    columns: dict[str, Any] = {}
    for heading in (str(h) for h in table.getHeadings()):
        if heading in ("", " "):
            continue
        index = int(table.getColumnIndex(heading)) if heading != "Label" else -1
        numbers = None if index < 0 else table.getColumnAsDoubles(index)
        text = [str(v) for v in table.getColumnAsStrings(heading)]
        values = None if numbers is None else np.array(numbers[:], float)
        if values is not None and _is_numeric(text, values):
            columns[heading] = values
        else:
            columns[heading] = text
    return pd.DataFrame(columns)


def _is_numeric(text: Sequence[str], values: np.ndarray[Any, np.dtype[np.float64]]) -> bool:
    """Tell numbers from text: a text cell reads as NaN, but is not written so."""
    return all(
        np.isfinite(v) or t in ("NaN", "Infinity", "-Infinity", "", "null") for t, v in zip(text, values, strict=True)
    )


def from_dataframe(frame: pd.DataFrame) -> Any:
    """Copy a DataFrame into a new ResultsTable; missing values become NaN, whole-number columns get no decimals."""
    table = jpype.JClass("ij.measure.ResultsTable")(jpype.JClass("java.lang.Integer").valueOf(len(frame)))
    for heading in frame.columns if len(frame) else ():
        column, name = frame[heading], str(heading)
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
            numbers = column.to_numpy(dtype=float, na_value=np.nan)
            table.setValues(name, jpype.JArray(jpype.JDouble)(numbers))
            whole = np.isfinite(numbers) & (numbers == np.round(numbers))
            table.setDecimalPlaces(int(table.getColumnIndex(name)), 0 if whole.all() else 4)
        else:
            for row, value in enumerate(column):
                table.setValue(name, row, "" if pd.isna(value) else str(value))
    return table
