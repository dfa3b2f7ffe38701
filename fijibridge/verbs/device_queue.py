"""Let calls work on a device one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from fijibridge.verbs.registry import Call

_turns: dict[str, threading.RLock] = {}
_working: dict[str, str] = {}
_making = threading.Lock()
_TOLD_EVERY = 20  # tenths of a second


@contextmanager
def in_turn(device: str, call: Call) -> Iterator[None]:
    """Let one call at a time work on a device; the others wait, are told for whom, and can be cancelled meanwhile.

    A verb that works on it may call another that does, in its own thread.
    """
    with _making:
        lock = _turns.setdefault(device, threading.RLock())
    waited = 0
    while not lock.acquire(timeout=0.1 if waited else 0):
        if waited % _TOLD_EVERY == 0:  # again and again: who works tells how far it is in the same place
            call.say(f"waiting for {_working.get(device, 'another call')} that works on {device}")
        waited += 1
        call.check()
    before = _working.get(device)
    try:
        _working[device] = call.name or "another call"
        yield
    finally:
        if before is None:
            del _working[device]
        else:
            _working[device] = before
        lock.release()
