"""Settings of a training: type, default, bounds, help and flag, each defined once.

Importing this module loads neither torch nor pydantic, because menus and the command line read defaults and help here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_type_hints

from fijibridge.nn.patches.sampling_modes import DEFAULT, Sampling
from fijibridge.renames import rename_attributes


@dataclass(frozen=True)
class Setting:
    """Metadata of a setting, the ``Annotated`` part of its type.

    Attributes
    ----------
    help : str
        Description for dialogs, the command line and the documentation.
    flag : str or None
        Option of ``fijibridge train``; None for a setting that is available only in Python and TOML files.
    unit, label : str or None
        Unit of the value, and title of its field in dialogs if the name alone is unclear.
    low, above, below : float or None
        Bounds of a number: smallest value, exclusive lower bound, exclusive upper bound. Infinite values and NaN are
        refused.
    resume : str
        ``"equal"``: a run can be resumed only with the value with which it started; ``"free"``: the value may change.
    patches : bool
        Whether the setting describes how patches are cut from images, and so has no effect on the user's batches.
    forecast : bool
        Whether the setting is passed to :func:`fijibridge.forecast_training` under the same name.
    """

    help: str
    flag: str | None = None
    unit: str | None = None
    label: str | None = None
    low: float | None = None
    above: float | None = None
    below: float | None = None
    resume: Literal["equal", "free"] = "equal"
    patches: bool = False
    forecast: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """Return pydantic's schema for the type, with the bounds added."""
        schema = handler(source)
        self._bound(schema)
        return schema

    def _bound(self, schema: dict[str, Any]) -> None:
        """Add the bounds to the numbers of a schema, at any depth of ``X | None`` and ``tuple[X, ...]``."""
        if schema["type"] in ("int", "float"):
            bounds = {"ge": self.low, "gt": self.above, "lt": self.below}
            schema |= {name: bound for name, bound in bounds.items() if bound is not None}
        if schema["type"] == "float":
            schema["allow_inf_nan"] = False
        for inner in (schema.get("schema"), *schema.get("items_schema", ()), *schema.get("choices", ())):
            if isinstance(inner, dict):
                self._bound(inner)


@dataclass(frozen=True)
class Border:
    """Parameters of the U-Net paper's weight map, :func:`fijibridge.weight_map`.

    Attributes
    ----------
    w0 : float
        Largest weight that is added between two cells; it is reached where they touch.
    sigma : float
        Length over which the weight decays with the distance to the two nearest cells, in pixels.

    Raises
    ------
    ValueError
        If a parameter is not a finite number above 0.
    """

    w0: float = 10
    sigma: float = 5

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012  pydantic reads it from the class

    def __post_init__(self) -> None:
        for name, value in (("w0", self.w0), ("sigma", self.sigma)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} of the border weight is {value}; expected a finite number above 0")


class Hyperparameters:
    """Fields of :class:`fijibridge.Settings`: each value is a default, and its annotation contains a `Setting`."""

    epochs: Annotated[
        int, Setting("maximum number of epochs; 0 leaves the network unchanged", "--epochs", low=0, forecast=True)
    ] = 50
    patch: Annotated[
        tuple[int, ...] | None,
        Setting(
            "sides of a patch, (Y, X) or (Z, Y, X), which must be multiples of the network's divisor; if left out, 128 "
            "in y and x, and 16 in z", "--patch", "px", low=1, patches=True,
        ),
    ] = None  # fmt: skip
    batch: Annotated[int, Setting("number of patches in a batch, over all devices", "--batch", low=1, patches=True)] = 8
    batches: Annotated[int, Setting("number of batches in an epoch", "--batches", low=1, patches=True)] = 50
    target: Annotated[
        Literal["auto", "classes", "labels"],
        Setting(
            "source of targets in a data set: classes uses pixel labels; labels draws membranes between cell labels; "
            "auto uses pixel labels if there are any, otherwise cell labels", "--target", patches=True,
        ),
    ] = "auto"  # fmt: skip
    membrane_width: Annotated[
        float,
        Setting("width of the membranes drawn between cell labels", "--membrane-width", "px", low=1, patches=True),
    ] = 3
    border_weight: Annotated[
        Border | None,
        Setting("weight map that balances the classes and emphasises pixels between neighbouring cells", patches=True),
    ] = None
    sampling: Annotated[Sampling, Setting("rule for placing patches", "--sampling", patches=True)] = DEFAULT
    stride: Annotated[
        int | tuple[int, ...] | None,
        Setting(
            "distance between neighbouring patches with sampling='grid'; half a patch if left out. With a grid, an "
            "epoch is the whole grid unless batches is given", None, "px", low=1, patches=True,
        ),
    ] = None  # fmt: skip
    require: Annotated[
        int | None,
        Setting("class id that each patch must contain; 1 skips patches without a membrane", low=0, patches=True),
    ] = None
    augment: Annotated[
        bool | dict[str, Any],
        Setting(
            "random transformations of each patch: True for the default strengths, False for none, or fields of "
            "fijibridge.Augmentation by name",
            "--augment", resume="free",  # the record contains the augmentation itself, which is compared instead
        ),
    ] = True  # fmt: skip
    loss: Annotated[str, Setting("loss of the classes: its name in fijibridge.nn.losses.LOSSES")] = "cross_entropy+dice"
    lr: Annotated[float, Setting("maximum learning rate", "--lr", label="Learning rate", above=0)] = 3e-3
    schedule: Annotated[
        Literal["one-cycle", "cosine", "constant"],
        Setting(
            "learning rate over time: one-cycle rises to lr and falls to 0; cosine falls from lr to 0; constant is lr"
        ),
    ] = "one-cycle"
    clip: Annotated[
        float | None, Setting("maximum norm of the gradient; a longer gradient is scaled down to it", above=0)
    ] = 1.0
    precision: Annotated[
        Literal["auto", "32", "bf16", "16"],
        Setting(
            "numerical precision: 32 bits, or mixed precision with bf16 or 16 (half precision); auto is bf16 on a GPU "
            "that supports it, otherwise 32",
            "--precision", forecast=True,
        ),
    ] = "auto"  # fmt: skip
    ema: Annotated[
        float | None,
        Setting(
            "decay per step of a moving average of the weights, such as 0.999; averaged weights are validated and kept",
            above=0, below=1, forecast=True,
        ),
    ] = None  # fmt: skip
    metric: Annotated[
        Literal["val_loss", "val_f1"],
        Setting(
            "metric that determines the best epoch: the lowest validation loss (val_loss), or the highest F1 score of "
            "cells in whole validation images, matched with an IoU of at least 0.5 (val_f1)", "--metric",
        ),
    ] = "val_loss"  # fmt: skip
    patience: Annotated[
        int | None,
        Setting("stop after this many epochs in a row without a better metric", "--patience", low=0, resume="free"),
    ] = None
    min_delta: Annotated[
        float, Setting("an improvement of the metric counts only if it exceeds this value", low=0, resume="free")
    ] = 0.0
    cells_every: Annotated[
        int | None,
        Setting(
            "count the validation cells once in this many epochs; if left out, in every epoch if metric is val_f1, "
            "otherwise never", low=1, resume="free", patches=True,
        ),
    ] = None  # fmt: skip
    save_minutes: Annotated[
        float, Setting("minutes between checkpoints within an epoch; each epoch ends with one", above=0, resume="free")
    ] = 10
    classes: Annotated[tuple[str, ...], Setting("names of the classes, starting with id 0")] = ("other", "membrane")
    forecast: Annotated[
        bool,
        Setting("forecast time and memory from trial steps that take about 2 s", "--forecast", resume="free"),
    ] = True
    seed: Annotated[
        int,
        Setting(
            "seed for patches, augmentation and dropout; initial weights depend on torch.manual_seed", "--seed", low=0
        ),
    ] = 0


def _metadata() -> dict[str, Setting]:
    hints = get_type_hints(Hyperparameters, include_extras=True)
    return {name: next(m for m in hint.__metadata__ if isinstance(m, Setting)) for name, hint in hints.items()}


SETTINGS: Mapping[str, Setting] = MappingProxyType(_metadata())
"""Metadata of each setting by name; ``getattr(Hyperparameters, name)`` is its default."""


def settings_text() -> str:
    """Return the settings as an "Attributes" section of a numpydoc docstring."""
    lines = [f"    {name}\n        {setting.help[0].upper()}{setting.help[1:]}." for name, setting in SETTINGS.items()]
    return "\n".join(["    Attributes", "    ----------", *lines])


rename_attributes(__name__, {"Settings": "nn.training.settings_schema:Settings"})
