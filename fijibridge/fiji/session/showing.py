"""From Python to Fiji: images, cells, tables and plots."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.errors import ImageError, RoiError, SessionError, UnsavedError
from fijibridge.fiji.session.pulling import Pulling
from fijibridge.image import RGB, Array, as_image, as_labels, imagej_pixels
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.rois import Roi, labels_to_rois

if TYPE_CHECKING:
    from fijibridge.fiji.rois import Colors
    from fijibridge.fiji.windows import Which

_BUILT_IN_LUTS = (
    "Fire", "Grays", "Ice", "Spectrum", "3-3-2 RGB", "Red", "Green", "Blue", "Cyan", "Magenta", "Yellow", "Red/Green"
)  # fmt: skip
"""What ImageJ has without its folder of further ones."""

_PLOT = "fijibridge.plot"
"""Property of a plot: the name that was asked for, and the title that it got because that was taken."""


class Showing(Pulling):
    """The part of a session that shows in Fiji what Python has."""

    _repaints = False

    def show(
        self,
        image: Any,
        name: str | None = None,
        lut: str | None = None,
        *,
        limits: tuple[float, float] | None = None,
        mode: Literal["composite", "color", "grayscale"] | None = None,
        virtual: bool | None = None,
        new: bool = False,
        keep_view: bool = True,
        overwrite: bool = False,
    ) -> str:
        """Show an array as an image in Fiji.

        Parameters
        ----------
        image
            (y, x), (z, y, x), (c, z, y, x) or (t, c, z, y, x); a DataArray says its axes itself and keeps its
            calibration and, if it came from Fiji, its look. Types that ImageJ does not have are converted without a
            wrong value, see :func:`fijibridge.image.imagej_pixels`.
        name
            Its title. An open image of that title is replaced in place, which :meth:`undo` takes back. Left out, a new
            window is titled with the DataArray's own name, or ``"image"``.
        lut
            A lookup table of ImageJ, such as ``"Fire"`` or ``"Grays"``.
        limits
            Values shown as black and as white, of all channels; left out, those of the plane that is shown first.
        mode
            How channels are shown: all at once, one by one in colour, or one by one in grey.
        virtual
            Do not copy the pixels: ImageJ reads a plane when it shows it. Left out: for dask, zarr, HDF5 and memory
            maps.
        new
            Open a new window even if there is one of that title.
        keep_view
            Keep zoom and slice of a window that is replaced.
        overwrite
            Replace an image that somebody changed in Fiji and did not save.

        Returns
        -------
        str
            The title, made unique as ImageJ does it (``"image-1"``).

        Raises
        ------
        UnsavedError
            If the open image of that title was changed and is not saved, and not by :meth:`write`.
        """
        from fijibridge.fiji import imageplus

        self._ready()
        name = None if name is None else str(name)
        virtual = _is_lazy(image) if virtual is None else virtual
        source = as_image(image)
        if mode is not None:
            _check_mode(source, mode)

        def made(title: str) -> Any:
            imp = imageplus.to_imageplus(source, title, virtual, mode)
            if lut is not None:
                self._set_lut(imp, lut)
            if limits is not None:
                imageplus.set_limits(imp, limits)
            return imp

        otherwise = name or str(source.name or "image")
        imp = self._in_window(made, None if new else name, otherwise, keep_view, overwrite)
        return str(imp.getTitle())

    def _in_window(
        self, made: Callable[[str], Any], name: str | None, otherwise: str, keep_view: bool, overwrite: bool
    ) -> Any:
        """Show an image in the window of that name if there is one, else in a new one, and return what is open."""
        from fijibridge.fiji import undo as fiji_undo
        from fijibridge.fiji import updates, windows

        with windows.one_at_a_time():
            if name is not None and windows.titled(name):
                there = windows.find(name)  # which says so if there are several
                if not overwrite and fiji_undo.unsaved(there):
                    raise UnsavedError(
                        f"the open image {name!r} was changed and is not saved, and would be replaced: save it, show "
                        "this one under another name or in a new window, new=True, or say overwrite=True"
                    )
                return updates.replace(there, made(name), keep_view)
            imp = made(windows.free_title(otherwise))
            fiji_undo.note_pushed(imp)
            imp.show()
            return imp

    def _kept_or(self, name: str) -> str:
        """Return a title under which nothing is lost: the name, or a free one if somebody changed what is called so."""
        from fijibridge.fiji import undo as fiji_undo
        from fijibridge.fiji import windows

        return windows.free_title(name) if any(map(fiji_undo.unsaved, windows.titled(name))) else name

    def write(self, image: xr.DataArray, title: Which = None) -> None:
        """Write edited pixels back into the open image that they were copied from.

        Parameters
        ----------
        image
            From :meth:`image`, whole or a region, with the same type and pixel size.
        title
            The open image; left out, the one that it was copied from.

        Raises
        ------
        NoImageError
            If that is no longer open.
        ImageError
            If the pixels do not fit.
        """
        from fijibridge.fiji.imageplus import open_id
        from fijibridge.fiji.updates import write_back

        if not isinstance(image, xr.DataArray):
            raise ImageError("write takes what fiji.image() gave, edited; to show a plain array use fiji.show()")
        if title is None:
            title = open_id(image)
            if title is None:
                raise ImageError(
                    "the image does not say which open one it was copied from in this session (np.clip and others drop "
                    "its attrs): say title=..., or keep them, out = image.copy(data=...)"
                )
        write_back(self._find(title), image)

    def undo(self, title: str | int | None = None) -> str:
        """Take back what :meth:`show`, :meth:`write` or a verb did last to an open image or a table.

        A second call does it again. Of single planes *Edit > Undo* does the same, until ImageJ needs it for something
        else. What was replaced is kept as long as Java does not need the memory.

        Parameters
        ----------
        title
            Of the image; its id, or None for the active one. Or of a table, if no image is called so.

        Returns
        -------
        str
            The title of what was taken back.

        Raises
        ------
        ImageError
            If there is nothing to take back.
        NoImageError
            If there is no such image.
        """
        from fijibridge.fiji import tables, updates, windows

        self._ready()
        with windows.one_at_a_time():
            if isinstance(title, str) and title in self._tables_before and not windows.matching(title):
                self.show_table(tables.to_dataframe(self._tables_before[title]), title)
                return title
            return str(updates.undo(self._find(title)).getTitle())

    def show_labels(
        self,
        labels: Array,
        over: Array | Which = None,
        name: str | None = None,
        colors: Colors | None = None,
        *,
        overwrite: bool = False,
    ) -> str:
        """Show a label image in distinct colours, and the cells' outlines over the image that they were found in.

        Parameters
        ----------
        labels
            (y, x) or (z, y, x), 0 = background (black).
        over
            An image, or the title or id of an open one, that gets the cells as its overlay, named by their ids.
        name
            Title of the label image, which replaces one of that title; ``"labels"`` if left out.
        colors
            Of the outlines, by id, as matplotlib knows them: ``{7: "red"}``; the others are yellow. Left out, each id
            has its own, that of the label image.
        overwrite
            Replace a label image that somebody painted in and did not save.

        Returns
        -------
        str
            Title of the label image.

        Raises
        ------
        UnsavedError
            If the open image of that title was changed and is not saved.
        """
        from fijibridge.fiji import imageplus
        from fijibridge.fiji import rois as fiji_rois

        self._ready()
        source = as_image(labels)
        array = as_labels(source)
        target = None if over is None else self._target(over, array.shape)

        def made(title: str) -> Any:
            imp = imageplus.to_imageplus(source.copy(data=imagej_pixels(array)).drop_attrs(deep=False), title)
            imp.setLut(imageplus.make_lut(LookupTable.of(fiji_rois.palette())))
            imp.setDisplayRange(0, 255)
            return imp

        imp = self._in_window(made, name, name or "labels", True, overwrite)
        paint = array.max(initial=0) > 255
        imp.setOverlay(fiji_rois.painted(array) if paint else None)
        if paint:
            self._repaint_when_updated()
        if target is not None:
            rois = labels_to_rois(array)
            fiji_rois.outline(target, rois, colors)
        return str(imp.getTitle())

    def add_rois(self, rois: Iterable[Roi] | Roi, title: Which = None, colors: Colors | None = None) -> None:
        """Add ROIs to an image's overlay, and to the ROI Manager where there is a display.

        Parameters
        ----------
        rois
            In pixels of the image.
        title
            The image; None for the active one.
        colors
            By name, as matplotlib knows them: ``{"7": "red"}``. Left out, each keeps its own.
        """
        from fijibridge.fiji import rois as fiji_rois

        items = [rois] if isinstance(rois, Roi) else list(rois)
        wrong = next((r for r in items if not isinstance(r, Roi)), None)
        if wrong is not None:
            raise RoiError(
                f"add_rois takes fijibridge.Roi, not {type(wrong).__name__}: labels_to_rois(labels) makes them"
            )
        imp = self._find(title)
        painted = [] if colors is None else fiji_rois.colors_of(items, colors)
        java = fiji_rois.to_java(items, imp, painted)
        if self.mode == "interactive":
            fiji_rois.add_to_manager(java)  # which copies them, before ImageJ draws them
        fiji_rois.add_to_overlay(imp, java)

    def show_table(
        self,
        frame: pd.DataFrame | pd.Series | Mapping[str, Any],
        name: str = "Results",
        select_in: Which = None,
        *,
        add: bool = False,
    ) -> None:
        """Show a DataFrame as a table in Fiji; the one of that name is replaced, in its window, until :meth:`undo`.

        ``"Results"`` is the table that ImageJ's own Measure writes to. Without a display ImageJ has only that one; the
        others are kept by the session, where :meth:`table` and :meth:`tables` find them and macros do not.

        Parameters
        ----------
        frame
            Numbers, text, missing values. An index with a name becomes the first column.
        name
            Title of the table.
        select_in
            An open image: a click on a row selects the ROI of its overlay, or else of the ROI Manager, that is named
            as the row's column ``label`` says, and scrolls to it.
        add
            Add the rows to those of the table of that name, if one is open.
        """
        from fijibridge.fiji import tables, windows
        from fijibridge.imagej.tables import with_index

        self._ready()
        if not isinstance(frame, pd.DataFrame):
            if not isinstance(frame, Mapping | pd.Series):
                raise SessionError(f"show_table takes a DataFrame, or a mapping of columns, not {type(frame).__name__}")
            try:
                frame = pd.DataFrame(frame)
            except ValueError as error:
                raise SessionError(f"these columns make no table, each needs a value per row: {error}") from error
        imp = None if select_in is None else self._find(select_in)
        with windows.one_at_a_time():  # else two threads add to the same rows, and those of one are lost
            there = tables.find_table(name)
            if there is not None:
                self._tables_before[name] = there.clone()
                if add:
                    frame = pd.concat([tables.to_dataframe(there), with_index(frame)], ignore_index=True)
            tables.show(tables.from_dataframe(frame), name, self.mode == "interactive")
        if imp is None:
            tables.unfollow(name)
        else:
            image_id = int(imp.getID())
            tables.follow(name, lambda label, position: self._select_named(image_id, label, position))

    def plot(self, curves: Any, name: str = "Plot", *, xlabel: str | None = None, ylabel: str = "value") -> str:
        """Show curves in an ImageJ plot window; the one of that name is replaced.

        Parameters
        ----------
        curves
            A DataFrame, each column over the index; a Series, or a list of numbers.
        name, xlabel, ylabel
            Titles of window and axes; `xlabel` is the name of the index if left out.
        """
        from fijibridge.fiji.plots import curves_of, line_plot

        frame = curves_of(curves)
        return self._show_plot(line_plot(frame, name, xlabel or str(frame.index.name or "index"), ylabel), name)

    def histogram(self, values: npt.ArrayLike, bins: int = 100, name: str = "Histogram", xlabel: str = "value") -> str:
        """Show the histogram of some numbers in an ImageJ plot window; the one of that name is replaced."""
        from fijibridge.fiji.plots import histogram_plot

        self._ready()
        return self._show_plot(histogram_plot(np.asarray(values), bins, name, xlabel), name)

    def _repaint_when_updated(self) -> None:
        """From now on, renew the colours of label images that are painted by hand; without windows nobody does."""
        from fijibridge.fiji import rois as fiji_rois
        from fijibridge.fiji import windows

        if self.mode == "headless" or self._repaints:
            return

        def repaint(event: windows.Event) -> None:
            for imp in windows.open_images():
                if int(imp.getID()) == event.id:
                    fiji_rois.repaint(imp, only_shown=True)

        if self._events is None:
            self._events = windows.Events()
        self._events.add("updated", repaint)
        self._repaints = True

    def _select_named(self, image_id: int, name: str, position: int) -> None:
        """Select a ROI of an image that is still open: what a click on a row of a table does."""
        from fijibridge.fiji import rois as fiji_rois
        from fijibridge.fiji import windows

        imp = next((i for i in windows.open_images() if int(i.getID()) == image_id), None)
        roi = None if imp is None else self._named_roi(imp, name, position)
        if roi is None:
            self.status(f"no ROI {name!r} in the image that was measured")
        else:
            fiji_rois.select(imp, roi)

    def _set_lut(self, imp: Any, lut: str) -> None:
        if imp.isComposite():
            raise ImageError(
                f"lut={lut!r} is for one channel, the image has {imp.getNChannels()}: leave mode= or lut= out"
            )
        table = self._java("ij.plugin.LutLoader").getLut(lut)
        if table is None:
            names = [str(n) for n in self._java("ij.IJ").getLuts() or ()] or list(_BUILT_IN_LUTS)
            raise ImageError(f"ImageJ has no lookup table {lut!r}; there are {', '.join(names)}")
        low, high = float(imp.getDisplayRangeMin()), float(imp.getDisplayRangeMax())
        imp.setLut(self._java("ij.process.LUT")(table, low, high))

    def _target(self, over: Array | Which, shape: tuple[int, ...]) -> Any:
        """Return the open image to draw on, showing it first if it is an array."""
        from fijibridge.fiji import rois as fiji_rois

        title = over if over is None or isinstance(over, str | int) else self.show(over)
        imp = self._find(title)
        if (int(imp.getHeight()), int(imp.getWidth())) != shape[-2:]:
            raise ImageError(
                f"labels have shape {shape} but {str(imp.getTitle())!r} is {imp.getHeight()} x {imp.getWidth()} (y, x)"
            )
        planes = fiji_rois.depth(imp)
        if len(shape) == 3 and shape[0] != planes:
            raise ImageError(
                f"labels have {shape[0]} slices, {str(imp.getTitle())!r} has {planes}: say over=... the image that "
                "they were found in"
            )
        return imp

    def _show_plot(self, plot: Any, name: str) -> str:
        from fijibridge.fiji import windows

        with windows.one_at_a_time():
            there = [imp for imp in windows.open_images() if _is_plot(imp, name)]
            window = there[0].getWindow() if there else None
            if window is not None and isinstance(window, self._java("ij.gui.PlotWindow")):
                window.drawPlot(plot)
                return str(there[0].getTitle())
            for imp in there:
                imp.close()
            title = windows.free_title(name)
            imp = plot.getImagePlus() if self.mode == "headless" else plot.show().getImagePlus()
            imp.setTitle(title)
            imp.setProperty(_PLOT, f"{name}\n{title}")
            if self.mode == "headless":
                imp.show()
            return title


def _is_plot(imp: Any, name: str) -> bool:
    """Tell whether an open image is the plot of a name, and no other image that is called so."""
    title = str(imp.getTitle())
    asked = title == name or str(imp.getProperty(_PLOT)) == f"{name}\n{title}"
    return asked and imp.getProperty("thePlot") is not None


def _is_lazy(image: Any) -> bool:
    """Tell whether pixels lie elsewhere than in memory: dask, zarr, HDF5, a memory map."""
    if isinstance(image, xr.DataArray):
        data = image.variable._data
        return image.chunks is not None or not isinstance(data, np.ndarray) or isinstance(data.base, np.memmap)
    return isinstance(image, np.memmap) or (hasattr(image, "chunks") and not isinstance(image, np.ndarray))


def _check_mode(image: xr.DataArray, mode: str) -> None:
    """Refuse a mode that there is not, or that an image cannot be shown in."""
    if mode not in ("composite", "color", "grayscale"):
        raise ImageError(f"mode={mode!r}; expected 'composite', 'color' or 'grayscale'")
    channels = image.sizes.get("c", 1)
    if "c" in image.coords and tuple(image.coords["c"].values.ravel()) == RGB:
        raise ImageError(f"mode={mode!r} is a way to show several channels; an RGB image is shown in its colours")
    if channels < 2:
        raise ImageError(f"mode={mode!r} is a way to show several channels; the image has axes {image.dims}")
