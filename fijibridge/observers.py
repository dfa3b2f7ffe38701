"""Observers of training runs, such as a progress bar or a window in Fiji. This module needs neither Java nor torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Observer(Protocol):
    """Receives the progress of a training run.

    Optional methods: ``picture(epoch, image, prob)`` receives the central part of the first validation image and its
    class probabilities from time to time and, at the end, the probabilities of the best epoch; ``say(text)`` receives
    messages; ``ended(why)`` receives a text that says why the run ended.
    """

    def progress(self, step: int, steps: int) -> None:
        """Receive the number of completed steps, and the total number of steps."""

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Receive the metrics of an epoch. Epochs count from 1; epoch 0 is the state before the first step."""


Factory = Callable[[], "Observer | None"]


class Watchers:
    """Factories that create observers for training runs of this process that are started without observers."""

    def __init__(self) -> None:
        self._factories: list[Factory] = []

    def add(self, factory: Factory) -> None:
        """Add a factory, which is called for each run that starts, and which may return None."""
        self._factories.append(factory)

    def remove(self, factory: Factory) -> None:
        """Remove a factory; do nothing if it was not added."""
        if factory in self._factories:
            self._factories.remove(factory)

    def observers(self) -> list[Observer]:
        """Return a new observer from each factory that does not return None."""
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
    """Return a new observer from each factory in :data:`WATCHERS` that does not return None."""
    return WATCHERS.observers()
