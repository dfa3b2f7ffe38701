"""Unsaved changes and undo for pushes. A push puts new pixels from Python or a verb into an open image.

The Java class ``fijibridge.Pushes`` stores the state as properties of the image, also in a Fiji without Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jpype

from fijibridge.errors import ImageError
from fijibridge.fiji import rois
from fijibridge.fiji.jvm import classes

BEFORE = "fijibridge.before"
"""Property of an image: a SoftReference to a hidden copy of the image before the last push."""

_PUSHED = "fijibridge.pushed"
"""Property of an image whose pixels were pushed: a Future of the checksum of each plane."""


# --- unsaved work -----------------------------------------------------------------------------------


def unsaved(imp: Any) -> bool:
    """Tell whether the user changed an open image and did not save it.

    ImageJ's own flag for changes is not set by the paintbrush, but is set when Python writes pixels. Pushed pixels are
    therefore compared with their checksums; the flag decides only for other images.
    """
    return bool(classes.pushes().unsaved(imp))


def note_pushed(imp: Any) -> None:
    """Record the pixels of an image as pushed; checksums of a large image are computed in a background thread."""
    classes.pushes().notePushed(imp)


def wait_until_noted() -> None:
    """Wait until all checksums are computed, so that changes by a macro run afterwards do not count as pushed."""
    classes.pushes().awaitNoted()


def note_written(imp: Any, written: Mapping[int, tuple[Any, Any]], was_changed: bool) -> None:
    """Record planes that Python wrote as pushed, except planes that the user had changed before.

    Parameters
    ----------
    imp
        An open image.
    written
        Old and new pixels, by the 1-based number of the plane.
    was_changed
        ImageJ's flag for changes before the write.
    """
    before, now = ([pixels[i] for pixels in written.values()] for i in range(2))
    numbers, objects = jpype.JArray(jpype.JInt), jpype.JArray(jpype.JObject)
    classes.pushes().noteWritten(imp, numbers(list(written)), objects(before), objects(now), was_changed)


def arrays_of(imp: Any) -> list[Any]:
    """Return, for each plane, the Java array of its pixels."""
    return list(classes.images().arrays(imp))


# --- the image before -------------------------------------------------------------------------------


def copy_of(imp: Any, stack: Any = None) -> Any:
    """Return a hidden ImagePlus with the same pixel arrays, calibration, display and overlay.

    Parameters
    ----------
    imp
        An open image.
    stack
        Stack to use instead of the image's own.
    """
    return classes.images().copy(imp, stack)


def empty_like(stack: Any) -> Any:
    """Return a stack with the same size and labels, but without pixels."""
    return classes.images().emptyLike(stack)


def keep(imp: Any, before: Any) -> None:
    """Keep the image from before a push until Java needs the memory."""
    classes.pushes().keep(imp, before)


def prepare_undo(imp: Any) -> None:
    """Enable *Edit > Undo* to restore the pixels of a single-plane image after they are replaced."""
    classes.pushes().prepareUndo(imp)


def taken_back(imp: Any) -> Any:
    """Return the image as it was before the last push.

    Raises
    ------
    ImageError
        If nothing was pushed into it, or Java needed the memory of the previous pixels.
    """
    kept = imp.getProperty(BEFORE)
    before = None if kept is None else kept.get()
    if before is None:
        why = "it was not replaced or written to" if kept is None else "Java needed the memory of the previous pixels"
        raise ImageError(f"there is nothing to undo in {str(imp.getTitle())!r}: {why}")
    return before


def paint_as(imp: Any, overlay: Any) -> None:
    """Replace the ROIs that colour a label image in its overlay with those of an earlier overlay."""
    paint = [] if overlay is None else [roi for roi in overlay.toArray() if str(roi.getName()) == rois.PAINT]
    drawn = rois.drawn(imp)
    if not paint and len(drawn) == (0 if imp.getOverlay() is None else int(imp.getOverlay().size())):
        return
    made = jpype.JClass("ij.gui.Overlay")()
    for roi in [*paint, *drawn]:
        made.add(roi)
    imp.setOverlay(made if int(made.size()) else None)


def as_before(imp: Any, before: Any) -> None:
    """Restore an earlier image's record of pushed pixels and ImageJ's flag for changes."""
    imp.setProperty(_PUSHED, before.getProperty(_PUSHED))
    imp.changes = before.changes
