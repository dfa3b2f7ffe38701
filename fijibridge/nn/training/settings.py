"""How to train: the settings of a run, as they stand in its record and in a file."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fijibridge.cells.targets.from_labels import CLASSES
from fijibridge.errors import TrainingError
from fijibridge.messages import hint

Count: TypeAlias = Annotated[int, Field(ge=1)]
Positive: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Border(BaseModel):
    """Weigh pixels between near cells, as the U-Net paper does: :func:`fijibridge.weight_map`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    w0: Positive = 10
    sigma: Positive = 5


class Settings(BaseModel):
    """The settings of a training.

    Each can be given to :func:`fijibridge.train` by its name, or all of them as ``settings=Settings(...)``, or by a
    TOML file: ``settings=Settings.read("run.toml")``.

    Attributes
    ----------
    epochs : int
        At most; 0 leaves the network as it is.
    patch : tuple of int or None
        (Y, X) or (Z, Y, X) pixels, multiples of the network's divisor; 128 per axis if left out, 16 for z.
    batch, batches : int
        Patches in a batch (of all devices together), batches in an epoch.
    target : str
        What is learnt from a dataset: ``"classes"``, its pixel labels; ``"labels"``, membranes drawn between its cell
        labels; ``"auto"``, the pixel labels if it names some.
    width : float
        Of the membranes that are drawn between cell labels, in pixels.
    border : Border or None
        Balance the classes of a dataset, and weigh the pixels between near cells (its cell labels) more.
    sampling : str
        Where patches lie: a name that :class:`fijibridge.PatchSampler` knows.
    stride : int, tuple of int, or None
        Of ``sampling="grid"``, in pixels; half a patch if left out. An epoch is then the whole grid, unless `batches`
        says otherwise.
    require : int or None
        A class id: patches without a pixel of it are not drawn; 1 for none without any membrane.
    augment : bool or dict
        Transform each patch at random: True for the usual strengths, a dict for the fields of
        :class:`fijibridge.Augmentation`.
    loss : str
        ``"cross_entropy+dice"``, ``"cross_entropy"`` or ``"dice"``.
    lr : float
        Largest learning rate.
    schedule : str
        ``"one-cycle"``: up to `lr` and back to nothing; ``"cosine"``: from `lr` to nothing; ``"constant"``.
    clip : float or None
        Gradients are shortened to this norm.
    precision : str
        ``"32"``; ``"bf16"`` or ``"16"`` mixed with it; ``"auto"`` for bf16 on a GPU that has it, else 32.
    ema : float or None
        Keep a moving average of the weights with this decay a step (0.999 or the like): it is validated and kept.
    metric : str
        What says which epoch is the best: ``"val_loss"`` (the lowest), or ``"val_f1"``, F1 of the cells of the whole
        validation images at IoU 0.5 (the highest).
    patience : int or None
        Stop after so many epochs without a better `metric`.
    min_delta : float
        What is better by less than this is not better.
    cells_every : int or None
        Count the validation cells every so many epochs; with ``metric="val_f1"`` each epoch if left out.
    save_minutes : float
        A checkpoint within an epoch after so many minutes, besides the one at the end of each.
    classes : tuple of str
        Names of the class ids 0, 1, ...
    forecast : bool
        Say before the first step what the training will take, from a trial of about 2 s on a copy of the network.
    seed : int
        Of patches, augmentation and dropout. The network's first weights follow ``torch.manual_seed``.

    Examples
    --------
    >>> Settings(epochs=5).batch
    8
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    epochs: Annotated[int, Field(ge=0)] = 50
    patch: tuple[Count, ...] | None = None
    batch: Count = 8
    batches: Count = 50
    target: Literal["auto", "classes", "labels"] = "auto"
    width: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3
    border: Border | None = None
    sampling: str = "positions"
    stride: Count | tuple[Count, ...] | None = None
    require: Annotated[int, Field(ge=0)] | None = None
    augment: bool | dict[str, Any] = True
    loss: Literal["cross_entropy+dice", "cross_entropy", "dice"] = "cross_entropy+dice"
    lr: Positive = 3e-3
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    clip: Positive | None = 1.0
    precision: Literal["auto", "32", "bf16", "16"] = "auto"
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    metric: Literal["val_loss", "val_f1"] = "val_loss"
    patience: Annotated[int, Field(ge=0)] | None = None
    min_delta: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    cells_every: Count | None = None
    save_minutes: Positive = 10
    classes: tuple[str, ...] = CLASSES
    forecast: bool = True
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _count_cells(self) -> Settings:
        if self.metric == "val_f1" and self.cells_every is None:
            object.__setattr__(self, "cells_every", 1)
        return self

    @classmethod
    def of(cls, given: Settings | None = None, **changes: Any) -> Settings:
        """Return settings with changes.

        Raises
        ------
        TrainingError
            If a setting is not known, or its value makes no sense; it says which and what was expected.
        """
        unknown = next((name for name in changes if name not in cls.model_fields), None)
        if unknown is not None:
            raise TrainingError(_unknown(unknown, list(cls.model_fields)))
        base = given.model_dump(exclude_unset=True) if given is not None else {}
        try:
            return cls.model_validate(base | {name: _plain(value) for name, value in changes.items()})
        except ValidationError as error:
            raise TrainingError(f"settings of the training: {_mistakes(error)}") from error

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Settings:
        """Read settings from a TOML file.

        Raises
        ------
        TrainingError
            If it cannot be read, or does not hold settings.
        """
        try:
            return cls.of(**tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TrainingError(f"{path} is no file of settings in TOML: {error}") from error
        except TrainingError as error:
            raise TrainingError(f"{path}: {error}") from error


def _plain(value: Any) -> Any:
    """Return a number of numpy as one of Python, a list of them too."""
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _unknown(name: str, known: list[str]) -> str:
    return f"a training has no setting {name!r}; it has {', '.join(known)}{hint(name, known)}"


def _mistakes(error: ValidationError) -> str:
    told = []
    for mistake in error.errors(include_url=False):
        place = ".".join(map(str, mistake["loc"]))
        told.append(f"{place} is {mistake['input']!r}: {mistake['msg'].removeprefix('Value error, ')}")
    return "; ".join(told)
