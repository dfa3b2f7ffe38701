"""Watchers of trainings."""

from __future__ import annotations

from fijibridge import observers


def test_each_training_gets_a_new_observer_of_each_factory():
    watchers = observers.Watchers()
    made = []

    def make():
        made.append(object())
        return made[-1]

    watchers.add(make)
    watchers.add(lambda: None)
    first, second = watchers.observers(), watchers.observers()
    assert first == made[:1]
    assert second == made[1:]
    watchers.remove(make)
    watchers.remove(make)
    assert watchers.observers() == []


def test_the_watchers_of_this_process():
    def make():
        return None

    observers.add_watcher(make)
    assert make in observers.WATCHERS._factories
    observers.remove_watcher(make)
    assert make not in observers.WATCHERS._factories
