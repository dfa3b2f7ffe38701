"""Batches as Lightning iterates them: drawn by a sampler, or given by anyone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

import lightning.pytorch as pl
import torch
from torch.utils.data import DataLoader, IterableDataset

from fijibridge.errors import TrainingError
from fijibridge.nn.patches import Batch, Feed, SavedPatches
from fijibridge.nn.training.data import as_batch


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
    """Anyone's batches: of a function, of an object that can be gone through again, or of a stream that ends.

    Parameters
    ----------
    batches
        What gives them.
    count
        Batches of an epoch; None for as many as it says to have.
    otherwise
        For an epoch where it does not say.
    """

    def __init__(self, batches: Any, count: int | None, otherwise: int):
        self._make = batches if callable(batches) else None
        self.stream: Iterator[Any] | None = iter(batches) if isinstance(batches, Iterator) else None
        self._begun: Iterator[Any] | None = None
        self._again: Any = None if self._make or self.stream is not None else batches
        length = _length(self._again)
        self.says_its_length = length is not None
        self.count = count or (otherwise if length is None else length)
        self.ended = False

    def __len__(self) -> int:
        """Return the batches of an epoch, at the most."""
        return self.count

    def __iter__(self) -> Iterator[Batch]:
        """Go through it once, so far as an epoch goes."""
        if self.stream is None:
            yield from map(as_batch, islice(self._anew(), len(self)))
            return
        for _ in range(len(self)):
            try:
                given = next(self.stream)
            except StopIteration:
                self.ended = True
                return
            yield as_batch(given)

    def first(self, patches: int) -> list[Batch]:
        """Return the first batches, of so many patches; they come again, even if their arrays are filled anew."""
        source = self._anew() if self.stream is None else self.stream
        taken: list[Batch] = []
        for given in islice(source, patches):
            x, y, weight = (part.clone() for part in as_batch(given))
            taken.append((x, y, weight))
            if sum(len(batch[0]) for batch in taken) >= patches:
                break
        again = chain(taken, source)
        if self.stream is not None:
            self.stream = again
        elif self._make:  # a function may return an iterator that it returned before
            self._begun = again
        return taken

    def rest_of(self, epoch: int, done: int) -> Iterator[Batch]:
        """Go through what is left of an epoch to learn from: what ends within it begins anew, streams do not."""
        if self.stream is not None:
            return iter(self)
        if isinstance(self._again, SavedPatches):
            rest = _onwards(self._again, epoch * len(self) + done)
        else:
            rest = islice(self._again_and_again(), done, None)
        return map(as_batch, islice(rest, len(self) - done))

    def _anew(self) -> Iterator[Any]:
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return begun
        if isinstance(self._again, SavedPatches):
            self._again.load_state_dict({"epoch": 0, "done": 0})
        return iter(self._make() if self._make else self._again)

    def _again_and_again(self) -> Iterator[Any]:
        while True:
            empty = True
            for given in self._anew():
                empty = False
                yield given
            if empty:
                self.ended = True
                return


def _length(batches: Any) -> int | None:
    """Return how many batches there are; None where nothing says it, as of a DataLoader of an IterableDataset."""
    try:
        return len(batches)
    except (TypeError, NotImplementedError):
        return None


def _onwards(saved: SavedPatches, batch: int) -> Iterator[Batch]:
    """Go through saved patches from a batch on, counted over all times, each of which has an order of its own."""
    epoch, done = divmod(batch, len(saved))
    saved.load_state_dict({"epoch": epoch, "done": done})
    while True:
        yield from saved


class Learnt(IterableDataset[Batch]):
    """Anyone's batches as Lightning learns from them: each epoch from the batch that comes next, the device's share."""

    def __init__(self, given: Given, trainer: Callable[[], pl.Trainer]):
        self.given, self.trainer = given, trainer

    def __len__(self) -> int:
        """Return the batches of an epoch."""
        return len(self.given)

    def __iter__(self) -> Iterator[Batch]:
        """Go through what is left of the epoch."""
        trainer = self.trainer()
        rest = self.given.rest_of(trainer.current_epoch, trainer.fit_loop.epoch_loop.batch_progress.current.ready)
        return (share_of(batch, trainer.global_rank, trainer.world_size) for batch in rest)


def share_of(batch: Batch, rank: int, world: int) -> Batch:
    """Return the patches of a batch that one of several devices learns.

    Raises
    ------
    TrainingError
        If they cannot be shared equally.

    Examples
    --------
    >>> x = torch.arange(4)[:, None]
    >>> share_of((x, x, x), 1, 2)[0].tolist()
    [[1], [3]]
    """
    if len(batch[0]) % world:
        raise TrainingError(
            f"a batch of {len(batch[0])} patches cannot be shared by {world} devices equally: give batches of a "
            f"multiple of {world}"
        )
    x, y, weight = (part[rank::world] for part in batch)
    return x, y, weight


def loader(batches: IterableDataset[Batch] | None) -> DataLoader[Batch] | None:
    """Wrap batches as Lightning wants them, without worker processes: forking beside a JVM's threads is unsafe."""
    # with a generator of its own: an iterator draws one number, which dropout would miss after a resumption
    own = torch.Generator()
    return None if batches is None else DataLoader(batches, batch_size=None, num_workers=0, generator=own)
