"""Parameters of verbs: read from the signature of a function, checked before any work starts."""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fijibridge.errors import OptionError, VerbError

if TYPE_CHECKING:
    from xarray import DataArray
else:
    DataArray = Any  # the command line reads signatures without waiting for xarray


class Kind(StrEnum):
    """Kind of value that a parameter accepts."""

    image = "image"
    """An image: in Fiji the title of an open one, on the command line a file."""
    cells = "cells"
    """A label image, given like an image; in Fiji also ``ROI Manager`` or ``overlay``, whose areas are the cells."""
    file = "file"
    """Path of an existing file, or of a folder used like a file (a run, a zarr)."""
    folder = "folder"
    """Path of an existing folder."""
    new_folder = "new folder"
    """Path of a folder, which is created if it does not exist."""
    integer = "integer"
    number = "number"
    choice = "choice"
    flag = "flag"
    text = "text"


PATHS = (Kind.file, Kind.folder, Kind.new_folder)
INPUTS = (Kind.image, Kind.cells)


class Required:
    """Type of :data:`REQUIRED`, the default of parameters without a default."""

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = Required()


@dataclass(frozen=True)
class Param:
    """Description of a parameter in addition to its type, in ``Annotated[float, Param("...", unit="px", low=0)]``.

    Attributes
    ----------
    help
        Effect of the parameter, in one line.
    unit
        Unit of numbers: ``"px"``, ``"s"`` ...; empty without one.
    low, high
        Smallest and largest allowed value.
    label
        Label in dialogs; by default, the name with spaces instead of underscores.
    kind
        Kind of path that is expected.
    choices
        Allowed strings, as for a ``Literal``.
    was
        Former names of the parameter, which still work in macros, scripts and command lines, with a warning.
    """

    help: str = ""
    unit: str = ""
    low: float | None = None
    high: float | None = None
    label: str = ""
    kind: Kind | None = None
    choices: tuple[str, ...] = ()
    was: tuple[str, ...] = ()


Image: TypeAlias = Annotated[DataArray, Kind.image]
"""An image, with its axes and its calibration."""
Cells: TypeAlias = Annotated[DataArray, Kind.cells]
"""A label image of integers, 0 = background."""
File: TypeAlias = Annotated[Path, Kind.file]
"""Path of an existing file, or of a folder used like a file."""
Folder: TypeAlias = Annotated[Path, Kind.folder]
"""Path of an existing folder."""
NewFolder: TypeAlias = Annotated[Path, Kind.new_folder]
"""Path of a folder that exists or can be created."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a verb.

    Attributes
    ----------
    name
        Name in macros, scripts and Python: lower case, words joined by ``_``.
    kind
        Kind of value.
    default
        Value if left out; :data:`REQUIRED` if it must be given.
    optional
        Whether None is allowed; it means "left out".
    help, unit, low, high, label, was
        As in :class:`Param`.
    choices
        Allowed strings for ``Kind.choice``.
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
    was: tuple[str, ...] = ()

    @property
    def required(self) -> bool:
        """Whether the parameter must be given."""
        return self.default is REQUIRED

    @property
    def title(self) -> str:
        """Label in dialogs."""
        return self.label or self.name.replace("_", " ").capitalize()

    @property
    def expected(self) -> str:
        """Description of the expected value, for error messages and the docs."""
        words = {
            Kind.image: "an image", Kind.cells: "a label image", Kind.file: "a file", Kind.folder: "a folder",
            Kind.new_folder: "a folder", Kind.integer: "a whole number", Kind.number: "a number",
            Kind.choice: "one of " + ", ".join(self.choices), Kind.flag: "true or false", Kind.text: "text",
        }  # fmt: skip
        within = f" {self.range}" if self.range.startswith("from") else f" of {self.range}" if self.range else ""
        return words[self.kind] + within + (f" ({self.unit})" if self.unit else "")

    @property
    def range(self) -> str:
        """Allowed range of numbers in words; empty if unlimited."""
        if self.low is not None and self.high is not None:
            return f"from {self.low:g} to {self.high:g}"
        if self.low is not None:
            return f"at least {self.low:g}"
        return f"at most {self.high:g}" if self.high is not None else ""

    def read(self, value: Any) -> Any:
        """Convert text to a value of the parameter's kind and check it; a value that has this kind is only checked.

        Images and cells remain names, which a host looks up later.

        Raises
        ------
        OptionError
            If the value has another type or is out of range.
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
        """Write a value as text that :meth:`read` converts back."""
        if value is None:
            return ""
        if self.kind is Kind.flag:
            return "true" if value else "false"
        if self.kind is Kind.number:
            return f"{float(value)!r}".removesuffix(".0")
        return str(value)


@dataclass(frozen=True)
class Group:
    """Parameters defined by a registry, written as ``**options: Annotated[Any, Group(parameters, after="image")]``.

    Attributes
    ----------
    parameters
        The parameters, all with a default.
    after
        Name of the function's own parameter after which the group appears in dialogs and help.
    """

    parameters: tuple[Parameter, ...]
    after: str


OVERWRITE = Parameter(
    "overwrite",
    Kind.flag,
    False,
    help="replace an open image that has the name of a result, even if it has unsaved changes",
)
"""Option that macros and scripts can give to every verb that shows images, in addition to the verb's parameters."""


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
    flag = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}.get(str(value).lower())
    if flag is None:
        raise _refused(parameter, value)
    return flag


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
        raise OptionError(f"{parameter.name} is {str(value)!r}, which is not an existing folder")
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
    """Read the parameters of a verb from the signature of its function.

    Parameters
    ----------
    function
        Function with annotated parameters.
    skip
        Type of the parameter that users do not set, :class:`fijibridge.verbs.Call`.

    Returns
    -------
    list of Parameter
        The user's parameters, in order.
    str or None
        Name of the parameter of type `skip`.

    Raises
    ------
    VerbError
        If a parameter has a type that no dialog can ask for, or a name that macros cannot write.
    """
    found, skipped = _read_signature(function, skip)
    return list(found), skipped


@lru_cache(maxsize=256)  # a function is read for its verb, and for each command that has the verb's options
def _read_signature(function: Callable[..., Any], skip: type) -> tuple[tuple[Parameter, ...], str | None]:
    hints = typing.get_type_hints(function, include_extras=True)
    found: list[Parameter] = []
    skipped = None
    for name, parameter in inspect.signature(function).parameters.items():
        if hints.get(name) is skip:
            skipped = name
            continue
        if group := _group(hints.get(name)):
            place = [p.name for p in found].index(group.after) + 1
            found[place:place] = group.parameters
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise VerbError(
                f"{function.__name__} has the parameter {parameter}; expected parameters that can be given by name"
            )
        if not name.islower() or not name.isascii():
            raise VerbError(
                f"{function.__name__} has the parameter {name!r}; expected lower-case ASCII letters, for macros"
            )
        default = REQUIRED if parameter.default is parameter.empty else parameter.default
        found.append(_parameter(function.__name__, name, hints.get(name), default))
    return tuple(found), skipped


def current_names(parameters: Iterable[Parameter], given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Replace former parameter names with the current ones.

    Parameters
    ----------
    parameters
        Parameters of a verb.
    given
        Values by name.

    Returns
    -------
    dict
        The values by current name.
    dict
        The current name for each former name that was given.

    Raises
    ------
    OptionError
        If a parameter is given under both names.

    Examples
    --------
    >>> width = Parameter("membrane_width", Kind.number, 3, was=("width",))
    >>> current_names([width], {"width": "5"})
    ({'membrane_width': '5'}, {'width': 'membrane_width'})
    """
    current = {old: parameter.name for parameter in parameters for old in parameter.was}
    renamed = {name: current[name] for name in given if name in current}
    both = [old for old, new in renamed.items() if new in given]
    if both:
        raise OptionError(f"{both[0]} was renamed to {renamed[both[0]]}, and both are given: leave {both[0]} out")
    return {renamed.get(name, name): value for name, value in given.items()}, renamed


def _group(hint: Any) -> Group | None:
    notes = hint.__metadata__ if typing.get_origin(hint) is Annotated else ()
    return next((note for note in notes if isinstance(note, Group)), None)


def _parameter(owner: str, name: str, hint: Any, default: Any) -> Parameter:
    plain, about, kind, optional = _unwrapped(owner, name, hint)
    made = Parameter(
        name, Kind.text, default, optional or default is None, about.help, about.unit, about.low, about.high,
        about.label, was=about.was,
    )  # fmt: skip
    choices = about.choices or (typing.get_args(plain) if typing.get_origin(plain) is Literal else ())
    if choices:
        return replace(made, kind=Kind.choice, choices=tuple(str(choice) for choice in choices))
    kind = about.kind or kind or (Kind.new_folder if plain is Path else _TYPES.get(plain))
    if kind is None:
        raise VerbError(
            f"{owner}: {name} is of type {plain}; expected fijibridge.verbs.Image, Cells, File, Folder, NewFolder, "
            "int, float, bool, str, a Literal of strings, or one of these | None"
        )
    return replace(made, kind=kind)


def _unwrapped(owner: str, name: str, hint: Any) -> tuple[Any, Param, Kind | None, bool]:
    """Strip ``Annotated`` and ``| None`` from a type; return the plain type, its notes, and whether None is allowed."""
    about, kind, optional = Param(), None, False
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
                raise VerbError(f"{owner}: {name} has several types, {hint}; expected one type, or one | None")
            (hint,) = inner
        else:
            return hint, about, kind, optional
