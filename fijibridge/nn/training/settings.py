"""Settings of a training: type, default, bounds, help and flag, each defined once.

Importing this module loads neither torch nor pydantic: menus and the command line use its defaults and help.
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
        Unit of the value; title of the field in the dialog, if the name alone is unclear.
    low, above, below : float or None
        Bounds of a number: smallest value, exclusive lower bound, exclusive upper bound. Infinite values and NaN are
        refused.
    resume : str
        ``"equal"``: a run can be resumed only with the value with which it started; ``"free"``: the value may change.
    patches : bool
        Whether the setting describes how patches are cut from images, and so has no effect on the user's batches.
    forecast : bool
        Whether it is passed to :func:`fijibridge.forecast_training` under the same name.
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
    """Parameters of the weight map of the U-Net paper: :func:`fijibridge.weight_map`.

    Attributes
    ----------
    w0 : float
        Largest weight between two cells that touch.
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
    """Fields of :class:`fijibridge.Settings`: each class attribute is a default, its annotation has a `Setting`."""

    epochs: Annotated[
        int, Setting("largest number of epochs; 0 leaves the network unchanged", "--epochs", low=0, forecast=True)
    ] = 50
    patch: Annotated[
        tuple[int, ...] | None,
        Setting(
            "sides (Y, X) or (Z, Y, X) of a patch, multiples of the network's divisor; 128 per axis, 16 for z, if left "
            "out", "--patch", "px", low=1, patches=True,
        ),
    ] = None  # fmt: skip
    batch: Annotated[int, Setting("patches in a batch, of all devices together", "--batch", low=1, patches=True)] = 8
    batches: Annotated[int, Setting("batches in an epoch", "--batches", low=1, patches=True)] = 50
    target: Annotated[
        Literal["auto", "classes", "labels"],
        Setting(
            "target made from a data set: classes, its pixel labels; labels, membranes drawn between its cell labels; "
            "auto, the pixel labels if there are any", "--target", patches=True,
        ),
    ] = "auto"  # fmt: skip
    membrane_width: Annotated[
        float,
        Setting("width of the membranes drawn between cell labels", "--membrane-width", "px", low=1, patches=True),
    ] = 3
    border_weight: Annotated[
        Border | None, Setting("balance the classes, and weigh pixels between near cells more", patches=True)
    ] = None
    sampling: Annotated[Sampling, Setting("rule by which patches are placed", "--sampling", patches=True)] = DEFAULT
    stride: Annotated[
        int | tuple[int, ...] | None,
        Setting(
            "distance between patches of sampling='grid'; half a patch if left out. An epoch is then the whole grid, "
            "unless batches is given", None, "px", low=1, patches=True,
        ),
    ] = None  # fmt: skip
    require: Annotated[
        int | None,
        Setting("class id: skip patches without a pixel of it; 1 skips patches without membrane", low=0, patches=True),
    ] = None
    augment: Annotated[
        bool | dict[str, Any],
        Setting(
            "transform each patch at random: True for the usual strengths, or the fields of fijibridge.Augmentation",
            "--augment", resume="free",  # the record holds the augmentation itself, which is compared
        ),
    ] = True  # fmt: skip
    loss: Annotated[str, Setting("loss of the classes: a name in fijibridge.nn.losses.LOSSES")] = "cross_entropy+dice"
    lr: Annotated[float, Setting("largest learning rate", "--lr", label="Learning rate", above=0)] = 3e-3
    schedule: Annotated[
        Literal["one-cycle", "cosine", "constant"],
        Setting("learning rate over time: one-cycle rises to lr and falls to 0; cosine falls from lr to 0; constant"),
    ] = "one-cycle"
    clip: Annotated[float | None, Setting("largest norm of the gradients; longer ones are shortened", above=0)] = 1.0
    precision: Annotated[
        Literal["auto", "32", "bf16", "16"],
        Setting(
            "numbers in the network: 32 bits, or mixed with bf16 or 16; auto is bf16 on a GPU that has it, else 32",
            "--precision", forecast=True,
        ),
    ] = "auto"  # fmt: skip
    ema: Annotated[
        float | None,
        Setting(
            "decay per step of a moving average of the weights, such as 0.999; the average is validated and kept",
            above=0, below=1, forecast=True,
        ),
    ] = None  # fmt: skip
    metric: Annotated[
        Literal["val_loss", "val_f1"],
        Setting(
            "metric that decides which epoch is best: val_loss, the lowest; val_f1, the highest F1 of the cells of the "
            "whole validation images at IoU 0.5", "--metric",
        ),
    ] = "val_loss"  # fmt: skip
    patience: Annotated[
        int | None,
        Setting("stop after this many epochs without a better metric", "--patience", low=0, resume="free"),
    ] = None
    min_delta: Annotated[float, Setting("smallest change of the metric that counts", low=0, resume="free")] = 0.0
    cells_every: Annotated[
        int | None,
        Setting(
            "epochs between two counts of the validation cells; 1 if left out and metric is val_f1", low=1,
            resume="free", patches=True,
        ),
    ] = None  # fmt: skip
    save_minutes: Annotated[
        float, Setting("minutes between checkpoints within an epoch; each epoch ends with one", above=0, resume="free")
    ] = 10
    classes: Annotated[tuple[str, ...], Setting("names of the class ids from 0 on")] = ("other", "membrane")
    forecast: Annotated[
        bool,
        Setting(
            "forecast time and memory from a trial of about 2 s before the first step", "--forecast", resume="free"
        ),
    ] = True
    seed: Annotated[
        int,
        Setting(
            "seed of patches, augmentation and dropout; the first weights follow torch.manual_seed", "--seed", low=0
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
