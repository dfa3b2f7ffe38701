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
        """Copy an open table into Python. Numbers become float64, text becomes str, and missing numbers become NaN.

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
        """Show a DataFrame as a table in Fiji.

        An open table with the same title is replaced; :meth:`undo` restores it. ``"Results"`` is the table that
        ImageJ's Measure command writes to. Without a display, ImageJ has no other tables. The session then keeps all
        other tables itself, so :meth:`table` and :meth:`tables` find them, but macros do not.

        Parameters
        ----------
        frame
            Columns of numbers or text, which may have missing values. A named index becomes the first column.
        name
            Title of the table.
        select_in
            Title or id of an open image. If the user clicks a row, the ROI whose name is in the row's column ``label``
            is selected in this image and scrolled into view. The ROI is searched for in the image's overlay, then in
            the ROI Manager. By default, a click selects no ROI.
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
            A label image, ROIs, or the source of ROIs in Fiji, see :meth:`rois`: ``"overlay"``, ``"manager"`` or
            ``"image"``.
        image
            The image to measure: an array, or the title or id of an open image; None for the active one. The units of
            the results come from the image's calibration.
        measurements
            Names from :data:`fijibridge.fiji.analyzer.ALL_MEASUREMENTS`; by default
            :data:`fijibridge.fiji.analyzer.MEASUREMENTS`.
        channel
            0-based index or name of the channel to measure; by default, the channel that is shown.
        name
            Title of the table. If Fiji has windows, a click on a row selects that cell in the open image.

        Returns
        -------
        pandas.DataFrame
            One row per cell, in the order of the ids or ROIs. The column ``label`` contains the id or the ROI's name;
            ``Area``, ``Mean`` and similar columns are ImageJ's. For a (z, y, x) label image, there is one row per cell
            and slice, and the column ``slice`` contains the 1-based number of the slice. For ROIs on a hyperstack,
            there are also the columns ``frame`` and ``channel``. ``attrs["unit"]`` is the unit of length.

        Notes
        -----
        The measurements are made by ``ij.plugin.filter.Analyzer``, the class behind Analyze ▸ Measure.
        """
        self._ready()
        table, open_id = analyzer.measure(cells, image, measurements, channel)
        self._tables.show(table, name, open_id)
        return table

    def plot(self, curves: Any, name: str = "Plot", *, xlabel: str | None = None, ylabel: str = "value") -> str:
        """Show curves in an ImageJ plot window, and return the window's title.

        Parameters
        ----------
        curves
            A DataFrame, whose columns are plotted against its index; a Series; or a list of numbers.
        name, xlabel, ylabel
            Title of the window and labels of the axes. An open plot with the title `name` is replaced. By default,
            `xlabel` is the name of the index.
        """
        self._ready()
        frame = plots.curves_of(curves)
        plot = plots.line_plot(frame, name, xlabel or str(frame.index.name or "index"), ylabel)
        return str(plots.show(plot, name).getTitle())

    def histogram(self, values: npt.ArrayLike, bins: int = 100, name: str = "Histogram", xlabel: str = "value") -> str:
        """Show a histogram in an ImageJ plot window, and return the window's title.

        An open plot with the title `name` is replaced.
        """
        self._ready()
        plot = plots.histogram_plot(np.asarray(values), bins, name, xlabel)
        return str(plots.show(plot, name).getTitle())
