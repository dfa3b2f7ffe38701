"""Options of the command line, made from the parameters of verbs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from fijibridge.errors import OptionError
from fijibridge.verbs.parameters import INPUTS, PATHS, Kind, Parameter, parameters_of
from fijibridge.verbs.registry import Call

F = TypeVar("F", bound=Callable[..., Any])


def takes(
    verb: Callable[..., Any],
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    unset: Collection[str] = (),
    after: str | None = None,
) -> Callable[[F], F]:
    """Give a command the parameters of a verb as options, in place of its ``**options``.

    Parameters
    ----------
    verb
        The verb's function.
    only, without
        Names of the parameters that the command has, all if left out; and of those that it does not have, or has in
        another way: folders in place of images.
    unset
        Names of those that are None where they are not given, whatever the verb has then.
    after
        Name of the command's parameter that they follow in its help; they are the last if left out.

    Notes
    -----
    Values are read and checked by :meth:`fijibridge.verbs.Parameter.read`, as everywhere; all that is wrong is told at
    once.
    """
    known = parameters_of(verb, Call)[0]
    parameters = [p for p in known if p.name not in without and (only is None or p.name in only)]

    def added(command: F) -> F:
        @functools.wraps(command)
        def called(**given: Any) -> Any:
            return command(**given | read_options(parameters, given))

        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
        place = len(own) if after is None else [p.name for p in own].index(after) + 1
        made: F = dressed(called, [*own[:place], *(signed(p, p.name in unset) for p in parameters), *own[place:]])
        return made

    return added


def dressed(command: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> Any:
    """Give a function that takes any names a signature for typer to read."""
    named = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    command.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in named}
    return command


def signed(parameter: Parameter, unset: bool = False) -> inspect.Parameter:
    """Return a parameter of a verb as one of a command."""
    default: Any = parameter.default
    kind = _type(parameter)
    shown: bool | str = True
    if parameter.required:
        default = inspect.Parameter.empty
    elif unset or default is None:
        shown = False if default is None else parameter.text(default)
        default, kind = None, kind | None
    elif parameter.kind is Kind.choice:
        default = kind[default]
    annotation = Annotated[kind, option(parameter, shown)]  # type: ignore[valid-type]
    return inspect.Parameter(parameter.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def option(parameter: Parameter, show_default: bool | str = True) -> Any:
    """Return what typer is told of a parameter: its flags and its help, with unit and range."""
    word = parameter.name.replace("_", "-")
    flags = f"--{word}/--no-{word}" if parameter.kind is Kind.flag else f"--{word}"
    return typer.Option(flags, help=help_of(parameter), show_default=show_default)


def option_of(verb: Callable[..., Any], name: str) -> Any:
    """Return what typer is told of the parameter of that name of a verb."""
    return option(next(p for p in parameters_of(verb, Call)[0] if p.name == name))


def help_of(parameter: Parameter) -> str:
    """Return what a parameter does, with its unit and its range."""
    more = ", ".join(part for part in (parameter.unit, parameter.range) if part)
    return f"{parameter.help} ({more})" if more else parameter.help


def read_options(parameters: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of options; None where one was not given.

    Raises
    ------
    OptionError
        If some are wrong; all of them are told.
    """
    values, problems = {}, []
    for parameter in parameters:
        value = plain(given[parameter.name])
        try:
            values[parameter.name] = None if value is None else parameter.read(value)
        except OptionError as error:
            problems.append(str(error))
    if problems:
        raise OptionError("; ".join(problems))
    return values


def plain(value: Any) -> Any:
    """Return a choice as the verb has it; other values as they are."""
    return value.name if isinstance(value, Enum) else value


def _type(parameter: Parameter) -> Any:
    if parameter.kind in (*PATHS, *INPUTS):
        return Path
    if parameter.kind is Kind.choice:
        words = {choice: choice.replace(" ", "-") for choice in parameter.choices}  # as a shell has them
        return Enum(parameter.name.capitalize(), words, type=str)
    return {Kind.integer: int, Kind.number: float, Kind.flag: bool, Kind.text: str}[parameter.kind]
