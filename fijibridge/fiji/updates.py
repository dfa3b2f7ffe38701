"""Changes of an open image: new pixels in its window, and edited ones written back."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.fiji import datasets, rois
from fijibridge.fiji import undo as fiji_undo
from fijibridge.fiji.imageplus import from_imageplus
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.pixels import copy_to_java
from fijibridge.fiji.stacks import ImageStack
from fijibridge.image import DIMS, origin, pixel_size
from fijibridge.imagej.hyperstack import pack_rgb, plain_pixels
from fijibridge.imagej.metadata import imagej_info


def replace(imp: Any, new: Any, keep_view: bool) -> Any:
    """Put a new image into the window of an open one, and return what is open afterwards.

    Where ImageJ cannot change the kind of a window (composite or not), a new one opens in its place.
    """
    return classes.pushes().replace(imp, new, keep_view, datasets.legacy_context())


def undo(imp: Any) -> Any:
    """Give an image back what it was before it was last replaced or written to, and return what is open afterwards.

    Raises
    ------
    ImageError
        If it was not, or what it was is gone.
    """
    before = fiji_undo.taken_back(imp)
    overlay = before.getOverlay()
    open_now = replace(imp, before, keep_view=True)
    fiji_undo.paint_as(open_now, overlay)
    fiji_undo.as_before(open_now, before)
    open_now.updateAndDraw()
    return open_now


def write_back(imp: Any, image: xr.DataArray) -> None:
    """Write the pixels of an image, or of a region of it, into the ImagePlus that it came from.

    Raises
    ------
    ImageError
        If they do not fit: another type, another pixel size, a place outside or between pixels, a virtual stack.
    """
    stack = ImageStack(imp)
    title = str(imp.getTitle())
    if imp.getStack().isVirtual():
        raise ImageError(f"{title!r} is a virtual stack, which cannot be written to: duplicate it in ImageJ")
    if image.dtype != stack.dtype:
        raise ImageError(f"the pixels are {image.dtype}, those of {title!r} {stack.dtype}: show a new image")
    if not set(image.dims) <= set(DIMS):
        raise ImageError(f"the pixels have axes {image.dims}; expected some of {' '.join(DIMS)}")
    image = image.transpose(*(d for d in DIMS if d in image.dims))
    frame = from_imageplus(imp, lazy=True)
    places = [_place(d, image, frame, stack.shape[i]) for i, d in enumerate(DIMS)]
    array = image.values.reshape([len(p) for p in places])
    t_range, c_range, z_range, rows, columns = places
    if stack.rgb and len(c_range) != 3:
        raise ImageError("an RGB image is written with all three channels")
    whole = len(rows) == stack.shape[3] and len(columns) == stack.shape[4]
    depth = stack.shape[2]
    old = fiji_undo.empty_like(imp.getStack())
    arrays = fiji_undo.arrays_of(imp)
    for n, pixels in enumerate(arrays, start=1):
        old.setPixels(pixels, n)
    kept, changed = fiji_undo.copy_of(imp, old), bool(imp.changes)
    drawn, selection = classes.rois().inOverlay(imp), imp.getRoi()
    written: dict[int, tuple[Any, Any]] = {}
    for i, t in enumerate(t_range):
        for k, z in enumerate(z_range):
            for j, c in enumerate(range(1) if stack.rgb else c_range):
                number = (t * depth + z) * stack.channels + c + 1
                plane = _as_imagej(array[i, :, k] if stack.rgb else array[i, j, k], stack)
                if not whole:
                    under = _whole_plane(stack, t, c, z)
                    under[rows.start : rows.stop, columns.start : columns.stop] = plane
                    plane = under
                written[number] = arrays[number - 1], copy_to_java(plane)
                _put(imp, number, written[number][1])
    fiji_undo.keep(imp, kept)
    fiji_undo.note_written(imp, written, changed)
    imp.changes = True
    datasets.redraw(imp, drawn, selection)
    rois.repaint(imp)


def _put(imp: Any, number: int, pixels: Any) -> None:
    """Give a plane an array of pixels; the one that it had is not changed."""
    if int(imp.getStackSize()) == 1:
        fiji_undo.prepare_undo(imp)
        processor = imp.getProcessor()
        stack = fiji_undo.empty_like(imp.getStack())
        stack.setColorModel(processor.getColorModel())
        stack.setPixels(pixels, 1)
        new = stack.getProcessor(1)
        new.setMinAndMax(processor.getMin(), processor.getMax())
        imp.setProcessor(None, new)
    else:
        imp.getStack().setPixels(pixels, number)
        if int(imp.getCurrentSlice()) == number:
            imp.getProcessor().setPixels(pixels)


def _as_imagej(plane: npt.NDArray[Any], stack: ImageStack) -> npt.NDArray[Any]:
    return pack_rgb(*plane) if stack.rgb else plain_pixels(plane)


def _whole_plane(stack: ImageStack, t: int, c: int, z: int) -> npt.NDArray[Any]:
    everything = slice(None)
    plane = stack[t, everything if stack.rgb else c, z, everything, everything]
    return np.array(_as_imagej(plane, stack))


def _place(axis: str, image: xr.DataArray, frame: xr.DataArray, size: int) -> range:
    """Return where along an axis of the open image the pixels of a part lie."""
    count = image.sizes.get(axis, 1)
    if axis == "c":
        names = [str(n) for n in frame.coords["c"].values] if "c" in frame.coords else None
        if count == size:
            return range(size)
        if names is not None and "c" in image.coords:
            mine = [names.index(str(n)) for n in np.atleast_1d(image.coords["c"].values) if str(n) in names]
            if len(mine) == count and mine == list(range(mine[0], mine[0] + count)):
                return range(mine[0], mine[0] + count)
        first = imagej_info(image).get("channel")
        if first is not None and names is None and count == 1:
            return range(first, first + 1)
        raise ImageError(f"the pixels have {count} channel(s), the open image {size}: write all channels, or one")
    if axis not in frame.coords or axis not in image.coords:
        if count != size:
            raise ImageError(f"the pixels do not say where they lie in {axis!r}: keep the coordinates of fiji.image()")
        start = 0.0
    else:
        steps, mine_steps = pixel_size(frame), pixel_size(image)
        if abs(steps[axis] - mine_steps[axis]) > 1e-6 * steps[axis]:
            raise ImageError(f"pixel size in {axis} is {mine_steps[axis]:g}, that of the open image {steps[axis]:g}")
        start = (origin(image)[axis] - origin(frame)[axis]) / steps[axis]
    first = round(start)
    if abs(start - first) > 0.01 or first < 0 or first + count > size:
        raise ImageError(
            f"the pixels lie at {start:g} to {start + count - 1:g} of axis {axis!r}, which has {size}: "
            "write a region of the open image"
        )
    return range(first, first + count)
