"""Who looks on while something is trained: a progress bar, a window of Fiji. Needs neither Java nor torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Factory = Callable[[], "Observer | None"]
_factories: list[Factory] = []


class Observer(Protocol):
    """Who wants to know how a training goes: a progress bar, a Fiji window.

    One may also have ``picture(epoch, image, prob)``: the middle of the first validation image and what the network
    says of it, now and then, and at the end as the best epoch has it; ``say(text)``; and ``ended(why)``, in words.
    """

    def progress(self, step: int, steps: int) -> None:
        """Hear that a step of so many is done."""

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Hear the metrics of an epoch, counted from 1; epoch 0 is before the first step."""


def add_watcher(factory: Factory) -> None:
    """Let each training that begins in this process, and is given no observers, be watched by what this makes."""
    _factories.append(factory)


def remove_watcher(factory: Factory) -> None:
    """Forget it."""
    if factory in _factories:
        _factories.remove(factory)


def watchers() -> Sequence[Observer]:
    """Return an observer of each that was added and is there."""
    made = [factory() for factory in list(_factories)]
    return [observer for observer in made if observer is not None]
