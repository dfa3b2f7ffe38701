"""ROIs in Fiji: the selection of an image, its overlay, the ROI Manager, and the colours of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import jpype
import numpy as np
import numpy.typing as npt

from fijibridge.colors import Colors as Colors
from fijibridge.colors import color_index
from fijibridge.colors import colors_of as colors_of
from fijibridge.colors import palette as palette
from fijibridge.fiji.jvm import compiled
from fijibridge.fiji.pixels import copy_from_java, copy_to_java
from fijibridge.fiji.stacks import ImageStack
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
    return compiled.rois().decode(_bytes(data), _ints(sizes), _ints(packed), axis)


def position_axis(imp: Any) -> Literal["slice", "frame", "channel"]:
    """Return along which axis of an image a plain position counts, as a label image's ROIs have it."""
    if int(imp.getNSlices()) > 1:
        return "slice"
    if int(imp.getNFrames()) > 1:
        return "frame"
    return "channel" if int(imp.getNChannels()) > 1 else "slice"


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
    data, sizes = on_event_thread(lambda: compiled.rois().encode(array))
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
    """Return the ROIs of an image's overlay that a user would call so."""
    overlay = imp.getOverlay()
    return [] if overlay is None else [roi for roi in overlay.toArray() if str(roi.getName()) != PAINT]


def unpainted(imp: Any) -> Any:
    """Return an image's overlay without what paints its pixels, for other pixels in its window; None without one."""
    overlay, rois = imp.getOverlay(), drawn(imp)
    if overlay is None or len(rois) == int(overlay.size()):
        return overlay
    kept = jpype.JClass("ij.gui.Overlay")()
    for roi in rois:
        kept.add(roi)
    return kept if rois else None


def add_to_overlay(imp: Any, rois: Any) -> None:
    """Add ROIs to an image's overlay, and show it."""
    overlay = imp.getOverlay() or jpype.JClass("ij.gui.Overlay")()
    compiled.rois().add(overlay, rois)
    imp.setOverlay(overlay)


def outline(imp: Any, rois: Sequence[Roi], colors: Colors | None) -> None:
    """Make ROIs an image's overlay, in place of the one that it has, each in its colour: see :func:`colors_of`."""
    java = to_java(rois, imp, colors_of(rois, colors))
    imp.setOverlay(None)
    add_to_overlay(imp, java)


def add_to_manager(rois: Any) -> None:
    """Add ROIs to the ROI Manager, each on its own slice. They are not shown by it: the overlay does."""

    def add() -> None:
        opened = jpype.JClass("ij.plugin.frame.RoiManager").getRoiManager()
        compiled.rois().manage(opened, rois)
        opened.runCommand("Show None")

    on_event_thread(add)  # else Swing may draw its list while that changes


def painted(labels: npt.NDArray[Any]) -> Any:
    """Return an overlay with the colour of each id: a lookup table has but 256 colours, and spreads them."""
    overlay = jpype.JClass("ij.gui.Overlay")()
    planes = labels if labels.ndim == 3 else labels[None]
    for z, plane in enumerate(planes, start=1):
        roi = jpype.JClass("ij.gui.ImageRoi")(0, 0, _picture(plane))
        roi.setName(PAINT)
        roi.setPosition(z if labels.ndim == 3 else 0)
        overlay.add(roi)
    return overlay


def repaint(imp: Any, only_shown: bool = False) -> None:
    """Renew the colours of an image that :func:`painted` covers, after its pixels changed; others are left alone."""
    overlay = imp.getOverlay()
    paint = [] if overlay is None else [roi for roi in overlay.toArray() if str(roi.getName()) == PAINT]
    if not paint:
        return
    stack = ImageStack(imp)
    if stack.rgb:
        return
    numbers = [int(imp.getCurrentSlice())] if only_shown else range(1, int(imp.getStackSize()) + 1)
    for roi in paint:
        number = int(roi.getPosition()) or 1
        if number in numbers:
            plane = np.empty(stack.shape[-2:], stack.dtype)
            copy_from_java(stack._pixels(number), plane)
            roi.setProcessor(_picture(plane))
    imp.draw()


def _picture(plane: npt.NDArray[Any]) -> Any:
    colors = palette().astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    packed = colors[color_index(plane)].astype(np.int32)
    return jpype.JClass("ij.process.ColorProcessor")(plane.shape[1], plane.shape[0], copy_to_java(packed))


def select(imp: Any, roi: Any) -> None:
    """Make a ROI the selection of an image, go to its slice and scroll it into view."""
    if imp.isHyperStack():
        place = {"channel": int(roi.getCPosition()), "slice": int(roi.getZPosition()), "frame": int(roi.getTPosition())}
        if not roi.hasHyperStackPosition():
            place = {position_axis(imp): int(roi.getPosition())}
        there = {"channel": imp.getC(), "slice": imp.getZ(), "frame": imp.getT()}
        counts = {"channel": imp.getNChannels(), "slice": imp.getNSlices(), "frame": imp.getNFrames()}
        imp.setPosition(*(min(place.get(axis, 0), counts[axis]) or there[axis] for axis in counts))
    elif 0 < int(roi.getPosition()) <= int(imp.getStackSize()):
        imp.setPosition(int(roi.getPosition()))
    imp.setRoi(roi.clone())
    canvas = imp.getCanvas()
    if canvas is None:
        return
    seen, box = canvas.getSrcRect(), roi.getBounds()
    if seen.contains(box):
        return
    seen.x = max(0, min(box.x + box.width // 2 - seen.width // 2, int(imp.getWidth()) - seen.width))
    seen.y = max(0, min(box.y + box.height // 2 - seen.height // 2, int(imp.getHeight()) - seen.height))
    canvas.setSourceRect(seen)
    imp.repaintWindow()
