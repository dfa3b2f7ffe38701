"""Batches brought to the device while it computes on the one before."""

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
    """An epoch's batches on a device, cut in a thread while the device computes.

    Two steps overlap with the computation: from disk or memory to a batch (in a thread, never a process: forking
    beside a JVM's threads is unsafe), and from there to the device, where patches are transformed; on a GPU from pinned
    memory, on a stream of its own. The thread takes one core: shared out over all of them, its many small steps would
    wait at each for cores on which the network computes.

    Parameters
    ----------
    sampler
        Gives the same batches by itself.
    device
        Where they are to be.
    ahead
        So many batches are cut before they are asked for.
    """

    def __init__(self, sampler: PatchSampler, device: torch.device | str, ahead: int = 2):
        self.sampler, self.device, self.ahead = sampler, torch.device(device), ahead

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[Batch]:
        """Bring an epoch, or what is left of it."""
        sampler = self.sampler
        epoch, first = sampler.epoch, sampler.done
        with _Cutting(sampler, epoch, first, self.ahead, self.device) as cutting:
            for number in range(first, len(sampler)):
                batch = cutting.next()
                sampler.done = number + 1
                yield batch
        sampler.epoch, sampler.done = epoch + 1, 0

    def state_dict(self) -> dict[str, Any]:
        """Return where it is: what was handed out, not what was cut ahead."""
        return self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.sampler.load_state_dict(state)


@cache
def _stream(device: torch.device) -> Any:
    """Return the one stream on which batches are brought: cuBLAS keeps up to 32 MiB for each that it ever saw."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class _Cutting:
    """The thread that cuts, moves and transforms, and the queue between."""

    def __init__(self, sampler: PatchSampler, epoch: int, first: int, ahead: int, device: torch.device):
        self.sampler, self.epoch, self.first, self.device = sampler, epoch, first, device
        self.ready: queue.Queue[Any] = queue.Queue(max(ahead, 1))
        self.over, self.alone = threading.Event(), threading.Event()
        self.stream: Any = _stream(device) if device.type == "cuda" else None
        self.thread = threading.Thread(target=self._work, name="fijibridge-patches", daemon=True)

    def __enter__(self) -> _Cutting:
        cores = torch.get_num_threads()
        self.thread.start()
        self.alone.wait()
        torch.set_num_threads(cores)  # the number is each thread's own, but what later threads begin with is not
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()

    def next(self) -> Batch:
        found, moved = self.ready.get()
        if isinstance(found, BaseException):
            raise found
        batch: Batch = found
        if moved is not None:
            here = torch.cuda.current_stream(self.device)
            here.wait_event(moved)
            for part in batch:
                part.record_stream(here)
        return batch

    def _work(self) -> None:
        torch.get_num_threads()  # a thread takes the common number once, when it first looks: before its own is set
        torch.set_num_threads(1)
        self.alone.set()
        try:
            for number in range(self.first, len(self.sampler)):
                if not self._put(self._brought(number)):
                    return
        except BaseException as error:
            self._put((error, None))

    def _put(self, found: Any) -> bool:
        while not self.over.is_set():
            try:
                self.ready.put(found, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def _brought(self, number: int) -> tuple[Batch, Any]:
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
