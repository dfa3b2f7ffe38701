"""Cells that people draw and correct in Fiji: put there, pulled back, and kept as a folder of images."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError, RoiError
from fijibridge.fiji.working import Working
from fijibridge.image import Array, as_image, as_labels
from fijibridge.rois import labels_to_rois, rois_to_mask

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset
    from fijibridge.fiji.overlays import Source
    from fijibridge.fiji.windows import Which


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
            keep their ids; new ones, and all but the largest part of a changed one that lies in several (cut by a line
            of 0), get ids above the highest.

        Raises
        ------
        ImageError
            If a painted label image has another shape than `before`, or holds values that are no ids.

        See Also
        --------
        fijibridge.list_changes : what was changed.
        fijibridge.save_dataset : keep them, with their provenance.
        """
        from fijibridge.cells.diagnosis.corrections import labels_from_corrected, list_changes, separate_parts
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
            if title is not None or self.titles():  # the ROI Manager may outlive its image
                self._target(title, known.shape)
            rois = overlays.from_java(self._java_rois(source, title))
            labels = labels_from_corrected(rois, known)
        labels = separate_parts(labels, list_changes(known, labels)["label"])
        labels.attrs = {"provenance": "corrected"}
        return labels

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
            If an image has no cells.
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
        images: dict[str, dict[str, Array]] = {}
        for title in chosen:
            image = self.image(title)
            name = _file_name(title)
            if name in images:
                raise ImageError(f"two images would be saved as {name!r}: rename one of {chosen}")
            images[name] = {"image": image, "labels": self._cells_of(title, image, cells.get(title), len(chosen) == 1)}
            if region is not None:
                images[name]["region"] = self._known_part(title, image)
        return save_dataset(folder, images, overwrite=overwrite, **fields)

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
        """
        from fijibridge.dataset import Dataset
        from fijibridge.fiji import overlays

        dataset = folder if isinstance(folder, Dataset) else Dataset.open(folder)
        titles = {}
        for name in dataset.names() if names is None else names:
            item = dataset[name]
            title = titles[name] = self.show(item.image(), name=name, new=True)
            imp = self._find(title)
            if not item.missing("labels"):
                overlays.outline(imp, labels_to_rois(item.labels()), None)
            known = item.region()
            if known is not None and known.values.any():
                imp.setRoi(overlays.to_java(labels_to_rois(known.astype(np.uint8)), imp)[0])
        return titles

    def _annotated(self, cells: Mapping[str, str]) -> list[str]:
        """Return the titles of the open images that have cells, and are none themselves."""
        from fijibridge.fiji import overlays

        used = set(cells.values())
        drawn = [imp for imp in self._windows().open_images() if overlays.drawn(imp)]
        with_cells = {str(imp.getTitle()) for imp in drawn} | set(cells)
        return [title for title in self.titles() if title in with_cells - used]

    def _cells_of(self, title: str, image: xr.DataArray, labelled: str | None, alone: bool) -> xr.DataArray:
        from fijibridge.cells.diagnosis.corrections import drawn_cells
        from fijibridge.fiji import overlays

        if labelled is not None:
            array = as_labels(self.image(labelled), labelled)
            shape = tuple(n for d, n in image.sizes.items() if d != "c")
            if array.shape != shape:
                raise ImageError(f"{labelled!r} has shape {array.shape}, but {title!r} {shape} (without channels)")
            return _spatial(image, array)
        found = self._java_rois("overlay", title) or (self._java_rois("manager", title) if alone else [])
        cells = drawn_cells(overlays.from_java(found), image)
        if cells is None:
            raise RoiError(f"{title!r} has no cells: draw areas and add them to its overlay with [b]")
        return cells

    def _known_part(self, title: str, image: xr.DataArray) -> xr.DataArray:
        from fijibridge.fiji import overlays

        shape = [n for d, n in image.sizes.items() if d != "c"]
        selected = overlays.from_java(self._java_rois("image", title))
        known = rois_to_mask([roi.at() for roi in selected], shape) if selected else np.ones(shape, bool)
        return _spatial(image, known.astype(np.uint8))


def _spatial(image: xr.DataArray, array: npt.NDArray[Any]) -> xr.DataArray:
    """Give an array the axes of an image without its channels."""
    one = image.isel(c=0, drop=True) if "c" in image.dims else image
    return xr.DataArray(array, dims=one.dims, coords=one.coords)


def _file_name(title: str) -> str:
    stem, dot, ending = title.rpartition(".")
    stem = stem if dot and f".{ending.lower()}" in _ENDINGS else title
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", stem).strip(" .") or "image"


_ENDINGS = {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".czi", ".lif", ".nd2", ".zarr", ".h5", ".avi", ".bmp", ".gif"}
