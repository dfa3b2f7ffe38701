"""What a verb gives back, whoever called it: Fiji shows it, the command line writes it into files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from fijibridge.errors import VerbError

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

    from fijibridge.rois import Roi


@dataclass(frozen=True)
class ShowImage:
    """An image: a new window, or the one of that name.

    Attributes
    ----------
    image
        With its axes and calibration.
    name
        Title of the window, stem of the file.
    limits
        What is black and what is white; found from the pixels if left out.
    colors
        A lookup table, (256, 3) uint8; grey if left out.
    first
        Name of the channel that is seen first; the first of all if left out.
    """

    image: xr.DataArray
    name: str
    limits: tuple[float, float] | None = None
    colors: Any = None
    first: str | None = None

    def first_number(self) -> int | None:
        """Return the number of the channel that is seen first, from 1; None if the image has none of that name."""
        names = list(map(str, self.image["c"].values)) if "c" in self.image.coords and "c" in self.image.dims else []
        return names.index(self.first) + 1 if self.first in names else None


@dataclass(frozen=True)
class ShowLabels:
    """A label image, in distinct colours."""

    labels: xr.DataArray
    name: str


@dataclass(frozen=True)
class Outlines:
    """ROIs over an input image.

    Attributes
    ----------
    rois
        Named by their ids.
    over
        Name of the parameter whose image gets them as its overlay, in place of what it had.
    colors
        ``"#rrggbb"`` by the ROI's name; distinct ones for those that it leaves out.
    manager
        Put them into the ROI Manager too, where there are windows.
    """

    rois: Sequence[Roi]
    over: str
    colors: Mapping[str, str] = field(default_factory=dict)
    manager: bool = False


@dataclass(frozen=True)
class ShowTable:
    """A table.

    Attributes
    ----------
    table
        Numbers and texts.
    name
        Title of the window, stem of the file.
    add
        Add the rows to the table of that name if one is open.
    select_in
        Name of the parameter in whose image a click on a row selects the ROI that the column ``label`` names.
    """

    table: pd.DataFrame
    name: str
    add: bool = False
    select_in: str | None = None


@dataclass(frozen=True)
class ShowCurves:
    """Curves, one for each column of a table over its index, as a plot."""

    table: pd.DataFrame
    name: str


@dataclass(frozen=True)
class Measure:
    """ROIs, to be measured by ImageJ's own Measure, into the table Results.

    Attributes
    ----------
    rois
        Named by their ids.
    on
        Name of the parameter on whose image.
    measurements
        Names out of :data:`fijibridge.fiji.analyzer.ALL_MEASUREMENTS`.
    channel
        Index of the channel, from 0; the one that is shown if left out.
    """

    rois: Sequence[Roi]
    on: str
    measurements: Sequence[str]
    channel: int | None = None


@dataclass(frozen=True)
class Say:
    """Words: Fiji's log, the console."""

    text: str


Result: TypeAlias = ShowImage | ShowLabels | Outlines | ShowTable | ShowCurves | Measure | Say


def results_of(
    value: Any, name: str, first_image: str | None, labels: bool = False, renamed: Mapping[str, str] | None = None
) -> list[Result]:
    """Return what a verb's function returned as results: an array as an image, a DataFrame as a table, text as words.

    Parameters
    ----------
    value
        None, a result, an array, a DataFrame, a list of ROIs, a text; or a list or tuple of these.
    name
        Of what has none of its own.
    first_image
        The parameter whose image gets ROIs.
    labels
        Whether the function says that its arrays are label images.
    renamed
        What an array is called that still has the name of an input.

    Raises
    ------
    VerbError
        If it is something else.
    """
    import numpy as np
    import pandas as pd
    import xarray as xr

    from fijibridge.image import as_image
    from fijibridge.rois import Roi

    if value is None:
        return []
    if isinstance(value, Result):
        return [value]
    if isinstance(value, pd.DataFrame):
        return [ShowTable(value, name)]
    if isinstance(value, str):
        return [Say(value)]
    if isinstance(value, xr.DataArray | np.ndarray):
        image = as_image(value)
        own = name if image.name is None else (renamed or {}).get(str(image.name), str(image.name))
        return [ShowLabels(image, own) if labels else ShowImage(image, own)]
    if isinstance(value, list | tuple):
        if value and all(isinstance(part, Roi) for part in value):
            if first_image is None:
                raise VerbError(f"{name} returned ROIs, and has no image to put them over")
            return [Outlines(value, first_image)]
        return [result for part in value for result in results_of(part, name, first_image, labels, renamed)]
    raise VerbError(
        f"{name} returned {type(value).__name__}; expected an array, a DataFrame, text, ROIs, one of "
        "fijibridge.verbs' results, or several of these"
    )
