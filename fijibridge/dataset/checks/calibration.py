"""Comparison of axes and pixel sizes: description with files, and files with each other."""

from __future__ import annotations

from collections.abc import Iterator

from fijibridge.dataset.checks.findings import Finding, finding
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import Role
from fijibridge.dataset.item import Item, sizes_of
from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import content
from fijibridge.image import MICROMETRES, factor_to, last_dims, pixel_size, usual_unit
from fijibridge.image import unit as unit_of

_TOLERANCE = 0.01  # relative difference of pixel sizes
_FEW_PIXELS = 4
TRUTH: tuple[Role, ...] = ("labels", "classes", "region")


def axis_findings(item: Item, dataset: Dataset) -> Iterator[Finding]:
    """Compare the axes in the description with those in the file, and find y and x axes of only a few pixels."""
    try:
        described, own = item.content("image"), content(item.paths["image"], item.members["image"].pattern.key)
    except DatasetError:
        return
    shape, dims = own.pixels.shape, item.description.dims
    if dims is None and own.dims is None and len(shape) > 2:
        what = f"the file does not name its axes; its shape {shape} is read as {last_dims(len(shape))}"
        yield finding("note", item, dataset, "image", what, "if these axes are wrong, set dims in the description")
    if dims is not None and own.dims is not None and described.dims is not None and own.dims not in described.dims:
        what = f"the file has the axes {own.dims}, but the description has {described.dims}"
        yield finding("note", item, dataset, "image", what, "leave out dims, unless the file is known to be wrong")
    for axis, length in zip(described.dims or last_dims(len(shape)), described.pixels.shape, strict=False):
        if axis in "yx" and length <= _FEW_PIXELS:
            what = f"the axis {axis} is {length} pixels long (axes {described.dims}, shape {described.pixels.shape})"
            yield finding("problem", item, dataset, "image", what, "correct dims in the description")


def size_findings(item: Item, dataset: Dataset) -> Iterator[Finding]:
    """Compare the pixel size in the image file with those in the description and in the files of the truth."""
    try:
        own, unit = _file_sizes(item, "image")
    except DatasetError:
        return
    described = sizes_of(item.description)
    described_unit = None if item.description.unit is None else usual_unit(item.description.unit)
    if not described and not own:
        yield finding("note", item, dataset, "image", "no pixel size is known", "set pixel_size and unit")
    if described and described_unit is None and unit in (None, "pixel"):
        yield finding("note", item, dataset, "image", "the pixel size has no unit", "set unit")
    if not own:
        return
    for role in TRUTH:
        yield from _against_image(item, dataset, role, own, str(unit))
    if not described and described_unit not in (None, unit):
        what = f"the file's pixel size is in {unit}, but the description's unit is {described_unit}"
        yield finding("problem", item, dataset, "image", what, "set pixel_size too, or leave out unit")
    yield from _against_description(item, dataset, own, str(unit), described, described_unit)


def _against_description(
    item: Item, dataset: Dataset, own: dict[str, float], unit: str, described: dict[str, float], word: str | None
) -> Iterator[Finding]:
    scale = factor_to(unit, word or unit)
    if scale is None:
        what = f"the pixel size is in {unit} in the file, but in {word} in the description; they cannot be compared"
        yield finding("note", item, dataset, "image", what, "check whether the two sizes agree")
        return
    for axis in sorted(set(described) & set(own) - {"t"}):
        if abs(own[axis] * scale / described[axis] - 1) > _TOLERANCE:
            other = f"the description has {described[axis]:g} {word or ''}".rstrip()
            what = f"pixel size in {axis}: the file has {own[axis]:g} {unit}, {other}"
            yield finding("problem", item, dataset, "image", what, "correct the wrong one")


def _file_sizes(item: Item, role: Role) -> tuple[dict[str, float], str | None]:
    """Return the pixel sizes in a role's file (empty if the sizes have no unit), and their unit."""
    calibration = content(item.paths[role], item.members[role].pattern.key).calibration
    units = calibration.get("unit") or {}
    unit = units.get("y") if isinstance(units, dict) else units
    return dict(calibration.get("pixel_size") or {}) if unit not in (None, "pixel") else {}, unit


def _against_image(item: Item, dataset: Dataset, role: Role, own: dict[str, float], unit: str) -> Iterator[Finding]:
    """Compare the pixel sizes in a role's file with those in the image file."""
    if role not in item.paths or not item.paths[role].exists():
        return
    try:
        other, other_unit = _file_sizes(item, role)
    except DatasetError:
        return
    scale = factor_to(str(other_unit), unit)
    for axis in sorted(set(own) & set(other) - {"t"}) if scale is not None else ():
        if abs(other[axis] * (scale or 1) / own[axis] - 1) > _TOLERANCE:
            here = f"the {role} file has {other[axis]:g} {other_unit}"
            what = f"pixel size in {axis}: {here}, the image has {own[axis]:g} {unit}"
            yield finding("problem", item, dataset, role, what, "check whether they belong together, and correct one")


def different_sizes(dataset: Dataset) -> Iterator[Finding]:
    """Compare the pixel sizes of images that were not made from other images."""
    found: dict[str, list[tuple[float, str]]] = {}
    for item in dataset:
        try:
            image = item.image(lazy=True) if item.derived_from is None else None
        except (DatasetError, ImageError):
            continue
        if image is None or unit_of(image) not in MICROMETRES:
            continue
        for axis, size in pixel_size(image).items():
            if axis in "zyx":
                found.setdefault(axis, []).append((size * MICROMETRES[unit_of(image)], item.name))
    for axis, sizes in sorted(found.items()):
        (low, first), (high, last) = min(sizes), max(sizes)
        if high / low - 1 > _TOLERANCE:
            what = f"pixel sizes in {axis} differ: {low:g} um in {first!r}, {high:g} um in {last!r}"
            yield Finding("note", "", "", what, "correct wrong sizes; if all are correct, resample the images")
