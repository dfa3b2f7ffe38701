"""Pages of HTML, each one file that a browser opens without a network and that runs nothing."""

from __future__ import annotations

import base64
import io
import os
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

import fijibridge
from fijibridge.files import atomic


def write_page(path: str | os.PathLike[str], template: str, **told: Any) -> None:
    """Write a page by its template, atomically.

    Parameters
    ----------
    path
        Of the HTML file.
    template
        Its name, of those beside this module; all extend ``page.html.j2``.
    **told
        What the template shows; `made` and `version` are given.
    """
    made = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z")
    page = _environment().get_template(template).render(made=made, version=fijibridge.__version__, **told)
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


def inline(picture: npt.NDArray[np.float64] | Figure) -> str:
    """Return a picture as a page holds it: a figure as SVG; (Y, X) or (Y, X, 3) from 0 to 1 as PNG."""
    file = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(file, format="svg", metadata={"Date": None})
        return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()
    Image.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fijibridge.reports", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = _number
    environment.globals["zip"] = zip
    return environment


def _number(value: object) -> str:
    """Write counts as they are, ratios with 4 digits, and what is not defined as a dash."""
    if value is pd.NA or (isinstance(value, float) and value != value):
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() and abs(value) > 1 else f"{value:.4f}"
