"""Checks of label images, pixel labels and masks of known truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.arrays import Mask
from fijibridge.dataset.checks import statistics
from fijibridge.dataset.checks.findings import Finding, Severity, finding
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.item import Item
from fijibridge.dataset.values import IGNORE, MEMBRANE
from fijibridge.image import first_channel
from fijibridge.messages import some

Remark: TypeAlias = tuple[Severity, str, str]
"""Severity, what was found, and what to do."""

_LISTED_IDS = 6
_FEW_IDS = 4
_MANY_PARTS = 8


def truth_findings(item: Item, dataset: Dataset, arrays: Mapping[str, xr.DataArray]) -> Iterator[Finding]:
    """Check the labels, classes and region of an image."""
    region = arrays.get("region")
    known = None if region is None else region.values
    image, membranes = arrays.get("image"), item.description.membranes
    for role, look in (("labels", of_labels), ("classes", of_classes)):
        if role not in arrays:
            continue
        fits = known is not None and known.shape == arrays[role].shape
        for severity, what, todo in look(arrays[role], known if fits else None, image, membranes):
            yield finding(severity, item, dataset, role, what, todo)
    if known is not None and "region" in item.paths:
        for severity, what, todo in of_region(known):
            yield finding(severity, item, dataset, "region", what, todo)


def of_labels(labels: xr.DataArray, known: Mask | None, image: xr.DataArray | None, membranes: str) -> Iterator[Remark]:
    """Check a label image for masks, gaps in ids, parts, missing cells, cells outside the known region and polarity."""
    array = labels.values
    ids = np.unique(array[array > 0])
    refusal = _not_cells(labels, ids)
    if refusal is not None:
        yield refusal
        return
    gaps = int(ids[-1]) - len(ids)
    if gaps:
        yield "note", f"{gaps} of the ids up to {int(ids[-1])} are not used", "nothing: gaps are allowed"
    yield from _of_frames(labels, known, image, membranes)
    if known is not None and known.any():
        lost = len(ids) - len(np.unique(array[known & (array > 0)]))
        if lost:
            yield "note", f"{lost} of {len(ids)} cells are outside the known region", "nothing: they are ignored"


def _not_cells(labels: xr.DataArray, ids: npt.NDArray[np.int_]) -> Remark | None:
    """Return a remark if an array is empty, a mask or classes, because it then cannot be checked as cells."""
    if not ids.size:
        return "problem", "it contains no cells", "label some cells, or list the role under without"
    if len(ids) == 1 and int(ids[0]) in (1, 255):
        what = f"it contains only one number, {int(ids[0])}: one cell, or a mask of all cells"
        return "note", what, "a mask is not a label image: number its regions, or declare it as classes"
    if len(ids) <= _FEW_IDS and (most := _most_parts(labels)) > _MANY_PARTS:
        what = f"it contains {len(ids)} id(s), one of them in {most} parts: these are classes or a mask, not cells"
        todo = "declare it as classes, or number its regions and list in [values.labels] the numbers that are not cells"
        return "problem", what, todo
    return None


def _of_frames(
    labels: xr.DataArray, known: Mask | None, image: xr.DataArray | None, membranes: str
) -> Iterator[Remark]:
    """Check each frame of a time series; report a problem in several frames once, with the number of frames."""
    if "t" not in labels.dims:
        yield from _of_frame(labels.values, known, image, membranes)
        return
    axis = labels.get_axis_num("t")
    found: dict[str, list[tuple[int, Remark]]] = {}
    for t in range(labels.sizes["t"]):
        region = None if known is None else np.take(known, t, axis)
        picture = image.isel(t=t, drop=True) if image is not None and image.sizes.get("t", 0) > t else None
        for remark in _of_frame(labels.isel(t=t).values, region, picture, membranes):
            found.setdefault(remark[2], []).append((t, remark))
    for alike in found.values():
        t, (severity, what, todo) = alike[0]
        more = f", and similarly in {len(alike) - 1} more" if len(alike) > 1 else ""
        yield severity, f"in frame {t}: {what}{more}", todo


def _of_frame(
    array: npt.NDArray[np.int_], known: Mask | None, image: xr.DataArray | None, membranes: str
) -> Iterator[Remark]:
    yield from _parts(array)
    left_out = statistics.unlabelled(array, known)
    if left_out:
        what = f"{left_out} gap(s) between cells are large enough for an unlabelled cell"
        yield (
            "note",
            what,
            "look at the gaps: where a label is missing, a correct prediction counts as a false positive",
        )
    yield from _polarity(image, array, None, membranes)


def _most_parts(labels: xr.DataArray) -> int:
    frames = [labels.isel(t=t).values for t in range(labels.sizes["t"])] if "t" in labels.dims else [labels.values]
    return max(statistics.most_parts(frame) for frame in frames)


def _parts(array: npt.NDArray[np.int_]) -> Iterator[Remark]:
    found = statistics.parts(array)
    if not found.several:
        return
    sides = "sides (4 neighbours)" if array.ndim == 2 else "faces (6 neighbours)"
    corners = len(found.by_corners)
    touching = f", {corners} of them with parts that touch at corners" if corners else ""
    ids = some([str(n) for n in found.several], _LISTED_IDS)
    what = f"{len(found.several)} id(s) have several parts if pixels are connected by {sides}{touching}: {ids}"
    yield "note", what, "look at these ids: each may be two cells with the same id, or have stray brush marks"


def of_classes(
    classes: xr.DataArray, known: Mask | None, image: xr.DataArray | None, membranes: str
) -> Iterator[Remark]:
    """Check the share and the polarity of membranes in pixel labels."""
    array = classes.values
    known_pixels = array[array != IGNORE]
    share = float((known_pixels == MEMBRANE).mean()) if known_pixels.size else 0.0
    if not share:
        yield "problem", "it contains no membrane", "correct [values.classes] or the file"
    elif share > 0.5:
        todo = "check whether [values.classes] has the numbers the wrong way round"
        yield "note", f"{share:.0%} of it is membrane", todo
    yield from _polarity(image, None, array == MEMBRANE, membranes)


def of_region(known: Mask) -> Iterator[Remark]:
    """Check that a mask of known truth is neither empty nor full."""
    if not known.any():
        yield "problem", "the mask is empty: no truth is known", "correct the mask or [values.region]"
    elif known.all():
        yield "note", "all of the image is known", "nothing: the mask is not needed"


def _polarity(
    image: xr.DataArray | None, labels: npt.NDArray[np.int_] | None, membranes: Mask | None, described: str
) -> Iterator[Remark]:
    """Compare the contrast of membranes with the polarity in the description."""
    if image is None or described == "unknown":
        return
    pixels = first_channel(image).values
    truth = labels if labels is not None else membranes
    if truth is None or pixels.shape != truth.shape or truth.ndim not in (2, 3):
        return
    found = statistics.contrast(pixels, truth) if membranes is None else statistics.class_contrast(pixels, membranes)
    word = statistics.polarity(found)
    if found is not None and word != described:
        what = f"membranes look {word} ({found:+.2f} standard deviations), but the description says {described}"
        yield "note", what, "correct membranes in the description, or check whether image and truth belong together"
