"""Measuring: ImageJ's own Analyzer, on the slice and channel that each cell belongs to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import jpype
import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.errors import ImageError, RoiError
from fijibridge.fiji import rois as fiji_rois
from fijibridge.fiji.jvm import compiled
from fijibridge.fiji.tables import to_dataframe
from fijibridge.imagej.measurements import ALL_MEASUREMENTS, MEASUREMENTS, measurement_constants

__all__ = ["ALL_MEASUREMENTS", "MEASUREMENTS", "measure_rois", "measurement_flags"]

_measuring = threading.Lock()


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
    analyzer = jpype.JClass("ij.plugin.filter.Analyzer")
    if analyzer.isRedirectImage():
        raise ImageError(
            "Analyze > Set Measurements redirects measuring to another image: choose 'Redirect to: None' there"
        )
    twin = _twin(imp)
    slices = _stack_indices(imp, rois, channel)
    tables: list[pd.DataFrame] = []
    with _set_to(measurement_flags(names)):
        for index in np.unique(slices):
            here = np.flatnonzero(slices == index)
            overlay = jpype.JClass("ij.gui.Overlay")()
            part = rois if len(here) == len(rois) else jpype.JArray(jpype.JClass("ij.gui.Roi"))([rois[i] for i in here])
            compiled.rois().add(overlay, part)
            twin.setSliceWithoutUpdate(int(index))
            table = to_dataframe(overlay.measure(twin))
            if len(table) != len(here):
                raise RoiError(
                    "a ROI has several rows in ImageJ's table (multi-point): measure areas, or single points"
                )
            tables.append(table.set_index(here))
    return pd.concat(tables).sort_index()


@contextmanager
def _set_to(flags: int) -> Iterator[None]:
    """Set what ImageJ measures, for one thread at a time, and afterwards what the user chose: it is one for all."""
    analyzer = jpype.JClass("ij.plugin.filter.Analyzer")
    with _measuring:
        before = int(analyzer.getMeasurements())
        analyzer.setMeasurements(flags)
        try:
            yield
        finally:
            analyzer.setMeasurements(before)


def _twin(imp: Any) -> Any:
    """Return a second ImagePlus on the same pixels, without a window."""
    if int(imp.getStackSize()) == 1:
        twin = jpype.JClass("ij.ImagePlus")(imp.getTitle(), imp.getProcessor())
    else:
        twin = jpype.JClass("ij.ImagePlus")(imp.getTitle(), imp.getStack())
        twin.setDimensions(imp.getNChannels(), imp.getNSlices(), imp.getNFrames())
        twin.setOpenAsHyperStack(bool(imp.isHyperStack()))
    twin.setIgnoreGlobalCalibration(True)
    twin.setCalibration(imp.getCalibration())
    return twin


def _stack_indices(imp: Any, rois: Any, channel: int | None) -> npt.NDArray[np.int64]:
    """Return the slice of the stack that each ROI belongs to; ROIs of one place are looked at once."""
    places = [
        (int(r.getPosition()), int(r.getCPosition()), int(r.getZPosition()), int(r.getTPosition()))
        if r.hasHyperStackPosition()
        else (int(r.getPosition()), 0, 0, 0)
        for r in rois
    ]
    index = {place: _stack_index(imp, *place, channel) for place in set(places)}
    return np.array([index[place] for place in places])


def _stack_index(imp: Any, position: int, c: int, z: int, t: int, channel: int | None) -> int:
    """Return the slice of the stack at a ROI's place, where it says nothing the current channel, slice and frame.

    A plain position, as a label image's ROIs have it, is a slice; of a series of frames, the frame; of channels, the
    channel.
    """
    counts = {"channel": int(imp.getNChannels()), "slice": int(imp.getNSlices()), "frame": int(imp.getNFrames())}
    place = {"channel": c, "slice": z, "frame": t}
    if position > 0 and not any(place.values()):
        place[fiji_rois.position_axis(imp)] = position
    for axis, number in place.items():
        if number > counts[axis]:
            raise ImageError(f"a ROI lies on {axis} {number}, the image has {counts[axis]}")
    shown = channel or place["channel"] or imp.getC()
    return int(imp.getStackIndex(shown, place["slice"] or imp.getZ(), place["frame"] or imp.getT()))
