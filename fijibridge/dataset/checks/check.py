"""A look at all of a folder, before anything is trained or scored on it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from fijibridge.dataset.checks.findings import Finding
from fijibridge.dataset.checks.leaks import leaks, made_from
from fijibridge.dataset.checks.truth import of_classes, of_labels, of_region
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import Role
from fijibridge.dataset.item import Item, sizes_of
from fijibridge.dataset.toml import FILE_NAME, SCHEMA_NAME
from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import SUFFIXES, content
from fijibridge.files.tiff import plain_unit
from fijibridge.image import MICROMETRES, first_channel, last_dims, pixel_size, same_shape
from fijibridge.image import unit as unit_of
from fijibridge.messages import hint, some

_SIZE_TOLERANCE = 0.01
_FEW_PIXELS = 4
_TRUTH: tuple[Role, ...] = ("labels", "classes", "region")


def check(folder: str | os.PathLike[str] | Dataset) -> list[Finding]:
    """Look at a folder of images and its description, and tell what is wrong or worth knowing.

    All images are read. Found are missing and unreadable files; axes, pixel sizes and shapes that do not fit; masks in
    place of label images; gaps in ids; ids in several parts; gaps where a cell may have been left out; numbers
    without a meaning; crops that are not what they are said to be; images that are on both sides of a split.

    Parameters
    ----------
    folder
        With its ``dataset.toml``, or an open dataset.

    Returns
    -------
    list of Finding
        Problems first; :func:`fijibridge.dataset.checks.findings.together` tells once what is the same for many images.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> folder = Path(tempfile.mkdtemp())
    >>> tifffile.imwrite(folder / "a_image.tif", np.arange(72, dtype=np.uint8).reshape(8, 9))
    >>> tifffile.imwrite(folder / "a_labels.tif", np.diag(np.arange(8, dtype=np.uint16)))
    >>> dataset = Dataset.from_patterns(folder, image="*_image.tif", labels="{name}_labels.tif", provenance="manual")
    >>> finding = check(dataset)[0]
    >>> finding.severity, finding.file, finding.what
    ('problem', 'a_labels.tif', 'labels is 8 (y) x 8 (x), its image 8 (y) x 9 (x)')
    """
    if isinstance(folder, Dataset):
        return _problems_first(_dataset(folder))
    try:
        dataset = Dataset.open(folder)
    except DatasetError as error:
        return [Finding("problem", "", FILE_NAME, str(error), "correct the description, or the folder")]
    return _problems_first(_dataset(dataset))


def _problems_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.severity != "problem")


def _dataset(dataset: Dataset) -> Iterator[Finding]:
    seen: dict[str, Item] = {}
    for item in dataset:
        yield from _item(item, dataset, seen)
    yield from leaks(dataset)
    yield from _different_sizes(dataset)
    yield from _shared_truth(dataset)
    yield from _provenance(dataset)
    yield from _unused(dataset)


def _item(item: Item, dataset: Dataset, seen: dict[str, Item]) -> Iterator[Finding]:
    lost = list(_missing(item, dataset.folder))
    yield from lost
    arrays: dict[str, xr.DataArray] = {}
    readers: dict[Role, Callable[[], xr.DataArray | None]] = {
        "image": item.image, "labels": item.labels, "classes": item.classes, "region": item.region,
        "prediction": item.prediction,
    }  # fmt: skip
    for role, read in readers.items():
        if role not in item.paths or _has_lost(item, role):
            continue
        try:
            found = read()
        except (DatasetError, ImageError) as error:
            yield _finding("problem", item, dataset, role, f"{error}", "correct the file, or the description of it")
            continue
        if found is not None:
            arrays[role] = found
    yield from _axes(item, dataset)
    sizes = list(_sizes(item, dataset))
    yield from sizes
    shapes = list(_shapes(item, dataset, arrays))
    yield from shapes
    said = {finding.file for finding in (*sizes, *shapes)}
    yield from (finding for finding in _places(item, dataset, arrays) if finding.file not in said)
    yield from _pixels(item, dataset, arrays, seen)
    yield from _truth(item, dataset, arrays)
    yield from _derivation(item, dataset, arrays)


def _has_lost(item: Item, role: Role) -> bool:
    """Whether files of a role are missing, or so numbered that nobody can tell."""
    try:
        return bool(item.missing(role))
    except DatasetError:
        return True


def _finding(severity: Any, item: Item, dataset: Dataset, role: str, what: str, todo: str) -> Finding:
    return Finding(severity, item.name, _seen_from(dataset.folder, item.paths[role]), what, todo)


def _seen_from(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def _missing(item: Item, folder: Path) -> Iterator[Finding]:
    for role in item.members:
        try:
            lost = item.missing(role)  # type: ignore[arg-type]
        except DatasetError as error:
            yield Finding("problem", item.name, _seen_from(folder, item.paths[role]), str(error), "rename the files")
            continue
        if lost:
            names = some([_seen_from(folder, path) for path in lost], 5)
            todo = f"add it, or say without = [{role!r}] in [files.{item.name!r}]".replace("'", '"')
            series = f" of the series {item.members[role].pattern.text!r}" if len(lost) > 1 or role == "image" else ""
            yield Finding("problem", item.name, names, f"the {role} file is missing{series}", todo)


def _axes(item: Item, dataset: Dataset) -> Iterator[Finding]:
    try:
        told, own = item.content("image"), content(item.paths["image"], item.members["image"].pattern.key)
    except DatasetError:
        return
    shape, described = own.pixels.shape, item.description.dims
    if described is None and own.dims is None and len(shape) > 2:
        what = f"the file does not say which axis is which; its shape {shape} is read as {last_dims(len(shape))}"
        yield _finding("note", item, dataset, "image", what, "say dims in the description if that is wrong")
    if described is not None and own.dims is not None and told.dims is not None and own.dims not in told.dims:
        what = f"the file says that its axes are {own.dims}, the description {told.dims}"
        yield _finding("note", item, dataset, "image", what, "leave out dims, unless the file is known to be wrong")
    for axis, length in zip(told.dims or last_dims(len(shape)), told.pixels.shape, strict=False):
        if axis in "yx" and length <= _FEW_PIXELS:
            what = f"the axis {axis} is {length} pixels long (axes {told.dims}, shape {told.pixels.shape})"
            yield _finding("problem", item, dataset, "image", what, "correct dims in the description")


def _sizes(item: Item, dataset: Dataset) -> Iterator[Finding]:
    """Compare the description's pixel size with the file's own, and that with those of the truth's files."""
    try:
        own, unit = _own_sizes(item, "image")
    except DatasetError:
        return
    told = sizes_of(item.description)
    told_unit = None if item.description.unit is None else plain_unit(item.description.unit)
    if not told and not own:
        yield _finding("note", item, dataset, "image", "no pixel size is known", "say pixel_size and unit")
    if told and told_unit is None and unit in (None, "pixel"):
        yield _finding("note", item, dataset, "image", "the pixel size has no unit", "say unit")
    if not own:
        return
    for role in _TRUTH:
        yield from _against_image(item, dataset, role, own, str(unit))
    if not told and told_unit not in (None, unit):
        what = f"the file's pixel size is in {unit}, the description's unit is {told_unit}"
        yield _finding("problem", item, dataset, "image", what, "say pixel_size too, or leave out unit")
    scale = _scale(str(unit), told_unit or str(unit))
    if scale is None:
        what = f"the file's pixel size is in {unit}, the description's in {told_unit}; nobody can compare them"
        yield _finding("note", item, dataset, "image", what, "see whether they agree")
        return
    for axis in sorted(set(told) & set(own) - {"t"}):
        if abs(own[axis] * scale / told[axis] - 1) > _SIZE_TOLERANCE:
            here = f"the description {told[axis]:g} {told_unit or ''}".rstrip()
            what = f"pixel size in {axis}: the file says {own[axis]:g} {unit}, {here}"
            yield _finding("problem", item, dataset, "image", what, "correct the one that is wrong")


def _own_sizes(item: Item, role: Role) -> tuple[dict[str, float], str | None]:
    """Return the pixel sizes that a file tells, none where they have no unit, and the unit."""
    said = content(item.paths[role], item.members[role].pattern.key).calibration
    units = said.get("unit") or {}
    unit = units.get("y") if isinstance(units, dict) else units
    return dict(said.get("pixel_size") or {}) if unit not in (None, "pixel") else {}, unit


def _against_image(item: Item, dataset: Dataset, role: Role, own: dict[str, float], unit: str) -> Iterator[Finding]:
    if role not in item.paths or not item.paths[role].exists():
        return
    try:
        other, other_unit = _own_sizes(item, role)
    except DatasetError:
        return
    scale = _scale(str(other_unit), unit)
    for axis in sorted(set(own) & set(other) - {"t"}) if scale is not None else ():
        if abs(other[axis] * (scale or 1) / own[axis] - 1) > _SIZE_TOLERANCE:
            here = f"the {role} file says {other[axis]:g} {other_unit}"
            what = f"pixel size in {axis}: {here}, the image {own[axis]:g} {unit}"
            yield _finding("problem", item, dataset, role, what, "see whether they belong together; correct one")


def _different_sizes(dataset: Dataset) -> Iterator[Finding]:
    """Compare the pixel sizes of those images that are not made from others."""
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
        if high / low - 1 > _SIZE_TOLERANCE:
            what = f"pixel sizes in {axis} differ: {low:g} um in {first!r}, {high:g} um in {last!r}"
            yield Finding("note", "", "", what, "correct them if they are wrong; else bring images to one size")


def _shared_truth(dataset: Dataset) -> Iterator[Finding]:
    """Find files that are the truth of two images, of which neither is made from the other or shows the same."""
    owners: dict[tuple[Path, str | None], Item] = {}
    for item in dataset:
        for role in ("labels", "classes"):
            members = item.members.get(role)
            for path in () if members is None else members.paths.values():
                if members is None or not path.exists():
                    continue
                first = owners.setdefault((path.resolve(), members.pattern.key), item)
                related = first is item or made_from(item, first, dataset) or made_from(first, item, dataset)
                if not related and not _same_pixels(item, first):
                    what = f"its {role} file is that of {first.name!r} too"
                    seen = _seen_from(dataset.folder, path)
                    yield Finding("problem", item.name, seen, what, "give each its own, or say derived_from")


def _same_pixels(item: Item, other: Item) -> bool:
    try:
        return np.array_equal(item.image().values, other.image().values)
    except (DatasetError, ImageError):
        return False


def _scale(unit: str, other: str) -> float | None:
    """Return how many of the other unit are one, None where that is not known."""
    if unit == other:
        return 1.0
    return MICROMETRES[unit] / MICROMETRES[other] if unit in MICROMETRES and other in MICROMETRES else None


def _shapes(item: Item, dataset: Dataset, arrays: dict[str, xr.DataArray]) -> Iterator[Finding]:
    if "image" not in arrays:
        return
    wanted = {d: n for d, n in arrays["image"].sizes.items() if d != "c"}
    for role, array in arrays.items():
        found = {d: n for d, n in array.sizes.items() if d != "c"}
        if found != wanted:
            what = f"{role} is {_said(found)}, its image {_said(wanted)}"
            yield _finding(
                "problem", item, dataset, role, what, "crop or resample one of them to the pixels of the other"
            )


def _places(item: Item, dataset: Dataset, arrays: dict[str, xr.DataArray]) -> Iterator[Finding]:
    """Look whether truth and image are of one place, as a training does."""
    for role in _TRUTH:
        if not {role, "image"} <= arrays.keys() or role not in item.paths:
            continue
        try:
            same_shape(image=first_channel(arrays["image"]), **{role: first_channel(arrays[role])})
        except ImageError as error:
            todo = "correct the calibration of one of them"
            yield _finding("problem", item, dataset, role, str(error), todo)


def _said(sizes: dict[Any, int]) -> str:
    return " x ".join(f"{n} ({d})" for d, n in sizes.items())


def _pixels(item: Item, dataset: Dataset, arrays: dict[str, xr.DataArray], seen: dict[str, Item]) -> Iterator[Finding]:
    for role in ("image", "prediction"):
        if role in arrays and arrays[role].dtype.kind == "f" and not np.isfinite(arrays[role].values).all():
            lost = int((~np.isfinite(arrays[role].values)).sum())
            yield _finding("problem", item, dataset, role, f"{lost} pixels are no finite numbers", "replace them")
    if "image" not in arrays:
        return
    pixels = arrays["image"].values
    if pixels.size and (pixels == pixels.flat[0]).all():
        yield _finding("note", item, dataset, "image", f"all pixels are {pixels.flat[0]}", "look at it")
        return
    digest = hashlib.sha256(np.ascontiguousarray(pixels).tobytes() + repr(pixels.shape).encode()).hexdigest()
    twin = seen.setdefault(digest, item)
    if twin is not item:
        severity = "problem" if twin.split != item.split else "note"
        what = f"the same pixels as {twin.name!r}, which is in {twin.split}, this one in {item.split}"
        yield _finding(severity, item, dataset, "image", what, "keep one of them")


def _truth(item: Item, dataset: Dataset, arrays: dict[str, xr.DataArray]) -> Iterator[Finding]:
    region = arrays.get("region")
    known = None if region is None else region.values
    image = arrays.get("image")
    for role, look in (("labels", of_labels), ("classes", of_classes)):
        if role not in arrays:
            continue
        fits = known is not None and known.shape == arrays[role].shape
        for severity, what, todo in look(arrays[role], known if fits else None, image, item.description.membranes):
            yield _finding(severity, item, dataset, role, what, todo)
    if known is not None and "region" in item.paths:
        for severity, what, todo in of_region(known):
            yield _finding(severity, item, dataset, "region", what, todo)


def _derivation(item: Item, dataset: Dataset, arrays: dict[str, xr.DataArray]) -> Iterator[Finding]:
    """Compare a crop with the place that it is said to be from."""
    derived = item.derived_from
    if derived is None:
        return
    if derived.item not in dataset:
        guess = hint(derived.item, dataset.names())
        what = f"derived_from names {derived.item!r}, which is no image of this folder{guess}"
        yield _finding("note", item, dataset, "image", what, "correct the name, unless that image lies elsewhere")
        return
    if "image" not in arrays:
        return
    down = (
        derived.downscale if isinstance(derived.downscale, dict) else {"y": derived.downscale, "x": derived.downscale}
    )
    crop = arrays["image"]
    place = {
        str(d): slice(start, start + n * down.get(d, 1))  # type: ignore[call-overload]
        for d, n in crop.sizes.items()
        if str(d) in "zyx" and (start := derived.offset.get(d, 0)) is not None  # type: ignore[call-overload]
    }
    try:
        parent = dataset[derived.item].image(lazy=True)
    except DatasetError:
        return
    beyond = [d for d, s in place.items() if d in parent.sizes and s.stop > parent.sizes[d]]
    todo = "correct offset or downscale in derived_from"
    if beyond:
        end = f"{place[beyond[0]].stop} of {parent.sizes[beyond[0]]}"
        what = f"it reaches beyond {derived.item!r} in {beyond[0]}: to {end}"
        yield _finding("problem", item, dataset, "image", what, todo)
    elif set(down.values()) == {1} and set(parent.dims) == set(crop.dims):
        try:
            original = parent.isel(place).values
        except DatasetError:  # found in the parent itself
            return
        if original.shape != crop.shape or not np.array_equal(original, crop.values):
            yield _finding(
                "problem", item, dataset, "image", f"its pixels are not those of {derived.item!r} there", todo
            )


def _provenance(dataset: Dataset) -> Iterator[Finding]:
    for item in dataset:
        if not {"labels", "classes"} & set(item.paths):
            continue
        if item.provenance == "unknown":
            yield Finding(
                "note", item.name, "", "nobody says who made the truth", 'say provenance = "manual" or the like'
            )
        if item.provenance == "algorithm":
            todo = "a score against it tells how alike two algorithms are, not how good one is"
            yield Finding("note", item.name, "", "its truth was made by an algorithm", todo)
    if len(dataset) > 1 and not any(item.split != "train" for item in dataset):
        yield Finding(
            "note", "", FILE_NAME, "all images are for training", "name some for validation and test in [split]"
        )


def _unused(dataset: Dataset) -> Iterator[Finding]:
    used = {path for item in dataset for members in item.members.values() for path in members.paths.values()}
    left = [
        p.name
        for p in sorted(dataset.folder.iterdir())
        if p.suffix.lower() in SUFFIXES and p not in used and not p.name.startswith(".") and p.name != SCHEMA_NAME
    ]
    if left:
        yield Finding(
            "note", "", some(left, 5), "no pattern of the description fits these files", "add one, or leave them"
        )
