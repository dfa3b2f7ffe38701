"""The command line: one command for each step, from installation to export."""

from __future__ import annotations

import logging
import sys
import warnings

from fijibridge.app.cli import dataset, export, prediction, reports, scaling, segmentation, setup, training, verbs
from fijibridge.app.cli.base import app
from fijibridge.errors import Cancelled, FijiBridgeError, FijiBridgeWarning

__all__ = ["COMMANDS", "app", "main"]

COMMANDS = (
    setup.install_scripts, setup.uninstall_scripts, setup.doctor, setup.demo, dataset.describe, dataset.check,
    scaling.ceiling, training.plan, training.train, prediction.predict, segmentation.label, segmentation.tune,
    segmentation.match, reports.report, reports.compare, export.export,
)  # fmt: skip
"""Functions that are commands, in the order of the help; ``run`` follows them."""

for _command in COMMANDS:
    app.command()(_command)
app.add_typer(verbs.runs, name="run")


def main() -> None:
    """Run the command line. Errors and warnings of fijibridge are printed as one line, others with a traceback."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    warnings.simplefilter("once", FijiBridgeWarning)
    warnings.formatwarning = _in_a_line
    try:
        app()
    except Cancelled as error:
        print(f"fijibridge: {error}", file=sys.stderr)
        sys.exit(130)  # the status that shells give for Ctrl-C
    except FijiBridgeError as error:
        print(f"fijibridge: {error}", file=sys.stderr)
        sys.exit(2)


_with_source = warnings.formatwarning


def _in_a_line(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    """Format a warning of fijibridge without its location in the source, which does not help in a shell."""
    if issubclass(category, FijiBridgeWarning):
        return f"fijibridge: warning: {message}\n"
    return _with_source(message, category, filename, lineno, line)
