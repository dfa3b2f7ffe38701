"""How well the cells of the validation images are found, epoch by epoch."""

from __future__ import annotations

import time
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
from fijibridge.image import as_image, values
from fijibridge.nn.model import Model
from fijibridge.nn.prediction import predict
from fijibridge.nn.training.data import cells_of, known_of
from fijibridge.nn.training.pairs import Pairs

_SHARE = 20  # a picture takes at most a twentieth of the time
_SHOWN = {"z": 16, "y": 512, "x": 512}  # pixels of an image that are shown, at most

Segmenter: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]


def segment_by_threshold(prob: npt.NDArray[np.float32], membrane: int = 1) -> npt.NDArray[Any]:
    """Return the regions between membranes, of the class probabilities (K, ...)."""
    return values(label_cells(prob[membrane], method="threshold", min_size=10))


def middle_of(image: xr.DataArray) -> xr.DataArray:
    """Cut the middle out of an image that is too large to be looked at between two epochs."""
    firsts = {d: max(image.sizes[d] - most, 0) // 2 for d, most in _SHOWN.items() if d in image.dims}
    return image.isel({d: slice(first, first + _SHOWN[d]) for d, first in firsts.items()})


class CellCounter:
    """Predicts the validation images whole, counts their cells, and shows the middle of the first.

    Parameters
    ----------
    as_model
        Makes a model of a network.
    pairs
        The images, with their true cells as far as they are known.
    every
        Count each so many epochs; None to show only.
    segment
        From class probabilities (K, ...) to cells; regions between membranes if left out.
    shown_to
        Observers with a ``picture``.
    membrane
        The class id of membranes.
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
        """Return ``val_f1`` of the network, at IoU 0.5, if it is the epoch to count; show the first image."""
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
        """Return the match table of an epoch, whose network is given in case that it was not counted then."""
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
        """Show the first image, and let training go on for twenty times as long before it is shown again."""
        began = time.monotonic()
        image = middle_of(next(iter(self.images.values())))
        prob = predict(model, image, device=device)
        for observer in self.shown_to:
            observer.picture(epoch, image, prob)
        now = time.monotonic()
        self._show_from = now + _SHARE * (now - began)
