"""Cells that are corrected by hand in Fiji: put there to be edited, and pulled back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.fiji.working import Working
from fijibridge.image import Array, as_image, as_labels
from fijibridge.rois import labels_to_rois

if TYPE_CHECKING:
    from fijibridge.fiji.overlays import Source
    from fijibridge.fiji.windows import Which


class Correcting(Working):
    """The part of a session in which people correct cells."""

    def edit_cells(self, cells: Array, title: Which = None) -> str:
        """Put cells over an open image to be edited: as its overlay and, with windows, in the ROI Manager.

        Parameters
        ----------
        cells
            Label image, (y, x) or (z, y, x).
        title
            The open image; None for the active one. Its overlay and the ROI Manager are emptied before.

        Returns
        -------
        str
            Title of the image.

        Notes
        -----
        In the ROI Manager: click a cell and drag its outline or paint it with the selection brush, then *Update*;
        *Delete* removes it; a new outline is added with [t]. To cut a cell in two, delete it and draw both.
        """
        from fijibridge.fiji import overlays

        target = self._target(title, as_labels(cells).shape)
        rois = labels_to_rois(cells)
        target.setOverlay(None)
        if self.mode == "interactive":
            manager = overlays.manager()
            if manager is not None:
                manager.reset()
        self.add_rois(rois, int(target.getID()))
        return str(target.getTitle())

    def corrected_cells(
        self, before: Array, title: Which = None, source: Source | Literal["labels"] | None = None
    ) -> xr.DataArray:
        """Pull cells back that were edited in Fiji.

        Parameters
        ----------
        before
            The cells as they were put there, by :meth:`edit_cells` or :meth:`show_labels`.
        title
            The open image whose ROIs they are; None for the active one.
        source
            Where the edited ones are: ``"manager"``, ``"overlay"``; or ``"labels"``: `title` is a label image, whose
            pixels were painted. Left out, the ROI Manager if it holds ROIs, else the overlay.

        Returns
        -------
        xarray.DataArray
            Label image of the shape, axes and calibration of `before`, ``attrs["provenance"]`` = ``"corrected"``. Cells
            keep their ids; new ones, and all but the largest part of one that was cut by a line of 0, get ids above
            the highest.

        Raises
        ------
        ImageError
            If a painted label image has another shape than `before`, or holds values that are no ids.

        See Also
        --------
        fijibridge.list_changes : what was changed.
        fijibridge.save_dataset : keep them, with their provenance.
        """
        from fijibridge.cells.corrections import labels_from_corrected, separate_parts
        from fijibridge.fiji import overlays

        known = before if isinstance(before, xr.DataArray) else as_image(before)
        if source == "labels":
            painted = self.image(title)
            if painted.shape != known.shape:
                raise ImageError(
                    f"{painted.name!r} has shape {painted.shape}, the cells were {known.shape}: title=... must name "
                    "the label image that was painted"
                )
            labels = known.copy(data=as_labels(painted, str(painted.name)))
        else:
            rois = overlays.from_java(self._java_rois(source, title))
            labels = labels_from_corrected(rois, known)
        labels = separate_parts(labels)
        labels.attrs = {"provenance": "corrected"}
        return labels
