"""Report that compares predicted cells with true ones: one HTML file that a browser opens without a network."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from fijibridge.cells.corrections import compare_match_tables
from fijibridge.cells.diagnosis.overview import Diagnosis, diagnose
from fijibridge.cells.diagnosis.pixel_errors import EXTRA_MEMBRANE, MISSED_MEMBRANE
from fijibridge.cells.matching import THRESH
from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.matching.table import match_table
from fijibridge.cells.segmentation.labelling import membrane_of
from fijibridge.cells.segmentation.methods import THRESHOLD
from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.errors import ImageError
from fijibridge.image import Array, as_image, values
from fijibridge.messages import naming
from fijibridge.renames import renamed_keywords
from fijibridge.reports import html, pictures, plots
from fijibridge.reports.html import Section, ShownImage
from fijibridge.reports.provenance import PROVENANCE

_WORST = 8  # largest number of broken membranes that are shown
_AROUND = 24  # pixels that are shown on each side of a broken membrane


@dataclass(frozen=True)
class Case:
    """One image of a report.

    Attributes
    ----------
    name : str
        Name of the image.
    image, true, pred : array
        Intensities and label images, (Y, X) or (Z, Y, X). If `image` has several channels, the first is shown.
    prob : array, optional
        Membrane probability, or all classes with a channel ``"membrane"``.
    region : array, optional
        Mask, non-zero where the truth is known.
    provenance, note : str
        Origin of the truth, which is a key of :data:`PROVENANCE`, and a remark on this origin.
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
class DiagnosedCase:
    """An image of a report, its diagnosis, and pictures of it as data URIs.

    Attributes
    ----------
    case
        The image.
    diagnosis
        The diagnosis of the image.
    outcome
        Picture of the outcomes.
    shown
        The pictures of the page.
    slice
        Text that says which slice of a volume is shown; empty for a plane.
    gaps
        The costliest broken membranes, each with a picture.
    """

    case: Case
    diagnosis: Diagnosis[Any]
    outcome: pictures.Outcome
    shown: ShownImage
    slice: str
    gaps: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class SegmentationReport:
    """Data of a report on predicted cells.

    Attributes
    ----------
    cases
        The images.
    table
        Match table.
    before
        Older match table; None if there is none.
    """

    cases: tuple[DiagnosedCase, ...]
    table: pd.DataFrame
    before: pd.DataFrame | None


@renamed_keywords(threshold="membrane_threshold", width="membrane_width")
def write_report(
    path: str | os.PathLike[str],
    cases: Iterable[Case],
    *,
    thresh: float = THRESH,
    membrane_threshold: float = THRESHOLD,
    membrane: int | str = "membrane",
    membrane_width: float = 3,
    title: str = "Predicted cells against true ones",
    before: pd.DataFrame | None = None,
    png: str | os.PathLike[str] | None = None,
) -> pd.DataFrame:
    """Write a report: match table, pictures, lost cells and their causes, provenance of the truth.

    Parameters
    ----------
    path
        Path of the HTML file, which embeds its pictures.
    cases
        The images, as a list or any other iterable.
    thresh
        Smallest IoU at which two cells match.
    membrane_threshold, membrane, membrane_width
        Smallest probability at which a pixel is membrane (the one used to find the cells), channel of the membranes,
        and width of the true membranes in pixels: see :func:`fijibridge.diagnose`.
    title
        Title of the page.
    before
        Older match table, which is shown beside the new one.
    png
        Path for a picture of all outcomes, which ends in .png, .pdf or .svg. By default, no picture is written.

    Returns
    -------
    pandas.DataFrame
        Match table of :func:`fijibridge.match_table`.

    Raises
    ------
    ImageError
        If there are no images, two images have the same name, or :func:`fijibridge.diagnose` refuses an image.
    """
    if png is not None and Path(png).suffix.lower() not in (".png", ".pdf", ".svg"):
        raise ImageError(f"{png} ends in {Path(png).suffix!r}; expected a file name that ends in .png, .pdf or .svg")
    options: dict[str, Any] = {
        "thresh": thresh, "membrane_threshold": membrane_threshold, "membrane": membrane,
        "membrane_width": membrane_width,
    }  # fmt: skip
    diagnosed = tuple(_diagnosed(case, options) for case in _checked(cases))
    if not diagnosed:
        raise ImageError("there are no images to report on; expected at least one")
    matchings = {d.case.name: d.diagnosis.matching for d in diagnosed}
    curves = {d.case.name: d.diagnosis.curve for d in diagnosed}
    table = match_table(matchings).assign(ap=match_table(curves)["ap"])
    lead = (
        f"{len(diagnosed)} image{'s' if len(diagnosed) > 1 else ''}; two cells match if their IoU is at least {thresh}"
    )
    html.write_page(path, title, SECTIONS, SegmentationReport(diagnosed, table, before), lead=lead)
    if png is not None:
        pictures.save_outcomes([d.outcome for d in diagnosed], png)
    return table


def _checked(cases: Iterable[Case]) -> Iterator[Case]:
    """Check names, provenance and shape of each image, before its diagnosis."""
    names = set()
    for case in cases:
        if case.name in names:
            raise ImageError(f"two images are named {case.name!r}; expected different names")
        if case.name == "total":
            raise ImageError("an image is named 'total', like the last row of the table; rename the image")
        if case.provenance not in PROVENANCE:
            raise ImageError(f"{case.name}: provenance is {case.provenance!r}; expected one of {sorted(PROVENANCE)}")
        shape = tuple(n for d, n in as_image(case.image).sizes.items() if d != "c")
        if shape != tuple(values(case.true).shape):
            raise ImageError(
                f"{case.name}: the image has shape {shape}, its true cells have shape {values(case.true).shape}"
            )
        names.add(case.name)
        yield case


def _diagnosed(case: Case, options: dict[str, Any]) -> DiagnosedCase:
    true: Any = case.true
    with naming(case.name, ImageError):
        found = diagnose(true, case.pred, prob=case.prob, region=case.region, **options)
    z = _slice_to_show(found)
    raw, seen, pred = (pictures.plane_of(a, z) for a in (case.image, case.true, case.pred))
    outcome = pictures.outcome_picture(raw, seen, pred, found.matching)
    layers = {
        "outcomes": outcome,
        "image": pictures.grey(raw),
        "true cells": pictures.label_colours(seen),
        "predicted cells": pictures.label_colours(pred),
        "wrong pixels": _error_picture(raw, pictures.plane_of(found.errors, z)),
    }
    if case.prob is not None:
        prob: Any = case.prob
        layers["probability"] = pictures.plane_of(membrane_of(prob, options["membrane"]), z)
    gaps = tuple(dict(gap, picture=html.inline(_crop(case, gap))) for gap in _worst(found.gaps))
    return DiagnosedCase(
        case,
        found,
        pictures.Outcome(case.name, outcome, found.matching),
        ShownImage(case.name, found.summary, html.inline_all(layers)),
        "" if z is None else f"slice {z + 1} of {true.shape[0]}, the one with the most wrong cells",
        gaps,
    )


def _slice_to_show(found: Diagnosis[Any]) -> int | None:
    """Return the slice of a volume with the most centres of wrong cells; the middle one if no cell is wrong."""
    if values(found.errors).ndim == 2:
        return None
    places = found.wrong_places()
    depth = values(found.errors).shape[0]
    return int(np.bincount(places[:, 0], minlength=depth).argmax()) if len(places) else depth // 2


def _error_picture(image: npt.NDArray[Any], errors: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Paint missed membranes red and extra ones blue on the image; dim unknown pixels."""
    picture = 0.6 * np.repeat(pictures.grey(image)[..., None], 3, axis=-1)
    picture[errors == MISSED_MEMBRANE] = (0.95, 0.3, 0.1)
    picture[errors == EXTRA_MEMBRANE] = (0.3, 0.6, 1.0)
    picture[errors == IGNORE] *= 0.4
    return picture


def _worst(gaps: pd.DataFrame) -> Iterator[dict[str, Any]]:
    return ({str(k): v for k, v in row.items()} for row in gaps.head(_WORST).to_dict("records"))


def _crop(case: Case, gap: dict[str, Any]) -> npt.NDArray[np.float64]:
    """Cut the surroundings of a gap out of the image; outline the two true cells and the predicted one."""
    z = int(gap["z"]) if "z" in gap else None
    raw, true, pred = (pictures.plane_of(a, z) for a in (case.image, case.true, case.pred))
    picture = np.repeat(pictures.grey(raw)[..., None], 3, axis=-1)
    pictures.draw_outline(picture, pred == gap["predicted"], OUTCOME_COLORS["merged"])
    for name in ("true_a", "true_b"):
        pictures.draw_outline(picture, true == gap[name], OUTCOME_COLORS["matched"])
    y, x = int(gap["y"]), int(gap["x"])
    picture = picture[max(0, y - _AROUND) : y + _AROUND, max(0, x - _AROUND) : x + _AROUND]
    return picture.repeat(3, axis=0).repeat(3, axis=1)


# --- sections -------------------------------------------------------------------------------------------


def _provenance(report: SegmentationReport) -> dict[str, Any]:
    """Return each provenance of the truth, the meaning of its scores, and the names of the images that have it."""
    cases = [d.case for d in report.cases]
    kinds = dict.fromkeys(case.provenance for case in cases)
    return {"kinds": [(kind, PROVENANCE[kind], [c.name for c in cases if c.provenance == kind]) for kind in kinds]}


def _matches(report: SegmentationReport) -> dict[str, Any]:
    return {"table": report.table}


def _beside(report: SegmentationReport) -> dict[str, Any]:
    assert report.before is not None
    return {"table": compare_match_tables(report.before, report.table)}


def _curves(report: SegmentationReport) -> dict[str, Any]:
    return {
        "curve": html.inline(plots.match_curve({d.case.name: d.diagnosis.curve for d in report.cases})),
        "correlation": html.inline(
            plots.error_correlation({d.case.name: d.diagnosis.correlation for d in report.cases})
        ),
    }


def _images(report: SegmentationReport) -> dict[str, Any]:
    images = [{"case": d, "counts": d.diagnosis.matching.outcomes(), "scores": _scores(d)} for d in report.cases]
    return {"images": images, "colors": OUTCOME_COLORS}


def _scores(diagnosed: DiagnosedCase) -> dict[str, float]:
    found = diagnosed.diagnosis
    m: Matching = found.matching
    a = found.agreement
    return {
        "F1": m.f1, "panoptic quality": m.panoptic_quality, "SEG": m.seg,
        "average precision": found.average_precision, "pixel accuracy": found.pixel_accuracy,
        "adapted Rand error": a.adapted_rand_error, "VOI split": a.voi_split, "VOI merge": a.voi_merge,
        "boundary F": a.boundary_f,
    }  # fmt: skip


SECTIONS: tuple[Section[SegmentationReport], ...] = (
    Section("provenance", "", _provenance),
    Section("segmentation/matches", "Matches", _matches),
    Section("segmentation/beside", "Compared with the older table", _beside, lambda report: report.before is not None),
    Section("segmentation/curves", "", _curves),
    Section("segmentation/images", "", _images),
)
"""Sections of the report, in order."""
