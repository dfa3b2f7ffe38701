"""Options of commands, derived from the parameters of verbs."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from fijibridge.errors import OptionError
from fijibridge.renames import warn_renamed
from fijibridge.verbs.parameters import INPUTS, PATHS, Kind, Parameter, current_names, parameters_of
from fijibridge.verbs.registry import Call

F = TypeVar("F", bound=Callable[..., Any])

_CONTEXT = "typer_context"
"""Parameter of each command that is no option: typer's context."""
_TYPED = "COMMANDLINE"
"""Name of the source of options that the user typed."""


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
        Function of the verb.
    only, without
        Names of the parameters to include (by default all), and names of the parameters to leave out.
    unset
        Names of parameters that are None if they are not given, whatever their default in the verb.
    after
        Name of the command's own parameter after which the options appear in its help; by default, they come last.

    Notes
    -----
    :meth:`fijibridge.verbs.Parameter.read` converts and checks values, as for every interface; an error lists all
    invalid options.
    """
    known = parameters_of(verb, Call)[0]
    return adds(
        [p for p in known if p.name not in without and (only is None or p.name in only)], unset=unset, after=after
    )


def adds(parameters: Sequence[Parameter], *, unset: Collection[str] = (), after: str | None = None) -> Callable[[F], F]:
    """Give a command one option per parameter, in place of its ``**options``; see :func:`takes`."""

    def added(command: F) -> F:
        @functools.wraps(command)
        def called(**given: Any) -> Any:
            return command(**given | read_options(parameters, given))

        own = [p for p in inspect.signature(command, eval_str=True).parameters.values() if p.kind is not p.VAR_KEYWORD]
        place = len(own) if after is None else [p.name for p in own].index(after) + 1
        new = [one for p in parameters for one in signed(p, p.name in unset)]
        made: F = dressed(called, [*own[:place], *new, *own[place:]], parameters)
        return made

    return added


def dressed(
    command: Callable[..., Any], signature: Iterable[inspect.Parameter], parameters: Iterable[Parameter] = ()
) -> Any:
    """Give a function that accepts any keywords a signature for typer.

    Parameters
    ----------
    command
        The function.
    signature
        Arguments and options of the command.
    parameters
        Parameters of a verb among them; the function gets values of earlier names by the current names.
    """
    nested = _CONTEXT in inspect.signature(command).parameters  # it has options of another verb already

    @functools.wraps(command)
    def called(**given: Any) -> Any:
        context = given.pop(_CONTEXT)
        return command(**_with_current_names(parameters, given, context), **({_CONTEXT: context} if nested else {}))

    hidden = inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    shown = [parameter for parameter in signature if parameter.name != _CONTEXT]
    named = [hidden, *(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in shown)]
    called.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in named}
    return called


def signed(parameter: Parameter, unset: bool = False) -> Iterator[inspect.Parameter]:
    """Yield a verb's parameter as a parameter of a command, then a hidden one for each former name."""
    default: Any = parameter.default
    kind = _type(parameter)
    shown: bool | str = True
    if parameter.required and parameter.was:  # it may be given by a former name; see _with_current_names
        default, kind = None, kind | None
    elif parameter.required:
        default = inspect.Parameter.empty
    elif unset or default is None:
        shown = False if default is None else parameter.text(default)
        default, kind = None, kind | None
    elif parameter.kind is Kind.choice:
        default = kind[default]
    annotation = Annotated[kind, option(parameter, show_default=shown)]  # type: ignore[valid-type]
    yield _keyword(parameter.name, default, annotation)
    for old in parameter.was:
        yield _keyword(old, None, Annotated[_type(parameter) | None, option(parameter, old, hidden=True)])


def _keyword(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def option(parameter: Parameter, name: str | None = None, **more: Any) -> Any:
    """Return typer's option for a parameter: flags, and help with unit and range; `more` is passed to typer."""
    word = (name or parameter.name).replace("_", "-")
    flags = f"--{word}/--no-{word}" if parameter.kind is Kind.flag else f"--{word}"
    help = f"{help_of(parameter)} (required)" if parameter.required and parameter.was else help_of(parameter)
    return typer.Option(flags, help=help, **more)


def option_of(verb: Callable[..., Any], name: str) -> Any:
    """Return typer's option for a parameter of a verb."""
    return option(next(p for p in parameters_of(verb, Call)[0] if p.name == name))


def help_of(parameter: Parameter) -> str:
    """Return the help of a parameter, with unit and range."""
    more = ", ".join(part for part in (parameter.unit, parameter.range) if part)
    return f"{parameter.help} ({more})" if more else parameter.help


def _with_current_names(
    parameters: Iterable[Parameter], given: Mapping[str, Any], context: typer.Context
) -> dict[str, Any]:
    """Move values given under former option names to the current names, with a warning.

    Parameters
    ----------
    parameters
        Parameters of the verb.
    given
        Value of each option, also those that the user did not type.
    context
        Typer's context, which knows the options that the user typed.

    Raises
    ------
    OptionError
        If an option is given by both names, or a required one by none.
    """
    sources = {name: context.get_parameter_source(name) for name in given}
    typed = {name: given[name] for name, source in sources.items() if source is not None and source.name == _TYPED}
    values, renamed = current_names(parameters, typed)
    for old, new in renamed.items():
        warn_renamed(_flag(old), _flag(new))
    for parameter in parameters:
        if parameter.required and parameter.was and values.get(parameter.name) is None:
            raise OptionError(f"{_flag(parameter.name)} is missing; expected {parameter.expected}")
    earlier = {old for parameter in parameters for old in parameter.was}
    return {name: value for name, value in given.items() if name not in earlier} | values


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def read_options(parameters: Sequence[Parameter], given: Mapping[str, Any]) -> dict[str, Any]:
    """Convert and check the values of options; an option that is not given is None.

    Raises
    ------
    OptionError
        If values are invalid; the message lists all of them.
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
    """Convert typer's enumeration of choices to the text that the verb expects; return other values unchanged."""
    return value.name if isinstance(value, Enum) else value


def _type(parameter: Parameter) -> Any:
    if parameter.kind in (*PATHS, *INPUTS):
        return Path
    if parameter.kind is Kind.choice:
        words = {choice: choice.replace(" ", "-") for choice in parameter.choices}  # no blanks in a shell
        return Enum(parameter.name.capitalize(), words, type=str)
    return {Kind.integer: int, Kind.number: float, Kind.flag: bool, Kind.text: str}[parameter.kind]
