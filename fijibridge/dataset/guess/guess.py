"""A first description of a folder, guessed from what lies in it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.dataset.checks import statistics
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import ROLES, Description, Role
from fijibridge.dataset.guess.file_groups import Family, families
from fijibridge.dataset.patterns import Pattern
from fijibridge.dataset.toml import FILE_NAME, as_toml, write_description
from fijibridge.dataset.values import MEMBRANE
from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import content
from fijibridge.image import first_channel, last_dims
from fijibridge.messages import some

_LOOKED_AT = 3
_MOST_WITHOUT = 50
_HALF_SAMPLE = 512
_MOST_PIXELS = 2**28
_ALIKE = 0.7  # share of neighbours in a label image that have one id
_BY_PROGRAM = r"auto|automatic|silver|unet\w*|stardist|cellpose|watershed|predicted"
_BY_HAND = r"manual|hand|gold|annotator\w*"


@dataclass(frozen=True)
class Guess:
    """A guessed description: what it says, from what evidence, and what nobody could know.

    Attributes
    ----------
    folder : Path
        That was looked at.
    description : Description
        The guess; it opens.
    evidence : tuple of str
        What was guessed from what.
    unknown : tuple of str
        What to fill in by hand.
    """

    folder: Path
    description: Description
    evidence: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def toml(self) -> str:
        """The text of the description file, with what is unknown as remarks."""
        remarks = "".join(f"# not known: {line}\n" for line in self.unknown)
        return as_toml(self.description, remarks)

    def __str__(self) -> str:
        guessed = "\n".join(f"  {line}" for line in self.evidence)
        unknown = "\n".join(f"  {line}" for line in self.unknown)
        return f"Guessed of {self.folder}:\n{guessed}\nNot known:\n{unknown}"

    def write(self, overwrite: bool = False) -> Path:
        """Write it as the folder's ``dataset.toml``, atomically.

        Raises
        ------
        DatasetError
            If there is one already and it may not be overwritten.
        """
        target = self.folder / FILE_NAME
        if target.exists() and not overwrite:
            raise DatasetError(f"{target} is there already: overwrite it (overwrite=True, --overwrite), or edit it")
        return write_description(self.folder, self.description, self.toml)


@dataclass
class _Notes:
    """What is gathered on the way to a guess."""

    fields: dict[str, Any] = field(default_factory=dict)
    evidence: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    chosen: dict[Role, Family] = field(default_factory=dict)
    kinds: dict[str, str | None] = field(default_factory=dict)


def describe(folder: str | os.PathLike[str]) -> Guess:
    """Guess a first description of a folder of images, from the names of its files and a look at some of them.

    Parameters
    ----------
    folder
        With images, and perhaps truth, in it or in folders in it. Nothing is written.

    Returns
    -------
    Guess
        ``print`` tells it in words; ``guess.write()`` writes the file.

    Raises
    ------
    DatasetError
        If there is no image.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> folder = Path(tempfile.mkdtemp())
    >>> tifffile.imwrite(folder / "a_image.tif", np.arange(72, dtype=np.uint8).reshape(8, 9))
    >>> tifffile.imwrite(folder / "a_labels.tif", np.repeat(np.arange(8, dtype=np.uint16), 9).reshape(8, 9))
    >>> guess = describe(folder)
    >>> guess.description.image, guess.description.labels
    ('{name}_image.tif', '{name}_labels.tif')
    """
    place = Path(folder)
    if not place.is_dir():
        raise DatasetError(f"no folder {place}" + (": it is a file" if place.is_file() else ""))
    found = families(place)
    notes = _Notes()
    image = _image(place, found, notes)
    for role in ROLES[1:]:
        _other(role, image, found, notes)
    _axes(notes)
    _pixel_size(image, found, notes)
    _membranes(place, notes)
    _provenance(notes)
    _without(image, notes)
    _left(found, notes)
    _never_known(image, notes)
    description = Description.model_validate(notes.fields)
    Dataset(place, description)  # a guess that does not open is none
    return Guess(place, description, tuple(notes.evidence), tuple(notes.unknown))


def _image(folder: Path, found: Sequence[Family], notes: _Notes) -> Family:
    candidates = [f for f in found if f.role == "image"] or [f for f in found if f.role is None]
    if not candidates:
        held = some(sorted(p.name for p in folder.iterdir()), 6) or "nothing"
        raise DatasetError(
            f"no file in {folder} looks like an image with intensities: it holds {held}. Write {FILE_NAME} by hand, "
            "and give each image a name: a_image.tif and a_labels.tif"
        )
    image = max(candidates, key=lambda f: (len(f.files), f.count, ":" not in f.pattern))
    reason = f"the word {image.word!r} in their names" if image.role else "they are most, and no word speaks against it"
    notes.fields["image"] = image.pattern
    notes.chosen["image"] = image
    series = Pattern(image.pattern).series
    made = f", made of {image.count} files (by {', '.join(series)})" if series else ""
    notes.evidence.append(f"image = {image.pattern!r}: {len(image.files)} image(s){made}; {reason}")
    return image


def _other(role: Role, image: Family, found: Sequence[Family], notes: _Notes) -> None:
    """Choose the files of another role: what a word speaks for, and the pixels do not speak against."""
    taken = list(notes.chosen.values())
    shared = [f for f in found if f not in taken and set(f.files) & set(image.files)]
    for family in shared:
        notes.kinds.setdefault(family.pattern, _kind(family))
    fitting = [(f, kind) for f in shared if (kind := notes.kinds[f.pattern]) and _role(f, kind) == role]
    if not fitting:
        return
    best, kind = max(fitting, key=lambda pair: (len(set(pair[0].files) & set(image.files)), pair[0].role == role,
                                                ":" not in pair[0].pattern))  # fmt: skip
    if role == "classes" and not _class_values(best, notes):
        return
    notes.fields[role], notes.chosen[role] = best.pattern, best
    word = f"the word {best.word!r} in their names, and " if best.role == role else ""
    count = len(set(best.files) & set(image.files))
    notes.evidence.append(f"{role} = {best.pattern!r}: of {count} image(s); {word}they hold {kind}")


def _role(family: Family, kind: str) -> Role | None:
    """Return the role that names and pixels speak for together."""
    if kind == "ids of regions":
        return "labels" if family.role in ("labels", "classes", None) else family.role
    if kind in ("two values", "few values"):
        return "classes" if family.role == "labels" else family.role
    if kind == "shares from 0 to 1":
        return "prediction" if family.role != "image" else None
    return family.role if family.role in ("image", "prediction") else None


def _kind(family: Family) -> str | None:
    """Say what the pixels of some files look like; None if they cannot be read."""
    try:
        kinds = {_look(_sample(family, path)) for path in list(family.files.values())[:_LOOKED_AT]}
    except (DatasetError, ImageError):
        return None
    for kind in ("intensities", "shares from 0 to 1", "ids of regions", "few values"):
        if kind in kinds:
            return kind
    return "two values"


def _sample(family: Family, path: Path) -> npt.NDArray[Any]:
    """Return the middle of the middle plane."""
    try:
        said = content(path, Pattern(family.pattern).key)
        dims = said.dims or last_dims(said.pixels.ndim)
        half = {d: _HALF_SAMPLE if d in "yx" else 0 for d in dims}
        middle = zip(dims, said.pixels.shape, strict=True)
        return said.pixels[tuple(slice(max(n // 2 - half[d], 0), n // 2 + half[d] + 1) for d, n in middle)]
    except (DatasetError, ImageError):
        raise
    except Exception as error:
        raise DatasetError(f"{path} cannot be read as an image: {error}") from error


def _look(array: npt.NDArray[Any]) -> str:
    if array.dtype == bool:
        return "two values"
    values = np.unique(array)
    if array.dtype.kind == "f" and values.size > 2 and values[0] >= 0 and values[-1] <= 1:
        return "shares from 0 to 1"
    if values.size <= 2:
        return "two values"
    left, right = array[..., :-1], array[..., 1:]
    something = (left != 0) | (right != 0)
    alike = float((left == right)[something].mean()) if something.any() else 0.0
    if alike < _ALIKE or (values != np.round(values)).any():
        return "intensities"
    return "ids of regions" if values.size > 4 else "few values"


def _class_values(family: Family, notes: _Notes) -> bool:
    """Guess which of two values is membrane: the one whose places are thinner."""
    from scipy import ndimage

    array = np.squeeze(_sample(family, next(iter(family.files.values()))))
    values = [int(v) for v in np.unique(array)]
    if len(values) != 2 or array.ndim != 2:
        notes.unknown.append(f"what the values {values[:6]} of {family.pattern!r} mean; not taken as classes")
        return False
    depth = {v: float(ndimage.distance_transform_edt(array == v)[array == v].mean()) for v in values}
    membrane, other = sorted(values, key=lambda v: depth[v])
    notes.fields["values"] = {"classes": {other: "cell", membrane: "membrane"}}
    notes.evidence.append(
        f"[values.classes] {membrane} = membrane: it is thin, on average {depth[membrane]:.1f} px deep; {other} is "
        f"{depth[other]:.1f} px deep"
    )
    return True


def _axes(notes: _Notes) -> None:
    family = notes.chosen["image"]
    path = next(iter(family.files.values()))
    try:
        said = content(path, Pattern(family.pattern).key)
    except DatasetError as error:
        raise DatasetError(f"the first image cannot be read, so nothing can be guessed: {error}") from error
    shape = said.pixels.shape
    if said.dims is not None or len(shape) < 3:
        return
    if len(shape) == 3 and shape[-1] in (3, 4) and shape[-2] > 4 * shape[-1]:
        notes.fields["dims"] = "yxc"
        notes.evidence.append(f"dims = 'yxc': the shape {shape} ends like colours")
    else:
        axes = last_dims(len(shape))
        notes.unknown.append(f"dims: {path.name} does not say which axis of {shape} is which; it is read as {axes}")


def _pixel_size(image: Family, found: Sequence[Family], notes: _Notes) -> None:
    """Take the pixel size from the images, else from a file beside that is of the same name and shape."""
    name, path = next(iter(image.files.items()))
    own = content(path, Pattern(image.pattern).key)
    if _size_of(own.calibration):
        notes.evidence.append(f"pixel size: the images say it themselves, {_size_words(own.calibration)}")
        return
    for family in found:
        for other_name in sorted(set(family.files) & set(image.files)):
            beside = family.files[other_name]
            try:
                said = content(beside, Pattern(family.pattern).key)
                fits = said.pixels.shape == content(image.files[other_name], Pattern(image.pattern).key).pixels.shape
            except DatasetError:
                continue
            if fits and _size_of(said.calibration):
                size = {d: float(f"{v:.6g}") for d, v in _size_of(said.calibration).items()}
                notes.fields |= {"pixel_size": size, "unit": _unit_of(said.calibration)}
                words = _size_words(said.calibration)
                notes.evidence.append(f"pixel_size, unit: {beside.name}, of the same name and shape, says {words}")
                if len(image.files) > 1:
                    notes.unknown.append(f"whether all images have the pixel size that {beside.name} says")
                return
    notes.unknown.append(f"pixel_size and unit: no file says them ({path.name}, {name} and others)")


def _size_of(calibration: Mapping[str, Any]) -> dict[str, float]:
    return dict(calibration.get("pixel_size") or {}) if _unit_of(calibration) not in (None, "pixel") else {}


def _unit_of(calibration: Mapping[str, Any]) -> str | None:
    unit = calibration.get("unit")
    return unit.get("y", unit.get("x")) if isinstance(unit, Mapping) else unit


def _size_words(calibration: Mapping[str, Any]) -> str:
    sizes = ", ".join(f"{d} {v:.4g}" for d, v in _size_of(calibration).items())
    return f"{sizes} {_unit_of(calibration)}"


def _membranes(folder: Path, notes: _Notes) -> None:
    """Guess whether membranes are dark or bright, where truth tells where they are."""
    told = {"image", "labels", "classes", "values", "dims"} & set(notes.fields)
    dataset = Dataset(folder, Description.model_validate({k: notes.fields[k] for k in told}))
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
        notes.fields["membranes"] = words.pop()
        notes.evidence.append(
            f"membranes = {notes.fields['membranes']!r}: on them the images are {float(np.median(seen)):+.1f} standard "
            "deviations from beside"
        )
    else:
        notes.unknown.append("membranes: whether they are dark or bright (if there are any)")


def _item_contrast(item: Any) -> float | None:
    """Return the contrast by the cells, and where they do not touch, by the pixel labels."""
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


def _provenance(notes: _Notes) -> None:
    for role in ("labels", "classes"):
        family = notes.chosen.get(role)
        if family is None:
            continue
        tokens = re.split(r"[_\-. /:]+", family.pattern.lower())
        for words, meaning in ((_BY_PROGRAM, "algorithm"), (_BY_HAND, "manual")):
            word = next((t for t in tokens if re.fullmatch(words, t)), None)
            if word is not None:
                notes.fields["provenance"] = meaning
                notes.evidence.append(
                    f"provenance = {meaning!r}: the word {word!r} in {family.pattern!r}; see if it is"
                )
                return
    if {"labels", "classes"} & set(notes.chosen):
        notes.unknown.append("provenance: who made the truth, by hand (manual), corrected, or an algorithm")


def _without(image: Family, notes: _Notes) -> None:
    """Say which images have no truth, where that is some of them."""
    lacking: dict[str, list[str]] = {}
    for role, family in notes.chosen.items():
        for name in sorted(set(image.files) - set(family.files)):
            lacking.setdefault(name, []).append(role)
    if lacking and len(lacking) <= _MOST_WITHOUT:
        notes.fields["files"] = {name: {"without": roles} for name, roles in sorted(lacking.items())}
    if lacking:
        roles = ", ".join(sorted({role for missing in lacking.values() for role in missing}))
        notes.evidence.append(f"without: {some(sorted(lacking), 5)} lack(s) {roles}")


def _left(found: Sequence[Family], notes: _Notes) -> None:
    left = [f.pattern for f in found if f not in notes.chosen.values()]
    if left:
        notes.unknown.append(f"what {some(left, 5)} is for; left out")
    if not {"labels", "classes"} & set(notes.chosen):
        notes.unknown.append("the truth: no file looks like labels of cells or of pixels; to predict, none is needed")


def _never_known(image: Family, notes: _Notes) -> None:
    if len(image.files) > 1:
        notes.unknown.append(
            "[split]: which images are for validation and test; until it is said, all are for training"
        )
    numbers = [int(n) for n in image.files if n.isdigit()]
    if len(numbers) == len(image.files) > 2:
        notes.unknown.append(
            f'whether {min(numbers)} to {max(numbers)} are neighbours in one stack (source = "..." and names = '
            '"{position}"), planes of one image (image = a pattern with {z}), or independent'
        )
