"""Verbs of training: plan a training, train, stop a training."""

from __future__ import annotations

import typing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from fijibridge.errors import OptionError, TrainingError
from fijibridge.nn.patches.sampling_modes import MODES
from fijibridge.nn.training.settings import SETTINGS, Hyperparameters
from fijibridge.observers import watchers
from fijibridge.renames import warn_renamed
from fijibridge.verbs.parameters import Folder, Group, Kind, NewFolder, Param, Parameter
from fijibridge.verbs.prediction import Device, working
from fijibridge.verbs.registry import Call, verb
from fijibridge.verbs.results import Offer, Result, Say, ShowCurves

if TYPE_CHECKING:
    from fijibridge.dataset import Dataset
    from fijibridge.nn.training import Run, Settings
    from fijibridge.nn.unet import UNet

_WAIT = 0.2
_SIDES = "one number for all axes, or one per axis, such as 16,128,128"
_WAS = {"membrane_width": ("width",)}
"""Former names of settings, from version 0.1."""


class Trainings:
    """Trainings started by the verb Train U-Net in this process.

    Attributes
    ----------
    running : list of Run
        Running trainings, the latest last.
    latest : Run or None
        The training that was started last, even if it has ended.
    """

    def __init__(self) -> None:
        self.running: list[Run] = []
        self.latest: Run | None = None

    def add(self, run: Run) -> None:
        """Add a training that has started."""
        self.running.append(run)
        self.latest = run


TRAININGS = Trainings()
"""The trainings of this process."""


def __getattr__(name: str) -> Any:
    """Return one of the two lists that this module had in version 0.1."""
    if name not in ("running", "latest"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warn_renamed(f"{__name__}.{name}", f"{__name__}.TRAININGS.{name}")
    found = getattr(TRAININGS, name)
    return found if name == "running" else [] if found is None else [found]


@cache
def setting_parameter(name: str) -> Parameter:
    """Return a verb's parameter for a training setting, with the setting's help, bounds and default."""
    setting, default = SETTINGS[name], getattr(Hyperparameters, name)
    kind, choices = _kind(name)
    low = setting.low if setting.low is not None else setting.above
    return Parameter(
        name, kind, default, default is None, _HELP.get(name, setting.help), setting.unit or "",
        low if kind is not Kind.text else None, setting.below, setting.label or "", choices, _WAS.get(name, ()),
    )  # fmt: skip


def _kind(name: str) -> tuple[Kind, tuple[str, ...]]:
    """Return the kind and the choices of a setting's parameter; a tuple of numbers is entered as text."""
    if name == "sampling":
        return Kind.choice, tuple(MODES)
    hint = _HINTS[name]
    if typing.get_origin(hint) is typing.Literal:
        return Kind.choice, typing.get_args(hint)
    types = set(typing.get_args(hint)) or {hint}
    return next((kind for known, kind in _KINDS.items() if known in types), Kind.text), ()


_HINTS = typing.get_type_hints(Hyperparameters)
_KINDS = {bool: Kind.flag, int: Kind.integer, float: Kind.number}
_HELP = {
    "patch": f"side of a patch: {_SIDES}; 128 (16 for z) if left out",
    "sampling": "rule for placing patches",
    "augment": "apply random transforms to each patch",
    "seed": "seed for initial weights, patches and augmentation",
}
"""Help for settings whose values or effects differ between verbs and Python."""

SETTING_NAMES = tuple(name for name, setting in SETTINGS.items() if setting.flag is not None)
"""Settings that are parameters of the verb and options of the command line."""

Images: TypeAlias = Annotated[Folder, Param("folder of images with a dataset.toml", label="Image folder")]
Depth: TypeAlias = Annotated[int, Param("number of pooling steps of the U-Net", low=1)]
Channels: TypeAlias = Annotated[int, Param("channels of the U-Net's first level; each pooling doubles them", low=1)]
Dims: TypeAlias = Annotated[int, Param("2 for planes, 3 for volumes", low=2, high=3, label="Dimensions")]


def _like(name: str) -> Param:
    """Return a Param with the help, unit and bounds of a setting, for parameters that have their own default."""
    made = setting_parameter(name)
    return Param(made.help, made.unit, made.low, made.high, made.label, made.kind, made.choices, made.was)


@verb("Plan...", order=9)
def plan(
    call: Call,
    folder: Images,
    patch: Annotated[str | None, Param(f"side of a patch: {_SIDES}; automatic if left out", "px")] = None,
    stride: Annotated[str | None, Param(f"distance between patches: {_SIDES}; automatic if left out", "px")] = None,
    batch: Annotated[
        int | None, Param("patches per batch; if left out, 8, or as many as the memory limit allows", low=1)
    ] = None,
    batches: Annotated[
        int | None,
        Param("batches per epoch, at random places; if left out, patches lie on a grid", low=1),
    ] = None,
    epochs: Annotated[int, _like("epochs")] = Hyperparameters.epochs,
    depth: Depth = 3,
    channels: Channels = 32,
    dims: Dims = 2,
    memory_limit: Annotated[
        str | None, Param("memory limit, such as 4GB; batch and patch are chosen to fit", was=("memory",))
    ] = None,
    precision: Annotated[str, _like("precision")] = Hyperparameters.precision,
    probe: Annotated[bool, Param("forecast time and memory from a few real steps")] = True,
    device: Device = None,
) -> Say:
    """Estimate patches, coverage, memory and time of training on a folder, without training."""
    from fijibridge.nn.planning import plans

    dataset = described(folder)
    with working(call, device) as chosen:
        arguments = planned(
            dataset, patch=patch, stride=stride, depth=depth, channels=channels, dims=dims, memory_limit=memory_limit,
            device=chosen, batch=batch, batches=batches, epochs=epochs, precision=precision, probe=probe,
        )  # fmt: skip
        made = plans.plan(**arguments)
    return Say(f"{dataset}\n{made}")


def planned(
    dataset: Dataset, *, patch: str | None, stride: str | None, depth: int, channels: int, dims: int,
    device: str | None, **others: Any,
) -> dict[str, Any]:  # fmt: skip
    """Convert options of Plan to arguments of :func:`fijibridge.plan`, with a new network."""
    shape = {"patch": sides("patch", patch, dims), "stride": sides("stride", stride, dims)}
    net = new_unet(dataset, depth, channels, dims, n_classes=2, device=device, patch=(2**depth,) * dims, batch=1)
    return {"net": net, "data": dataset, **shape, "device": device, **others}


@verb("Train U-Net...", order=10, long=True)
def train(
    call: Call,
    folder: Images,
    out: Annotated[NewFolder, Param("folder for the model and the record of the run", label="Output folder")],
    start: Annotated[
        Path | None, Param("model or run to train further on these images; a new network if left out", kind=Kind.file)
    ] = None,
    depth: Depth = 3,
    channels: Channels = 32,
    dims: Dims = 2,
    existing: Annotated[
        typing.Literal["refuse", "resume", "replace"],
        Param("what to do with a run that is already in the output folder", label="Existing run"),
    ] = "refuse",
    device: Device = None,
    **options: Annotated[Any, Group(tuple(map(setting_parameter, SETTING_NAMES)), after="start")],
) -> list[Result]:
    """Train a U-Net on the membranes of a folder's training images.

    Started from the menu, the training runs in the background, and Stop Training ends it; a macro waits until it has
    ended. However it ends, the folder then contains the model and the record; existing = resume continues an
    interrupted run.
    """
    from fijibridge.nn.training import trainer
    from fijibridge.record import is_run

    dataset = described(folder)
    if existing == "refuse" and is_run(out):
        raise OptionError(
            f"{out} already has a run: set existing=resume to continue it, or existing=replace to overwrite it"
        )
    settings = settings_of(options, dims)
    net = start or unet_for(dataset, settings, depth=depth, channels=channels, dims=dims, device=device)
    with working(call, device) as chosen:
        run = trainer.train(
            net, dataset, out=out, overwrite=existing == "replace", resume="auto" if existing == "resume" else False,
            settings=settings, device=chosen, background=True, observers=[*watchers(), Progress(call)],
        )  # fmt: skip
        TRAININGS.add(run)
        try:
            return _results(_ended(run, call))
        finally:
            TRAININGS.running.remove(run)


def described(folder: Path) -> Dataset:
    """Open a folder of images with its description, ``dataset.toml``.

    Raises
    ------
    OptionError
        If the folder has no description.
    """
    from fijibridge.dataset import FILE_NAME, Dataset

    if not (folder / FILE_NAME).is_file():
        raise OptionError(
            f"{folder} has no {FILE_NAME}: Save Training Set makes a folder with one, and 'fijibridge describe "
            f"{folder} --write' writes one for existing images"
        )
    return Dataset.open(folder)


def settings_of(options: dict[str, Any], dims: int, base: Settings | None = None) -> Settings:
    """Convert options of Train U-Net to settings.

    Parameters
    ----------
    options
        Values by name; None means the default.
    dims
        Number of axes of a patch, 2 or 3.
    base
        Settings that the options override.
    """
    from fijibridge.nn.training import Settings

    given = {name: value for name, value in options.items() if value is not None}
    if "patch" in given:
        given["patch"] = sides("patch", given["patch"], dims)
    return Settings.of(base, **given)


@verb("Stop Training", order=11)
def stop_training() -> Say:
    """End the running training after its current step; its model and record are saved."""
    if not TRAININGS.running:
        raise TrainingError("no training is running")
    run = TRAININGS.running[-1]
    run.stop("stopped by Stop Training")
    return Say(f"the training in {run.path} will end after its current step, and is then saved")


class Progress:
    """Observer that reports the progress of a training to a call.

    Parameters
    ----------
    call
        The call.
    """

    def __init__(self, call: Call):
        self._call = call

    def progress(self, step: int, steps: int) -> None:
        """Report a step."""
        self._call.progress(step, steps)

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Report the metrics of an epoch."""
        known = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if value == value)
        self._call.say(f"epoch {epoch}: {known}")


def _ended(run: Run, call: Call) -> Run:
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
    return run


def _results(run: Run) -> list[Result]:
    if run.unsaved is not None:
        raise TrainingError(f"the run cannot be written: {run.unsaved}")
    curves = run.history.set_index("epoch").drop(columns=["lr", "seconds"]).dropna(axis="columns", how="all")
    text = f"{run.ending}\n{run.seconds:.0f} s. Model and record in {run.path}"
    shown: list[Result] = [ShowCurves(curves, "Training curves")] if len(curves) > 1 and len(curves.columns) else []
    return [*shown, Say(text), *(Offer(verb, "model", str(run.path)) for verb in ("predict", "predict_folder"))]


def sides(name: str, text: str | None, dims: int) -> tuple[int, ...] | None:
    """Read the sides of a patch: one number for all axes, with at most 16 for z, or one for each axis.

    Examples
    --------
    >>> sides("patch", "64", 3), sides("patch", "16,128,64", 3)
    ((16, 64, 64), (16, 128, 64))
    """
    if text is None:
        return None
    try:
        read = tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise OptionError(f"{name} is {text!r}; expected pixels, such as 160 or 16,128,128") from error
    if len(read) == 1:
        return read * 2 if dims == 2 else (min(16, *read), *read * 2)
    return read


def unet_for(dataset: Dataset, settings: Settings, *, depth: int, channels: int, dims: int, device: str | None) -> UNet:
    """Make a new U-Net for training with these settings."""
    return new_unet(
        dataset, depth, channels, dims, n_classes=len(settings.classes), device=device, patch=settings.patch,
        batch=settings.batch, seed=settings.seed,
    )  # fmt: skip


def new_unet(
    dataset: Dataset, depth: int, channels: int, dims: int, *, n_classes: int, device: str | None,
    patch: tuple[int, ...] | None, batch: int, seed: int = 0,
) -> UNet:  # fmt: skip
    """Make a new U-Net for a folder's images.

    Raises
    ------
    TrainingError
        If the device has too little memory for the network.
    """
    import torch

    from fijibridge.nn.devices import device_of
    from fijibridge.nn.planning import check_memory, patch_size
    from fijibridge.nn.unet import UNet

    items = dataset.with_truth("train", "auto")
    shape: dict[str, Any] = {
        "in_channels": items[0].image(lazy=True).sizes.get("c", 1) if items else 1, "n_classes": n_classes,
        "depth": depth, "width": channels, "dims": dims,
    }  # fmt: skip
    # On the device "meta" weights use no memory: a network that is too large is refused before it is made.
    with torch.device("meta"):
        estimated = UNet(**shape)
    check_memory(estimated, patch_size(estimated, patch), batch, device_of(device))
    torch.manual_seed(seed)
    return UNet(**shape)
