"""Results of verbs: Fiji shows them, the command line writes them into files."""

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
    """An image for a window or a file.

    Attributes
    ----------
    image
        The image, with axes and calibration.
    name
        Title of the window, which replaces an open window with that title; also the stem of the file name.
    limits
        Values shown as black and as white; by default, they are chosen from the pixels.
    colors
        Lookup table, (256, 3) ``uint8``; grey by default.
    first
        Name of the channel that is shown first; the first channel if left out.
    """

    image: xr.DataArray
    name: str
    limits: tuple[float, float] | None = None
    colors: Any = None
    first: str | None = None

    def first_number(self) -> int | None:
        """Return the 1-based number of the channel :attr:`first`; None if the image has no such channel."""
        names = list(map(str, self.image["c"].values)) if "c" in self.image.coords and "c" in self.image.dims else []
        return names.index(self.first) + 1 if self.first in names else None


@dataclass(frozen=True)
class ShowLabels:
    """A label image, shown in distinct colours."""

    labels: xr.DataArray
    name: str


@dataclass(frozen=True)
class Outlines:
    """ROIs over an input image.

    Attributes
    ----------
    rois
        ROIs, named by ids.
    over
        Name of the parameter on whose image the ROIs are drawn, as an overlay that replaces an earlier one.
    colors
        ``"#rrggbb"`` by ROI name; ROIs that are not listed get distinct colours.
    manager
        Whether to add the ROIs to the ROI Manager too, if Fiji has windows.
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
        Table of numbers and strings.
    name
        Title of the window, and stem of the file name.
    add
        Whether to append the rows to an open table of that name.
    select_in
        Name of the parameter whose image is linked to the table: a click on a row selects the ROI that is named in the
        row's column ``label``.
    """

    table: pd.DataFrame
    name: str
    add: bool = False
    select_in: str | None = None


@dataclass(frozen=True)
class ShowCurves:
    """A plot with one curve per column of a table, over the table's index."""

    table: pd.DataFrame
    name: str


@dataclass(frozen=True)
class Measure:
    """ROIs to measure with ImageJ's own Measure command, which writes to the table Results.

    Attributes
    ----------
    rois
        ROIs, named by ids.
    on
        Name of the parameter whose image is measured.
    measurements
        Names among :data:`fijibridge.imagej.measurements.ALL_MEASUREMENTS`.
    channel
        Index of the channel, from 0; the shown channel if left out.
    """

    rois: Sequence[Roi]
    on: str
    measurements: Sequence[str]
    channel: int | None = None


@dataclass(frozen=True)
class Say:
    """Text for Fiji's log or the console."""

    text: str


@dataclass(frozen=True)
class Offer:
    """Initial value of a field in the next dialog of another verb, such as the model that was just trained.

    Attributes
    ----------
    verb
        Name of the other verb.
    parameter
        Name of the other verb's parameter.
    text
        Value of the field, as text.
    """

    verb: str
    parameter: str
    text: str


Result: TypeAlias = ShowImage | ShowLabels | Outlines | ShowTable | ShowCurves | Measure | Say | Offer


def results_of(
    value: Any, name: str, first_image: str | None, labels: bool = False, renamed: Mapping[str, str] | None = None
) -> list[Result]:
    """Convert the return value of a verb's function to results.

    Parameters
    ----------
    value
        None, a result, an array, a DataFrame, a list of ROIs, a string; or a list or tuple of these.
    name
        Name for results that have no name.
    first_image
        Name of the parameter on whose image ROIs are drawn; None if there is none.
    labels
        Whether arrays are label images.
    renamed
        New names, by input name, for arrays that still have the name of an input.

    Returns
    -------
    list
        An image or label image for an array, a table for a DataFrame, outlines for ROIs.

    Raises
    ------
    VerbError
        If a value has another type.
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
                raise VerbError(f"{name} returned ROIs, but has no parameter of type Image to draw them on; add one")
            return [Outlines(value, first_image)]
        return [result for part in value for result in results_of(part, name, first_image, labels, renamed)]
    raise VerbError(
        f"{name} returned {type(value).__name__}; expected an array, a DataFrame, text, ROIs, a "
        "result of fijibridge.verbs, or a list of these"
    )
