"""ROIs in Fiji: the selection of an image, its overlay, the ROI Manager, and the colours of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, cast

import jpype
import numpy as np
import numpy.typing as npt

from fijibridge.colors import Colors as Colors
from fijibridge.colors import color_index
from fijibridge.colors import colors_of as colors_of
from fijibridge.colors import palette as palette
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.pixels import copy_to_java
from fijibridge.fiji.windows import headless, on_event_thread
from fijibridge.rois import Roi

Source = Literal["manager", "overlay", "image"]
PAINT = "fijibridge colours"
"""Name of what paints a label image with more ids than a lookup table has colours."""


def to_java(rois: Sequence[Roi], imp: Any = None, colors: Sequence[int] = ()) -> Any:
    """Make ImageJ's ROIs, all in one call; on a hyperstack a position is a slice or frame, which ImageJ keeps apart.

    Parameters
    ----------
    colors
        0xAARRGGBB of each, or none.
    """
    data = np.frombuffer(b"".join(roi.to_bytes() for roi in rois), np.uint8)
    sizes = np.array([len(roi.to_bytes()) for roi in rois], np.int32)
    packed = np.array(colors, np.int64).astype(np.uint32).view(np.int32)
    axis = position_axis(imp) if imp is not None and bool(imp.isHyperStack()) else ""
    return classes.rois().decode(_bytes(data), _ints(sizes), _ints(packed), axis)


def position_axis(imp: Any) -> Literal["slice", "frame", "channel"]:
    """Return the axis of an image along which a plain position counts: that of the planes of its label image."""
    return cast(Literal["slice", "frame", "channel"], str(classes.rois().axis(imp)))


def depth(imp: Any) -> int:
    """Return how many planes the label image of an image has."""
    counts = {"slice": imp.getNSlices(), "frame": imp.getNFrames(), "channel": imp.getNChannels()}
    return int(counts[position_axis(imp)])


def plane_of(imp: Any, roi: Any) -> int:
    """Return on which plane of an image's label image a ROI lies, from 1; 0 = all."""
    if not roi.hasHyperStackPosition():
        return int(roi.getPosition())
    places = {"slice": roi.getZPosition(), "frame": roi.getTPosition(), "channel": roi.getCPosition()}
    return int(places[position_axis(imp)])


def from_java(rois: Any) -> list[Roi]:
    """Copy ImageJ's ROIs into Python, all in one call; of one of a frame, but no slice, that is its position too."""
    array = jpype.JArray(jpype.JClass("ij.gui.Roi"))(list(rois))
    # while ImageJ draws a ROI without a colour of its own, it has one
    data, sizes = on_event_thread(lambda: classes.rois().encode(array))
    everything = np.array(data[:], np.int8).tobytes()
    ends = np.cumsum(np.array(sizes[:], np.int64)).tolist()
    return [Roi(everything[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]


def _bytes(data: npt.NDArray[np.uint8]) -> Any:
    return copy_to_java(data) if len(data) else jpype.JArray(jpype.JByte)(0)


def _ints(data: npt.NDArray[np.int32]) -> Any:
    return copy_to_java(data) if len(data) else jpype.JArray(jpype.JInt)(0)


def manager() -> Any:
    """Return the ROI Manager if it is open, else None."""
    if headless():
        return None
    return jpype.JClass("ij.plugin.frame.RoiManager").getInstance2()


def drawn(imp: Any) -> list[Any]:
    """Return the ROIs of an image's overlay, without those that colour its pixels."""
    return list(classes.rois().drawn(imp))


def add_to_overlay(imp: Any, rois: Any) -> None:
    """Add ROIs to an image's overlay, and show it."""
    overlay = imp.getOverlay() or jpype.JClass("ij.gui.Overlay")()
    classes.rois().add(overlay, rois)
    imp.setOverlay(overlay)


def outline(imp: Any, rois: Sequence[Roi], colors: Colors | None) -> None:
    """Make ROIs an image's overlay, in place of the one that it has, each in its colour: see :func:`colors_of`."""
    java = to_java(rois, imp, colors_of(rois, colors))
    imp.setOverlay(None)
    add_to_overlay(imp, java)


def add_to_manager(rois: Any) -> None:
    """Add ROIs to the ROI Manager, each on its own slice. They are not shown by it: the overlay does."""

    def add() -> None:
        classes.rois().add(jpype.JClass("ij.plugin.frame.RoiManager").getRoiManager(), rois)

    on_event_thread(add)  # else Swing may draw its list while that changes


def painted(labels: npt.NDArray[Any]) -> Any:
    """Return an overlay with a colour for each id of a label image: more ids than a lookup table has colours."""
    planes = labels if labels.ndim == 3 else labels[None]
    pixels = [copy_to_java(color_index(plane).astype(np.uint8)) for plane in planes]
    height, width = planes.shape[1:]
    return classes.rois().painted(jpype.JArray(jpype.JObject)(pixels), width, height, _palette())


def repaint(imp: Any, only_shown: bool = False) -> None:
    """Renew the colours of an image that :func:`painted` covers, after its pixels changed; others stay as they are."""
    classes.rois().repaint(imp, _palette(), only_shown)


def _palette() -> Any:
    """Return the palette as Java's integers, 0xRRGGBB."""
    return copy_to_java((palette().astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)).astype(np.int32))


def select(imp: Any, roi: Any) -> None:
    """Make a ROI the selection of an image, go to its slice and scroll it into view."""
    classes.rois().select(imp, roi)
