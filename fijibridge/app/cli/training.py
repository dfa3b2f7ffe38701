"""Verbs of the network: train, predict."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fijibridge.app.cli.base import (
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
from fijibridge.app.cli.options import takes
from fijibridge.errors import TrainingError
from fijibridge.verbs import prediction as predicting
from fijibridge.verbs import training as verbs

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset
    from fijibridge.nn.training import Run, Settings


SETTINGS = (
    "epochs", "batches", "batch", "patch", "width", "target", "lr", "sampling", "augment", "metric", "patience",
    "precision", "forecast", "seed",
)  # fmt: skip
"""Parameters of the verb that are settings: not given, they are what --config says."""


@app.command()
@takes(verbs.train, without=("folder", "out", "start", "existing"), unset=SETTINGS, after="validation")
def train(
    folder: Annotated[
        Path | None, typer.Argument(help="folder of images; with a dataset.toml, or say the patterns")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the model and the record of the run")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="a run in --out may be lost")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="go on with the run in --out, if one was broken off there")
    ] = False,
    start: Annotated[
        Path | None, typer.Option("--from", help="model or run to go on from, with these images (a warm start)")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings (fijibridge.Settings); options given here come before it")
    ] = None,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    devices: Annotated[int, typer.Option(min=1, help="so many of that kind, in a process each")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="on so many machines")] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning's name for how several devices work together")] = "auto",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="logs for TensorBoard in --out too")] = False,
    job: Annotated[Path | None, typer.Option(hidden=True)] = None,
    **options: Any,
) -> None:
    """Train a U-Net on the membranes of a folder's training images."""
    from fijibridge.app.console import bar, console
    from fijibridge.nn.training.loop import is_first_process
    from fijibridge.record import with_current_names

    if job is not None:
        import fijibridge as fb
        from fijibridge.nn.training.separate_process import train_job

        train_job(job, fb.train)
        return
    if folder is None or out is None:
        raise typer.BadParameter("give the folder of the images, and --out for the folder of the run")
    depth, channels, dims, device = (options[name] for name in ("depth", "channels", "dims", "device"))
    given = with_current_names({name: options[name] for name in SETTINGS if options[name] is not None})
    if "patch" in given:
        given["patch"] = verbs.sides("patch", given["patch"], dims)
    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    first = is_first_process()
    if first:
        console.print(str(dataset))
    settings = _settings(config, given)
    net: Any = start
    if net is None:
        net = verbs.new_unet(
            dataset, depth, channels, dims, n_classes=len(settings.classes), device=device, patch=settings.patch,
            batch=settings.batch, seed=settings.seed,
        )  # fmt: skip
    with bar("training") if first else nullcontext() as shown:
        run = _trained(
            net, dataset, out=out, overwrite=overwrite, resume="auto" if resume else False, settings=settings,
            device=device, devices=devices, nodes=nodes, strategy=strategy, tensorboard=tensorboard,
            observers=[shown] if shown is not None else [],
        )  # fmt: skip
    if not first:
        return
    console.print(f"{run.ending}\n{run.seconds:.0f} s. Model and record in {out}")
    if run.unsaved is not None:
        raise TrainingError(f"the run could not be written: {run.unsaved}")


def _trained(net: Any, dataset: Dataset, **arguments: Any) -> Run:
    import fijibridge as fb

    return fb.train(net, dataset, **arguments)


def _settings(config: Path | None, given: dict[str, Any]) -> Settings:
    import fijibridge as fb

    if config is None:
        return fb.Settings.of(**({"epochs": 30} | given))
    return fb.Settings.of(fb.Settings.read(config), **given)


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
