"""Verbs of the network: train, predict."""

from __future__ import annotations

from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fijibridge.app.cli.base import (
    Device,
    ImagePattern,
    LabelsPattern,
    RegionPattern,
    SplitName,
    TestNames,
    ValidationNames,
    app,
    chosen,
    numbers,
    open_dataset,
)
from fijibridge.errors import TrainingError

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset
    from fijibridge.nn.training import Run, Settings
    from fijibridge.nn.unet import UNet


@app.command()
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
    epochs: Annotated[int | None, typer.Option(min=0, help="at most, 30; 0 leaves the network as it is")] = None,
    batches: Annotated[int | None, typer.Option(min=1, help="batches in an epoch, 50")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="patches in a batch, of all devices together, 8")] = None,
    patch: Annotated[
        str | None, typer.Option(help="side of a patch in pixels, 128, or sides such as 16,128,128")
    ] = None,
    width: Annotated[
        float | None, typer.Option(min=1, help="of the membranes, in pixels, 3; the network's is --channels")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="what is learnt: classes (pixel labels), labels (membranes between cells), auto")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="poolings of the U-Net")] = 3,
    channels: Annotated[int, typer.Option(min=1, help="of the U-Net's first level; each pooling doubles them")] = 32,
    dims: Annotated[int, typer.Option(min=2, max=3, help="2 for planes, 3 for volumes")] = 2,
    lr: Annotated[float | None, typer.Option(help="largest learning rate, 0.003, no unit")] = None,
    sampling: Annotated[
        str | None, typer.Option(help="where patches lie: positions, images, membranes, grid ...")
    ] = None,
    augment: Annotated[
        bool | None, typer.Option("--augment/--no-augment", help="transform patches at random; done if left out")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="what says which epoch is best: val_loss, or val_f1 of cells")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=0, help="stop after so many epochs without a better metric on validation images")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="32, bf16, 16 or auto")] = None,
    forecast: Annotated[
        bool | None, typer.Option("--forecast/--no-forecast", help="say before what it will take, from a short trial")
    ] = None,
    device: Device = None,
    devices: Annotated[int, typer.Option(min=1, help="so many of that kind, in a process each")] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="on so many machines")] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning's name for how several devices work together")] = "auto",
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="logs for TensorBoard in --out too")] = False,
    seed: Annotated[int | None, typer.Option(help="of the first weights, patches and augmentation, 0")] = None,
    job: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Train a U-Net on the membranes of a folder's training images."""
    from fijibridge.app.console import bar, console
    from fijibridge.nn.training.fitting import is_first_process

    if job is not None:
        from fijibridge.nn.training.processes import train_job

        train_job(job)
        return
    if folder is None or out is None:
        raise typer.BadParameter("give the folder of the images, and --out for the folder of the run")
    given = {
        "epochs": epochs, "batches": batches, "batch": batch, "target": target, "width": width, "lr": lr,
        "sampling": sampling, "augment": augment, "metric": metric, "patience": patience, "precision": precision,
        "forecast": forecast, "seed": seed, "patch": _sides(patch, dims),
    }  # fmt: skip
    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    first = is_first_process()
    if first:
        console.print(str(dataset))
    settings = _settings(config, {name: value for name, value in given.items() if value is not None})
    net: Any = start if start is not None else _unet(dataset, depth, channels, dims, settings, device)
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


def _sides(patch: str | None, dims: int) -> tuple[int, ...] | None:
    if patch is None:
        return None
    sides = tuple(int(side) for side in numbers("--patch", patch))
    if len(sides) == 1:
        return sides * 2 if dims == 2 else (min(16, *sides), *sides * 2)
    return sides


def _settings(config: Path | None, given: dict[str, Any]) -> Settings:
    import fijibridge as fb

    if config is None:
        return fb.Settings.of(**({"epochs": 30} | given))
    return fb.Settings.of(fb.Settings.read(config), **given)


def _unet(dataset: Dataset, depth: int, channels: int, dims: int, settings: Settings, device: str | None) -> UNet:
    import torch

    import fijibridge as fb
    from fijibridge.nn.devices import device_of
    from fijibridge.nn.planning import check_memory, patch_size

    learnt = dataset.with_truth("train", "auto")
    of_image = learnt[0].image(lazy=True).sizes.get("c", 1) if learnt else 1
    shape: dict[str, Any] = {
        "in_channels": of_image, "n_classes": len(settings.classes), "depth": depth, "width": channels, "dims": dims,
    }  # fmt: skip
    with torch.device("meta"):  # without memory for its weights: a network may be too large to be made
        planned = fb.UNet(**shape)
    check_memory(planned, patch_size(planned, settings.patch), settings.batch, device_of(device))
    torch.manual_seed(settings.seed)
    return fb.UNet(**shape)


class Border(StrEnum):
    """What the network sees beyond the image."""

    as_trained = "as-trained"
    mirror = "mirror"
    valid = "valid"


class Precision(StrEnum):
    """Of numbers in the network."""

    full = "32"
    mixed = "bf16"


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(help="model file, or the folder of a run")],
    inputs: Annotated[list[Path], typer.Argument(help="image files, folders of them, or with a dataset.toml")],
    out: Annotated[Path, typer.Option("--out", "-o", help="folder for {name}_prob.tif")],
    image: ImagePattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    split: SplitName = None,
    tile: Annotated[
        int | None, typer.Option(min=1, help="side of the tiles, the largest that fit; changes memory, not the result")
    ] = None,
    flips: Annotated[
        bool, typer.Option("--flips", help="mean over mirrored images; 4 times the work, 8 in 3D")
    ] = False,
    border: Annotated[
        Border,
        typer.Option(help="beyond the image: the network's own way, the mirrored image; valid: nothing, smaller"),
    ] = Border.as_trained,
    precision: Annotated[Precision, typer.Option(help="32, or bf16: less memory, off by up to 0.01")] = Precision.full,
    device: Device = None,
    zarr: Annotated[
        bool, typer.Option("--zarr", help="{name}_prob.ome.zarr, part by part: for images larger than memory")
    ] = False,
    resume: Annotated[bool, typer.Option("--resume", help="leave out images whose result is there")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="results that are there may be lost")] = False,
) -> None:
    """Write the class probabilities of images."""
    import fijibridge as fb
    from fijibridge.app.console import bar, console

    loaded = fb.Model.load(model)
    with bar("predicting") as shown:
        written = fb.predict_files(
            loaded, _inputs(inputs, image, test, validation, split), out, zarr=zarr, resume=resume, overwrite=overwrite,
            progress=shown.progress, tile=tile, flips=flips, border=border.value.replace("-", " "),
            precision=precision.value, device=device,
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
