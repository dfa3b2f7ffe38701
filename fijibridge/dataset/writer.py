"""Writer of data sets: stores arrays as a folder of images with a description."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import tifffile
from pydantic import ValidationError

from fijibridge.dataset.dataset import Dataset, refuse_misfit
from fijibridge.dataset.description import ROLES, SPLITS, Description, Values, error_text
from fijibridge.dataset.image_arrays import CLASSES, checked_arrays, checked_name
from fijibridge.dataset.toml import FILE_NAME, write_description
from fijibridge.errors import DatasetError
from fijibridge.files import make_folder, write_image
from fijibridge.files.update import updated_files
from fijibridge.image import PIXEL, Array, as_image, pixel_size, unit
from fijibridge.messages import some
from fijibridge.renames import object_before_path

_ENDS = {"image": "image", "classes": "classes", "labels": "labels", "region": "region", "prediction": "prob"}
_SOFTWARE = "fijibridge.save_dataset"


@object_before_path
def save_dataset(
    images: Mapping[str, Mapping[str, Array]],
    folder: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    **fields: Any,
) -> Dataset:
    """Write images with their labels, masks and predictions as a folder with a ``dataset.toml``.

    Parameters
    ----------
    images
        Arrays by image name and role: ``image`` (required), ``labels`` (ids of cells, 0 = background), ``classes`` (0 =
        other, 1 = membrane, 255 = ignore), ``region`` (non-zero where the truth is known), ``prediction``. DataArrays
        keep their calibration; plain arrays get the axes and calibration of their image. A prediction may have one
        more axis in front, the channel.
    folder
        Created if it does not exist. All files are replaced, or none, even if the process is killed.
    overwrite
        Replace an existing description, and existing files with the same names. Other files that an earlier call saved
        are removed, unless another program has rewritten them.
    **fields
        Fields of :class:`fijibridge.Description`, such as ``provenance``, ``membranes``, ``split``.

    Returns
    -------
    Dataset
        The written data set.

    Raises
    ------
    DatasetError
        If a name cannot be a file name, a role is unknown, a field is invalid, shapes differ, a pixel type cannot be
        written, or the folder already contains a description, files with these names or other images. Nothing is
        written in that case.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> folder = Path(tempfile.mkdtemp()) / "evl"
    >>> raw, cells = np.zeros((8, 9), np.uint8), np.repeat(np.arange(8), 9).reshape(8, 9)
    >>> images = {"a": {"image": raw, "labels": cells}}
    >>> saved = save_dataset(images, folder, provenance="manual", pixel_size=0.5, unit="um")
    >>> saved["a"].labels().max().item(), pixel_size(saved["a"].image())
    (7, {'y': 0.5, 'x': 0.5})
    """
    target = Path(folder)
    if (target / FILE_NAME).exists() and not overwrite:
        raise DatasetError(f"{target / FILE_NAME} already exists: choose another folder, or give overwrite=True")
    checked = {checked_name(name): checked_arrays(name, arrays) for name, arrays in images.items()}
    if not checked:
        raise DatasetError("there is nothing to save: expected {name: {'image': array, 'labels': array}}")
    if len({name.lower() for name in checked}) < len(checked):
        raise DatasetError("two names differ only in upper and lower case; not every system can store both: rename one")
    description = _description(checked, fields)
    refuse_misfit(target, description, checked)
    files = {f"{name}_{_ENDS[role]}.tif": array for name, arrays in checked.items() for role, array in arrays.items()}
    stale = _stale(target, set(files))
    if not overwrite:
        _refuse_to_replace(target, files)
    make_folder(target)
    with updated_files(target, last=FILE_NAME) as (aside, remove):
        for file, array in files.items():
            write_image(array, aside / file, _SOFTWARE)
        write_description(aside, description)
        remove += stale
    return Dataset.open(target)


def add_to_dataset(
    folder: str | os.PathLike[str],
    name: str,
    arrays: Mapping[str, Array],
    *,
    split: str = "train",
    overwrite: bool = False,
    **facts: Any,
) -> Dataset:
    """Add one image to a folder that :func:`save_dataset` wrote, or create such a folder.

    Parameters
    ----------
    folder
        Created if it does not exist. Files of other images stay unchanged.
    name
        Name of the image.
    arrays
        Arrays of the image by role, as for :func:`save_dataset`.
    split
        Split of the image: ``"train"``, ``"validation"`` or ``"test"``.
    overwrite
        Replace an existing image with that name.
    **facts
        Fields that describe this image: ``provenance``, ``membranes``, ``source`` ... Values that differ from the
        folder's are stored for this image only.

    Returns
    -------
    Dataset
        The whole data set.

    Raises
    ------
    DatasetError
        If the folder already has an image with that name, was not written by :func:`save_dataset`, or
        :func:`save_dataset` would refuse the arrays. Nothing is written in that case.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> folder = Path(tempfile.mkdtemp()) / "evl"
    >>> arrays = {"image": np.zeros((8, 9), np.uint8), "labels": np.repeat(np.arange(8), 9).reshape(8, 9)}
    >>> _ = add_to_dataset(folder, "a", arrays)
    >>> add_to_dataset(folder, "b", arrays, split="test").names("test")
    ['b']
    """
    target = Path(folder)
    if split not in SPLITS:
        raise DatasetError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
    if not (target / FILE_NAME).exists():
        first: dict[str, Any] = {} if split == "train" else {"split": {split: [name]}}
        return save_dataset({name: arrays}, target, overwrite=overwrite, **{**first, **facts})
    old = Dataset.open(target)
    _refuse_to_add(old, target, name, overwrite)
    ready = checked_arrays(checked_name(name), arrays)
    description = _joined(old, name, ready, split, facts)
    refuse_misfit(target, description, [*old.names(), name])
    files = {f"{name}_{_ENDS[role]}.tif": array for role, array in ready.items()}
    before = _own_files(old, name) if name in old else set()
    _refuse_to_replace(target, (file for file in files if target / file not in before))
    with updated_files(target, last=FILE_NAME) as (aside, remove):
        for file, array in files.items():
            write_image(array, aside / file, _SOFTWARE)
        write_description(aside, description)
        remove += before - {target / file for file in files}
    return Dataset.open(target)


# --- files that may be replaced ---------------------------------------------------------------------


def _refuse_to_add(old: Dataset, target: Path, name: str, overwrite: bool) -> None:
    """Refuse a folder with other file names, and an image name that is taken."""
    ours = {role: f"{{name}}_{end}.tif" for role, end in _ENDS.items()}
    foreign = next((r for r in ROLES if getattr(old.description, r) not in (None, ours[r])), None)
    if foreign is not None:
        raise DatasetError(
            f"{target} names its files {foreign} = {getattr(old.description, foreign)!r}, but save_dataset writes "
            f"{ours[foreign]!r}: add the files by hand, or choose another folder"
        )
    if name in old and not overwrite:
        raise DatasetError(f"{target} already has an image {name!r}: choose another name, or give overwrite=True")
    twin = next((other for other in old.names() if other.lower() == name.lower() and other != name), None)
    if twin is not None:
        raise DatasetError(
            f"{target} has an image {twin!r}, and {name!r} differs only in upper and lower case; not every system can "
            "store the files of both: choose another name"
        )


def _own_files(dataset: Dataset, name: str) -> set[Path]:
    """Return the files of an image that are named as this module names them and belong to no other image."""
    own = {m.first for role, m in dataset[name].members.items() if m.pattern.text == f"{{name}}_{_ENDS[role]}.tif"}
    return own - {
        path for item in dataset if item.name != name for m in item.members.values() for path in m.paths.values()
    }


def _refuse_to_replace(folder: Path, files: Iterable[str]) -> None:
    """Refuse to overwrite files."""
    there = [file for file in files if (folder / file).exists()]
    if there:
        raise DatasetError(
            f"{folder} already contains {some(sorted(there), 6)}: choose another name or folder, move the files away, "
            "or give overwrite=True to replace them"
        )


def _stale(folder: Path, files: Set[str]) -> list[Path]:
    """Return the files that an earlier call wrote and this one does not replace.

    Raises
    ------
    DatasetError
        If the folder has other files that would count as images of the new data set.
    """
    try:
        old = list(Dataset.open(folder)) if (folder / FILE_NAME).is_file() else []
    except DatasetError:
        old = []  # the files of an invalid description are unknown, so its images are refused below
    ours = {role: f"{{name}}_{end}.tif" for role, end in _ENDS.items()}
    named = {m.first for item in old for role, m in item.members.items() if m.pattern.text == ours[role]}
    stale = sorted(path for path in named if path.name not in files and path.is_file() and _was_saved(path))
    strange = sorted({p.name for p in folder.glob("*_image.tif")} - set(files) - {p.name for p in stale})
    if strange:
        raise DatasetError(
            f"{folder} contains images that this call would not replace and that no earlier call saved: "
            f"{some(strange, 6)}; choose another folder, or move them away"
        )
    return stale


def _was_saved(path: Path) -> bool:
    """Return whether save_dataset wrote a file last; other programs would have stored their own name in the file."""
    try:
        with tifffile.TiffFile(path) as file:
            return file.pages.first.software == _SOFTWARE
    except (OSError, ValueError, tifffile.TiffFileError):
        return False


# --- description ------------------------------------------------------------------------------------


def _description(images: Mapping[str, Mapping[str, Array]], fields: Mapping[str, Any]) -> Description:
    """Return the description with the given fields and with the fields that follow from the arrays."""
    fixed = sorted({"format", *ROLES} & set(fields))
    if fixed:
        raise DatasetError(f"{fixed[0]} is set by the files that are written: leave this field out")
    data: dict[str, Any] = {"image": "{name}_image.tif", **_calibration(images), **fields}
    roles = {role for arrays in images.values() for role in arrays}
    data |= {role: f"{{name}}_{_ENDS[role]}.tif" for role in ROLES if role in roles}
    if meanings := _meanings(roles, fields.get("values")):
        data["values"] = meanings
    files = {str(name): dict(facts) for name, facts in dict(data.get("files", {})).items()}
    for name, arrays in images.items():
        lacking = sorted(roles - set(arrays))
        if lacking:
            files.setdefault(name, {})["without"] = lacking
    if files:
        data["files"] = files
    return _validated(data)


def _joined(old: Dataset, name: str, arrays: Mapping[str, Array], split: str, facts: Mapping[str, Any]) -> Description:
    """Return the description of a folder with one more image.

    The folder's own fields stay unchanged; values that differ for the new image are put into its entry in ``files``.
    """
    data = old.description.model_dump(exclude_unset=True, by_alias=True)
    others = [other for other in old.names() if other != name]
    roles = {role for role in ROLES if data.get(role)} | set(arrays)
    data |= {role: f"{{name}}_{_ENDS[role]}.tif" for role in roles}
    files = {key: dict(entry) for key, entry in data.get("files", {}).items() if key != name}
    for other in others:  # if a role is new in the folder, the other images lack it
        lacking = sorted(role for role in roles if role not in old[other].members)
        if lacking:
            files.setdefault(other, {})["without"] = lacking
    known = _calibration({name: arrays})
    if not known and "pixel_size" in data:  # an uncalibrated image must not get the folder's pixel size
        known = {"pixel_size": pixel_size(as_image(arrays["image"])), "unit": PIXEL}
    own = {key: value for key, value in {**known, **facts}.items() if data.get(key) != value}
    lacking = sorted(roles - set(arrays))
    if own or lacking:
        files[name] = own | ({"without": lacking} if lacking else {})
    data["files"] = files
    if meanings := _meanings(roles, None):
        data["values"] = {**data.get("values", {}), **meanings}
    data["split"] = {**data.get("split", {}), **_split_with(data.get("split", {}), name, split)}
    return _validated(data)


def _split_with(old: Mapping[str, Any], name: str, split: str) -> dict[str, list[str]]:
    """Return the names for validation and test, with an image moved to its split."""
    names = {kind: [n for n in old.get(kind, ()) if n != name] for kind in SPLITS if kind != "train"}
    if split != "train":
        names[split].append(name)
    return names


def _validated(data: Mapping[str, Any]) -> Description:
    try:
        return Description.model_validate(data)
    except ValidationError as error:
        raise DatasetError(error_text(error)) from error


def _meanings(roles: Set[str], given: Any) -> dict[str, Any]:
    """Return the given meanings of numbers and, if classes are written, the meanings of their numbers."""
    data = given.model_dump(exclude_unset=True) if isinstance(given, Values) else dict(given or {})
    for role in sorted({"classes", "region"} & roles & set(data)):
        if role == "region" or {int(n): meaning for n, meaning in data[role].items()} != CLASSES:
            raise DatasetError(f"values.{role} is set by the files that are written: leave this field out")
    return {**data, **({"classes": CLASSES} if "classes" in roles else {})}


def _calibration(images: Mapping[str, Mapping[str, Array]]) -> dict[str, Any]:
    """Return pixel size and unit if all images share them; otherwise nothing, because each file stores its own."""
    found = [(pixel_size(as_image(a["image"])), unit(as_image(a["image"]))) for a in images.values()]
    sizes, word = found[0]
    if word == PIXEL or any(other != found[0] for other in found):
        return {}
    return {"pixel_size": sizes, "unit": word}
