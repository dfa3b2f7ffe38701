"""Annotation in Fiji: cells drawn and corrected by hand, and training sets made from them."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import FijiBridgeWarning, ImageError, RoiError
from fijibridge.fiji import imageplus, rois, updates, windows
from fijibridge.fiji.rois import Source
from fijibridge.fiji.windows import Which
from fijibridge.files.formats import file_name
from fijibridge.image import Array, as_image, as_labels, first_channel, in_order
from fijibridge.rois import labels_to_rois, rois_to_mask

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset

_EDITED = "fijibridge.edited"
"""Property of the image whose cells are edited in the ROI Manager."""
_PULLED = "pulled"
"""Value of the property :data:`_EDITED` once the overlay contains the edited cells."""
_VARIES = "fijibridge.region"
"""Property of an image whose known region differs between slices."""


# --- correction -------------------------------------------------------------------------------------


def edit_cells(cells: Array, which: Which) -> str:
    """Put cells into the overlay and the ROI Manager, see :meth:`fijibridge.Fiji.edit_cells`."""
    target = updates.image_to_draw_on(which, as_labels(cells).shape)
    target.setOverlay(None)
    manager = rois.manager()
    if manager is not None:
        manager.reset()
    rois.add_rois(labels_to_rois(cells), int(target.getID()))
    for imp in windows.open_images():
        here = not windows.headless() and imp.getID() == target.getID()
        imp.setProperty(_EDITED, "manager" if here else None)
    return str(target.getTitle())


def corrected_cells(before: Array, which: Which, source: Source | Literal["labels"] | None) -> xr.DataArray:
    """Copy edited cells back into Python, see :meth:`fijibridge.Fiji.corrected_cells`."""
    from fijibridge.cells.corrections import changed_cells, split_parts

    known = in_order(before) if isinstance(before, xr.DataArray) else as_image(before)
    target = None
    if source == "labels":
        labels = _painted(known, which)
    else:
        # if no image is open, the ROI Manager may still contain the cells
        if which is not None or windows.open_images():
            target = updates.image_to_draw_on(which, known.shape)
        labels = _drawn(known, which, source, target)
    labels = split_parts(labels, changed_cells(known, labels)["label"])
    labels.attrs = {"provenance": "corrected"}
    if target is not None:
        rois.outline(target, labels_to_rois(labels), None)
        if target.getProperty(_EDITED) is not None:
            target.setProperty(_EDITED, _PULLED)
    return labels


def _painted(known: xr.DataArray, which: Which) -> xr.DataArray:
    """Return the label image whose pixels were painted, with the axes and calibration of `known`."""
    painted = imageplus.from_imageplus(windows.find(which))
    if painted.shape != known.shape:
        raise ImageError(
            f"{painted.name!r} has shape {painted.shape}, but the cells before editing have shape {known.shape}: "
            "title=... must name the label image that was painted"
        )
    return known.copy(data=as_labels(painted, str(painted.name)))


def _drawn(known: xr.DataArray, which: Which, source: Source | None, target: Any) -> xr.DataArray:
    """Return the label image of the edited ROIs; it contains no cells if all ROIs were deleted."""
    from fijibridge.cells.corrections import labels_from_corrected

    if source is None and target is not None and _in_manager(target):
        source = "manager"
    return labels_from_corrected(rois.from_java(rois.find_rois(source, which)), known)


def _in_manager(imp: Any) -> bool:
    """Tell whether the cells of an image are being edited in the ROI Manager.

    Raises
    ------
    RoiError
        If the ROI Manager was closed before the cells were copied back.
    """
    state = imp.getProperty(_EDITED)
    if state is None:
        return False
    if rois.manager() is None and str(state) != _PULLED:
        raise RoiError(
            "the ROI Manager in which the cells were edited is closed, and the changes made there are lost; "
            "corrected_cells(source='overlay') returns the cells as they were before editing"
        )
    return rois.manager() is not None


# --- training sets ----------------------------------------------------------------------------------


def save_training_set(
    folder: str | os.PathLike[str],
    titles: Sequence[str] | None,
    cells: Mapping[str, str],
    region: Literal["selection"] | None,
    overwrite: bool,
    fields: Mapping[str, Any],
) -> Dataset:
    """Save open images with their cells as a data set, see :meth:`fijibridge.Fiji.save_training_set`."""
    from fijibridge.dataset import save_dataset

    chosen = _annotated(cells) if titles is None else list(titles)
    if not chosen:
        here = [str(imp.getTitle()) for imp in windows.open_images()]
        raise RoiError(
            "no open image has cells in its overlay: draw cells and add them to the overlay with [b]; "
            f"open images: {here}"
        )
    others = [title for title in cells if title not in chosen]
    if others:
        raise RoiError(f"cells=... names {others}, but the images to save are {chosen}")
    images: dict[str, dict[str, Array]] = {}
    for title in chosen:
        image = imageplus.from_imageplus(windows.find(title))
        name = file_name(title)
        if name in images:
            raise ImageError(f"two images would be saved under the name {name!r}: rename one of {chosen}")
        images[name] = {"image": image, "labels": _cells_of(title, image, cells.get(title), len(chosen) == 1)}
        if region is not None:
            images[name]["region"] = _known_region(title, image)
    return save_dataset(images, folder, overwrite=overwrite, **fields)


def open_training_set(folder: str | os.PathLike[str] | Dataset, names: Sequence[str] | None) -> dict[str, str]:
    """Open the images of a data set with cells and regions, see :meth:`fijibridge.Fiji.open_training_set`."""
    from fijibridge.dataset import Dataset

    dataset = folder if isinstance(folder, Dataset) else Dataset.open(folder)
    titles = {}
    for name in dataset.names() if names is None else names:
        item = dataset[name]
        imp = updates.show_image(item.image(), name, new=True)
        titles[name] = str(imp.getTitle())
        if not item.missing("labels"):
            rois.outline(imp, labels_to_rois(item.labels()), None)
        known = item.region()
        if known is not None and known.values.any():
            _select_region(imp, known.values != 0)
    return titles


def _select_region(imp: Any, known: npt.NDArray[np.bool_]) -> None:
    """Select the known region of an image; if the region differs between slices, warn instead."""
    plane = known.reshape(-1, *known.shape[-2:])[0]
    if not (known == plane).all():
        imp.setProperty(_VARIES, "slices")
        warnings.warn(
            f"the known region of {str(imp.getTitle())!r} differs between slices: no selection can show it, "
            "and save_training_set(region='selection') cannot save it",
            FijiBridgeWarning,
            stacklevel=4,
        )
        return
    imp.setRoi(rois.to_java([roi.at() for roi in labels_to_rois(plane.astype(np.uint8))], imp)[0])


def _annotated(cells: Mapping[str, str]) -> list[str]:
    """Return the titles of the open images that have cells and are not another image's label image."""
    used = set(cells.values())
    titles = [str(imp.getTitle()) for imp in windows.open_images()]
    with_cells = {str(imp.getTitle()) for imp in windows.open_images() if rois.drawn(imp)} | set(cells)
    return [title for title in titles if title in with_cells - used]


def _cells_of(title: str, image: xr.DataArray, labelled: str | None, alone: bool) -> xr.DataArray:
    """Return the cells of an image, which come from its label image, its overlay or the ROI Manager."""
    from fijibridge.cells.corrections import drawn_cells

    if labelled is not None:
        array = as_labels(imageplus.from_imageplus(windows.find(labelled)), labelled)
        shape = tuple(n for d, n in image.sizes.items() if d != "c")
        if array.shape != shape:
            raise ImageError(f"{labelled!r} has shape {array.shape}, but {title!r} has shape {shape} without channels")
        return _without_channels(image, array)
    edited = _in_manager(windows.find(title))
    found = [] if edited else rois.find_rois("overlay", title)
    found = found or (rois.find_rois("manager", title) if alone or edited else [])
    cells = drawn_cells(rois.from_java(found), image)
    if cells is None:
        raise RoiError(f"{title!r} has no cells: draw areas and add them to its overlay with [b]")
    return cells


def _known_region(title: str, image: xr.DataArray) -> xr.DataArray:
    """Return the mask of an image's selection; all pixels if nothing is selected."""
    imp = windows.find(title)
    if imp.getProperty(_VARIES) is not None and imp.getRoi() is None:
        raise ImageError(
            f"the known region of {title!r} differs between slices, but an ImageJ selection is the same on every "
            "slice: select one region for all slices, or save the region with fijibridge.save_dataset"
        )
    shape = [n for d, n in image.sizes.items() if d != "c"]
    selected = rois.from_java(rois.find_rois("image", title))
    known = rois_to_mask([roi.at() for roi in selected], shape) if selected else np.ones(shape, bool)
    return _without_channels(image, known.astype(np.uint8))


def _without_channels(image: xr.DataArray, array: npt.NDArray[Any]) -> xr.DataArray:
    """Return an array as DataArray, with the axes and coordinates that an image has without its channels."""
    one = first_channel(image)
    return xr.DataArray(array, dims=one.dims, coords=one.coords)
