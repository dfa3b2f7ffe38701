"""The parameters of a segmentation: what each method takes, and in which units."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from fijibridge import image as calibration
from fijibridge.cells.distances import Spacing, spacing
from fijibridge.cells.segmentation.regions import Rules
from fijibridge.errors import ImageError
from fijibridge.image import Array, usual_unit
from fijibridge.messages import did_you_mean

PARAMETERS = (
    "threshold", "sigma", "h", "beta", "grow", "min_size", "max_size", "unit", "fill_holes", "border",
)  # fmt: skip
"""The parameters of :func:`fijibridge.label_cells` that say how cells are found."""

DEFAULTS: Mapping[str, Mapping[str, float]] = {
    "threshold": {},
    "watershed": {"sigma": 1.5, "h": 2.0},
    "minima": {"sigma": 1.0, "h": 0.05},
    "seeded": {"sigma": 0.5, "h": 2.0},
    "agglomeration": {"sigma": 0.5, "h": 0.5, "beta": 0.5},
}
"""What each method takes besides the threshold, which all of them take."""


@dataclass(frozen=True)
class Recipe:
    """How cells are found, in pixels; see :func:`fijibridge.label_cells`."""

    method: str
    threshold: float
    sigma: float
    h: float
    beta: float
    grow: float
    rules: Rules
    step: Spacing

    @property
    def covers(self) -> bool:
        """Whether the cells cover the image before a membrane is cut out of them."""
        return self.method in ("minima", "seeded", "agglomeration")


def make_recipe(
    prob: Array,
    method: str,
    *,
    threshold: float = 0.5,
    sigma: float | None = None,
    h: float | None = None,
    beta: float | None = None,
    grow: bool | float = True,
    min_size: float = 0,
    max_size: float | None = None,
    unit: str = "px",
    fill_holes: bool = True,
    border: str = "keep",
) -> Recipe:
    """Check the parameters of :func:`fijibridge.label_cells` for an image without channels and frames."""
    if method not in DEFAULTS:
        raise ImageError(f"method {method!r} is not known; choose one of {sorted(DEFAULTS)}")
    given = _of_method(method, {"sigma": sigma, "h": h, "beta": beta})
    _check("threshold", threshold, lambda v: 0 <= v <= 1, "a probability between 0 and 1")
    _check("beta", given["beta"], lambda v: 0 <= v <= 1, "a probability between 0 and 1")
    for name in ("sigma", "h"):
        _check(name, given[name], lambda v: 0 <= v < np.inf, "0 or more")
    if method == "minima":
        _check("h", given["h"], lambda v: v <= 1, "a probability between 0 and 1, as the depth of a minimum is one")
    distance = np.inf if isinstance(grow, (bool, np.bool_)) and grow else float(grow)
    _check("grow", distance, lambda v: v >= 0, "True, False, or a number of pixels of 0 or more")
    _check("min_size", min_size, lambda v: v >= 0, "0 or more")
    largest = np.inf if max_size is None else max_size
    _check("max_size", largest, lambda v: v >= max(min_size, 0), "at least min_size")
    if border not in ("keep", "remove"):
        raise ImageError(f"border is {border!r}; expected 'keep' or 'remove' (of cells that touch the image's border)")
    pixel = _pixel_area(prob, unit)
    rules = Rules(min_size / pixel, largest / pixel, fill_holes, border == "remove")
    return Recipe(method, threshold, grow=distance, rules=rules, step=spacing(prob, "prob"), **given)


def check_names(names: Iterable[str]) -> None:
    """Refuse names that are no parameters of :func:`fijibridge.label_cells`."""
    unknown = [name for name in names if name not in PARAMETERS]
    if unknown:
        guess = did_you_mean(unknown[0], PARAMETERS) or f"there are {', '.join(PARAMETERS)}"
        raise ImageError(f"{unknown[0]!r} is no parameter of label_cells: {guess}")


def _of_method(method: str, given: Mapping[str, float | None]) -> dict[str, float]:
    used = DEFAULTS[method]
    unused = [name for name, value in given.items() if value is not None and name not in used]
    if unused:
        takes = ", ".join(("threshold", *used))
        raise ImageError(f"{unused[0]} is no parameter of the method {method!r}, which takes {takes}: leave it out")
    return {name: used.get(name, 0.0) if value is None else float(value) for name, value in given.items()}


def _check(name: str, value: float, fits: Callable[[float], bool], expected: str) -> None:
    if not fits(value):  # NaN fits nothing
        raise ImageError(f"{name} is {value:g}; expected {expected}")


def _pixel_area(prob: Array, unit: str) -> float:
    """Return the area (2D) or volume (3D) of a pixel in a unit such as ``"um2"``, 1 for ``"px"``."""
    if unit == "px":
        return 1.0
    own = calibration.unit(prob) if isinstance(prob, xr.DataArray) else calibration.PIXEL
    if own == calibration.PIXEL:
        raise ImageError(
            f"sizes in {unit!r} need a pixel size, and prob has none: give it one (in Fiji Image > Properties..., in "
            "Python fijibridge.as_image(prob, pixel_size=0.2, unit='um')), or say the sizes in pixels, unit px"
        )
    if usual_unit(unit[:-1]) != usual_unit(own) or unit[-1:] != str(prob.ndim):
        raise ImageError(f"sizes in {unit!r} do not fit prob of {prob.ndim} axes in {own}: use '{own}{prob.ndim}'")
    sizes: dict[str, Any] = calibration.pixel_size(prob) if isinstance(prob, xr.DataArray) else {}
    return float(np.prod([sizes[str(d)] for d in prob.dims])) if isinstance(prob, xr.DataArray) else 1.0
