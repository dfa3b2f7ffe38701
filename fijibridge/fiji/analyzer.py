"""Measure cells with ImageJ's Analyzer. Each cell is measured on its own slice and channel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jpype
import pandas as pd
import xarray as xr

from fijibridge.errors import ImageError, RoiError
from fijibridge.fiji import imageplus, windows
from fijibridge.fiji import rois as fiji_rois
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.tables import frame_of
from fijibridge.fiji.windows import Which
from fijibridge.image import Array, as_image, in_order
from fijibridge.imagej.measurements import ALL_MEASUREMENTS, MEASUREMENTS, measurement_constants, places_of
from fijibridge.rois import Roi, labels_to_rois

__all__ = ["ALL_MEASUREMENTS", "MEASUREMENTS", "measure", "measure_rois", "measurement_flags"]


def measurement_flags(names: Sequence[str]) -> int:
    """Return ImageJ's combined flags for measurements named in :data:`ALL_MEASUREMENTS`."""
    constants = jpype.JClass("ij.measure.Measurements")
    flags = 0
    for name in measurement_constants(names):
        flags |= int(getattr(constants, name))
    return flags


def measure(
    cells: Array | Sequence[Roi] | fiji_rois.Source,
    image: Array | Which = None,
    measurements: Sequence[str] | None = None,
    channel: int | str | None = None,
) -> tuple[pd.DataFrame, int | None]:
    """Measure cells, and return the table of :meth:`fijibridge.Fiji.measure` and the id of the open image.

    The id is None if `image` is an array that is not open in Fiji.
    """
    cells = in_order(cells) if isinstance(cells, xr.DataArray) else cells
    rois = _rois_of(cells, image)
    imp, open_id = _image_of(image, cells)
    table = measure_rois(imp, fiji_rois.to_java(rois), measurements or MEASUREMENTS, _channel_number(imp, channel))
    for column, places in places_of(rois).items():
        table.insert(0, column, places)
    names = [r.name for r in rois]
    numbers = all(n.isascii() and n.isdigit() for n in names)
    table.insert(0, "label", [int(n) for n in names] if numbers else names)
    table.attrs["unit"] = str(imp.getCalibration().getUnit())
    return table, open_id


def _rois_of(cells: Any, image: Any) -> list[Roi]:
    """Return the ROIs to measure, which come from a label image, a list, or a source in Fiji."""
    if isinstance(cells, str):
        which = image if image is None or isinstance(image, str | int) else None
        return fiji_rois.copy_rois(cells, which)  # type: ignore[arg-type]
    rois = list(cells) if isinstance(cells, Sequence) else labels_to_rois(cells)
    if not all(isinstance(r, Roi) for r in rois):
        raise RoiError(
            "measure() expects a label image, a list that contains only fijibridge.Roi, or a source of ROIs such as "
            "'manager'"
        )
    if not rois:
        raise RoiError("there are no cells to measure")
    return rois


def _image_of(image: Array | Which, cells: Any) -> tuple[Any, int | None]:
    """Return the ImagePlus to measure, and the id of the open image or None; raise if it does not fit the cells."""
    if image is None or isinstance(image, str | int):
        imp = windows.find(image)
        open_id: int | None = int(imp.getID())
    else:
        source = as_image(image)
        imp = imageplus.to_imageplus(source, str(source.name or "image"))
        came_from = imageplus.open_id(source)
        open_id = None if came_from is None or windows.with_id(came_from) is None else came_from
    if hasattr(cells, "shape") and (int(imp.getHeight()), int(imp.getWidth())) != tuple(cells.shape[-2:]):
        raise ImageError(
            f"the labels have shape {cells.shape}, but the image has {imp.getHeight()} x {imp.getWidth()} pixels (y, x)"
        )
    if getattr(cells, "ndim", 2) == 3:
        planes = fiji_rois.depth(imp)
        if planes != cells.shape[0]:
            raise ImageError(f"the labels have {cells.shape[0]} slices, but the image has {planes}")
    return imp, open_id


def _channel_number(imp: Any, channel: int | str | None) -> int | None:
    """Return the 1-based number of a channel."""
    if channel is None:
        return None
    count = int(imp.getNChannels())
    if isinstance(channel, str):
        names = [str(imp.getStack().getShortSliceLabel(i + 1) or "") for i in range(count)]
        if channel not in names:
            raise ImageError(f"there is no channel {channel!r}; the image has the channels {names}")
        return names.index(channel) + 1
    if not -count <= channel < count:
        raise ImageError(f"there is no channel {channel}; the image has the channels 0 to {count - 1}")
    return channel % count + 1


def measure_rois(imp: Any, rois: Any, names: Sequence[str], channel: int | None = None) -> pd.DataFrame:
    """Measure ROIs with ImageJ's Analyzer. Each ROI is measured on its own slice.

    Parameters
    ----------
    imp
        An ``ij.ImagePlus``, which stays unchanged because a second ImagePlus with the same pixels is measured.
    rois
        Java array of ``ij.gui.Roi``. ROIs without a position are measured on the current slice.
    names
        Names from :data:`ALL_MEASUREMENTS`.
    channel
        1-based number of the channel; by default the current one.

    Returns
    -------
    pandas.DataFrame
        One row per ROI, in the order of `rois`.

    Raises
    ------
    ImageError
        If a ROI is outside the stack, or ImageJ's "Redirect to" is set to another image.
    RoiError
        If a ROI has several rows in ImageJ's table.
    """
    try:
        columns = classes.measuring().measure(imp, rois, measurement_flags(names), channel or 0)
    except classes.user_error() as error:
        raise ImageError(str(error.getMessage())) from error
    except jpype.JClass("java.lang.IllegalArgumentException") as error:
        raise RoiError(str(error.getMessage())) from error
    return frame_of(columns)
