"""The verbs of cells: label, match, measure, show errors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fijibridge.errors import OptionError
from fijibridge.verbs.parameters import Cells, Image, Kind, Param
from fijibridge.verbs.prediction import Device, predicted, working
from fijibridge.verbs.registry import Call, verb
from fijibridge.verbs.results import Measure, Outlines, Result, Say, ShowImage, ShowLabels, ShowTable

if TYPE_CHECKING:
    import xarray as xr

Thresh: TypeAlias = Annotated[float, Param("a pair of cells with at least this IoU is a match", low=0, high=1)]
Known: TypeAlias = Annotated[Image | None, Param("mask: non-zero where the truth is known; everywhere if left out")]
Truth: TypeAlias = Annotated[Cells, Param("the true cells")]
Predicted: TypeAlias = Annotated[Cells, Param("the predicted cells")]
Over: TypeAlias = Annotated[Image | None, Param("image that gets the outlines; the predicted cells if left out")]


@verb("Label Cells...", order=30)
def label_cells(
    call: Call,
    image: Annotated[Image, Param("membrane probability, as Predict makes it; with a model, the image itself")],
    model: Annotated[
        Path | None, Param("model file, or the folder of a run, to predict the image with first", kind=Kind.file)
    ] = None,
    membrane: Annotated[str, Param("the channel with the membranes: its name, or its number from 1")] = "membrane",
    method: Annotated[
        Literal["threshold", "watershed", "minima", "seeded", "agglomeration"],
        Param(
            "threshold: connected regions; watershed: closes gaps too; minima, seeded: noise, stacks; "
            "agglomeration: weighs whole membranes"
        ),
    ] = "watershed",
    threshold: Annotated[float, Param("from this probability on it is membrane", low=0, high=1)] = 0.5,
    sigma: Annotated[float | None, Param("smoothing; not of threshold", "px", low=0, label="Smoothing sigma")] = None,
    h: Annotated[
        float | None,
        Param(
            "how much wider than its necks a cell must be; of minima how much deeper, a probability",
            "px",
            low=0,
            label="Least dynamics h",
        ),
    ] = None,
    beta: Annotated[
        float | None, Param("of agglomeration: mean probability from which on a membrane separates", low=0, high=1)
    ] = None,
    min_size: Annotated[float, Param("leave out smaller regions, in the unit below", low=0)] = 0,
    max_size: Annotated[float | None, Param("take out larger regions, in the unit below", low=0)] = None,
    unit: Annotated[Literal["px", "um2", "um3"], Param("of the sizes")] = "px",
    grow: Annotated[bool, Param("grow the cells until a gap of 1 px is left")] = True,
    grow_by: Annotated[float | None, Param("grow at most so far", "px", low=0)] = None,
    fill_holes: Annotated[bool, Param("fill what is enclosed by one cell")] = True,
    border: Annotated[Literal["keep", "remove"], Param("cells that touch the border of the image")] = "keep",
    outlines: Annotated[bool, Param("draw the cells over the image too")] = True,
    manager: Annotated[bool, Param("put them into the ROI Manager too", label="Add to ROI Manager")] = False,
    device: Device = None,
) -> list[Result]:
    """Find the cells between membranes, in a prediction or, with a model, in an image.

    Cells get ids from 1; ROIs are named by them.
    """
    from fijibridge.cells.segmentation import labelling
    from fijibridge.cells.segmentation.parameters import make_parameters
    from fijibridge.files.names import stem
    from fijibridge.rois import labels_to_rois

    options = labelling_options(
        method=method, membrane=membrane, threshold=threshold, sigma=sigma, h=h, beta=beta, min_size=min_size,
        max_size=max_size, unit=unit, grow=grow, grow_by=grow_by, fill_holes=fill_holes, edge_cells=border,
    )  # fmt: skip
    # what does not fit is told before a network has worked for minutes
    frame = image.isel({axis: 0 for axis in ("t", "c") if axis in image.dims}, drop=True)
    make_parameters(frame, **{name: value for name, value in options.items() if name != "membrane"})
    prob = image
    if model is not None:
        with working(call, device) as chosen:
            prob = predicted(image, model, call, device=chosen)
    channels = prob.sizes.get("c", 1)
    if isinstance(options["membrane"], int) and options["membrane"] >= channels:
        raise OptionError(f"membrane is {membrane!r}, but there are {channels} channels; they are counted from 1")
    call.say(f"labelling {stem(image)}")
    cells = labelling.label_cells(prob, **options)
    results: list[Result] = [ShowLabels(cells, f"{stem(image).removesuffix('_prob')}_cells")]
    if outlines or manager:
        results.append(Outlines(labels_to_rois(cells), "image", manager=manager) if _flat(cells) else _NOT_DRAWN)
    return results


_NOT_DRAWN = Say("No outlines: ROIs are those of planes and stacks, not of a series of stacks in time")


def _flat(cells: xr.DataArray) -> bool:
    """Whether ROIs can lie on an image of these cells."""
    return cells.ndim <= len("zyx")


def labelling_options(*, membrane: str, grow: bool, grow_by: float | None, **others: Any) -> dict[str, Any]:
    """Return what the verb takes as :func:`fijibridge.label_cells` takes it.

    Raises
    ------
    OptionError
        If options do not go together, or channels are not counted from 1.
    """
    if grow_by is not None and not grow:
        raise OptionError("grow_by says how far cells grow, and grow=false that they do not: leave one out")
    if membrane.isdecimal() and int(membrane) < 1:
        raise OptionError(f"membrane is {membrane!r}; expected the name of a channel, or its number from 1")
    channel = int(membrane) - 1 if membrane.isdecimal() else membrane
    if "border" in others:
        others["edge_cells"] = others.pop("border")
    return {**others, "membrane": channel, "grow": grow and (True if grow_by is None else grow_by)}


def labelling_of(text: str) -> dict[str, Any]:
    """Return the arguments of :func:`fijibridge.label_cells` that a macro's options of Label Cells stand for.

    Raises
    ------
    OptionError
        If options are unknown or wrong; all of them are told.

    Examples
    --------
    >>> labelling_of("method=minima threshold=0.4")["method"]
    'minima'
    """
    from fijibridge.verbs.macro_options import read_options
    from fijibridge.verbs.registry import verb_named

    others = ("image", "model", "outlines", "manager", "device")
    known = {p.name: p for p in verb_named("label_cells").parameters if p.name not in others}
    given = read_options(text)
    problems = [f"no option {name!r}; there are {', '.join(known)}" for name in given if name not in known]
    values = {}
    for name, parameter in known.items():
        try:
            values[name] = parameter.read(given[name]) if name in given else parameter.default
        except OptionError as error:
            problems.append(str(error))
    if problems:
        raise OptionError(f"how cells are labelled, {text!r}: " + "; ".join(problems))
    return labelling_options(**values)


@verb("Match Labels...", order=40)
def match_labels(
    true: Truth,
    predicted: Predicted,
    thresh: Thresh = 0.5,
    region: Known = None,
    min_size: Annotated[int, Param("leave out smaller cells, true and predicted", "px", low=0)] = 0,
    over: Over = None,
    table: Annotated[str, Param("name of the table that gets a row for this image")] = "Matches",
) -> list[Result]:
    """Match predicted cells to the true ones: matched, GT, predicted, image, precision, recall, F1 ...

    Outlines: matched green, missed orange, extra pink, split yellow, merged blue.
    """
    from fijibridge.cells.diagnosis.rois import matching_rois
    from fijibridge.cells.matching import matches
    from fijibridge.files.names import stem

    found = matches.match_labels(true, predicted, thresh, region=region, min_size=min_size)
    where = "predicted" if over is None else "over"
    named = stem(predicted if over is None else over).removesuffix("_cells")
    row = matches.match_table({named: found}).iloc[:1]
    cells = found.cells().drop(columns="color")
    outlines: Result = _NOT_DRAWN
    if _flat(predicted):
        rois, colors = matching_rois(found, true, predicted)
        outlines = Outlines(rois, where, colors)
    return [
        outlines,
        ShowTable(cells, f"{table} cells", select_in=where),
        ShowTable(row, table, add=True),
    ]


@verb("Measure Cells...", order=50)
def measure_cells(
    cells: Annotated[Cells, Param("the cells to be measured")],
    image: Annotated[Image, Param("where they are measured")],
    measurements: Annotated[
        str, Param("names of Analyze > Set Measurements, with spaces between")
    ] = "area mean std_dev min_max centroid perimeter ellipse shape feret integrated",
    channel: Annotated[int | None, Param("to measure in, from 1; the one that is shown if left out", low=1)] = None,
) -> Measure:
    """Measure cells with ImageJ's own Measure, a row each in the table Results, label = id of the cell."""
    from fijibridge.files.names import stem
    from fijibridge.rois import labels_to_rois

    plane = (image.sizes["y"], image.sizes["x"])
    if cells.shape[-2:] != plane:
        raise OptionError(
            f"the cells are {cells.shape[-2:]}, the image is {plane} (y, x) pixels: they belong to another"
        )
    channels = image.sizes.get("c", 1)
    if channel is not None and channel > channels:
        raise OptionError(f"channel is {channel}; the image has {channels}")
    names = tuple(measurements.replace(",", " ").split())
    rois = labels_to_rois(cells)
    if not rois:
        raise OptionError(f"cells: {stem(cells)} has none, so there is nothing to measure")
    return Measure(rois, "image", names, None if channel is None else channel - 1)


@verb("Show Errors...", order=60)
def show_errors(
    true: Truth,
    predicted: Predicted,
    prob: Annotated[
        Image | None, Param("the membrane probability that they were found in; their borders if left out")
    ] = None,
    thresh: Thresh = 0.5,
    threshold: Annotated[float, Param("from this probability on it is membrane", low=0, high=1)] = 0.5,
    width: Annotated[float, Param("of the true membranes", "px", low=1, label="Membrane width")] = 3,
    region: Known = None,
    over: Over = None,
) -> list[Result]:
    """Find out where predicted cells are wrong, and why: wrong pixels, lost cells, broken membranes.

    Error map: membranes that were missed red, those that are none blue, unknown pixels grey. A point lies on each
    broken membrane, the costliest first.
    """
    from fijibridge.cells.diagnosis.overview import diagnose
    from fijibridge.cells.diagnosis.pixel_errors import error_colors
    from fijibridge.cells.diagnosis.rois import gap_points, matching_rois
    from fijibridge.files.names import stem
    from fijibridge.image import as_image

    found = diagnose(true, predicted, prob, region, thresh=thresh, threshold=threshold, width=width)
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
