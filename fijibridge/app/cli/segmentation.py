"""Verbs of the cells: label, tune, match."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fijibridge.app.cli.base import (
    Csv,
    Folder,
    ImagePattern,
    LabelsPattern,
    LeastSize,
    RegionPattern,
    Split,
    SplitName,
    TestNames,
    Thresh,
    ValidationNames,
    app,
    chosen,
    numbers,
    open_dataset,
    scored,
)
from fijibridge.app.cli.options import takes
from fijibridge.errors import DatasetError, ImageError
from fijibridge.verbs import segmentation as verbs

if TYPE_CHECKING:
    from fijibridge.cells.matching.matches import Matching
    from fijibridge.dataset import Item


class Metric(StrEnum):
    """What a tuning makes as large as possible."""

    f1 = "f1"
    pq = "pq"
    precision = "precision"
    recall = "recall"


Predictions = Annotated[Path, typer.Argument(help="folder with {name}_prob.tif, as predict writes it")]
Values = typer.Option(help="values to try, such as 0.3,0.5,0.7")


@app.command()
@takes(verbs.label_cells, without=("image", "model", "outlines", "manager", "device"))
def label(
    folder: Predictions,
    out: Annotated[Path | None, typer.Option(help="folder for {name}_cells.tif; the same if left out")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="label images that are there may be lost")] = False,
    **options: Any,
) -> None:
    """Find the cells in predicted membranes."""
    import fijibridge as fb
    from fijibridge.app.console import bar, console
    from fijibridge.files import make_folder, read_image, write_image

    options = verbs.labelling_options(**options)
    items = fb.Dataset.from_patterns(folder, image="*_prob.tif").items
    target = make_folder(out or folder)
    files = [target / f"{item.name}_cells.tif" for item in items]
    there = [file for file in files if file.exists()]
    if there and not overwrite:
        raise DatasetError(
            f"{len(there)} label images are in {target} already, such as {there[0].name}: --overwrite replaces them, "
            "--out writes into another folder"
        )
    with bar("labelling") as shown:
        for number, (item, file) in enumerate(zip(items, files, strict=True), start=1):
            write_image(fb.label_cells(read_image(item.paths["image"]), **options), file)
            shown.progress(number, len(items))
    console.print(f"{len(items)} label images in {target}")


@app.command()
@takes(verbs.label_cells, only=("method",), after="split")
def tune(
    pred: Predictions,
    folder: Folder,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = Split.validation,
    threshold: Annotated[str | None, Values] = None,
    sigma: Annotated[str | None, Values] = None,
    h: Annotated[str | None, typer.Option("--h", help="values to try")] = None,
    beta: Annotated[str | None, Values] = None,
    min_size: Annotated[str | None, Values] = None,
    max_size: Annotated[str | None, Values] = None,
    grow_by: Annotated[str | None, Values] = None,
    metric: Annotated[Metric, typer.Option(help="what to make as large as possible")] = Metric.f1,
    thresh: Thresh = 0.5,
    csv: Annotated[Path | None, typer.Option(help="write the whole table here")] = None,
    plot: Annotated[Path | None, typer.Option(help="write a picture here")] = None,
    **options: Any,
) -> None:
    """Choose the parameters of label on images with known cells (the split validation, unless you say another)."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.files import read_image
    from fijibridge.image import values
    from fijibridge.reports import plots, tables

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    items = chosen(dataset, split, truth=True)
    given = {"threshold": threshold, "sigma": sigma, "h": h, "beta": beta, "min_size": min_size, "max_size": max_size,
             "grow": grow_by}  # fmt: skip
    tuning = fb.tune_segmentation(
        {item.name: read_image(pred / f"{item.name}_prob.tif") for item in items},
        {item.name: values(item.labels()) for item in items},
        options["method"],
        _grid(given),
        metric=metric.value,
        thresh=thresh,
        regions={item.name: None if (known := item.region()) is None else values(known) for item in items},
    )
    top = tuning.table.sort_values(metric.value, ascending=False, kind="stable").head(10)
    console.print(tables.table_text(top), soft_wrap=True)
    console.print(tuning.flatness, soft_wrap=True)
    console.print(f"fijibridge label {shlex.quote(str(pred))} {_as_options(tuning.best)}", soft_wrap=True)
    console.print(f"{len(items)} images; {scored(thresh, dataset)}")
    if csv is not None:
        tables.save_table(csv, tuning.table)
    if plot is not None:
        plots.plot_tuning(tuning, plot)


def _grid(given: dict[str, str | None]) -> dict[str, tuple[float, ...]] | None:
    """Read the values to try, None if there are none at all."""
    grid = {}
    for name, text in given.items():
        if text is not None:
            grid[name] = numbers(name, text)
    return grid or None


def _as_options(best: dict[str, Any]) -> str:
    """Return parameters as the options of label."""
    names = {"grow": "grow-by", "min_size": "min-size", "max_size": "max-size"}
    return " ".join(
        f"--{names.get(name, name)}={float(value)!r}" if name != "method" else f"--method={value}"
        for name, value in best.items()
    )


@app.command()
def match(
    folder: Folder,
    pred: Annotated[Path, typer.Option(help="folder with {name}_cells.tif, as label writes it")],
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    thresh: Thresh = 0.5,
    min_size: LeastSize = 0,
    csv: Csv = None,
) -> None:
    """Match predicted cells to the true ones: matched, GT, predicted, image."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.reports import tables

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    items = chosen(dataset, split, truth=True)
    matchings = {item.name: _matching(item, pred / f"{item.name}_cells.tif", thresh, min_size) for item in items}
    table = fb.match_table(matchings)
    console.print(tables.table_text(table), soft_wrap=True)
    console.print(scored(thresh, dataset))
    if csv is not None:
        tables.save_table(csv, table)


def _matching(item: Item, pred: Path, thresh: float, min_size: int) -> Matching:
    """Match the cells in a file to the true ones of an image."""
    import fijibridge as fb
    from fijibridge.files import read_image
    from fijibridge.image import values

    true, known = item.labels(), item.region()
    region = None if known is None else values(known)
    try:
        return fb.match_labels(values(true), values(read_image(pred)), thresh=thresh, region=region, min_size=min_size)
    except ImageError as error:
        raise DatasetError(f"{item.paths['labels']} (true) and {pred} (pred): {error}") from error
