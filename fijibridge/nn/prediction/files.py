"""Prediction of image files, folders and data sets, one result file per image."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import xarray as xr

from fijibridge.dataset import Dataset
from fijibridge.dataset.item import Item
from fijibridge.dataset.toml import FILE_NAME
from fijibridge.errors import DatasetError
from fijibridge.files import make_folder, read_image, write_image
from fijibridge.files.formats import SUFFIXES, format_of, stem
from fijibridge.files.ome_zarr import is_zarr
from fijibridge.files.reader import content, split_key
from fijibridge.nn.prediction.predictor import Progress, as_model, predict
from fijibridge.renames import renamed_keywords

if TYPE_CHECKING:
    from fijibridge.nn.model import Model
    from fijibridge.record import Recorded

log = logging.getLogger("fijibridge")

_NO_IMAGES = ("_prob", "_cells", "_labels", "_classes", "_region", "_roi", "_mask")
"""Name endings of results and truth: in a folder without a description, such files are not input images."""


class _Read(Protocol):
    def __call__(self, *, lazy: bool) -> xr.DataArray: ...


@dataclass(frozen=True)
class _Source:
    """Image with its name and the function that reads it."""

    name: str
    place: Path
    read: _Read


@renamed_keywords(border="padding")
def predict_files(
    model: Model | Recorded | str | os.PathLike[str],
    inputs: Dataset | str | os.PathLike[str] | Iterable[Item | str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    zarr: bool = False,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Path]:
    """Predict image files, and write each result to a file in a folder.

    Parameters
    ----------
    model
        As for :func:`fijibridge.predict`.
    inputs
        A data set, items of a data set, an image file, a folder, or several of these. From a folder with a
        ``dataset.toml``, the images listed there are predicted; from any other folder, all image files except results
        (``*_prob``, ``*_cells``) and truth (``*_labels``, ``*_classes``, ``*_region``, ``*_roi``, ``*_mask``).
    out
        Folder for the results, ``{name}_prob.tif``.
    zarr
        Whether to read and write part by part, which allows images larger than memory. The results are then
        ``{name}_prob.ome.zarr``.
    resume
        Whether to skip images whose result exists and can be read.
    overwrite
        Whether to replace existing results.
    progress
        Called with (images done, total images); for a single image, with (tiles done, total tiles).
    **options
        Options of :func:`fijibridge.predict`: tile, padding, flips, precision, device, cancel.

    Returns
    -------
    dict
        Path of each result by image name, in the order of the images, including skipped ones.

    Raises
    ------
    DatasetError
        If there is no image, two images have the same name, or a result exists.
    ModelError, ImageError, DeviceError, Cancelled
        As for :func:`fijibridge.predict`. Results completed before the error remain.
    """
    sources = _sources(inputs)
    loaded = as_model(model)
    targets = _targets(sources, out, zarr)
    there = {name for name, target in targets.items() if target.exists()}
    if there and not resume and not overwrite:
        raise DatasetError(
            f"{len(there)} of {len(targets)} results already exist, such as {targets[min(there)]}: skip them (resume), "
            "replace them (overwrite), or choose another folder"
        )
    make_folder(out)
    left = [s for s in sources if not (resume and s.name in there and _can_be_read(targets[s.name]))]
    for number, source in enumerate(left):
        image, target = source.read(lazy=zarr), targets[source.name]
        of_tiles = progress if len(left) == 1 else None
        if zarr:
            predict(loaded, image, out=target, progress=of_tiles, overwrite=True, **options)
        else:
            write_image(predict(loaded, image, progress=of_tiles, **options), target)
        if progress is not None and len(left) > 1:
            progress(number + 1, len(left))
    return targets


def results_there(inputs: str | os.PathLike[str], out: str | os.PathLike[str]) -> list[Path]:
    """Return the paths of the results of :func:`predict_files` that already exist."""
    return [target for target in _targets(_sources(inputs), out, False).values() if target.exists()]


def _targets(sources: Sequence[_Source], out: str | os.PathLike[str], zarr: bool) -> dict[str, Path]:
    """Return the path of each image's result, by image name."""
    return {s.name: Path(out) / f"{s.name}_prob{'.ome.zarr' if zarr else '.tif'}" for s in sources}


def _can_be_read(target: Path) -> bool:
    """Return whether a result can be opened. Killed processes of older versions left half of a result.

    A file that is no image at all is not one of ours, and is left alone, too.
    """
    try:
        content(target)
    except DatasetError as error:
        if target.is_file() and format_of(target) is None:
            log.warning("%s is not an image; it is left as it is", target)
            return True
        log.warning("%s is computed again, because it is damaged: %s", target, error)
        return False
    return True


def _sources(inputs: Any) -> list[_Source]:
    """Return the images of all inputs.

    Raises
    ------
    DatasetError
        If there are none, or two images have the same name.
    """
    several = not isinstance(inputs, Dataset | str | os.PathLike)
    found = [source for one in (inputs if several else [inputs]) for source in _images_of(one)]
    if not found:
        raise DatasetError("got no image to predict; expected image files, a folder, or a data set")
    first: dict[str, _Source] = {}
    for source in found:
        other = first.setdefault(source.name, source)
        if other is not source:
            raise DatasetError(
                f"{other.place} and {source.place} have the same name, {source.name!r}, as would their results: "
                "predict them into different folders"
            )
    return found


def _images_of(one: Any) -> Sequence[_Source]:
    if isinstance(one, Item):
        return [_Source(one.name, one.paths["image"], one.image)]
    if isinstance(one, Dataset):
        return [source for item in one for source in _images_of(item)]
    if not isinstance(one, str | os.PathLike):
        raise DatasetError(f"got a {type(one).__name__}; expected a Dataset, its items, or paths of files and folders")
    place, _ = split_key(one)
    if place.is_dir() and not is_zarr(place):
        return _images_of(Dataset.open(place)) if (place / FILE_NAME).is_file() else _files_of(place)
    if not place.exists():
        raise DatasetError(f"{place} does not exist; expected an image file or a folder")
    return [_Source(stem(place), place, partial(read_image, one))]


def _files_of(folder: Path) -> list[_Source]:
    found = [p for p in sorted(folder.iterdir()) if _is_image(p)]
    if not found:
        raise DatasetError(
            f"{folder} contains no image file; expected {', '.join(SUFFIXES)} files that are neither results nor truth"
        )
    return [source for path in found for source in _images_of(path)]


def _is_image(path: Path) -> bool:
    known = path.suffix.lower() in SUFFIXES and (path.is_file() or is_zarr(path))
    return known and not path.name.startswith(".") and not stem(path).endswith(_NO_IMAGES)
