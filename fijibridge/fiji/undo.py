"""Unsaved work in images that a push would replace, and the image before a push.

``fijibridge.Pushes`` of Java keeps both as properties of the image, as a Fiji without Python does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jpype

from fijibridge.errors import ImageError
from fijibridge.fiji import rois
from fijibridge.fiji.jvm import classes

BEFORE = "fijibridge.before"
"""Property of an image: a SoftReference to the image before the last push, which is not shown."""

_PUSHED = "fijibridge.pushed"
"""Property of an image whose pixels Python or a verb put there: a Future of the checksum of each plane."""


# --- unsaved work -----------------------------------------------------------------------------------


def unsaved(imp: Any) -> bool:
    """Tell whether somebody changed an open image and did not save it.

    ImageJ's own flag misses the paintbrush, and is set by Python's writes. So pushed pixels are compared with their
    checksums; the flag decides for other images.
    """
    return bool(classes.pushes().unsaved(imp))


def note_pushed(imp: Any) -> None:
    """Note the pixels of an image as pushed; checksums of a large image are computed in a thread."""
    classes.pushes().notePushed(imp)


def wait_until_noted() -> None:
    """Wait for these threads before a macro runs, whose changes must not count as pushed."""
    classes.pushes().awaitNoted()


def note_written(imp: Any, written: Mapping[int, tuple[Any, Any]], was_changed: bool) -> None:
    """Note planes that Python wrote. A plane that somebody else had changed before stays theirs.

    Parameters
    ----------
    imp
        An open image.
    written
        Pixels before and now, by the number of the plane, from 1.
    was_changed
        ImageJ's flag before.
    """
    before, now = ([pixels[i] for pixels in written.values()] for i in range(2))
    numbers, objects = jpype.JArray(jpype.JInt), jpype.JArray(jpype.JObject)
    classes.pushes().noteWritten(imp, numbers(list(written)), objects(before), objects(now), was_changed)


def arrays_of(imp: Any) -> list[Any]:
    """Return Java's array of pixels of each plane."""
    return list(classes.images().arrays(imp))


# --- the image before -------------------------------------------------------------------------------


def copy_of(imp: Any, stack: Any = None) -> Any:
    """Return an ImagePlus that is not shown, with the same arrays of pixels, calibration, look and overlay.

    Parameters
    ----------
    imp
        An open image.
    stack
        Pixels in place of the image's own.
    """
    return classes.images().copy(imp, stack)


def empty_like(stack: Any) -> Any:
    """Return a stack of the same size and labels, without pixels."""
    return classes.images().emptyLike(stack)


def keep(imp: Any, before: Any) -> None:
    """Keep the image before a push, until Java needs the memory."""
    classes.pushes().keep(imp, before)


def prepare_undo(imp: Any) -> None:
    """Let *Edit > Undo* bring back the pixels of a single plane, after it is given others."""
    classes.pushes().prepareUndo(imp)


def taken_back(imp: Any) -> Any:
    """Return the image before it was last replaced or written to.

    Raises
    ------
    ImageError
        If it was not, or Java needed the memory.
    """
    kept = imp.getProperty(BEFORE)
    before = None if kept is None else kept.get()
    if before is None:
        why = "it was not replaced or written to" if kept is None else "Java needed the memory of the earlier pixels"
        raise ImageError(f"there is nothing to undo in {str(imp.getTitle())!r}: {why}")
    return before


def paint_as(imp: Any, overlay: Any) -> None:
    """Give an image the colours of ids of an earlier overlay, in place of its present ones."""
    paint = [] if overlay is None else [roi for roi in overlay.toArray() if str(roi.getName()) == rois.PAINT]
    drawn = rois.drawn(imp)
    if not paint and len(drawn) == (0 if imp.getOverlay() is None else int(imp.getOverlay().size())):
        return
    made = jpype.JClass("ij.gui.Overlay")()
    for roi in [*paint, *drawn]:
        made.add(roi)
    imp.setOverlay(made if int(made.size()) else None)


def as_before(imp: Any, before: Any) -> None:
    """Mark an image as changed, and as somebody's work, as much as the earlier one."""
    imp.setProperty(_PUSHED, before.getProperty(_PUSHED))
    imp.changes = before.changes
