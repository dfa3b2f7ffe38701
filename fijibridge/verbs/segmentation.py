"""Verbs for cells: label, match, measure, show errors."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fijibridge.cells.matching import THRESH
from fijibridge.cells.segmentation.methods import (
    DEFAULT_METHOD,
    THRESHOLD,
    EdgeCells,
    get_method,
    method_names,
    method_parameters,
    parameter_help,
    parameter_unit,
)
from fijibridge.errors import OptionError
from fijibridge.imagej.measurements import MEASUREMENTS
from fijibridge.verbs.macro_options import read_options
from fijibridge.verbs.parameters import Cells, Group, Image, Kind, Param, Parameter
from fijibridge.verbs.prediction import Device, predicted, working
from fijibridge.verbs.registry import Call, verb, verb_named
from fijibridge.verbs.results import Measure, Outlines, Result, Say, ShowImage, ShowLabels, ShowTable

if TYPE_CHECKING:
    import xarray as xr

Thresh: TypeAlias = Annotated[float, Param("smallest IoU at which two cells match", low=0, high=1)]
MembraneThreshold: TypeAlias = Annotated[
    float, Param("smallest probability at which a pixel is membrane", low=0, high=1, was=("threshold",))
]
MembraneWidth: TypeAlias = Annotated[float, Param("width of the true membranes", "px", low=1, was=("width",))]
Known: TypeAlias = Annotated[
    Image | None, Param("mask, non-zero where the truth is known; the whole image if left out")
]
Truth: TypeAlias = Annotated[Cells, Param("true cells")]
Predicted: TypeAlias = Annotated[Cells, Param("predicted cells")]
Over: TypeAlias = Annotated[Image | None, Param("image on which to draw the outlines; the predicted cells if left out")]


@cache
def _method_help() -> str:
    """Return which images each segmentation method suits, in one line."""
    return "; ".join(f"{name} for {get_method(name).suits.replace(';', ',')}" for name in method_names())


@cache
def _own_parameters() -> tuple[Parameter, ...]:
    """Return the parameters that only some segmentation methods accept."""
    found = []
    for name, methods in method_parameters().items():
        high = max(parameter.high for parameter in methods.values())
        unit = parameter_unit(name).replace("probability", "")
        found.append(Parameter(
            name, Kind.number, None, optional=True, help=parameter_help(name), unit=unit, low=0,
            high=high if math.isfinite(high) else None,
        ))  # fmt: skip
    return tuple(found)


@verb("Label Cells...", order=30)
def label_cells(
    call: Call,
    image: Annotated[Image, Param("membrane probability, a result of Predict; with a model, the image itself")],
    model: Annotated[
        Path | None, Param("model file, or folder of a run, with which to predict the image first", kind=Kind.file)
    ] = None,
    membrane: Annotated[str, Param("channel of the membranes: its name or 1-based number")] = "membrane",
    method: Annotated[
        str,
        Param(_method_help(), choices=method_names()),
    ] = DEFAULT_METHOD,
    threshold: Annotated[float, Param("smallest probability at which a pixel is membrane", low=0, high=1)] = THRESHOLD,
    min_size: Annotated[float, Param("remove smaller regions, in the unit below", low=0)] = 0,
    max_size: Annotated[float | None, Param("remove larger regions, in the unit below", low=0)] = None,
    unit: Annotated[Literal["px", "um2", "um3"], Param("unit of the sizes")] = "px",
    grow: Annotated[bool, Param("grow the cells until only gaps of 1 px are left")] = True,
    grow_by: Annotated[float | None, Param("largest distance by which cells grow", "px", low=0)] = None,
    fill_holes: Annotated[bool, Param("fill holes enclosed by a single cell")] = True,
    edge_cells: Annotated[EdgeCells, Param("cells that touch the edge of the image", was=("border",))] = "keep",
    outlines: Annotated[bool, Param("also draw the cells on the image")] = True,
    manager: Annotated[bool, Param("also add the cells to the ROI Manager", label="Add to ROI Manager")] = False,
    device: Device = None,
    **own: Annotated[Any, Group(_own_parameters(), after="threshold")],
) -> list[Result]:
    """Find the cells between membranes, in a prediction or, with a model, in an image.

    Cells get ids starting at 1, which are also the names of their ROIs.
    """
    from fijibridge.cells.segmentation import labelling
    from fijibridge.cells.segmentation.parameters import make_parameters
    from fijibridge.files.formats import stem

    options = labelling_options(
        method=method, membrane=membrane, threshold=threshold, min_size=min_size, max_size=max_size, unit=unit,
        grow=grow, grow_by=grow_by, fill_holes=fill_holes, edge_cells=edge_cells, **own,
    )  # fmt: skip
    # checked here, before a network computes for minutes
    frame = image.isel({axis: 0 for axis in ("t", "c") if axis in image.dims}, drop=True)
    make_parameters(frame, **{name: value for name, value in options.items() if name != "membrane"})
    prob = image
    if model is not None:
        with working(call, device) as chosen:
            prob = predicted(image, model, call, device=chosen)
    channels = prob.sizes.get("c", 1)
    if isinstance(options["membrane"], int) and options["membrane"] >= channels:
        raise OptionError(f"membrane is {membrane!r}; the image has {channels} channels, counted from 1")
    call.say(f"labelling {stem(image)}")
    cells = labelling.label_cells(prob, **options)
    shown = ShowLabels(cells, f"{stem(image).removesuffix('_prob')}_cells")
    return [shown, *([_outlines(cells, manager)] if outlines or manager else [])]


def _outlines(cells: xr.DataArray, manager: bool) -> Result:
    from fijibridge.rois import labels_to_rois

    return Outlines(labels_to_rois(cells), "image", manager=manager) if _can_be_drawn(cells) else _NOT_DRAWN


_NOT_DRAWN = Say("No outlines: ROIs can be drawn on planes and stacks, but not on a time series of stacks")


def _can_be_drawn(cells: xr.DataArray) -> bool:
    """Return whether ROIs can be drawn on an image of these cells."""
    return cells.ndim <= len("zyx")


def labelling_options(*, membrane: str, grow: bool, grow_by: float | None, **others: Any) -> dict[str, Any]:
    """Convert options of Label Cells to arguments of :func:`fijibridge.label_cells`.

    Raises
    ------
    OptionError
        If `grow_by` is given without `grow`, or `membrane` is a number below 1.
    """
    if grow_by is not None and not grow:
        raise OptionError("grow_by sets how far cells grow, but grow is false: leave one out")
    if membrane.isdecimal() and int(membrane) < 1:
        raise OptionError(f"membrane is {membrane!r}; expected the name of a channel, or its number from 1")
    channel = int(membrane) - 1 if membrane.isdecimal() else membrane
    return {**others, "membrane": channel, "grow": grow and (True if grow_by is None else grow_by)}


_NOT_LABELLING = ("image", "model", "outlines", "manager", "device")
"""Parameters of Label Cells that have no effect on the cells."""


def labelling_of(text: str) -> dict[str, Any]:
    """Convert macro options of Label Cells to arguments of :func:`fijibridge.label_cells`.

    Raises
    ------
    OptionError
        If options are unknown or invalid; the message lists all of them.

    Examples
    --------
    >>> labelling_of("method=minima threshold=0.4")["method"]
    'minima'
    """
    made = verb_named("label_cells")
    given = read_options(text)
    unknown = [name for name in given if name in _NOT_LABELLING or name == "overwrite"]
    if unknown:
        raise OptionError(f"options of label, {text!r}: {unknown[0]} has no effect on the cells; leave it out")
    try:
        values = made.read(given)
    except OptionError as error:
        raise OptionError(f"options of label, {text!r}: {str(error).removeprefix(f'{made.command}: ')}") from error
    return labelling_options(**{name: value for name, value in values.items() if name not in _NOT_LABELLING})


@verb("Match Labels...", order=40)
def match_labels(
    true: Truth,
    predicted: Predicted,
    thresh: Thresh = THRESH,
    region: Known = None,
    min_size: Annotated[int, Param("ignore smaller cells, true and predicted", "px", low=0)] = 0,
    over: Over = None,
    table: Annotated[str, Param("table to which a row for this image is added")] = "Matches",
) -> list[Result]:
    """Match predicted cells to true ones; tabulate matched, GT, predicted, image, precision, recall, F1 ...

    Outlines: matched green, missed orange, extra pink, split yellow, merged blue.
    """
    from fijibridge.cells.diagnosis.rois import matching_rois
    from fijibridge.cells.matching import matches
    from fijibridge.cells.matching.table import match_table
    from fijibridge.files.formats import stem

    found = matches.match_labels(true, predicted, thresh=thresh, region=region, min_size=min_size)
    where = "predicted" if over is None else "over"
    named = stem(predicted if over is None else over).removesuffix("_cells")
    row = match_table({named: found}).iloc[:1]
    cells = found.cells().drop(columns="color")
    outlines: Result = _NOT_DRAWN
    if _can_be_drawn(predicted):
        rois, colors = matching_rois(found, true, predicted)
        outlines = Outlines(rois, where, colors)
    return [
        outlines,
        ShowTable(cells, f"{table} cells", select_in=where),
        ShowTable(row, table, add=True),
    ]


@verb("Measure Cells...", order=50)
def measure_cells(
    cells: Annotated[Cells, Param("cells to measure")],
    image: Annotated[Image, Param("image to measure them in")],
    measurements: Annotated[str, Param("names from Analyze > Set Measurements, separated by spaces")] = " ".join(
        MEASUREMENTS
    ),
    channel: Annotated[int | None, Param("1-based channel to measure in; the shown one if left out", low=1)] = None,
) -> Measure:
    """Measure cells with ImageJ's own Measure: one row per cell in the table Results, labelled with the cell's id."""
    from fijibridge.files.formats import stem
    from fijibridge.rois import labels_to_rois

    plane = (image.sizes["y"], image.sizes["x"])
    if cells.shape[-2:] != plane:
        raise OptionError(f"cells has {cells.shape[-2:]} (y, x) pixels, image {plane}; expected cells of this image")
    channels = image.sizes.get("c", 1)
    if channel is not None and channel > channels:
        raise OptionError(f"channel is {channel}; the image has {channels} channel(s)")
    names = tuple(measurements.replace(",", " ").split())
    rois = labels_to_rois(cells)
    if not rois:
        raise OptionError(f"cells: {stem(cells)} has no cells to measure")
    return Measure(rois, "image", names, None if channel is None else channel - 1)


@verb("Show Errors...", order=60)
def show_errors(
    true: Truth,
    predicted: Predicted,
    prob: Annotated[
        Image | None, Param("membrane probability in which the cells were found; their borders if left out")
    ] = None,
    thresh: Thresh = THRESH,
    membrane_threshold: MembraneThreshold = THRESHOLD,
    membrane_width: MembraneWidth = 3,
    region: Known = None,
    over: Over = None,
) -> list[Result]:
    """Show where predicted cells are wrong, and why: wrong pixels, lost cells, broken membranes.

    Error map: missed membranes red, extra membranes blue, unknown pixels grey. A point marks each broken membrane, the
    costliest first.
    """
    from fijibridge.cells.diagnosis.overview import diagnose
    from fijibridge.cells.diagnosis.pixel_errors import error_colors
    from fijibridge.cells.diagnosis.rois import gap_points, matching_rois
    from fijibridge.files.formats import stem
    from fijibridge.image import as_image

    found = diagnose(
        true, predicted, prob=prob, region=region, thresh=thresh, membrane_threshold=membrane_threshold,
        membrane_width=membrane_width,
    )  # fmt: skip
    rois, colors = matching_rois(found.matching, true, predicted)
    gaps, points = gap_points(found.gaps)
    where = "predicted" if over is None else "over"
    named = stem(predicted if over is None else over).removesuffix("_cells")
    results: list[Result] = [
        ShowImage(as_image(found.errors), f"{named}_errors", limits=(0, 255), colors=error_colors()),
        Outlines([*rois, *points], where, {**colors, **dict.fromkeys(gaps["label"], "#ffffff")}),
        ShowTable(found.cells.drop(columns="color"), f"{named}_errors cells", select_in=where),
    ]
    if len(gaps):
        results.append(ShowTable(gaps, f"{named}_errors gaps", select_in=where))
    return [*results, Say(found.summary)]
