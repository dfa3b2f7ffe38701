"""Command predict: class probabilities of images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fijibridge.app.cli.base import ImagePattern, SplitName, TestNames, ValidationNames, chosen, open_dataset
from fijibridge.app.cli.options import takes
from fijibridge.verbs import prediction as verbs


@takes(verbs.predict_folder, without=("input", "model", "output", "existing"), after="split")
def predict(
    model: Annotated[Path, typer.Argument(help="model file, or the folder of a run")],
    inputs: Annotated[list[Path], typer.Argument(help="image files, folders of images, or folders with dataset.toml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for {name}_prob.tif")],
    image: ImagePattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    zarr: Annotated[
        bool,
        typer.Option("--zarr", help="write {name}_prob.ome.zarr, part by part, for images larger than memory"),
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="skip images that already have a result")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace existing results")] = False,
    **options: Any,
) -> None:
    """Predict the class probabilities of images, one file per image."""
    import fijibridge as fb
    from fijibridge.app.console import bar, console

    loaded = fb.Model.load(model)
    with bar("predicting") as shown:
        written = fb.predict_files(
            loaded, _inputs(inputs, image, test, validation, split), out, zarr=zarr, resume=resume, overwrite=overwrite,
            progress=shown.progress, **options,
        )  # fmt: skip
    console.print(f"{len(written)} predictions in {out}")


def _inputs(
    inputs: list[Path], image: str | None, test: list[str] | None, validation: list[str] | None, split: str | None
) -> list[Any]:
    """Return the paths, or the chosen images of these folders."""
    if image is None and split is None and not test and not validation:
        return list(inputs)
    folders = [open_dataset(place, image=image, test=test, validation=validation) for place in inputs]
    return [item for folder in folders for item in chosen(folder, split)]
