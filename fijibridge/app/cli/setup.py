"""Commands for the installation: scripts for Fiji, doctor, demo."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fijibridge.app.cli.base import Seed

FijiFolder = Annotated[Path, typer.Argument(metavar="PATH_TO_FIJI", help="folder of Fiji, or its application")]


class Mode(StrEnum):
    """With ImageJ's windows, or without a display."""

    headless = "headless"
    interactive = "interactive"


def install_scripts(fiji: FijiFolder) -> None:
    """Add FijiBridge to Fiji's menu Plugins; its items call this Python. Run this again after an update."""
    from fijibridge.app.console import console
    from fijibridge.worker.installation import APPOSE, install

    done = install(fiji)
    console.print(f"{len(done.written)} scripts in {done.folder}; restart Fiji to see them in Plugins > FijiBridge")
    if done.removed:
        console.print(f"removed (their verbs no longer exist): {', '.join(done.removed)}")
    for name in done.kept:
        console.print(f"kept (modified since installation): {name}. Delete it to get the new one")
    if not done.appose:
        console.print(f"This Fiji has no Appose, through which scripts talk to Python: {APPOSE}.")
        raise typer.Exit(1)


def uninstall_scripts(fiji: FijiFolder) -> None:
    """Remove FijiBridge from Fiji's menu: exactly the files that install-scripts wrote."""
    from fijibridge.app.console import console
    from fijibridge.worker.installation import uninstall

    done = uninstall(fiji)
    console.print(f"{len(done.removed)} scripts removed from {done.folder}")
    for name in done.kept:
        console.print(f"kept (modified since installation): {name}")


def doctor(
    start: Annotated[
        bool, typer.Option(help="also start the embedded ImageJ, Fiji and the worker of Fiji's scripts")
    ] = True,
) -> None:
    """Check Java, memory, Fiji, its scripts, display, Maven, torch and GPU; print problems and their remedies."""
    from fijibridge.app.console import console
    from fijibridge.app.doctor import examine

    findings = examine(start)
    for finding in findings:
        console.print(f"{finding.state:<8} {finding.what}: {finding.found}")
        if finding.mend:
            console.print(f"         -> {finding.mend}")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)


def demo(
    out: Annotated[Path, typer.Option(help="folder for the results")] = Path("demo"),
    mode: Annotated[Mode, typer.Option(help="with ImageJ's windows, or without a display")] = Mode.headless,
    epochs: Annotated[int, typer.Option(min=0, help="epochs of the training; 0 shows that training matters")] = 12,
    seed: Seed = 0,
) -> None:
    """Run all steps on synthetic images: ImageJ, U-Net, cells, match table, ImageJ (about 2 minutes)."""
    from fijibridge.app.demo import run_demo

    outcome = run_demo(out, mode.value, epochs=epochs, seed=seed)
    raise typer.Exit(0 if outcome.passed else 1)
