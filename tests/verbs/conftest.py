from __future__ import annotations

import pytest

from fijibridge.verbs import unregister
from fijibridge.verbs.registry import _registered


class Arrays:
    """A host that has arrays by name, and keeps what it is given."""

    def __init__(self, **images):
        self.images = images
        self.asked: list[str] = []
        self.given: list[object] = []

    def take(self, parameter, value, taken):
        self.asked.append(parameter.name)
        return self.images[value]

    def drawn(self, parameter, value):
        return False

    def give(self, result):
        self.given.append(result)


@pytest.fixture(autouse=True)
def _only_the_verbs_of_before():
    before = set(_registered)
    yield
    for name in set(_registered) - before:
        if not _registered[name].function.__module__.startswith("fijibridge.verbs."):
            unregister(name)
