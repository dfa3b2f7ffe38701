"""Kinds of ROIs in ImageJ: polygon, rectangle, oval, line, point ..."""

from __future__ import annotations

from fijibridge.rois import format

AREAS = ("polygon", "rectangle", "oval", "freehand", "traced", "composite", "ellipse", "rotated_rect")
"""Kinds that enclose pixels."""
LINES = ("line", "polyline", "freeline")
"""Kinds that follow a line."""

_TYPES = {
    format.POLYGON: "polygon", format.RECTANGLE: "rectangle", format.OVAL: "oval", format.LINE: "line",
    format.FREELINE: "freeline", format.POLYLINE: "polyline", format.NONE: "none", format.FREEHAND: "freehand",
    format.TRACED: "traced", format.ANGLE: "angle", format.POINT: "point",
}  # fmt: skip
_SUBTYPES = {
    format.TEXT: "text", format.ARROW: "arrow", format.ELLIPSE: "ellipse", format.IMAGE: "image",
    format.ROTATED_RECT: "rotated_rect",
}  # fmt: skip


def kind_of(header: format.Header) -> str:
    """Return the kind of a ROI with this header.

    Examples
    --------
    >>> from fijibridge.rois import Roi
    >>> kind_of(Roi.oval(2, 3, 4, 5).header)
    'oval'
    """
    if header.shape_size:  # several parts; the stored type is the rectangle that bounds them
        return "composite"
    return _SUBTYPES.get(header.subtype) or _TYPES[header.type]
