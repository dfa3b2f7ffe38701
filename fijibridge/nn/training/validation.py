"""Validation on whole images: counts of their cells, and a picture of the first image."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from torch import nn

from fijibridge.cells.matching.matches import Matching, match_labels
from fijibridge.cells.matching.table import match_table
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.errors import FijiBridgeWarning
from fijibridge.image import as_image, values
from fijibridge.nn.model import Model
from fijibridge.nn.prediction import predict
from fijibridge.nn.training.data import Pairs, cells_of, known_of

_SHARE = 20  # pictures use at most 1/20 of the time
_SHOWN = {"z": 16, "y": 512, "x": 512}  # maximum size of a picture, in pixels

Segmenter: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]


def segment_by_threshold(prob: npt.NDArray[np.float32], membrane: int = 1) -> npt.NDArray[Any]:
    """Return the regions between membranes, given class probabilities (K, ...)."""
    return values(label_cells(prob[membrane], method="threshold", min_size=10))


def middle_of(image: xr.DataArray) -> xr.DataArray:
    """Crop the middle of an image to a size that can be predicted quickly between two epochs."""
    firsts = {d: max(image.sizes[d] - most, 0) // 2 for d, most in _SHOWN.items() if d in image.dims}
    return image.isel({d: slice(first, first + _SHOWN[d]) for d, first in firsts.items()})


def predict_middle(model: Model, pairs: Pairs, device: str) -> tuple[xr.DataArray, xr.DataArray] | None:
    """Return the middle of the first validation image and its class probabilities; warn and return None on failure."""
    image = middle_of(as_image(next(iter(pairs.watched.values()))[0]))
    try:
        return image, predict(model, image, device=device)
    except (RuntimeError, ValueError, MemoryError) as error:
        text = f"the validation image could not be predicted, so there is no picture of it: {error}"
        warnings.warn(text, FijiBridgeWarning, stacklevel=2)
        return None


class CellCounter:
    """Predicts whole validation images, counts their cells, and shows the middle of the first one.

    Parameters
    ----------
    as_model
        Function that makes a model from a network.
    pairs
        The images, with true cells if known.
    every
        Number of epochs between two counts; None to only show pictures.
    segment
        Function that maps class probabilities (K, ...) to cells; None for the regions between membranes.
    shown_to
        Observers with a method ``picture``.
    membrane
        Class id of membranes.
    """

    def __init__(
        self, as_model: Callable[[nn.Module], Model], pairs: Pairs, every: int | None, segment: Segmenter | None,
        shown_to: Sequence[Any] = (), membrane: int = 1,
    ):  # fmt: skip
        self.as_model, self.every, self.shown_to = as_model, every, shown_to
        self.segment = segment or partial(segment_by_threshold, membrane=membrane)
        self.images = {name: as_image(pair[0]) for name, pair in pairs.watched.items()}
        self.cells = cells_of(pairs, membrane) if every is not None else {}
        self.known = known_of(pairs) if every is not None else {}
        self._names = pairs.names
        self._tables: dict[int, pd.DataFrame] = {}
        self._show_from = 0.0

    def __call__(self, net: nn.Module, epoch: int) -> Mapping[str, float]:
        """Show the first image if due, and return ``val_f1`` (F1 at IoU 0.5) if cells are counted in this epoch."""
        counting = self.every is not None and epoch % self.every == 0
        showing = bool(self.shown_to) and time.monotonic() >= self._show_from
        if not counting and not showing:
            return {}
        was = net.training
        model = self.as_model(net)
        device = next(net.parameters()).device
        if showing:
            self._show(model, epoch, str(device))
        if counting:
            self._tables[epoch] = self._count(model, str(device))
        net.train(was)
        return {"val_f1": float(self._tables[epoch]["f1"].iloc[-1])} if counting else {}

    def table(self, net: nn.Module, epoch: int) -> pd.DataFrame:
        """Return the match table of an epoch, computed with `net` if cells were not counted in that epoch."""
        if epoch not in self._tables:
            self._tables[epoch] = self._count(self.as_model(net), str(next(net.parameters()).device))
        return self._tables[epoch]

    def _count(self, model: Model, device: str) -> pd.DataFrame:
        matchings: dict[str, Matching] = {}
        for path, image in self.images.items():
            found = self.segment(values(predict(model, image, device=device)))
            name = self._names.get(path, path)
            matchings[name] = match_labels(self.cells[path], found, region=self.known.get(path))
        return match_table(matchings)

    def _show(self, model: Model, epoch: int, device: str) -> None:
        """Show the first image, and use at most 1/20 of the time: the pause afterwards is 20 times as long."""
        began = time.monotonic()
        image = middle_of(next(iter(self.images.values())))
        prob = predict(model, image, device=device)
        for observer in self.shown_to:
            observer.picture(epoch, image, prob)
        now = time.monotonic()
        self._show_from = now + _SHARE * (now - began)
