"""Verb of prediction: predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fijibridge.app.cli.base import ImagePattern, SplitName, TestNames, ValidationNames, app, chosen, open_dataset
from fijibridge.app.cli.options import takes
from fijibridge.verbs import prediction as predicting


@app.command()
@takes(predicting.predict_folder, without=("input", "model", "output", "existing"), after="split")
def predict(
    model: Annotated[Path, typer.Argument(help="model file, or the folder of a run")],
    inputs: Annotated[list[Path], typer.Argument(help="image files, folders of them, or with a dataset.toml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for {name}_prob.tif")],
    image: ImagePattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    zarr: Annotated[
        bool, typer.Option("--zarr", help="{name}_prob.ome.zarr, part by part: for images larger than memory")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="leave out images whose result is there")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="results that are there may be lost")] = False,
    **options: Any,
) -> None:
    """Write the class probabilities of images."""
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
    """Return what is to be predicted: of folders that are chosen from, the items."""
    if image is None and split is None and not test and not validation:
        return list(inputs)
    folders = [open_dataset(place, image=image, test=test, validation=validation) for place in inputs]
    return [item for folder in folders for item in chosen(folder, split)]
