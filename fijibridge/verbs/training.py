"""The verbs of learning: plan a training, train, stop a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from fijibridge.errors import OptionError, TrainingError
from fijibridge.observers import watchers
from fijibridge.verbs.parameters import Folder, Kind, NewFolder, Param
from fijibridge.verbs.prediction import Device, working
from fijibridge.verbs.registry import Call, verb
from fijibridge.verbs.results import Result, Say, ShowCurves

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset
    from fijibridge.nn.training import Run
    from fijibridge.nn.unet import UNet

Images: TypeAlias = Annotated[Folder, Param("folder of images with a dataset.toml", label="Image folder")]
Depth: TypeAlias = Annotated[int, Param("poolings of the U-Net", low=1)]
Channels: TypeAlias = Annotated[int, Param("of the U-Net's first level; each pooling doubles them", low=1)]
Dims: TypeAlias = Annotated[int, Param("2 for planes, 3 for volumes", low=2, high=3, label="Dimensions")]
Batch: TypeAlias = Annotated[int, Param("patches in a batch, of all devices together", low=1)]
Epochs: TypeAlias = Annotated[int, Param("at most; 0 leaves the network as it is", low=0)]
NumberFormat: TypeAlias = Annotated[Literal["auto", "32", "bf16", "16"], Param("of the numbers in the network")]

running: list[Run] = []
"""The trainings that verbs began and that go on, the latest last."""

latest: list[Run] = []
"""The training that a verb began last, also after its end; empty before the first."""

_WAIT = 0.2


@verb("Plan...", order=9)
def plan(
    call: Call,
    folder: Images,
    patch: Annotated[
        str | None, Param("side of a patch, or sides such as 16,128,128; chosen if left out", "px")
    ] = None,
    stride: Annotated[
        str | None, Param("from patch to patch, one number or one by axis; chosen if left out", "px")
    ] = None,
    batch: Annotated[
        int | None, Param("patches in a batch; 8, or with a limit of memory the most that fit", low=1)
    ] = None,
    batches: Annotated[
        int | None, Param("batches in an epoch, at random places; the grid of the stride if left out", low=1)
    ] = None,
    epochs: Epochs = 30,
    depth: Depth = 3,
    channels: Channels = 32,
    dims: Dims = 2,
    memory: Annotated[str | None, Param("a limit such as 4GB that batch and patch are chosen to keep")] = None,
    precision: NumberFormat = "auto",
    probe: Annotated[bool, Param("take a few real steps, for a forecast of time and memory")] = True,
    device: Device = None,
) -> Say:
    """Say what a training on a folder will do and take: patches, coverage, memory, time. Nothing is trained."""
    from fijibridge.nn.planning import plans

    dataset = described(folder)
    with working(call, device) as chosen:
        arguments = planned(
            dataset, patch=patch, stride=stride, depth=depth, channels=channels, dims=dims, memory=memory,
            device=chosen, batch=batch, batches=batches, epochs=epochs, precision=precision, probe=probe,
        )  # fmt: skip
        made = plans.plan(**arguments)
    return Say(f"{dataset}\n{made}")


def planned(
    dataset: Dataset, *, patch: str | None, stride: str | None, depth: int, channels: int, dims: int,
    memory: str | None, device: str | None, **others: Any,
) -> dict[str, Any]:  # fmt: skip
    """Return what the verb takes as :func:`fijibridge.plan` takes it, with a new network."""
    shape = {"patch": sides("patch", patch, dims), "stride": sides("stride", stride, dims)}
    net = new_unet(dataset, depth, channels, dims, n_classes=2, device=device, patch=(2**depth,) * dims, batch=1)
    return {"net": net, "data": dataset, **shape, "memory_limit": memory, "device": device, **others}


@verb("Train U-Net...", order=10, long=True)
def train(
    call: Call,
    folder: Images,
    out: Annotated[NewFolder, Param("folder for the model and the record of the run", label="Output folder")],
    start: Annotated[
        Path | None, Param("model or run to go on from, with these images; a new network if left out", kind=Kind.file)
    ] = None,
    epochs: Epochs = 30,
    batches: Annotated[int, Param("batches in an epoch", low=1)] = 50,
    batch: Batch = 8,
    patch: Annotated[
        str | None, Param("side of a patch, or sides such as 16,128,128; 128, and 16 of z, if left out", "px")
    ] = None,
    width: Annotated[
        float,
        Param(
            "of the membranes that are drawn between cells; the network's is channels",
            "px",
            low=1,
            label="Membrane width",
        ),
    ] = 3,
    target: Annotated[
        Literal["auto", "classes", "labels"],
        Param("what is learnt: classes (pixel labels), labels (membranes between cells)"),
    ] = "auto",
    depth: Depth = 3,
    channels: Channels = 32,
    dims: Dims = 2,
    lr: Annotated[float, Param("largest learning rate", low=0, label="Learning rate")] = 0.003,
    sampling: Annotated[str, Param("where patches lie: positions, images, membranes, grid ...")] = "positions",
    augment: Annotated[bool, Param("transform patches at random")] = True,
    metric: Annotated[
        Literal["val_loss", "val_f1"], Param("what says which epoch is best: the loss, or F1 of cells")
    ] = "val_loss",
    patience: Annotated[
        int | None, Param("stop after so many epochs without a better metric on validation images", low=0)
    ] = None,
    precision: NumberFormat = "auto",
    forecast: Annotated[bool, Param("say before what it will take, from a short trial")] = True,
    seed: Annotated[int, Param("of the first weights, patches and augmentation", low=0)] = 0,
    existing: Annotated[
        Literal["refuse", "resume", "replace"],
        Param("what to do with a run that is in the folder already", label="If there is one"),
    ] = "refuse",
    device: Device = None,
) -> list[Result]:
    """Train a U-Net on the membranes of a folder's training images.

    From the menu it goes on in the background, and Stop Training ends it; a macro waits for its end. Whatever ends it,
    the model and the record are in the folder: a run that was broken off goes on with existing = resume.
    """
    from fijibridge.nn.training import Settings, trainer
    from fijibridge.record import is_run

    dataset = described(folder)
    if existing == "refuse" and is_run(out):
        raise OptionError(f"{out} has a run: existing=resume goes on with it, existing=replace loses it")
    settings = Settings.of(
        epochs=epochs, batches=batches, batch=batch, patch=sides("patch", patch, dims), membrane_width=width,
        target=target,
        lr=lr, sampling=sampling, augment=augment, metric=metric, patience=patience, precision=precision,
        forecast=forecast, seed=seed,
    )  # fmt: skip
    net: Any = start
    if net is None:
        net = new_unet(
            dataset, depth, channels, dims, n_classes=len(settings.classes), device=device, patch=settings.patch,
            batch=settings.batch, seed=seed,
        )  # fmt: skip
    with working(call, device) as chosen:
        run = trainer.train(
            net, dataset, out=out, overwrite=existing == "replace", resume="auto" if existing == "resume" else False,
            settings=settings, device=chosen, background=True, observers=[*watchers(), Telling(call)],
        )  # fmt: skip
        running.append(run)
        latest[:] = [run]
        try:
            return _followed(run, call)
        finally:
            running.remove(run)


def described(folder: Path) -> Dataset:
    """Open a folder that has its description.

    Raises
    ------
    OptionError
        If it has none; it says how to make one.
    """
    from fijibridge.dataset import FILE_NAME, Dataset

    if not (folder / FILE_NAME).is_file():
        raise OptionError(
            f"{folder} has no {FILE_NAME}: Save Training Set makes a folder with one, and 'fijibridge describe "
            f"{folder} --write' makes one for images that lie there"
        )
    return Dataset.open(folder)


@verb("Stop Training", order=11)
def stop_training() -> Say:
    """End the training that goes on after its current step; its model and record are saved."""
    if not running:
        raise TrainingError("no training goes on")
    run = running[-1]
    run.stop("stopped by Stop Training")
    return Say(f"{run.path} ends after its current step, and is saved")


class Telling:
    """Tells a call how a training goes."""

    def __init__(self, call: Call):
        self._call = call

    def progress(self, step: int, steps: int) -> None:
        """Tell that a step is done."""
        self._call.progress(step, steps)

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Tell the metrics of an epoch."""
        told = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if value == value)
        self._call.say(f"epoch {epoch}: {told}")


def _followed(run: Run, call: Call) -> list[Result]:
    """Wait for the end of a training, and stop it if the call is cancelled."""
    stopped = False
    while run.running:
        if call.cancelled() and not stopped:
            run.stop("cancelled by the user")
            stopped = True
        try:
            run.wait(_WAIT)
        except TimeoutError:
            continue
    run.wait()
    if run.unsaved is not None:
        raise TrainingError(f"the run could not be written: {run.unsaved}")
    curves = run.history.set_index("epoch").drop(columns=["lr", "seconds"]).dropna(axis="columns", how="all")
    told = f"{run.ending}\n{run.seconds:.0f} s. Model and record in {run.path}"
    shown: list[Result] = [ShowCurves(curves, "Training curves")] if len(curves) > 1 and len(curves.columns) else []
    return [*shown, Say(told)]


def sides(name: str, text: str | None, dims: int) -> tuple[int, ...] | None:
    """Read one number for all axes, or one by axis with commas between them; z of one number is 16 at most."""
    if text is None:
        return None
    try:
        read = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise OptionError(f"{name} is {text!r}; expected pixels, such as 160 or 16,128,128") from error
    if len(read) == 1:
        return read * 2 if dims == 2 else (min(16, *read), *read * 2)
    return read


def new_unet(
    dataset: Dataset, depth: int, channels: int, dims: int, *, n_classes: int, device: str | None,
    patch: tuple[int, ...] | None, batch: int, seed: int = 0,
) -> UNet:  # fmt: skip
    """Return a new U-Net for a folder's images, once it is sure that there is memory for it."""
    import torch

    from fijibridge.nn.devices import device_of
    from fijibridge.nn.planning import check_memory, patch_size
    from fijibridge.nn.unet import UNet

    learnt = dataset.with_truth("train", "auto")
    shape: dict[str, Any] = {
        "in_channels": learnt[0].image(lazy=True).sizes.get("c", 1) if learnt else 1, "n_classes": n_classes,
        "depth": depth, "width": channels, "dims": dims,
    }  # fmt: skip
    with torch.device("meta"):  # without memory for its weights: a network may be too large to be made
        planned = UNet(**shape)
    check_memory(planned, patch_size(planned, patch), batch, device_of(device))
    torch.manual_seed(seed)
    return UNet(**shape)
