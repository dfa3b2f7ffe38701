"""Verbs that start ImageJ, or look why it does not start."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fijibridge.app.cli.base import Seed, app


class Mode(StrEnum):
    """With ImageJ's windows, or without a display."""

    headless = "headless"
    interactive = "interactive"


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("demo"),
    mode: Annotated[Mode, typer.Option(help="with ImageJ's windows, or without a display")] = Mode.headless,
    epochs: Annotated[int, typer.Option(min=0, help="0 shows that it is learning that reaches the goal")] = 12,
    seed: Seed = 0,
) -> None:
    """Run the whole round trip on drawn images: ImageJ, U-Net, cells, match table, ImageJ (about 2 minutes)."""
    from fijibridge.app.demo import run_demo

    outcome = run_demo(out, mode.value, epochs=epochs, seed=seed)
    raise typer.Exit(0 if outcome.passed else 1)


@app.command()
def doctor(
    start: Annotated[bool, typer.Option(help="start the embedded ImageJ and the worker of Fiji's scripts too")] = True,
) -> None:
    """Look at Java, memory, Fiji, its scripts, display, Maven, torch and GPU: what is wrong, and how to mend it."""
    from fijibridge.app.console import console
    from fijibridge.app.doctor import examine

    findings = examine(start)
    for finding in findings:
        console.print(f"{finding.state:<8} {finding.what}: {finding.found}")
        if finding.mend:
            console.print(f"         -> {finding.mend}")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
