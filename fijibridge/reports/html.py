"""HTML pages: each is one file, without scripts, that a browser opens without a network."""

from __future__ import annotations

import base64
import io
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from fijibridge.files import atomic
from fijibridge.version import __version__

T = TypeVar("T")


@dataclass(frozen=True)
class Section(Generic[T]):
    """One part of a report.

    To add a section to a report, write its template and a function for its values, and add a line to the report's list
    ``SECTIONS``.

    Attributes
    ----------
    template
        Path of a file in ``templates``, without its ending; the last part of the path is the anchor of the heading.
    title
        Heading; empty for a section without one.
    values
        Function that converts the data of the report to the values that the template shows.
    needs
        Function that returns whether a report has this section; by default, all reports have it.
    """

    template: str
    title: str
    values: Callable[[T], Mapping[str, Any]]
    needs: Callable[[T], object] = lambda _: True

    @property
    def anchor(self) -> str:
        """Anchor of the heading."""
        return self.template.rpartition("/")[2]

    def render(self, report: T) -> Markup:
        """Return the HTML of the section."""
        heading = Markup('<h2 id="{}">{}</h2>\n').format(self.anchor, self.title) if self.title else Markup()
        body = _environment().get_template(f"{self.template}.html.j2").render(**self.values(report))
        return heading + Markup(body)


def write_page(
    path: str | os.PathLike[str], title: str, sections: Sequence[Section[T]], report: T, *, lead: str = ""
) -> None:
    """Write a report as a page, atomically.

    Parameters
    ----------
    path
        Path of the HTML file.
    title
        Title of the page.
    sections
        Sections, in order; sections that the report does not need are left out.
    report
        Data of the report, which the sections read.
    lead
        Text below the title, before version and time.
    """
    page = _environment().get_template("page.html.j2").render(
        title=title, lead=lead, sections=[section.render(report) for section in sections if section.needs(report)],
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"), version=__version__,
    )  # fmt: skip
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


@dataclass(frozen=True)
class ShownImage:
    """An image of a report.

    Attributes
    ----------
    name
        Name of the image.
    note
        Line below the name.
    layers
        Pictures as data URIs, by name; the reader switches between them.
    """

    name: str
    note: str
    layers: Mapping[str, str]


def inline(picture: npt.NDArray[np.float64] | Figure) -> str:
    """Encode a picture as a data URI.

    Parameters
    ----------
    picture
        A figure, encoded as SVG; or an array (Y, X) or (Y, X, 3) with values from 0 to 1, encoded as PNG.
    """
    file = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(file, format="svg", metadata={"Date": None})
        return "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()
    Image.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8)).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def inline_all(pictures: Mapping[str, npt.NDArray[np.float64]]) -> dict[str, str]:
    """Encode pictures as data URIs, by name."""
    return {name: inline(picture) for name, picture in pictures.items()}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fijibridge.reports", "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["number"] = _number
    environment.globals["zip"] = zip
    return environment


def _number(value: object) -> str:
    """Format a count as an integer, a ratio with 4 decimals, an undefined value as a dash."""
    if value is pd.NA or (isinstance(value, float) and value != value):
        return "–"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if value.is_integer() and abs(value) > 1 else f"{value:.4f}"
