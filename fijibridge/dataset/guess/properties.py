"""Guesses of properties: axes, pixel size, polarity of membranes, provenance, images without truth."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fijibridge.dataset.checks import statistics
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import Description
from fijibridge.dataset.guess.evidence import Evidence
from fijibridge.dataset.guess.file_groups import FileGroup
from fijibridge.dataset.item import Item
from fijibridge.dataset.patterns import Pattern
from fijibridge.dataset.values import MEMBRANE
from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import content
from fijibridge.image import first_channel, last_dims
from fijibridge.messages import some

_LOOKED_AT = 3  # number of images
_MOST_WITHOUT = 50
_MOST_PIXELS = 2**28
_BY_PROGRAM = r"auto|automatic|silver|unet\w*|stardist|cellpose|watershed|predicted"
_BY_HAND = r"manual|hand|gold|annotator\w*"


def guess_axes(evidence: Evidence) -> None:
    """Guess the axes of the images, if the files do not name them."""
    group = evidence.chosen["image"]
    path = next(iter(group.files.values()))
    try:
        found = content(path, Pattern(group.pattern).key)
    except DatasetError as error:
        raise DatasetError(f"the first image cannot be read, so nothing can be guessed: {error}") from error
    shape = found.pixels.shape
    if found.dims is not None or len(shape) < 3:
        return
    if len(shape) == 3 and shape[-1] in (3, 4) and shape[-2] > 4 * shape[-1]:
        evidence.fields["dims"] = "yxc"
        evidence.reasons.append(f"dims = 'yxc': the last axis of the shape {shape} looks like colours")
    else:
        axes = last_dims(len(shape))
        evidence.unknown.append(f"dims: {path.name} does not name its axes; its shape {shape} is read as {axes}")


def guess_pixel_size(image: FileGroup, found: Sequence[FileGroup], evidence: Evidence) -> None:
    """Find the pixel size in the images, or else in another file with the same image name and shape."""
    path = next(iter(image.files.values()))
    own = content(path, Pattern(image.pattern).key)
    if _size_of(own.calibration):
        evidence.reasons.append(f"pixel size: stored in the images, {_size_words(own.calibration)}")
        return
    for group in found:
        for other_name in sorted(set(group.files) & set(image.files)):
            beside = group.files[other_name]
            try:
                other = content(beside, Pattern(group.pattern).key)
                fits = other.pixels.shape == content(image.files[other_name], Pattern(image.pattern).key).pixels.shape
            except DatasetError:
                continue
            if fits and _size_of(other.calibration):
                size = {d: float(f"{v:.6g}") for d, v in _size_of(other.calibration).items()}
                evidence.fields |= {"pixel_size": size, "unit": _unit_of(other.calibration)}
                words = _size_words(other.calibration)
                evidence.reasons.append(f"pixel_size, unit: {beside.name}, with the same name and shape, has {words}")
                if len(image.files) > 1:
                    evidence.unknown.append(f"whether all images have the pixel size of {beside.name}")
                return
    evidence.unknown.append(f"pixel_size and unit: no file stores them ({path.name} and others)")


def _size_of(calibration: Mapping[str, Any]) -> dict[str, float]:
    return dict(calibration.get("pixel_size") or {}) if _unit_of(calibration) not in (None, "pixel") else {}


def _unit_of(calibration: Mapping[str, Any]) -> str | None:
    unit = calibration.get("unit")
    return unit.get("y", unit.get("x")) if isinstance(unit, Mapping) else unit


def _size_words(calibration: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{d} {v:.4g}" for d, v in _size_of(calibration).items())
    return f"{sizes} {_unit_of(calibration)}"


def guess_membranes(folder: Path, evidence: Evidence) -> None:
    """Guess from images with labels or classes whether membranes are dark or bright."""
    known = {"image", "labels", "classes", "values", "dims"} & set(evidence.fields)
    dataset = Dataset(folder, Description.model_validate({k: evidence.fields[k] for k in known}))
    seen = []
    for item in dataset.items:
        try:
            found = _item_contrast(item)
        except (DatasetError, ImageError):
            continue
        if found is not None:
            seen.append(found)
        if len(seen) == _LOOKED_AT:
            break
    words = {statistics.polarity(value) for value in seen}
    if len(words) == 1:
        evidence.fields["membranes"] = words.pop()
        evidence.reasons.append(
            f"membranes = {evidence.fields['membranes']!r}: their brightness differs from the cells' by "
            f"{float(np.median(seen)):+.1f} standard deviations"
        )
    else:
        evidence.unknown.append("membranes: whether they are dark or bright, if there are any")


def _item_contrast(item: Item) -> float | None:
    """Return the contrast of membranes according to the labels or, if few cells touch, according to the classes."""
    image = item.image(lazy=True)
    image = first_channel(image)
    if image.size > _MOST_PIXELS or image.ndim not in (2, 3):
        return None
    for role in ("labels", "classes"):
        if role not in item.paths or item.missing(role):
            continue
        truth = item.labels().values if role == "labels" else item.classes().values == MEMBRANE
        if image.shape == truth.shape:
            look = statistics.contrast if role == "labels" else statistics.class_contrast
            found = look(image.values, truth)
            if found is not None:
                return found
    return None


def guess_provenance(evidence: Evidence) -> None:
    """Guess the origin of the truth from words in its file names."""
    for role in ("labels", "classes"):
        group = evidence.chosen.get(role)
        if group is None:
            continue
        tokens = re.split(r"[_\-. /:]+", group.pattern.lower())
        for words, meaning in ((_BY_PROGRAM, "algorithm"), (_BY_HAND, "manual")):
            word = next((t for t in tokens if re.fullmatch(words, t)), None)
            if word is not None:
                evidence.fields["provenance"] = meaning
                evidence.reasons.append(
                    f"provenance = {meaning!r}: the word {word!r} in {group.pattern!r}; please check"
                )
                return
    if {"labels", "classes"} & set(evidence.chosen):
        evidence.unknown.append(
            "provenance: whether the truth was made by hand (manual), corrected, or made by an algorithm"
        )


def find_images_without_truth(image: FileGroup, evidence: Evidence) -> None:
    """List images without truth under ``without``, unless there are more than 50."""
    lacking: dict[str, list[str]] = {}
    for role, group in evidence.chosen.items():
        for name in sorted(set(image.files) - set(group.files)):
            lacking.setdefault(name, []).append(role)
    if lacking and len(lacking) <= _MOST_WITHOUT:
        evidence.fields["files"] = {name: {"without": roles} for name, roles in sorted(lacking.items())}
    if lacking:
        roles = ", ".join(sorted({role for missing in lacking.values() for role in missing}))
        evidence.reasons.append(f"without: {some(sorted(lacking), 5)} lack(s) {roles}")


def list_open_questions(image: FileGroup, found: Sequence[FileGroup], evidence: Evidence) -> None:
    """List questions that only a person can answer: unused files, missing truth, splits, neighbours."""
    used = {path for group in evidence.chosen.values() for path in group.files.values()}
    left = [
        f.pattern for f in found
        if f not in evidence.chosen.values() and (":" in f.pattern or not set(f.files.values()) <= used)
    ]  # fmt: skip
    if left:
        evidence.unknown.append(f"the use of {some(left, 5)}, which the description does not name")
    if not {"labels", "classes"} & set(evidence.chosen):
        evidence.unknown.append("the truth: no file looks like labels or classes; a prediction needs no truth")
    if len(image.files) > 1:
        evidence.unknown.append("[split]: which images are for validation and test; by default all are for training")
    numbers = [int(n) for n in image.files if n.isdigit()]
    if len(numbers) == len(image.files) > 2:
        evidence.unknown.append(
            f'whether {min(numbers)} to {max(numbers)} are neighbours in one stack (source = "..." and names = '
            '"{position}"), planes of one image (image = a pattern with {z}), or independent'
        )
