"""Parts that commands share: the app, common options, a function that opens a folder."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fijibridge.app.cli.options import option_of
from fijibridge.verbs import segmentation, training

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset, Item

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Connects Fiji and PyTorch: train networks on membranes, find, match and measure cells.",
)


class Split(StrEnum):
    """Use of an image."""

    train = "train"
    validation = "validation"
    test = "test"


Folder = Annotated[Path, typer.Argument(help="folder of images with a dataset.toml; or give --image and --labels")]
ImagePattern = Annotated[str | None, typer.Option("--image", help="images, such as '*_image.png'; * is the name")]
LabelsPattern = Annotated[
    str | None, typer.Option("--labels", help="their cells, such as '{name}_labels.tif'; * stands for {name}")
]
RegionPattern = Annotated[
    str | None, typer.Option("--region", help="masks of known truth, such as '{name}_roi.png'; * stands for {name}")
]
TestNames = Annotated[
    list[str] | None, typer.Option("--test", help="name of a test image; repeat for more; needs --image")
]
ValidationNames = Annotated[
    list[str] | None, typer.Option("--validation", help="name of a validation image; repeat for more; needs --image")
]
Thresh = Annotated[float, option_of(segmentation.match_labels, "thresh")]
LeastSize = Annotated[int, option_of(segmentation.match_labels, "min_size")]
Csv = Annotated[Path | None, typer.Option(help="write the table to this file too")]
SplitName = Annotated[Split | None, typer.Option("--split", help="use only the images of this split")]
Device = Annotated[str | None, option_of(training.train, "device")]
Seed = Annotated[int, option_of(training.train, "seed")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="print the version and exit")] = False) -> None:
    if version:
        import fijibridge

        print(fijibridge.__version__)
        raise typer.Exit


def open_dataset(
    folder: Path, *, test: list[str] | None = None, validation: list[str] | None = None, **patterns: str | None
) -> Dataset:
    """Open a folder of images by file name patterns, if any are given, or else by its ``dataset.toml``."""
    import fijibridge as fb

    given: dict[str, Any] = {k: v for k, v in patterns.items() if v is not None}
    split = {"test": test or [], "validation": validation or []}
    if "image" in given:
        return fb.Dataset.from_patterns(folder, **given, split=split)
    if given or test or validation:
        raise typer.BadParameter(
            "--labels, --region, --test and --validation need --image; without --image, dataset.toml is read"
        )
    return fb.Dataset.open(folder)


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Read numbers separated by commas."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(
            f"{option} is {text!r}; expected numbers separated by commas, such as 0.3,0.5"
        ) from error


def scored(thresh: float, dataset: Dataset) -> str:
    """Return a text on what a score is based on: the smallest IoU of a match, and the provenance of the truth."""
    return f"IoU at least {thresh:g}; truth: {dataset.provenance}"


def chosen(dataset: Dataset, split: str | None, truth: bool = False) -> list[Item]:
    """Return the images of a split; with `truth`, only images with labels.

    Raises
    ------
    typer.BadParameter
        If there are no such images.
    """
    items = dataset.with_truth(split) if truth else dataset.split(split)
    if not items:
        raise typer.BadParameter(f"there is no image in the split {str(split)!r} of {dataset}; expected at least one")
    return items
