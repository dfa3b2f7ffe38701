"""Display of objects in notebooks: HTML with all text escaped, and PNG thumbnails.

This module is imported only when a notebook displays an object.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from fijibridge.image import Array

SIDE = 160
"""Length of the longer side of a thumbnail, in pixels."""
_ROWS = 20  # number of rows of a table that are shown
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")


class Thumbnail:
    """Small picture of an image that notebooks display; created by :func:`thumbnail`.

    Attributes
    ----------
    png : bytes
        The picture as a PNG file.
    """

    def __init__(self, png: bytes):
        self.png = png

    def _repr_png_(self) -> bytes:
        return self.png

    def __repr__(self) -> str:
        return f"Thumbnail({len(self.png)} bytes of PNG)"


def thumbnail(image: Array, side: int = SIDE) -> Thumbnail:
    """Return a small picture of an image, for a notebook.

    Parameters
    ----------
    image
        Image of any type, as for :func:`fijibridge.as_image`. The thumbnail shows the middle slice of a stack, the
        first frame of a time series, and the first channel; channels named red, green and blue are shown as colours.
        Label images (integers whose name ends in ``labels`` or ``cells``) are shown in distinct colours.
    side
        Length of the longer side, in pixels. Small images are not enlarged.

    Returns
    -------
    Thumbnail
        Picture whose grey values range from the 0.5th to the 99.5th percentile of the image.

    Examples
    --------
    >>> import numpy as np
    >>> thumbnail(np.eye(400), side=100).png[1:4]
    b'PNG'
    """
    from fijibridge.image import RGB, as_image, values

    plane = as_image(image)
    plane = plane.isel({d: plane.sizes[d] // 2 if d == "z" else 0 for d in ("t", "z") if d in plane.dims}, drop=True)
    names = tuple(map(str, plane.coords["c"].values)) if "c" in plane.dims and "c" in plane.coords else ()
    step = max(-(-max(plane.sizes["y"], plane.sizes["x"]) // side), 1)
    plane = plane.isel(
        y=slice(None, None, step), x=slice(None, None, step)
    )  # every n-th pixel, because ids of cells cannot be averaged
    if "c" in plane.dims and names != RGB:
        plane = plane.isel(c=0, drop=True)
    pixels = values(plane)
    if _are_labels(plane):
        return Thumbnail(_png(_colored(pixels)))
    return Thumbnail(_png(_scaled(pixels.transpose(1, 2, 0) if names == RGB else pixels, names == RGB)))


def _are_labels(plane: Any) -> bool:
    return plane.dtype.kind in "iu" and "c" not in plane.dims and str(plane.name or "").endswith(("labels", "cells"))


def _colored(labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    from fijibridge.glasbey import color_index, palette

    return palette()[color_index(labels)]


def _scaled(pixels: npt.NDArray[Any], in_colors: bool) -> npt.NDArray[np.uint8]:
    import numpy as np

    if in_colors and pixels.dtype == np.uint8:
        return pixels
    numbers = pixels.astype(float)
    known = numbers[np.isfinite(numbers)]
    low, high = np.percentile(known, (0.5, 99.5)) if known.size else (0.0, 1.0)
    if high <= low:
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    shown = np.clip((np.nan_to_num(numbers, nan=low) - low) / max(high - low, 1e-300), 0, 1)
    return np.asarray((shown * 255).round(), np.uint8)


def _png(pixels: npt.NDArray[np.uint8]) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


# --- HTML -------------------------------------------------------------------------------------------


def page(title: str, *parts: str) -> str:
    """Return an object's HTML: a title, which is escaped here, and parts, which are already HTML."""
    return f"<div><b>{html.escape(title)}</b>{''.join(parts)}</div>"


def facts(rows: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> str:
    """Return names and values as an HTML table with two columns."""
    pairs = rows.items() if isinstance(rows, Mapping) else rows
    cells = "".join(
        f'<tr><th style="text-align:left">{html.escape(str(name))}</th>'
        f'<td style="text-align:left">{html.escape(text(value))}</td></tr>'
        for name, value in pairs
    )
    return f"<table>{cells}</table>"


def paragraph(words: str) -> str:
    """Return text as an HTML paragraph that keeps the line breaks."""
    return f'<p style="white-space:pre-line">{html.escape(words)}</p>'


def rows(table: pd.DataFrame) -> str:
    """Return the last 20 rows of a table as HTML, with the number of earlier rows."""
    cut = table.tail(_ROWS)
    more = f"<p>{len(table) - len(cut)} earlier rows</p>" if len(cut) < len(table) else ""
    return more + str(cut.to_html(index=False, escape=True, na_rep="–", float_format=lambda v: f"{v:.4g}", border=0))


def text(value: Any) -> str:
    """Return a value as text: floats with up to 4 decimals, None and NaN as a dash, other values as :class:`str`."""
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def pictures(shown: Iterable[tuple[str, str, bytes]]) -> str:
    """Return HTML with pictures side by side; `shown` yields the title, caption and PNG bytes of each picture."""
    figures = "".join(
        f'<figure style="display:inline-block;margin:4px;vertical-align:top">'
        f'<img src="data:image/png;base64,{base64.b64encode(png).decode()}" alt="{html.escape(title)}"/>'
        f"<figcaption>{html.escape(title)}<br/><small>{html.escape(what)}</small></figcaption></figure>"
        for title, what, png in shown
    )
    return f"<div>{figures}</div>"


def curves(columns: Mapping[str, Sequence[float]], width: int = 360, height: int = 160) -> str:
    """Return an SVG plot of curves against their index, with a legend and without curves of fewer than two numbers."""
    known = {name: [(n, v) for n, v in enumerate(values) if v == v] for name, values in columns.items()}
    known = {name: points for name, points in known.items() if len(points) > 1}
    if not known:
        return ""
    numbers = [v for points in known.values() for _, v in points]
    low, high = min(numbers), max(numbers)
    last = max(n for points in known.values() for n, _ in points)
    lines = ""
    for number, (name, points) in enumerate(known.items()):
        color = _PALETTE[number % len(_PALETTE)]
        path = " ".join(
            f"{50 + (width - 60) * n / last:.1f},{10 + (height - 30) * (high - v) / ((high - low) or 1):.1f}"
            for n, v in points
        )
        lines += f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.5"/>'
        lines += _words(55 + 110 * number, height - 3, name, color)
    scale = _words(0, 18, f"{high:.3g}") + _words(0, height - 20, f"{low:.3g}")
    return f'<svg width="{width}" height="{height}" style="background:white">{scale}{lines}</svg>'


def _words(x: float, y: float, words: str, color: str = "black") -> str:
    return f'<text x="{x}" y="{y}" fill="{color}" font-size="11">{html.escape(words)}</text>'


def outline(parts: Sequence[npt.NDArray[Any]], closed: bool, box: tuple[int, int, int, int], color: str) -> str:
    """Return paths as an SVG that is no larger than a thumbnail.

    Parameters
    ----------
    parts
        One array of (n, 2) points x, y per path. Closed paths are filled together by the even-odd rule.
    closed
        True if the paths enclose areas.
    box
        Left, top, right and bottom bounds of all paths.
    color
        ``"#rrggbb"``.
    """
    left, top, right, bottom = box
    wide, high = max(right - left, 1), max(bottom - top, 1)
    scale = min(SIDE / max(wide, high), 20.0)
    lines = []
    for part in parts:
        points = " L".join(f"{(x - left) * scale + 2:.1f} {(y - top) * scale + 2:.1f}" for x, y in part.tolist())
        lines.append(f"M{points}{' Z' if closed else ''}")
    fill = f'fill="{color}" fill-opacity="0.25" fill-rule="evenodd"' if closed else 'fill="none"'
    size = f'width="{wide * scale + 4:.0f}" height="{high * scale + 4:.0f}"'
    return f'<svg {size}><path d="{" ".join(lines)}" {fill} stroke="{color}" stroke-width="1.5"/></svg>'
