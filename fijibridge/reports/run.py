"""Report on a training: one HTML file that a browser opens without a network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.cells.matching import THRESH
from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.matching.table import match_table
from fijibridge.cells.segmentation.labelling import membrane_of
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.dataset import Dataset, Item
from fijibridge.image import values
from fijibridge.record import MEMBRANE, Record
from fijibridge.reports import html, pictures, plots
from fijibridge.reports.html import Section, ShownImage
from fijibridge.reports.provenance import PROVENANCE
from fijibridge.reports.settings import flat_settings, settings_table
from fijibridge.reports.trials import AnyRun, Contender, match_item, slice_shown, trained_on, unseen_images

_MOST_SHOWN = 12  # largest number of images that are shown; the table lists all


@dataclass(frozen=True)
class RunReport:
    """Data of the report on a training.

    Attributes
    ----------
    record
        Record of the run.
    table
        Match table of the images that the run was evaluated on.
    shown
        Images with pictures.
    notes
        Remarks on the evaluation, such as why there are no images, or which images are training images.
    thresh
        Smallest IoU at which two cells match.
    """

    record: Record
    table: pd.DataFrame
    shown: tuple[ShownImage, ...]
    notes: tuple[str, ...]
    thresh: float


def report_run(
    run: AnyRun,
    path: str | os.PathLike[str],
    *,
    data: Dataset | str | os.PathLike[str] | None = None,
    split: str | None = None,
    thresh: float = THRESH,
    label: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> pd.DataFrame:
    """Write the report on a training: curves, ending, matched cells, pictures, forecast, provenance, settings.

    Parameters
    ----------
    run
        Folder of a run, made on any machine, or a run of this process.
    path
        Path of the HTML file, which embeds its pictures.
    data
        Dataset or its folder. Its images with known cells are predicted and matched. The default is the training
        folder, if it still exists. Without images, the report shows the picture that the training saved.
    split
        Split of the images, ``"validation"`` or ``"test"``; both by default.
    thresh
        Smallest IoU at which two cells match.
    label
        Arguments of :func:`fijibridge.label_cells`; the method ``"watershed"`` if left out.
    device
        Device that predicts; the fastest available if left out.

    Returns
    -------
    pandas.DataFrame
        Match table of the images; empty without images.

    Raises
    ------
    TrainingError
        If `run` is neither a run nor the folder of one.
    DatasetError
        If `data` cannot be opened, or has no images with known cells in `split`.
    """
    contender = Contender(run, device, label)
    lacks = contender.without
    items, reason = unseen_images([contender.record], data, split) if lacks is None else ([], lacks)
    report = _tried(contender, items, reason, thresh)
    html.write_page(path, f"Training {report.record.name}", SECTIONS, report)
    return report.table


def _tried(contender: Contender, items: list[Item], reason: str | None, thresh: float) -> RunReport:
    """Evaluate a run on images, and return the data of its report."""
    notes = [] if reason is None else [f"The run was not evaluated on images: {reason}."]
    matchings: dict[str, Matching] = {}
    shown: list[ShownImage] = []
    for item in items:
        prob = contender.prob(item)
        cells = contender.cells(item, prob)
        matchings[item.name] = match_item(item, cells, thresh)
        if len(shown) < _MOST_SHOWN:
            shown.append(_shown(item, prob, cells, matchings[item.name]))
        if trained_on(item, [contender]):
            notes.append(f"{item.name} is a training image: its score says little about other images.")
    if len(items) > len(shown):
        notes.append(f"{len(shown)} of {len(items)} images are shown; the table lists all.")
    groups = {item.name: item.split for item in items}
    table = match_table(matchings, groups if len(set(groups.values())) > 1 else None)
    return RunReport(contender.record, table, tuple(shown), tuple(notes), thresh)


def _shown(item: Item, prob: xr.DataArray, cells: npt.NDArray[Any], matching: Matching) -> ShownImage:
    true = np.asarray(values(item.labels()))
    z = slice_shown(true)
    raw, seen, found = (pictures.plane_of(image, z) for image in (item.image(), true, cells))
    layers = {
        "outcomes": pictures.outcome_picture(raw, seen, found, matching), "image": pictures.grey(raw),
        "probability": pictures.plane_of(membrane_of(prob, MEMBRANE), z),
        "true cells": pictures.label_colours(seen), "predicted cells": pictures.label_colours(found),
    }  # fmt: skip
    words = f"{item.split}: {matching.tp} of {matching.n_true} cells found, F1 {matching.f1:.3f}"
    more = pictures.outcome_words(matching)
    return ShownImage(item.name, f"{words}; {more}" if more else words, html.inline_all(layers))


# --- sections -------------------------------------------------------------------------------------------


def _provenance(report: RunReport) -> dict[str, Any]:
    """Return each kind of truth that the run was trained on, and what scores against it mean."""
    kinds = str(report.record.settings.get("provenance", "unknown")).split(" and ")
    return {"kinds": [(kind, PROVENANCE.get(kind, PROVENANCE["unknown"]), []) for kind in kinds]}


def _ending(report: RunReport) -> dict[str, Any]:
    return {"words": report.record.summary(), "ending": report.record.ending}


def _curves(report: RunReport) -> dict[str, Any]:
    record = report.record
    figure = plots.run_curves({record.name: record.curves}) if len(record.curves.columns) else None
    return {"curves": None if figure is None else html.inline(figure), "history": record.history}


def _matches(report: RunReport) -> dict[str, Any]:
    return {"notes": report.notes, "table": report.table, "thresh": report.thresh, "own": report.record.matches}


def _images(report: RunReport) -> dict[str, Any]:
    return {"shown": report.shown, "colors": OUTCOME_COLORS}


def _picture(report: RunReport) -> dict[str, Any]:
    """Return the layers of the picture that the training saved."""
    picture = report.record.picture
    assert picture is not None
    return {"layers": {str(name): html.inline(_plane(picture, str(name))) for name in picture.coords["c"].values}}


def _plane(picture: xr.DataArray, channel: str) -> npt.NDArray[np.float64]:
    plane = picture.sel(c=channel)
    plane = plane.isel(z=plane.sizes["z"] // 2) if "z" in plane.dims else plane
    return np.asarray(values(plane), float) if channel == MEMBRANE else pictures.grey(plane)


def _forecast(report: RunReport) -> dict[str, Any]:
    compared = report.record.took()
    assert compared is not None
    return {"table": compared.reset_index(), "first": "quantity"}


def _data(report: RunReport) -> dict[str, Any]:
    names = {"data": "data", "data_folder": "folder", "fingerprint": "fingerprint", "images": "training images",
             "validation_images": "validation images", "pixel_size": "pixel size", "unit": "unit"}  # fmt: skip
    known = {name: report.record.settings.get(key) for key, name in names.items()}
    rows = [(name, str(value)) for name, value in known.items() if value is not None]
    return {"table": pd.DataFrame(rows, columns=["what", "value"]), "first": "what"}


def _environment(report: RunReport) -> dict[str, Any]:
    rows = [(name, str(value)) for name, value in flat_settings(report.record.environment).items()]
    return {"table": pd.DataFrame(rows, columns=["what", "value"]), "first": "what"}


def _settings(report: RunReport) -> dict[str, Any]:
    return {"table": settings_table(report.record), "first": "setting"}


SECTIONS: tuple[Section[RunReport], ...] = (
    Section("provenance", "", _provenance),
    Section("run/ending", "Ending", _ending),
    Section("run/curves", "Curves", _curves),
    Section("run/matches", "Matched cells", _matches),
    Section("run/images", "", _images, lambda report: report.shown),
    Section("run/picture", "Picture saved by the training", _picture, lambda report: report.record.picture is not None),
    Section("run/forecast", "Forecast and measurement", _forecast, lambda report: report.record.took() is not None),
    Section("run/data", "Training data", _data),
    Section("run/environment", "Environment", _environment),
    Section("run/settings", "Settings", _settings),
)
"""Sections of the report on a training, in order."""
