"""The verb plan: what a training will do and take, before it starts."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from fijibridge.app.cli.base import (
    Device,
    Folder,
    ImagePattern,
    LabelsPattern,
    RegionPattern,
    TestNames,
    ValidationNames,
    app,
    open_dataset,
)


@app.command()
def plan(
    folder: Folder,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    patch: Annotated[
        str | None, typer.Option(help="side of a patch in pixels, or sides such as 16,128,128; chosen if left out")
    ] = None,
    stride: Annotated[
        str | None, typer.Option(help="pixels from patch to patch, one number or one by axis; chosen if left out")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="patches in a batch; 8, or with --memory the most that fit")
    ] = None,
    batches: Annotated[
        int | None, typer.Option(min=1, help="batches in an epoch, at random places; the grid of --stride if left out")
    ] = None,
    epochs: Annotated[int, typer.Option(min=0, help="of the training")] = 30,
    depth: Annotated[int, typer.Option(min=1, help="poolings of the U-Net")] = 3,
    channels: Annotated[int, typer.Option(min=1, help="of the U-Net's first level; each pooling doubles them")] = 32,
    dims: Annotated[int, typer.Option(min=2, max=3, help="2 for planes, 3 for volumes")] = 2,
    memory: Annotated[
        str | None, typer.Option("--memory", help="a limit such as 4GB that batch and patch are chosen to keep")
    ] = None,
    precision: Annotated[str, typer.Option(help="32, bf16, 16 or auto")] = "auto",
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="take a few real steps, for a forecast of time and memory")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
    device: Device = None,
) -> None:
    """Say what a training on a folder will do and take: patches, coverage, memory, time. Nothing is trained."""
    import torch

    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.nn.devices import device_of
    from fijibridge.nn.planning import check_memory

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    learnt = dataset.with_truth("train", "auto")
    shape: dict[str, Any] = {
        "in_channels": learnt[0].image(lazy=True).sizes.get("c", 1) if learnt else 1,
        "depth": depth, "width": channels, "dims": dims,
    }  # fmt: skip
    with torch.device("meta"):  # without memory for its weights: a network may be too large to be made
        thought_of = fb.UNet(**shape)
    check_memory(thought_of, (2**depth,) * dims, 1, device_of(device))
    made = fb.plan(
        fb.UNet(**shape), dataset, patch=_sides("--patch", patch, dims), stride=_sides("--stride", stride, dims),
        batch=batch, batches=batches, epochs=epochs, device=device, memory_limit=memory, precision=precision,
        probe=probe,
    )  # fmt: skip
    if as_json:
        print(json.dumps(made.to_dict(), indent=2))
        return
    console.print(f"{dataset}\n{made}", highlight=False, soft_wrap=True)


def _sides(option: str, text: str | None, dims: int) -> tuple[int, ...] | None:
    """Read one number for y and x (and z), or one by axis with commas between them."""
    if text is None:
        return None
    try:
        sides = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise typer.BadParameter(f"{option} is {text!r}; expected pixels, such as 160 or 16,128,128") from error
    return sides * dims if len(sides) == 1 else sides
