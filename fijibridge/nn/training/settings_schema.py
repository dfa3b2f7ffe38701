"""Validated settings of a training, from keywords, a TOML file or a record."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from fijibridge.errors import TrainingError
from fijibridge.messages import hint
from fijibridge.nn.training.settings import SETTINGS, Border, Hyperparameters, settings_text
from fijibridge.record import RENAMED_SETTINGS, with_current_names
from fijibridge.renames import renamed_keywords, warn_renamed

__all__ = ["SETTINGS", "Border", "Settings"]


class Settings(Hyperparameters, BaseModel):
    """Settings of a training.

    Pass them to :func:`fijibridge.train` individually by name, all together as ``settings=Settings(...)``, or from a
    TOML file as ``settings=Settings.read("run.toml")``.

    {attributes}

    Examples
    --------
    >>> Settings(epochs=5).batch
    8
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    @renamed_keywords(**RENAMED_SETTINGS)
    def __init__(self, **values: Any):
        super().__init__(**values)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some settings changed; see :meth:`pydantic.BaseModel.model_copy`."""
        return super().model_copy(update=with_current_names(update or {}), deep=deep)

    @field_validator("loss")
    @classmethod
    def _known_loss(cls, name: str) -> str:
        from fijibridge.nn.losses import losses_of

        known = list(losses_of("classes"))
        if name not in known:
            raise ValueError(f"expected one of {', '.join(known)}{hint(name, known)}")
        return name

    @model_validator(mode="after")
    def _count_cells(self) -> Settings:
        if self.metric == "val_f1" and self.cells_every is None:
            object.__setattr__(self, "cells_every", 1)
        return self

    @classmethod
    @renamed_keywords(**RENAMED_SETTINGS)
    def of(cls, given: Settings | None = None, **changes: Any) -> Settings:
        """Return a copy of settings, or of the defaults, with some values changed.

        Raises
        ------
        TrainingError
            If a setting is unknown, or a value is invalid. The message says what was expected.
        """
        unknown = next((name for name in changes if name not in cls.model_fields), None)
        if unknown is not None:
            raise TrainingError(_unknown(unknown, list(cls.model_fields)))
        base = given.model_dump(exclude_unset=True) if given is not None else {}
        try:
            return cls.model_validate(base | {name: _plain(value) for name, value in changes.items()})
        except ValidationError as error:
            raise TrainingError(f"invalid settings of the training: {_mistakes(error)}") from error

    @classmethod
    def stored(cls, values: Mapping[str, Any]) -> Settings:
        """Return the settings with stored values, whose names may be those of an older version.

        Raises
        ------
        TrainingError
            If a setting is unknown, or a value is invalid.
        """
        return cls.of(**with_current_names(values))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Settings:
        """Read settings from a TOML file.

        Raises
        ------
        TrainingError
            If the file cannot be read, or does not contain valid settings.
        """
        try:
            return cls.stored(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TrainingError(f"{path} cannot be read as a TOML file of settings: {error}") from error
        except TrainingError as error:
            raise TrainingError(f"{path}: {error}") from error

    @property
    def width(self) -> float:
        """Value of `membrane_width` under its former name."""
        warn_renamed("Settings.width", "Settings.membrane_width")
        return self.membrane_width

    @property
    def border(self) -> Border | None:
        """Value of `border_weight` under its former name."""
        warn_renamed("Settings.border", "Settings.border_weight")
        return self.border_weight


Settings.__doc__ = (Settings.__doc__ or "").replace("{attributes}", settings_text().strip())


def _plain(value: Any) -> Any:
    """Convert numpy numbers to Python numbers, also within lists."""
    if isinstance(value, list | tuple):
        return tuple(_plain(v) for v in value)
    return value.item() if hasattr(value, "item") and getattr(value, "ndim", 1) == 0 else value


def _unknown(name: str, known: list[str]) -> str:
    return f"there is no setting {name!r} of a training; expected one of {', '.join(known)}{hint(name, known)}"


def _mistakes(error: ValidationError) -> str:
    lines = []
    for mistake in error.errors(include_url=False):
        place = ".".join(map(str, mistake["loc"]))
        lines.append(f"{place} is {mistake['input']!r}: {mistake['msg'].removeprefix('Value error, ')}")
    return "; ".join(lines)
