"""Measuring: ImageJ's own Analyzer, on the slice and channel that each cell belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jpype
import pandas as pd

from fijibridge.errors import ImageError, RoiError
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.tables import frame_of
from fijibridge.imagej.measurements import ALL_MEASUREMENTS, MEASUREMENTS, measurement_constants

__all__ = ["ALL_MEASUREMENTS", "MEASUREMENTS", "measure_rois", "measurement_flags"]


def measurement_flags(names: Sequence[str]) -> int:
    """Return ImageJ's bit set for names of :data:`ALL_MEASUREMENTS`."""
    constants = jpype.JClass("ij.measure.Measurements")
    flags = 0
    for name in measurement_constants(names):
        flags |= int(getattr(constants, name))
    return flags


def measure_rois(imp: Any, rois: Any, names: Sequence[str], channel: int | None = None) -> pd.DataFrame:
    """Let ImageJ's own Analyzer measure ROIs, each on the slice of its position; a row per ROI, in their order.

    Parameters
    ----------
    imp
        An ``ij.ImagePlus``. It is not touched: a second one on the same pixels is measured, so that nothing is drawn.
    rois
        Java's array of ``ij.gui.Roi``; those without a position are measured on the current slice.
    names
        Out of :data:`ALL_MEASUREMENTS`.
    channel
        From 1; the current one if left out.
    """
    try:
        columns = classes.measuring().measure(imp, rois, measurement_flags(names), channel or 0)
    except classes.user_error() as error:
        raise ImageError(str(error.getMessage())) from error
    except jpype.JClass("java.lang.IllegalArgumentException") as error:
        raise RoiError(str(error.getMessage())) from error
    return frame_of(columns)
