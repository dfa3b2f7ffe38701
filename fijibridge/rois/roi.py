"""ImageJ's regions of interest (ROIs)."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from fijibridge.arrays import Floats
from fijibridge.errors import RoiError
from fijibridge.renames import rename_attributes
from fijibridge.rois import format, rasterization
from fijibridge.rois.kinds import AREAS, kind_of

rename_attributes(__name__, {
    "LINES": "rois.kinds:LINES", "read_rois": "rois.storage:read_rois", "write_rois": "rois.storage:write_rois",
})  # fmt: skip


_FARTHEST = 2**22
"""Largest coordinate of a spline, of which ImageJ stores a point for every other pixel."""


class Roi:
    """An ImageJ region of interest.

    Make a ROI with :meth:`polygon`, :meth:`rectangle`, :meth:`oval`, :meth:`line` or :meth:`points`, read it with
    :func:`read_rois`, or copy it from Fiji with ``fiji.rois()``. A ROI is immutable and wraps the bytes that ImageJ
    stores, so thousands of ROIs can be sent to Java in one call. Headers and vertices are decoded on demand. Two ROIs
    are equal if their bytes are equal.

    Examples
    --------
    >>> roi = Roi.polygon([(1, 1), (5, 1), (5, 4)], name="7")
    >>> roi
    Roi('7', polygon, x 1..5, y 1..4)
    >>> roi == Roi.from_bytes(roi.to_bytes())
    True
    """

    def __init__(self, data: bytes):
        self._bytes = data
        self.header = format.header(data)

    @classmethod
    def polygon(cls, xy: npt.ArrayLike, name: str = "", position: int = 0) -> Roi:
        """Make a closed polygon.

        Parameters
        ----------
        xy
            (n, 2) vertices, x before y. Whole numbers are stored as integers, other numbers with sub-pixel resolution.
        name
            Name of the ROI; for a cell, its id.
        position
            1-based slice number in the stack, as in ImageJ; 0 = all slices.
        """
        return cls(_stored(_vertices(ROI_TYPE.POLYGON, xy, position), name))

    @classmethod
    def line(cls, xy: npt.ArrayLike, width: float = 1, name: str = "", position: int = 0) -> Roi:
        """Make an open line through (n, 2) points, x before y; the line is `width` pixels wide."""
        data = _vertices(ROI_TYPE.POLYLINE, xy, position)
        data.stroke_width = round(width)
        data.float_stroke_width = float(width)
        return cls(_stored(data, name))

    @classmethod
    def points(cls, xy: npt.ArrayLike, name: str = "", position: int = 0) -> Roi:
        """Make a multi-point ROI from (n, 2) points, x before y."""
        return cls(_stored(_vertices(ROI_TYPE.POINT, np.atleast_2d(xy), position), name))

    @classmethod
    def rectangle(cls, x: int, y: int, width: int, height: int, name: str = "", position: int = 0) -> Roi:
        """Make a rectangle with its upper left corner at (x, y), in whole pixels."""
        return cls(_box(ROI_TYPE.RECT, x, y, width, height, name, position))

    @classmethod
    def oval(cls, x: int, y: int, width: int, height: int, name: str = "", position: int = 0) -> Roi:
        """Make the oval inscribed in the rectangle with its upper left corner at (x, y), in whole pixels."""
        return cls(_box(ROI_TYPE.OVAL, x, y, width, height, name, position))

    @classmethod
    def from_bytes(cls, data: bytes) -> Roi:
        """Read ImageJ's ROI format, as ``ij.io.RoiEncoder`` writes it.

        Raises
        ------
        RoiError
            If the bytes are not a ROI, or are truncated.
        """
        return cls(bytes(data))

    def to_bytes(self) -> bytes:
        """Return the ROI in ImageJ's format, for ``ij.io.RoiDecoder``."""
        return self._bytes

    @cached_property
    def data(self) -> ImagejRoi:
        """All fields of ImageJ's file format, as a :class:`roifile.ImagejRoi`; changing it does not change the ROI."""
        return ImagejRoi.frombytes(self._bytes)

    @cached_property
    def _second(self) -> format.SecondHeader:
        return format.second_header(self._bytes, self.header.second)

    @property
    def name(self) -> str:
        """Name in the ROI Manager; for a cell, its id."""
        return format.text(self._bytes, self._second.name_offset, self._second.name_length)

    @property
    def properties(self) -> dict[str, str]:
        """Properties that plugins and macros attached to the ROI."""
        lines = format.text(self._bytes, self._second.props_offset, self._second.props_length).splitlines()
        return dict(tuple(line.split(": ", 1)) for line in lines if ": " in line)  # type: ignore[misc]

    @property
    def kind(self) -> str:
        """Kind, named as in ImageJ: polygon, rectangle, oval, freehand, traced, composite, line, point ..."""
        return kind_of(self.header)

    @property
    def bounds(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels; right and bottom are exclusive."""
        head = self.header
        if head.type in (format.RECTANGLE, format.OVAL) and head.options & format.SUB_PIXEL and not head.shape_size:
            x, y, width, height = format.floats(self._bytes, 18, 4)
            left, top = int(x), int(y)  # rounded towards 0, as in ImageJ
            return left, top, left + math.ceil(width), top + math.ceil(height)
        if self._is_ellipse:
            return self._ellipse[1]
        return head.left, head.top, head.right, head.bottom

    @property
    def _is_ellipse(self) -> bool:
        return self.header.subtype == format.ELLIPSE and self.header.type == format.FREEHAND

    @cached_property
    def _ellipse(self) -> tuple[Floats, tuple[int, int, int, int]]:
        """Vertices and bounds of an ellipse. ImageJ stores vertices too, but recomputes them when it reads a ROI."""
        ends = format.floats(self._bytes, 18, 4).reshape(2, 2)
        return rasterization.ellipse(ends[0], ends[1], float(format.floats(self._bytes, 52, 1)[0]))

    @property
    def position(self) -> int:
        """1-based number of the plane in a stack; 0 = all planes.

        This is the slice of a hyperstack position, or its frame if the ROI is on the first slice or on all slices.
        """
        second = self._second
        return max(self.header.position, 0) or (second.t if second.z <= 1 and second.t > 0 else second.z)

    @property
    def hyperstack_position(self) -> tuple[int, int, int]:
        """1-based channel, slice and frame of a hyperstack; 0 = all."""
        return self._second.c, self._second.z, self._second.t

    @property
    def group(self) -> int:
        """ImageJ's group, 0 to 255; 0 = none."""
        return self._second.group

    @property
    def stroke_width(self) -> float:
        """Width of the line in pixels; 0 = ImageJ's thinnest line."""
        return self._second.stroke_width or float(self.header.stroke_width)

    @property
    def stroke_color(self) -> str | None:
        """Colour of the line, ``"#rrggbbaa"``; None = ImageJ's default."""
        return _color_name(self.header.stroke)

    @property
    def fill_color(self) -> str | None:
        """Fill colour, ``"#rrggbbaa"``; None = not filled."""
        return _color_name(self.header.fill)

    @property
    def counters(self) -> list[int]:
        """Counter of each point of a multi-point ROI, 0 to 99; empty if there are no counters."""
        return [word & 255 for word in self._point_words()]

    @property
    def point_positions(self) -> list[int]:
        """1-based slice number of each point of a multi-point ROI; empty if the points have no slice numbers."""
        positions = [word >> 8 for word in self._point_words()]
        return positions if any(positions) else []

    def _point_words(self) -> list[int]:
        """Return the integer stored for each point: its slice number, followed by 8 bits with its counter."""
        offset = self._second.counters_offset
        if self.kind != "point" or not offset:
            return []
        return [int(word) for word in np.frombuffer(self._bytes, ">i4", self.header.n, offset)]

    def renamed(self, name: str) -> Roi:
        """Return a copy with a new name."""
        return Roi(format.with_texts(self._bytes, name=str(name)))

    def styled(
        self,
        *,
        stroke: str | None = None,
        fill: str | None = None,
        width: float | None = None,
        group: int | None = None,
        properties: dict[str, str] | None = None,
    ) -> Roi:
        """Return a copy with a new style; parameters that are None leave their part of the style unchanged.

        Parameters
        ----------
        stroke, fill
            Matplotlib colours: ``"red"``, ``"#ff8800"``, or ``"#ff880080"`` with opacity.
        width
            Width of the line, in pixels.
        group
            ImageJ's group, 0 to 255; when ImageJ reads the ROI, the group determines the stroke colour.
        properties
            New properties, which replace all existing ones.
        """
        data = format.with_second_header(self._bytes)
        second = self.header.second or len(self._bytes)
        if stroke is not None:
            data = format.patched(data, 40, "I", argb(stroke))
        if fill is not None:
            data = format.patched(data, 44, "I", argb(fill))
        if width is not None:
            if not 0 <= width < 2**15:
                raise RoiError(f"width is {width}; expected a number of pixels, at least 0")
            data = format.patched(format.patched(data, 34, "H", int(width)), second + 36, "f", width)
        if group is not None:
            if not 0 <= group <= 255:
                raise RoiError(f"group is {group}; expected 0 to 255")
            data = format.patched(data, second + 30, "B", group)
        if properties is not None:
            text = "".join(f"{key}: {value}\n" for key, value in sorted(properties.items()))
            data = format.with_texts(data, properties=text)
        return Roi(data)

    def at(self, position: int = 0, *, c: int = 0, z: int = 0, t: int = 0) -> Roi:
        """Return a copy at another slice (`position`) or hyperstack position (`c`, `z`, `t`); 1-based, 0 = all."""
        data = format.with_second_header(self._bytes)
        data = format.patched(data, 56, "i", position)
        return Roi(format.patched(data, (self.header.second or len(self._bytes)) + 4, "i", c, z, t))

    def paths(self) -> list[Floats]:
        """Return the vertices of each part as an array of (n, 2) x, y.

        Holes are parts too. A closed part does not repeat its first vertex. Curves are returned as the short lines by
        which ImageJ approximates them.

        Raises
        ------
        RoiError
            If a ROI of this kind has no vertices.
        """
        head, kind = self.header, self.kind
        if kind == "composite":
            path = format.floats(self._bytes, format.HEADER, head.shape_size)
            try:
                parts = rasterization.path_parts(path) if np.isfinite(path).all() else []
            except (IndexError, ValueError):
                parts = []
            if not parts:
                raise RoiError(f"{self!r} is damaged: its path cannot be read")
            return [part[:-1] if len(part) > 1 and (part[0] == part[-1]).all() else part for part in parts]
        if kind == "rectangle":
            if head.arc:
                return [rasterization.rounded_rectangle(*self.bounds, head.arc)]
            left, top, right, bottom = self.bounds
            return [np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)]
        if kind in ("line", "arrow"):
            return [format.floats(self._bytes, 18, 4).reshape(2, 2)]
        if kind == "rotated_rect" and head.type == format.FREEHAND:  # ImageJ, too, treats other types as polygons
            ends = format.floats(self._bytes, 18, 4).reshape(2, 2)
            return [rasterization.rotated_rectangle(ends[0], ends[1], float(format.floats(self._bytes, 52, 1)[0]))]
        if self._is_ellipse:
            return [self._ellipse[0]]
        if kind in ("oval", "text", "image", "none"):
            raise RoiError(f"{self!r} has no vertices")
        points = format.vertices(self._bytes, head)
        if head.options & format.SPLINE_FIT:
            if not np.abs(points).max(initial=0) <= _FARTHEST:
                raise RoiError(f"{self!r} is damaged: it extends beyond pixel {_FARTHEST}")
            return [rasterization.spline(points, closed=kind in AREAS)]
        return [points]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Roi) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def _repr_html_(self) -> str:
        from fijibridge import displays

        facts: dict[str, Any] = {
            "kind": self.kind,
            "x": "{0} to {2}".format(*self.bounds),
            "y": "{1} to {3}".format(*self.bounds),
        }
        facts |= {"slice": self.position} if self.position else {}
        facts |= {"group": self.group} if self.group else {}
        return displays.page(f"Roi {self.name}", displays.facts(facts | self.properties), self._picture())

    def _picture(self) -> str:
        """Return the outline as an SVG; empty for kinds without an outline."""
        from fijibridge import displays

        left, top, right, bottom = self.bounds
        color = (self.stroke_color or "#0072b2")[:7]
        if self.kind == "oval":
            turn = np.linspace(0, 2 * np.pi, 73)[:, None]
            sides = np.array([right - left, bottom - top]) / 2
            parts = [np.array([left, top]) + sides * (1 + np.concatenate([np.cos(turn), np.sin(turn)], axis=1))]
        elif self.kind == "point":
            cross = np.array([(-1, 0), (1, 0), (0, 0), (0, -1), (0, 1)]) * max(right - left, bottom - top, 1) / 40
            parts = [cross + place for place in self.paths()[0][:500]]
        else:
            try:
                parts = self.paths()
            except RoiError:
                return ""
        return displays.outline(parts, self.kind in AREAS, self.bounds, color)

    def __repr__(self) -> str:
        left, top, right, bottom = self.bounds
        return f"Roi({self.name!r}, {self.kind}, x {left}..{right}, y {top}..{bottom})"


def argb(color: str) -> int:
    """Return a colour as ImageJ stores it, 0xAARRGGBB.

    Raises
    ------
    RoiError
        If Matplotlib does not know the colour.
    """
    from matplotlib.colors import to_rgba

    try:
        red, green, blue, alpha = (round(255 * v) for v in to_rgba(color))
    except ValueError as error:
        raise RoiError(
            f"{color!r} is not a colour; expected a name such as 'red' or a code such as '#ff8800'"
        ) from error
    return alpha << 24 | red << 16 | green << 8 | blue


def _color_name(value: int) -> str | None:
    return f"#{value & 0xFFFFFF:06x}{value >> 24:02x}" if value else None


def _refuse_too_far(low: npt.NDArray[Any], high: npt.NDArray[Any]) -> None:
    if low.min() < -5000 or high.max() > format.FARTHEST:
        where = f"from {low.tolist()} to {high.tolist()} (x, y)"
        raise RoiError(f"a ROI extends {where}, but ImageJ's format covers only -5000 to {format.FARTHEST}")


def _stored(data: ImagejRoi, name: str) -> bytes:
    """Return the bytes of a ROI with a name."""
    plain = all(ord(sign) < 2**16 for sign in name)
    data.name = name if plain else ""
    stored = bytes(data.tobytes())
    return stored if plain else format.with_texts(stored, name=name)  # roifile cuts off a name with two units per sign


def _vertices(kind: ROI_TYPE, xy: npt.ArrayLike, position: int) -> ImagejRoi:
    points = np.asarray(xy)
    least = 1 if kind == ROI_TYPE.POINT else 2
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < least:
        raise RoiError(f"vertices have shape {points.shape}; expected (n, 2), x before y, with n of at least {least}")
    if not np.isfinite(points.astype(float)).all():
        raise RoiError("vertices must be finite numbers")
    low = np.floor(points.min(axis=0)).astype(int)
    high = np.ceil(points.max(axis=0)).astype(int)
    _refuse_too_far(low, high)
    whole = np.array_equal(points, np.round(points)) and (high - low).max() < 2**15
    data = ImagejRoi(
        roitype=kind, position=position, n_coordinates=len(points),
        left=int(low[0]), top=int(low[1]), right=int(high[0]), bottom=int(high[1]),
        integer_coordinates=(np.round(points).astype(np.int32) - low.astype(np.int32)),
    )  # fmt: skip
    if not whole:
        data.options |= ROI_OPTIONS.SUB_PIXEL_RESOLUTION
        data.subpixel_coordinates = points.astype(np.float32)
    return data


def _box(kind: ROI_TYPE, x: int, y: int, width: int, height: int, name: str, position: int) -> bytes:
    if width <= 0 or height <= 0:
        raise RoiError(f"width {width} and height {height} must be positive")
    _refuse_too_far(np.array([x, y]), np.array([x + width, y + height]))
    data = ImagejRoi(
        roitype=kind,
        position=position,
        left=int(x),
        top=int(y),
        right=int(x + width),
        bottom=int(y + height),
    )
    return _stored(data, name)
