"""Verdict on a training: reason for its end, shape of its curves, and advice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

Looks = Literal[
    "untrained", "weak model", "overfitting", "learning rate too high", "diverging from its start", "still improving",
    "converged", "unknown",
]  # fmt: skip
WINDOW = 5
"""Number of epochs over which a slope is fitted."""
_LATE = 2
"""Number of epochs without improvement after which a curve counts as no longer improving."""

_ADVICE: Mapping[str, tuple[str, ...]] = {
    "untrained": ("train for at least one epoch",),
    "weak model": (
        "more channels (width) or one more pooling (depth)",
        "a higher lr, or more epochs, if the curve is steep at its end",
        "check whether images and targets fit: fijibridge check, and the pictures in the report",
    ),
    "overfitting": (
        "more images, or stronger augment",
        "fewer channels (width), or dropout",
        "the weights of the best epoch are kept; patience ends such a run earlier",
    ),
    "learning rate too high": ("a third of lr", "a larger batch"),
    "diverging from its start": (
        "compare normalisation, pixel size and meaning of labels with those of the first training",
        "a tenth of lr: the lr of an untrained network destroys trained weights",
    ),
    "still improving": ("more epochs", "a larger patience, if patience ended the run"),
    "converged": ("nothing: more epochs would change little", "more or other images may improve the result"),
    "unknown": ("name validation images: only they show whether the network learns or memorises",),
}


@dataclass(frozen=True)
class Ending:
    """Reason for the end of a training, and an assessment of its curves.

    Attributes
    ----------
    why : str
        Reason for the end, as a sentence with numbers.
    looks_like : str
        One of ``"weak model"``, ``"overfitting"``, ``"learning rate too high"``, ``"diverging from its start"``,
        ``"still improving"``, ``"converged"``, ``"untrained"``, ``"unknown"``.
    evidence : tuple of str
        Numbers that support this assessment.
    advice : tuple of str
        What to try next.
    metric, best_epoch, best, patience, slope
        Watched metric (a loss if the metric has no value), its best epoch and value (None if there is none), patience,
        and change of the metric per epoch over the last five epochs.
    """

    why: str
    looks_like: Looks
    evidence: tuple[str, ...]
    advice: tuple[str, ...]
    metric: str
    best_epoch: int | None
    best: float | None
    patience: int | None
    slope: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return asdict(self)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Ending:
        """Return the ending stored in a record."""
        fields: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in stored.items()}
        return cls(**fields)

    def __str__(self) -> str:
        return f"{self.why}. It looks like: {self.looks_like} ({'; '.join(self.evidence)}). " + (
            f"To try: {'; '.join(self.advice)}."
        )


def explain(
    history: pd.DataFrame, why: str, *, metric: str = "val_loss", patience: int | None = None, min_delta: float = 0.0,
    warm: bool = False,
) -> Ending:  # fmt: skip
    """Explain the end of a training from its curves.

    Parameters
    ----------
    history
        One row per epoch, starting with epoch 0 before the first step: epoch, train_loss, val_loss and optionally
        val_f1.
    why
        Reason for the end.
    metric
        Watched column. If it has no value after the first step, the weights of the last epoch were kept, and
        ``val_loss`` is used instead, or ``train_loss`` if there is no validation.
    patience
        Allowed number of epochs without improvement.
    min_delta
        Smallest change that counts as improvement.
    warm
        Whether the training started from trained weights.

    Notes
    -----
    The first rule that applies decides:

    - *diverging from its start* (only warm starts): the watched loss ended above its value before the first step, by
      more than 2 %, or for the training loss (whose first value is measured on a few batches) by more than a fifth;
    - *learning rate too high*: the training loss became infinite or NaN, or ended above its minimum by more than a
      tenth and by more than half of its range;
    - *overfitting*: the validation loss ended above its minimum by more than a tenth while the training loss fell;
    - *weak model*: the training loss fell by less than a fifth of its value before the first step (only without a warm
      start), or ended above 0.6 without still improving;
    - *still improving*: at the end, the watched metric improved by more than 1 % of its range per epoch, and was best
      in one of the last two epochs;
    - *unknown*: there is no validation loss;
    - *converged*: otherwise.

    Examples
    --------
    >>> curve = pd.DataFrame({"epoch": range(8), "train_loss": [1, .6, .5, .4, .3, .2, .1, .05],
    ...                       "val_loss": [1, .7, .6, .55, .6, .7, .8, .9]})
    >>> explain(curve, "all 7 epochs done").looks_like
    'overfitting'
    """
    watched = next((name for name in (metric, "val_loss") if _has_values(history, name)), "train_loss")
    curve = history[watched].to_numpy(float)
    best_epoch, best = _best(history, watched, min_delta)
    slope = _slope(curve)
    looks, evidence = _looks(history, watched, slope, warm)
    return Ending(why, looks, tuple(evidence), _ADVICE[looks], watched, best_epoch, best, patience, slope)


def _has_values(history: pd.DataFrame, metric: str) -> bool:
    """Return whether a metric has a finite value after any epoch, not counting the value before the first step."""
    return metric in history and bool(np.isfinite(history[metric].to_numpy(float)[1:]).any())


def _best(history: pd.DataFrame, watched: str, min_delta: float) -> tuple[int | None, float | None]:
    best_epoch, best = None, None
    sign = 1 if higher_is_better(watched) else -1
    for epoch, value in zip(history["epoch"].to_numpy()[1:], history[watched].to_numpy(float)[1:], strict=True):
        if np.isfinite(value) and (best is None or sign * (value - best) > min_delta):
            best_epoch, best = int(epoch), float(value)
    return best_epoch, best


def higher_is_better(metric: str) -> bool:
    """Return whether a metric is a score, not a loss."""
    return not metric.endswith("loss")


def _slope(curve: np.ndarray[Any, Any]) -> float | None:
    """Return the change per epoch, fitted by least squares to the last epochs that have a value."""
    learnt = curve[1:]  # without the value before the first step
    last = np.flatnonzero(np.isfinite(learnt))[-WINDOW:]
    return float(np.polyfit(last, learnt[last], 1)[0]) if len(last) > 1 else None


def _looks(history: pd.DataFrame, watched: str, slope: float | None, warm: bool) -> tuple[Looks, list[str]]:
    if len(history) < 2:
        return "untrained", ["no epoch was trained"]
    train = history["train_loss"].to_numpy(float)
    curve = history[watched].to_numpy(float)
    finite = bool(np.isfinite(train[1:]).all())  # a stream of batches has no value before the first step
    if finite and warm and _lost(curve, watched):
        return "diverging from its start", [
            f"{watched} was {curve[0]:.3g} before the first step, {curve[-1]:.3g} after"
        ]
    if not finite or _rose(train):
        return "learning rate too high", [_path(train)]
    val = history["val_loss"].to_numpy(float) if "val_loss" in history else np.full(len(train), np.nan)
    if np.isfinite(val[1:]).sum() > 1 and _overfits(train, val):
        low = 1 + int(np.nanargmin(val[1:]))
        return "overfitting", [
            f"val_loss was lowest, {val[low]:.3g}, at epoch {low}, and is {val[-1]:.3g} at the end",
            f"train_loss kept falling, from {train[low]:.3g} to {train[-1]:.3g}",
        ]
    improving = _improves(curve, watched, slope)
    if (not warm and train[-1] > 0.8 * train[0]) or (train[-1] > 0.6 and not improving):
        return "weak model", [f"train_loss fell only from {train[0]:.3g} before the first step to {train[-1]:.3g}"]
    if improving:
        return "still improving", [f"{watched} changes by {slope:+.2g} per epoch at the end"]
    if not np.isfinite(val[1:]).any():
        return "unknown", [f"train_loss is {train[-1]:.3g}, and there is no validation"]
    return "converged", [_end(curve, watched, slope)]


def _lost(curve: np.ndarray[Any, Any], watched: str) -> bool:
    """Return whether a loss ended above its first value, which for the training loss is measured on a few batches."""
    margin = 0.02 if watched == "val_loss" else 0.2
    return not higher_is_better(watched) and bool(curve[-1] > (1 + margin) * curve[0])


def _improves(curve: np.ndarray[Any, Any], watched: str, slope: float | None) -> bool:
    """Return whether the metric still improves at the end, judged by a fitted line and by its best epoch."""
    if slope is None or _gain(slope, watched) <= 0.01 * float(np.nanmax(curve) - np.nanmin(curve)):
        return False
    return _since_best(curve, watched) < _LATE


def _since_best(curve: np.ndarray[Any, Any], watched: str) -> int:
    """Return the number of epochs with a value since the best one."""
    learnt = curve[1:][np.isfinite(curve[1:])]
    if not len(learnt):
        return 0
    best = learnt.argmax() if higher_is_better(watched) else learnt.argmin()
    return len(learnt) - 1 - int(best)


def _end(curve: np.ndarray[Any, Any], watched: str, slope: float | None) -> str:
    since = _since_best(curve, watched)
    if since >= _LATE:
        return f"{watched} has not improved for {since} epochs"
    return f"{watched} changes by {slope or 0:+.2g} per epoch at the end"


def _path(train: np.ndarray[Any, Any]) -> str:
    numbers = train[np.isfinite(train)]
    if not len(numbers):
        return "the training loss was never finite"
    return f"the training loss went from {numbers.min():.3g} to {train[-1]:.3g}"


def _rose(train: np.ndarray[Any, Any]) -> bool:
    """Return whether the training loss ended above its minimum by over half of its range and over a tenth."""
    train = train[np.isfinite(train)]
    low, high = float(train.min()), float(train.max())
    rise = float(train[-1]) - low
    return len(train) > 2 and rise > 0.5 * (high - low) and rise > 0.1 * abs(low)


def _overfits(train: np.ndarray[Any, Any], val: np.ndarray[Any, Any]) -> bool:
    low = 1 + int(np.nanargmin(val[1:]))
    return bool(low < len(val) - 1 and val[-1] > 1.1 * val[low] and train[-1] < train[low])


def _gain(slope: float, watched: str) -> float:
    return slope if higher_is_better(watched) else -slope
