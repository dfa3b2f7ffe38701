"""What a training left in its folder, read without torch and without the network: settings, curves, ending, picture."""

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

RECORD = "run.json"
HISTORY = "history.csv"
PICTURE = "validation.tif"
MODEL = "model.safetensors"
FORMAT = 1
MEMBRANE = "membrane"
NOT_MEASURED = ("lr", "seconds")
"""Columns of a history that are no metrics."""
RENAMED_SETTINGS: Mapping[str, str] = {"width": "membrane_width", "border": "border_weight"}
"""Settings of version 0.1 and their names now."""


@runtime_checkable
class Recorded(Protocol):
    """A run of this process: a :class:`fijibridge.Run`."""

    path: Path | None
    picture: xr.DataArray | None

    def record(self) -> dict[str, Any]:
        """Return what ``run.json`` holds."""


@dataclass(frozen=True)
class Record:
    """What is known of a training, wherever and whenever it ran.

    Attributes
    ----------
    name : str
        Of its folder.
    path : Path or None
        Its folder.
    settings : dict
        What it was started with.
    history : pandas.DataFrame
        One row per epoch from 0, before the first step: epoch, train_loss, val_loss, lr, seconds, perhaps val_f1.
    ending : dict or None
        The fields of :class:`fijibridge.Ending`; None while it goes on, or if it was broken off.
    seconds : float
        Wall time.
    forecast, measured : dict or None
        What it was said to take, and what it took.
    environment : dict
        Versions, device and card.
    matches : pandas.DataFrame or None
        Match table of the validation images by the network that is kept, if the training counted cells.
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
        """Why it ended, in words; None while it goes on, or if it was broken off."""
        return None if self.ending is None else str(self.ending["why"])

    @property
    def picture(self) -> xr.DataArray | None:
        """The middle of its first validation image and what the network says of it; None if it had no such image."""
        if self._picture is None and self.path is not None and (self.path / PICTURE).is_file():
            return read_image(self.path / PICTURE)
        return self._picture

    @property
    def curves(self) -> pd.DataFrame:
        """The metrics by epoch, those that there are."""
        metrics = self.history.set_index("epoch").drop(columns=list(NOT_MEASURED), errors="ignore")
        return metrics.dropna(axis="columns", how="all")

    def told(self) -> str:
        """Return how it ended, in words: why, what the curves look like, what to try."""
        if self.ending is None:
            epochs = max(len(self.history) - 1, 0)
            return f"No ending is written down after {epochs} epoch(s): it goes on, or was broken off."
        e = self.ending
        return (
            f"{e['why']}. It looks like: {e['looks_like']} ({'; '.join(e['evidence'])}). "
            f"To try: {'; '.join(e['advice'])}."
        )

    def took(self) -> pd.DataFrame | None:
        """Return the forecast beside what it really took, and the ratio; None if there was none."""
        if self.forecast is None or self.measured is None:
            return None
        return compare_forecast(self.forecast, self.measured)


def read_record(run: Record | Recorded | str | os.PathLike[str]) -> Record:
    """Read what a training left in its folder, without torch: also while it goes on, or when it ran elsewhere.

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
        If it is no run's folder, its record cannot be read, or a newer version wrote it.
    """
    if isinstance(run, Record):
        return run
    if isinstance(run, Recorded):
        name = run.path.resolve().name if run.path is not None else "run"
        return _record(name, run.path, run.record(), run.picture)
    if not isinstance(run, str | os.PathLike):
        raise TrainingError(f"got a {type(run).__name__}; expected the folder of a run, or a Run")
    folder = Path(run)
    file = folder / RECORD
    if not file.is_file():
        raise TrainingError(f"{folder} is no folder of a run: it holds no {RECORD}, which fijibridge train writes")
    try:
        told = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{file} cannot be read: {error}") from error
    return _with_epochs_so_far(_record(folder.resolve().name, folder, told, None))


def with_current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return stored settings with the names of this version.

    Examples
    --------
    >>> with_current_names({"width": 3, "epochs": 5})
    {'membrane_width': 3, 'epochs': 5}
    """
    return {RENAMED_SETTINGS.get(name, name): value for name, value in settings.items()}


def is_run(path: str | os.PathLike[str]) -> bool:
    """Tell whether a folder is that of a run."""
    return (Path(path) / RECORD).is_file()


def compare_forecast(forecast: Mapping[str, Any], measured: Mapping[str, Any]) -> pd.DataFrame:
    """Set what was forecast beside what was measured; see :meth:`fijibridge.Forecast.compare`."""
    rows = {
        name: (_number(value), _number(measured.get(name)))
        for name, value in forecast.items()
        if value is not None or measured.get(name) is not None
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["forecast", "measured"], dtype=float)
    table["ratio"] = table["measured"] / table["forecast"]
    return table.rename_axis("quantity")


def membrane_class(names: Sequence[str]) -> int:
    """Return which class membranes are: the one of that name, or else the second.

    Examples
    --------
    >>> membrane_class(("membrane", "cell")), membrane_class(("cytoplasm", "wall"))
    (0, 1)
    """
    return list(names).index(MEMBRANE) if MEMBRANE in names else 1


def picture_of(image: Array, prob: Array) -> xr.DataArray:
    """Join an image and the membranes that a network sees in it as channels of one picture.

    Parameters
    ----------
    image
        (Y, X) or (Z, Y, X), of several channels with an axis ``c`` in front.
    prob
        Class probabilities of it, (C, ...); the channel named ``"membrane"`` is shown, or else the second.

    Returns
    -------
    xarray.DataArray
        ``float32``, the image's channels and ``"membrane"``.
    """
    raw, classes = as_image(image), as_image(prob)
    names = [str(name) for name in classes.c.values] if "c" in classes.coords else []
    seen = classes.isel(c=membrane_class(names), drop=True)
    grey = raw if "c" in raw.dims else raw.expand_dims("c")
    names = [f"image {n}" for n in range(1, len(grey) + 1)] if len(grey) > 1 else ["image"]
    ordered = grey.transpose("c", *seen.dims).values
    channels = np.concatenate([ordered, seen.values[None]]).astype(np.float32)
    return xr.DataArray(channels, dims=("c", *seen.dims), coords=seen.coords).assign_coords(c=[*names, MEMBRANE])


def _record(name: str, path: Path | None, told: Any, picture: xr.DataArray | None) -> Record:
    where = path if path is not None else "the run"
    if not isinstance(told, dict) or not isinstance(told.get("settings"), dict):
        raise TrainingError(f"{where}: its {RECORD} is no record of a training: expected a table with 'settings'")
    if told.get("format") != FORMAT:
        raise TrainingError(
            f"{where}: its record has format {told.get('format')}, this version reads {FORMAT}: update fijibridge"
        )
    ending = told.get("ending")
    missing = [key for key in ("why", "looks_like", "evidence", "advice") if ending is not None and key not in ending]
    if missing:
        raise TrainingError(f"{where}: the ending in its record lacks {', '.join(missing)}")
    matches = told.get("matches")
    return Record(
        name=name,
        path=path,
        settings=with_current_names(told["settings"]),
        history=_history(told.get("history") or []),
        ending=ending,
        seconds=float(told.get("seconds") or 0),
        forecast=told.get("forecast"),
        measured=told.get("measured"),
        environment=dict(told.get("environment") or {}),
        matches=pd.DataFrame(matches) if matches else None,
        _picture=picture,
    )


def _history(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=None if rows else ["epoch", "train_loss", "val_loss", "lr", "seconds"])
    try:
        return frame.astype(float).astype({"epoch": int})
    except (KeyError, TypeError, ValueError) as error:
        raise TrainingError(f"the history of the run is no table of numbers by epoch: {error}") from error


def _with_epochs_so_far(record: Record) -> Record:
    """Take the epochs from the table that is written after each, if the record has not got them yet."""
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
