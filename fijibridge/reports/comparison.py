"""Comparison of runs: settings, curves, endings, and the cells that each run finds in the same images."""

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

from fijibridge.cells.matching import THRESH
from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.matching.table import match_table
from fijibridge.cells.segmentation.labelling import membrane_of
from fijibridge.cells.segmentation.methods import THRESHOLD
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import TrainingError
from fijibridge.files import make_folder, write_image
from fijibridge.image import values
from fijibridge.record import MEMBRANE, Record
from fijibridge.reports import html, pictures, plots, tables
from fijibridge.reports.html import Section, ShownImage
from fijibridge.reports.predictions import COLUMNS, difference
from fijibridge.reports.settings import differing_settings, endings_table
from fijibridge.reports.trials import LABEL, AnyRun, Contender, match_item, slice_shown, trained_on, unseen_images

PAGE = "comparison.html"
_BESIDE = ("matched", "predicted", "f1", "pq", "splits", "merges")
_SHORT = ("matched", "f1")


@dataclass(frozen=True)
class Comparison:
    """Runs side by side.

    Attributes
    ----------
    records : dict
        :class:`fijibridge.Record` of each run, by its name in the comparison.
    settings : pandas.DataFrame
        Settings, versions and devices that differ: one row each, one column per run.
    endings : pandas.DataFrame
        One row per run: epochs, metric, best value of the metric and the epoch of this value, seconds, shape of the
        curves, reason for ending.
    tables : dict
        Match table of each run on the same images, as :func:`fijibridge.match_table` returns it.
    matches : pandas.DataFrame
        The match tables side by side: one row per image; for each score, one column per run and the change from the
        first run to the last. Empty if the runs could not be evaluated on images.
    differences : pandas.DataFrame
        Differences between the predictions of each run and those of the first run, by image: the columns of
        :func:`fijibridge.compare_predictions`, and ``runs``.
    notes : tuple of str
        Remarks, such as which images are training images, or which runs could not be evaluated.
    """

    records: dict[str, Record]
    settings: pd.DataFrame
    endings: pd.DataFrame
    tables: dict[str, pd.DataFrame]
    matches: pd.DataFrame
    differences: pd.DataFrame
    notes: tuple[str, ...]
    thresh: float = THRESH
    shown: tuple[ShownImage, ...] = field(default=(), repr=False)

    @property
    def curves(self) -> pd.DataFrame:
        """Metrics of all runs by epoch, with columns (run, metric)."""
        return pd.concat({name: record.curves for name, record in self.records.items()}, axis="columns")

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write ``comparison.html`` and the tables as CSV into a folder, and return the path of the page."""
        target = make_folder(folder)
        for name in ("settings", "endings", "matches", "differences"):
            if len(table := getattr(self, name)):
                tables.save_table(table, target / f"{name}.csv")
        lead = f"Two cells match if their IoU is at least {self.thresh}; changes are from the first run to the last"
        html.write_page(target / PAGE, f"Runs {', '.join(self.records)}", SECTIONS, self, lead=lead)
        return target / PAGE

    def __str__(self) -> str:
        parts = {
            "Settings that differ": self.settings,
            "Endings": self.endings,
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
    thresh: float = THRESH,
    label: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> Comparison:
    """Compare trainings: settings, curves, endings, and the cells that each run finds in the same images.

    Parameters
    ----------
    *runs
        Folders of runs, or runs of this process. Give the oldest first, because changes are from the first run to the
        last.
    data
        Dataset or its folder. The runs are evaluated on its images with known cells. The default is the training
        folder, if it still exists.
    split
        Split of the images, ``"validation"``, ``"test"`` or ``"train"``; validation and test images by default.
    out
        Folder for ``comparison.html``, the tables as CSV, and the difference images
        ``differences/{image}_{run}-{first}.tif`` (membrane probability of a run minus that of the first run).
    thresh
        Smallest IoU at which two cells match.
    label
        Arguments of :func:`fijibridge.label_cells`; the method ``"watershed"`` if left out. Files ``{name}_prob.tif``
        and ``{name}_cells.tif`` in a run's folder that are newer than the run's model are read, which saves computing
        them (the cells only if `label` is left out).
    device
        Device that predicts; the fastest available if left out.

    Returns
    -------
    Comparison

    Raises
    ------
    TrainingError
        If there are fewer than two runs, or an argument is neither a run nor the folder of one.
    DatasetError
        If `data` cannot be opened, or has no images with known cells in `split`.
    """
    if len(runs) < 2:
        raise TrainingError(f"got {len(runs)} run(s); expected two or more to compare")
    contenders = _with_different_names([Contender(run, device, label) for run in runs])
    records = {c.name: c.record for c in contenders}
    items, reason = unseen_images(list(records.values()), data, split)
    able = [c for c in contenders if c.without is None]
    target = None if out is None else make_folder(out)
    trial = _Trial(able, thresh, {**LABEL, **(label or {})}, target)
    trial.notes += [] if reason is None else [f"The runs were not evaluated on images: {reason}."]
    trial.notes += [f"Not evaluated on images: {c.without}." for c in contenders if c.without is not None]
    for item in items if len(able) > 1 else ():
        trial.add(item)
    by_run = trial.match_tables()
    result = Comparison(
        records=records,
        settings=differing_settings(records),
        endings=endings_table(records),
        tables=by_run,
        matches=_beside(by_run),
        differences=pd.DataFrame(trial.differences, columns=["image", "runs", *COLUMNS[1:]]),
        notes=tuple(trial.notes),
        thresh=thresh,
        shown=tuple(trial.shown),
    )
    if target is not None:
        result.save(target)
    return result


class _Trial:
    """Evaluation of several runs on the same images, one image after another.

    Parameters
    ----------
    contenders
        The runs.
    thresh
        Smallest IoU at which two cells match.
    label
        Arguments of :func:`fijibridge.label_cells`.
    target
        Folder for difference images.
    """

    def __init__(
        self, contenders: Sequence[Contender], thresh: float, label: Mapping[str, Any], target: Path | None
    ) -> None:
        self._contenders, self._thresh, self._label, self._target = contenders, thresh, label, target
        self._groups: dict[str, str] = {}
        self._found: dict[str, dict[str, Matching]] = {c.name: {} for c in contenders}
        self.differences: list[dict[str, Any]] = []
        self.shown: list[ShownImage] = []
        self.notes: list[str] = []

    def add(self, item: Item) -> None:
        """Let each run find the cells of an image; compare them with the truth, and all runs with the first."""
        self._groups[item.name] = item.split
        true = np.asarray(values(item.labels()))
        z = slice_shown(true)
        raw, seen = pictures.plane_of(item.image(), z), pictures.plane_of(true, z)
        layers = {"image": pictures.grey(raw), "true cells": pictures.label_colours(seen)}
        words = []
        first: xr.DataArray | None = None
        for contender in self._contenders:
            prob = contender.prob(item)
            cells = contender.cells(item, prob)
            matching = self._found[contender.name][item.name] = match_item(item, cells, self._thresh)
            plane = pictures.plane_of(cells, z)
            layers[f"{contender.name}: outcomes"] = pictures.outcome_picture(raw, seen, plane, matching)
            words.append(f"{contender.name}: {matching.tp} of {matching.n_true}, {pictures.outcome_words(matching)}")
            if first is None:
                first = prob
                continue
            runs = f"{contender.name} - {self._contenders[0].name}"
            layers[runs] = _difference_picture(pictures.plane_of(self._differ(item, runs, first, prob), z))
        self.shown.append(ShownImage(item.name, "; ".join(words), html.inline_all(layers)))
        if names := trained_on(item, self._contenders):
            self.notes.append(
                f"{item.name} is a training image of {' and '.join(names)}: its score says little about other images."
            )

    def _differ(self, item: Item, runs: str, first: xr.DataArray, prob: xr.DataArray) -> xr.DataArray:
        """Record how much two predictions of an image differ; return the difference of their membrane probabilities."""
        row = difference(first, prob, thresh=self._thresh, membrane_threshold=THRESHOLD, label=self._label)
        self.differences.append({"image": item.name, "runs": runs, **row})
        minus = membrane_of(prob, MEMBRANE) - membrane_of(first, MEMBRANE).values
        if self._target is not None:
            name = f"{item.name}_{runs.replace(' ', '')}.tif"
            write_image(image=minus, path=self._target / "differences" / name)
        return minus

    def match_tables(self) -> dict[str, pd.DataFrame]:
        """Return the match table of each run, with a total for each split if there are several splits."""
        groups = self._groups if len(set(self._groups.values())) > 1 else None
        return {name: match_table(found, groups) for name, found in self._found.items() if found}


def _difference_picture(difference: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Paint positive differences red and negative ones blue, in full colour at 1 and -1."""
    return np.asarray(colormaps["RdBu_r"](difference / 2 + 0.5)[..., :3], float)


def _with_different_names(contenders: list[Contender]) -> list[Contender]:
    """Add the parent folder, or a number, to each name that several runs share."""
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
    """Join match tables of the same images side by side, with the change from the first to the last."""
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


# --- sections -------------------------------------------------------------------------------------------


def _curves(comparison: Comparison) -> dict[str, Any]:
    return {"curves": html.inline(plots.run_curves({name: r.curves for name, r in comparison.records.items()}))}


def _endings(comparison: Comparison) -> dict[str, Any]:
    words = {name: record.summary() for name, record in comparison.records.items()}
    return {"table": comparison.endings, "words": words}


SECTIONS: tuple[Section[Comparison], ...] = (
    Section("comparison/notes", "", lambda c: {"notes": c.notes}),
    Section("comparison/settings", "Settings that differ", lambda c: {"table": c.settings}),
    Section("comparison/curves", "Curves", _curves),
    Section("comparison/endings", "Endings", _endings),
    Section(
        "comparison/matches", "Matches on the same images", lambda c: {"table": c.matches}, lambda c: len(c.matches)
    ),
    Section(
        "comparison/differences",
        "Differences of the predictions",
        lambda c: {"table": c.differences},
        lambda c: len(c.differences),
    ),
    Section("comparison/images", "", lambda c: {"shown": c.shown, "colors": OUTCOME_COLORS}, lambda c: c.shown),
)
"""Sections of the page, in order."""
