"""Tables in Fiji: copied, shown, measured by ImageJ and plotted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.fiji import analyzer, plots
from fijibridge.fiji import tables as fiji_tables
from fijibridge.fiji.rois import Source
from fijibridge.fiji.session.base import Base
from fijibridge.fiji.windows import Which
from fijibridge.image import Array
from fijibridge.rois import Roi


class Tables(Base):
    """Methods for tables, measurements and plots."""

    def tables(self) -> list[str]:
        """Return the titles of the open tables."""
        self._ready()
        return fiji_tables.table_names()

    def table(self, name: str = "Results") -> pd.DataFrame:
        """Copy an open table into Python: numbers as float64, text as str, missing numbers as NaN.

        Raises
        ------
        SessionError
            If no table with that title is open.
        """
        self._ready()
        return fiji_tables.copy_table(name)

    def show_table(
        self,
        frame: pd.DataFrame | pd.Series | Mapping[str, Any],
        name: str = "Results",
        select_in: Which = None,
        *,
        add: bool = False,
    ) -> None:
        """Show a DataFrame as a table in Fiji; it replaces the open table with that title, which :meth:`undo` restores.

        ``"Results"`` is the table that ImageJ's Measure command writes to. Without a display, ImageJ has no other
        tables; the session keeps them instead, so that :meth:`table` and :meth:`tables` find them but macros do not.

        Parameters
        ----------
        frame
            Columns of numbers or text, with or without missing values. A named index becomes the first column.
        name
            Title of the table.
        select_in
            An open image. A click on a row selects the ROI named in the row's column ``label``, in the image's overlay
            or else in the ROI Manager, and scrolls to it.
        add
            Append the rows to the open table with that title.
        """
        self._ready()
        self._tables.show(frame, name, select_in, add=add)

    def measure(
        self,
        cells: Array | Sequence[Roi] | Source,
        image: Array | Which = None,
        measurements: Sequence[str] | None = None,
        *,
        channel: int | str | None = None,
        name: str = "Results",
    ) -> pd.DataFrame:
        """Measure cells with ImageJ, and show the results as a table.

        Parameters
        ----------
        cells
            A label image, ROIs, or the source of ROIs in Fiji: ``"overlay"``, ``"manager"`` or ``"image"``.
        image
            The image to measure: an array, or the title or id of an open image; None for the active one. Its
            calibration determines the units.
        measurements
            Names from :data:`fijibridge.fiji.analyzer.ALL_MEASUREMENTS`; by default
            :data:`fijibridge.fiji.analyzer.MEASUREMENTS`.
        channel
            0-based index or name of the channel to measure; by default the one that is shown.
        name
            Title of the table. If Fiji has windows, a click on a row selects that cell in the open image.

        Returns
        -------
        pandas.DataFrame
            One row per cell, in the order of the ids or ROIs: ``label``, the id or the ROI's name, and ImageJ's
            columns ``Area``, ``Mean`` ... A (z, y, x) label image has one row per cell and slice, with the 1-based
            number of the slice in ``slice``; ROIs on a hyperstack also have ``frame`` and ``channel``.
            ``attrs["unit"]`` is the unit of length.

        Notes
        -----
        The measurements are made by ``ij.plugin.filter.Analyzer``, the class behind Analyze ▸ Measure.
        """
        self._ready()
        table, open_id = analyzer.measure(cells, image, measurements, channel)
        self._tables.show(table, name, open_id)
        return table

    def plot(self, curves: Any, name: str = "Plot", *, xlabel: str | None = None, ylabel: str = "value") -> str:
        """Show curves in an ImageJ plot window, and return its title; an open plot with that name is replaced.

        Parameters
        ----------
        curves
            A DataFrame, whose columns are plotted against its index; a Series, or a list of numbers.
        name, xlabel, ylabel
            Title of the window and labels of the axes; `xlabel` is the name of the index by default.
        """
        self._ready()
        frame = plots.curves_of(curves)
        plot = plots.line_plot(frame, name, xlabel or str(frame.index.name or "index"), ylabel)
        return str(plots.show(plot, name).getTitle())

    def histogram(self, values: npt.ArrayLike, bins: int = 100, name: str = "Histogram", xlabel: str = "value") -> str:
        """Show a histogram in an ImageJ plot window, and return its title; an open plot with that name is replaced."""
        self._ready()
        plot = plots.histogram_plot(np.asarray(values), bins, name, xlabel)
        return str(plots.show(plot, name).getTitle())
