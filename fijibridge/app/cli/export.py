"""Command export: a model for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def export(
    model: Annotated[Path, typer.Argument(help="model file, or the folder of a run")],
    out: Annotated[Path, typer.Argument(help="new folder, or a file that ends in .zip")],
    image: Annotated[Path, typer.Option(help="real image; its central part becomes the test image")],
    author: Annotated[list[str], typer.Option(help="name of an author; repeat for more")],
    license: Annotated[str, typer.Option(help="SPDX name of the license, such as CC-BY-4.0")],
    name: Annotated[str | None, typer.Option(help="human-readable name of the model")] = None,
    description: Annotated[str | None, typer.Option(help="human-readable description of the model")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="tag, such as microscope or tissue; repeat for more")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="replace what exists at OUT")] = False,
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
    console.print(f"Wrote the model, checked by bioimageio.spec, to {written}")
