"""Evaluation of runs on images whose cells are known: choice of the images, and the cells that each run finds."""

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
from fijibridge.cells.segmentation.methods import DEFAULT_METHOD
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import DatasetError, FijiBridgeError, ImageError
from fijibridge.files import read_image
from fijibridge.image import values
from fijibridge.messages import naming
from fijibridge.record import MODEL, Record, Recorded, read_record

if TYPE_CHECKING:
    from fijibridge.nn.model import Model

AnyRun = Record | Recorded | str | os.PathLike[str]
UNSEEN = ("validation", "test")
LABEL: Mapping[str, Any] = {"method": DEFAULT_METHOD}
"""Arguments of :func:`fijibridge.label_cells` if none are given."""


class Contender:
    """A run under evaluation; results in its folder that are newer than its model are read, all others are computed.

    Parameters
    ----------
    run
        Folder of a run, or a run of this process.
    device
        Device that predicts; the fastest available if left out.
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
        """Reason why the run cannot be evaluated, in words; None if it can."""
        if isinstance(self._run, Recorded) or self._model_file.is_file():
            return None
        return f"{self.name} has no {MODEL}: the training is still running, or was interrupted"

    def prob(self, item: Item) -> xr.DataArray:
        """Return the class probabilities of an image."""
        from fijibridge.nn.prediction import predict

        found = self._newer_file(f"{item.name}_prob.tif")
        return predict(self._model(), item.image(), device=self._device) if found is None else read_image(found)

    def cells(self, item: Item, prob: xr.DataArray) -> npt.NDArray[Any]:
        """Return the cells of an image as labels; they are read from the folder only if no `label` was given."""
        found = self._newer_file(f"{item.name}_cells.tif") if self._label is None else None
        labels = label_cells(prob, **{**LABEL, **(self._label or {})}) if found is None else read_image(found)
        return np.asarray(values(labels))

    @property
    def _model_file(self) -> Path:
        return (self.record.path or Path()) / MODEL

    def _model(self) -> Model:
        from fijibridge.nn.model import Model

        if self._loaded is None:
            run: Any = self._run
            self._loaded = run.model if isinstance(self._run, Recorded) else Model.load(self._model_file)
        return self._loaded

    def _newer_file(self, name: str) -> Path | None:
        if self.record.path is None or not (file := self.record.path / name).is_file():
            return None
        newer = not self._model_file.is_file() or file.stat().st_mtime >= self._model_file.stat().st_mtime
        return file if newer else None


def match_item(item: Item, cells: npt.NDArray[Any], thresh: float) -> Matching:
    """Match cells to the true cells of an image, within its known region."""
    known = item.region()
    with naming(item.name, ImageError):
        return match_labels(
            values(item.labels()), cells, thresh=thresh, region=None if known is None else values(known)
        )


def unseen_images(
    records: Sequence[Record], data: Dataset | str | os.PathLike[str] | None, split: str | None
) -> tuple[list[Item], str | None]:
    """Choose the images on which runs are evaluated.

    Parameters
    ----------
    records
        Records of the runs.
    data
        Dataset or its folder; by default, the folder that the runs were trained on.
    split
        Split of the images; validation and test images by default.

    Returns
    -------
    list of Item
        Images with known cells.
    str or None
        Reason why there are no images; None if there are some.

    Raises
    ------
    DatasetError
        If `data` is given and cannot be opened, or has no images with known cells in `split`.
    """
    kind = split or "validation or test"
    if data is not None:
        dataset = data if isinstance(data, Dataset) else Dataset.open(data)
        items = _with_truth(dataset, split)
        if not items:
            raise DatasetError(f"{dataset} has no {kind} image with known cells; expected some to evaluate runs on")
        return items, None
    folders = {record.settings.get("data_folder") for record in records} - {None}
    if len(folders) != 1:
        reason = "the runs were trained on different folders" if folders else "no run records its folder of images"
        return [], f"{reason}; give a folder of images to evaluate them on (data=, --data)"
    (folder,) = folders
    try:
        items = _with_truth(Dataset.open(str(folder)), split)
    except FijiBridgeError as error:
        return [], f"the images that the runs were trained on cannot be opened: {error}; give a folder (data=, --data)"
    return items, None if items else f"{folder} has no {kind} image with known cells"


def trained_on(item: Item, contenders: Sequence[Contender]) -> list[str]:
    """Return the names of the runs whose training images include an image with the name of `item`."""
    return [c.name for c in contenders if item.name in (c.record.settings.get("train_names") or ())]


def slice_shown(labels: npt.NDArray[Any]) -> int | None:
    """Return the index of the slice that reports show: the middle slice of a volume, None for a plane."""
    return None if labels.ndim == 2 else labels.shape[0] // 2


def _with_truth(dataset: Dataset, split: str | None) -> list[Item]:
    return [
        item for part in ((split,) if split else UNSEEN) if dataset.split(part) for item in dataset.with_truth(part)
    ]
