"""Reader and writer of ImageJ's ROI format. Many outlines are encoded at once.

The layout is that of ``ij.io.RoiEncoder``: a header of 64 bytes, the coordinates, a second header of 64 bytes, the
name, the properties and the point counters; numbers are big-endian.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fijibridge.errors import RoiError
from fijibridge.rois.tracing import Outlines

HEADER = 64
MAGIC = b"Iout"
VERSION = 228
POLYGON, RECTANGLE, OVAL, LINE, FREELINE, POLYLINE, NONE, FREEHAND, TRACED, ANGLE, POINT = range(11)
TEXT, ARROW, ELLIPSE, IMAGE, ROTATED_RECT = range(1, 6)
SPLINE_FIT, SUB_PIXEL = 1, 128
FARTHEST = 60_000
"""Largest coordinate that ImageJ stores as an integer."""

_FIRST = struct.Struct(">4shBxHHHHH16xHiIIHHxxHiI")
_SECOND = struct.Struct(">4xiiiiiIHBBifiiI")


class Header(NamedTuple):
    """Fields of the first header.

    Attributes
    ----------
    type, subtype, options
        As in ``ij.io.RoiDecoder``.
    left, top, right, bottom
        Bounds in pixels.
    n
        Number of vertices; 0 for a shape without vertices.
    shape_size
        Number of floats in the path of a composite ROI; 0 for other ROIs.
    stroke_width
        Width of the line, in whole pixels.
    stroke, fill
        Colours as 0xAARRGGBB, 0 = none.
    arc
        Diameter of a rectangle's rounded corners.
    position
        1-based slice number, 0 = all slices.
    second
        Offset of the second header, 0 = none.
    """

    type: int
    left: int
    top: int
    right: int
    bottom: int
    n: int
    shape_size: int
    stroke_width: int
    stroke: int
    fill: int
    subtype: int
    options: int
    arc: int
    position: int
    second: int


def header(data: bytes) -> Header:
    """Read the first header.

    Raises
    ------
    RoiError
        If the bytes are not an ImageJ ROI, or are truncated.
    """
    if len(data) < HEADER or data[:4] != MAGIC:
        raise RoiError(
            f"{len(data)} bytes are not an ImageJ ROI: expected a header of 64 bytes that begins with 'Iout'"
        )
    (_, version, kind, top, left, bottom, right, n, stroke_width, shape_size, stroke, fill, subtype, options, arc,
     position, second) = _FIRST.unpack_from(data)  # fmt: skip
    if kind > POINT or version < 200:
        raise RoiError(f"{len(data)} bytes are not an ImageJ ROI: type {kind}, version {version}")
    if n == 0 and kind == POINT:
        (n,) = struct.unpack_from(">i", data, 18)
    sub_pixel = options & SUB_PIXEL and version >= 222
    promised = HEADER + (4 * shape_size if shape_size > 0 else n * (12 if sub_pixel else 4))
    if len(data) < max(promised, second):
        raise RoiError(f"the ImageJ ROI is truncated: it has {len(data)} of {max(promised, second)} bytes")
    if version < 218:
        subtype = options = stroke = fill = arc = 0
    options &= ~SUB_PIXEL if version < 222 else 0xFFFF
    return Header(kind, _signed(left), _signed(top), _signed(right), _signed(bottom), n, max(shape_size, 0),
                  stroke_width, stroke, fill, subtype, options, arc, position, second)  # fmt: skip


def _signed(value: int) -> int:
    """Return a 16-bit number as ImageJ interprets it: -5000 to 60535."""
    return value - 65536 if value > 60535 else value


class SecondHeader(NamedTuple):
    """Fields of the second header: hyperstack position, group, exact stroke width, offsets of name and properties."""

    c: int
    z: int
    t: int
    name_offset: int
    name_length: int
    label_color: int
    font_size: int
    group: int
    opacity: int
    image_size: int
    stroke_width: float
    props_offset: int
    props_length: int
    counters_offset: int


def second_header(data: bytes, offset: int) -> SecondHeader:
    """Read the second header; all fields are 0 if there is none."""
    if not offset:
        return SecondHeader(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0, 0, 0)
    return SecondHeader(*_SECOND.unpack_from(data[offset : offset + HEADER].ljust(HEADER, b"\0")))


def text(data: bytes, offset: int, length: int) -> str:
    """Read the name or the properties, `length` UTF-16 characters at an offset; return ``""`` if there are none."""
    return data[offset : offset + 2 * length].decode("utf-16-be", "replace") if offset and length else ""


def patched(data: bytes, offset: int, kind: str, *values: float) -> bytes:
    """Return the bytes with `values` written at an offset; `kind` is a format character of :mod:`struct`."""
    packed = struct.pack(f">{len(values)}{kind}", *values)
    return data[:offset] + packed + data[offset + len(packed) :]


def with_second_header(data: bytes) -> bytes:
    """Return the bytes with a second header; add one if it is missing, as in old files."""
    if header(data).second:
        return data
    return patched(data, 60, "i", len(data)) + bytes(HEADER)


def with_texts(data: bytes, *, name: str | None = None, properties: str | None = None) -> bytes:
    """Return the bytes with a new name or new properties."""
    data = with_second_header(data)
    at = header(data).second
    second = second_header(data, at)
    texts = [
        (text(data, second.name_offset, second.name_length) if name is None else name).encode("utf-16-be"),
        (text(data, second.props_offset, second.props_length) if properties is None else properties).encode(
            "utf-16-be"
        ),
    ]
    counters = data[second.counters_offset :] if second.counters_offset else b""
    data = data[: at + HEADER].ljust(at + HEADER, b"\0")
    offsets = [len(data), len(data) + len(texts[0]), len(data) + len(texts[0]) + len(texts[1])]
    for field, content, offset in zip((16, 40), texts, offsets, strict=False):
        data = patched(data, at + field, "i", offset if content else 0, len(content) // 2)
    data = patched(data, at + 48, "i", offsets[2] if counters else 0)
    return data + texts[0] + texts[1] + counters


# --- vertices ---------------------------------------------------------------------------------------


def plain(head: Header) -> bool:
    """Return whether a ROI is stored as integer vertices only, without curves or sub-pixel coordinates."""
    return (
        head.type in (POLYGON, FREEHAND, TRACED) and not head.shape_size and not head.subtype
        and not head.options & (SPLINE_FIT | SUB_PIXEL)
    )  # fmt: skip


def plain_vertices(data: list[bytes], heads: list[Header]) -> npt.NDArray[np.float64]:
    """Return the vertices of :func:`plain` ROIs, concatenated, as (n, 2) x, y."""
    counts = np.array([h.n for h in heads], np.int64)
    pieces = b"".join([d[HEADER : HEADER + 4 * h.n] for d, h in zip(data, heads, strict=True)])
    numbers = np.frombuffer(pieces, ">u2").astype(np.int64)
    numbers = np.where(numbers > 60535, 0, numbers)  # as in ImageJ: no vertex is left of or above the bounds
    # A ROI with n vertices stores n x values, then n y values, all relative to its bounds. The x of vertex k is at
    # index first + k, and its y at first + k + n.
    first = np.repeat(2 * (np.cumsum(counts) - counts), counts)
    within = np.arange(len(first)) - np.repeat(np.cumsum(counts) - counts, counts)
    x = numbers[first + within] + np.repeat([h.left for h in heads], counts)
    y = numbers[first + within + np.repeat(counts, counts)] + np.repeat([h.top for h in heads], counts)
    return np.stack([x, y], axis=1).astype(float)


def vertices(data: bytes, head: Header) -> npt.NDArray[np.float64]:
    """Return the vertices of one ROI as (n, 2) x, y."""
    if head.options & SUB_PIXEL:
        exact = np.frombuffer(data, ">f4", 2 * head.n, HEADER + 4 * head.n).astype(np.float32).reshape(2, head.n).T
        # ImageJ keeps the vertices relative to their bounds, as 32-bit floats.
        low = exact.min(axis=0)
        placed: npt.NDArray[np.float64] = (exact - low).astype(float) + low
        return placed
    return plain_vertices([data], [head])


def floats(data: bytes, offset: int, count: int) -> npt.NDArray[np.float64]:
    """Read `count` 32-bit floats at an offset."""
    return np.frombuffer(data, ">f4", count, offset).astype(float)


# --- many outlines at once --------------------------------------------------------------------------


def encode_outlines(outlines: Outlines, position: int) -> list[bytes]:
    """Encode the outlines of a label image as ``RoiEncoder`` would: one ROI per id, named after the id.

    Parameters
    ----------
    outlines
        Outlines found by :func:`fijibridge.rois.tracing.trace`.
    position
        1-based slice number in the stack; 0 = all slices.

    Returns
    -------
    list of bytes
        An id with one loop becomes a traced ROI, an id with several loops a composite ROI.

    Raises
    ------
    RoiError
        If a cell extends beyond pixel 60,000.
    """
    loops = np.diff(outlines.starts)
    first = np.flatnonzero(np.diff(outlines.ids, prepend=-1))
    last = np.append(first[1:], len(outlines.ids))[: len(first)]
    begin, end = outlines.starts[first], outlines.starts[last]
    low = np.minimum.reduceat(outlines.vertices, begin) if len(begin) else np.zeros((0, 2), np.int32)
    high = np.maximum.reduceat(outlines.vertices, begin) if len(begin) else low
    if high.size and high.max() > FARTHEST:
        raise RoiError(
            f"a cell extends to pixel {high.max()}, but ImageJ's ROI format ends at {FARTHEST}: split the image"
        )
    single = (last - first == 1) & (end - begin < 2**16)  # the vertex count is stored in 16 bits
    result: list[bytes] = [b""] * len(first)
    traced = np.flatnonzero(single)
    encoded = _encode_traced(outlines, first[traced], low[traced], high[traced], position)
    for cell, data in zip(traced.tolist(), encoded, strict=True):
        result[cell] = data
    for cell in np.flatnonzero(~single).tolist():
        mine = range(first[cell], last[cell])
        parts = [outlines.vertices[outlines.starts[i] : outlines.starts[i] + loops[i]] for i in mine]
        result[cell] = _encode_composite(parts, int(outlines.ids[first[cell]]), low[cell], high[cell], position)
    return result


def _encode_traced(
    outlines: Outlines, loops: npt.NDArray[np.int64], low: npt.NDArray[np.int32], high: npt.NDArray[np.int32],
    position: int,
) -> list[bytes]:  # fmt: skip
    """Encode all loops as traced ROIs at once, in one block of memory.

    The ROIs follow each other in the block. They differ in size, so `at` contains the offset of each. A field is
    written for all ROIs at once, with one indexed assignment for each byte of the field. A ROI consists of the first
    header, 4 bytes per vertex, the second header, and 2 bytes per digit of its name. Numbers are big-endian; the caller
    has checked that they fit.
    """
    counts = (outlines.starts[1:] - outlines.starts[:-1])[loops]
    ids = outlines.ids[loops]
    digits = np.char.str_len(ids.astype(str)).astype(np.int64) if len(ids) else np.zeros(0, np.int64)
    sizes = 2 * HEADER + 4 * counts + 2 * digits
    at = np.cumsum(sizes) - sizes
    block = np.zeros(int(sizes.sum()), np.uint8)

    # First header: magic, version, type, then top, left, bottom, right and number of vertices, and at its end the
    # position in the stack and the offset of the second header. Other fields stay 0, as in a plain traced ROI.
    second = HEADER + 4 * counts
    for offset, byte in enumerate(MAGIC):
        block[at + offset] = byte
    block[at + 6] = TRACED
    _put(block, at + 4, 2, np.full(len(at), VERSION))
    for offset, value in ((8, low[:, 1]), (10, low[:, 0]), (12, high[:, 1]), (14, high[:, 0]), (16, counts)):
        _put(block, at + offset, 2, value)
    _put(block, at + 56, 4, np.full(len(at), position))
    _put(block, at + 60, 4, second)

    # The second header holds the offset and the length of the name. The name follows directly after this header.
    _put(block, at + second + 16, 4, second + HEADER)
    _put(block, at + second + 20, 4, digits)

    # The name is the id in decimal, as UTF-16: a zero byte, then the digit, so digit i is byte 2 i + 1. Digits are
    # split off from the last to the first; each round writes only the names that still have a digit left.
    rest = ids.copy()
    for back in range(int(digits.max(initial=0))):
        here = np.flatnonzero(digits > back)
        block[at[here] + second[here] + HEADER + 2 * (digits[here] - back) - 1] = rest[here] % 10 + ord("0")
        rest //= 10

    # Vertices, relative to the bounds: `which` is the ROI of each vertex, `within` its index in that ROI. Each ROI
    # stores all its x values first, then all its y values.
    which = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
    xy = outlines.vertices[outlines.starts[loops][which] + within] - low[which]
    place = at[which] + HEADER + 2 * within
    _put(block, place, 2, xy[:, 0])
    _put(block, place + 2 * counts[which], 2, xy[:, 1])
    everything = block.tobytes()
    return [everything[a:b] for a, b in zip(at.tolist(), (at + sizes).tolist(), strict=True)]


def _put(block: npt.NDArray[np.uint8], at: npt.NDArray[np.int64], width: int, value: npt.NDArray[Any]) -> None:
    """Write big-endian integers of `width` bytes at many offsets."""
    for byte in range(width):
        block[at + byte] = (value >> (8 * (width - 1 - byte))) & 255


def _encode_composite(
    parts: list[npt.NDArray[np.int32]],
    cell: int,
    low: npt.NDArray[np.int32],
    high: npt.NDArray[np.int32],
    position: int,
) -> bytes:
    """Encode the loops of one cell as a composite ROI, whose holes stay empty because ImageJ fills it even-odd."""
    path = np.concatenate([_shape_path(part) for part in parts]).astype(">f4").tobytes()
    first = struct.pack(
        ">4shBxHHHHH18xi16xiI",
        MAGIC,
        VERSION,
        RECTANGLE,
        low[1],
        low[0],
        high[1],
        high[0],
        0,
        len(path) // 4,
        position,
        0,
    )
    return with_texts(first + path, name=str(cell))


def _shape_path(loop: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    """Return a closed loop in the format of ImageJ's paths: 0 x y = move to, 1 x y = line to, 4 = close."""
    path = np.ones((len(loop), 3), np.float32)
    path[0, 0] = 0
    path[:, 1:] = loop
    return np.append(path.ravel(), np.float32(4))
