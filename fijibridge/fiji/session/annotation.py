"""Annotation in Fiji: edit cells, copy them back into Python, and save them as a training set."""

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
from fijibridge.renames import renamed_keywords

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset


class Annotation(Base):
    """Methods for drawing and correcting cells by hand."""

    @renamed_keywords(title="over")
    def edit_cells(self, cells: Array, over: Which = None) -> str:
        """Make cells editable as ROIs, in an open image's overlay and, if Fiji has windows, in the ROI Manager.

        Parameters
        ----------
        cells
            Label image, (y, x) or (z, y, x).
        over
            The open image; None for the active one. Its overlay and the ROI Manager are cleared first.

        Returns
        -------
        str
            Title of the image.

        Notes
        -----
        To correct a cell, click it in the ROI Manager, drag its outline or change the outline with the selection brush,
        then press *Update*. *Delete* removes the cell. To add a cell, draw its outline and press [t]. To split a cell,
        delete it and draw both parts.
        """
        self._ready()
        return annotation.edit_cells(cells, over)

    def corrected_cells(
        self, before: Array, title: Which = None, source: Source | Literal["labels"] | None = None
    ) -> xr.DataArray:
        """Copy cells that were edited in Fiji back into Python.

        Parameters
        ----------
        before
            The cells before editing, as passed to :meth:`edit_cells` or :meth:`show_labels`.
        title
            The open image with the edited ROIs; None for the active one.
        source
            Where the edited ROIs are: ``"manager"`` (ROI Manager) or ``"overlay"``. Use ``"labels"`` if the pixels of
            the label image `title` were painted. By default, the place where :meth:`edit_cells` put the ROIs; if it put
            none, the ROI Manager if it contains ROIs, else the overlay.

        Returns
        -------
        xarray.DataArray
            Label image with the shape, axes and calibration of `before`; ``attrs["provenance"]`` is ``"corrected"``.
            Cells keep their ids; new cells get ids above the highest existing id. If a line of zeros cuts a changed
            cell into parts, the largest part keeps the id. The cells replace the overlay of the image, so that
            :meth:`save_training_set` saves them.

        Raises
        ------
        RoiError
            If the ROI Manager in which the cells were edited was closed.
        ImageError
            If a painted label image differs in shape from `before`, or contains a value that is not a valid id.

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
        """Save open images and their cells as a training set, in a folder that :meth:`Dataset.open` reads.

        Parameters
        ----------
        folder
            Folder of the training set, which is created if it does not exist.
        titles
            Titles of the open images to save. By default, all images that have cells in their overlay, or that are
            named in `cells`.
        cells
            Title of each image's label image, by the title of the image. The cells of all other images are the areas in
            their overlay; if the name of an area is a number, it becomes the id of the cell. If only one image is
            saved, its cells may also be in the ROI Manager.
        region
            With ``"selection"``, the true cells of an image that has a selection are known only inside the selection.
        overwrite
            Replace an existing training set.
        **fields
            Fields of :class:`fijibridge.Description`, such as ``provenance="manual"``, ``membranes="dark"`` or
            ``split={...}``.

        Returns
        -------
        fijibridge.Dataset

        Raises
        ------
        RoiError
            If an image has no cells, or `cells` names an image that is not saved.
        ImageError
            If the known region of an image differs between slices. Such a region cannot be saved, because an ImageJ
            selection is the same on every slice.
        DatasetError
            If the folder already contains a training set, or a field is invalid.

        Notes
        -----
        The name of an image in the training set is its title without file extension. Characters that are not allowed in
        file names become ``_``.
        """
        self._ready()
        return annotation.save_training_set(folder, titles, dict(cells or {}), region, overwrite, fields)

    def open_training_set(
        self, folder: str | os.PathLike[str] | Dataset, names: Sequence[str] | None = None
    ) -> dict[str, str]:
        """Open the images of a training set, with the cells as overlay and the known region as selection.

        Parameters
        ----------
        folder
            A folder with a ``dataset.toml``, or a :class:`fijibridge.Dataset`.
        names
            Names of the images to open; by default, all images.

        Returns
        -------
        dict
            Titles of the open images, by image name.

        Warns
        -----
        FijiBridgeWarning
            If the known region of a stack differs between slices, because no selection can show such a region.
        """
        self._ready()
        return annotation.open_training_set(folder, names)
