"""Verbs of the network: train, predict."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fijibridge.app.cli.base import (
    Device,
    Folder,
    ImagePattern,
    LabelsPattern,
    RegionPattern,
    Seed,
    SplitName,
    TestNames,
    ValidationNames,
    app,
    chosen,
    open_dataset,
)


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

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    console.print(str(dataset))
    learnt = dataset.with_truth("train")
    shape: dict[str, Any] = {
        "in_channels": learnt[0].image().sizes.get("c", 1) if learnt else 1,
        "depth": depth,
        "width": channels,
    }
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
    items = chosen(open_dataset(folder, image=image, test=test, validation=validation), split)
    make_folder(out)
    with bar("predicting") as shown:
        for number, item in enumerate(items, start=1):
            write_image(out / f"{item.name}_prob.tif", fb.predict(loaded, item.image(), tile=tile, device=device))
            shown.progress(number, len(items))
    console.print(f"{len(items)} predictions in {out}")
