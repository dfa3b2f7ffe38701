"""Fixtures of a Fiji that Python did not start."""

from tests.worker.conftest import cells, environment, home, jars, jvm, kept, nothing_is_left, run  # noqa: F401
