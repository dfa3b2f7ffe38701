"""Verbs that put FijiBridge into the menu of a Fiji, and take it out again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fijibridge.app.cli.base import app

FijiFolder = Annotated[Path, typer.Argument(metavar="PATH_TO_FIJI", help="the folder of Fiji, or its application")]


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
    if done.compiler:
        console.print(f"The first call in Fiji will need a network: {done.compiler}.")
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
