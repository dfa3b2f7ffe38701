"""Updates of open images: new pixels in the same window, undo, and writing edited pixels back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError, UnsavedError
from fijibridge.fiji import datasets, imageplus, rois, windows
from fijibridge.fiji import undo as fiji_undo
from fijibridge.fiji.imageplus import from_imageplus
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.pixels import copy_to_java
from fijibridge.fiji.stacks import ImageStack
from fijibridge.fiji.windows import Which
from fijibridge.image import DIMS, Array, as_image, origin, pixel_size
from fijibridge.imagej.hyperstack import pack_rgb, plain_pixels
from fijibridge.imagej.metadata import imagej_info

# --- new pixels in a window -------------------------------------------------------------------------


def show_image(
    image: Any,
    name: str | None = None,
    lut: str | None = None,
    *,
    limits: tuple[float, float] | None = None,
    mode: str | None = None,
    virtual: bool | None = None,
    new: bool = False,
    keep_view: bool = True,
    overwrite: bool = False,
) -> Any:
    """Show an array as an image, and return its ImagePlus; parameters as for :meth:`fijibridge.Fiji.show`."""
    name = None if name is None else str(name)
    virtual = imageplus.is_lazy(image) if virtual is None else virtual
    source = as_image(image)
    if mode is not None:
        imageplus.check_mode(source, mode)

    def make(title: str) -> Any:
        imp = imageplus.to_imageplus(source, title, virtual, mode)
        if lut is not None:
            imageplus.set_lut(imp, lut)
        if limits is not None:
            imageplus.set_limits(imp, limits)
        return imp

    default = name or str(source.name or "image")
    return show_in_window(make, None if new else name, default, keep_view, overwrite)


def show_in_window(
    make: Callable[[str], Any], name: str | None, default: str, keep_view: bool = True, overwrite: bool = False
) -> Any:
    """Show an image in the open window with that name, else in a new window, and return the open ImagePlus.

    Parameters
    ----------
    make
        Function that creates the ImagePlus with a given title.
    name
        Title of the image to replace; None for a new window.
    default
        Title of a new window. A number is appended if the title is taken.
    keep_view, overwrite
        See :meth:`fijibridge.Fiji.show`.

    Raises
    ------
    UnsavedError
        If the open image with that title has unsaved changes, and `overwrite` is False.
    """
    with windows.one_at_a_time():
        if name is not None and windows.titled(name):
            there = windows.find(name)  # raises if several have this title
            if not overwrite:
                refuse_unsaved(there)
            return replace(there, make(name), keep_view)
        imp = make(windows.free_title(default))
        fiji_undo.note_pushed(imp)
        imp.show()
        return imp


def refuse_unsaved(imp: Any) -> None:
    """Raise if an image that is to be replaced has unsaved changes."""
    if fiji_undo.unsaved(imp):
        raise UnsavedError(
            f"the open image {str(imp.getTitle())!r} was changed and is not saved, so it is not replaced: save it, "
            "show the new image under another name or in a new window (new=True), or use overwrite=True"
        )


def safe_title(name: str) -> str:
    """Return a title under which no unsaved work is replaced: the name itself, or a free variant of it."""
    return windows.free_title(name) if any(map(fiji_undo.unsaved, windows.titled(name))) else name


def image_to_draw_on(over: Array | Which, shape: tuple[int, ...]) -> Any:
    """Return the open image to draw outlines on; an array is shown first.

    Parameters
    ----------
    over
        An array, or the title or id of an open image; None for the active one.
    shape
        Shape of the label image, (y, x) or (z, y, x).

    Raises
    ------
    ImageError
        If the label image does not fit the open image.
    """
    imp = windows.find(over) if over is None or isinstance(over, str | int) else show_image(over)
    if (int(imp.getHeight()), int(imp.getWidth())) != shape[-2:]:
        raise ImageError(
            f"the labels have shape {shape}, but {str(imp.getTitle())!r} has {imp.getHeight()} x {imp.getWidth()} "
            "pixels (y, x)"
        )
    planes = rois.depth(imp)
    if len(shape) == 3 and shape[0] != planes:
        raise ImageError(
            f"the labels have {shape[0]} slices, but {str(imp.getTitle())!r} has {planes}: over=... must be the image "
            "in which the cells were found"
        )
    return imp


def replace(imp: Any, new: Any, keep_view: bool) -> Any:
    """Put a new image into the window of an open image, and return the image that is open afterwards.

    If the window cannot show the new image (only one of the images is composite, or the sizes differ), a new window
    opens in its place.
    """
    return classes.pushes().replace(imp, new, keep_view, datasets.legacy_context())


# --- undo -------------------------------------------------------------------------------------------


def undo(imp: Any) -> Any:
    """Undo the last replacement of an image's pixels, and return the image that is open afterwards.

    Raises
    ------
    ImageError
        If no pixels were replaced, or Java needed the memory of the previous pixels.
    """
    before = fiji_undo.taken_back(imp)
    overlay = before.getOverlay()
    open_now = replace(imp, before, keep_view=True)
    fiji_undo.paint_as(open_now, overlay)
    fiji_undo.as_before(open_now, before)
    open_now.updateAndDraw()
    return open_now


# --- pixels written back ----------------------------------------------------------------------------


def write(image: xr.DataArray, title: Which = None) -> None:
    """Write edited pixels back to an open image; by default, to the image that they were copied from.

    Raises
    ------
    ImageError
        If the attributes of `image` do not identify the open image, or the pixels do not fit the open image.
    """
    if not isinstance(image, xr.DataArray):
        raise ImageError(
            "write() expects an image obtained from fiji.image() (edited or not); to show a plain array, use "
            "fiji.show()"
        )
    if title is None:
        title = imageplus.open_id(image)
        if title is None:
            raise ImageError(
                "the attrs of this image do not identify an open image of this session (np.clip and other functions "
                "drop attrs): pass title=..., or keep the attrs with out = image.copy(data=...)"
            )
    write_back(windows.find(title), image)


def write_back(imp: Any, image: xr.DataArray) -> None:
    """Write the pixels of an image or region back into the ImagePlus that it was copied from.

    Raises
    ------
    ImageError
        If the type or pixel size differs, the region is outside the open image or not aligned with its pixels, or the
        stack is virtual.
    """
    stack = ImageStack(imp)
    title = str(imp.getTitle())
    if imp.getStack().isVirtual():
        raise ImageError(f"{title!r} is a virtual stack, which cannot be written to: duplicate it in ImageJ")
    if image.dtype != stack.dtype:
        raise ImageError(
            f"the pixels are {image.dtype}, but the pixels of {title!r} are {stack.dtype}: show the edited pixels as a "
            "new image"
        )
    if not set(image.dims) <= set(DIMS):
        raise ImageError(f"the pixels have the axes {image.dims}; expected some of {' '.join(DIMS)}")
    image = image.transpose(*(d for d in DIMS if d in image.dims))
    frame = from_imageplus(imp, lazy=True)
    places = [_place(d, image, frame, stack.shape[i]) for i, d in enumerate(DIMS)]
    array = image.values.reshape([len(p) for p in places])
    t_range, c_range, z_range, rows, columns = places
    if stack.rgb and len(c_range) != 3:
        raise ImageError(f"the pixels have {len(c_range)} channel(s); an RGB image needs all three: write all channels")
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
    """Replace the pixel array of a plane; the previous array stays unchanged."""
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
    """Return the indices that a part covers along an axis of the open image, whose length is `size`."""
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
        raise ImageError(
            f"the pixels have {count} channel(s), but the open image has {size}: write all channels, or one"
        )
    if axis not in frame.coords or axis not in image.coords:
        if count != size:
            raise ImageError(f"the pixels have no coordinates along {axis!r}: keep the coordinates from fiji.image()")
        start = 0.0
    else:
        steps, mine_steps = pixel_size(frame), pixel_size(image)
        if abs(steps[axis] - mine_steps[axis]) > 1e-6 * steps[axis]:
            raise ImageError(
                f"the pixel size along {axis} is {mine_steps[axis]:g}, but in the open image it is {steps[axis]:g}: "
                "show the pixels as a new image"
            )
        start = (origin(image)[axis] - origin(frame)[axis]) / steps[axis]
    first = round(start)
    if abs(start - first) > 0.01 or first < 0 or first + count > size:
        raise ImageError(
            f"the pixels are at {start:g} to {start + count - 1:g} along axis {axis!r}; expected indices from 0 to "
            f"{size - 1}: write a region of the open image"
        )
    return range(first, first + count)
