"""Unsaved work in images that a push would replace, and undoing a push."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jpype

from fijibridge.errors import ImageError
from fijibridge.fiji import rois
from fijibridge.fiji.jvm import compiled
from fijibridge.fiji.pixels import each_plane

BEFORE = "fijibridge.before"
"""Property of an image: a SoftReference to what it was before the last push, an ImagePlus that is not shown. Java
forgets it when it needs the memory. fiji/bridge.groovy keeps it under the same name."""

_PUSHED = "fijibridge.pushed"
"""Property of an image whose pixels Python or a verb put there: a number for each plane of them, when it is known."""

_AT_ONCE = 2**22
"""Bytes of an image up to which its pixels are looked at while the push waits."""
_noting: list[Any] = []
"""Threads of Java's that still look at what was pushed."""


# --- is it somebody's work --------------------------------------------------------------------------


def unsaved(imp: Any) -> bool:
    """Tell whether somebody changed an open image, and did not save it.

    ImageJ's own flag does not say so of what the paintbrush paints, and does of what Python wrote itself. So the pixels
    that a push put there are known by numbers, and those of other images are told by the flag.
    """
    pushed = imp.getProperty(_PUSHED)
    if pushed is None or bool(imp.getStack().isVirtual()):
        return bool(imp.changes)
    arrays = arrays_of(imp)
    known = pushed.get()
    if len(known) == len(arrays):
        found = each_plane(compiled.sums().sum, arrays, int(imp.getSizeInBytes()))
        if all(int(a) == int(b) for a, b in zip(found, known, strict=True)):
            return False
    file = imp.getOriginalFileInfo()
    return bool(imp.changes) or file is None or file.fileName is None


def note_pushed(imp: Any) -> None:
    """Note the pixels of an image as those that were just put there; at many a thread of Java's own looks."""
    if bool(imp.getStack().isVirtual()):
        imp.setProperty(_PUSHED, None)
        return
    work = compiled.sums()()
    work.arrays = jpype.JArray(jpype.JObject)(arrays_of(imp))
    numbers = jpype.JClass("java.util.concurrent.FutureTask")(work)
    imp.setProperty(_PUSHED, numbers)
    if imp.getSizeInBytes() <= _AT_ONCE:
        numbers.run()
        return
    thread = jpype.JClass("java.lang.Thread")(numbers, "fijibridge-pixels")
    thread.setDaemon(True)
    thread.start()
    _noting[:] = [other for other in list(_noting) if not other.isDone()] + [numbers]


def wait_until_noted() -> None:
    """Wait for those threads before a macro runs: what it changes must not count as pushed."""
    while _noting:
        _noting.pop().get()


def note_written(imp: Any, written: Mapping[int, tuple[Any, Any]], was_changed: bool) -> None:
    """Note planes that Python wrote; one that somebody else had changed before stays theirs.

    Parameters
    ----------
    imp
        An open image.
    written
        By the number of the plane, from 1: its pixels before and now.
    was_changed
        What ImageJ's flag said before.
    """
    pushed = imp.getProperty(_PUSHED)
    if pushed is None:
        if not was_changed:
            note_pushed(imp)
        return
    known, number = pushed.get().clone(), compiled.sums().sum  # what can be undone has the numbers of before
    for plane, (before, now) in written.items():
        if plane <= len(known) and int(known[plane - 1]) == int(number(before)):
            known[plane - 1] = number(now)
    imp.setProperty(_PUSHED, jpype.JClass("java.util.concurrent.CompletableFuture").completedFuture(known))


def arrays_of(imp: Any) -> list[Any]:
    """Return the array of each plane; that of a single one is its processor's, the stack may hold an older one."""
    stack = imp.getStack()
    count = int(stack.getSize())
    return [imp.getProcessor().getPixels()] if count == 1 else [stack.getPixels(n + 1) for n in range(count)]


# --- what it was ------------------------------------------------------------------------------------


def copy_of(imp: Any, stack: Any = None) -> Any:
    """Return an ImagePlus that is not shown, with the same arrays of pixels, calibration, look and overlay.

    Parameters
    ----------
    imp
        An open image.
    stack
        Holds its pixels, if they are not to be those that it has itself.
    """
    single = int(imp.getStackSize()) == 1 and not bool(imp.getStack().isVirtual())
    if stack is None:
        stack = imp.getStack()
        if single:  # a stack of its own: that of the image gets other pixels with it
            stack = empty_like(stack)
            stack.setPixels(imp.getProcessor().getPixels(), 1)
    kept = jpype.JClass("ij.ImagePlus")(imp.getTitle(), stack)
    _, _, channels, slices, frames = (int(n) for n in imp.getDimensions(True))
    kept.setDimensions(channels, slices, frames)
    kept.setOpenAsHyperStack(imp.isHyperStack())
    kept.setCalibration(imp.getCalibration().copy())
    if bool(imp.isComposite()):
        kept = jpype.JClass("ij.CompositeImage")(kept, imp.getMode())
        kept.setLuts(imp.getLuts())
    elif int(imp.getType()) != imp.COLOR_RGB:
        kept.setLut(imp.getProcessor().getLut())
        kept.setDisplayRange(imp.getDisplayRangeMin(), imp.getDisplayRangeMax())
    kept.setOverlay(imp.getOverlay())
    for name in ("Info", _PUSHED):
        kept.setProperty(name, imp.getProperty(name))
    kept.changes = imp.changes
    return kept


def empty_like(stack: Any) -> Any:
    """Return a stack of the same size, with the labels, and without pixels."""
    size = int(stack.getSize())
    made = jpype.JClass("ij.ImageStack")(stack.getWidth(), stack.getHeight(), size)
    for n in range(1, size + 1):
        label = stack.getSliceLabel(n)
        if label is not None:
            made.setSliceLabel(label, n)
    made.setColorModel(stack.getColorModel())
    return made


def keep(imp: Any, before: Any) -> None:
    """Keep what an image was, as long as there is memory."""
    imp.setProperty(BEFORE, jpype.JClass("java.lang.ref.SoftReference")(before))


def prepare_undo(imp: Any) -> None:
    """Let *Edit > Undo* bring back the pixels that a single plane has now, after it is given others."""
    undo = jpype.JClass("ij.Undo")
    if int(imp.getStackSize()) == 1 and not bool(imp.getStack().isVirtual()):
        undo.setup(undo.TYPE_CONVERSION, imp)  # which holds the processor, and makes no copy
    else:
        undo.reset()


def taken_back(imp: Any) -> Any:
    """Return what an image was before it was last replaced or written to.

    Raises
    ------
    ImageError
        If it was not, or Java needed the memory.
    """
    kept = imp.getProperty(BEFORE)
    before = None if kept is None else kept.get()
    if before is None:
        why = "nothing of it was replaced" if kept is None else "what it was is gone, Java needed the memory"
        raise ImageError(f"there is nothing to undo in {str(imp.getTitle())!r}: {why}")
    return before


def paint_as(imp: Any, overlay: Any) -> None:
    """Give an image the colours of ids of an overlay that it had, in place of those that it has now."""
    paint = [] if overlay is None else [roi for roi in overlay.toArray() if str(roi.getName()) == rois.PAINT]
    drawn = rois.drawn(imp)
    if not paint and len(drawn) == (0 if imp.getOverlay() is None else int(imp.getOverlay().size())):
        return
    made = jpype.JClass("ij.gui.Overlay")()
    for roi in [*paint, *drawn]:
        made.add(roi)
    imp.setOverlay(made if int(made.size()) else None)


def as_before(imp: Any, before: Any) -> None:
    """Let an image be as changed and as much somebody's work as what it is again."""
    imp.setProperty(_PUSHED, before.getProperty(_PUSHED))
    imp.changes = before.changes
