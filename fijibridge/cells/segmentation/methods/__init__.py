"""Registry of the segmentation methods of :func:`fijibridge.label_cells`.

To add a method, write a file in this folder, named after the method, that defines ``METHOD``, a
:class:`~fijibridge.cells.segmentation.methods.method.Method`; ``watershed.py`` is a short example. Then add its name to
:data:`MethodName`. Functions, verbs, menus, the command line, tuning grids and docs read the rest from ``METHOD``.

A method's file is imported when the method is first used. The file imports numpy and scipy only inside ``find``, so
that the command line can list all methods without delay.
"""

from __future__ import annotations

import importlib
from typing import Literal, get_args

from fijibridge.cells.segmentation.methods.method import Method, Parameter
from fijibridge.errors import ImageError
from fijibridge.messages import hint

MethodName = Literal["threshold", "watershed", "minima", "seeded", "agglomeration"]
"""Names of the methods; each is also the name of a file in this folder."""

DEFAULT_METHOD: MethodName = "watershed"
"""Method that every interface uses if none is given."""

EdgeCells = Literal["keep", "remove"]
"""Treatment of cells that touch the edge of the image, as a type."""
THRESHOLD = 0.5
"""Default for the smallest probability at which a pixel is membrane, for every method and interface."""


def method_names() -> tuple[str, ...]:
    """Return the names of all methods, in the order of :data:`MethodName`."""
    return get_args(MethodName)


def get_method(name: str) -> Method:
    """Load one method.

    Raises
    ------
    ImageError
        If there is no method with this name.

    Examples
    --------
    >>> get_method("minima").parameters["h"].default
    0.05
    """
    names = method_names()
    if name not in names:
        raise ImageError(f"method {name!r} is not known; choose one of {sorted(names)}{hint(str(name), names)}")
    method: Method = importlib.import_module(f"{__name__}.{name}").METHOD
    return method


def summaries() -> dict[str, str]:
    """Return the one-line summary of each method."""
    return {name: get_method(name).summary for name in method_names()}


def method_parameters() -> dict[str, dict[str, Parameter]]:
    """Return the parameters that only some methods have: for each name, the parameter of each method that has it.

    Examples
    --------
    >>> {name: list(methods) for name, methods in method_parameters().items()}["beta"]
    ['agglomeration']
    """
    found: dict[str, dict[str, Parameter]] = {}
    for name in method_names():
        for parameter, meaning in get_method(name).parameters.items():
            found.setdefault(parameter, {})[name] = meaning
    return found


def parameter_help(name: str) -> str:
    """Return one line of help on a parameter that only some methods have, with the default for each method.

    Examples
    --------
    >>> parameter_help("beta")
    'mean probability from which a membrane separates two cells (agglomeration 0.5)'
    """
    defaults: dict[str, list[str]] = {}
    for method, parameter in method_parameters()[name].items():
        defaults.setdefault(parameter.help, []).append(f"{method} {parameter.default:g}")
    return "; ".join(f"{text} ({', '.join(values)})" for text, values in defaults.items())


def parameter_unit(name: str) -> str:
    """Return the unit of a parameter; empty if it differs between methods."""
    units = {parameter.unit for parameter in method_parameters()[name].values()}
    return units.pop() if len(units) == 1 else ""
