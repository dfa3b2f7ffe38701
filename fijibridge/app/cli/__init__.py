"""The command line: one verb per public function, in the order of the data's way round."""

from __future__ import annotations

import logging
import sys
import warnings

from fijibridge.app.cli import (
    dataset,
    export,
    prediction,
    reports,
    scaling,
    segmentation,
    setup,
    training,
    verbs,
)
from fijibridge.app.cli.base import app
from fijibridge.errors import Cancelled, FijiBridgeError, FijiBridgeWarning

__all__ = [
    "app",
    "dataset",
    "export",
    "main",
    "prediction",
    "reports",
    "scaling",
    "segmentation",
    "setup",
    "training",
    "verbs",
]


def main() -> None:
    """Run the command line; errors and warnings of fijibridge are told in a line, others with their trace."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    warnings.simplefilter("once", FijiBridgeWarning)
    warnings.formatwarning = _in_a_line
    try:
        app()
    except Cancelled as error:
        print(f"fijibridge: {error}", file=sys.stderr)
        sys.exit(130)  # as a shell says of what Ctrl-C ended
    except FijiBridgeError as error:
        print(f"fijibridge: {error}", file=sys.stderr)
        sys.exit(2)


_with_source = warnings.formatwarning


def _in_a_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Set a warning of fijibridge without the place in the source, which says nothing to who types a command."""
    if issubclass(category, FijiBridgeWarning):
        return f"fijibridge: warning: {message}\n"
    return _with_source(message, category, filename, lineno, line)
