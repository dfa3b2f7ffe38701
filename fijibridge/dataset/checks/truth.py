"""What is wrong with label images, pixel labels and masks, or worth knowing of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.dataset.checks import statistics
from fijibridge.dataset.values import IGNORE, MEMBRANE
from fijibridge.image import first_channel

Said: TypeAlias = "tuple[Literal['problem', 'note'], str, str]"
"""Severity, what was found, what to do."""

_SAID_IDS = 6
_FEW_IDS = 4
_MANY_PARTS = 8


def of_labels(
    labels: xr.DataArray, known: npt.NDArray[np.bool_] | None, image: xr.DataArray | None, membranes: str
) -> Iterator[Said]:
    """Look at a label image: cells, gaps in ids, parts, cells left out or outside the known region, polarity."""
    array = labels.values
    ids = np.unique(array[array > 0])
    if not ids.size:
        yield "problem", "it holds no cell", "label some cells, or take it out of the truth: without"
        return
    if len(ids) == 1 and int(ids[0]) in (1, 255):
        what = f"it holds one number only, {int(ids[0])}: one cell, or a mask of all cells"
        yield "note", what, "a mask is no label image: number its regions, or call it classes"
        return
    if len(ids) <= _FEW_IDS and (most := _most_parts(labels)) > _MANY_PARTS:
        what = f"it holds {len(ids)} id(s), and one of them has {most} parts: classes, or a mask, and no single cells"
        todo = "call it classes, or number its regions and say in [values.labels] which numbers are no cells"
        yield "problem", what, todo
        return
    gaps = int(ids[-1]) - len(ids)
    if gaps:
        yield "note", f"{gaps} of the ids up to {int(ids[-1])} are not used", "nothing: gaps are allowed"
    yield from _of_frames(labels, known, image, membranes)
    if known is not None and known.any():
        lost = len(ids) - len(np.unique(array[known & (array > 0)]))
        if lost:
            yield "note", f"{lost} of {len(ids)} cells lie outside the known region", "nothing: they are ignored"


def _of_frames(
    labels: xr.DataArray, known: npt.NDArray[np.bool_] | None, image: xr.DataArray | None, membranes: str
) -> Iterator[Said]:
    """Look at each frame of a film for itself; of frames with the same finding the first is told, and how many."""
    if "t" not in labels.dims:
        yield from _of_frame(labels.values, known, image, membranes)
        return
    axis = labels.get_axis_num("t")
    found: dict[str, list[tuple[int, Said]]] = {}
    for t in range(labels.sizes["t"]):
        region = None if known is None else np.take(known, t, axis)
        picture = image.isel(t=t, drop=True) if image is not None and image.sizes.get("t", 0) > t else None
        for said in _of_frame(labels.isel(t=t).values, region, picture, membranes):
            found.setdefault(said[2], []).append((t, said))
    for told in found.values():
        t, (severity, what, todo) = told[0]
        more = f", and the like in {len(told) - 1} more" if len(told) > 1 else ""
        yield severity, f"in frame {t}: {what}{more}", todo


def _of_frame(
    array: npt.NDArray[np.int_], known: npt.NDArray[np.bool_] | None, image: xr.DataArray | None, membranes: str
) -> Iterator[Said]:
    yield from _parts(array)
    left_out = statistics.unlabelled(array, known)
    if left_out:
        what = f"{left_out} gap(s) between cells are large enough for a cell that has no label"
        yield "note", what, "look at them; cells left out count as false positives of a prediction"
    yield from _polarity(image, array, None, membranes)


def _most_parts(labels: xr.DataArray) -> int:
    frames = [labels.isel(t=t).values for t in range(labels.sizes["t"])] if "t" in labels.dims else [labels.values]
    return max(statistics.most_parts(frame) for frame in frames)


def _parts(array: npt.NDArray[np.int_]) -> Iterator[Said]:
    found = statistics.parts(array)
    if not found.several:
        return
    sides = "sides (4 neighbours)" if array.ndim == 2 else "faces (6 neighbours)"
    corners = len(found.by_corners)
    touching = f", {corners} of them touching at corners" if corners else ""
    ids = ", ".join(map(str, found.several[:_SAID_IDS])) + (" ..." if len(found.several) > _SAID_IDS else "")
    what = f"{len(found.several)} id(s) have several parts, counting pixels that touch by {sides}{touching}: {ids}"
    yield "note", what, "look at them: two cells with one id, or specks of a brush"


def of_classes(
    classes: xr.DataArray, known: npt.NDArray[np.bool_] | None, image: xr.DataArray | None, membranes: str
) -> Iterator[Said]:
    """Look at pixel labels: is there any membrane, does all look like membrane, polarity."""
    array = classes.values
    told = array[array != IGNORE]
    share = float((told == MEMBRANE).mean()) if told.size else 0.0
    if not share:
        yield "problem", "it holds no membrane", "correct [values.classes], or the file"
    elif share > 0.5:
        yield (
            "note",
            f"{share:.0%} of it is membrane",
            "see whether [values.classes] has the numbers the wrong way round",
        )
    yield from _polarity(image, None, array == MEMBRANE, membranes)


def of_region(known: npt.NDArray[np.bool_]) -> Iterator[Said]:
    """Look at a mask of known truth."""
    if not known.any():
        yield "problem", "nothing is known: the mask is empty", "correct the mask, or [values.region]"
    elif known.all():
        yield "note", "all of the image is known", "nothing: the mask is not needed"


def _polarity(
    image: xr.DataArray | None,
    labels: npt.NDArray[np.int_] | None,
    membranes: npt.NDArray[np.bool_] | None,
    told: str,
) -> Iterator[Said]:
    """Compare how membranes look with what the description says."""
    if image is None or told == "unknown":
        return
    pixels = first_channel(image).values
    truth = labels if labels is not None else membranes
    if truth is None or pixels.shape != truth.shape or truth.ndim not in (2, 3):
        return
    found = statistics.contrast(pixels, truth) if membranes is None else statistics.class_contrast(pixels, membranes)
    word = statistics.polarity(found)
    if found is not None and word != told:
        what = f"membranes look {word} ({found:+.2f} standard deviations), the description says {told}"
        yield "note", what, "correct membranes in the description, or see whether image and truth belong together"
