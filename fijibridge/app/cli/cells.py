"""Verbs of the cells: label, match."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fijibridge.app.cli.base import (
    Folder,
    ImagePattern,
    LabelsPattern,
    RegionPattern,
    SplitName,
    TestNames,
    ValidationNames,
    app,
    chosen,
    open_dataset,
)
from fijibridge.errors import DatasetError, ImageError

if TYPE_CHECKING:
    from fijibridge.cells.matching import Matching
    from fijibridge.dataset import Item


class Method(StrEnum):
    """How cells are found in a membrane probability."""

    threshold = "threshold"
    watershed = "watershed"


@app.command()
def label(
    folder: Annotated[Path, typer.Argument(help="folder with {name}_prob.tif, as predict writes it")],
    out: Annotated[Path | None, typer.Option(help="folder for {name}_cells.tif; the same if left out")] = None,
    method: Annotated[Method, typer.Option(help="threshold: connected regions; watershed: also closes gaps")] = (
        Method.watershed
    ),
    threshold: Annotated[float, typer.Option(help="from this probability on (0 to 1) it is membrane")] = 0.5,
    min_size: Annotated[int, typer.Option(min=0, help="leave out smaller regions, in pixels")] = 0,
    grow: Annotated[bool, typer.Option(help="grow the cells until a gap of 1 px is left")] = True,
) -> None:
    """Find the cells in predicted membranes."""
    import fijibridge as fb
    from fijibridge.app.console import bar, console
    from fijibridge.files import make_folder, read_image, write_image

    items = fb.Dataset.from_patterns(folder, image="*_prob.tif").items
    target = make_folder(out or folder)
    with bar("labelling") as shown:
        for number, item in enumerate(items, start=1):
            prob = read_image(item.paths["image"])
            cells = fb.label_cells(prob, method.value, threshold=threshold, min_size=min_size, grow=grow)
            write_image(target / f"{item.name}_cells.tif", cells)
            shown.progress(number, len(items))
    console.print(f"{len(items)} label images in {target}")


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
    thresh: Annotated[float, typer.Option(help="a pair with at least this IoU is a match")] = 0.5,
    csv: Annotated[Path | None, typer.Option(help="write the table here too")] = None,
) -> None:
    """Match predicted cells to the true ones: matched, GT, predicted, image."""
    import fijibridge as fb
    from fijibridge.app import tables
    from fijibridge.app.console import console

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    items = chosen(dataset, split, truth=True)
    matchings = {item.name: _matching(item, pred / f"{item.name}_cells.tif", thresh) for item in items}
    table = fb.match_table(matchings)
    console.print(tables.table_text(table), soft_wrap=True)
    console.print(f"IoU at least {thresh:g}; truth: {dataset.description.provenance}")
    if csv is not None:
        tables.save_table(csv, table)


def _matching(item: Item, pred: Path, thresh: float) -> Matching:
    """Match the cells in a file to the true ones of an image."""
    import fijibridge as fb
    from fijibridge.files import read_image
    from fijibridge.image import values

    true, known = item.labels(), item.region()
    region = None if known is None else values(known)
    try:
        return fb.match_labels(values(true), values(read_image(pred)), thresh, region=region)
    except ImageError as error:
        raise DatasetError(f"{item.paths['labels']} (true) and {pred} (pred): {error}") from error
