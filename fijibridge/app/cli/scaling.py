"""Command ceiling: limits of downscaling."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fijibridge.app.cli.base import (
    Csv,
    Folder,
    ImagePattern,
    LabelsPattern,
    RegionPattern,
    SplitName,
    TestNames,
    Thresh,
    ValidationNames,
    chosen,
    open_dataset,
    scored,
)
from fijibridge.cells.matching import THRESH


def ceiling(
    folder: Folder,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    factors: Annotated[str, typer.Option(help="downscaling factors, separated by commas")] = "2,3,4,6,8",
    methods: Annotated[
        str,
        typer.Option(help="what the network predicts. max: membranes; mean: their share of a pixel; mode: cells"),
    ] = "max,mean,mode",
    thresh: Thresh = THRESH,
    plot: Annotated[Path | None, typer.Option(help="write a plot to this file too")] = None,
    csv: Csv = None,
) -> None:
    """Measure how far images can be downscaled: the best match a network could reach, from the true cells alone."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.reports import plots, tables

    numbers, names = _numbers(factors), [name.strip() for name in methods.split(",")]
    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    items = chosen(dataset, split, truth=True)
    truths = {item.name: item.labels() for item in items}
    regions = {item.name: item.region() for item in items}
    table = fb.ceiling(truths, numbers, methods=names, thresh=thresh, region=regions)  # type: ignore[arg-type]
    console.print(tables.table_text(table.round(4)), soft_wrap=True)
    console.print(scored(thresh, dataset))
    console.print(table.attrs["answer"], soft_wrap=True)
    if csv is not None:
        tables.save_table(table, csv)
    if plot is not None:
        plots.plot_ceiling(table, plot)


def _numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"--factors is {text!r}; expected whole numbers, such as 2,3,4") from None
