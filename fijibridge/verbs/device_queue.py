"""Queue of calls that compute on a device: one works, the others wait."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fijibridge.verbs.registry import Call

_REPORT_EVERY = 20  # tenths of a second


class DeviceQueue:
    """Lets one call at a time compute on each device."""

    def __init__(self) -> None:
        self._making = threading.Lock()
        self._locks: dict[str, threading.RLock] = {}
        self._working: dict[str, str] = {}

    @contextmanager
    def turn(self, device: str, call: Call) -> Iterator[None]:
        """Wait until a device is free, then reserve it for the with block.

        A waiting call reports which call it waits for, and can be cancelled. A verb may call another verb that computes
        on the same device, from the same thread.

        Parameters
        ----------
        device
            Name of the device, such as ``"cuda:0"``.
        call
            The call that computes.

        Raises
        ------
        Cancelled
            If the call is cancelled while it waits.
        """
        lock = self._acquire(device, call)
        before = self._working.get(device)
        try:
            self._working[device] = call.name or "another call"
            yield
        finally:
            if before is None:
                del self._working[device]
            else:
                self._working[device] = before
            lock.release()

    def _acquire(self, device: str, call: Call) -> threading.RLock:
        with self._making:
            lock = self._locks.setdefault(device, threading.RLock())
        waited = 0
        while not lock.acquire(timeout=0.1 if waited else 0):
            if waited % _REPORT_EVERY == 0:  # repeated, since the working call writes into the same status bar
                call.say(f"waiting for {self._working.get(device, 'another call')}, which computes on {device}")
            waited += 1
            call.check()
        return lock


QUEUE = DeviceQueue()
"""The queue of this process."""

in_turn = QUEUE.turn
