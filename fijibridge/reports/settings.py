"""Tables of the settings and endings in the records of trainings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fijibridge.record import Record

_HIDDEN = ("data_folder", "train_names", "validation_names")  # reports show them in another form
_NAMES_SHOWN = 60


def differing_settings(records: Mapping[str, Record]) -> pd.DataFrame:
    """Return the settings, versions and devices that differ between runs: one row each, one column per run."""
    by_run = {name: flat_settings(r.settings) | flat_settings(r.environment) for name, r in records.items()}
    keys = dict.fromkeys(key for found in by_run.values() for key in found)
    rows = []
    for key in keys:
        values = [by_run[name].get(key) for name in records]
        if key not in _HIDDEN and any(value != values[0] for value in values):
            rows.append([key, *("" if value is None else str(value) for value in values)])
    images = {name: _names(record.settings.get("train_names")) for name, record in records.items()}
    if len(set(images.values())) > 1:
        rows.append(["training images", *images.values()])
    return pd.DataFrame(rows, columns=["setting", *records])


def endings_table(records: Mapping[str, Record]) -> pd.DataFrame:
    """Return the endings of runs, one row per run."""
    rows = []
    for name, record in records.items():
        end = record.ending or {}
        rows.append({
            "run": name, "epochs": max(len(record.history) - 1, 0), "metric": end.get("metric", ""),
            "best": _number(end.get("best")), "at epoch": end.get("best_epoch"), "seconds": round(record.seconds, 1),
            "looks like": end.get("looks_like", ""), "stopped because": record.stopped_because or "no ending recorded",
        })  # fmt: skip
    return pd.DataFrame(rows).astype({"at epoch": "Int64"})


def settings_table(record: Record) -> pd.DataFrame:
    """Return all settings of a run, one row each."""
    found = {key: value for key, value in flat_settings(record.settings).items() if key not in _HIDDEN}
    rows = [(key, "" if value is None else str(value)) for key, value in found.items()]
    for key, name in (("train_names", "training images"), ("validation_names", "validation images")):
        if record.settings.get(key):
            rows.append((name, _names(record.settings[key])))
    return pd.DataFrame(rows, columns=["setting", "value"])


def flat_settings(nested: Mapping[str, Any], inside: str = "") -> dict[str, Any]:
    """Flatten nested settings; the names of the levels are joined by dots."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{inside}{key}"
        flat |= flat_settings(value, f"{name}.") if isinstance(value, dict) else {name: _listed(value)}
    return flat


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # JSON has only lists


def _names(names: Sequence[str] | None) -> str:
    text = ", ".join(names or ())
    return text if len(text) <= _NAMES_SHOWN else f"{text[:_NAMES_SHOWN]} ... ({len(names or ())} in all)"


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)
