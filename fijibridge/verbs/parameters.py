"""What a verb takes: read from the signature of its function, and checked before any work starts."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fijibridge.errors import OptionError, VerbError

if TYPE_CHECKING:
    from xarray import DataArray
else:
    DataArray = Any  # the command line reads signatures, and is not to wait for xarray


class Kind(StrEnum):
    """What a parameter takes."""

    image = "image"
    """An image: of Fiji's the title of an open one, on the command line a file."""
    cells = "cells"
    """A label image, named as an image is; in Fiji also ``ROI Manager`` or ``overlay``, whose areas are the cells."""
    file = "file"
    """The path of something that is there: a file, or a folder that stands for one (a run, a zarr)."""
    folder = "folder"
    """The path of a folder that is there."""
    new_folder = "new folder"
    """The path of a folder that may be made."""
    integer = "integer"
    number = "number"
    choice = "choice"
    flag = "flag"
    text = "text"


PATHS = (Kind.file, Kind.folder, Kind.new_folder)
INPUTS = (Kind.image, Kind.cells)


class Required:
    """Says that a parameter has no default."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = Required()


@dataclass(frozen=True)
class Param:
    """What the type of a parameter does not say; in ``Annotated[float, Param("...", unit="px", low=0)]``.

    Attributes
    ----------
    help
        What it does, in a line.
    unit
        ``"px"``, ``"s"`` ...; empty where there is none.
    low, high
        The least and largest value, both allowed.
    label
        In dialogs; the name with spaces if left out.
    kind
        Of a path: what must be there.
    """

    help: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    label: str = ""
    kind: Kind | None = None


Image: TypeAlias = Annotated[DataArray, Kind.image]
"""An image, with its axes and its calibration."""
Cells: TypeAlias = Annotated[DataArray, Kind.cells]
"""A label image of integers, 0 = background."""
File: TypeAlias = Annotated[Path, Kind.file]
"""The path of a file, or of a folder that stands for one, that is there."""
Folder: TypeAlias = Annotated[Path, Kind.folder]
"""The path of a folder that is there."""
NewFolder: TypeAlias = Annotated[Path, Kind.new_folder]
"""The path of a folder that is there, or can be made."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a verb.

    Attributes
    ----------
    name
        As macros, scripts and Python write it: lower case, words joined by ``_``.
    kind
        What it takes.
    default
        :data:`REQUIRED` if it must be given.
    optional
        Whether it may be left out without a value of its own (None).
    help, unit, low, high, label
        Of :class:`Param`.
    choices
        Of ``Kind.choice``.
    """

    name: str
    kind: Kind
    default: Any = REQUIRED
    optional: bool = False
    help: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    label: str = ""
    choices: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is REQUIRED

    @property
    def title(self) -> str:
        """What a dialog calls it."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def expected(self) -> str:
        """What it takes, in words, for errors and for the docs."""
        words = {
            Kind.image: "an image", Kind.cells: "a label image", Kind.file: "a file", Kind.folder: "a folder",
            Kind.new_folder: "a folder", Kind.integer: "a whole number", Kind.number: "a number",
            Kind.choice: "one of " + ", ".join(self.choices), Kind.flag: "true or false", Kind.text: "a text",
        }  # fmt: skip
        within = f" {self.range}" if self.range.startswith("from") else f" of {self.range}" if self.range else ""
        return words[self.kind] + within + (f" ({self.unit})" if self.unit else "")

    @property
    def range(self) -> str:
        """From where to where its numbers go, in words; empty if anywhere."""
        if self.low is not None and self.high is not None:
            return f"from {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else ""

    def read(self, value: Any) -> Any:
        """Return a value of its type, from text or from such a value; inputs stay names, to be looked up by a host.

        Raises
        ------
        OptionError
            If it is none, or out of range; says what came and what was expected.
        """
        empty = value is None or (isinstance(value, str) and not value.strip())
        if empty and self.optional:
            return None
        if empty and (value is None or self.kind is not Kind.text):
            raise OptionError(f"{self.name} is empty; expected {self.expected}")
        read = _READERS[self.kind](self, value)
        if isinstance(read, float) and not math.isfinite(read):
            raise OptionError(f"{self.name} is {value!r}; expected {self.expected}")
        if self.kind in (Kind.integer, Kind.number) and (
            (self.low is not None and read < self.low) or (self.high is not None and read > self.high)
        ):
            raise OptionError(f"{self.name} is {value}; expected {self.expected}")
        return read

    def text(self, value: Any) -> str:
        """Return a value as text, which :meth:`read` turns back."""
        if value is None:
            return ""
        if self.kind is Kind.flag:
            return "true" if value else "false"
        if self.kind is Kind.number:
            return f"{float(value)!r}".removesuffix(".0")
        return str(value)


OVERWRITE = Parameter(
    "overwrite",
    Kind.flag,
    False,
    help="replace an open image that is called as a result is, also one with unsaved changes",
)
"""What every verb with images to show takes in macros and scripts, beside its own parameters."""


# --- values -----------------------------------------------------------------------------------------


def _refused(parameter: Parameter, value: Any) -> OptionError:
    return OptionError(f"{parameter.name} is {value!r}; expected {parameter.expected}")


def _integer(parameter: Parameter, value: Any) -> int:
    number = _number(parameter, value)
    if not math.isfinite(number) or number != int(number):
        raise _refused(parameter, value)
    return int(value) if isinstance(value, int | str) and str(value).strip().lstrip("+-").isdecimal() else int(number)


def _number(parameter: Parameter, value: Any) -> float:
    if isinstance(value, bool):
        raise _refused(parameter, value)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise _refused(parameter, value) from error


def _flag(parameter: Parameter, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    told = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}.get(str(value).lower())
    if told is None:
        raise _refused(parameter, value)
    return told


def _choice(parameter: Parameter, value: Any) -> str:
    if str(value) not in parameter.choices:
        raise _refused(parameter, value)
    return str(value)


def _path(parameter: Parameter, value: Any) -> Path:
    if not isinstance(value, str | Path):
        raise _refused(parameter, value)
    path = Path(value).expanduser()
    if parameter.kind is Kind.file and not path.exists():
        raise OptionError(f"{parameter.name} is {str(value)!r}: there is no such file")
    if parameter.kind is Kind.folder and not path.is_dir():
        raise OptionError(f"{parameter.name} is {str(value)!r}: there is no such folder")
    if parameter.kind is Kind.new_folder and path.exists() and not path.is_dir():
        raise OptionError(f"{parameter.name} is {str(value)!r}, a file; expected a folder")
    return path


def _text(parameter: Parameter, value: Any) -> str:
    if not isinstance(value, str):
        raise _refused(parameter, value)
    return value


def _as_it_is(parameter: Parameter, value: Any) -> Any:
    return value


_READERS: dict[Kind, Callable[[Parameter, Any], Any]] = {
    Kind.image: _as_it_is, Kind.cells: _as_it_is, Kind.file: _path, Kind.folder: _path, Kind.new_folder: _path,
    Kind.integer: _integer, Kind.number: _number, Kind.choice: _choice, Kind.flag: _flag, Kind.text: _text,
}  # fmt: skip


# --- from a signature -------------------------------------------------------------------------------

_TYPES = {bool: Kind.flag, int: Kind.integer, float: Kind.number, str: Kind.text}


def parameters_of(function: Callable[..., Any], skip: type) -> tuple[list[Parameter], str | None]:
    """Return the parameters of a function, and the name of that of type `skip`, which is not the user's.

    Raises
    ------
    VerbError
        If a parameter has no type that a verb can have, or a name that macros cannot write.
    """
    hints = typing.get_type_hints(function, include_extras=True)
    found, skipped = [], None
    for name, parameter in inspect.signature(function).parameters.items():
        if hints.get(name) is skip:
            skipped = name
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise VerbError(f"{function.__name__}: a verb has no parameter like {parameter}; give each by its name")
        if not name.islower() or not name.isascii():
            raise VerbError(f"{function.__name__}: the parameter {name!r} must be lower case ASCII, as macros write it")
        default = REQUIRED if parameter.default is parameter.empty else parameter.default
        found.append(_parameter(function.__name__, name, hints.get(name), default))
    return found, skipped


def _parameter(owner: str, name: str, hint: Any, default: Any) -> Parameter:
    about: Param = Param()
    kind: Kind | None = None
    optional = default is None
    while True:
        if typing.get_origin(hint) is Annotated:
            for note in hint.__metadata__:
                if isinstance(note, Param):
                    about = note
                elif isinstance(note, Kind):
                    kind = kind or note
            hint = hint.__origin__
        elif typing.get_origin(hint) in (typing.Union, types.UnionType) and type(None) in typing.get_args(hint):
            optional = True
            inner = [part for part in typing.get_args(hint) if part is not type(None)]
            if len(inner) != 1:
                raise VerbError(f"{owner}: {name} has several types, {hint}; a parameter of a verb has one")
            (hint,) = inner
        else:
            break
    kind = about.kind or kind
    made = Parameter(name, Kind.text, default, optional, about.help, about.unit, about.low, about.high, about.label)
    if typing.get_origin(hint) is Literal:
        choices = tuple(str(choice) for choice in typing.get_args(hint))
        return replace(made, kind=Kind.choice, choices=choices)
    if kind is None:
        kind = Kind.new_folder if hint is Path else _TYPES.get(hint)
    if kind is None:
        raise VerbError(
            f"{owner}: {name} is of type {hint}; expected fijibridge.verbs.Image, Cells, File, Folder, NewFolder, or "
            "int, float, bool, str, a Literal of texts, or one of these | None"
        )
    return replace(made, kind=kind)
