"""Verbs that look back: report, compare."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fijibridge.app.cli.base import (
    Csv,
    Device,
    ImagePattern,
    LabelsPattern,
    RegionPattern,
    SplitName,
    TestNames,
    Thresh,
    ValidationNames,
    app,
    chosen,
    open_dataset,
)
from fijibridge.errors import DatasetError

if TYPE_CHECKING:
    from fijibridge.dataset import Item
    from fijibridge.reports.segmentation import Case

Label = Annotated[
    str | None,
    typer.Option(help="how cells are labelled in what runs predict, as options of label: 'threshold=0.4 min_size=50'"),
]


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="folder of a run; or of images, with --pred")],
    pred: Annotated[
        Path | None,
        typer.Option(
            help="of images: folder with {name}_cells.tif, as label writes it, and, if there, {name}_prob.tif"
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="of a run: folder of images to try it on; that which it learnt if left out")
    ] = None,
    out: Annotated[Path, typer.Option(help="the HTML file, which holds all that it shows")] = Path("report.html"),
    png: Annotated[Path | None, typer.Option(help="write the pictures of the outcomes here too")] = None,
    csv: Csv = None,
    before: Annotated[Path | None, typer.Option(help="an older match table (CSV) to set beside this one")] = None,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    thresh: Thresh = 0.5,
    threshold: Annotated[
        float, typer.Option(help="from this probability on (0 to 1) a pixel is membrane: that given to label")
    ] = 0.5,
    width: Annotated[float, typer.Option(min=1, help="of the true membranes, in pixels")] = 3,
    label: Label = None,
    device: Device = None,
) -> None:
    """Write a report, of a run: curves, ending, cells found, settings; of predictions: where and why cells are lost."""
    from fijibridge.app.console import bar, console
    from fijibridge.record import is_run
    from fijibridge.reports import tables
    from fijibridge.reports.segmentation import write_report

    if pred is None:
        if not is_run(folder):
            raise typer.BadParameter(
                f"{folder} is no folder of a run (it holds no run.json); of images, say --pred, the folder of the "
                "predicted cells"
            )
        patterns = {"image": image, "labels": labels, "region": region, "test": test, "validation": validation}
        _report_run(
            folder, out, csv, data, patterns, split=split, thresh=thresh, label=_labelling(label), device=device
        )
        return
    if label is not None:
        raise typer.BadParameter("--label is for what a run predicts; of --pred the cells are those that lie there")
    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    items = chosen(dataset, split, truth=True)
    lost = [item.name for item in items if not (pred / f"{item.name}_cells.tif").is_file()]
    if lost:
        raise DatasetError(
            f"no predicted cells of {lost[0]} in {pred}: expected {lost[0]}_cells.tif (fijibridge label)"
        )
    older = None if before is None else tables.read_table(before)

    def cases() -> Iterator[Case]:
        with bar("looking at") as shown:
            for number, item in enumerate(items, start=1):
                yield _case(item, pred)
                shown.progress(number, len(items))

    title = f"Cells of {dataset.folder.resolve().name}"
    table = write_report(
        out, cases(), thresh=thresh, threshold=threshold, width=width, title=title, before=older, png=png
    )
    console.print(tables.table_text(table), soft_wrap=True)
    console.print(f"report in {out}; truth: {dataset.provenance}")
    if csv is not None:
        tables.save_table(csv, table)


def _report_run(
    run: Path, out: Path, csv: Path | None, data: Path | None, patterns: dict[str, Any], **options: Any
) -> None:
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.reports import tables

    dataset = None if data is None else open_dataset(data, **patterns)
    table = fb.report_run(run, out, data=dataset, **options)
    console.print(fb.read_record(run).summary(), soft_wrap=True)
    if len(table):
        console.print(tables.table_text(table), soft_wrap=True)
    console.print(f"report in {out}")
    if csv is not None and len(table):
        tables.save_table(csv, table)


def _labelling(text: str | None) -> dict[str, Any] | None:
    from fijibridge.verbs.segmentation import labelling_of

    return None if text is None else labelling_of(text)


def _case(item: Item, pred: Path) -> Case:
    from fijibridge.files import read_image
    from fijibridge.image import PIXEL, unit, values
    from fijibridge.reports.segmentation import Case

    found = read_image(pred / f"{item.name}_cells.tif")
    prob, region = pred / f"{item.name}_prob.tif", item.region()
    return Case(
        name=item.name,
        image=item.image(),
        true=item.labels(),
        pred=found if unit(found) != PIXEL else values(found),  # a file without a pixel size has none to compare
        prob=read_image(prob) if prob.is_file() else None,
        region=None if region is None else values(region),
        provenance=item.provenance,
        note=item.description.provenance_note or "",
    )


@app.command()
def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="folders of runs, the oldest first; or two predictions, files or folders")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder for comparison.html, tables and difference images")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="folder of images to try the runs on; that which they learnt if left out")
    ] = None,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    thresh: Thresh = 0.5,
    label: Label = None,
    device: Device = None,
) -> None:
    """Set runs side by side: settings, curves, endings, cells found in the same images; or two predictions."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.files import make_folder
    from fijibridge.record import is_run
    from fijibridge.reports.tables import save_table

    given: dict[str, Any] = {
        "image": image, "labels": labels, "region": region, "test": test, "validation": validation,
    }  # fmt: skip
    if data is None and any(given.values()):
        raise typer.BadParameter("--image and the other patterns say which files in --data are meant: name that folder")
    if not any(is_run(path) for path in runs):
        if len(runs) != 2:
            raise typer.BadParameter(f"got {len(runs)} path(s), none a run's folder; expected runs, or two predictions")
        table = fb.compare_predictions(*runs, thresh=thresh)
        console.print(table.to_string(index=False), soft_wrap=True)
        if out is not None:
            save_table(make_folder(out) / "differences.csv", table)
        return
    dataset = None if data is None else open_dataset(data, **given)
    found = fb.compare_runs(
        *runs, data=dataset, split=split, out=out, thresh=thresh, label=_labelling(label), device=device
    )
    console.print(str(found), soft_wrap=True)
    if out is not None:
        console.print(f"comparison in {out / 'comparison.html'}")
