"""Runs tried on images whose cells are known: what to try them on, and what each makes of an image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.cells.matching.matches import Matching, match_labels
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import DatasetError, FijiBridgeError, ImageError
from fijibridge.files import read_image
from fijibridge.image import as_image, values
from fijibridge.record import MODEL, Record, Recorded, read_record
from fijibridge.reports import pictures

if TYPE_CHECKING:
    from fijibridge.nn.model import Model

AnyRun = Record | Recorded | str | os.PathLike[str]
UNSEEN = ("validation", "test")
LABEL: Mapping[str, Any] = {"method": "watershed"}
"""How cells are found in membranes, if nothing is said: as the verb label does it."""


class Contender:
    """A run, and what it makes of images: read where it lies in its folder, newer than its model; else computed.

    Parameters
    ----------
    run
        A folder, or a run of this process.
    device
        To compute on; the best there is if left out.
    label
        Arguments of :func:`fijibridge.label_cells`.
    """

    def __init__(self, run: AnyRun, device: str | None = None, label: Mapping[str, Any] | None = None):
        self.record = read_record(run)
        self.name = self.record.name
        self._run, self._device, self._label = run, device, label
        self._loaded: Model | None = None

    @property
    def without(self) -> str | None:
        """What it lacks to be tried; None if it can be."""
        if isinstance(self._run, Recorded) or self._model_file.is_file():
            return None
        return f"{self.name} has no {MODEL}: it goes on, or was broken off"

    def prob(self, item: Item) -> xr.DataArray:
        """Return the class probabilities of an image."""
        import fijibridge as fb

        found = self._lying_there(f"{item.name}_prob.tif")
        return fb.predict(self._model(), item.image(), device=self._device) if found is None else read_image(found)

    def cells(self, item: Item, prob: xr.DataArray) -> npt.NDArray[Any]:
        """Return its cells: those that lie there, if nobody said how to find them."""
        found = self._lying_there(f"{item.name}_cells.tif") if self._label is None else None
        labels = label_cells(prob, **(self._label or LABEL)) if found is None else read_image(found)
        return np.asarray(values(labels))

    @property
    def _model_file(self) -> Path:
        return (self.record.path or Path()) / MODEL

    def _model(self) -> Model:
        import fijibridge as fb

        if self._loaded is None:
            of_this_process: Any = self._run
            self._loaded = of_this_process.model if isinstance(self._run, Recorded) else fb.Model.load(self._model_file)
        return self._loaded

    def _lying_there(self, name: str) -> Path | None:
        if self.record.path is None or not (file := self.record.path / name).is_file():
            return None
        newer = not self._model_file.is_file() or file.stat().st_mtime >= self._model_file.stat().st_mtime
        return file if newer else None


def match_item(item: Item, cells: npt.NDArray[Any], thresh: float) -> Matching:
    """Match cells to the true ones of an image, where those are known."""
    known = item.region()
    try:
        return match_labels(
            values(item.labels()), cells, thresh=thresh, region=None if known is None else values(known)
        )
    except ImageError as error:
        raise ImageError(f"{item.name}: {error}") from error


def unseen_images(
    records: Sequence[Record], data: Dataset | str | os.PathLike[str] | None, split: str | None
) -> tuple[list[Item], str | None]:
    """Return the validation and test images (or those of one split) that runs are tried on, or why there are none.

    Raises
    ------
    DatasetError
        If `data` is given and cannot be opened, or has no such images.
    """
    if data is not None:
        dataset = data if isinstance(data, Dataset) else Dataset.open(data)
        items = _with_truth(dataset, split)
        if not items:
            raise DatasetError(
                f"{dataset} has no {split or 'validation or test'} image with known cells to try runs on"
            )
        return items, None
    folders = {record.settings.get("data_folder") for record in records} - {None}
    if len(folders) != 1:
        what = "none of the runs says" if not folders else "the runs learnt different folders, so nothing says"
        return [], f"{what} on which images to try them: name the folder (data=, --data)"
    (folder,) = folders
    try:
        items = _with_truth(Dataset.open(str(folder)), split)
    except FijiBridgeError as error:
        return (
            [],
            f"the images cannot be opened that the runs were trained with: {error} Name the folder (data=, --data)",
        )
    return items, None if items else f"{folder} has no {split or 'validation or test'} image with known cells"


def learnt_by(item: Item, contenders: Sequence[Contender]) -> list[str]:
    """Return the names of the runs that were trained on an image of that name."""
    return [c.name for c in contenders if item.name in (c.record.settings.get("train_names") or ())]


def slice_shown(labels: npt.NDArray[Any]) -> int | None:
    """Return the slice of a volume that is shown, the middle one; None of a plane."""
    return None if labels.ndim == 2 else labels.shape[0] // 2


def grey_plane(image: Any, z: int | None) -> npt.NDArray[np.float64]:
    """Return the plane of an image that is shown, as a picture."""
    return pictures.grey(pictures.plane_of(as_image(image), z))


def _with_truth(dataset: Dataset, split: str | None) -> list[Item]:
    return [
        item for part in ((split,) if split else UNSEEN) if dataset.split(part) for item in dataset.with_truth(part)
    ]
