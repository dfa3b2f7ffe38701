"""Verbs of a test."""

from __future__ import annotations

import pytest

from fijibridge import verbs
from fijibridge.verbs import unregister


@pytest.fixture
def own():
    """Register verbs for one test."""
    names = []

    def register(title, function, **more):
        verbs.verb(title, **more)(function)
        names.append(title.lower().strip(".").replace(" ", "_"))
        return function

    yield register
    for name in names:
        unregister(name)
