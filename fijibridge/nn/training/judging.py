"""How well the cells of the validation images are found, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import nn

from fijibridge.cells.matching.matches import Matching, match_labels, match_table
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.image import as_image, values
from fijibridge.nn.model import Model
from fijibridge.nn.prediction import predict
from fijibridge.nn.training.inputs import Pairs, cells_of, known_of

Segmenter: TypeAlias = Callable[[npt.NDArray[np.float32]], npt.NDArray[Any]]


def segment_by_threshold(prob: npt.NDArray[np.float32]) -> npt.NDArray[Any]:
    """Return the regions between membranes, of the class probabilities (K, ...)."""
    return values(label_cells(prob[1], method="threshold", min_size=10))


class CellCounter:
    """Predicts the validation images whole, counts their cells, and shows the first.

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
    """

    def __init__(
        self, as_model: Callable[[nn.Module], Model], pairs: Pairs, every: int | None, segment: Segmenter | None,
        shown_to: Sequence[Any] = (),
    ):  # fmt: skip
        self.as_model, self.every, self.shown_to = as_model, every, shown_to
        self.segment = segment or segment_by_threshold
        self.images = {name: as_image(pair[0]) for name, pair in pairs.watched.items()}
        self.cells = cells_of(pairs) if every is not None else {}
        self.known = known_of(pairs) if every is not None else {}
        self.matchings: dict[str, Matching] = {}

    def __call__(self, net: nn.Module, epoch: int) -> Mapping[str, float]:
        """Return ``val_f1`` of the network, at IoU 0.5, if it is the epoch to count; show the first image."""
        counting = self.every is not None and epoch % self.every == 0
        if not counting and not self.shown_to:
            return {}
        was = net.training
        model = self.as_model(net)
        device = next(net.parameters()).device
        names = list(self.images) if counting else list(self.images)[:1]
        for name in names:
            prob = predict(model, self.images[name], device=str(device))
            if name == next(iter(self.images)):
                for observer in self.shown_to:
                    observer.picture(epoch, self.images[name], prob)
            if counting:
                found = self.segment(values(prob))
                self.matchings[name] = match_labels(self.cells[name], found, region=self.known.get(name))
        net.train(was)
        return {"val_f1": self.f1} if counting else {}

    @property
    def f1(self) -> float:
        """F1 over all cells at IoU 0.5."""
        return float(match_table(self.matchings)["f1"].iloc[-1])


def match_rows(matchings: Mapping[str, Matching]) -> list[dict[str, Any]]:
    """Return the match table as plain rows."""
    return [{str(k): v for k, v in row.items()} for row in match_table(matchings).to_dict("records")]
