"""Verbs of a folder of images: describe, check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fijibridge.app.cli.base import (
    Folder,
    ImagePattern,
    LabelsPattern,
    RegionPattern,
    TestNames,
    ValidationNames,
    app,
    open_dataset,
)


@app.command()
def describe(
    folder: Annotated[Path, typer.Argument(help="folder of images, and perhaps of their truth")],
    write: Annotated[
        bool, typer.Option("--write", help="write dataset.toml into the folder; else only show it")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="a dataset.toml that is there may be lost")] = False,
) -> None:
    """Guess a description of a folder, and say from what it was guessed and what nobody can know."""
    import fijibridge as fb
    from fijibridge.app.console import console

    guess = fb.describe_dataset(folder)
    console.print(str(guess), soft_wrap=True)
    if write:
        console.print(f"\n{guess.write(overwrite=overwrite)} is written; correct it and run: fijibridge check {folder}")
    else:
        console.print(f"\n{guess.toml}\nNothing is written; --write does it.", soft_wrap=True)


@app.command()
def check(
    folder: Folder,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    each: Annotated[bool, typer.Option("--each", help="tell every image, also what is the same for many")] = False,
) -> None:
    """Look at all images and their truth; exit status 1 if there are problems."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.dataset import together

    patterns = {"image": image, "labels": labels, "region": region}
    given = any(patterns.values()) or test or validation
    findings = fb.check_dataset(open_dataset(folder, **patterns, test=test, validation=validation) if given else folder)
    for finding in findings if each else together(findings):
        console.print(str(finding), soft_wrap=True)
    problems = sum(finding.severity == "problem" for finding in findings)
    console.print(f"{problems} problem(s), {len(findings) - problems} note(s)")
    if problems:
        raise typer.Exit(1)
