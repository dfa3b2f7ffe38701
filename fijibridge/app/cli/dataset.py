"""Commands for a folder of images: describe, check."""

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
    open_dataset,
)


def describe(
    folder: Annotated[Path, typer.Argument(help="folder of images, with or without their truth")],
    write: Annotated[
        bool, typer.Option("--write", help="write dataset.toml into the folder instead of only showing it")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace an existing dataset.toml")] = False,
) -> None:
    """Guess the description of a folder; print the evidence for it and the questions that only you can answer."""
    import fijibridge as fb
    from fijibridge.app.console import console

    guess = fb.describe_dataset(folder)
    console.print(str(guess), soft_wrap=True)
    if write:
        console.print(f"\nWrote {guess.write(overwrite=overwrite)}. Correct it, then run: fijibridge check {folder}")
    else:
        console.print(f"\n{guess.toml}\nNothing is written; add --write to write it.", soft_wrap=True)


def check(
    folder: Folder,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    each: Annotated[
        bool, typer.Option("--each", help="list every image, even where many have the same finding")
    ] = False,
) -> None:
    """Check all images and their truth; the exit status is 1 if there are problems."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.dataset import together

    patterns = {"image": image, "labels": labels, "region": region}
    given = any(patterns.values()) or test or validation
    checked = open_dataset(folder, **patterns, test=test, validation=validation) if given else folder
    findings = fb.check_dataset(checked)
    for finding in findings if each else together(findings):
        console.print(str(finding), soft_wrap=True)
    problems = sum(finding.severity == "problem" for finding in findings)
    console.print(f"{problems} problem(s), {len(findings) - problems} note(s)")
    if problems:
        raise typer.Exit(1)
