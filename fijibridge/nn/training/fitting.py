"""Lightning, kept from the user's signals and console: fitting on a thread of its own."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, IterableDataset

from fijibridge.nn.patches import Batch, Feed
from fijibridge.nn.training.checkpoints import AtomicCheckpoints
from fijibridge.nn.training.inputs import as_batch
from fijibridge.nn.training.recording import Recorder
from fijibridge.nn.training.settings import Settings


class Drawn(IterableDataset[Batch]):
    """A sampler as Lightning iterates it: each epoch from the batch that comes next, the device's share of it."""

    def __init__(self, sampler: Any, trainer: Callable[[], pl.Trainer], learning: bool):
        self.sampler, self.trainer, self.learning = sampler, trainer, learning

    def __len__(self) -> int:
        """Return the batches of an epoch."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Draw what is left of the epoch."""
        trainer = self.trainer()
        share = self.sampler.share(trainer.global_rank, trainer.world_size)
        done = trainer.fit_loop.epoch_loop.batch_progress.current.ready if self.learning else 0
        share.load_state_dict({"epoch": trainer.current_epoch if self.learning else 0, "done": done})
        yield from Feed(share, trainer.strategy.root_device)


class Given(IterableDataset[Batch]):
    """Anyone's batches: of a function, of an object that can be gone through again, or of a stream that ends."""

    def __init__(self, batches: Any, most: int):
        self._make = batches if callable(batches) else None
        self._stream = iter(batches) if isinstance(batches, Iterator) else None
        self._again: Iterable[Any] | None = None if self._make or self._stream is not None else batches
        self.most = most
        self.ended = False

    def __len__(self) -> int:
        """Return the batches of an epoch, at the most."""
        return min(len(self._again), self.most) if isinstance(self._again, Sized) else self.most

    def __iter__(self) -> Iterator[Batch]:
        """Go through an epoch."""
        source = self._stream if self._stream is not None else iter(self._make() if self._make else self._again or ())
        for _ in range(len(self)):
            try:
                given = next(source)
            except StopIteration:
                self.ended = True
                return
            yield as_batch(given)


def loader(batches: IterableDataset[Batch] | None) -> DataLoader[Batch] | None:
    """Wrap batches as Lightning wants them, without worker processes: forking beside a JVM's threads is unsafe."""
    # with a generator of its own: an iterator draws one number, which dropout would miss after a resumption
    own = torch.Generator()
    return None if batches is None else DataLoader(batches, batch_size=None, num_workers=0, generator=own)


def trainer_of(
    settings: Settings, device: torch.device, recorder: Recorder, *, devices: int = 1, nodes: int = 1,
    strategy: str = "auto", tensorboard: bool = False,
) -> pl.Trainer:  # fmt: skip
    """Return Lightning's trainer for a device, or for several of its kind."""
    accelerator, which = _accelerator(device)
    several = devices > 1 or nodes > 1
    board = tensorboard and recorder.folder is not None
    logger: Any = TensorBoardLogger(str(recorder.folder), name="", version="tensorboard") if board else False
    return pl.Trainer(
        max_epochs=settings.epochs, accelerator=accelerator, devices=devices if several else which, num_nodes=nodes,
        strategy="ddp" if several and strategy == "auto" else strategy, sync_batchnorm=several and accelerator == "gpu",
        precision=_precision(settings.precision, device), gradient_clip_val=settings.clip,
        logger=logger, log_every_n_steps=10, callbacks=[recorder], plugins=[AtomicCheckpoints()],
        enable_checkpointing=True, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        use_distributed_sampler=False, reload_dataloaders_every_n_epochs=0,
    )  # fmt: skip


def _accelerator(device: torch.device) -> tuple[str, Any]:
    """Return a device in Lightning's words."""
    if device.type == "cuda":
        return "gpu", 1 if device.index is None else [device.index]
    return device.type, 1


def _precision(asked: str, device: torch.device) -> Any:
    if asked == "auto":
        asked = "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "32"
    return {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[asked]


@contextmanager
def quiet() -> Iterator[None]:
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


def aside(work: Callable[[], None]) -> threading.Thread:
    """Begin work on a thread of its own.

    On the main thread Lightning would take the signals: it ends the process on Ctrl-C, and leaves SIGSEGV at its
    default afterwards, which a Java virtual machine in this process needs for itself and soon dies of.
    """
    thread = threading.Thread(target=work, name="fijibridge-training", daemon=True)
    thread.start()
    return thread


def is_first_process() -> bool:
    """Whether this is the process, of several that train together, that writes files."""
    return int(getattr(rank_zero_only, "rank", 0)) == 0
