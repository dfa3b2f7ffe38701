"""A running Fiji, as Python sees it."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.errors import ImageError, MacroError, RoiError, SessionError
from fijibridge.fiji import jvm, life
from fijibridge.fiji.installations import Java
from fijibridge.fiji.life import Mode
from fijibridge.image import RGB, Array, LookupTable, as_image, as_labels, imagej_pixels
from fijibridge.rois import Roi, labels_to_rois

if TYPE_CHECKING:
    from fijibridge.cells.matching import Matching
    from fijibridge.fiji.overlays import Colors, Source
    from fijibridge.fiji.plots import TrainingMonitor
    from fijibridge.fiji.windows import Callback, Events, Kind, Which

log = logging.getLogger("fijibridge")

_BUILT_IN_LUTS = (
    "Fire", "Grays", "Ice", "Spectrum", "3-3-2 RGB", "Red", "Green", "Blue", "Cyan", "Magenta", "Yellow", "Red/Green"
)  # fmt: skip
"""What ImageJ has without its folder of further ones."""

_current: Fiji | None = None
_lock = threading.RLock()


def current() -> Fiji:
    """Return the running session, also from Fiji's own script editor.

    Raises
    ------
    SessionError
        If none is running.
    """
    if _current is None or _current.closed:
        raise SessionError("no Fiji is running in this process: start one with fijibridge.Fiji.start()")
    return _current


class Fiji:
    """A running Fiji. Made by :meth:`start`, not by its class.

    Attributes
    ----------
    flavor : str
        ``"fiji"``, ``"imagej2"`` or ``"embedded"`` (plain ImageJ).
    version : str
        ``"2.17.0/1.54p"`` of ImageJ2 and ImageJ, ``"1.54p"`` for the embedded one.
    mode : str
        ``"headless"`` or ``"interactive"``.
    java : fijibridge.fiji.installations.Java
        The Java it runs on.

    Notes
    -----
    A process has one JVM, which cannot be started twice. Closing the session closes its windows; Python lives on, and
    :meth:`start` with the same arguments opens a new session on the same JVM.

    All methods may be called from any thread. Where a method takes an image of Fiji's, it is named by its title, by a
    pattern with ``*`` and ``?`` that fits one title, by its ImageJ id (a negative number), or by None, the active one.
    """

    def __init__(self, flavor: str, mode: Mode, java: Java, gateway: Any):
        self.flavor, self.mode, self.java = flavor, mode, java
        self._gateway = gateway
        self.closed = False
        self._events: Events | None = None
        ij1 = str(self._java("ij.IJ").getVersion()).split("/")[-1]
        self.version = f"{gateway.getVersion()}/{ij1}" if gateway is not None else ij1

    # --- life ---------------------------------------------------------------------------------------

    @classmethod
    def start(
        cls, where: str | os.PathLike[str] | None = None, *, mode: Mode | None = None, memory: str | None = None
    ) -> Fiji:
        """Start Fiji in this process.

        Parameters
        ----------
        where
            Left out: your Fiji (``FIJI_HOME``, the usual places), else the newest one from Maven,
            ``"sc.fiji:fiji"``. A folder, or Maven coordinates such as ``"sc.fiji:fiji:2.17.0"`` or
            ``"net.imagej:imagej"``. ``"embedded"``: plain ImageJ, small and quick, without Fiji's plugins.
        mode
            ``"interactive"`` with windows, ``"headless"`` without; left out, with windows if there is a display.
        memory
            Largest heap of the JVM, such as ``"8g"``; left out, Java's own default, a quarter of the memory.

        Returns
        -------
        Fiji
            The running session if there is one of that kind.

        Raises
        ------
        StartError
            If it cannot be had, or another kind or mode is running. Nothing else is started in its place.
        """
        global _current
        life.refuse_forked()
        with _lock:
            mode = life.checked_mode(mode)
            wanted = {"where": life.resolved(where), "mode": mode}
            if jvm.is_running():
                life.refuse_another(wanted, memory)
            else:
                life.start(wanted["where"], mode, memory)
            if _current is None or _current.closed:
                _current = cls(life.started["flavor"], mode, life.started["java"], life.started["gateway"])
            if mode == "interactive":
                life.open_window()  # which the user may have closed
            return _current

    def close(self) -> None:
        """Close all images and windows without asking to save; the JVM and Python live on."""
        if self.closed:
            return
        self.closed = True
        if self._events is not None:
            self._events.close()
        life.close_everything(self.mode == "interactive")

    def __enter__(self) -> Fiji:
        """Return the session; it is closed at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.mode
        return f"<Fiji {self.flavor} {self.version}, {state}, Java {self.java.version} from {self.java.source}>"

    @property
    def ij(self) -> Any:
        """The ImageJ2 gateway of pyimagej.

        Raises
        ------
        SessionError
            In the embedded ImageJ, which has none.
        """
        if self._gateway is None:
            raise SessionError("the embedded ImageJ has no ImageJ2 gateway: start a Fiji, Fiji.start()")
        return self._gateway

    # --- pull ---------------------------------------------------------------------------------------

    def titles(self, pattern: str | None = None) -> list[str]:
        """Return the titles of the open images, of those that fit a pattern, in the order in which they were opened."""
        return [str(imp.getTitle()) for imp in self._windows().matching(pattern)]

    def ids(self, pattern: str | None = None) -> list[int]:
        """Return the ImageJ ids of the open images, in the order of :meth:`titles`; two of one title differ in it."""
        return [int(imp.getID()) for imp in self._windows().matching(pattern)]

    def image(
        self,
        title: Which = None,
        *,
        region: Mapping[str, int | slice] | Literal["roi"] | None = None,
        lazy: bool = False,
    ) -> xr.DataArray:
        """Copy an open image into Python.

        Parameters
        ----------
        title
            Its title, a pattern, its id, or None for the active image.
        region
            Copy only a part: slices or indices by axis, counted from 0, as in ``image.isel(region)``
            (``{"z": slice(2, 5), "c": 0}``); ``"roi"`` for the bounding box of the image's selection. The part keeps
            its place.
        lazy
            Return a dask array, which reads a plane when it is needed: a virtual stack larger than memory can be
            worked through.

        Returns
        -------
        xarray.DataArray
            Axes out of ``t c z y x``, calibrated; see :func:`fijibridge.fiji.images.from_imageplus`.

        Raises
        ------
        NoImageError
            If there is none of that title, or several.
        ImageError
            If the region lies outside.
        """
        from fijibridge.fiji.images import from_imageplus

        imp = self._find(title)
        if region == "roi":
            region = _selected_box(imp)
        elif isinstance(region, str):
            raise ImageError(f"region={region!r}; expected 'roi' or slices by axis")
        return from_imageplus(imp, region, lazy)

    def images(self, pattern: str | None = None) -> list[xr.DataArray]:
        """Copy all open images, or those that fit a pattern, into Python, in the order of :meth:`titles`."""
        from fijibridge.fiji.images import from_imageplus

        return [from_imageplus(imp) for imp in self._windows().matching(pattern)]

    def array(self, title: Which = None) -> npt.NDArray[Any]:
        """Copy the pixels of an open image into a plain numpy array."""
        return np.asarray(self.image(title).values)

    def rois(self, source: Source | None = None, title: Which = None) -> list[Roi]:
        """Copy ROIs into Python.

        Parameters
        ----------
        source
            ``"manager"``: the ROI Manager; ``"overlay"``: the image's overlay; ``"image"``: its selection. Left
            out: the ROI Manager if it holds any, else the overlay if there is one, else the selection.
        title
            The image for overlay and selection; None for the active one.

        Raises
        ------
        RoiError
            If there are none.
        """
        from fijibridge.fiji.overlays import from_java

        found = self._java_rois(source, title)
        if not found:
            raise RoiError(self._no_roi(source, title))
        return from_java(found)

    def tables(self) -> list[str]:
        """Return the titles of the open tables."""
        from fijibridge.fiji.tables import table_names

        self._ready()
        return table_names()

    def table(self, name: str = "Results") -> pd.DataFrame:
        """Copy an open table into Python: numbers as float64, text as str, missing numbers as NaN.

        Raises
        ------
        SessionError
            If no table of that title is open.
        """
        from fijibridge.fiji.tables import find_table, to_dataframe

        self._ready()
        table = find_table(name)
        if table is None:
            raise SessionError(f"no open table {name!r}; open are {self.tables()}")
        return to_dataframe(table)

    # --- push ---------------------------------------------------------------------------------------

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
    ) -> str:
        """Show an array as an image in Fiji.

        Parameters
        ----------
        image
            (y, x), (z, y, x), (c, z, y, x) or (t, c, z, y, x); a DataArray says its axes itself and keeps its
            calibration and, if it came from Fiji, its look. Types that ImageJ does not have are converted without a
            wrong value, see :func:`fijibridge.image.imagej_pixels`.
        name
            Its title. An open image of that title is replaced in place. Left out, a new window is titled with the
            DataArray's own name, or ``"image"``.
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

        Returns
        -------
        str
            The title, made unique as ImageJ does it (``"image-1"``).
        """
        windows = self._windows()
        name = None if name is None else str(name)
        virtual = _is_lazy(image) if virtual is None else virtual
        source = as_image(image)
        if mode is not None:
            source = _in_mode(source, mode)
        with windows.one_at_a_time():
            return self._show(source, name, lut, limits, virtual, new, keep_view)

    def _show(
        self, source: xr.DataArray, name: str | None, lut: str | None, limits: tuple[float, float] | None,
        virtual: bool, new: bool, keep_view: bool,
    ) -> str:  # fmt: skip
        """Show an image in the window of that name, or in a new one."""
        from fijibridge.fiji import images, windows

        there = [i for i in windows.open_images() if name is not None and str(i.getTitle()) == name and not new]
        if len(there) > 1:
            there = [windows.find(name)]  # which says that there are several
        title = name if there and name is not None else windows.free_title(name or str(source.name or "image"))
        imp = images.to_imageplus(source, title, virtual)
        if lut is not None:
            self._set_lut(imp, lut)
        if limits is not None:
            images.set_limits(imp, limits)
        if there:
            imp = images.replace(there[0], imp, keep_view)
        else:
            imp.show()
        return str(imp.getTitle())

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
        from fijibridge.fiji.images import write_back

        if not isinstance(image, xr.DataArray):
            raise ImageError("write takes what fiji.image() gave, edited; to show a plain array use fiji.show()")
        if title is None:
            title = image.attrs.get("imagej", {}).get("id")
        write_back(self._find(title), image)

    def show_labels(
        self, labels: Array, over: Array | Which = None, name: str | None = None, colors: Colors | None = None
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

        Returns
        -------
        str
            Title of the label image.
        """
        from fijibridge.fiji import images, overlays

        windows = self._windows()
        source = as_image(labels)
        array = as_labels(source)
        target = None if over is None else self._target(over, array.shape)
        there = [windows.find(name)] if name is not None and name in self.titles() else []
        imp = images.to_imageplus(
            source.copy(data=imagej_pixels(array)).drop_attrs(deep=False),
            name if there and name is not None else windows.free_title(name or "labels"),
        )
        imp.setLut(images.make_lut(LookupTable.of(overlays.palette())))
        imp.setDisplayRange(0, 255)
        if there:
            imp = images.replace(there[0], imp, keep_view=True)
        else:
            imp.show()
        imp.setOverlay(overlays.painted(array) if array.max(initial=0) > 255 else None)
        if target is not None:
            rois = labels_to_rois(array)
            target.setOverlay(None)
            overlays.add_to_overlay(target, overlays.to_java(rois, target, overlays.colors_of(rois, colors)))
        return str(imp.getTitle())

    def show_matches(
        self, matching: Matching, true: Array, pred: Array, over: Array | Which = None, name: str = "Matches"
    ) -> pd.DataFrame:
        """Show which cells were matched: as coloured outlines, and as a table whose rows select their cell.

        Parameters
        ----------
        matching
            Of :func:`fijibridge.match_labels`.
        true, pred
            The label images that it compares, (y, x) or (z, y, x).
        over
            The image that gets the outlines as its overlay: predicted cells, matched green and extra magenta, and
            missed true ones red (named ``"missed 7"``).
        name
            Title of the table. Without a display none is shown.

        Returns
        -------
        pandas.DataFrame
            ``label`` (name of the ROI), ``outcome``, ``true``, ``predicted``, ``score``.
        """
        from fijibridge.fiji import overlays

        table = matching.cells()
        missed = set(matching.missed)
        truth = [roi.renamed(f"missed {roi.name}") for roi in labels_to_rois(true) if int(roi.name) in missed]
        rois = [*labels_to_rois(pred), *truth]
        colors = dict(zip(table["label"], table["color"], strict=True))
        target = self._target(over, tuple(as_image(pred).shape))
        target.setOverlay(None)
        known = {roi.name for roi in rois}
        shown = {label: color for label, color in colors.items() if label in known}
        overlays.add_to_overlay(target, overlays.to_java(rois, target, overlays.colors_of(rois, shown)))
        table = table.drop(columns="color")
        if self.mode == "interactive":
            self.show_table(table, name, select_in=int(target.getID()))
        return table

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
        from fijibridge.fiji import overlays

        items = [rois] if isinstance(rois, Roi) else list(rois)
        wrong = next((r for r in items if not isinstance(r, Roi)), None)
        if wrong is not None:
            raise RoiError(
                f"add_rois takes fijibridge.Roi, not {type(wrong).__name__}: labels_to_rois(labels) makes them"
            )
        imp = self._find(title)
        painted = [] if colors is None else overlays.colors_of(items, colors)
        java = overlays.to_java(items, imp, painted)
        if self.mode == "interactive":
            overlays.add_to_manager(java)  # which copies them, before ImageJ draws them
        overlays.add_to_overlay(imp, java)

    def show_table(
        self, frame: pd.DataFrame | pd.Series | Mapping[str, Any], name: str = "Results", select_in: Which = None
    ) -> None:
        """Show a DataFrame as a table in Fiji; the one of that name is replaced, in its window.

        ``"Results"`` is the table that ImageJ's own Measure writes to. Without a display ImageJ has only that one.

        Parameters
        ----------
        frame
            Numbers, text, missing values. An index with a name becomes the first column.
        name
            Title of the table.
        select_in
            An open image: a click on a row selects the ROI of its overlay, or else of the ROI Manager, that is named
            as the row's column ``label`` says, and scrolls to it.

        Raises
        ------
        SessionError
            For another table without a display.
        """
        from fijibridge.fiji import tables

        self._ready()
        if not isinstance(frame, pd.DataFrame):
            if not isinstance(frame, Mapping | pd.Series):
                raise SessionError(f"show_table takes a DataFrame, or a mapping of columns, not {type(frame).__name__}")
            frame = pd.DataFrame(frame)
        imp = None if select_in is None else self._find(select_in)
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

    # --- measure ------------------------------------------------------------------------------------

    def measure(
        self,
        cells: Array | Sequence[Roi] | Source,
        image: Array | Which = None,
        measurements: Sequence[str] | None = None,
        *,
        channel: int | str | None = None,
        name: str = "Results",
    ) -> pd.DataFrame:
        """Let ImageJ measure cells, and show its Results table.

        Parameters
        ----------
        cells
            A label image, or ROIs, or where Fiji has them: ``"overlay"``, ``"manager"``, ``"image"``.
        image
            Where to measure: an array, or the title or id of an open image; None for the active one. Its pixel size
            gives the units.
        measurements
            Names out of :data:`fijibridge.fiji.measuring.ALL_MEASUREMENTS`; those of
            :data:`fijibridge.fiji.measuring.MEASUREMENTS` if left out.
        channel
            Index (from 0) or name of the channel to measure in; the one that is shown if left out.
        name
            Title of the table. In a window, a click on a row selects that cell in the open image.

        Returns
        -------
        pandas.DataFrame
            One row per cell, in the order of the ids (of the ROIs): ``label``, the id or the ROI's name, and ImageJ's
            columns, ``Area``, ``Mean`` ... Of a (z, y, x) label image one row per cell and slice, with the slice
            (from 1) as ``slice``; of ROIs on a hyperstack also ``frame`` and ``channel``. ``attrs["unit"]`` is the
            unit of lengths.

        Notes
        -----
        It is ``ij.plugin.filter.Analyzer`` that measures, the code behind Analyze ▸ Measure.
        """
        from fijibridge.fiji import measuring, overlays

        rois = self._cells(cells, image)
        imp, open_id = self._measured_on(image, cells)
        java = overlays.to_java(rois)
        table = measuring.measure_rois(imp, java, measurements or measuring.MEASUREMENTS, _channel_number(imp, channel))
        for column, places in _places(rois).items():
            table.insert(0, column, places)
        names = [r.name for r in rois]
        numbers = all(n.isascii() and n.isdigit() for n in names)
        table.insert(0, "label", [int(n) for n in names] if numbers else names)
        table.attrs["unit"] = str(imp.getCalibration().getUnit())
        self.show_table(table, name, select_in=open_id)
        return table

    # --- work together ------------------------------------------------------------------------------

    def select(self, title: Which = None, roi: Roi | str | None = None) -> None:
        """Make an image the active one, and select a ROI in it.

        Parameters
        ----------
        title
            The image; None for the active one.
        roi
            A ROI, or the name of one in its overlay or the ROI Manager. It is scrolled into view, on its slice.
        """
        from fijibridge.fiji import overlays

        imp = self._find(title)
        java = None
        if isinstance(roi, Roi):
            java = overlays.to_java([roi], imp)[0]
        elif roi is not None:
            java = self._named_roi(imp, roi)
            if java is None:
                raise RoiError(f"no ROI {roi!r} in the overlay of {str(imp.getTitle())!r} or the ROI Manager")
        if imp.getWindow() is not None:
            self._java("ij.IJ").selectWindow(imp.getID())
        else:
            self._java("ij.WindowManager").setTempCurrentImage(imp)
        if java is not None:
            overlays.select(imp, java)

    def close_image(self, title: Which = None) -> None:
        """Close an open image without asking to save it."""
        imp = self._find(title)
        imp.changes = False
        imp.close()

    def on(self, kind: Kind, callback: Callback) -> Callable[[], None]:
        """Call back when something happens in Fiji.

        Parameters
        ----------
        kind
            ``"opened"``, ``"closed"``, ``"updated"`` (pixels, slice or display changed) or ``"roi"``.
        callback
            Called with a :class:`fijibridge.fiji.windows.Event`, on a thread of its own, one event after the other. It
            may call into Fiji, and may take its time; its errors are logged.

        Returns
        -------
        callable
            Call it to end this.

        Raises
        ------
        SessionError
            Without windows, where ImageJ tells nobody.
        """
        from fijibridge.fiji.windows import Events

        self._ready()
        if self.mode == "headless":
            raise SessionError("without windows ImageJ does not tell what happens: start with mode='interactive'")
        if self._events is None:
            self._events = Events()
        return self._events.add(kind, callback)

    def wait_for_user(self, text: str, title: str = "Fijibridge") -> bool:
        """Show a text with an OK button and wait for it; all of Fiji can be used meanwhile.

        Returns
        -------
        bool
            False if the user pressed Esc or closed the dialog.

        Raises
        ------
        SessionError
            Without windows.
        KeyboardInterrupt
            On Ctrl-C; the dialog is closed.
        """
        if self.mode == "headless":
            raise SessionError("without windows there is no user to wait for: start with mode='interactive'")
        return bool(self._windows().wait_for_user(title, text))

    def progress(self, done: int, total: int) -> None:
        """Move Fiji's progress bar, as in ``fb.predict(..., progress=fiji.progress)``; at `total` it vanishes."""
        self._java("ij.IJ").showProgress(float(done) / max(total, 1))

    def status(self, text: str) -> None:
        """Write into Fiji's status line."""
        self._java("ij.IJ").showStatus(str(text))

    def log(self, text: str) -> None:
        """Write a line into Fiji's log window."""
        self._java("ij.IJ").log(str(text))

    def training_monitor(self, name: str = "Loss") -> TrainingMonitor:
        """Return an observer for :func:`fijibridge.train` that shows progress, log and a plot of the losses here."""
        from fijibridge.fiji.plots import TrainingMonitor

        self._ready()
        return TrainingMonitor(self, name)

    def run_macro(self, code: str, argument: str = "") -> str:
        """Run a macro of ImageJ, and return what it returns.

        Raises
        ------
        MacroError
            If ImageJ refuses it.
        """
        from fijibridge.fiji import commands

        self._ready()
        if not isinstance(code, str) or not isinstance(argument, str):
            raise MacroError(
                f"a macro and its argument are texts, not {type(code).__name__}, {type(argument).__name__}"
            )
        return commands.run_macro(code, argument)

    # --- inside -------------------------------------------------------------------------------------

    def _ready(self) -> None:
        life.refuse_forked()
        if self.closed:
            raise SessionError("this Fiji session was closed: start one with fijibridge.Fiji.start()")

    def _java(self, name: str) -> Any:
        self._ready()
        import jpype

        return jpype.JClass(name)

    def _windows(self) -> Any:
        self._ready()
        from fijibridge.fiji import windows

        return windows

    def _find(self, which: Which) -> Any:
        return self._windows().find(which)

    def _java_rois(self, source: Source | None, title: Which) -> list[Any]:
        from fijibridge.fiji import overlays

        if source not in (None, "manager", "overlay", "image"):
            raise RoiError(f"source={source!r}; expected 'manager', 'overlay' or 'image'")
        self._ready()
        if source in (None, "manager"):
            manager = overlays.manager()
            if (manager is not None and int(manager.getCount())) or source == "manager":
                return list(manager.getRoisAsArray()) if manager is not None else []
        imp = self._find(title)
        if source in (None, "overlay"):
            drawn = overlays.drawn(imp)
            if drawn or source == "overlay":
                return drawn
        roi = imp.getRoi()
        return [] if roi is None else [roi]

    def _no_roi(self, source: Source | None, title: Which) -> str:
        """Say where ROIs were looked for, and which images have some."""
        from fijibridge.fiji import overlays

        image = "" if source == "manager" else f" of {str(self._find(title).getTitle())!r}"
        where = {None: "the ROI Manager, the overlay or the selection", "manager": "the ROI Manager",
                 "overlay": "the overlay", "image": "the selection"}[source]  # fmt: skip
        others = [str(i.getTitle()) for i in self._windows().open_images() if overlays.drawn(i)]
        told = f"; the overlay of {others} has some: say title=..." if others else ""
        return f"no ROI in {where}{image}: draw one, or add it to the ROI Manager with [t]{told}"

    def _named_roi(self, imp: Any, name: str, position: int = 0) -> Any:
        """Return the ROI of a name (and slice), of the image's overlay or else the ROI Manager; None without one."""
        from fijibridge.fiji import overlays

        manager = overlays.manager()
        for rois in (overlays.drawn(imp), list(manager.getRoisAsArray()) if manager is not None else []):
            found = [roi for roi in rois if str(roi.getName()) == name]
            here = [roi for roi in found if position in (int(roi.getPosition()), int(roi.getZPosition()))]
            if found:
                return (here or found)[0]
        return None

    def _select_named(self, image_id: int, name: str, position: int) -> None:
        """Select a ROI of an image that is still open: what a click on a row of a table does."""
        from fijibridge.fiji import overlays, windows

        imp = next((i for i in windows.open_images() if int(i.getID()) == image_id), None)
        roi = None if imp is None else self._named_roi(imp, name, position)
        if roi is None:
            self.status(f"no ROI {name!r} in the image that was measured")
        else:
            overlays.select(imp, roi)

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
        title = over if over is None or isinstance(over, str | int) else self.show(over)
        imp = self._find(title)
        if (int(imp.getHeight()), int(imp.getWidth())) != shape[-2:]:
            raise ImageError(
                f"labels have shape {shape} but {str(imp.getTitle())!r} is {imp.getHeight()} x {imp.getWidth()} (y, x)"
            )
        return imp

    def _cells(self, cells: Any, image: Any) -> list[Roi]:
        if isinstance(cells, str):
            return self.rois(cells, image if image is None or isinstance(image, str | int) else None)  # type: ignore[arg-type]
        rois = list(cells) if isinstance(cells, Sequence) else labels_to_rois(cells)
        if not all(isinstance(r, Roi) for r in rois):
            raise RoiError("measure takes a label image or a list of fijibridge.Roi")
        if not rois:
            raise RoiError("there is no cell to measure")
        return rois

    def _measured_on(self, image: Array | Which, cells: Any) -> tuple[Any, int | None]:
        """Return where to measure, and the id under which that is open in Fiji."""
        from fijibridge.fiji.images import to_imageplus

        if image is None or isinstance(image, str | int):
            imp = self._find(image)
            open_id: int | None = int(imp.getID())
        else:
            source = as_image(image)
            imp = to_imageplus(source, str(source.name or "image"))
            came_from = source.attrs.get("imagej", {}).get("id")
            open_id = came_from if came_from in self.ids() else None
        if hasattr(cells, "shape") and (int(imp.getHeight()), int(imp.getWidth())) != tuple(cells.shape[-2:]):
            raise ImageError(
                f"labels have shape {cells.shape}, the image is {imp.getHeight()} x {imp.getWidth()} (y, x)"
            )
        if getattr(cells, "ndim", 2) == 3:
            counts = int(imp.getNSlices()), int(imp.getNFrames()), int(imp.getNChannels())
            depth = next((n for n in counts if n > 1), 1)
            if depth != cells.shape[0]:
                raise ImageError(f"labels have {cells.shape[0]} slices, the image has {depth}")
        return imp, open_id

    def _show_plot(self, plot: Any, name: str) -> str:
        from fijibridge.fiji import windows

        there = [i for i in windows.matching(None) if str(i.getTitle()) == name]
        window = there[0].getWindow() if there else None
        if window is not None and isinstance(window, self._java("ij.gui.PlotWindow")):
            window.drawPlot(plot)
            return name
        for imp in there:
            imp.close()
        imp = plot.getImagePlus() if self.mode == "headless" else plot.show().getImagePlus()
        imp.setTitle(name)
        if self.mode == "headless":
            imp.show()
        return name


def _places(rois: Sequence[Roi]) -> dict[str, list[int]]:
    """Return the columns that say where ROIs lie, those in which any of them says something."""
    columns = {
        "channel": [r.hyperstack_position[0] for r in rois],
        "frame": [r.hyperstack_position[2] for r in rois],
        "slice": [r.position for r in rois],
    }
    return {name: places for name, places in columns.items() if any(places)}


def _selected_box(imp: Any) -> dict[str, slice]:
    """Return the bounding box of an image's selection, cut at its border."""
    roi = imp.getRoi()
    if roi is None:
        raise RoiError(f"region='roi', but nothing is selected in {str(imp.getTitle())!r}")
    box = roi.getBounds()
    left, top = max(int(box.x), 0), max(int(box.y), 0)
    right, bottom = min(int(box.x + box.width), int(imp.getWidth())), min(int(box.y + box.height), int(imp.getHeight()))
    if right <= left or bottom <= top:
        raise RoiError(f"region='roi', but the selection of {str(imp.getTitle())!r} lies outside of it")
    return {"y": slice(top, bottom), "x": slice(left, right)}


def _is_lazy(image: Any) -> bool:
    """Tell whether pixels lie elsewhere than in memory: dask, zarr, HDF5, a memory map."""
    if isinstance(image, xr.DataArray):
        data = image.variable._data
        return image.chunks is not None or not isinstance(data, np.ndarray) or isinstance(data.base, np.memmap)
    return isinstance(image, np.memmap) or (hasattr(image, "chunks") and not isinstance(image, np.ndarray))


def _in_mode(image: xr.DataArray, mode: str) -> xr.DataArray:
    """Return an image that ImageJ is to show in another mode of its channels."""
    if mode not in ("composite", "color", "grayscale"):
        raise ImageError(f"mode={mode!r}; expected 'composite', 'color' or 'grayscale'")
    channels = image.sizes.get("c", 1)
    if "c" in image.coords and tuple(image.coords["c"].values.ravel()) == RGB:
        raise ImageError(f"mode={mode!r} is a way to show several channels; an RGB image is shown in its colours")
    if channels < 2:
        raise ImageError(f"mode={mode!r} is a way to show several channels; the image has axes {image.dims}")
    return image.assign_attrs(imagej={**image.attrs.get("imagej", {}), "wanted_mode": mode})


def _channel_number(imp: Any, channel: int | str | None) -> int | None:
    """Return a channel as ImageJ counts it, from 1."""
    if channel is None:
        return None
    count = int(imp.getNChannels())
    if isinstance(channel, str):
        names = [str(imp.getStack().getShortSliceLabel(i + 1) or "") for i in range(count)]
        if channel not in names:
            raise ImageError(f"no channel {channel!r}; the image has {names}")
        return names.index(channel) + 1
    if not -count <= channel < count:
        raise ImageError(f"channel {channel}; the image has channels 0 to {count - 1}")
    return channel % count + 1
