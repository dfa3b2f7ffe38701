"""Record of a training run, stored in its folder: settings, curves, ending, picture. Reading it needs no torch."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import xarray as xr

from fijibridge.errors import TrainingError
from fijibridge.files import read_image
from fijibridge.image import Array, as_image
from fijibridge.renames import RenamedKeys, warn_renamed

RECORD = "run.json"
HISTORY = "history.csv"
PICTURE = "validation.tif"
MODEL = "model.safetensors"
FORMAT = 1
MEMBRANE = "membrane"
NOT_MEASURED = ("lr", "seconds")
"""Columns of a history that are not metrics."""
RENAMED_SETTINGS: Mapping[str, str] = {"width": "membrane_width", "border": "border_weight"}
"""Settings' names in version 0.1, and their current names."""


@runtime_checkable
class Recorded(Protocol):
    """A training run of this process, with its record and its model: a :class:`fijibridge.Run`."""

    @property
    def path(self) -> Path | None:
        """Folder of the run."""

    @property
    def picture(self) -> xr.DataArray | None:
        """Central part of the first validation image, with predicted membranes."""

    def record(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""


@dataclass(frozen=True)
class Record:
    """Record of a running or finished training run, on this machine or another.

    Attributes
    ----------
    name : str
        Name of the run's folder.
    path : Path or None
        Folder of the run.
    settings : dict
        Settings that the run started with, under their current names.
    history : pandas.DataFrame
        One row per epoch: epoch, train_loss, val_loss, lr, seconds and, if cells are counted, val_f1. Epoch 0 is
        the state before the first step.
    ending : dict or None
        Fields of :class:`fijibridge.nn.training.Ending`; None while the run continues, or if it was interrupted.
    seconds : float
        Wall time in seconds.
    forecast, measured : dict or None
        Forecast and measured time and memory.
    environment : dict
        Versions, device and graphics card.
    matches : pandas.DataFrame or None
        Match table of the validation images for the network that was kept, if cells were counted.
    """

    name: str
    path: Path | None
    settings: dict[str, Any]
    history: pd.DataFrame
    ending: dict[str, Any] | None
    seconds: float
    forecast: dict[str, Any] | None
    measured: dict[str, Any] | None
    environment: dict[str, Any]
    matches: pd.DataFrame | None
    _picture: xr.DataArray | None = field(default=None, repr=False, compare=False)

    @property
    def stopped_because(self) -> str | None:
        """Why the run ended, as text; None while the run continues, or if it was interrupted."""
        return None if self.ending is None else str(self.ending["why"])

    @property
    def picture(self) -> xr.DataArray | None:
        """Central part of the first validation image, with predicted membranes; None if there is no picture."""
        if self._picture is None and self.path is not None and (self.path / PICTURE).is_file():
            return read_image(self.path / PICTURE)
        return self._picture

    @property
    def curves(self) -> pd.DataFrame:
        """Metrics by epoch; a metric without any value is left out."""
        metrics = self.history.set_index("epoch").drop(columns=list(NOT_MEASURED), errors="ignore")
        return metrics.dropna(axis="columns", how="all")

    def summary(self) -> str:
        """Return text that says why the run ended, what its curves look like, and what to try next."""
        if self.ending is None:
            epochs = max(len(self.history) - 1, 0)
            return f"The record has no ending after {epochs} epoch(s): the training is running, or was interrupted."
        e = self.ending
        return (
            f"{e['why']}. It looks like: {e['looks_like']} ({'; '.join(e['evidence'])}). "
            f"To try: {'; '.join(e['advice'])}."
        )

    def told(self) -> str:
        """Return the summary; former name of :meth:`summary`."""
        warn_renamed("Record.told", "Record.summary")
        return self.summary()

    def took(self) -> pd.DataFrame | None:
        """Return a table of forecast and measured time and memory, with their ratios; None if either is missing."""
        if self.forecast is None or self.measured is None:
            return None
        return compare_forecast(self.forecast, self.measured)


def read_record(run: Record | Recorded | str | os.PathLike[str]) -> Record:
    """Read the record of a training run, which may still be running, or come from another machine. Torch is not needed.

    Parameters
    ----------
    run
        The folder of a run, or a :class:`fijibridge.Run`.

    Returns
    -------
    Record

    Raises
    ------
    TrainingError
        If the folder does not contain a run, or its record cannot be read or was written by a newer version.
    """
    if isinstance(run, Record):
        return run
    if isinstance(run, Recorded):
        name = run.path.resolve().name if run.path is not None else "run"
        return _record(name, run.path, run.record(), run.picture)
    if not isinstance(run, str | os.PathLike):
        raise TrainingError(f"run is a {type(run).__name__}; expected the folder of a run, or a Run")
    folder = Path(run)
    file = folder / RECORD
    if not file.is_file():
        raise TrainingError(
            f"{folder} is not the folder of a run: it has no {RECORD}; give the --out folder of fijibridge train"
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{file} cannot be read: {error}") from error
    return _with_epochs_so_far(_record(folder.resolve().name, folder, content, None))


def with_current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored settings under their current names.

    Examples
    --------
    >>> with_current_names({"width": 3, "epochs": 5})
    {'membrane_width': 3, 'epochs': 5}
    """
    renamed = {RENAMED_SETTINGS.get(name, name): value for name, value in settings.items()}
    return RenamedKeys(renamed, **RENAMED_SETTINGS)


def is_run(path: str | os.PathLike[str]) -> bool:
    """Return whether a folder contains the record of a run."""
    return (Path(path) / RECORD).is_file()


def compare_forecast(forecast: Mapping[str, Any], measured: Mapping[str, Any]) -> pd.DataFrame:
    """Return a table of forecasts, measurements and ratios; see :meth:`fijibridge.nn.planning.Forecast.compare`."""
    rows = {
        name: (_number(value), _number(measured.get(name)))
        for name, value in forecast.items()
        if value is not None or measured.get(name) is not None
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["forecast", "measured"], dtype=float)
    table["ratio"] = table["measured"] / table["forecast"]
    return table.rename_axis("quantity")


def membrane_class(names: Sequence[str]) -> int:
    """Return the index of the class named ``"membrane"``, or 1 if there is none.

    Examples
    --------
    >>> membrane_class(("membrane", "cell")), membrane_class(("cytoplasm", "wall"))
    (0, 1)
    """
    return list(names).index(MEMBRANE) if MEMBRANE in names else 1


def picture_of(image: Array, prob: Array) -> xr.DataArray:
    """Combine an image and its predicted membranes into the channels of one picture.

    Parameters
    ----------
    image
        (Y, X) or (Z, Y, X), with an axis ``c`` in front if it has several channels.
    prob
        Class probabilities of the image, (C, ...); the channel named ``"membrane"`` is used, otherwise the second one.

    Returns
    -------
    xarray.DataArray
        ``float32``, with the channels of the image followed by the channel ``"membrane"``.
    """
    raw, classes = as_image(image), as_image(prob)
    names = [str(name) for name in classes.c.values] if "c" in classes.coords else []
    seen = classes.isel(c=membrane_class(names), drop=True)
    grey = raw if "c" in raw.dims else raw.expand_dims("c")
    names = [f"image {n}" for n in range(1, len(grey) + 1)] if len(grey) > 1 else ["image"]
    ordered = grey.transpose("c", *seen.dims).values
    channels = np.concatenate([ordered, seen.values[None]]).astype(np.float32)
    return xr.DataArray(channels, dims=("c", *seen.dims), coords=seen.coords).assign_coords(c=[*names, MEMBRANE])


def _record(name: str, path: Path | None, content: Any, picture: xr.DataArray | None) -> Record:
    where = path if path is not None else "the run"
    if not isinstance(content, dict) or not isinstance(content.get("settings"), dict):
        raise TrainingError(f"{where}: its {RECORD} is not the record of a run; expected an object with 'settings'")
    if content.get("format") != FORMAT:
        raise TrainingError(
            f"{where}: its record has format {content.get('format')}, but this version reads format {FORMAT}: "
            "update fijibridge"
        )
    ending = content.get("ending")
    missing = [key for key in ("why", "looks_like", "evidence", "advice") if ending is not None and key not in ending]
    if missing:
        raise TrainingError(f"{where}: the ending in its record lacks the fields {', '.join(missing)}")
    matches = content.get("matches")
    return Record(
        name=name,
        path=path,
        settings=with_current_names(content["settings"]),
        history=_history(content.get("history") or []),
        ending=ending,
        seconds=float(content.get("seconds") or 0),
        forecast=content.get("forecast"),
        measured=content.get("measured"),
        environment=dict(content.get("environment") or {}),
        matches=pd.DataFrame(matches) if matches else None,
        _picture=picture,
    )


def _history(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=None if rows else ["epoch", "train_loss", "val_loss", "lr", "seconds"])
    try:
        return frame.astype(float).astype({"epoch": int})
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"the history of the run is not a table of numbers by epoch: {error}") from error


def _with_epochs_so_far(record: Record) -> Record:
    """Return the record, with the history in ``history.csv`` if this file has more epochs.

    The file is written after each epoch, but the record may be older.
    """
    file = None if record.path is None else record.path / HISTORY
    if file is None or not file.is_file():
        return record
    try:
        rows = pd.read_csv(file).to_dict("records")
    except (OSError, ValueError) as error:
        raise TrainingError(f"{file} cannot be read: {error}") from error
    if len(rows) <= len(record.history):
        return record
    history = _history([{str(k): v for k, v in row.items()} for row in rows])
    known = {**vars(record), "history": history, "seconds": float(history["seconds"].iloc[-1])}
    return Record(**known)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
