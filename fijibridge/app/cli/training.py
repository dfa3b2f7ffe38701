"""Commands for training: plan, train."""

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
    open_dataset,
)
from fijibridge.app.cli.options import takes
from fijibridge.errors import TrainingError
from fijibridge.renames import rename_attributes
from fijibridge.verbs import training as verbs

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset
    from fijibridge.nn.training import Run, Settings


@takes(verbs.plan, without=("folder",), after="validation")
def plan(
    folder: Folder,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the plan as JSON")] = False,
    **options: Any,
) -> None:
    """Estimate patches, coverage, memory and time of training on a folder, without training."""
    import fijibridge as fb
    from fijibridge.app.console import console

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    made = fb.plan(**verbs.planned(dataset, **options))
    if as_json:
        print(json.dumps(made.to_dict(), indent=2))
        return
    console.print(f"{dataset}\n{made}", highlight=False, soft_wrap=True)


@takes(verbs.train, without=("folder", "out", "start", "existing"), unset=verbs.SETTING_NAMES, after="validation")
def train(
    folder: Annotated[
        Path | None, typer.Argument(help="folder of images with a dataset.toml; or give --image and --labels")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="folder for the model and the record of the run")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace a run in --out")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="continue an interrupted run in --out, if there is one")
    ] = False,
    start: Annotated[
        Path | None, typer.Option("--from", help="model or run to train further on these images (a warm start)")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="TOML file of settings (fijibridge.Settings); options override it")
    ] = None,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    devices: Annotated[int, typer.Option(min=1, help="number of devices of that kind, one process each")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="number of machines")] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning's strategy for several devices")] = "auto",
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="also write logs for TensorBoard to --out")
    ] = False,
    job: Annotated[Path | None, typer.Option(hidden=True)] = None,
    **options: Any,
) -> None:
    """Train a U-Net on the membranes of a folder's training images."""
    if job is not None:
        import fijibridge as fb
        from fijibridge.nn.training.separate_process import train_job

        train_job(job, fb.train)
        return
    if folder is None or out is None:
        raise typer.BadParameter("give the folder of the images, and --out for the folder of the run")
    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    shape = {name: options[name] for name in ("depth", "channels", "dims", "device")}
    settings = _settings(config, options)
    net = start or verbs.unet_for(dataset, settings, **shape)
    _train(
        net, dataset, out=out, overwrite=overwrite, resume="auto" if resume else False, settings=settings,
        device=options["device"], devices=devices, nodes=nodes, strategy=strategy, tensorboard=tensorboard,
    )  # fmt: skip


def _settings(config: Path | None, options: dict[str, Any]) -> Settings:
    """Read the settings in a file, and override them with the options that were given."""
    import fijibridge as fb

    base = None if config is None else fb.Settings.read(config)
    return verbs.settings_of({name: options[name] for name in verbs.SETTING_NAMES}, options["dims"], base)


def _train(net: Any, dataset: Dataset, **arguments: Any) -> None:
    """Train with a progress bar; if there are several processes, only the first prints."""
    import fijibridge as fb
    from fijibridge.app.console import bar, console
    from fijibridge.nn.training.loop import is_first_process

    first = is_first_process()
    if first:
        console.print(str(dataset))
    with bar("training") if first else nullcontext() as shown:
        run: Run = fb.train(net, dataset, observers=[shown] if shown is not None else [], **arguments)
    if not first:
        return
    console.print(f"{run.ending}\n{run.seconds:.0f} s. Model and record in {arguments['out']}")
    if run.unsaved is not None:
        raise TrainingError(f"the run cannot be written: {run.unsaved}")


rename_attributes(__name__, {"predict": "app.cli.prediction:predict"})
