"""Batches of an epoch from a sampler or a user's iterable, divided among the processes of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch.utils.data import DataLoader, IterableDataset

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.image import values
from fijibridge.nn.augmentation.alignment import check_batches
from fijibridge.nn.patches import Batch, Feed, PatchSampler, SavedPatches
from fijibridge.nn.patches.fingerprint import described, plain
from fijibridge.nn.training.settings import SETTINGS
from fijibridge.nn.training.settings_schema import Settings
from fijibridge.nn.traits import Traits

OF_PATCHES = tuple(name for name, setting in SETTINGS.items() if setting.patches)
"""Settings that describe how patches are cut from images."""


@dataclass(frozen=True)
class Position:
    """Position of a process in a training.

    Attributes
    ----------
    rank, world : int
        0-based number of the process, and total number of processes.
    epoch, done : int
        0-based number of the current epoch, and number of its batches that are done.
    device : torch.device
        Device of the process.
    """

    rank: int
    world: int
    epoch: int
    done: int
    device: torch.device


Where: TypeAlias = Callable[[], Position]


class SamplerBatches(IterableDataset[Batch]):
    """Batches from a sampler, starting at the current position; each process gets its share of each batch.

    Parameters
    ----------
    sampler
        The sampler.
    where
        Function that returns the current position.
    learning
        Whether the batches are used for training. For validation, every epoch uses the batches of the sampler's first.
    """

    def __init__(self, sampler: PatchSampler, where: Where, learning: bool):
        self.sampler, self.where, self.learning = sampler, where, learning

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the remaining batches of the epoch."""
        at = self.where()
        share = self.sampler.share(at.rank, at.world)
        share.load_state_dict({"epoch": at.epoch, "done": at.done} if self.learning else {"epoch": 0, "done": 0})
        yield from Feed(share, at.device)


class UserBatches(IterableDataset[Batch]):
    """Batches from a function, an iterable, or a stream that can end.

    Parameters
    ----------
    batches
        Source: a function that returns an iterable, an iterable, or an iterator (a stream).
    count
        Number of batches in an epoch; None for the length of the source.
    otherwise
        Number of batches in an epoch if `count` is None and the source has no length.

    Attributes
    ----------
    ended : bool
        Whether the source is exhausted.
    """

    def __init__(self, batches: Any, count: int | None, otherwise: int):
        self._make = batches if callable(batches) else None
        self.stream: Iterator[Any] | None = iter(batches) if isinstance(batches, Iterator) else None
        self._begun: Iterator[Any] | None = None
        self._again: Any = None if self._make or self.stream is not None else batches
        length = _length(self._again)
        self.has_length = length is not None
        self.count = count or (otherwise if length is None else length)
        self.ended = False

    def __len__(self) -> int:
        """Return the maximum number of batches in an epoch."""
        return self.count

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        if self.stream is None:
            yield from map(as_batch, islice(self._restarted(), len(self)))
            return
        for _ in range(len(self)):
            try:
                given = next(self.stream)
            except StopIteration:
                self.ended = True
                return
            yield as_batch(given)

    def first(self, patches: int) -> list[Batch]:
        """Return the first batches, which have at least `patches` patches in total, without consuming them."""
        source = self._restarted() if self.stream is None else self.stream
        taken: list[Batch] = []
        for given in islice(source, patches):
            x, y, weight = (part.clone() for part in as_batch(given))  # the source may reuse the same arrays
            taken.append((x, y, weight))
            if sum(len(batch[0]) for batch in taken) >= patches:
                break
        again = chain(taken, source)
        if self.stream is not None:
            self.stream = again
        elif self._make:  # a function may return the same iterator again
            self._begun = again
        return taken

    def rest_of(self, epoch: int, done: int) -> Iterator[Batch]:
        """Yield the remaining training batches of an epoch; a stream continues, other sources restart when they end."""
        if self.stream is not None:
            return iter(self)
        if isinstance(self._again, SavedPatches):
            rest = _saved_from(self._again, epoch * len(self) + done)
        else:
            rest = islice(self._repeated(), done, None)
        return map(as_batch, islice(rest, len(self) - done))

    def _restarted(self) -> Iterator[Any]:
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return begun
        if isinstance(self._again, SavedPatches):
            self._again.load_state_dict({"epoch": 0, "done": 0})
        return iter(self._make() if self._make else self._again)

    def _repeated(self) -> Iterator[Any]:
        while True:
            empty = True
            for given in self._restarted():
                empty = False
                yield given
            if empty:
                self.ended = True
                return


def _length(batches: Any) -> int | None:
    """Return the number of batches; None if unknown, for example for a DataLoader of an IterableDataset."""
    try:
        return len(batches)
    except (TypeError, NotImplementedError):
        return None


def _saved_from(saved: SavedPatches, batch: int) -> Iterator[Batch]:
    """Yield saved batches from number `batch` on, counted over all epochs; each epoch has a different order."""
    epoch, done = divmod(batch, len(saved))
    saved.load_state_dict({"epoch": epoch, "done": done})
    while True:
        yield from saved


class SharedBatches(IterableDataset[Batch]):
    """User's training batches, starting at the current position; each process gets its share of each batch."""

    def __init__(self, given: UserBatches, where: Where):
        self.given, self.where = given, where

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.given)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the remaining batches of the epoch."""
        at = self.where()
        return (share_of(batch, at.rank, at.world) for batch in self.given.rest_of(at.epoch, at.done))


def share_of(batch: Batch, rank: int, world: int) -> Batch:
    """Return the patches of a batch on which one of several processes trains.

    Raises
    ------
    TrainingError
        If the number of patches is not a multiple of the number of processes.

    Examples
    --------
    >>> x = torch.arange(4)[:, None]
    >>> share_of((x, x, x), 1, 2)[0].tolist()
    [[1], [3]]
    """
    if len(batch[0]) % world:
        raise TrainingError(
            f"a batch of {len(batch[0])} patches cannot be divided equally among {world} devices: use batches "
            f"whose size is a multiple of {world}"
        )
    x, y, weight = (part[rank::world] for part in batch)
    return x, y, weight


def loaders(
    learn: PatchSampler | UserBatches, watch: PatchSampler | UserBatches | None, where: Where
) -> tuple[DataLoader[Batch], DataLoader[Batch] | None]:
    """Return loaders for the training and the validation batches."""
    learnt = SamplerBatches(learn, where, True) if isinstance(learn, PatchSampler) else SharedBatches(learn, where)
    watched = SamplerBatches(watch, where, False) if isinstance(watch, PatchSampler) else watch
    return _loader(learnt), None if watched is None else _loader(watched)


def _loader(batches: IterableDataset[Batch]) -> DataLoader[Batch]:
    """Wrap batches in a loader without worker processes: forking is unsafe while a JVM has threads."""
    # A separate generator: each iterator draws a number, which would change torch's random state after a resumption.
    return DataLoader(batches, batch_size=None, num_workers=0, generator=torch.Generator())


# --- checks of the user's batches -----------------------------------------------------------------------


def as_batch(given: Any) -> Batch:
    """Return a user's batch as tensors, with weight 1 if it has no weight.

    Raises
    ------
    TrainingError
        If the batch is not (x, y) or (x, y, weight), or its shapes do not match.
    """
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise TrainingError(f"a batch is {_kind(given)}; expected (x, y) or (x, y, weight)")
    x, y = (torch.as_tensor(_array(a)) for a in given[:2])
    x = x.float()
    y = y.float() if y.ndim == x.ndim else y.long()
    weight = torch.as_tensor(_array(given[2])).float() if len(given) == 3 else torch.ones((len(x), *x.shape[2:]))
    if y.ndim == x.ndim:
        y = y[:, 0].long() if y.shape[1] == 1 else y
    spatial = tuple(x.shape[2:])
    if len(y) != len(x) or tuple(y.shape[-len(spatial) :]) != spatial or tuple(weight.shape) != (len(x), *spatial):
        raise TrainingError(
            f"a batch has x {tuple(x.shape)}, y {tuple(y.shape)} and weight {tuple(weight.shape)}; expected "
            "(B, C, ...), (B, ...) and (B, ...) of matching shape"
        )
    return x, y, weight.to(x.device)


def _array(given: Any) -> Any:
    return given if isinstance(given, torch.Tensor) else np.asarray(values(given))


def _kind(given: Any) -> str:
    return f"{len(given)} arrays" if isinstance(given, tuple | list) else f"a {type(given).__name__}"


def check_user_batches(first: Sequence[Batch], traits: Traits) -> None:
    """Refuse a user's batches if they do not fit the network, or if their targets do not fit the images.

    Raises
    ------
    TrainingError
        If there is no batch, or class ids or channels do not fit the network.
    """
    if not first:
        raise TrainingError("the iterable yields no batch; expected at least one")
    check_batches(first)
    top = max(int(ids[ids != IGNORE].max(initial=0)) for ids in (_ids(y) for _, y, _ in first))
    if top >= traits.n_classes:
        raise TrainingError(
            f"a batch contains the class id {top}; expected 0 to {traits.n_classes - 1}, or {IGNORE} = unknown"
        )
    channels = next((x.shape[1] for x, _, _ in first if x.shape[1] != traits.in_channels), None)
    if channels is not None:
        raise TrainingError(f"a batch has {channels} channel(s), but the network expects {traits.in_channels}")


def _ids(y: torch.Tensor) -> npt.NDArray[Any]:
    """Return the class ids of a batch, without the targets of further heads."""
    return np.asarray((y[:, 0] if y.is_floating_point() else y).cpu())


def used_settings(sampler: PatchSampler | UserBatches) -> dict[str, Any]:
    """Return the patch settings with which batches are made; None for unknown values."""
    known = described(sampler) if isinstance(sampler, PatchSampler) else {"batches": len(sampler)}
    return {name: known.get(name) for name in (*OF_PATCHES, "augment", "augmentation")}


def idle_settings(chosen: Settings, fine: Set[str], used: Mapping[str, Any]) -> list[str]:
    """Return the patch settings that were given but differ from those with which the batches are made."""
    idle = []
    for name in OF_PATCHES:
        asked, has = plain(getattr(chosen, name)), used[name]
        if name not in chosen.model_fields_set - fine or asked is None or asked == has:
            continue
        if name == "stride" and has is not None and all(asked == side for side in has):
            continue
        idle.append(f"{name}={asked}" if has is None else f"{name}={asked} (the batches have {has})")
    return idle
