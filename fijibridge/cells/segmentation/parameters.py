"""Parameters of :func:`fijibridge.label_cells`: checks, and conversion to pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_args

import numpy as np
import xarray as xr

from fijibridge import image as calibration
from fijibridge.cells.distances import spacing
from fijibridge.cells.segmentation.methods import THRESHOLD, EdgeCells, get_method, method_parameters
from fijibridge.cells.segmentation.methods.method import Parameter, Parameters
from fijibridge.cells.segmentation.regions import Rules
from fijibridge.errors import ImageError
from fijibridge.image import Array, usual_unit
from fijibridge.messages import did_you_mean
from fijibridge.renames import rename_attributes, renamed_keywords

SHARED = ("threshold", "grow", "min_size", "max_size", "unit", "fill_holes", "edge_cells")
"""Parameters that all methods have."""


@renamed_keywords(border="edge_cells")
def make_parameters(
    prob: Array,
    method: str,
    *,
    threshold: float = THRESHOLD,
    grow: bool | float = True,
    min_size: float = 0,
    max_size: float | None = None,
    unit: str = "px",
    fill_holes: bool = True,
    edge_cells: EdgeCells = "keep",
    **own: float | None,
) -> Parameters:
    """Check the parameters of :func:`fijibridge.label_cells` for an image without channels and frames.

    Parameters
    ----------
    prob
        Membrane probability, (Y, X) or (Z, Y, X); only its axes and pixel size matter.
    method, threshold, grow, min_size, max_size, unit, fill_holes, edge_cells
        As for :func:`fijibridge.label_cells`.
    **own
        Parameters that the method itself defines; None means the default.

    Raises
    ------
    ImageError
        If a parameter is unknown, out of range or belongs to another method, or `unit` is physical and `prob` has no
        pixel size.
    """
    check_names(own)
    values = _of_method(method, own)
    _check("threshold", threshold, lambda v: 0 <= v <= 1, "a probability between 0 and 1")
    distance = np.inf if isinstance(grow, (bool, np.bool_)) and grow else float(grow)
    _check("grow", distance, lambda v: v >= 0, "True, False, or a number of pixels of 0 or more")
    _check("min_size", min_size, lambda v: v >= 0, "0 or more")
    largest = np.inf if max_size is None else max_size
    _check("max_size", largest, lambda v: v >= max(min_size, 0), "at least min_size")
    if edge_cells not in get_args(EdgeCells):
        raise ImageError(f"edge_cells is {edge_cells!r}; expected {' or '.join(map(repr, get_args(EdgeCells)))}")
    pixel = _pixel_area(prob, unit)
    rules = Rules(min_size / pixel, largest / pixel, fill_holes, edge_cells == "remove")
    return Parameters(method, threshold, values, distance, rules, spacing(prob, "prob"))


def check_names(names: Iterable[str]) -> None:
    """Refuse names that are not parameters of :func:`fijibridge.label_cells`."""
    known = (*SHARED, *method_parameters())
    unknown = [name for name in names if name not in known]
    if unknown:
        guess = did_you_mean(unknown[0], known) or f"expected one of {', '.join(known)}"
        raise ImageError(f"{unknown[0]!r} is not a parameter of label_cells: {guess}")


def _of_method(method: str, given: Mapping[str, float | None]) -> dict[str, float]:
    """Return the value of each parameter that the method itself defines."""
    used = get_method(method).parameters
    unused = [name for name, value in given.items() if value is not None and name not in used]
    if unused:
        takes = ", ".join(("threshold", *used))
        raise ImageError(f"{unused[0]} is not a parameter of the method {method!r}, which has {takes}: leave it out")
    values: dict[str, float] = {}
    for name, parameter in used.items():
        value = given.get(name)
        values[name] = parameter.default if value is None else float(value)
        _check_range(name, values[name], parameter)
    return values


def _check_range(name: str, value: float, parameter: Parameter) -> None:
    high = parameter.high
    expected = "0 or more" if high == np.inf else f"a {parameter.unit} between 0 and {high:g}"
    _check(name, value, lambda v: 0 <= v <= high and v < np.inf, expected)


def _check(name: str, value: float, fits: Callable[[float], bool], expected: str) -> None:
    if not fits(value):  # written in this way to refuse NaN, for which every comparison is False
        raise ImageError(f"{name} is {value:g}; expected {expected}")


def _pixel_area(prob: Array, unit: str) -> float:
    """Return the area (2D) or volume (3D) of a pixel in a unit such as ``"um2"``, 1 for ``"px"``."""
    if unit == "px":
        return 1.0
    own = calibration.unit(prob) if isinstance(prob, xr.DataArray) else calibration.PIXEL
    if own == calibration.PIXEL:
        raise ImageError(
            f"sizes in {unit!r} need a pixel size, but prob has none: set it (in Fiji with Image > Properties..., in "
            "Python with fijibridge.as_image(prob, pixel_size=0.2, unit='um')), or give the sizes in the unit px"
        )
    if usual_unit(unit[:-1]) != usual_unit(own) or unit[-1:] != str(prob.ndim):
        raise ImageError(f"sizes in {unit!r} do not fit prob, with {prob.ndim} axes in {own}: use '{own}{prob.ndim}'")
    sizes: dict[str, Any] = calibration.pixel_size(prob) if isinstance(prob, xr.DataArray) else {}
    return float(np.prod([sizes[str(d)] for d in prob.dims])) if isinstance(prob, xr.DataArray) else 1.0


rename_attributes(
    __name__,
    {
        "Recipe": "cells.segmentation.methods.method:Parameters",
        "make_recipe": "cells.segmentation.parameters:make_parameters",
    },
)
