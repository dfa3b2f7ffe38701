"""The verb export: a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from fijibridge.app.cli.base import app


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="model file, or the folder of a run")],
    out: Annotated[Path, typer.Argument(help="folder to be made, or a file that ends in .zip")],
    image: Annotated[Path, typer.Option(help="a real image; from its middle the test image is cut")],
    author: Annotated[list[str], typer.Option(help="name of an author; repeat")],
    license: Annotated[str, typer.Option(help="by its SPDX name, such as CC-BY-4.0")],
    name: Annotated[str | None, typer.Option(help="of the model, for people")] = None,
    description: Annotated[str | None, typer.Option(help="of the model, for people")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="such as the microscope or the tissue; repeat")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="what is at OUT may be replaced")] = False,
) -> None:
    """Export a model in the format of bioimage.io, for deepImageJ in Fiji, ilastik, QuPath and others."""
    import fijibridge as fb
    from fijibridge.app.console import console
    from fijibridge.files import read_image

    given = {"name": name, "description": description}
    words: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    written = fb.export_model(
        model,
        out,
        image=read_image(image),
        authors=author,
        license=license,
        tags=tag or (),
        overwrite=overwrite,
        **words,
    )
    console.print(f"The model, checked by bioimageio.spec, is in {written}")
