"""The command line: one verb per public function."""

from __future__ import annotations

import logging
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fijibridge.errors import DatasetError, FijiBridgeError, FijiBridgeWarning, ImageError

if TYPE_CHECKING:
    from fijibridge.cells.matching import Matching
    from fijibridge.dataset import Dataset, Item

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Joins Fiji and PyTorch: learn membranes, find cells, match and measure them.",
)


class Mode(StrEnum):
    """With ImageJ's windows, or without a display."""

    headless = "headless"
    interactive = "interactive"


class Method(StrEnum):
    """How cells are found in a membrane probability."""

    threshold = "threshold"
    watershed = "watershed"


class Split(StrEnum):
    """What images are for."""

    train = "train"
    validation = "validation"
    test = "test"


Folder = Annotated[Path, typer.Argument(help="folder of images; with a dataset.toml, or say the patterns")]
ImagePattern = Annotated[str | None, typer.Option("--image", help="images, such as '*_image.png'; * is the name")]
LabelsPattern = Annotated[
    str | None, typer.Option("--labels", help="their cells, such as '{name}_labels.tif'; * works as {name}")
]
RegionPattern = Annotated[
    str | None, typer.Option("--region", help="masks of known truth, such as '{name}_roi.png'; * works as {name}")
]
TestNames = Annotated[
    list[str] | None, typer.Option("--test", help="name of an image to keep for testing; repeat; only with --image")
]
ValidationNames = Annotated[
    list[str] | None, typer.Option("--validation", help="name of an image to watch; repeat; only with --image")
]
SplitName = Annotated[Split | None, typer.Option("--split", help="only these images")]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps; the best there is if left out")]
Seed = Annotated[int, typer.Option(help="of the first weights, patches and augmentation")]


def main() -> None:
    """Run the command line; errors and warnings of fijibridge are told in a line, others with their trace."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    warnings.simplefilter("once", FijiBridgeWarning)
    warnings.formatwarning = _in_a_line
    try:
        app()
    except FijiBridgeError as error:
        print(f"fijibridge: {error}", file=sys.stderr)
        sys.exit(2)


_with_source = warnings.formatwarning


def _in_a_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Set a warning of fijibridge without the place in the source, which says nothing to who types a command."""
    if issubclass(category, FijiBridgeWarning):
        return f"fijibridge: warning: {message}\n"
    return _with_source(message, category, filename, lineno, line)


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="print the version and end")] = False) -> None:
    if version:
        import fijibridge

        print(fijibridge.__version__)
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("demo"),
    mode: Annotated[Mode, typer.Option(help="with ImageJ's windows, or without a display")] = Mode.headless,
    epochs: Annotated[int, typer.Option(min=0, help="0 shows that it is learning that reaches the goal")] = 12,
    seed: Seed = 0,
) -> None:
    """Run the whole round trip on drawn images: ImageJ, U-Net, cells, match table, ImageJ (about 2 minutes)."""
    from fijibridge.app.demo import run_demo

    outcome = run_demo(out, mode.value, epochs=epochs, seed=seed)
    raise typer.Exit(0 if outcome.passed else 1)


@app.command()
def train(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="folder for the model and the record of the run")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="a finished run in --out may be lost")] = False,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    epochs: Annotated[int, typer.Option(min=0, help="at most; 0 leaves the network as it is")] = 30,
    batches: Annotated[int, typer.Option(min=1, help="batches in an epoch")] = 50,
    batch: Annotated[int, typer.Option(min=1, help="patches in a batch")] = 8,
    patch: Annotated[int, typer.Option(min=1, help="side of a patch in pixels")] = 128,
    width: Annotated[float, typer.Option(min=1, help="of the membranes, in pixels; the network's is --channels")] = 3,
    depth: Annotated[int, typer.Option(min=1, help="poolings of the U-Net")] = 3,
    channels: Annotated[int, typer.Option(min=1, help="of the U-Net's first level; each pooling doubles them")] = 32,
    lr: Annotated[float, typer.Option(help="largest learning rate of the one cycle, above 0, no unit")] = 3e-3,
    patience: Annotated[
        int | None, typer.Option(min=0, help="stop after so many epochs without a better loss on validation images")
    ] = None,
    device: Device = None,
    seed: Seed = 0,
) -> None:
    """Train a U-Net on the membranes of a folder's training images."""
    import torch

    import fijibridge as fb
    from fijibridge.app.console import bar, console
    from fijibridge.nn.devices import device_of
    from fijibridge.nn.planning import check_memory, patch_size

    dataset = _dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    console.print(str(dataset))
    learnt = dataset.with_truth("train")
    shape = {"in_channels": learnt[0].image().sizes.get("c", 1) if learnt else 1, "depth": depth, "width": channels}
    with torch.device("meta"):  # without memory for its weights: a network may be too large to be made
        planned = fb.UNet(**shape)
    check_memory(planned, patch_size(planned, (patch, patch)), batch, device_of(device))
    torch.manual_seed(seed)
    net = fb.UNet(**shape)
    with bar("training") as shown:
        run = fb.train(
            net, dataset, epochs=epochs, out=out, overwrite=overwrite, patch=(patch, patch), batch=batch,
            batches=batches, width=width, lr=lr, patience=patience, seed=seed, device=device, observers=[shown],
        )  # fmt: skip
    console.print(f"{run.stopped_because}\n{run.seconds:.0f} s. Model and record in {out}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="model file, or the folder of a run")],
    folder: Folder,
    out: Annotated[Path, typer.Option(help="folder for {name}_prob.tif")],
    image: ImagePattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    tile: Annotated[int, typer.Option(min=1, help="side of the tiles; changes memory, not the result")] = 512,
    device: Device = None,
) -> None:
    """Write the class probabilities of a folder's images."""
    import fijibridge as fb
    from fijibridge.app.console import bar, console
    from fijibridge.files import make_folder, write_image

    loaded = fb.Model.load(model)
    items = _items(_dataset(folder, image=image, test=test, validation=validation), split)
    make_folder(out)
    with bar("predicting") as shown:
        for number, item in enumerate(items, start=1):
            write_image(out / f"{item.name}_prob.tif", fb.predict(loaded, item.image(), tile=tile, device=device))
            shown.progress(number, len(items))
    console.print(f"{len(items)} predictions in {out}")


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
    from fijibridge.app import report
    from fijibridge.app.console import console

    dataset = _dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    items = _items(dataset, split, truth=True)
    matchings = {item.name: _matching(item, pred / f"{item.name}_cells.tif", thresh) for item in items}
    table = fb.match_table(matchings)
    console.print(report.table_text(table), soft_wrap=True)
    console.print(f"IoU at least {thresh:g}; truth: {dataset.description.provenance}")
    if csv is not None:
        report.save_table(csv, table)


@app.command()
def doctor(
    start: Annotated[bool, typer.Option(help="start the embedded ImageJ too, in a process of its own")] = True,
) -> None:
    """Look at Java, memory, Fiji, display, Maven, torch and GPU: what is wrong, and how to mend it."""
    from fijibridge.app.console import console
    from fijibridge.app.doctor import examine

    findings = examine(start)
    for finding in findings:
        console.print(f"{finding.state:<8} {finding.what}: {finding.found}")
        if finding.mend:
            console.print(f"         -> {finding.mend}")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def _dataset(
    folder: Path, *, test: list[str] | None = None, validation: list[str] | None = None, **patterns: str | None
) -> Dataset:
    """Open a folder by the patterns given, else by its description."""
    import fijibridge as fb

    given: dict[str, Any] = {k: v for k, v in patterns.items() if v is not None}
    split = {"test": test or [], "validation": validation or []}
    if "image" in given:
        return fb.Dataset.from_patterns(folder, **given, split=split)
    if given or test or validation:
        raise typer.BadParameter("--labels, --region, --test and --validation go with --image; without it dataset.toml")
    return fb.Dataset.open(folder)


def _items(dataset: Dataset, split: str | None, truth: bool = False) -> list[Item]:
    items = dataset.with_truth(split) if truth else dataset.split(split)
    if not items:
        raise typer.BadParameter(f"no image in the split {str(split)!r} of {dataset}")
    return items


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
