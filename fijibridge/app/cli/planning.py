"""The verb plan: what a training will do and take, before it starts."""

from __future__ import annotations

import json
from typing import Annotated, Any

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
from fijibridge.app.cli.options import takes
from fijibridge.verbs import training as verbs


@app.command()
@takes(verbs.plan, without=("folder",), after="validation")
def plan(
    folder: Folder,
    image: ImagePattern = None,
    labels: LabelsPattern = None,
    region: RegionPattern = None,
    test: TestNames = None,
    validation: ValidationNames = None,
    as_json: Annotated[bool, typer.Option("--json", help="print it as JSON")] = False,
    **options: Any,
) -> None:
    """Say what a training on a folder will do and take: patches, coverage, memory, time. Nothing is trained."""
    import fijibridge as fb
    from fijibridge.app.console import console

    dataset = open_dataset(folder, image=image, labels=labels, region=region, test=test, validation=validation)
    made = fb.plan(**verbs.planned(dataset, **options))
    if as_json:
        print(json.dumps(made.to_dict(), indent=2))
        return
    console.print(f"{dataset}\n{made}", highlight=False, soft_wrap=True)
