"""Training a network, on Lightning, with a record that says what happened and why it ended."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import lightning.pytorch as pl
import numpy as np
import pandas as pd
import torch
import xarray as xr
from lightning.pytorch.callbacks import Callback, EarlyStopping
from torch import Tensor
from torch.nn import functional
from torch.utils.data import DataLoader, IterableDataset

from fijibridge.cells.targets.from_labels import CLASSES, IGNORE, membrane_target
from fijibridge.dataset import Dataset, Item
from fijibridge.errors import FijiBridgeWarning, ImageError, TrainingError
from fijibridge.files import atomic, write_json
from fijibridge.image import DIMS, Array, as_image, pixel_size, same_shape, unit, values
from fijibridge.nn.devices import device_of
from fijibridge.nn.model import FILE_NAME, Model, Normalisation
from fijibridge.nn.patches import Batch, PatchSampler, Sample
from fijibridge.nn.planning import check_memory, patch_size
from fijibridge.nn.unet import UNet

log = logging.getLogger("fijibridge")

Pair = tuple[Array, Array] | tuple[Array, Array, Array]


class Observer(Protocol):
    """Who wants to know how a training goes: a progress bar, a Fiji window."""

    def progress(self, step: int, steps: int) -> None:
        """Hear that a step of so many is done."""

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Hear the metrics of an epoch, counted from 1; epoch 0 is before the first step."""


@dataclass
class Run:
    """What a training left.

    Attributes
    ----------
    model : Model
        The network at its end, or at its best validation loss if there was validation data.
    history : pandas.DataFrame
        One row per epoch: epoch, train_loss, val_loss (NaN without validation data), lr, seconds. Epoch 0 is
        the network as it was before the first step.
    stopped_because : str
        Why it ended, in words.
    seconds : float
        Wall time of the training.
    settings : dict
        What it was started with.
    path : Path or None
        Its folder, with ``model.safetensors``, ``history.csv`` and ``run.json``.
    """

    model: Model
    history: pd.DataFrame
    stopped_because: str
    seconds: float
    settings: dict[str, Any] = field(default_factory=dict)
    path: Path | None = None


def train(
    net: UNet,
    data: Dataset | Sequence[Pair],
    *,
    epochs: int = 50,
    out: str | Path | None = None,
    overwrite: bool = False,
    validation: Sequence[Pair] = (),
    patch: Sequence[int] | None = None,
    batch: int = 8,
    batches: int = 50,
    width: float = 3,
    lr: float = 3e-3,
    patience: int | None = None,
    classes: Sequence[str] = CLASSES,
    seed: int = 0,
    device: str | None = None,
    observers: Sequence[Observer] = (),
) -> Run:
    """Train a network on images and what is to be seen in them.

    Parameters
    ----------
    net
        Trained in place.
    data
        A dataset, whose ``train`` images are learnt (their membranes as targets) and whose ``validation`` images
        are watched; or a list of (image, target) or (image, target, weight). A target holds class ids per pixel,
        255 = unknown; :func:`fijibridge.membrane_target` makes one.
    epochs
        At most; 0 leaves the network as it is.
    out
        Folder for the run's record and the model.
    overwrite
        Whether `out` may be the folder of a finished run, which is then lost.
    validation
        Pairs to watch, besides those of a dataset.
    patch
        (Y, X) or (Z, Y, X) pixels, multiples of the network's divisor; 128 per axis if left out, 16 for z.
    batch, batches
        Patches in a batch, batches in an epoch.
    width
        Of the membrane in targets made from a dataset's labels, in pixels.
    lr
        Largest learning rate, above 0; it rises to it and falls back to nothing (one cycle, AdamW).
    patience
        Stop after so many epochs without a better validation loss.
    classes
        Names of the class ids 0, 1, ...
    seed
        Of patches and augmentation. The network's first weights follow ``torch.manual_seed``.
    device
        ``"cpu"``, ``"cuda"`` ...; left out, the best there is.
    observers
        Told about steps and epochs.

    Returns
    -------
    Run

    Raises
    ------
    TrainingError
        Before the first step, if data, patch and network do not fit, `out` holds a finished run, or a step takes more
        memory than there is.
    DeviceError
        If there is no such device.
    DatasetError
        If files of labels or regions are missing.

    Notes
    -----
    Ctrl-C ends the run after the current step and hands it back; a second one raises KeyboardInterrupt.
    """
    epochs, batch, batches, lr = int(epochs), int(batch), int(batches), float(lr)  # numpy's numbers too
    settings = {
        "network": dict(net.config), "epochs": epochs, "batch": batch, "batches": batches, "width": width, "lr": lr,
        "patience": patience, "seed": seed, "classes": list(classes),
    }  # fmt: skip
    if not (np.isfinite(lr) and lr > 0):
        raise TrainingError(f"lr is {lr:g}; expected a number above 0, such as 0.003")
    where, size = device_of(device), patch_size(net, patch)
    check_memory(net, size, batch, where)
    if out is not None and not overwrite:
        _refuse_finished_run(Path(out))
    pairs, watched, about = _pairs(data, validation, width)
    _check_classes(net, classes, pairs | watched)
    if patience is not None and not watched:
        raise TrainingError(
            "patience needs validation data: name some in the dataset's split, or pass validation=[...]"
        )
    normalisation = Normalisation()
    samples = [_sample(pair, net.dims, normalisation, name) for name, pair in pairs.items()]
    val_samples = [_sample(pair, net.dims, normalisation, name) for name, pair in watched.items()]
    _check_channels(net, [*samples, *val_samples])
    settings |= {"patch": list(size), "images": len(pairs), "validation_images": len(watched)} | about
    if out is not None:
        _write_json_record(Path(out), {"settings": settings, "stopped_because": None})  # a bad folder costs no run
    sampler = PatchSampler(samples, size, batch, batches, seed=seed)
    watch = PatchSampler(val_samples, size, batch, _enough(val_samples, size, batch), False, seed) if watched else None

    module = _Module(net, lr, max(epochs * batches, 1))
    recorder = _Recorder(observers, epochs * batches)
    began = time.monotonic()
    if epochs > 0:
        stopped = _fit(module, sampler, watch, epochs, patience, where, recorder)
    else:
        stopped = "epochs=0: the network was left as it was"
    if recorder.best_state is not None:
        net.load_state_dict(recorder.best_state)
    net.eval()
    about |= {"epochs": epochs, "stopped_because": stopped}
    model = Model(net, tuple(classes), normalisation, *_mean_pixel_size([p[0] for p in pairs.values()]), about)
    run = Run(model, recorder.history(), stopped, time.monotonic() - began, settings)
    log.info("training ended: %s", stopped)
    if out is not None:
        _write_record(run, Path(out))
    return run


# --- what goes in -----------------------------------------------------------------------------------


def _refuse_finished_run(folder: Path) -> None:
    if (folder / FILE_NAME).is_file():
        raise TrainingError(
            f"{folder} holds a finished run, its {FILE_NAME} would be lost: choose another folder (out, --out), or say "
            "that it may be (overwrite=True, --overwrite)"
        )


def _pairs(
    data: Dataset | Sequence[Pair], validation: Sequence[Pair], width: float
) -> tuple[dict[str, Pair], dict[str, Pair], dict[str, Any]]:
    """Return what to learn and what to watch, by names for messages, and what to say of their origin."""
    watched = _named_pairs(validation, "validation image")
    if isinstance(data, Dataset):
        to_learn, to_watch = data.with_truth("train"), data.with_truth("validation")  # look before the long reading
        pairs = dict(_pair(item, width) for item in to_learn)
        watched |= dict(_pair(item, width) for item in to_watch)
        about = {"data": data.folder.name, "provenance": data.provenance}
    else:
        pairs, about = _named_pairs(data, "image"), {"data": "arrays", "provenance": "unknown"}
    if not pairs:
        raise TrainingError("there is nothing to train on: no image, or none in the split 'train'")
    return pairs, watched, about


def _named_pairs(data: Sequence[Pair], name: str) -> dict[str, Pair]:
    expected = "expected a list of (image, target) or (image, target, weight)"
    if isinstance(data, str | os.PathLike):
        raise TrainingError(f"got the path {os.fspath(data)!r}; {expected}, or fijibridge.Dataset.open(path)")
    if not isinstance(data, Iterable):
        raise TrainingError(f"got a {type(data).__name__}; {expected}, or a Dataset")
    pairs = {f"{name} {number}": pair for number, pair in enumerate(data)}
    for which, pair in pairs.items():
        if not isinstance(pair, tuple | list):
            raise TrainingError(f"{which} is a {type(pair).__name__}; {expected}, also of one pair: [(image, target)]")
        if len(pair) not in (2, 3):
            raise TrainingError(f"{which} is {len(pair)} arrays; {expected}")
    return pairs


def _pair(item: Item, width: float) -> tuple[str, Pair]:
    name = str(item.paths["image"])
    image, labels, region = item.image(), item.labels(), item.region()
    with _naming(f"{name} and {', '.join(p.name for role, p in item.paths.items() if role != 'image')}"):
        same_shape(image=_one_channel(image), labels=labels)
        return name, (image, membrane_target(labels, width, region))


def _one_channel(image: xr.DataArray) -> xr.DataArray:
    return image.isel(c=0, drop=True) if "c" in image.dims else image


@contextmanager
def _naming(what: str) -> Iterator[None]:
    """Say in an image's error which one it is."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{what}: {error}") from error


def _check_classes(net: UNet, classes: Sequence[str], pairs: Mapping[str, Pair]) -> None:
    n_classes = net.config["n_classes"]
    if len(classes) != n_classes:
        raise TrainingError(f"the network has {n_classes} classes but {len(classes)} names: {list(classes)}")
    for name, pair in pairs.items():
        found = np.unique(values(pair[1]))
        wrong = found[(found != IGNORE) & ((found < 0) | (found >= n_classes))]
        if len(wrong) or not np.issubdtype(found.dtype, np.integer):
            raise TrainingError(
                f"{name}: the target holds {found[:6].tolist()}{' ...' if len(found) > 6 else ''}; expected class ids "
                f"0 to {n_classes - 1} and {IGNORE} = unknown. Cell labels become one with fijibridge.membrane_target"
            )


def _sample(pair: Pair, dims: int, normalisation: Normalisation, name: str) -> Sample:
    source = as_image(pair[0])
    spatial = DIMS[-dims:]
    unknown = [d for d in source.dims if d not in (*spatial, "c")]
    if unknown or not set(spatial) <= set(source.dims):
        raise TrainingError(f"{name} has axes {source.dims}; a {dims}D network takes {spatial} and c")
    with _naming(name):
        same_shape(image=_one_channel(source), target=pair[1])
    ordered = source if "c" in source.dims else source.expand_dims("c")
    pixels = normalisation(np.asarray(ordered.transpose("c", *spatial).values))
    weight = np.asarray(values(pair[2]), np.float32) if len(pair) == 3 else None
    return Sample(pixels, np.asarray(values(pair[1]), np.uint8), weight, name)


def _check_channels(net: UNet, samples: Sequence[Sample]) -> None:
    expected = net.config["in_channels"]
    for sample in samples:
        if len(sample.image) != expected:
            raise TrainingError(
                f"{sample.name} has {len(sample.image)} channel(s), the network takes {expected}: "
                "UNet(in_channels=...), or select with image.isel(c=...)"
            )


def _mean_pixel_size(images: Sequence[Array]) -> tuple[dict[str, float], str]:
    """Return the mean pixel size of the training images and its unit; warn if they differ by more than a tenth."""
    calibrated = [as_image(image) for image in images]
    units = {unit(image) for image in calibrated}
    sizes = pd.DataFrame([pixel_size(image) for image in calibrated])
    mixed = len(units) > 1 or (sizes.max() > 1.1 * sizes.min()).any()
    if mixed:
        warnings.warn(
            f"the training images differ in scale: pixel sizes {sizes.min().to_dict()} to {sizes.max().to_dict()} "
            f"in {sorted(units)}",
            FijiBridgeWarning,
            stacklevel=3,
        )
    if len(units) > 1:
        return {}, "pixel"
    return {str(axis): float(size) for axis, size in sizes.mean().items()}, units.pop()


def _enough(samples: Sequence[Sample], patch: Sequence[int], batch: int) -> int:
    """Return how many batches show every validation pixel about once."""
    pixels = sum(int((s.target != IGNORE).sum()) for s in samples)
    return max(1, round(pixels / float(np.prod(patch)) / batch))


# --- what happens -----------------------------------------------------------------------------------


class _Module(pl.LightningModule):
    """The training step: cross entropy and Dice over the pixels with known truth."""

    def __init__(self, net: UNet, lr: float, steps: int):
        super().__init__()
        self.net, self.lr, self.steps = net, lr, steps

    def training_step(self, batch: Batch, _: int) -> Tensor:
        loss = segmentation_loss(self.net(batch[0]), batch[1], batch[2])
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(batch[0]))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        loss = segmentation_loss(self.net(batch[0]), batch[1], batch[2])
        self.log("val_loss", loss, batch_size=len(batch[0]))

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.AdamW(self.net.parameters(), lr=self.lr, weight_decay=1e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def segmentation_loss(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return weighted cross entropy plus soft Dice loss, over pixels with known truth.

    Parameters
    ----------
    logits
        (B, K, ...) floats.
    target
        (B, ...) class ids, 255 = unknown: such pixels count nowhere.
    weight
        (B, ...) weight of each pixel.

    Notes
    -----
    Dice is 1 - mean over classes of 2 sum(w p t) / sum(w (p + t)) (Milletari et al. 2016, with p instead of p**2).
    """
    known = (target != IGNORE).float() * weight
    entropy = functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")  # (B, ...)
    entropy = (entropy * known).sum() / known.sum().clamp(min=1e-6)
    p = torch.softmax(logits, dim=1)  # (B, K, ...)
    safe = torch.where(target == IGNORE, 0, target)
    t = functional.one_hot(safe, logits.shape[1]).movedim(-1, 1).to(p.dtype)  # (B, K, ...)
    w = known.unsqueeze(1)
    axes = [0, *range(2, p.ndim)]
    dice = (2 * (w * p * t).sum(axes) + 1) / ((w * (p + t)).sum(axes) + 1)
    return entropy + 1 - dice.mean()


class _Batches(IterableDataset[Batch]):
    """A sampler as Lightning wants it."""

    def __init__(self, sampler: PatchSampler):
        self.sampler = sampler

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.sampler)


_DIVERGED = "the loss became {} by step {}: lower lr, and look for NaN in images and weights"


class _Recorder(Callback):
    """Keeps the metrics of each epoch and the best weights, and tells the observers."""

    def __init__(self, observers: Sequence[Observer], steps: int):
        self.observers, self.steps = observers, steps
        self.rows: list[dict[str, float]] = []
        self.best_loss = float("inf")
        self.best_epoch = 0
        self.best_state: dict[str, Tensor] | None = None
        self.abandoned = False
        self._began = time.monotonic()

    def history(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows, columns=["epoch", "train_loss", "val_loss", "lr", "seconds"])

    def add(self, epoch: int, train_loss: float, val_loss: float, lr: float) -> None:
        seconds = time.monotonic() - self._began
        self.rows.append(
            {"epoch": epoch, "train_loss": train_loss, "val_loss": val_loss, "lr": lr, "seconds": round(seconds, 3)}
        )
        for observer in self.observers:
            observer.metrics(epoch, {"train_loss": train_loss, "val_loss": val_loss, "lr": lr})

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.abandoned:
            raise _Abandoned
        # every tenth only: looking at the loss makes a GPU wait
        if batch_idx % 10 == 0 and not torch.isfinite(outputs["loss"]):
            raise TrainingError(_DIVERGED.format(float(outputs["loss"]), trainer.global_step))
        for observer in self.observers:
            observer.progress(trainer.global_step, self.steps)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items()}
        if not np.isfinite(metrics["train_loss"]):
            raise TrainingError(_DIVERGED.format(metrics["train_loss"], trainer.global_step))
        val_loss = metrics.get("val_loss", float("nan"))
        if val_loss < self.best_loss:
            self.best_loss, self.best_epoch = val_loss, trainer.current_epoch + 1
            state = pl_module.net.state_dict()  # type: ignore[union-attr]
            self.best_state = {k: v.detach().clone().cpu() for k, v in state.items()}
        lr = float(trainer.optimizers[0].param_groups[0]["lr"])
        self.add(trainer.current_epoch + 1, metrics["train_loss"], val_loss, lr)


def _fit(
    module: _Module, sampler: PatchSampler, watch: PatchSampler | None, epochs: int, patience: int | None,
    device: torch.device, recorder: _Recorder,
) -> str:  # fmt: skip
    """Run Lightning and say why it stopped."""
    stopper = EarlyStopping("val_loss", patience=patience) if patience is not None else None
    accelerator, devices = _accelerator(device)
    with _quiet():
        trainer = pl.Trainer(
            max_epochs=epochs, accelerator=accelerator, devices=devices, logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, gradient_clip_val=1.0,
            callbacks=[recorder, *([stopper] if stopper else [])],
        )  # fmt: skip
        loaders = [_loader(s) for s in (sampler, watch) if s is not None]
        recorder.add(0, _loss_before(module, sampler), _loss_before(module, watch), 0.0)
        validation = loaders[1] if watch is not None else None
        interrupted = _fit_aside(lambda: trainer.fit(module, loaders[0], validation), trainer, recorder)
    return _reason(trainer, recorder, stopper, epochs, interrupted)


def _loader(sampler: PatchSampler) -> DataLoader[Batch]:
    """Wrap a sampler without worker processes: forking beside a JVM's threads is unsafe."""
    return DataLoader(_Batches(sampler), batch_size=None, num_workers=0)


def _accelerator(device: torch.device) -> tuple[str, Any]:
    """Return a device in Lightning's words."""
    if device.type == "cuda":
        return "gpu", 1 if device.index is None else [device.index]
    return device.type, 1


def _loss_before(module: _Module, sampler: PatchSampler | None) -> float:
    """Return the loss on a few batches, without learning and without using up the sampler's draws."""
    if sampler is None:
        return float("nan")
    epoch, losses = sampler.epoch, []
    device = next(module.parameters()).device
    module.eval()
    with torch.no_grad():
        for _, (x, y, weight) in zip(range(4), sampler, strict=False):
            losses.append(float(segmentation_loss(module.net(x.to(device)), y.to(device), weight.to(device))))
    module.train()
    sampler.epoch = epoch
    return float(np.mean(losses))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Lightning's notices about devices and loaders from the user's console."""
    loggers = [logging.getLogger(n) for n in ("lightning.pytorch", "lightning.fabric", "pytorch_lightning")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        warnings.filterwarnings("ignore", message=r".*(num_workers|isinstance\(treespec).*")
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def _fit_aside(fit: Callable[[], None], trainer: pl.Trainer, recorder: _Recorder) -> bool:
    """Fit on a thread of its own and wait; returns whether Ctrl-C ended it, a second one raises KeyboardInterrupt.

    On the main thread Lightning would take the signals: it ends the process on Ctrl-C, and leaves SIGSEGV at its
    default afterwards, which a Java virtual machine in this process needs for itself and soon dies of.
    """
    if threading.current_thread() is not threading.main_thread():
        fit()
        return False
    pressed = 0
    with ThreadPoolExecutor(1, thread_name_prefix="fijibridge-training") as pool:
        done = pool.submit(fit)
        while not done.done():
            try:
                wait([done], timeout=0.5)
            except KeyboardInterrupt:
                pressed += 1
                trainer.should_stop = True
                recorder.abandoned = pressed > 1
    if pressed > 1:
        raise KeyboardInterrupt
    done.result()  # its error, if there was one
    return pressed > 0


class _Abandoned(Exception):
    """Ends a fit whose result nobody wants."""


def _reason(
    trainer: pl.Trainer, recorder: _Recorder, stopper: EarlyStopping | None, epochs: int, interrupted: bool
) -> str:
    done = len(recorder.rows) - 1
    best = f"best val_loss {recorder.best_loss:.4f} at epoch {recorder.best_epoch}" if recorder.best_epoch else ""
    if interrupted:
        return f"interrupted by Ctrl-C after {done} of {epochs} epochs" + (f"; {best}" if best else "")
    if stopper is not None and done < epochs:
        if not np.isfinite(recorder.rows[-1]["val_loss"]):
            return f"stopped after {done} of {epochs} epochs: val_loss became {recorder.rows[-1]['val_loss']}; lower lr"
        return (
            f"early stop after {done} of {epochs} epochs: val_loss did not improve for {stopper.patience} epochs; "
            f"{best}; a larger patience would let it go on"
        )
    return f"all {epochs} epochs done" + (f"; {best}" if best else "")


# --- what is left -----------------------------------------------------------------------------------


def _write_record(run: Run, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    run.path = folder
    run.model.save(folder / FILE_NAME)
    with atomic(folder / "history.csv") as temporary:
        run.history.to_csv(temporary, index=False)
    record = {"settings": run.settings, "stopped_because": run.stopped_because, "seconds": round(run.seconds, 2)}
    history = run.history.astype(object).where(run.history.notna(), None).to_dict("records")
    _write_json_record(folder, record | {"history": history})


def _write_json_record(folder: Path, record: dict[str, Any]) -> None:
    try:
        write_json(folder / "run.json", record)
    except OSError as error:
        raise TrainingError(f"cannot write the run's record into {folder}: {error}") from error
