"""Guesses of the roles of file groups (images, labels, classes, regions, predictions) from names and pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.dataset.description import Role
from fijibridge.dataset.guess.evidence import Evidence
from fijibridge.dataset.guess.file_groups import FileGroup
from fijibridge.dataset.patterns import Pattern
from fijibridge.dataset.toml import FILE_NAME
from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import content
from fijibridge.image import last_dims
from fijibridge.messages import some

_LOOKED_AT = 3  # number of files of a group
_HALF_SAMPLE = 512  # half of the side of a sample, in pixels
_ALIKE = 0.7  # smallest share of neighbouring pixels in a label image that have the same id


def choose_images(folder: Path, found: Sequence[FileGroup], evidence: Evidence) -> FileGroup:
    """Choose the images: the largest group whose names suggest intensities, or else the largest without a role.

    Raises
    ------
    DatasetError
        If there is no such group.
    """
    candidates = [f for f in found if f.role == "image"] or [f for f in found if f.role is None]
    if not candidates:
        held = some(sorted(p.name for p in folder.iterdir()), 6) or "nothing"
        raise DatasetError(
            f"no file in {folder} looks like an image with intensities: it contains {held}. Write {FILE_NAME} by hand, "
            "and name the files of each image alike: a_image.tif and a_labels.tif"
        )
    truth = {name for group in found if group.role in ("labels", "classes") for name in group.files}
    image = max(candidates, key=lambda f: (len(truth & set(f.files)), len(f.files), f.count, ":" not in f.pattern))
    reason = (
        f"the word {image.word!r} in their names" if image.role else "the largest group without a word for another role"
    )
    evidence.fields["image"] = image.pattern
    evidence.chosen["image"] = image
    series = Pattern(image.pattern).series
    made = f", made of {image.count} files (by {', '.join(series)})" if series else ""
    evidence.reasons.append(f"image = {image.pattern!r}: {len(image.files)} image(s){made}; {reason}")
    return image


def choose_role(role: Role, image: FileGroup, found: Sequence[FileGroup], evidence: Evidence) -> None:
    """Choose the files of another role: a group whose names and pixels both fit the role."""
    taken = list(evidence.chosen.values())
    shared = [f for f in found if f not in taken and set(f.files) & set(image.files)]
    for group in shared:
        evidence.kinds.setdefault(group.pattern, _kind(group))
    fitting = [(f, kind) for f in shared if (kind := evidence.kinds[f.pattern]) and _role(f, kind) == role]
    if not fitting:
        return
    best, kind = max(fitting, key=lambda pair: (len(set(pair[0].files) & set(image.files)), pair[0].role == role,
                                                ":" not in pair[0].pattern))  # fmt: skip
    if role == "classes" and not _class_values(best, evidence):
        return
    evidence.fields[role], evidence.chosen[role] = best.pattern, best
    word = f"the word {best.word!r} in their names, and " if best.role == role else ""
    count = len(set(best.files) & set(image.files))
    evidence.reasons.append(f"{role} = {best.pattern!r}: for {count} image(s); {word}they contain {kind}")


def _role(group: FileGroup, kind: str) -> Role | None:
    """Return the role that follows from names and pixels together; None if they contradict each other."""
    if kind == "ids of regions":
        return "labels" if group.role in ("labels", "classes", None) else group.role
    if kind in ("two values", "few values"):
        return "classes" if group.role == "labels" else group.role
    if kind == "values from 0 to 1":
        return "prediction" if group.role != "image" else None
    return group.role if group.role in ("image", "prediction") else None


def _kind(group: FileGroup) -> str | None:
    """Return the appearance of the pixels of some files; None if the files cannot be read."""
    try:
        kinds = {_look(_sample(group, path)) for path in list(group.files.values())[:_LOOKED_AT]}
    except (DatasetError, ImageError):
        return None
    for kind in ("intensities", "values from 0 to 1", "ids of regions", "few values"):
        if kind in kinds:
            return kind
    return "two values"


def _sample(group: FileGroup, path: Path) -> npt.NDArray[Any]:
    """Return the middle of the middle plane of a file."""
    found = content(path, Pattern(group.pattern).key)
    dims = found.dims or last_dims(found.pixels.ndim)
    half = {d: _HALF_SAMPLE if d in "yx" else 0 for d in dims}
    middle = zip(dims, found.pixels.shape, strict=True)
    return found.pixels[tuple(slice(max(n // 2 - half[d], 0), n // 2 + half[d] + 1) for d, n in middle)]


def _look(array: npt.NDArray[Any]) -> str:
    """Return the appearance of pixels as words, such as ``"intensities"``.

    In a label image, most neighbouring pixels have the same id; in intensities, few have the same value.
    """
    if array.dtype == bool:
        return "two values"
    values = np.unique(array)
    if array.dtype.kind == "f" and values.size > 2 and values[0] >= 0 and values[-1] <= 1:
        return "values from 0 to 1"
    if values.size <= 2:
        return "two values"
    left, right = array[..., :-1], array[..., 1:]
    something = (left != 0) | (right != 0)
    alike = float((left == right)[something].mean()) if something.any() else 0.0
    if alike < _ALIKE or (values != np.round(values)).any():
        return "intensities"
    return "ids of regions" if values.size > 4 else "few values"


def _class_values(group: FileGroup, evidence: Evidence) -> bool:
    """Guess which of two values is membrane: that of thinner structures. Return whether there is a guess."""
    from scipy import ndimage

    array = np.squeeze(_sample(group, next(iter(group.files.values()))))
    values = [int(v) for v in np.unique(array)]
    if len(values) != 2 or array.ndim != 2:
        evidence.unknown.append(f"the meaning of the values {values[:6]} in {group.pattern!r}; not used as classes")
        return False
    depth = {v: float(ndimage.distance_transform_edt(array == v)[array == v].mean()) for v in values}
    membrane, other = sorted(values, key=lambda v: depth[v])
    evidence.fields["values"] = {"classes": {other: "cell", membrane: "membrane"}}
    evidence.reasons.append(
        f"[values.classes] {membrane} = membrane: it is thin, on average {depth[membrane]:.1f} px deep; {other} is "
        f"{depth[other]:.1f} px deep"
    )
    return True
