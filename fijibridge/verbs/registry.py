"""A verb: a Python function, with what must be known to call it from a menu, a macro, a script or a shell."""

from __future__ import annotations

import inspect
import logging
import re
import threading
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, TypeVar

from fijibridge.errors import Cancelled, OptionError, VerbError
from fijibridge.verbs.parameters import INPUTS, OVERWRITE, Cells, Kind, Parameter, parameters_of
from fijibridge.verbs.results import Measure, Outlines, Result, Say, ShowCurves, ShowTable, results_of

log = logging.getLogger("fijibridge")

F = TypeVar("F", bound=Callable[..., Any])

ENTRY_POINTS = "fijibridge.verbs"
"""The group of entry points by which a package brings verbs of its own: each names a verb, or a module of them."""


class Call:
    """What a verb tells while it works, and asks: progress, words, whether to stop.

    Parameters
    ----------
    progress
        Called with (done, in all).
    say
        Called with a line of text for the status bar.
    cancelled
        Asked now and then whether to stop.
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
        """What is called, for those who wait for it."""

    def progress(self, done: int, steps: int) -> None:
        """Tell that so many steps of all are done."""
        if self._progress is not None:
            self._progress(done, steps)

    def say(self, text: str) -> None:
        """Tell what is done now."""
        if self._say is not None:
            self._say(text)

    def cancelled(self) -> bool:
        """Whether it is to stop."""
        return self.stop.is_set() or (self._cancelled is not None and self._cancelled())

    def check(self) -> None:
        """Stop if that is asked for.

        Raises
        ------
        Cancelled
            Then.
        """
        if self.cancelled():
            raise Cancelled("cancelled")


@dataclass(frozen=True)
class Verb:
    """What can be called from outside Python. Made by :func:`verb`.

    Attributes
    ----------
    title
        As the menu has it: ``"Predict..."``, with dots if it opens a dialog.
    name
        As macros of scripts and the command line have it: ``"predict"``.
    help
        What it does: a line, and below it more.
    parameters
        In the order of the dialog.
    function
        What it does.
    order
        Place in the menu.
    long
        Whether it takes so long that a person who chose it in a menu should not wait for it.
    """

    title: str
    name: str
    help: str
    parameters: list[Parameter]
    function: Callable[..., Any]
    order: float = 100.0
    call_parameter: str | None = None
    gives_labels: bool = False
    long: bool = False

    @property
    def command(self) -> str:
        """The command of ImageJ: ``run("FijiBridge Predict...")``."""
        return f"FijiBridge {self.title}"

    @property
    def summary(self) -> str:
        """The first line of the help."""
        return self.help.split("\n", 1)[0]

    @property
    def shows_images(self) -> bool:
        """Whether there may be images among its results: unless its function says that it returns something else."""
        told = typing.get_type_hints(self.function).get("return")
        others = (Say, str, type(None), Measure, Outlines, ShowTable, ShowCurves)
        return told not in others and getattr(told, "__name__", "") not in ("DataFrame", "Series")

    @property
    def options(self) -> list[Parameter]:
        """What macros and scripts may give: its parameters, and those that all verbs of its kind have."""
        own = any(parameter.name == OVERWRITE.name for parameter in self.parameters)
        return [*self.parameters, *([OVERWRITE] if self.shows_images and not own else [])]

    def __getitem__(self, name: str) -> Parameter:
        """Return the parameter of that name."""
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        raise KeyError(name)

    def read(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the value of each parameter, from texts or values; and of other options if they are given.

        Raises
        ------
        OptionError
            If options are unknown, missing or wrong; all of them are told.
        """
        options = self.options
        known = [parameter.name for parameter in options]
        problems = [f"no option {name!r}; there are {', '.join(known)}" for name in given if name not in known]
        values: dict[str, Any] = {}
        for parameter in options:
            value = given.get(parameter.name)
            if parameter is OVERWRITE and value is None:
                continue
            if value is None and parameter.kind is Kind.image and parameter.required:
                value = ""  # the active image
            elif value is None and not parameter.required:
                values[parameter.name] = parameter.default
                continue
            elif value is None:
                problems.append(f"{parameter.name} is missing; expected {parameter.expected}")
                continue
            try:
                active = parameter.kind is Kind.image and parameter.required and isinstance(value, str) and not value
                values[parameter.name] = value if active else parameter.read(value)
            except OptionError as error:
                problems.append(str(error))
        if problems:
            raise OptionError(f"{self.command}: " + "; ".join(problems))
        return values

    def run(self, values: Mapping[str, Any], call: Call) -> list[Result]:
        """Call the function with values of the right types, and return what it found."""
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
        return results_of(found, self.title.removesuffix("..."), first, self.gives_labels, _own_name(self.name, inputs))


def _own_name(verb: str, inputs: Mapping[str, Any]) -> dict[str, str]:
    """Return what results are called that still have the name of an input, which they came from."""
    from fijibridge.files.names import stem

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
            log.warning("the verbs of %s could not be loaded: %s: %s", entry, type(error).__name__, error)


_sources: list[Callable[[], None]] = [_load_packages]
"""Functions that register verbs, each called once, when verbs are first asked for."""


def load_on_first_use(source: Callable[[], None]) -> None:
    """Call a function that registers verbs when verbs are first asked for, before those of other packages."""
    _sources.insert(0, source)


def verb(title: str, *, order: float = 100.0, help: str | None = None, long: bool = False) -> Callable[[F], F]:
    """Make a function a verb, which Fiji's menu, macros and scripts, and the command line have from then on.

    Parameters
    ----------
    title
        As the menu has it, with dots if it has parameters: ``"Count Spots..."``.
    order
        Place in the menu; those of fijibridge have 0 to 99.
    help
        What it does; the function's docstring if left out.
    long
        Whether it takes so long that a person who chose it in a menu should not wait for it; a macro does.

    Raises
    ------
    VerbError
        If the function has parameters that no dialog can ask for, or there is a verb of that title already.

    Notes
    -----
    Types of parameters: :data:`~fijibridge.verbs.Image`, :data:`~fijibridge.verbs.Cells` (arrays, chosen among the
    open images), :data:`~fijibridge.verbs.File`, :data:`~fijibridge.verbs.Folder`,
    :data:`~fijibridge.verbs.NewFolder` (paths), int, float, bool, str, ``Literal["a", "b"]``; any of them ``| None``.
    ``Annotated[float, Param("...", unit="px", low=0)]`` says more. One of type :class:`~fijibridge.verbs.Call` is not
    asked for: it tells progress, and whether to stop.

    What it returns is shown: an array as an image (a label image if the function is annotated ``-> Cells``), a
    DataFrame as a table, a text in the log, ROIs over its first image, or results of :mod:`fijibridge.verbs.results`.

    A package brings its verbs along by an entry point of the group ``fijibridge.verbs`` that names their module.

    Examples
    --------
    >>> from typing import Annotated
    >>> from fijibridge.verbs import Image, Param, unregister, verb
    >>> @verb("Brightest Pixel...")
    ... def brightest(image: Image, share: Annotated[float, Param("of all pixels", low=0, high=1)] = 0.5) -> str:
    ...     '''Say which grey value so many pixels reach.'''
    ...     return f"{float(image.quantile(1 - share)):g}"
    >>> unregister("brightest_pixel")
    """

    def made(function: F) -> F:
        parameters, call = parameters_of(function, Call)
        told = inspect.cleandoc(help or function.__doc__ or "")
        returned = typing.get_type_hints(function, include_extras=True).get("return")
        name = re.sub(r"\W+", "_", title.lower()).strip("_")
        register(Verb(title, name, told, parameters, function, order, call, returned == Cells, long))
        return function

    return made


def register(made: Verb) -> None:
    """Add a verb to those that there are.

    Raises
    ------
    VerbError
        If there is one of that name, with another function.
    """
    if not re.fullmatch(r"[A-Za-z][\w -]*(\.\.\.)?", made.title):
        raise VerbError(f"the title {made.title!r} of a verb; expected letters, digits, spaces, and dots at its end")
    if not str(made.function.__module__).startswith(f"{__package__}."):  # a script of Fiji's has no module
        all_verbs()  # those of fijibridge were there before
    there = _registered.get(made.name)
    if there is not None and _place(there.function) != _place(made.function):
        raise VerbError(f"there is a verb {made.title!r} already")
    _registered[made.name] = made  # a cell of a notebook that is run again defines it anew
    for tell in tuple(_changed):
        tell()


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    """Return where a function is defined; one that takes its place is the same one, changed."""
    return function.__module__, function.__qualname__


def unregister(name: str) -> None:
    """Take a verb away again."""
    _registered.pop(name, None)
    for tell in tuple(_changed):
        tell()


def on_change(tell: Callable[[], None]) -> Callable[[], None]:
    """Call back when verbs come or go: a menu that is open. Returns the function that ends it."""
    _changed.append(tell)

    def stop() -> None:
        if tell in _changed:
            _changed.remove(tell)

    return stop


def all_verbs() -> list[Verb]:
    """Return all verbs: those of fijibridge, of packages that bring some, and those that were registered here."""
    with _reading:
        while _sources:
            _sources.pop(0)()
    return sorted(_registered.values(), key=lambda made: (made.order, made.title))


def verb_named(name: str) -> Verb:
    """Return the verb of a name, a title or a command of ImageJ.

    Raises
    ------
    VerbError
        If there is none.
    """
    known = {key: made for made in all_verbs() for key in (made.name, made.title, made.command)}
    if name not in known:
        raise VerbError(f"there is no verb {name!r}; there are {', '.join(made.name for made in all_verbs())}")
    return known[name]
