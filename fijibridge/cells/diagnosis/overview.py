"""Diagnose a segmentation: cells by outcome, wrong pixels, broken membranes, and a summary in words."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.cells.diagnosis.gaps import find_gaps
from fijibridge.cells.diagnosis.pixel_errors import RIGHT, correlate_errors, enrich_errors, error_map
from fijibridge.cells.distances import spacing
from fijibridge.cells.matching import THRESH
from fijibridge.cells.matching.agreement import Agreement, compare_labels
from fijibridge.cells.matching.matches import Matching, average_precision, match_labels
from fijibridge.cells.segmentation.labelling import checked, membrane_of
from fijibridge.cells.segmentation.methods import THRESHOLD
from fijibridge.cells.targets import MEMBRANE_WIDTH
from fijibridge.cells.targets.from_labels import IGNORE, membrane_target
from fijibridge.image import Array, ImageT, as_labels, like, same_shape, values
from fijibridge.renames import keyword_only, renamed_keywords

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
"""IoU thresholds for average precision, as in COCO and the nuclei segmentation challenges."""

GAP = 2  # predicted background within this many pixels of a predicted cell is part of it when partitions are compared


@dataclass(frozen=True)
class Diagnosis(Generic[ImageT]):
    """Result of :func:`diagnose`.

    Attributes
    ----------
    matching : Matching
        Matching at the threshold `thresh`.
    curve : tuple of Matching
        Matchings at each of :data:`THRESHOLDS`.
    agreement : Agreement
        Rand error, variation of information and boundary scores. Background within 2 px of a predicted cell counts as
        part of the cell, since scikit-image would treat all gaps as one region; see :func:`compare_labels`.
    cells : pandas.DataFrame
        One row per cell: the columns of :meth:`Matching.cells`, the centre ``y``, ``x`` (and ``z``) and the ``area`` in
        pixels.
    errors : numpy.ndarray or xarray.DataArray
        Map of the wrong pixels, see :func:`error_map`; calibrated if the truth is.
    pixel_accuracy : float
        Fraction of the known pixels that are right.
    correlation : pandas.DataFrame
        Radial autocorrelation of the wrong pixels, see :func:`correlate_errors`.
    enrichment : pandas.DataFrame
        Enrichment of wrong pixels at wrong cells and near membranes, see :func:`enrich_errors`.
    gaps : pandas.DataFrame
        Broken membranes, and the number of cells lost to each, see :func:`find_gaps`.
    summary : str
        A sentence or two explaining why the accuracy of pixels and of cells differ.
    """

    matching: Matching
    curve: tuple[Matching, ...] = field(repr=False)
    agreement: Agreement
    cells: pd.DataFrame = field(repr=False)
    errors: ImageT = field(repr=False)
    pixel_accuracy: float
    correlation: pd.DataFrame = field(repr=False)
    enrichment: pd.DataFrame = field(repr=False)
    gaps: pd.DataFrame = field(repr=False)
    summary: str

    @property
    def average_precision(self) -> float:
        """Mean average precision over :data:`THRESHOLDS`."""
        return average_precision(self.curve)

    def wrong_places(self) -> npt.NDArray[np.int64]:
        """Return the centres of all unmatched cells: (n, 2) or (n, 3) ``int64``, in pixels, in the order of the axes.

        Training patches can be sampled around these positions.
        """
        axes = [d for d in ("z", "y", "x") if d in self.cells]
        wrong = self.cells[self.cells["outcome"] != "matched"]
        return np.asarray(np.rint(wrong[axes].to_numpy(float)), np.int64)


@renamed_keywords(threshold="membrane_threshold", width="membrane_width")
@keyword_only("prob", "region")
def diagnose(
    true: ImageT,
    pred: Array,
    *,
    prob: Array | None = None,
    region: Array | None = None,
    thresh: float = THRESH,
    membrane_threshold: float = THRESHOLD,
    membrane: int | str = "membrane",
    membrane_width: float = MEMBRANE_WIDTH,
    seed: int = 0,
) -> Diagnosis[ImageT]:
    """Diagnose the errors of predicted cells.

    Parameters
    ----------
    true, pred
        Label images, (Y, X) or (Z, Y, X).
    prob
        Membrane probability, or probabilities of all classes, from which the predicted cells were made; its form is
        that of :func:`fijibridge.label_cells`. By default, membranes are drawn between the predicted cells instead.
    region
        Mask, non-zero where the truth is known.
    thresh
        Smallest IoU at which two cells match.
    membrane_threshold
        Smallest probability at which a pixel is membrane.
    membrane
        Membrane channel of `prob`, as for :func:`fijibridge.label_cells`.
    membrane_width
        Width of the true membranes, in pixels.
    seed
        Seed of the permutation tests.

    Returns
    -------
    Diagnosis

    Raises
    ------
    ImageError
        If shapes, axes or pixel sizes differ, or an image is not a label image.

    Examples
    --------
    >>> true = np.kron([[1, 2], [3, 4]], np.ones((20, 20), int))
    >>> pred = np.where(true == 2, 1, true)  # the membrane between 1 and 2 was missed
    >>> d = diagnose(true, pred, thresh=0.6)
    >>> d.cells.query("outcome != 'matched'")[["label", "outcome"]].to_numpy().tolist()
    [['merged 1', 'merged'], ['merged 2', 'merged'], ['1', 'merged']]
    >>> d.gaps[["true_a", "true_b", "length", "regained"]].to_numpy().tolist()
    [[1, 2, 20, 2]]
    """
    same_shape(true=true, pred=pred)
    matchings: tuple[Matching, ...] = match_labels(true, pred, thresh=(thresh, *THRESHOLDS), region=region)
    matching: Matching = matchings[0]
    likely = None if prob is None else _probability(prob, membrane)
    found = _predicted_membranes(true, pred, membrane_width) if likely is None else likely >= membrane_threshold
    errors = error_map(true, found, region=region, membrane_width=membrane_width)
    codes = values(errors)
    missed = [*matching.missed]
    cells = _placed(matching.cells(), as_labels(true), as_labels(pred))
    accuracy = float((codes[codes != IGNORE] == RIGHT).mean()) if (codes != IGNORE).any() else float("nan")
    gaps = find_gaps(true, pred, matching, prob=likely, threshold=membrane_threshold, region=region)
    enrichment = enrich_errors(codes, values(true), missed, seed=seed)
    return Diagnosis(
        matching=matching,
        curve=matchings[1:],
        agreement=compare_labels(true, pred, region=region, fill_gaps=GAP),
        cells=cells,
        errors=errors,
        pixel_accuracy=accuracy,
        correlation=correlate_errors(codes, sampling=spacing(true)),
        enrichment=enrichment,
        gaps=gaps,
        summary=explain(matching, accuracy, int((codes != IGNORE).sum()), gaps, enrichment, membrane_threshold),
    )


def _predicted_membranes(true: ImageT, pred: Array, membrane_width: float) -> npt.NDArray[np.bool_]:
    """Mark the membranes between predicted cells as those between true cells, with the pixel size of `true`."""
    cells: ImageT = like(as_labels(pred, "pred"), true)
    return np.asarray(values(membrane_target(cells, membrane_width)) == 1)


def _probability(prob: Any, membrane: int | str) -> npt.NDArray[np.float32]:
    return checked(values(membrane_of(prob, membrane)))


def _placed(cells: pd.DataFrame, true: npt.NDArray[Any], pred: npt.NDArray[Any]) -> pd.DataFrame:
    """Add the centre and area of each cell: of the true cell if there is one, otherwise of the predicted cell."""
    axes = ("z", "y", "x")[3 - true.ndim :]
    here, there = _centres(true), _centres(pred)
    ids = zip(cells["true"], cells["predicted"], strict=True)
    places = [there[int(p)] if t is pd.NA else here[int(t)] for t, p in ids]
    return cells.join(pd.DataFrame(places, columns=[*axes, "area"], index=cells.index))


def _centres(labels: npt.NDArray[Any]) -> dict[int, tuple[float, ...]]:
    ids, index = np.unique(labels[labels > 0], return_inverse=True)
    area = np.bincount(index, minlength=len(ids))
    sums = [np.bincount(index, places, len(ids)) / area for places in np.nonzero(labels)]
    return {int(i): tuple(float(s) for s in row) for i, *row in zip(ids, *sums, area, strict=True)}


def explain(
    matching: Matching,
    pixel_accuracy: float,
    pixels: int,
    gaps: pd.DataFrame,
    enrichment: pd.DataFrame,
    threshold: float = 0.5,
) -> str:
    """Explain in a sentence or two why the accuracy of pixels and of cells differ.

    Parameters
    ----------
    matching, pixel_accuracy, gaps, enrichment
        As in :class:`Diagnosis`.
    pixels
        Number of known pixels.
    threshold
        Smallest probability at which a pixel is membrane.
    """
    if not matching.n_true or pixel_accuracy != pixel_accuracy:
        return "There are no true cells or no known pixels, so there is nothing to explain."
    found = f"{_percent(pixel_accuracy)} of the pixels are right, and {_percent(matching.recall)} of the true cells"
    counts = f"{found} are found ({matching.tp} of {matching.n_true}, {matching.n_pred} predicted)."
    reasons = [*_lost(matching), *_cost(gaps, pixels, threshold), *_harmless(matching, pixel_accuracy, enrichment)]
    return " ".join([counts, *reasons])


def _percent(share: float) -> str:
    return "less than 0.01 %" if 0 < share < 5e-5 else f"{100 * share:.2f} %"


def _lost(matching: Matching) -> list[str]:
    counts = matching.outcomes()
    kinds = [f"{counts[kind]} {kind}" for kind in ("merged", "split", "missed") if counts[kind]]
    extra = counts["extra"]
    lost = f"Lost: {', '.join(kinds)}" if kinds else "No true cell is lost"
    return [f"{lost}; {extra} predicted cells are extra." if extra else f"{lost}."]


def _cost(gaps: pd.DataFrame, pixels: int, threshold: float) -> list[str]:
    gaps = gaps[~(gaps["lowest"] >= threshold)]  # leave out whole membranes
    if gaps.empty:
        return []
    length, regained = int(gaps["length"].sum()), gaps["regained"]
    many = "membrane that is" if len(gaps) == 1 else "membranes that are"
    cause = (
        f"The merges are caused by {len(gaps)} {many} broken over {length} px in total, {_percent(length / pixels)} of "
        "the pixels" + (": few wrong pixels cost many cells" if length < 0.02 * pixels else "")
    )
    worth = int((regained > 0).sum())
    return [f"{cause}; closing {worth} of {len(gaps)} regains {int(regained.sum())} cell(s)." if worth else f"{cause}."]


def _harmless(matching: Matching, pixel_accuracy: float, enrichment: pd.DataFrame) -> list[str]:
    """Say where the wrong pixels are, if there are many wrong pixels but few lost cells."""
    if matching.recall < pixel_accuracy:
        return []
    near = enrichment.set_index("where").loc["membranes"]
    if not (near["enrichment"] > 1 and near["p"] < 0.05):
        return []
    if near["outside"] == 0:
        return ["All wrong pixels are within 2 px of a membrane: they shift outlines rather than cost cells."]
    return [
        f"Wrong pixels are {near['enrichment']:.1f} times as dense within 2 px of a membrane as elsewhere: they "
        "shift outlines rather than cost cells."
    ]
