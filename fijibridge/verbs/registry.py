"""Registry of verbs: Python functions that a menu, a macro, a script or a shell can call."""

from __future__ import annotations

import inspect
import logging
import re
import threading
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, TypeVar

from fijibridge.errors import Cancelled, OptionError, VerbError
from fijibridge.renames import warn_renamed
from fijibridge.verbs.parameters import INPUTS, OVERWRITE, Cells, Kind, Parameter, current_names, parameters_of
from fijibridge.verbs.results import Measure, Offer, Outlines, Result, Say, ShowCurves, ShowTable, results_of

log = logging.getLogger("fijibridge")

F = TypeVar("F", bound=Callable[..., Any])

ENTRY_POINTS = "fijibridge.verbs"
"""Group of entry points for verbs of other packages; each entry point names a verb or a module of verbs."""


class Call:
    """Connection of a running verb to its caller: progress, status text, cancellation.

    Parameters
    ----------
    progress
        Called with the number of steps done and the total number of steps.
    say
        Called with a line for the status bar.
    cancelled
        Called without arguments; returns whether the verb should stop.
    """

    def __init__(
        self,
        progress: Callable[[int, int], None] | None = None,
        say: Callable[[str], None] | None = None,
        cancelled: Callable[[], bool] | None = None,
    ) -> None:
        self._progress, self._say, self._cancelled = progress, say, cancelled
        self.stop = threading.Event()
        self.name = ""
        """Name of the call, shown to other calls that wait for it."""

    def progress(self, done: int, steps: int) -> None:
        """Report the number of steps done and the total number of steps."""
        if self._progress is not None:
            self._progress(done, steps)

    def say(self, text: str) -> None:
        """Report the current activity."""
        if self._say is not None:
            self._say(text)

    def cancelled(self) -> bool:
        """Return whether the verb should stop."""
        return self.stop.is_set() or (self._cancelled is not None and self._cancelled())

    def check(self) -> None:
        """Raise if the verb should stop.

        Raises
        ------
        Cancelled
            If the call was cancelled.
        """
        if self.cancelled():
            raise Cancelled("cancelled")


@dataclass(frozen=True)
class Verb:
    """A Python function that menus, macros, scripts and shells can call. Made by :func:`verb`.

    Attributes
    ----------
    title
        Label in the menu, such as ``"Predict..."``; it ends in dots if the verb opens a dialog.
    name
        Name in scripts and on the command line, such as ``"predict"``.
    help
        Summary in one line, and details below it.
    function
        The function that is called.
    order
        Place in the menu.
    long
        Whether the menu runs the verb in the background; a macro waits until the verb has ended.
    """

    title: str
    name: str
    help: str
    function: Callable[..., Any]
    order: float = 100.0
    long: bool = False

    @property
    def command(self) -> str:
        """The ImageJ command, as in ``run("FijiBridge Predict...")``."""
        return f"FijiBridge {self.title}"

    @property
    def summary(self) -> str:
        """The first line of the help."""
        return self.help.split("\n", 1)[0]

    @cached_property
    def _signature(self) -> tuple[list[Parameter], str | None]:
        """The parameters, and the name of the parameter of type :class:`Call`."""
        return parameters_of(self.function, Call)

    @property
    def parameters(self) -> list[Parameter]:
        """The parameters, in the order of the dialog."""
        return self._signature[0]

    @property
    def call_parameter(self) -> str | None:
        """Name of the parameter that receives the :class:`Call`; None if there is none."""
        return self._signature[1]

    @property
    def gives_labels(self) -> bool:
        """Whether arrays that the function returns are label images."""
        return bool(typing.get_type_hints(self.function, include_extras=True).get("return") == Cells)

    @property
    def shows_images(self) -> bool:
        """Whether results may be images: true unless the return annotation excludes it."""
        returned = typing.get_type_hints(self.function).get("return")
        others = (Say, str, type(None), Measure, Offer, Outlines, ShowTable, ShowCurves)
        return returned not in others and getattr(returned, "__name__", "") not in ("DataFrame", "Series")

    @property
    def options(self) -> list[Parameter]:
        """Options of macros and scripts: the parameters, and ``overwrite`` if the verb shows images."""
        own = any(parameter.name == OVERWRITE.name for parameter in self.parameters)
        return [*self.parameters, *([OVERWRITE] if self.shows_images and not own else [])]

    def __getitem__(self, name: str) -> Parameter:
        """Return a parameter by name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Check options and convert them to values; parameters that are left out get their default.

        Parameters
        ----------
        given
            Option values by name, converted or as text. Former parameter names are accepted with a warning.

        Returns
        -------
        dict
            A value for each parameter, and for ``overwrite`` if ``overwrite`` is given.

        Raises
        ------
        OptionError
            If options are unknown, missing or invalid; the message lists all of them.
        """
        options = self.options
        named, renamed = current_names(options, given)
        for old, new in renamed.items():
            warn_renamed(f"the option {old} of {self.command}", new)
        problems = [f"option {name!r} does not exist; expected one of {', '.join(p.name for p in options)}"
                    for name in named if all(name != p.name for p in options)]  # fmt: skip
        values: dict[str, Any] = {}
        for parameter in options:
            if parameter is OVERWRITE and named.get(parameter.name) is None:
                continue
            try:
                values[parameter.name] = _read(parameter, named.get(parameter.name))
            except OptionError as error:
                problems.append(str(error))
        if problems:
            raise OptionError(f"{self.command}: " + "; ".join(problems))
        return values

    def run(self, values: Mapping[str, Any], call: Call) -> list[Result]:
        """Call the function with converted values, and return its results.

        Raises
        ------
        VerbError
            If a result cannot be shown, or an ``Offer`` is for a parameter that does not exist.
        """
        call.name = call.name or self.command.removesuffix("...")
        own = {parameter.name for parameter in self.parameters}
        arguments = {name: value for name, value in values.items() if name in own}
        if self.call_parameter is not None:
            arguments[self.call_parameter] = call
        found = self.function(**arguments)
        first = next((p.name for p in self.parameters if p.kind is Kind.image), None)
        inputs = {
            p.name: values[p.name] for p in self.parameters if p.kind in INPUTS and values.get(p.name) is not None
        }
        renamed = _names_of_results(self.name, inputs)
        results = results_of(found, self.title.removesuffix("..."), first, self.gives_labels, renamed)
        for result in results:
            if isinstance(result, Offer):
                _check_offer(self, result)
        return results


def _read(parameter: Parameter, value: Any) -> Any:
    """Convert one option; a required image that is left out or empty becomes "", which means the active image."""
    if value is None and not parameter.required:
        return parameter.default
    empty = value is None or (isinstance(value, str) and not value)
    if empty and parameter.required and parameter.kind is Kind.image:
        return ""
    if value is None:
        raise OptionError(f"{parameter.name} is missing; expected {parameter.expected}")
    return parameter.read(value)


def _check_offer(verb: Verb, offer: Offer) -> None:
    """Raise VerbError if no verb has the parameter of an offer."""
    other = verb_named(offer.verb)
    if all(parameter.name != offer.parameter for parameter in other.parameters):
        names = ", ".join(parameter.name for parameter in other.parameters)
        raise VerbError(f"{verb.command} offers {offer.parameter} to {other.command}; its parameters are {names}")


def _names_of_results(verb: str, inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return new names, by input name, for results that still have the name of the input they were computed from."""
    from fijibridge.files.formats import stem

    named = [image for image in inputs.values() if getattr(image, "name", None) is not None]
    return {str(image.name): f"{stem(str(image.name))}_{verb}" for image in named}


_registered: dict[str, Verb] = {}
_changed: list[Callable[[], None]] = []
_reading = threading.RLock()


def _load_packages() -> None:
    for entry in entry_points(group=ENTRY_POINTS):
        try:
            entry.load()
        except Exception as error:
            log.warning("the verbs of %s cannot be loaded: %s: %s", entry, type(error).__name__, error)


_sources: list[Callable[[], None]] = [_load_packages]
"""Functions that register verbs; each is called once, when verbs are first needed."""


def load_on_first_use(source: Callable[[], None]) -> None:
    """Add a function that registers verbs; it is called when verbs are first needed, before other packages load."""
    _sources.insert(0, source)


def verb(title: str, *, order: float = 100.0, help: str | None = None, long: bool = False) -> Callable[[F], F]:
    """Register a function as a verb of Fiji's menu, macros and scripts, and of the command line.

    Parameters
    ----------
    title
        Label in the menu, with dots if there are parameters: ``"Count Spots..."``.
    order
        Place in the menu; verbs of fijibridge have 0 to 99.
    help
        Summary and details; the function's docstring if left out.
    long
        Whether the menu runs the verb in the background; a macro waits until the verb has ended.

    Raises
    ------
    VerbError
        If the function has a parameter that no dialog can ask for, or another verb has that title.

    Notes
    -----
    Types of parameters: :data:`~fijibridge.verbs.Image`, :data:`~fijibridge.verbs.Cells` (arrays, chosen among the
    open images), :data:`~fijibridge.verbs.File`, :data:`~fijibridge.verbs.Folder`,
    :data:`~fijibridge.verbs.NewFolder` (paths), int, float, bool, str, ``Literal["a", "b"]``; any of them ``| None``.
    ``Annotated[float, Param("...", unit="px", low=0)]`` adds help, unit and range. A parameter of type
    :class:`~fijibridge.verbs.Call` does not appear in dialogs: the function reports progress to it, and asks it whether
    to stop.

    Returned values are shown: an array as an image (a label image if the function is annotated ``-> Cells``), a
    DataFrame as a table, text in the log, ROIs on the first image. For other ways to show a value, return a result of
    :mod:`fijibridge.verbs.results`.

    A package adds verbs with an entry point in the group ``fijibridge.verbs`` that names their module.

    Examples
    --------
    >>> from typing import Annotated
    >>> from fijibridge.verbs import Image, Param, unregister, verb
    >>> @verb("Brightest Pixel...")
    ... def brightest(image: Image, share: Annotated[float, Param("of all pixels", low=0, high=1)] = 0.5) -> str:
    ...     '''Print the grey value that a share of the pixels reaches.'''
    ...     return f"{float(image.quantile(1 - share)):g}"
    >>> unregister("brightest_pixel")
    """

    def made(function: F) -> F:
        name = re.sub(r"\W+", "_", title.lower()).strip("_")
        register(Verb(title, name, inspect.cleandoc(help or function.__doc__ or ""), function, order, long))
        return function

    return made


def register(made: Verb) -> None:
    """Register a verb, or replace it with a newer definition of the same function.

    Raises
    ------
    VerbError
        If the verb's title or parameters are not allowed, or another function is registered under its name.
    """
    if not re.fullmatch(r"[A-Za-z][\w -]*(\.\.\.)?", made.title):
        raise VerbError(
            f"the title of a verb is {made.title!r}; expected letters, digits, spaces, and perhaps ... at the end"
        )
    _ = made.parameters  # raises now, not at the first call
    if not str(made.function.__module__).startswith(f"{__package__}."):  # functions of scripts in Fiji have no module
        all_verbs()  # load the verbs of fijibridge first: their names are taken
    there = _registered.get(made.name)
    if there is not None and _place(there.function) != _place(made.function):
        raise VerbError(f"another verb has the title {made.title!r}; choose another title")
    _registered[made.name] = made  # a notebook cell that is run again redefines its verb
    for notify in tuple(_changed):
        notify()


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    """Return where a function is defined, to recognise it after its code has changed."""
    return function.__module__, function.__qualname__


def unregister(name: str) -> None:
    """Remove a verb."""
    _registered.pop(name, None)
    for notify in tuple(_changed):
        notify()


def on_change(notify: Callable[[], None]) -> Callable[[], None]:
    """Call a function whenever verbs are added or removed; return a function that stops these calls."""
    _changed.append(notify)

    def stop() -> None:
        if notify in _changed:
            _changed.remove(notify)

    return stop


def all_verbs() -> list[Verb]:
    """Return the verbs of fijibridge, of other packages and of this process, in the order of the menu."""
    with _reading:
        while _sources:
            _sources.pop(0)()
    return sorted(_registered.values(), key=lambda made: (made.order, made.title))


def verb_named(name: str) -> Verb:
    """Return a verb by its name, its title or its ImageJ command.

    Raises
    ------
    VerbError
        If there is no such verb.
    """
    known = {key: made for made in all_verbs() for key in (made.name, made.title, made.command)}
    if name not in known:
        raise VerbError(f"verb {name!r} does not exist; expected one of {', '.join(made.name for made in all_verbs())}")
    return known[name]
