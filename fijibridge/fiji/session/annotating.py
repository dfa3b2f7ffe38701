"""Cells that people draw and correct in Fiji: put there, pulled back, and kept as a folder of images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import FijiBridgeWarning, ImageError, RoiError
from fijibridge.fiji.session.working import Working
from fijibridge.files.names import file_name
from fijibridge.image import Array, as_image, as_labels, first_channel, in_order
from fijibridge.rois import labels_to_rois, rois_to_mask

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset
    from fijibridge.fiji.rois import Source
    from fijibridge.fiji.windows import Which


_EDITED = "fijibridge.edited"
"""The property of the image whose cells are edited in the ROI Manager."""
_PULLED = "pulled"
"""Its value once the overlay has what was edited there."""
_VARIES = "fijibridge.region"
"""The property of an image whose known part no selection can hold."""


class Annotating(Working):
    """The part of a session in which people draw and correct cells."""

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
        from fijibridge.fiji import rois as fiji_rois

        target = self._target(title, as_labels(cells).shape)
        rois = labels_to_rois(cells)
        target.setOverlay(None)
        if self.mode == "interactive":
            manager = fiji_rois.manager()
            if manager is not None:
                manager.reset()
        self.add_rois(rois, int(target.getID()))
        for imp in self._windows().open_images():
            imp.setProperty(
                _EDITED, "manager" if self.mode == "interactive" and imp.getID() == target.getID() else None
            )
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
            pixels were painted. Left out, where :meth:`edit_cells` put them to be edited; else the ROI Manager if it
            holds ROIs, else the overlay.

        Returns
        -------
        xarray.DataArray
            Label image of the shape, axes and calibration of `before`, ``attrs["provenance"]`` = ``"corrected"``. Cells
            keep their ids; new ones, and all but the largest part of a changed one that lies in several (cut by a line
            of 0), get ids above the highest. They are the overlay of the image from then on, which
            :meth:`save_training_set` saves.

        Raises
        ------
        RoiError
            If the ROI Manager was closed in which they were edited.
        ImageError
            If a painted label image has another shape than `before`, or holds values that are no ids.

        See Also
        --------
        fijibridge.changed_cells : what was changed.
        fijibridge.save_dataset : keep them, with their provenance.
        """
        from fijibridge.cells.corrections import changed_cells, labels_from_corrected, split_parts
        from fijibridge.fiji import rois as fiji_rois

        known = in_order(before) if isinstance(before, xr.DataArray) else as_image(before)
        if source == "labels":
            painted = self.image(title)
            if painted.shape != known.shape:
                raise ImageError(
                    f"{painted.name!r} has shape {painted.shape}, the cells were {known.shape}: title=... must name "
                    "the label image that was painted"
                )
            labels = known.copy(data=as_labels(painted, str(painted.name)))
        else:
            # the ROI Manager may outlive its image
            target = self._target(title, known.shape) if title is not None or self.titles() else None
            rois = fiji_rois.from_java(self._edited(source, title, target))
            labels = labels_from_corrected(rois, known)
        labels = split_parts(labels, changed_cells(known, labels)["label"])
        labels.attrs = {"provenance": "corrected"}
        if source != "labels" and target is not None:
            fiji_rois.outline(target, labels_to_rois(labels), None)
            if target.getProperty(_EDITED) is not None:
                target.setProperty(_EDITED, _PULLED)
        return labels

    def _edited(self, source: Source | None, title: Which, target: Any) -> list[Any]:
        """Return the ROIs of cells that were edited, also if none is left."""
        if source is None and target is not None and _in_manager(target):
            source = "manager"
        return self._java_rois(source, title)

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
        """Save open images and their cells as a folder that :meth:`Dataset.open` reads and a network is trained on.

        Parameters
        ----------
        folder
            Made if it is not there.
        titles
            Of the open images; left out, all that have cells in their overlay or in `cells`.
        cells
            Title of the label image of each image. Without one, the areas of its overlay are its cells: one named by a
            number has that id. A single image may have them in the ROI Manager instead.
        region
            ``"selection"``: the truth is known only inside the selection of each image that has one.
        overwrite
            Whether a training set that is there already may be replaced.
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
            If a region is asked for that differs from slice to slice, which a selection cannot say.
        DatasetError
            If a training set is there already, or a field is wrong.

        Notes
        -----
        The name of an image is its title without the ending of a file; what no file name may hold becomes ``_``.
        """
        from fijibridge.dataset import save_dataset

        cells = dict(cells or {})
        chosen = self._annotated(cells) if titles is None else list(titles)
        if not chosen:
            raise RoiError(
                f"no open image has cells in its overlay: draw some and add them with [b]; open: {self.titles()}"
            )
        others = [title for title in cells if title not in chosen]
        if others:
            raise RoiError(f"cells are named for {others}, but the images that are saved are {chosen}")
        images: dict[str, dict[str, Array]] = {}
        for title in chosen:
            image = self.image(title)
            name = file_name(title)
            if name in images:
                raise ImageError(f"two images would be saved as {name!r}: rename one of {chosen}")
            images[name] = {"image": image, "labels": self._cells_of(title, image, cells.get(title), len(chosen) == 1)}
            if region is not None:
                images[name]["region"] = self._known_part(title, image)
        return save_dataset(images, folder, overwrite=overwrite, **fields)

    def open_training_set(
        self, folder: str | os.PathLike[str] | Dataset, names: Sequence[str] | None = None
    ) -> dict[str, str]:
        """Open the images of a training set, each with its cells as its overlay and its known region as its selection.

        Parameters
        ----------
        folder
            With a ``dataset.toml``; or a dataset that is open.
        names
            Of its images; all if left out.

        Returns
        -------
        dict
            Title of the open image by the name of the image.

        Warns
        -----
        FijiBridgeWarning
            If the known region of a stack differs from slice to slice: no selection can show it.
        """
        from fijibridge.dataset import Dataset
        from fijibridge.fiji import rois as fiji_rois

        dataset = folder if isinstance(folder, Dataset) else Dataset.open(folder)
        titles = {}
        for name in dataset.names() if names is None else names:
            item = dataset[name]
            title = titles[name] = self.show(item.image(), name=name, new=True)
            imp = self._find(title)
            if not item.missing("labels"):
                fiji_rois.outline(imp, labels_to_rois(item.labels()), None)
            known = item.region()
            if known is not None and known.values.any():
                self._select_known(imp, known.values != 0)
        return titles

    def _select_known(self, imp: Any, known: npt.NDArray[np.bool_]) -> None:
        from fijibridge.fiji import rois as fiji_rois

        plane = known.reshape(-1, *known.shape[-2:])[0]
        if not (known == plane).all():
            imp.setProperty(_VARIES, "slices")
            warnings.warn(
                f"the known region of {str(imp.getTitle())!r} differs from slice to slice: no selection can show it, "
                "and save_training_set(region='selection') cannot save it",
                FijiBridgeWarning,
                stacklevel=3,
            )
            return
        imp.setRoi(fiji_rois.to_java([roi.at() for roi in labels_to_rois(plane.astype(np.uint8))], imp)[0])

    def _annotated(self, cells: Mapping[str, str]) -> list[str]:
        """Return the titles of the open images that have cells, and are none themselves."""
        from fijibridge.fiji import rois as fiji_rois

        used = set(cells.values())
        drawn = [imp for imp in self._windows().open_images() if fiji_rois.drawn(imp)]
        with_cells = {str(imp.getTitle()) for imp in drawn} | set(cells)
        return [title for title in self.titles() if title in with_cells - used]

    def _cells_of(self, title: str, image: xr.DataArray, labelled: str | None, alone: bool) -> xr.DataArray:
        from fijibridge.cells.corrections import drawn_cells
        from fijibridge.fiji import rois as fiji_rois

        if labelled is not None:
            array = as_labels(self.image(labelled), labelled)
            shape = tuple(n for d, n in image.sizes.items() if d != "c")
            if array.shape != shape:
                raise ImageError(f"{labelled!r} has shape {array.shape}, but {title!r} {shape} (without channels)")
            return _spatial(image, array)
        edited = _in_manager(self._find(title))
        found = [] if edited else self._java_rois("overlay", title)
        found = found or (self._java_rois("manager", title) if alone or edited else [])
        cells = drawn_cells(fiji_rois.from_java(found), image)
        if cells is None:
            raise RoiError(f"{title!r} has no cells: draw areas and add them to its overlay with [b]")
        return cells

    def _known_part(self, title: str, image: xr.DataArray) -> xr.DataArray:
        from fijibridge.fiji import rois as fiji_rois

        if self._find(title).getProperty(_VARIES) is not None and self._find(title).getRoi() is None:
            raise ImageError(
                f"the known region of {title!r} differs from slice to slice, which no selection says: select one that "
                "holds for all slices, or save the region with fijibridge.save_dataset"
            )
        shape = [n for d, n in image.sizes.items() if d != "c"]
        selected = fiji_rois.from_java(self._java_rois("image", title))
        known = rois_to_mask([roi.at() for roi in selected], shape) if selected else np.ones(shape, bool)
        return _spatial(image, known.astype(np.uint8))


def _in_manager(imp: Any) -> bool:
    """Whether the cells of an image are edited in the ROI Manager.

    Raises
    ------
    RoiError
        If that was closed before they were pulled.
    """
    from fijibridge.fiji import rois as fiji_rois

    state = imp.getProperty(_EDITED)
    if state is None:
        return False
    if fiji_rois.manager() is None and str(state) != _PULLED:
        raise RoiError(
            "the ROI Manager is closed in which the cells were edited, and what was changed there is lost; "
            "corrected_cells(source='overlay') takes the cells as they were put there"
        )
    return fiji_rois.manager() is not None


def _spatial(image: xr.DataArray, array: npt.NDArray[Any]) -> xr.DataArray:
    """Give an array the axes of an image without its channels."""
    one = first_channel(image)
    return xr.DataArray(array, dims=one.dims, coords=one.coords)
