"""Prefetching: batches are cut and moved to the device while the device computes on the previous batch."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any

import torch

from fijibridge.nn.patches.sample import Batch
from fijibridge.nn.patches.sampler import PatchSampler


class Feed:
    """Batches of an epoch on a device, cut in a thread while the device computes.

    Two steps overlap with the computation. First, a thread cuts a batch from disk or memory (not a process, because
    forking is unsafe while a JVM has threads). Second, the batch is moved to the device, where patches are transformed;
    for a GPU, this uses pinned memory and a separate stream. The thread uses a single core, because many small
    operations spread over all cores would each wait for cores on which the network computes.

    Parameters
    ----------
    sampler
        Source of the batches.
    device
        Device to which the batches are moved.
    ahead
        Number of batches cut in advance.
    """

    def __init__(self, sampler: PatchSampler, device: torch.device | str, ahead: int = 2):
        self.sampler, self.device, self.ahead = sampler, torch.device(device), ahead

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches of an epoch, or its remaining batches."""
        sampler = self.sampler
        epoch, first = sampler.epoch, sampler.done
        with _Prefetch(sampler, epoch, first, self.ahead, self.device) as prefetch:
            for number in range(first, len(sampler)):
                batch = prefetch.next()
                sampler.done = number + 1
                yield batch
        sampler.epoch, sampler.done = epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Return the position, which counts the batches already yielded, but not those cut in advance."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a position returned by :meth:`state_dict`."""
        self.sampler.load_state_dict(state)


@cache
def _stream(device: torch.device) -> Any:
    """Return the device's stream for batches, which is reused because cuBLAS keeps up to 32 MiB for each stream."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class _Prefetch:
    """Thread that cuts, moves and transforms batches, and puts them into a queue for the consumer."""

    def __init__(self, sampler: PatchSampler, epoch: int, first: int, ahead: int, device: torch.device):
        self.sampler, self.epoch, self.first, self.device = sampler, epoch, first, device
        self.ready: queue.Queue[Any] = queue.Queue(max(ahead, 1))
        self.over, self.alone = threading.Event(), threading.Event()
        self.stream: Any = _stream(device) if device.type == "cuda" else None
        self.thread = threading.Thread(target=self._work, name="fijibridge-patches", daemon=True)

    def __enter__(self) -> _Prefetch:
        cores = torch.get_num_threads()
        self.thread.start()
        self.alone.wait()
        torch.set_num_threads(cores)  # the thread changed the default for threads started later: restore it
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def next(self) -> Batch:
        found, moved = self.ready.get()
        if isinstance(found, BaseException):
            raise found
        batch: Batch = found
        if moved is not None:  # let the consumer's stream wait for the copy, whose memory it uses
            here = torch.cuda.current_stream(self.device)
            here.wait_event(moved)
            for part in batch:
                part.record_stream(here)
        return batch

    def _work(self) -> None:
        torch.get_num_threads()  # makes torch read the default now: later, it would overwrite the number set below
        torch.set_num_threads(1)
        self.alone.set()
        try:
            for number in range(self.first, len(self.sampler)):
                if not self._put(self._prepared(number)):
                    return
        except BaseException as error:
            self._put((error, None))

    def _put(self, found: Any) -> bool:
        """Queue a result; return False if the consumer has stopped."""
        while not self.over.is_set():
            try:
                self.ready.put(found, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _prepared(self, number: int) -> tuple[Batch, Any]:
        batch = self.sampler.cut(self.epoch, number)
        if self.stream is None:
            x, y, weight = (part.to(self.device) for part in batch)
            return self.sampler.transform((x, y, weight), self.epoch, number), None
        with torch.cuda.stream(self.stream):
            x, y, weight = (part.pin_memory().to(self.device, non_blocking=True) for part in batch)
            done = self.sampler.transform((x, y, weight), self.epoch, number)
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(self.stream)
        return done, event
