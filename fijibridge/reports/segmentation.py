"""A report of predicted cells against true ones, as one file that a browser opens without a network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import fijibridge
from fijibridge.cells.corrections import compare_match_tables
from fijibridge.cells.diagnosis.overview import Diagnosis, diagnose
from fijibridge.cells.diagnosis.pixel_errors import EXTRA_MEMBRANE, MISSED_MEMBRANE
from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.matching.table import match_table
from fijibridge.cells.segmentation.labelling import membrane_of
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.errors import ImageError
from fijibridge.image import Array, as_image, values
from fijibridge.reports import html, pictures, plots

PROVENANCE = {
    "manual": "The truth was drawn by hand.",
    "corrected": (
        "The truth is the output of an algorithm that people corrected: an error that it and the prediction share, and "
        "that nobody saw, counts as right."
    ),
    "algorithm": (
        "The truth is itself the output of an algorithm: scores say how far two algorithms agree, not how many cells "
        "are right."
    ),
    "unknown": "Nobody said where the truth comes from: set provenance in the description of the images.",
}
"""What a score is worth, by the provenance of the truth."""

_WORST = 8  # broken membranes that are shown
_AROUND = 24  # pixels around them


@dataclass(frozen=True)
class Case:
    """One image of a report.

    Attributes
    ----------
    name : str
        Of the image.
    image, true, pred : array
        Intensities and label images, (Y, X) or (Z, Y, X); of several channels the first is shown.
    prob : array, optional
        Membrane probability, or all classes with a channel ``"membrane"``.
    region : array, optional
        Where the truth is known.
    provenance, note : str
        Of the truth: a key of :data:`PROVENANCE`, and what there is to say about it.
    """

    name: str
    image: Array
    true: Array
    pred: Array
    prob: Array | None = None
    region: Array | None = None
    provenance: str = "unknown"
    note: str = ""


@dataclass(frozen=True)
class _Section:
    """What the page says about one image; pictures are data URIs."""

    name: str
    summary: str
    shown: str
    layers: dict[str, str]
    counts: dict[str, int]
    agreement: dict[str, float]
    enrichment: pd.DataFrame
    gaps: list[dict[str, Any]]
    provenance: str
    note: str


def write_report(
    path: str | os.PathLike[str],
    cases: Iterable[Case],
    *,
    thresh: float = 0.5,
    threshold: float = 0.5,
    membrane: int | str = "membrane",
    width: float = 3,
    title: str = "Predicted cells against true ones",
    before: pd.DataFrame | None = None,
    png: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Write a report: tables, pictures, where and why cells are lost, and where the truth comes from.

    Parameters
    ----------
    path
        Of the HTML file, which holds all that it shows.
    cases
        The images. They are looked at one after the other: an iterator need not hold them all.
    thresh
        IoU from which on a cell is found.
    threshold, membrane, width
        The probability from which on a pixel is membrane (that with which the cells were found), which channel it is,
        and how wide true membranes are, in pixels: see :func:`fijibridge.diagnose`.
    title
        Of the page.
    before
        An older match table, which is set beside this one.
    png
        Write the pictures of the outcomes as one PNG, too.

    Returns
    -------
    pandas.DataFrame
        The match table, of :func:`fijibridge.match_table`.

    Raises
    ------
    ImageError
        If there is no image, two have one name, or what :func:`fijibridge.diagnose` refuses.
    """
    if png is not None and Path(png).suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ImageError(f"{png} ends in {Path(png).suffix!r}; a picture ends in .png, .pdf or .svg")
    sections: list[_Section] = []
    matchings: dict[str, Matching] = {}
    curves: dict[str, tuple[Matching, ...]] = {}
    correlations: dict[str, pd.DataFrame] = {}
    panels: list[pictures.Outcome] = []
    for case in cases:
        if case.name in matchings:
            raise ImageError(f"two images are named {case.name!r}; expected a name for each")
        if case.name == "total":
            raise ImageError("an image is named 'total', as the last row of the table is: name it otherwise")
        true: Any = case.true
        found = _diagnosed(
            case, true, thresh=thresh, membrane_threshold=threshold, membrane=membrane, membrane_width=width,
        )  # fmt: skip
        matchings[case.name] = found.matching
        curves[case.name] = found.curve
        correlations[case.name] = found.correlation
        section, panel = _section(case, found, membrane)
        sections.append(section)
        panels.append(panel)
    if not sections:
        raise ImageError("there is no image to report on")
    table = match_table(matchings).assign(ap=match_table(curves)["ap"])
    html.write_page(
        path,
        "report.html.j2",
        title=title,
        thresh=thresh,
        provenance=_provenance(sections),
        table=table,
        beside=None if before is None else compare_match_tables(before, table),
        curve=html.inline(plots.match_curve(curves)),
        correlation=html.inline(plots.error_correlation(correlations)),
        colors=OUTCOME_COLORS,
        sections=sections,
    )
    if png is not None:
        pictures.save_outcomes(png, panels)
    return table


def _diagnosed(case: Case, true: Any, **settings: Any) -> Diagnosis[Any]:
    """Diagnose a case, and name it in what is refused."""
    shown = tuple(n for d, n in as_image(case.image).sizes.items() if d != "c")
    if shown != tuple(true.shape):
        raise ImageError(f"{case.name}: the image has shape {shown} but its true cells {tuple(true.shape)}")
    try:
        return diagnose(true, case.pred, prob=case.prob, region=case.region, **settings)
    except ImageError as error:
        raise ImageError(f"{case.name}: {error}") from error


def _provenance(sections: Sequence[_Section]) -> list[tuple[str, str, list[str]]]:
    """Return each provenance of the truth, what it means, and the images."""
    kinds = dict.fromkeys(section.provenance for section in sections)
    return [(kind, PROVENANCE[kind], [s.name for s in sections if s.provenance == kind]) for kind in kinds]


def _section(case: Case, found: Diagnosis[Any], membrane: int | str) -> tuple[_Section, pictures.Outcome]:
    if case.provenance not in PROVENANCE:
        raise ImageError(f"{case.name}: provenance {case.provenance!r}; expected one of {sorted(PROVENANCE)}")
    z = _slice_to_show(found)
    raw, true, pred = (pictures.plane_of(a, z) for a in (case.image, case.true, case.pred))
    outcome = pictures.outcome_picture(raw, true, pred, found.matching)
    layers = {
        "outcomes": outcome,
        "image": pictures.grey(raw),
        "true cells": pictures.label_colours(true),
        "predicted cells": pictures.label_colours(pred),
        "wrong pixels": _error_picture(raw, pictures.plane_of(found.errors, z)),
    }
    if case.prob is not None:
        prob: Any = case.prob
        layers["probability"] = pictures.plane_of(membrane_of(prob, membrane), z)
    m, a = found.matching, found.agreement
    section = _Section(
        name=case.name,
        summary=found.summary,
        shown="" if z is None else f"slice {z + 1} of {case.true.shape[0]}, the one with most wrong cells",
        layers={name: html.inline(picture) for name, picture in layers.items()},
        counts=m.outcomes(),
        agreement={
            "F1": m.f1, "panoptic quality": m.panoptic_quality, "SEG": m.seg,
            "average precision": found.average_precision, "pixel accuracy": found.pixel_accuracy,
            "adapted Rand error": a.adapted_rand_error, "VOI split": a.voi_split, "VOI merge": a.voi_merge,
            "boundary F": a.boundary_f,
        },
        enrichment=found.enrichment,
        gaps=[dict(row, picture=html.inline(_crop(case, row))) for row in _worst(found.gaps)],
        provenance=case.provenance,
        note=case.note,
    )  # fmt: skip
    return section, pictures.Outcome(case.name, outcome, found.matching)


def _slice_to_show(found: Diagnosis[Any]) -> int | None:
    """Return the slice of a volume with the centres of most wrong cells; the middle one if none is wrong."""
    if values(found.errors).ndim == 2:
        return None
    places = found.wrong_places()
    depth = values(found.errors).shape[0]
    return int(np.bincount(places[:, 0], minlength=depth).argmax()) if len(places) else depth // 2


def _error_picture(image: npt.NDArray[Any], errors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Paint membranes that were missed red, and those that are none blue; dim what is unknown."""
    picture = 0.6 * np.repeat(pictures.grey(image)[..., None], 3, axis=-1)
    picture[errors == MISSED_MEMBRANE] = (0.95, 0.3, 0.1)
    picture[errors == EXTRA_MEMBRANE] = (0.3, 0.6, 1.0)
    picture[errors == fijibridge.IGNORE] *= 0.4
    return picture


def _worst(gaps: pd.DataFrame) -> Iterator[dict[str, Any]]:
    return ({str(k): v for k, v in row.items()} for row in gaps.head(_WORST).to_dict("records"))


def _crop(case: Case, gap: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Cut the surroundings of a gap out of the image, with the two true cells and the predicted one outlined."""
    z = int(gap["z"]) if "z" in gap else None
    raw, true, pred = (pictures.plane_of(a, z) for a in (case.image, case.true, case.pred))
    picture = np.repeat(pictures.grey(raw)[..., None], 3, axis=-1)
    pictures.draw_outline(picture, pred == gap["predicted"], OUTCOME_COLORS["merged"])
    for name in ("true_a", "true_b"):
        pictures.draw_outline(picture, true == gap[name], OUTCOME_COLORS["matched"])
    y, x = int(gap["y"]), int(gap["x"])
    picture = picture[max(0, y - _AROUND) : y + _AROUND, max(0, x - _AROUND) : x + _AROUND]
    return picture.repeat(3, axis=0).repeat(3, axis=1)
