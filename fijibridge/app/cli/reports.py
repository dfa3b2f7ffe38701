"""Commands that evaluate: report, compare."""

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
    chosen,
    open_dataset,
)
from fijibridge.app.cli.options import takes
from fijibridge.cells.matching import THRESH
from fijibridge.errors import DatasetError
from fijibridge.verbs import segmentation as verbs

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset, Item
    from fijibridge.reports.segmentation import Case

Label = Annotated[
    str | None,
    typer.Option(help="options of label for the predictions of runs, such as 'threshold=0.4 min_size=50'"),
]


@takes(verbs.show_errors, only=("thresh", "membrane_threshold", "membrane_width"), after="split")
def report(
    folder: Annotated[Path, typer.Argument(help="folder of a run; with --pred, folder of images")],
    pred: Annotated[
        Path | None,
        typer.Option(help="with images: folder of {name}_cells.tif, written by label, and {name}_prob.tif if any"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="with a run: folder of images to evaluate it on; the training folder if left out"),
    ] = None,
    out: Annotated[Path, typer.Option(help="HTML file, which embeds its pictures")] = Path("report.html"),
    png: Annotated[Path | None, typer.Option(help="write pictures of the outcomes to this file too")] = None,
    csv: Csv = None,
    before: Annotated[Path | None, typer.Option(help="older match table (CSV) to show beside the new one")] = None,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    label: Label = None,
    device: Device = None,
    **options: Any,
) -> None:
    """Report on a run: curves, ending, matched cells, settings; or on predictions: which cells are lost, and why."""
    from fijibridge.record import is_run

    patterns: dict[str, Any] = {
        "image": image, "labels": labels, "region": region, "test": test, "validation": validation,
    }  # fmt: skip
    if pred is not None:
        if label is not None:
            raise typer.BadParameter(
                "--label sets how cells are found in predictions of a run, but --pred already contains cells: leave "
                "out --label"
            )
        dataset = open_dataset(folder, **patterns)
        _report_predictions(dataset, pred, split, out=out, png=png, csv=csv, before=before, **options)
        return
    if not is_run(folder):
        raise typer.BadParameter(
            f"{folder} is not the folder of a run (it contains no run.json); for images, add --pred, the folder of the "
            "predicted cells"
        )
    opened = None if data is None else open_dataset(data, **patterns)
    thresh = options["thresh"]
    _report_run(folder, out, csv, data=opened, split=split, thresh=thresh, label=_labelling(label), device=device)


def _report_predictions(
    dataset: Dataset, pred: Path, split: str | None, *, out: Path, png: Path | None, csv: Path | None,
    before: Path | None, **options: Any,
) -> None:  # fmt: skip
    from fijibridge.app.console import bar, console
    from fijibridge.reports import tables
    from fijibridge.reports.segmentation import write_report

    items = chosen(dataset, split, truth=True)
    _refuse_missing(items, pred)

    def cases() -> Iterator[Case]:
        with bar("diagnosing") as shown:
            for number, item in enumerate(items, start=1):
                yield _case(item, pred)
                shown.progress(number, len(items))

    older = None if before is None else tables.read_table(before)
    title = f"Cells of {dataset.folder.resolve().name}"
    table = write_report(out, cases(), title=title, before=older, png=png, **options)
    console.print(tables.table_text(table), soft_wrap=True)
    console.print(f"report in {out}; truth: {dataset.provenance}")
    if csv is not None:
        tables.save_table(table, csv)


def _refuse_missing(items: list[Item], pred: Path) -> None:
    missing = [item.name for item in items if not (pred / f"{item.name}_cells.tif").is_file()]
    if missing:
        raise DatasetError(
            f"{pred} has no predicted cells of {missing[0]}; expected {missing[0]}_cells.tif: run fijibridge label"
        )


def _report_run(run: Path, out: Path, csv: Path | None, **options: Any) -> None:
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.reports import tables

    table = fb.report_run(run, out, **options)
    console.print(fb.read_record(run).summary(), soft_wrap=True)
    if len(table):
        console.print(tables.table_text(table), soft_wrap=True)
    console.print(f"report in {out}")
    if csv is not None and len(table):
        tables.save_table(table, csv)


def _labelling(text: str | None) -> dict[str, Any] | None:
    return None if text is None else verbs.labelling_of(text)


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
        pred=found if unit(found) != PIXEL else values(found),  # an uncalibrated file fits images of any pixel size
        prob=read_image(prob) if prob.is_file() else None,
        region=None if region is None else values(region),
        provenance=item.provenance,
        note=item.description.provenance_note or "",
    )


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="folders of runs, the oldest first; or two predictions, files or folders")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="folder for comparison.html, tables and difference images")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="folder of images to evaluate the runs on; their training folder if left out")
    ] = None,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    thresh: Thresh = THRESH,
    label: Label = None,
    device: Device = None,
) -> None:
    """Compare runs: settings, curves, endings, cells found in the same images; or compare two predictions."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.record import is_run

    patterns: dict[str, Any] = {
        "image": image, "labels": labels, "region": region, "test": test, "validation": validation,
    }  # fmt: skip
    if data is None and any(patterns.values()):
        raise typer.BadParameter("--image and the other patterns select files in --data: add --data")
    if not any(is_run(path) for path in runs):
        _compare_predictions(runs, out, thresh)
        return
    dataset = None if data is None else open_dataset(data, **patterns)
    found = fb.compare_runs(
        *runs, data=dataset, split=split, out=out, thresh=thresh, label=_labelling(label), device=device
    )
    console.print(str(found), soft_wrap=True)
    if out is not None:
        console.print(f"comparison in {out / 'comparison.html'}")


def _compare_predictions(paths: list[Path], out: Path | None, thresh: float) -> None:
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.files import make_folder
    from fijibridge.reports.tables import save_table

    if len(paths) != 2:
        raise typer.BadParameter(
            f"got {len(paths)} path(s), none of them the folder of a run; expected runs, or two predictions"
        )
    table = fb.compare_predictions(*paths, thresh=thresh)
    console.print(table.to_string(index=False), soft_wrap=True)
    if out is not None:
        save_table(table, make_folder(out) / "differences.csv")
