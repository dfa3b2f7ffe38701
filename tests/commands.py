"""The command line in a process of its own."""

from __future__ import annotations

from tests.warm import warm_python


def cli(*arguments: object, status: int = 0) -> str:
    """Run a command, and return what it prints."""
    return warm_python().command(*arguments, status=status)
