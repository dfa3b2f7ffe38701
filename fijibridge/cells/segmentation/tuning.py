"""Choose the parameters of a segmentation, using images with known cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.arrays import Labels
from fijibridge.cells.matching import THRESH
from fijibridge.cells.matching.matches import Matching, match_labels
from fijibridge.cells.matching.table import match_table
from fijibridge.cells.segmentation.flooding import closed
from fijibridge.cells.segmentation.labelling import checked, complete, find, membrane_of
from fijibridge.cells.segmentation.methods import DEFAULT_METHOD, get_method, method_names
from fijibridge.cells.segmentation.parameters import check_names, make_parameters
from fijibridge.errors import ImageError
from fijibridge.image import Array, like, values
from fijibridge.renames import RenamedKeys, warn_renamed

Images: TypeAlias = "Mapping[str, Array] | Sequence[Array]"
METRICS = ("f1", "pq", "precision", "recall")
COUNTS = ("matched", "GT", "predicted")
GRIDS: Mapping[str, Mapping[str, tuple[float, ...]]] = {name: get_method(name).grid for name in method_names()}
"""Values that are tried by default for each method; they include its default parameters."""

_CLOSE = 0.01


@dataclass(frozen=True)
class Tuning:
    """Result of :func:`tune_segmentation`.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per combination: its parameters, ``matched, GT, predicted`` summed over the images, and ``precision,
        recall, f1, pq`` computed from these sums.
    best : dict
        Method and parameters of the best combination. They are arguments of :func:`fijibridge.label_cells`:
        ``label_cells(prob, **tuning.best)``.
    metric : str
        Metric that was maximised.
    varied : tuple of str
        Parameters with more than one value.
    """

    table: pd.DataFrame
    best: dict[str, Any]
    metric: str
    varied: tuple[str, ...]

    @property
    def score(self) -> float:
        """The best value of the metric."""
        return float(self.table[self.metric].max())

    @property
    def flatness(self) -> str:
        """A sentence with the parameter ranges in which the score is within 0.01 of the best."""
        near = self.table[self.metric] >= self.score - _CLOSE
        chosen = ", ".join(f"{name} {_text(self.best[name])}" for name in self.varied) or "the only combination"
        text = (
            f"{self.metric} {self.score:.4f} at {chosen}; {near.sum()} of {len(near)} combinations are within {_CLOSE}"
        )
        ranges = [self._range(name, near) for name in self.varied]
        return f"{text} ({'; '.join(ranges)})." if ranges else f"{text}."

    def _range(self, name: str, near: pd.Series[bool]) -> str:
        """Return the range of a parameter in which the score is near the best, if all others have their best values."""
        others = [o for o in self.varied if o != name]
        row = near.copy()
        for other in others:
            row &= self.table[other] == self.best[other]
        found = self.table.loc[row, name]
        tried = self.table[name]
        end = " at the end of the values tried" if self.best[name] in (tried.iloc[0], tried.iloc[-1]) else ""
        return f"{name} {_text(found.iloc[0])} to {_text(found.iloc[-1])}{end}"


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)


def tune_segmentation(
    probs: Images,
    truths: Images,
    method: str = DEFAULT_METHOD,
    parameters: Mapping[str, Any] | None = None,
    *,
    metric: str = "f1",
    thresh: float = THRESH,
    regions: Mapping[str, Array | None] | Sequence[Array | None] | None = None,
    membrane: int | str = "membrane",
) -> Tuning:
    """Try combinations of parameters on images with known cells; return all scores and the best combination.

    Parameters
    ----------
    probs, truths
        Membrane probabilities, as for :func:`fijibridge.label_cells`, and label images of the true cells. Both are
        mappings with the same image names, or sequences in the same order. Use images that the network was not trained
        on, such as validation images.
    method, membrane
        As for :func:`fijibridge.label_cells`.
    parameters
        Parameters of :func:`fijibridge.label_cells`, each with a sequence of values to try or one fixed value. All
        combinations are tried; numbers are first sorted in ascending order. The default is the grid of the method in
        :data:`GRIDS`.
    metric
        ``"f1"``, ``"pq"`` (panoptic quality), ``"precision"`` or ``"recall"``, computed from the summed counts of all
        images.
    thresh
        Smallest IoU at which two cells match.
    regions
        Masks that are non-zero where the truth is known, as for :func:`fijibridge.match_labels`, with the same names or
        in the same order as `probs`. The mask is None for an image whose truth is known everywhere.

    Returns
    -------
    Tuning

    Raises
    ------
    ImageError
        If there are no images, `probs`, `truths` and `regions` differ in names or number, or a parameter or `metric` is
        unknown.

    Notes
    -----
    Of several equally good combinations, the one in the middle is chosen, because the score at the edge of a plateau
    could be lower for other images. The middle one has the smallest sum of squared distances to the others, measured in
    grid steps. Combinations that differ only in later steps, such as growing, share the search for cells, which saves
    time.

    Examples
    --------
    >>> prob = np.full((9, 9), 0.1); prob[4] = 0.55
    >>> truth = np.repeat([1] * 4 + [0] + [2] * 4, 9).reshape(9, 9)
    >>> tuning = tune_segmentation([prob], [truth], "threshold", {"threshold": (0.1, 0.3, 0.4, 0.5, 0.7)})
    >>> tuning.best
    {'method': 'threshold', 'threshold': 0.4}
    >>> tuning.table[["threshold", "matched", "GT", "predicted", "f1"]].to_string(index=False).splitlines()[2]
    '       0.3        2   2          2 1.0'
    """
    if metric not in METRICS:
        raise ImageError(f"metric {metric!r} is not known; choose one of {METRICS}")
    names, grid = _grid(method, parameters)
    combinations = [dict(zip(names, c, strict=True)) for c in product(*grid)]
    found: list[dict[str, Matching]] = [{} for _ in combinations]
    for name, prob, truth, region in _together(probs, truths, regions):
        channel = membrane_of(prob, membrane)
        for number, labels in _labelled(channel, method, combinations):
            found[number][name] = match_labels(truth, labels, thresh=thresh, region=region)
    rows = [c | _total(m) for c, m in zip(combinations, found, strict=True)]
    table = pd.DataFrame(rows, columns=[*names, *COUNTS, "precision", "recall", "f1", "pq"])
    best = combinations[_middle_of_best(table[metric].to_numpy(float), tuple(map(len, grid)))]
    varied = tuple(n for n, tried in zip(names, grid, strict=True) if len(tried) > 1)
    return Tuning(table, RenamedKeys({"method": method, **best}, border="edge_cells"), metric, varied)


def _grid(method: str, parameters: Mapping[str, Any] | None) -> tuple[list[str], list[tuple[Any, ...]]]:
    own_grid = get_method(method).grid
    if parameters is None:
        parameters = own_grid
    if "border" in parameters:
        warn_renamed("parameter 'border' of tune_segmentation", "'edge_cells'")
        parameters = {"edge_cells" if name == "border" else name: tried for name, tried in parameters.items()}
    check_names(parameters)
    grid = [_tried(value) for value in parameters.values()]
    empty = [name for name, tried in zip(parameters, grid, strict=True) if not tried]
    if empty:
        raise ImageError(f"{empty[0]} has no values to try; expected at least one")
    return list(parameters), grid


def _tried(value: Any) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, (Sequence, np.ndarray)):
        return (value,)
    values_to_try = tuple(v.item() if isinstance(v, np.generic) else v for v in value)
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values_to_try)
    return tuple(sorted(values_to_try)) if numbers else values_to_try


def _together(
    probs: Images, truths: Images, regions: Mapping[str, Array | None] | Sequence[Array | None] | None
) -> Iterator[tuple[str, Any, Any, Any]]:
    """Yield the name, probability, truth and region of each image."""
    named = {"probs": _named(probs), "truths": _named(truths)}
    if regions is not None:
        named["regions"] = _named(regions)
    first = named["probs"]
    if not first:
        raise ImageError("there are no images to tune on; expected at least one probability and its true cells")
    for role, images in named.items():
        if set(images) != set(first):
            alone = sorted(set(images) ^ set(first))
            raise ImageError(f"image {alone[0]!r} is only in one of probs and {role}; expected it in both")
    for name, prob in first.items():
        yield name, prob, named["truths"][name], named["regions"][name] if regions is not None else None


def _named(images: Any) -> dict[str, Any]:
    if isinstance(images, Mapping):
        return dict(images)
    if isinstance(images, (np.ndarray, xr.DataArray)):
        raise ImageError("got a single image; expected a list or a mapping of images, such as [prob]")
    return {str(i): image for i, image in enumerate(images)}


def _labelled(channel: Array, method: str, combinations: list[dict[str, Any]]) -> Iterator[tuple[int, Array]]:
    """Yield the number and the cells of each combination; those that differ only in later steps share the search."""
    if isinstance(channel, xr.DataArray) and "t" in channel.dims:
        raise ImageError("a probability is a time series; expected one frame: prob.isel(t=0), with its true cells")
    array = checked(values(channel))
    checked_parameters = [make_parameters(channel, method, **c) for c in combinations]
    keys = [(p.threshold, *p.own.values()) for p in checked_parameters]  # what determines which cells are found
    last: tuple[tuple[float, ...], Labels] | None = None
    for number in sorted(range(len(keys)), key=keys.__getitem__):
        parameters = checked_parameters[number]
        if last is None or last[0] != keys[number]:
            last = keys[number], find(array, parameters, closed(array.ndim))
        labels = complete(last[1], array, parameters)
        yield number, labels if isinstance(channel, np.ndarray) else like(labels, channel)


def _total(matchings: dict[str, Matching]) -> dict[str, Any]:
    return {str(name): value for name, value in match_table(matchings).iloc[-1].items()}


def _middle_of_best(scores: npt.NDArray[np.float64], shape: tuple[int, ...]) -> int:
    """Return the index of the best combination or, of several equally good ones, the index of the one in the middle."""
    known = np.where(np.isnan(scores), -np.inf, scores)
    tied = np.flatnonzero(known >= known.max() - 1e-12) if np.isfinite(known.max()) else np.arange(len(known))
    steps = np.stack(np.unravel_index(tied, shape), axis=1) if shape else np.zeros((len(tied), 0))
    centre = steps.mean(axis=0)  # the one nearest to their mean has the smallest sum of squares
    return int(tied[np.argmin(((steps - centre) ** 2).sum(axis=1))])
