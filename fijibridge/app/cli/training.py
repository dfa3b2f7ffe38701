"""Verbs of training: plan, train."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fijibridge.app.cli.base import (
    Folder,
    ImagePattern,
    LabelsPattern,
    RegionPattern,
    TestNames,
    ValidationNames,
    app,
    open_dataset,
)
from fijibridge.app.cli.options import takes
from fijibridge.errors import TrainingError
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
@takes(verbs.plan, without=("folder",), after="validation")
def plan(
    folder: Folder,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
    **options: Any,
) -> None:
    """Say what a training on a folder will do and take: patches, coverage, memory, time. Nothing is trained."""
    import fijibridge as fb
    from fijibridge.app.console import console

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    made = fb.plan(**verbs.planned(dataset, **options))
    if as_json:
        print(json.dumps(made.to_dict(), indent=2))
        return
    console.print(f"{dataset}\n{made}", highlight=False, soft_wrap=True)


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
        from fijibridge.nn.training.separate_process import train_job

        train_job(job)
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
