"""Verbs that start ImageJ, or look why it does not start."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fijibridge.app.cli.base import Seed, app

FijiFolder = Annotated[Path, typer.Argument(metavar="PATH_TO_FIJI", help="the folder of Fiji, or its application")]


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


@app.command("install-scripts")
def install_scripts(fiji: FijiFolder) -> None:
    """Put FijiBridge into the menu Plugins of a Fiji: its items call this Python. Run it again after an update."""
    from fijibridge.app.console import console
    from fijibridge.worker.installation import APPOSE, install

    done = install(fiji)
    console.print(f"{len(done.written)} scripts in {done.folder}; after a restart of Fiji: Plugins > FijiBridge")
    if done.removed:
        console.print(f"removed, their verbs are gone: {', '.join(done.removed)}")
    for name in done.kept:
        console.print(f"kept, for it is not as it was installed: {name}. Remove it to get the new one")
    if not done.appose:
        console.print(f"This Fiji has no Appose, by which the scripts speak with Python: {APPOSE}.")
        raise typer.Exit(1)


@app.command("uninstall-scripts")
def uninstall_scripts(fiji: FijiFolder) -> None:
    """Take FijiBridge out of the menu of a Fiji: exactly what install-scripts put there."""
    from fijibridge.app.console import console
    from fijibridge.worker.installation import uninstall

    done = uninstall(fiji)
    console.print(f"{len(done.removed)} scripts removed from {done.folder}")
    for name in done.kept:
        console.print(f"kept, for it is not as it was installed: {name}")
