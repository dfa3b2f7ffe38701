"""Commands for cells: label, tune, match."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
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
    chosen,
    numbers,
    open_dataset,
    scored,
)
from fijibridge.app.cli.options import adds, takes
from fijibridge.cells.matching import THRESH
from fijibridge.errors import DatasetError, ImageError
from fijibridge.messages import naming
from fijibridge.verbs import segmentation as verbs
from fijibridge.verbs import verb_named
from fijibridge.verbs.parameters import Kind, Parameter

if TYPE_CHECKING:
    from fijibridge.cells.matching.matches import Matching
    from fijibridge.dataset import Item


class Metric(StrEnum):
    """Score that a tuning maximises."""

    f1 = "f1"
    pq = "pq"
    precision = "precision"
    recall = "recall"


Predictions = Annotated[Path, typer.Argument(help="folder with {name}_prob.tif, written by predict")]


@takes(verbs.label_cells, without=("image", "model", "outlines", "manager", "device"))
def label(
    folder: Predictions,
    out: Annotated[Path | None, typer.Option(help="folder for {name}_cells.tif; the same folder if left out")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace existing label images")] = False,
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
    if not overwrite:
        _refuse_existing(target, files)
    with bar("labelling") as shown:
        for number, (item, file) in enumerate(zip(items, files, strict=True), start=1):
            write_image(image=fb.label_cells(read_image(item.paths["image"]), **options), path=file)
            shown.progress(number, len(items))
    console.print(f"{len(items)} label images in {target}")


def _refuse_existing(target: Path, files: Sequence[Path]) -> None:
    there = [file for file in files if file.exists()]
    if there:
        raise DatasetError(
            f"{target} already has {len(there)} of the label images, such as {there[0].name}: add --overwrite to "
            "replace them, or --out to write to another folder"
        )


def _tuned() -> list[Parameter]:
    """Return an option for each numeric parameter of Label Cells; its value is a text with the values to try."""
    return [
        replace(p, kind=Kind.text, default=None, optional=True, help=f"values to try, such as 0.3,0.5: {p.help}",
                low=None, high=None)
        for p in verb_named("label_cells").parameters if p.kind is Kind.number
    ]  # fmt: skip


@adds(_tuned(), after="split")
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
    metric: Annotated[Metric, typer.Option(help="score to maximise")] = Metric.f1,
    thresh: Thresh = THRESH,
    csv: Annotated[Path | None, typer.Option(help="write the whole table to this file")] = None,
    plot: Annotated[Path | None, typer.Option(help="write a plot to this file")] = None,
    **options: Any,
) -> None:
    """Choose the parameters of label on images with known cells, the validation images if --split is left out."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.files import read_image
    from fijibridge.image import values
    from fijibridge.reports import plots, tables

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    items = chosen(dataset, split, truth=True)
    method = options.pop("method")
    tuning = fb.tune_segmentation(
        {item.name: read_image(pred / f"{item.name}_prob.tif") for item in items},
        {item.name: values(item.labels()) for item in items},
        method=method,
        parameters=_grid(options),
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
        tables.save_table(tuning.table, csv)
    if plot is not None:
        plots.plot_tuning(tuning, plot)


_GROW = {"grow_by": "grow"}
"""Options of label that have another name in :func:`fijibridge.label_cells`."""


def _grid(given: dict[str, str | None]) -> dict[str, tuple[float, ...]] | None:
    """Read the values to try for each parameter; None if no values are given."""
    return {_GROW.get(name, name): numbers(name, text) for name, text in given.items() if text is not None} or None


def _as_options(best: dict[str, Any]) -> str:
    """Write arguments of :func:`fijibridge.label_cells` as options of the command label."""
    names = {new: old for old, new in _GROW.items()}
    return " ".join(
        f"--{names.get(name, name).replace('_', '-')}={value if name == 'method' else repr(float(value))}"
        for name, value in best.items()
    )


def match(
    folder: Folder,
    pred: Annotated[Path, typer.Option(help="folder with {name}_cells.tif, written by label")],
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    thresh: Thresh = THRESH,
    min_size: LeastSize = 0,
    csv: Csv = None,
) -> None:
    """Match predicted cells to true ones: matched, GT, predicted, image."""
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
        tables.save_table(table, csv)


def _matching(item: Item, pred: Path, thresh: float, min_size: int) -> Matching:
    """Match the cells in a file to the true cells of an image."""
    import fijibridge as fb
    from fijibridge.files import read_image
    from fijibridge.image import values

    true, known = item.labels(), item.region()
    region = None if known is None else values(known)
    with naming(f"{item.paths['labels']} (true) and {pred} (pred)", ImageError, DatasetError):
        return fb.match_labels(values(true), values(read_image(pred)), thresh=thresh, region=region, min_size=min_size)
