"""Runs side by side: what was set otherwise, how the curves went, what each finds in the same images."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr
from matplotlib import colormaps

from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.matching.table import match_table
from fijibridge.cells.segmentation.labelling import membrane_of
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import TrainingError
from fijibridge.files import make_folder, write_image
from fijibridge.image import values
from fijibridge.record import Record
from fijibridge.reports import html, pictures, plots, tables
from fijibridge.reports.predictions import COLUMNS, difference
from fijibridge.reports.settings import differing_settings, endings_table
from fijibridge.reports.trials import (
    LABEL,
    AnyRun,
    Contender,
    learnt_by,
    match_item,
    slice_shown,
    unseen_images,
)

PAGE = "comparison.html"
_BESIDE = ("matched", "predicted", "f1", "pq", "splits", "merges")
_SHORT = ("matched", "f1")


@dataclass(frozen=True)
class Shown:
    """One image of a comparison as the page shows it: pictures are data URIs."""

    name: str
    note: str
    layers: dict[str, str]


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes
    ----------
    records : dict
        :class:`fijibridge.Record` of each run, by the name that it has here.
    settings : pandas.DataFrame
        A row per setting (and version, and device) that is not the same in all runs; a column per run.
    endings : pandas.DataFrame
        A row per run: epochs, metric, its best value and epoch, seconds, what the curves look like, why it ended.
    tables : dict
        Match table of each run on the same images, as :func:`fijibridge.match_table` has it.
    matches : pandas.DataFrame
        These beside each other: a row per image, for each measure a column per run and the change from the first run to
        the last. Empty if no image could be tried.
    differences : pandas.DataFrame
        How far the predictions of each run differ from those of the first, per image: the columns of
        :func:`fijibridge.compare_predictions`, and ``runs``.
    notes : tuple of str
        What one has to know to read it: images that a run had learnt, runs that could not be tried.
    """

    records: dict[str, Record]
    settings: pd.DataFrame
    endings: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    matches: pd.DataFrame
    differences: pd.DataFrame
    notes: tuple[str, ...]
    thresh: float = 0.5
    shown: tuple[Shown, ...] = field(default=(), repr=False)

    @property
    def curves(self) -> pd.DataFrame:
        """The metrics of all runs by epoch, with columns (run, metric)."""
        return pd.concat({name: record.curves for name, record in self.records.items()}, axis="columns")

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``comparison.html`` and the tables as CSV into a folder, and return the path of the page."""
        target = make_folder(folder)
        for name in ("settings", "endings", "matches", "differences"):
            if len(table := getattr(self, name)):
                tables.save_table(target / f"{name}.csv", table)
        html.write_page(
            target / PAGE, "comparison.html.j2", title=f"Runs {', '.join(self.records)}", thresh=self.thresh,
            told={name: record.summary() for name, record in self.records.items()}, settings=self.settings,
            endings=self.endings, matches=self.matches, differences=self.differences, notes=self.notes,
            curves=html.inline(plots.run_curves({name: r.curves for name, r in self.records.items()})),
            colors=OUTCOME_COLORS, shown=self.shown,
        )  # fmt: skip
        return target / PAGE

    def __str__(self) -> str:
        parts = {
            "Settings that differ": self.settings,
            "How they ended": self.endings,
            "Matches": self.matches[[c for c in self.matches if str(c).startswith(("image", "GT", *_SHORT))]],
            "Differences of predictions": self.differences,
        }
        text = [f"{title}\n{_text(table)}" for title, table in parts.items() if len(table)]
        return "\n\n".join([*text, *self.notes])


def compare_runs(
    *runs: AnyRun,
    data: Dataset | str | os.PathLike[str] | None = None,
    split: str | None = None,
    out: str | os.PathLike[str] | None = None,
    thresh: float = 0.5,
    label: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> Comparison:
    """Set trainings side by side: settings, curves, endings, and what each finds in the same images.

    Parameters
    ----------
    *runs
        Folders of runs, or runs of this process, the oldest first: changes are from the first to the last.
    data
        Dataset, or its folder, whose images with known cells the runs are tried on; left out, that which they learnt
        from, if it still lies where it did.
    split
        ``"validation"``, ``"test"`` or ``"train"``; validation and test images if left out.
    out
        Folder for ``comparison.html``, the tables as CSV, and the difference images
        ``differences/{image}_{run}-{first}.tif`` (probability of membrane, of a run minus that of the first).
    thresh
        IoU from which on a cell is found.
    label
        Arguments of :func:`fijibridge.label_cells`; the method ``"watershed"`` if left out. ``{name}_prob.tif`` and
        ``{name}_cells.tif`` in the folder of a run that are newer than its model are taken as they are (cells only if
        `label` is left out).
    device
        To predict on; the best there is if left out.

    Returns
    -------
    Comparison

    Raises
    ------
    TrainingError
        If there are less than two runs, or one is no run.
    DatasetError
        If `data` cannot be opened, or has no such images.
    """
    if len(runs) < 2:
        raise TrainingError(f"got {len(runs)} run(s); expected two or more to compare")
    contenders = _named_apart([Contender(run, device, label) for run in runs])
    records = {c.name: c.record for c in contenders}
    items, reason = unseen_images(list(records.values()), data, split)
    notes = [] if reason is None else [f"No image was tried: {reason}."]
    able = [c for c in contenders if c.without is None]
    notes += [f"Not tried on images: {c.without}." for c in contenders if c.without is not None]
    target = None if out is None else make_folder(out)
    found: dict[str, dict[str, Matching]] = {c.name: {} for c in able}
    differences: list[dict[str, Any]] = []
    shown: list[Shown] = []
    for item in items if len(able) > 1 else ():
        shown.append(_try(item, able, found, differences, thresh, label or LABEL, target))
        if learnt := learnt_by(item, able):
            notes.append(f"{item.name} was learnt by {' and '.join(learnt)}: what such a run finds there says little.")
    groups = {item.name: item.split for item in items}
    several = len(set(groups.values())) > 1
    by_run = {name: match_table(m, groups if several else None) for name, m in found.items() if m}
    result = Comparison(
        records=records,
        settings=differing_settings(records),
        endings=endings_table(records),
        tables=by_run,
        matches=_beside(by_run),
        differences=pd.DataFrame(differences, columns=["image", "runs", *COLUMNS[1:]]),
        notes=tuple(notes),
        thresh=thresh,
        shown=tuple(shown),
    )
    if target is not None:
        result.save(target)
    return result


def _try(
    item: Item, contenders: Sequence[Contender], found: dict[str, dict[str, Matching]],
    differences: list[dict[str, Any]], thresh: float, label: Mapping[str, Any], target: Path | None,
) -> Shown:  # fmt: skip
    """Let each run find the cells of an image, note what it found, and how far it is from the first run."""
    true = np.asarray(values(item.labels()))
    z = slice_shown(true)
    raw = pictures.plane_of(item.image(), z)
    layers = {"image": pictures.grey(raw), "true cells": pictures.label_colours(pictures.plane_of(true, z))}
    first: xr.DataArray | None = None
    words = []
    for contender in contenders:
        prob = contender.prob(item)
        cells = contender.cells(item, prob)
        matching = found[contender.name][item.name] = match_item(item, cells, thresh)
        true_plane, plane = pictures.plane_of(true, z), pictures.plane_of(cells, z)
        layers[f"{contender.name}: outcomes"] = pictures.outcome_picture(raw, true_plane, plane, matching)
        words.append(f"{contender.name}: {matching.tp} of {matching.n_true}, {pictures.outcome_words(matching)}")
        if first is None:
            first = prob
            continue
        runs = f"{contender.name} - {contenders[0].name}"
        row = difference(first, prob, thresh=thresh, threshold=0.5, label=label)
        differences.append({"image": item.name, "runs": runs, **row})
        minus = membrane_of(prob, "membrane") - membrane_of(first, "membrane").values
        layers[runs] = _difference_picture(pictures.plane_of(minus, z))
        if target is not None:
            write_image(minus, target / "differences" / f"{item.name}_{runs.replace(' ', '')}.tif")
    return Shown(item.name, "; ".join(words), {name: html.inline(picture) for name, picture in layers.items()})


def _difference_picture(difference: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Paint where a probability is higher red, and where it is lower blue, full colour at 1."""
    return np.asarray(colormaps["RdBu_r"](difference / 2 + 0.5)[..., :3], float)


def _named_apart(contenders: list[Contender]) -> list[Contender]:
    """Give runs whose folders have one name more of their paths, or numbers, so that each has its own."""
    names = [c.name for c in contenders]
    for contender in contenders:
        path = contender.record.path
        if names.count(contender.name) > 1 and path is not None:
            contender.name = f"{path.resolve().parent.name}-{contender.name}"
    names = [c.name for c in contenders]
    for number, contender in enumerate(contenders, start=1):
        if names.count(contender.name) > 1:
            contender.name = f"{contender.name}-{number}"
    return contenders


def _beside(by_run: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Set match tables of the same images beside each other, with the change from the first to the last."""
    if len(by_run) < 2:
        return pd.DataFrame(columns=["image", "GT"])
    first, *_, last = by_run.values()
    result = first[["image", "GT"]].copy()
    for column in _BESIDE:
        for name, table in by_run.items():
            result[f"{column} {name}"] = table[column]
        result[f"{column} change"] = last[column] - first[column]
    return result


def _text(table: pd.DataFrame) -> str:
    return table.to_string(index=False, float_format="{:.4g}".format, na_rep="–")
