"""The report of a training, as one file that a browser opens without a network."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.matching.table import match_table
from fijibridge.cells.segmentation.labelling import membrane_of
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.dataset import Dataset, Item
from fijibridge.image import values
from fijibridge.record import MEMBRANE, Record
from fijibridge.reports import html, pictures, plots
from fijibridge.reports.comparison import Shown
from fijibridge.reports.segmentation import PROVENANCE
from fijibridge.reports.settings import flat_settings, settings_table
from fijibridge.reports.trials import AnyRun, Contender, learnt_by, match_item, slice_shown, unseen_images

_MOST_SHOWN = 12  # images; the table has all


def report_run(
    run: AnyRun,
    path: str | os.PathLike[str],
    *,
    data: Dataset | str | os.PathLike[str] | None = None,
    split: str | None = None,
    thresh: float = 0.5,
    label: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> pd.DataFrame:
    """Write the report of a training: curves, how it ended, cells found, pictures, forecast, provenance, settings.

    Parameters
    ----------
    run
        The folder of a run, wherever it was made, or a run of this process.
    path
        Of the HTML file, which holds all that it shows.
    data
        Dataset, or its folder, whose images with known cells are predicted and matched; left out, that which it learnt
        from, if it still lies where it did. Without images the report has the picture that the run left.
    split
        ``"validation"`` or ``"test"``; both if left out.
    thresh
        IoU from which on a cell is found.
    label
        Arguments of :func:`fijibridge.label_cells`; the method ``"watershed"`` if left out.
    device
        To predict on; the best there is if left out.

    Returns
    -------
    pandas.DataFrame
        The match table of the images; empty if none could be tried.

    Raises
    ------
    TrainingError
        If it is no run.
    DatasetError
        If `data` cannot be opened, or has no such images.
    """
    contender = Contender(run, device, label)
    record = contender.record
    items, reason = unseen_images([record], data, split) if contender.without is None else ([], contender.without)
    notes = [] if reason is None else [f"No image was tried: {reason}."]
    matchings: dict[str, Matching] = {}
    shown: list[Shown] = []
    for item in items:
        tried, matchings[item.name] = _try(item, contender, thresh, pictured=len(shown) < _MOST_SHOWN)
        shown += [] if tried is None else [tried]
        if learnt_by(item, [contender]):
            notes.append(f"{item.name} was learnt: what is found there says little.")
    if len(items) > len(shown):
        notes.append(f"{len(shown)} of {len(items)} images are shown; the table has all.")
    groups = {item.name: item.split for item in items}
    table = match_table(matchings, groups if len(set(groups.values())) > 1 else None)
    took = record.took()
    html.write_page(
        path, "run.html.j2", title=f"Training {record.name}", told=record.summary(), ending=record.ending, notes=notes,
        provenance=_provenance(record), history=record.history, thresh=thresh, colors=OUTCOME_COLORS, table=table,
        matches=record.matches, took=None if took is None else took.reset_index(), shown=shown,
        picture=_left(record), data=_data_facts(record), settings=settings_table(record),
        environment=pd.DataFrame(
            [(k, str(v)) for k, v in flat_settings(record.environment).items()], columns=["what", "value"]
        ),
        curves=html.inline(plots.run_curves({record.name: record.curves})) if len(record.curves.columns) else None,
    )  # fmt: skip
    return table


def _try(item: Item, contender: Contender, thresh: float, pictured: bool) -> tuple[Shown | None, Matching]:
    true = np.asarray(values(item.labels()))
    prob = contender.prob(item)
    cells = contender.cells(item, prob)
    matching = match_item(item, cells, thresh)
    if not pictured:
        return None, matching
    z = slice_shown(true)
    raw, seen, found = (pictures.plane_of(image, z) for image in (item.image(), true, cells))
    layers = {
        "outcomes": pictures.outcome_picture(raw, seen, found, matching), "image": pictures.grey(raw),
        "probability": pictures.plane_of(membrane_of(prob, MEMBRANE), z),
        "true cells": pictures.label_colours(seen), "predicted cells": pictures.label_colours(found),
    }  # fmt: skip
    words = f"{item.split}: {matching.tp} of {matching.n_true} cells found, F1 {matching.f1:.3f}"
    more = pictures.outcome_words(matching)
    inline = {name: html.inline(picture) for name, picture in layers.items()}
    return Shown(item.name, f"{words}; {more}" if more else words, inline), matching


def _left(record: Record) -> dict[str, str]:
    """Return the layers of the picture that the run left."""
    picture = record.picture
    if picture is None:
        return {}
    return {str(name): html.inline(_plane(picture, str(name))) for name in picture.coords["c"].values}


def _plane(picture: xr.DataArray, channel: str) -> npt.NDArray[np.float64]:
    plane = picture.sel(c=channel)
    plane = plane.isel(z=plane.sizes["z"] // 2) if "z" in plane.dims else plane
    return np.asarray(values(plane), float) if channel == MEMBRANE else pictures.grey(plane)


def _provenance(record: Record) -> list[tuple[str, str]]:
    """Return each kind of truth that was learnt, and what scores by it are worth."""
    kinds = str(record.settings.get("provenance", "unknown")).split(" and ")
    return [(kind, PROVENANCE.get(kind, PROVENANCE["unknown"])) for kind in kinds]


def _data_facts(record: Record) -> pd.DataFrame:
    keys = {"data": "data", "data_folder": "folder", "fingerprint": "fingerprint", "images": "images learnt",
            "validation_images": "images watched", "pixel_size": "pixel size", "unit": "unit"}  # fmt: skip
    told = {name: record.settings.get(key) for key, name in keys.items()}
    return pd.DataFrame([(k, str(v)) for k, v in told.items() if v is not None], columns=["what", "value"])
