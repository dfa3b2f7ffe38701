"""Annotation in Fiji: cells put there to be edited, pulled back, and saved as a training set."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import xarray as xr

from fijibridge.fiji import annotation
from fijibridge.fiji.rois import Source
from fijibridge.fiji.session.base import Base
from fijibridge.fiji.windows import Which
from fijibridge.image import Array

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset


class Annotation(Base):
    """Methods with which people draw and correct cells."""

    def edit_cells(self, cells: Array, title: Which = None) -> str:
        """Put cells over an open image for editing: as its overlay and, with windows, in the ROI Manager.

        Parameters
        ----------
        cells
            Label image, (y, x) or (z, y, x).
        title
            The open image; None for the active one. Its overlay and the ROI Manager are emptied first.

        Returns
        -------
        str
            Title of the image.

        Notes
        -----
        In the ROI Manager: click a cell and drag its outline or paint it with the selection brush, then *Update*;
        *Delete* removes it; [t] adds a new outline. To cut a cell in two, delete it and draw both.
        """
        self._ready()
        return annotation.edit_cells(cells, title)

    def corrected_cells(
        self, before: Array, title: Which = None, source: Source | Literal["labels"] | None = None
    ) -> xr.DataArray:
        """Pull cells back that were edited in Fiji.

        Parameters
        ----------
        before
            The cells before editing, as given to :meth:`edit_cells` or :meth:`show_labels`.
        title
            The open image with the edited ROIs; None for the active one.
        source
            ``"manager"`` or ``"overlay"``, where the edited ROIs are; or ``"labels"``: `title` is a label image whose
            pixels were painted. By default where :meth:`edit_cells` put them; else the ROI Manager if it holds ROIs,
            else the overlay.

        Returns
        -------
        xarray.DataArray
            Label image with the shape, axes and calibration of `before`, ``attrs["provenance"]`` = ``"corrected"``.
            Cells keep their ids; new ones get ids above the highest, and so do all parts but the largest of a changed
            cell that was cut (by a line of 0). They become the overlay of the image, which :meth:`save_training_set`
            saves.

        Raises
        ------
        RoiError
            If the ROI Manager in which they were edited was closed.
        ImageError
            If a painted label image has another shape than `before`, or holds values that are no ids.

        See Also
        --------
        fijibridge.changed_cells : List the changes.
        fijibridge.save_dataset : Save the cells with their provenance.
        """
        self._ready()
        return annotation.corrected_cells(before, title, source)

    def save_training_set(
        self,
        folder: str | os.PathLike[str],
        titles: Sequence[str] | None = None,
        *,
        cells: Mapping[str, str] | None = None,
        region: Literal["selection"] | None = None,
        overwrite: bool = False,
        **fields: Any,
    ) -> Dataset:
        """Save open images and their cells as a folder that :meth:`Dataset.open` reads, to train a network on.

        Parameters
        ----------
        folder
            Created if it does not exist.
        titles
            Of the open images; by default all that have cells in their overlay or in `cells`.
        cells
            Title of the label image of each image. An image without one has the areas of its overlay as cells: the id
            is the name if that is a number. A single image may have them in the ROI Manager instead.
        region
            ``"selection"``: the truth is known only inside the selection of each image that has one.
        overwrite
            Replace a training set that is already there.
        **fields
            Of :class:`fijibridge.Description`: ``provenance="manual"``, ``membranes="dark"``, ``split={...}``.

        Returns
        -------
        fijibridge.Dataset

        Raises
        ------
        RoiError
            If an image has no cells, or `cells` names one that is not saved.
        ImageError
            If a region is asked for that differs from slice to slice, which a selection cannot hold.
        DatasetError
            If a training set is already there, or a field is wrong.

        Notes
        -----
        The name of an image is its title without a file ending; characters that file names cannot hold become ``_``.
        """
        self._ready()
        return annotation.save_training_set(folder, titles, dict(cells or {}), region, overwrite, fields)

    def open_training_set(
        self, folder: str | os.PathLike[str] | Dataset, names: Sequence[str] | None = None
    ) -> dict[str, str]:
        """Open the images of a training set, each with its cells as its overlay and its known region as its selection.

        Parameters
        ----------
        folder
            A folder with a ``dataset.toml``, or an open data set.
        names
            Names of images to open; all by default.

        Returns
        -------
        dict
            Title of the open image by the name of the image.

        Warns
        -----
        FijiBridgeWarning
            If the known region of a stack differs from slice to slice: no selection can show it.
        """
        self._ready()
        return annotation.open_training_set(folder, names)
