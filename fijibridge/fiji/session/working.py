"""Measuring in Fiji, and working in Fiji and Python at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from fijibridge.errors import ImageError, MacroError, RoiError, SessionError
from fijibridge.fiji.session.judging import Judging
from fijibridge.image import Array, as_image, in_order
from fijibridge.imagej.measurements import places_of
from fijibridge.rois import Roi, labels_to_rois

if TYPE_CHECKING:
    from fijibridge.fiji.rois import Source
    from fijibridge.fiji.windows import Callback, Kind, Which


class Working(Judging):
    """The part of a session that measures, and that lets user and program take turns."""

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
            Names out of :data:`fijibridge.fiji.analyzer.ALL_MEASUREMENTS`; those of
            :data:`fijibridge.fiji.analyzer.MEASUREMENTS` if left out.
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
        from fijibridge.fiji import analyzer
        from fijibridge.fiji import rois as fiji_rois

        cells = in_order(cells) if isinstance(cells, xr.DataArray) else cells
        rois = self._cells(cells, image)
        imp, open_id = self._measured_on(image, cells)
        java = fiji_rois.to_java(rois)
        table = analyzer.measure_rois(imp, java, measurements or analyzer.MEASUREMENTS, _channel_number(imp, channel))
        for column, places in places_of(rois).items():
            table.insert(0, column, places)
        names = [r.name for r in rois]
        numbers = all(n.isascii() and n.isdigit() for n in names)
        table.insert(0, "label", [int(n) for n in names] if numbers else names)
        table.attrs["unit"] = str(imp.getCalibration().getUnit())
        self.show_table(table, name, select_in=open_id)
        return table

    def select(self, title: Which = None, roi: Roi | str | None = None) -> None:
        """Make an image the active one, and select a ROI in it.

        Parameters
        ----------
        title
            The image; None for the active one.
        roi
            A ROI, or the name of one in its overlay or the ROI Manager. It is scrolled into view, on its slice.
        """
        from fijibridge.fiji import rois as fiji_rois

        imp = self._find(title)
        java = None
        if isinstance(roi, Roi):
            java = fiji_rois.to_java([roi], imp)[0]
        elif roi is not None:
            java = self._named_roi(imp, roi)
            if java is None:
                raise RoiError(f"no ROI {roi!r} in the overlay of {str(imp.getTitle())!r} or the ROI Manager")
        if imp.getWindow() is not None:
            self._java("ij.IJ").selectWindow(imp.getID())
        else:
            self._windows().activate(imp)
        if java is not None:
            fiji_rois.select(imp, java)

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

    def run_macro(self, code: str, argument: str = "") -> str:
        """Run a macro of ImageJ, and return what it returns.

        Raises
        ------
        MacroError
            If ImageJ refuses it.
        """
        from fijibridge.fiji import macros, undo

        self._ready()
        if not isinstance(code, str) or not isinstance(argument, str):
            raise MacroError(
                f"a macro and its argument are texts, not {type(code).__name__}, {type(argument).__name__}"
            )
        undo.wait_until_noted()
        return macros.run_macro(code, argument)

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
        from fijibridge.fiji import imageplus
        from fijibridge.fiji import rois as fiji_rois

        if image is None or isinstance(image, str | int):
            imp = self._find(image)
            open_id: int | None = int(imp.getID())
        else:
            source = as_image(image)
            imp = imageplus.to_imageplus(source, str(source.name or "image"))
            came_from = imageplus.open_id(source)
            open_id = came_from if came_from in self.ids() else None
        if hasattr(cells, "shape") and (int(imp.getHeight()), int(imp.getWidth())) != tuple(cells.shape[-2:]):
            raise ImageError(
                f"labels have shape {cells.shape}, the image is {imp.getHeight()} x {imp.getWidth()} (y, x)"
            )
        if getattr(cells, "ndim", 2) == 3:
            planes = fiji_rois.depth(imp)
            if planes != cells.shape[0]:
                raise ImageError(f"labels have {cells.shape[0]} slices, the image has {planes}")
        return imp, open_id


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
