"""ROIs in Fiji: the selection of an image, its overlay, the ROI Manager, and the colours of cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

import jpype
import numpy as np
import numpy.typing as npt

from fijibridge.colors import Colors as Colors
from fijibridge.colors import color_index
from fijibridge.colors import colors_of as colors_of
from fijibridge.colors import palette as palette
from fijibridge.errors import RoiError
from fijibridge.fiji import windows
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.pixels import copy_to_java
from fijibridge.fiji.windows import Which, headless, on_event_thread
from fijibridge.rois import Roi

Source = Literal["manager", "overlay", "image"]
PAINT = "fijibridge colours"
"""Name of the overlay ROI that colours a label image whose ids outnumber the colours of a lookup table."""


def to_java(rois: Sequence[Roi], imp: Any = None, colors: Sequence[int] = ()) -> Any:
    """Convert ROIs to ImageJ's in one call to Java.

    On a hyperstack, a position that is a single number becomes a slice or a frame.

    Parameters
    ----------
    rois
        Python ROIs.
    imp
        The image to which they will be added.
    colors
        Stroke colours, 0xAARRGGBB; if empty, the ROIs keep their own.
    """
    data = np.frombuffer(b"".join(roi.to_bytes() for roi in rois), np.uint8)
    sizes = np.array([len(roi.to_bytes()) for roi in rois], np.int32)
    packed = np.array(colors, np.int64).astype(np.uint32).view(np.int32)
    axis = position_axis(imp) if imp is not None and bool(imp.isHyperStack()) else ""
    return classes.rois().decode(_bytes(data), _ints(sizes), _ints(packed), axis)


def position_axis(imp: Any) -> Literal["slice", "frame", "channel"]:
    """Return the axis that a ROI's position refers to if it is a single number: the axis of a label image's planes."""
    return cast(Literal["slice", "frame", "channel"], str(classes.rois().axis(imp)))


def depth(imp: Any) -> int:
    """Return the number of planes that a label image of this image has."""
    counts = {"slice": imp.getNSlices(), "frame": imp.getNFrames(), "channel": imp.getNChannels()}
    return int(counts[position_axis(imp)])


def plane_of(imp: Any, roi: Any) -> int:
    """Return the 1-based number of the label image's plane that a ROI is on; 0 if it is on all planes."""
    return int(classes.rois().plane(imp, roi))


def from_java(rois: Any) -> list[Roi]:
    """Copy ImageJ's ROIs into Python in one call to Java."""
    array = jpype.JArray(jpype.JClass("ij.gui.Roi"))(list(rois))
    # on the event thread, because ImageJ temporarily sets a colour on a ROI without colour while it draws the ROI there
    data, sizes = on_event_thread(lambda: classes.rois().encode(array))
    everything = np.array(data[:], np.int8).tobytes()
    ends = np.cumsum(np.array(sizes[:], np.int64)).tolist()
    return [Roi(everything[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]


def _bytes(data: npt.NDArray[np.uint8]) -> Any:
    return copy_to_java(data) if len(data) else jpype.JArray(jpype.JByte)(0)


def _ints(data: npt.NDArray[np.int32]) -> Any:
    return copy_to_java(data) if len(data) else jpype.JArray(jpype.JInt)(0)


def manager() -> Any:
    """Return the ROI Manager; None if it is not open."""
    if headless():
        return None
    return jpype.JClass("ij.plugin.frame.RoiManager").getInstance2()


def drawn(imp: Any) -> list[Any]:
    """Return the ROIs of an image's overlay, except those that colour its pixels."""
    return list(classes.rois().drawn(imp))


def add_to_overlay(imp: Any, rois: Any) -> None:
    """Add ROIs to an image's overlay, and show it."""
    overlay = imp.getOverlay() or jpype.JClass("ij.gui.Overlay")()
    classes.rois().add(overlay, rois)
    imp.setOverlay(overlay)


def outline(imp: Any, rois: Sequence[Roi], colors: Colors | None) -> None:
    """Replace the ROIs in an image's overlay; :func:`colors_of` colours the new ones."""
    java = to_java(rois, imp, colors_of(rois, colors))
    imp.setOverlay(None)
    add_to_overlay(imp, java)


def add_to_manager(rois: Any) -> None:
    """Add ROIs to the ROI Manager, which keeps their slices but does not draw them, because the overlay draws them."""

    def add() -> None:
        classes.rois().add(jpype.JClass("ij.plugin.frame.RoiManager").getRoiManager(), rois)

    on_event_thread(add)  # else Swing may draw the list while it changes


def painted(labels: npt.NDArray[Any]) -> Any:
    """Return an overlay that colours each id of a label image whose ids outnumber the colours of a lookup table."""
    planes = labels if labels.ndim == 3 else labels[None]
    pixels = [copy_to_java(color_index(plane).astype(np.uint8)) for plane in planes]
    height, width = planes.shape[1:]
    return classes.rois().painted(jpype.JArray(jpype.JObject)(pixels), width, height, _palette())


def repaint(imp: Any, only_shown: bool = False) -> None:
    """Update the overlay made by :func:`painted` after the pixels of its image changed; skip other images."""
    classes.rois().repaint(imp, _palette(), only_shown)


def _palette() -> Any:
    """Return the palette as a Java int[], 0xRRGGBB."""
    return copy_to_java((palette().astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)).astype(np.int32))


def select(imp: Any, roi: Any) -> None:
    """Make a ROI the selection of an image, show its slice and scroll the ROI into view."""
    classes.rois().select(imp, roi)


# --- by source and name -----------------------------------------------------------------------------


def find_rois(source: Source | None, which: Which) -> list[Any]:
    """Return ImageJ's ROIs from a source.

    Parameters
    ----------
    source
        See :meth:`fijibridge.Fiji.rois`; None for the first of ROI Manager, overlay and selection that contains ROIs.
    which
        The image whose overlay or selection is used.
    """
    if source not in (None, "manager", "overlay", "image"):
        raise RoiError(f"source={source!r}; expected 'manager', 'overlay' or 'image'")
    if source in (None, "manager"):
        opened = manager()
        if (opened is not None and int(opened.getCount())) or source == "manager":
            return list(opened.getRoisAsArray()) if opened is not None else []
    imp = windows.find(which)
    if source in (None, "overlay"):
        found = drawn(imp)
        if found or source == "overlay":
            return found
    roi = imp.getRoi()
    return [] if roi is None else [roi]


def copy_rois(source: Source | None, which: Which) -> list[Roi]:
    """Copy the ROIs of a source into Python.

    Raises
    ------
    RoiError
        If the source contains no ROIs.
    """
    found = find_rois(source, which)
    if not found:
        raise RoiError(_no_roi(source, which))
    return from_java(found)


def _no_roi(source: Source | None, which: Which) -> str:
    """Return the error message for a source without ROIs, which names the images whose overlay contains ROIs."""
    image = "" if source == "manager" else f" of {str(windows.find(which).getTitle())!r}"
    where = {None: "the ROI Manager, the overlay or the selection", "manager": "the ROI Manager",
             "overlay": "the overlay", "image": "the selection"}[source]  # fmt: skip
    others = [str(i.getTitle()) for i in windows.open_images() if drawn(i)]
    hint = f". There are ROIs in the overlay of {others}: to use them, pass title=..." if others else ""
    return f"there is no ROI in {where}{image}: draw one, or add it to the ROI Manager with [t]{hint}"


def named_roi(imp: Any, name: str, slice: int = 0, frame: int = 0) -> Any:
    """Return the ROI with a name from the overlay, else from the ROI Manager; None if neither contains it.

    If several ROIs have this name, the one on the slice and frame is preferred; 0 = any.
    """
    opened = manager()
    for rois in (drawn(imp), list(opened.getRoisAsArray()) if opened is not None else []):
        array = jpype.JArray(jpype.JClass("ij.gui.Roi"))(rois)
        found = classes.rois().named(imp, array, name, slice, frame)
        if found is not None:
            return found
    return None


def selected_box(imp: Any) -> dict[str, slice]:
    """Return the bounding box of an image's selection, clipped to the image."""
    roi = imp.getRoi()
    if roi is None:
        raise RoiError(f"region='roi', but nothing is selected in {str(imp.getTitle())!r}: draw a selection first")
    box = roi.getBounds()
    left, top = max(int(box.x), 0), max(int(box.y), 0)
    right, bottom = min(int(box.x + box.width), int(imp.getWidth())), min(int(box.y + box.height), int(imp.getHeight()))
    if right <= left or bottom <= top:
        raise RoiError(f"region='roi', but the selection of {str(imp.getTitle())!r} is outside the image: move it")
    return {"y": slice(top, bottom), "x": slice(left, right)}


def add_rois(rois: Iterable[Roi] | Roi, which: Which, colors: Colors | None = None) -> None:
    """Add ROIs to an image's overlay, and to the ROI Manager where there is a display."""
    items = [rois] if isinstance(rois, Roi) else list(rois)
    wrong = next((r for r in items if not isinstance(r, Roi)), None)
    if wrong is not None:
        raise RoiError(f"add_rois() expects fijibridge.Roi, not {type(wrong).__name__}: use labels_to_rois(labels)")
    imp = windows.find(which)
    java = to_java(items, imp, [] if colors is None else colors_of(items, colors))
    if not headless():
        add_to_manager(java)  # first, because the manager copies the ROIs, and ImageJ changes those that it draws
    add_to_overlay(imp, java)


def activate_and_select(which: Which, roi: Roi | str | None) -> None:
    """Make an image the active one, and select a ROI in it. `roi` is a ROI, or the name of a ROI in Fiji."""
    imp = windows.find(which)
    java = None
    if isinstance(roi, Roi):
        java = to_java([roi], imp)[0]
    elif roi is not None:
        java = named_roi(imp, roi)
        if java is None:
            raise RoiError(f"there is no ROI {roi!r} in the overlay of {str(imp.getTitle())!r} or in the ROI Manager")
    windows.activate(imp)
    if java is not None:
        select(imp, java)


def select_named(image_id: int, name: str, slice: int, frame: int) -> None:
    """Select the ROI with a name in an image; if the image or ROI no longer exists, say so in the status bar."""
    imp = windows.with_id(image_id)
    roi = None if imp is None else named_roi(imp, name, slice, frame)
    if roi is None:
        jpype.JClass("ij.IJ").showStatus(f"the ROI {name!r} or its image no longer exists")
    else:
        select(imp, roi)
