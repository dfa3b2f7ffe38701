"""Conversion of ROIs to pixels, with ImageJ's rules and rounding.

Areas cover the pixels of ``ij.gui.Roi.getMask``, and lines the pixels that ``ImageProcessor.fill(Roi)`` draws. Each
function follows the ImageJ code that it names, down to 32-bit coordinates; tests compare the results with ImageJ's
pixel by pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import Floats, Ints

_FAR = 2**40
"""A column that is right of any image."""
Runs = npt.NDArray[np.int64]
"""Runs of pixels: (4, n) with the rows owner (index of the shape), y, first x and last x + 1; sorted by owner."""


# --- areas ------------------------------------------------------------------------------------------


def polygon_runs(vertices: Floats, starts: Ints, owner: Ints, height: int) -> Runs:
    """Return the runs of pixels in closed polygons, all at once; each owner is filled by the even-odd rule.

    Parameters
    ----------
    vertices
        (n, 2) x, y of all polygons, concatenated.
    starts
        (n_polygons + 1,) index of the first vertex of each polygon, followed by the number of vertices.
    owner
        (n_polygons,) owner of each polygon, in ascending order. Polygons of one owner are parts or holes of one shape.
    height
        Height of the image; rows outside of it are left out.

    Notes
    -----
    The rule and the rounding are those of ``ij.process.PolygonFiller``: a pixel is inside if its centre is; a centre
    exactly on an edge belongs to the side with the larger coordinate.
    """
    following = np.arange(1, len(vertices) + 1)
    filled = starts[:-1] < starts[1:]
    following[starts[1:][filled] - 1] = starts[:-1][filled]
    owners = np.repeat(owner, np.diff(starts))
    return _scan(vertices, vertices[following], owners, height)


def _scan(a: Floats, b: Floats, owner: Ints, height: int) -> Runs:
    """Return the runs of pixels inside the closed shapes whose edges run from `a` to `b`.

    Each edge crosses the middle of some pixel rows, and each crossing is rounded to a pixel boundary. A closed shape
    has an even number of crossings in every row. Sorted by x, they alternate between entering and leaving the shape:
    the pairs (1st, 2nd), (3rd, 4th) ... are its runs of pixels.
    """
    # ImageJ skips edges that are not finite, such as those of a rotated rectangle of length 0.
    finite = np.isfinite(a).all(axis=1) & np.isfinite(b).all(axis=1)
    a, b, owner = a[finite], b[finite], owner[finite]

    # Direct all edges downwards. An edge crosses the rows y1 <= y < y2 whose middle, y + 0.5, is between its ends.
    # Edges that cross no row, such as horizontal ones, are dropped.
    swap = a[:, 1] > b[:, 1]
    top, low = np.where(swap[:, None], b, a), np.where(swap[:, None], a, b)
    y1, y2 = np.floor(top[:, 1] + 0.5), np.floor(low[:, 1] + 0.5)
    keep = (y1 < y2) & (y1 < height) & (y2 > 0)
    top, low, y1, y2, owner = top[keep], low[keep], y1[keep], y2[keep], owner[keep]
    first, last = np.maximum(y1, 0).astype(np.int64), np.minimum(y2, height).astype(np.int64)

    # x of the crossing in the first row. The tiny constant decides ties, as in PolygonFiller.
    slope = (low[:, 0] - top[:, 0]) / (low[:, 1] - top[:, 1])
    x = top[:, 0] + (y1 - top[:, 1] + 0.5) * slope + 1e-8

    # One entry per edge and row of the image; `step` counts the rows of an edge, also those above the image.
    count = last - first
    edge = np.repeat(np.arange(len(count)), count)
    rows = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    step = rows - y1[edge]
    columns = np.floor(x[edge] + step * slope[edge] + 0.5).clip(-_FAR, _FAR).astype(np.int64)

    # Sorted by owner, row and column, crossings alternately enter and leave the shape.
    order = _order(owner[edge], rows, columns)
    left, right = order[0::2], order[1::2]
    return np.stack([owner[edge][left], rows[left], columns[left], columns[right]])


def _order(*keys: Ints) -> Ints:
    """Return the indices that sort by the first key, then the second ...; keys that fit into 63 bits are merged."""
    if not len(keys[0]):
        return np.zeros(0, np.int64)
    combined, size = np.zeros(len(keys[0]), np.int64), 1
    for key in reversed(keys):
        low, span = int(key.min()), int(key.max() - key.min()) + 1
        if size * span >= 2**63:
            return np.lexsort(tuple(reversed(keys)))
        combined += (key - low) * size
        size *= span
    return np.argsort(combined, kind="stable")


def oval_runs(left: int, top: int, right: int, bottom: int, owner: int, shape: Sequence[int]) -> Runs:
    """Return the runs of pixels in an oval, as ``ij.gui.OvalRoi.getMask`` has them, in an image of `shape` (Y, X)."""
    a, b = (right - left) / 2, (bottom - top) / 2
    above, beside = max(-top, 0), max(-left, 0)  # only what is inside the image
    y, x = np.ogrid[above : min(bottom, shape[0]) - top, beside : min(right, shape[1]) - left]
    inside = (x - (a - 0.5)) ** 2 / a**2 + (y - (b - 0.5)) ** 2 / b**2 <= 1
    if not inside.size:
        return np.zeros((4, 0), np.int64)
    rows = np.flatnonzero(inside.any(axis=1))
    start = inside[rows].argmax(axis=1)
    stop = inside.shape[1] - inside[rows, ::-1].argmax(axis=1)
    return np.stack([np.full(len(rows), owner), rows + top + above, start + left + beside, stop + left + beside])


# --- curves -----------------------------------------------------------------------------------------


def rounded_rectangle(left: int, top: int, right: int, bottom: int, arc: float) -> Floats:
    """Return the outline of a rectangle with rounded corners, as ``java.awt.geom.RoundRectangle2D`` computes it."""
    width, height = min(arc, right - left) / 2, min(arc, bottom - top) / 2
    angle = math.pi / 4
    rise, run = 1 - math.cos(angle), math.tan(angle)
    control = 4 / 3 * rise * run / (math.sqrt(1 + run * run) - 1 + rise)  # places the control points
    path: list[Floats] = []
    for x, y, dx, dy in ((left, bottom, 1, -1), (right, bottom, -1, -1), (right, top, -1, 1), (left, top, 1, 1)):
        upright, level = np.array([x, y + dy * height]), np.array([x + dx * width, y])
        start, end = (upright, level) if dx * dy < 0 else (level, upright)
        corner = np.array([x, y], float)
        points = [start, start + (corner - start) * control, end + (corner - end) * control, end]
        path += [start[None], flattened(np.array(points))]
    return np.concatenate(path)


def rotated_rectangle(start: Floats, end: Floats, width: float) -> Floats:
    """Return the corners of a rectangle along a line, as ``ij.gui.RotatedRectRoi`` computes them."""
    along = end - start
    across = 0.5 * width * np.array([along[1], -along[0]]) / float(np.sqrt(along @ along))
    corners = np.array([start + across, end + across, end - across, start - across]).astype(np.float32)
    low = np.floor(corners.min(axis=0))
    placed: Floats = (corners - low).astype(float) + low
    return placed  # ImageJ stores the corners relative to their bounds, as 32-bit floats


def ellipse(start: Floats, end: Floats, ratio: float) -> tuple[Floats, tuple[int, int, int, int]]:
    """Return the 72 vertices of an ellipse and its bounds, as ``ij.gui.EllipseRoi`` computes them.

    Parameters
    ----------
    start, end
        (2,) x, y of the ends of the major axis.
    ratio
        Length of the minor axis divided by the length of the major axis.

    Returns
    -------
    vertices, bounds
        (72, 2) x, y; and left, top, right, bottom in pixels.
    """
    (dx, dy), (x, y) = end - start, (start + end) / 2
    major = math.sqrt(dx * dx + dy * dy)
    # Convert to degrees and back, to get the same rounding as ImageJ.
    turn = math.atan2(dy, dx) * 180.0 / math.pi / 180.0 * math.pi
    points = []
    for i in range(72):
        angle = i * 360.0 / 72 / 180.0 * math.pi
        along, across = _cos(angle) * major / 2.0, _sin(angle) * (major * min(max(ratio, 0.0), 1.0)) / 2.0
        radius, direction = math.sqrt(along * along + across * across), math.atan2(across, along) + turn
        points.append((x + _cos(direction) * radius, y + _sin(direction) * radius))
    exact = np.array(points, np.float32)
    low = np.floor(exact.min(axis=0))
    extent = (exact.max(axis=0).clip(np.finfo(np.float32).smallest_subnormal) - low).astype(float) + 0.5
    left, top, width, height = (int(value) for value in (*low, *extent))
    placed: Floats = (exact - low).astype(float) + low  # ImageJ keeps vertices relative to their bounds, in 32 bits
    return placed, (left, top, left + width, top + height)


def _cos(angle: float) -> float:
    # rounded from more digits, where the machine has them: the last bit of the C library depends on the processor, and
    # decides about a pixel whose centre is a vertex
    return float(np.cos(np.longdouble(angle)))


def _sin(angle: float) -> float:
    return float(np.sin(np.longdouble(angle)))


def flattened(control: Floats, flatness: float = 0.01, level: int = 10) -> Floats:
    """Return a polyline for a Bezier curve with 3 or 4 control points, without its first point.

    The curve is halved until each half is flat, by the rule of ``java.awt.geom.FlatteningPathIterator``. ImageJ fills
    with a flatness of 0.01.
    """
    if level == 0 or max(_distance(p, control[0], control[-1]) for p in control[1:-1]) < flatness:
        return control[-1:]
    # De Casteljau: repeatedly averaging neighbouring control points leads to the midpoint of the curve. The first and
    # the last point of each round are the control points of the two halves.
    first, last, rest = [control[0]], [control[-1]], control
    while len(rest) > 1:
        rest = (rest[1:] + rest[:-1]) / 2
        first.append(rest[0])
        last.append(rest[-1])
    halves = np.array(first), np.array(last[::-1])
    return np.concatenate([flattened(half, flatness, level - 1) for half in halves])


def _distance(point: Floats, start: Floats, end: Floats) -> float:
    along = end - start
    length = float(along @ along)
    t = min(max(float((point - start) @ along) / length, 0.0), 1.0) if length else 0.0
    return float(np.linalg.norm(point - start - t * along))


def path_parts(path: Floats) -> list[Floats]:
    """Split the path of a composite ROI into parts, with curves flattened; each part is (n, 2) x, y.

    The path is in the format of ``ij.gui.ShapeRoi``: 0 x y = move to, 1 x y = line to, 2 and 3 = Bezier curves with 2
    and 3 further control points, 4 = close.
    """
    parts: list[list[Floats]] = []
    at = 0
    while at < len(path):
        kind = int(path[at])
        count = (1, 1, 2, 3, 0)[kind]
        points = path[at + 1 : at + 1 + 2 * count].reshape(count, 2)
        at += 1 + 2 * count
        if kind == 0:
            parts.append([points])
        elif kind == 1:
            parts[-1].append(points)
        elif kind in (2, 3):
            parts[-1].append(flattened(np.concatenate([parts[-1][-1][-1:], points])))
    return [np.concatenate(part) for part in parts]


def spline(vertices: Floats, closed: bool) -> Floats:
    """Return the points of a spline-fitted polygon or polyline, as ``ij.gui.PolygonRoi.fitSpline`` computes them.

    x and y are natural cubic splines, parametrized by the square root of the distance between vertices. For a closed
    outline, up to 7 vertices are repeated at both ends, so that the ends meet smoothly. Values are rounded to 32 bits
    as in ``ij.measure.SplineFitter``, because in a very thin outline, the last bits decide which pixels are inside.
    """
    base = vertices.min(axis=0)
    points = (vertices - base).astype(np.float32)
    if closed:
        points = np.concatenate([points, points[:1]])
    steps = np.diff(points, axis=0)
    lengths = np.sqrt(np.sqrt((steps * steps).sum(axis=1, dtype=np.float32).astype(float))).astype(np.float32)
    lengths = np.maximum(lengths, np.float32(0.001))
    nodes = np.concatenate([np.zeros(1, np.float32), np.cumsum(lengths, dtype=np.float32)])
    count = max(100, int(_length(vertices, closed) / 2))
    at: Floats = np.arange(count, dtype=float) * (float(nodes[-1]) / (count - 1))
    if closed:
        n, extra = len(nodes), min(7, len(nodes) - 1)
        before, after = nodes[n - extra - 1 : n - 1] - nodes[-1], nodes[1 : extra + 1] + nodes[-1]
        nodes = np.concatenate([before, nodes, after])
        points = np.concatenate([points[n - extra - 1 : n - 1], points, points[1 : extra + 1]])
    fitted = _cubic(nodes, points, at).astype(np.float32)
    # ImageJ then stores the curve relative to its own bounds, after rounding image coordinates to 32 bits.
    exact = fitted + base.astype(np.float32)
    low = exact.min(axis=0)
    placed: Floats = (exact - low).astype(float) + low
    return placed


def _cubic(nodes: npt.NDArray[np.float32], points: npt.NDArray[np.float32], at: Floats) -> Floats:
    """Evaluate natural cubic splines through points, with the rounding of ``ij.measure.SplineFitter``."""
    exact, values = nodes.astype(float), points.astype(float)
    gap, gaps = np.diff(nodes).astype(float), (nodes[2:] - nodes[:-2]).astype(float)  # rounded to 32 bits
    share = np.diff(exact)[:-1] / (exact[2:] - exact[:-2])
    bend = np.diff(np.diff(values, axis=0) / gap[:, None], axis=0)
    # Second derivatives, from a tridiagonal system: forward elimination, then back substitution.
    n = len(nodes)
    factor, second = np.zeros(n), np.zeros((n, 2))
    for i in range(1, n - 1):
        pivot = share[i - 1] * factor[i - 1] + 2.0
        factor[i] = (share[i - 1] - 1.0) / pivot
        second[i] = (6.0 * bend[i - 1] / gaps[i - 1] - share[i - 1] * second[i - 1]) / pivot
    for i in range(n - 2, -1, -1):
        second[i] = factor[i] * second[i + 1] + second[i]
    low = np.clip(np.searchsorted(exact, at, side="right") - 1, 0, n - 2)
    h = gap[low][:, None]
    a, b = (exact[low + 1] - at)[:, None] / h, (at - exact[low])[:, None] / h
    curve = (a * a * a - a) * second[low] + (b * b * b - b) * second[low + 1]
    result: Floats = a * values[low] + b * values[low + 1] + curve * (h * h) / 6.0
    return result


def _length(vertices: Floats, closed: bool) -> float:
    """Return the length of a line or polygon as in ImageJ, which cuts corners if a polygon follows pixel edges."""
    points = np.concatenate([vertices, vertices[:1]]) if closed else vertices
    steps = np.diff(points, axis=0)
    if not closed or (steps != 0).all(axis=1).any() or (vertices != np.floor(vertices)).any():
        return float(np.linalg.norm(steps, axis=1).sum())
    if len(vertices) < 4:
        return 0.0
    corners, corner, side = 0, False, np.abs(steps[-1]).sum()
    for following in np.abs(steps).sum(axis=1):
        corner = bool(side > 1 or not corner)
        corners += corner
        side = following
    return float(np.abs(steps).sum() - corners * (2 - math.sqrt(2)))


# --- lines and points -------------------------------------------------------------------------------


def java_round(values: Floats) -> Ints:
    """Round to the nearest integer, and halves up, as Java's ``Math.round`` does."""
    # floor(values + 0.5) would round 0.49999999999999994 up.
    low = np.floor(values)
    return (low + (values - low >= 0.5)).astype(np.int64)


def line_pixels(points: Floats, width: int, shape: Sequence[int]) -> tuple[Ints, Ints]:
    """Return x and y of the pixels of a line through points. Some pixels may be outside the image of `shape` (Y, X).

    As in ``ij.process.ImageProcessor.lineTo``, the line has one dot per step and starts where it enters the image.
    """
    whole = java_round(points)
    low = np.array([-(width // 2) - 1] * 2)
    high = np.array([shape[1] - 1, shape[0] - 1]) + width // 2 + 1
    dx, dy = _dot(width)
    xs: list[Ints] = [np.zeros(0, np.int64)]
    ys: list[Ints] = [np.zeros(0, np.int64)]
    for start, end in pairwise(whole):
        n = int(np.abs(end - start).max())
        increment = (end - start) / max(n, 1)
        begin, stop = 0, n
        for axis in range(2):
            if increment[axis] == 0:
                if not low[axis] <= start[axis] <= high[axis]:
                    stop = -1
                continue
            near, far = (low, high) if increment[axis] > 0 else (high, low)
            begin = max(begin, int((near[axis] - start[axis]) / increment[axis]))
            stop = min(stop, int((far[axis] - start[axis]) / increment[axis]))
        if begin > stop:
            continue
        # Add repeatedly, as ImageJ does: the rounding errors decide ties.
        steps = np.tile(increment, (stop - begin + 1, 1))
        steps[0] = start + begin * increment
        x, y = java_round(np.cumsum(steps, axis=0)).T
        xs.append((x[:, None] + dx).ravel())
        ys.append((y[:, None] + dy).ravel())
    return np.concatenate(xs), np.concatenate(ys)


def _dot(width: int) -> tuple[Ints, Ints]:
    """Return the pixels of a dot as offsets x, y from its centre."""
    if width <= 2:
        offsets = np.array([(0, 0), (-1, 0), (0, -1), (-1, -1)][: width**2], np.int64)
        return offsets[:, 0], offsets[:, 1]
    # Java's (int) rounds towards 0, but ImageJ draws the dot at positive coordinates, where that equals floor.
    low = math.floor(-width / 2 + 0.5)
    runs = oval_runs(0, 0, width, width, 0, (width, width)) + np.array([[0], [low], [low], [low]])
    y, x = (
        np.concatenate(a) for a in zip(*((np.full(e - s, r), np.arange(s, e)) for _, r, s, e in runs.T), strict=True)
    )
    return x, y


def wide_line(start: Floats, end: Floats, width: float) -> Floats:
    """Return the corners, rounded to whole pixels, of a line wider than 1 px, as ``ij.gui.Line.getPolygon`` does."""
    along = end - start
    half = along * 0.5 / float(np.linalg.norm(along))  # half a unit vector
    across = np.array([half[1], -half[0]])
    corners = [
        start + 0.5 - half + across * width, start + 0.5 - half - across * width,
        end + 0.5 + half - across * width, end + 0.5 + half + across * width,
    ]  # fmt: skip
    return np.floor(np.array(corners, np.float32).astype(float) + 0.5)


def draw_disc_line(plane: npt.NDArray[np.bool_], points: Floats, radius: float) -> None:
    """Mark the pixels whose centre is within `radius` of a line.

    Of the centres at exactly this distance, only those on the side of larger coordinates count.
    """
    for start, end in pairwise(points - 0.5 + 1e-6):
        low = np.maximum(np.floor(np.minimum(start, end) - radius), 0).astype(int)
        high = np.minimum(np.ceil(np.maximum(start, end) + radius), np.array(plane.shape[::-1]) - 1).astype(int)
        if (high < low).any():
            continue
        x, y = np.ogrid[low[0] : high[0] + 1, low[1] : high[1] + 1]
        direction = end - start
        length = float(direction @ direction)
        along = ((x - start[0]) * direction[0] + (y - start[1]) * direction[1]) / length if length else x * y * 0.0
        along = np.clip(along, 0, 1)
        distance = np.hypot(x - start[0] - along * direction[0], y - start[1] - along * direction[1])
        plane[low[1] : high[1] + 1, low[0] : high[0] + 1] |= (distance <= radius).T


def write_runs(plane: npt.NDArray[np.generic], runs: Runs, values: Sequence[int] | Ints) -> None:
    """Write the value of each owner into the owner's runs, clipped to the plane; later runs overwrite earlier ones."""
    height, width = plane.shape
    owner, y, start, stop = runs[:, (runs[1] >= 0) & (runs[1] < height)]
    start, stop = start.clip(0, width), stop.clip(0, width)
    length = np.maximum(stop - start, 0)
    first = np.repeat(y * width + start - (np.cumsum(length) - length), length)
    plane.reshape(-1)[first + np.arange(len(first))] = np.repeat(np.asarray(values)[owner], length)
