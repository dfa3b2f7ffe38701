"""A running Fiji, as Python sees it."""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.errors import ImageError, NoImageError, RoiError, SessionError, StartError
from fijibridge.fiji import jvm
from fijibridge.image import Array, as_image, as_labels, imagej_pixels
from fijibridge.rois import Roi, labels_to_rois

log = logging.getLogger("fijibridge")

Mode = Literal["headless", "interactive"]
Source = Literal["manager", "overlay", "image"]

_PAINT = "fijibridge colours"
"""Name of what paints a label image with more ids than a lookup table has colours."""

_COORDINATE = r"[\w.-]+:[\w.-]+(:[\w.-]+)*"

_current: Fiji | None = None
_started: dict[str, Any] = {}
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
    java : fijibridge.fiji.jvm.Java
        The Java it runs on.

    Notes
    -----
    A process has one JVM, which cannot be started twice. Closing the session closes its windows; Python lives on, and
    :meth:`start` with the same arguments opens a new session on the same JVM.
    """

    def __init__(self, flavor: str, mode: Mode, java: jvm.Java, gateway: Any):
        self.flavor, self.mode, self.java = flavor, mode, java
        self._gateway = gateway
        self.closed = False
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
        with _lock:
            mode = _checked_mode(mode)
            wanted = {"where": _resolved(where), "mode": mode}
            if jvm.is_running():
                _refuse_another(wanted, memory)
                if _current is not None and not _current.closed:
                    if mode == "interactive":
                        _current._open_window()  # which the user may have closed
                    return _current
                session = cls(_started["flavor"], mode, _started["java"], _started["gateway"])
            else:
                try:
                    session = _start(cls, wanted["where"], mode, memory)
                except Exception as error:
                    if jvm.is_running():
                        _started["failed"] = str(error)
                    raise
                _started.update(wanted, flavor=session.flavor, java=session.java, gateway=session._gateway)
            if mode == "interactive":
                session._open_window()
            _current = session
            return session

    def close(self) -> None:
        """Close all images and windows without asking to save; the JVM and Python live on."""
        if self.closed:
            return
        self.closed = True
        self._close_everything()

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

    def titles(self) -> list[str]:
        """Return the titles of the open images, in the order in which they were opened."""
        return [str(imp.getTitle()) for imp in self._open()]

    def image(self, title: str | int | None = None) -> xr.DataArray:
        """Copy an open image into Python.

        Parameters
        ----------
        title
            Its title, or its ImageJ id (a negative number); None for the active image.

        Returns
        -------
        xarray.DataArray
            Axes out of ``t c z y x``, calibrated; see :func:`fijibridge.fiji.pixels.from_imageplus`.

        Raises
        ------
        NoImageError
            If there is none of that title, or several.
        """
        from fijibridge.fiji.pixels import from_imageplus

        return from_imageplus(self._find(title))

    def images(self) -> list[xr.DataArray]:
        """Copy all open images into Python, in the order of :meth:`titles`."""
        from fijibridge.fiji.pixels import from_imageplus

        return [from_imageplus(imp) for imp in self._open()]

    def array(self, title: str | int | None = None) -> npt.NDArray[Any]:
        """Copy the pixels of an open image into a plain numpy array."""
        return np.asarray(self.image(title).values)

    def rois(self, source: Source | None = None, title: str | int | None = None) -> list[Roi]:
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
        found = self._java_rois(source, title)
        if not found:
            where = f"the {source}" if source else "the ROI Manager, the overlay or the selection of the active image"
            raise RoiError(f"no ROI in {where}: draw one, or add it to the ROI Manager with [t]")
        encode = self._java("ij.io.RoiEncoder").saveAsByteArray
        return [Roi.from_bytes(bytes(encode(roi))) for roi in found]

    # --- push ---------------------------------------------------------------------------------------

    def show(self, image: Array, name: str | None = None, lut: str | None = None) -> str:
        """Show an array as an image in Fiji.

        Parameters
        ----------
        image
            (y, x), (z, y, x), (c, z, y, x) or (t, c, z, y, x); a DataArray says its axes itself and keeps its
            calibration. Types that ImageJ does not have are converted without a wrong value, see
            :func:`fijibridge.image.imagej_pixels`.
        name
            Its title; the DataArray's own name, or ``"image"``, if left out.
        lut
            A lookup table of ImageJ, such as ``"Fire"`` or ``"Grays"``.

        Returns
        -------
        str
            The title, made unique as ImageJ does it (``"image-1"``).
        """
        from fijibridge.fiji.pixels import to_imageplus

        source = as_image(image)
        title = self._free_title(name or str(source.name or "image"))
        imp = to_imageplus(source, title)
        if lut is not None:
            self._set_lut(imp, lut)
        imp.show()
        return str(imp.getTitle())

    def show_labels(self, labels: Array, over: Array | str | int | None = None, name: str | None = None) -> str:
        """Show a label image in distinct colours, and the cells' outlines over the image that they were found in.

        Parameters
        ----------
        labels
            (y, x) or (z, y, x), 0 = background (black).
        over
            An image, or the title or id of an open one, that gets the cells as its overlay, named by their ids.
        name
            Title of the label image; ``"labels"`` if left out.

        Returns
        -------
        str
            Title of the label image.
        """
        from fijibridge.fiji.pixels import to_imageplus

        source = as_image(labels)
        array = as_labels(source)
        source = source.copy(data=imagej_pixels(array))
        imp = to_imageplus(source, self._free_title(name or "labels"))
        imp.setLut(self._label_lut())
        imp.setDisplayRange(0, 255)
        if array.max(initial=0) > 255:
            imp.setOverlay(self._painted(array))
        imp.show()
        if over is not None:
            self._outline(self._target(over, array.shape), labels_to_rois(array))
        return str(imp.getTitle())

    def add_rois(self, rois: Iterable[Roi], title: str | int | None = None) -> None:
        """Add ROIs to an image's overlay, and to the ROI Manager where there is a display.

        Parameters
        ----------
        rois
            In pixels of the image.
        title
            The image; None for the active one.
        """
        items = list(rois)
        imp = self._find(title)
        decoded = self._decoded(items, imp)
        overlay = imp.getOverlay() or self._java("ij.gui.Overlay")()
        for roi in decoded:
            overlay.add(roi)
        imp.setOverlay(overlay)
        if self.mode == "interactive":
            self._add_to_manager(decoded)

    def show_table(self, frame: pd.DataFrame, name: str = "Results") -> None:
        """Show a DataFrame as a table in Fiji; the one of that name is replaced.

        ``"Results"`` is the table that ImageJ's own Measure writes to. Without a display ImageJ has only that one.

        Raises
        ------
        SessionError
            For another table without a display.
        """
        from fijibridge.fiji.tables import from_dataframe

        if self.mode == "headless" and name != "Results":
            raise SessionError(f"without a display ImageJ has one table, 'Results': it cannot show {name!r}")
        self._show_java_table(from_dataframe(frame), name)

    def measure(
        self,
        cells: Array | Sequence[Roi],
        image: Array | str | int | None = None,
        measurements: Sequence[str] | None = None,
        *,
        name: str = "Results",
    ) -> pd.DataFrame:
        """Let ImageJ measure cells, and show its Results table.

        Parameters
        ----------
        cells
            A label image, or ROIs.
        image
            Where to measure: an array, or the title or id of an open image; None for the active one. Its pixel size
            gives the units.
        measurements
            Names out of :data:`fijibridge.fiji.tables.MEASUREMENTS` and ImageJ's other ones; those if left out.
        name
            Title of the table.

        Returns
        -------
        pandas.DataFrame
            One row per cell, in the order of the ids (of the ROIs): ``label``, the id or the ROI's name, and ImageJ's
            columns, ``Area``, ``Mean`` ... Of a (z, y, x) label image one row per cell and slice, with the slice
            (from 1) as ``slice``.

        Notes
        -----
        It is ``ij.plugin.filter.Analyzer`` that measures, the code behind Analyze ▸ Measure.
        """
        from fijibridge.fiji.tables import MEASUREMENTS, measure_rois

        rois = list(cells) if isinstance(cells, Sequence) else labels_to_rois(cells)
        if not all(isinstance(r, Roi) for r in rois):
            raise RoiError("measure takes a label image or a list of fijibridge.Roi")
        if not rois:
            raise RoiError("there is no cell to measure")
        imp = self._measured_on(image, cells)
        table = measure_rois(imp, self._decoded(rois), measurements or MEASUREMENTS)
        if any(r.position for r in rois):
            table.insert(0, "slice", [r.position for r in rois])
        names = [r.name for r in rois]
        table.insert(0, "label", [int(n) for n in names] if all(n.isdigit() for n in names) else names)
        self.show_table(table, name)
        return table

    def run_macro(self, code: str, argument: str = "") -> str:
        """Run a macro of ImageJ, and return what it returns.

        Raises
        ------
        MacroError
            If ImageJ refuses it.
        """
        from fijibridge.fiji import commands

        self._java("ij.IJ")  # refuses a closed session
        return commands.run_macro(code, argument)

    # --- inside -------------------------------------------------------------------------------------

    def _java(self, name: str) -> Any:
        if self.closed:
            raise SessionError("this Fiji session was closed: start one with fijibridge.Fiji.start()")
        import jpype

        return jpype.JClass(name)

    def _open(self) -> list[Any]:
        manager = self._java("ij.WindowManager")
        found = [manager.getImage(int(i)) for i in manager.getIDList() or ()]
        return [imp for imp in found if imp is not None]  # closed by the user in between

    def _free_title(self, title: str) -> str:
        """Return the title, with -1, -2 ... behind it if it is taken, as ImageJ does it."""
        taken, free, count = set(self.titles()), title, 0
        while free in taken:
            count += 1
            free = f"{title}-{count}"
        return free

    def _find(self, title: str | int | None) -> Any:
        manager = self._java("ij.WindowManager")
        if title is None:
            active = manager.getCurrentImage()
            if active is None:
                raise NoImageError("no image is open in Fiji")
            return active
        found = [
            i for i in self._open() if (int(i.getID()) == title if isinstance(title, int) else i.getTitle() == title)
        ]
        if not found:
            raise NoImageError(f"no open image {title!r}; open are {self.titles()}")
        if len(found) > 1:
            ids = [int(i.getID()) for i in found]
            raise NoImageError(f"{len(found)} open images are called {title!r}: say which by its id, one of {ids}")
        return found[0]

    def _java_rois(self, source: Source | None, title: str | int | None) -> list[Any]:
        if source not in (None, "manager", "overlay", "image"):
            raise RoiError(f"source={source!r}; expected 'manager', 'overlay' or 'image'")
        if source in (None, "manager"):
            manager = self._java("ij.plugin.frame.RoiManager").getInstance2() if self.mode == "interactive" else None
            if (manager is not None and int(manager.getCount())) or source == "manager":
                return list(manager.getRoisAsArray()) if manager is not None else []
        imp = self._find(title)
        if source in (None, "overlay"):
            overlay = imp.getOverlay()
            drawn = [] if overlay is None else [roi for roi in overlay.toArray() if str(roi.getName()) != _PAINT]
            if drawn or source == "overlay":
                return drawn
        roi = imp.getRoi()
        return [] if roi is None else [roi]

    def _decoded(self, rois: Sequence[Roi], imp: Any = None) -> list[Any]:
        """Make ImageJ's ROIs; on a hyperstack a slice is a z, which ImageJ keeps apart from a position."""
        import jpype

        decode = self._java("ij.io.RoiDecoder").openFromByteArray
        decoded = [decode(jpype.JArray(jpype.JByte)(np.frombuffer(r.to_bytes(), np.int8))) for r in rois]
        if imp is not None and imp.isHyperStack():
            for roi, java_roi in zip(rois, decoded, strict=True):
                if roi.data.position:
                    java_roi.setPosition(0, roi.position, 0)
        return decoded

    def _add_to_manager(self, rois: Sequence[Any]) -> None:
        manager = self._java("ij.plugin.frame.RoiManager").getRoiManager()
        for roi in rois:
            manager.addRoi(roi)
            # addRoi keeps a copy, on the slice that the active image happens to show
            copy = manager.getRoi(manager.getCount() - 1)
            if roi.hasHyperStackPosition():
                copy.setPosition(roi.getCPosition(), roi.getZPosition(), roi.getTPosition())
            else:
                copy.setPosition(roi.getPosition())
        manager.runCommand("Show None")  # the overlay shows them already

    def _set_lut(self, imp: Any, lut: str) -> None:
        table = self._java("ij.plugin.LutLoader").getLut(lut)
        if table is None:
            names = [str(n) for n in self._java("ij.IJ").getLuts() or ()]
            raise ImageError(f"ImageJ has no lookup table {lut!r}; there are {', '.join(names)}")
        low, high = float(imp.getDisplayRangeMin()), float(imp.getDisplayRangeMax())
        imp.setLut(self._java("ij.process.LUT")(table, low, high))

    def _label_lut(self) -> Any:
        import jpype

        colours = (_palette() * 255).round().astype(np.uint8)
        bands = [jpype.JArray(jpype.JByte)(np.ascontiguousarray(colours[:, i]).view(np.int8)) for i in range(3)]
        return self._java("ij.process.LUT")(*bands)

    def _painted(self, labels: npt.NDArray[Any]) -> Any:
        """Return an overlay with the colour of each id: a lookup table has but 256 colours, and spreads them."""
        from fijibridge.fiji.pixels import copy_to_java

        overlay = self._java("ij.gui.Overlay")()
        colours = (_palette() * 255).round().astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
        planes = labels if labels.ndim == 3 else labels[None]
        for z, plane in enumerate(planes, start=1):
            packed = colours[_colour_index(plane)].astype(np.int32)
            picture = self._java("ij.process.ColorProcessor")(plane.shape[1], plane.shape[0], copy_to_java(packed))
            roi = self._java("ij.gui.ImageRoi")(0, 0, picture)
            roi.setName(_PAINT)
            roi.setPosition(z if labels.ndim == 3 else 0)
            overlay.add(roi)
        return overlay

    def _target(self, over: Array | str | int, shape: tuple[int, ...]) -> Any:
        """Return the open image to draw on, showing it first if it is an array."""
        title = over if isinstance(over, str | int) else self.show(over)
        imp = self._find(title)
        if (int(imp.getHeight()), int(imp.getWidth())) != shape[-2:]:
            raise ImageError(f"labels have shape {shape} but {title!r} is {imp.getHeight()} x {imp.getWidth()} (y, x)")
        return imp

    def _outline(self, imp: Any, rois: Sequence[Roi]) -> None:
        overlay, color = self._java("ij.gui.Overlay")(), self._java("java.awt.Color")
        palette = [color(*map(float, c)) for c in _palette()[1:]]
        for roi, java_roi in zip(rois, self._decoded(rois, imp), strict=True):
            java_roi.setStrokeColor(palette[(int(roi.name) - 1) % 255])
            overlay.add(java_roi)
        imp.setOverlay(overlay)

    def _measured_on(self, image: Array | str | int | None, cells: Any) -> Any:
        from fijibridge.fiji.pixels import to_imageplus

        if image is None or isinstance(image, str | int):
            imp = self._find(image)
        else:
            source = as_image(image)
            imp = to_imageplus(source, str(source.name or "image"))
        if hasattr(cells, "shape") and (int(imp.getHeight()), int(imp.getWidth())) != tuple(cells.shape[-2:]):
            raise ImageError(
                f"labels have shape {cells.shape}, the image is {imp.getHeight()} x {imp.getWidth()} (y, x)"
            )
        return imp

    def _show_java_table(self, table: Any, name: str) -> None:
        if self.mode == "interactive":
            table.show(name)
        if name == "Results":
            self._java("ij.plugin.filter.Analyzer").setResultsTable(table)

    def _open_window(self) -> None:
        """Open ImageJ's main window, whose closing must not end Python."""
        if self._gateway is not None:
            self._gateway.ui().showUI()
            frame = self._java("ij.IJ").getInstance()
        else:
            frame = self._java("ij.IJ").getInstance()
            if frame is None:
                main = self._java("ij.ImageJ")
                frame = main(main.STANDALONE)
        if frame is not None:
            frame.exitWhenQuitting(False)

    def _close_everything(self) -> None:
        import jpype

        manager = jpype.JClass("ij.WindowManager")
        for image in [manager.getImage(int(i)) for i in manager.getIDList() or ()]:
            if image is not None:
                image.changes = False
                image.close()
        if self.mode == "interactive":
            for window in manager.getNonImageWindows() or ():
                # close() clears what ImageJ remembers of a window (the ROI Manager), dispose() does not
                window.close() if hasattr(window, "close") else window.dispose()
            frame = jpype.JClass("ij.IJ").getInstance()
            if frame is not None and self._gateway is None:
                frame.exitWhenQuitting(False)
                frame.quit()  # on a thread of its own
                _wait_until(lambda: jpype.JClass("ij.IJ").getInstance() is None)


def _wait_until(done: Callable[[], bool], seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not done() and time.monotonic() < end:
        time.sleep(0.02)


def _palette() -> npt.NDArray[np.float64]:
    """Return black, then 255 colours of the Glasbey palette, each as different as can be from those before."""
    import colorcet

    return np.array([(0, 0, 0), *colorcet.glasbey_bw_minc_20[:255]], float)


def _colour_index(labels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    ids = labels.astype(np.int64)
    return np.where(ids > 0, (ids - 1) % 255 + 1, 0)


def _checked_mode(mode: Mode | None) -> Mode:
    if mode is None:
        return "interactive" if jvm.display_problem() is None else "headless"
    if mode not in ("headless", "interactive"):
        raise StartError(f"mode={mode!r}; expected 'headless' or 'interactive'")
    problem = jvm.display_problem() if mode == "interactive" else None
    if problem is not None:
        raise StartError(f"mode='interactive' needs a display: {problem}")
    return mode


def _resolved(where: str | os.PathLike[str] | None) -> str | Path:
    """Return 'embedded', a Fiji folder, or Maven coordinates."""
    if where is None:
        return jvm.find_fiji() or jvm.FIJI_COORDINATES
    text = os.fspath(where)
    if text == "embedded":
        return text
    if isinstance(where, str) and re.fullmatch(rf"{_COORDINATE}(\+{_COORDINATE})*", text) and not Path(text).exists():
        return text
    return jvm.fiji_folder(text)


def _refuse_another(wanted: dict[str, Any], memory: str | None) -> None:
    if "failed" in _started:
        raise StartError(
            f"an earlier start failed, and left a JVM that cannot be used ({_started['failed']}): start a fresh Python"
        )
    if not _started:
        raise StartError(
            "this process already runs a JVM that fijibridge did not start. A process has one JVM: start Fiji first, "
            "in a fresh Python"
        )
    running = {k: _started[k] for k in wanted}
    if running != wanted:
        raise StartError(f"this process already runs {_told(running)}; {_told(wanted)} needs a fresh Python process")
    if memory is not None:
        log.warning("memory=%s is ignored: the JVM of this process is already running", memory)


def _told(kind: dict[str, Any]) -> str:
    return f"Fiji.start({str(kind['where'])!r}, mode={kind['mode']!r})"


def _start(cls: type[Fiji], where: str | Path, mode: Mode, memory: str | None) -> Fiji:
    if where == "embedded":
        java = jvm.start_embedded(headless=mode == "headless", memory=memory)
        return cls("embedded", mode, java, None)
    java, gateway = jvm.start_pyimagej(where, mode, memory)
    return cls(_flavor(gateway), mode, java, gateway)


def _flavor(gateway: Any) -> str:
    """Tell Fiji from a plain ImageJ2 by the application that registered itself."""
    names = [str(app.getTitle()) for app in gateway.app().getApps().values()]
    return "fiji" if "Fiji" in names else "imagej2"
