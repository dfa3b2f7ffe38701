"""Observers of trainings, such as a progress bar or a window of Fiji; without Java and torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Observer(Protocol):
    """Receives the progress of a training.

    Optional methods: ``picture(epoch, image, prob)`` receives the middle of the first validation image and its class
    probabilities now and then, and those of the best epoch at the end; ``say(text)`` receives messages; ``ended(why)``
    receives the reason of the end, in words.
    """

    def progress(self, step: int, steps: int) -> None:
        """Receive the number of steps done, and of all steps."""

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Receive the metrics of an epoch, counted from 1; epoch 0 is before the first step."""


Factory = Callable[[], "Observer | None"]


class Watchers:
    """Factories of observers for the trainings of this process that are given none."""

    def __init__(self) -> None:
        self._factories: list[Factory] = []

    def add(self, factory: Factory) -> None:
        """Add a factory, which is called for each training that starts; it may return None."""
        self._factories.append(factory)

    def remove(self, factory: Factory) -> None:
        """Remove a factory; ignored if it was not added."""
        if factory in self._factories:
            self._factories.remove(factory)

    def observers(self) -> list[Observer]:
        """Return a new observer of each factory that makes one."""
        made = [factory() for factory in list(self._factories)]
        return [observer for observer in made if observer is not None]


WATCHERS = Watchers()


def add_watcher(factory: Factory) -> None:
    """Add a factory of observers to :data:`WATCHERS`."""
    WATCHERS.add(factory)


def remove_watcher(factory: Factory) -> None:
    """Remove a factory of observers from :data:`WATCHERS`."""
    WATCHERS.remove(factory)


def watchers() -> list[Observer]:
    """Return a new observer of each factory in :data:`WATCHERS`."""
    return WATCHERS.observers()
