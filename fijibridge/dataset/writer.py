"""Arrays become a folder of images with its description."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
import xarray as xr
from pydantic import ValidationError

from fijibridge.dataset.dataset import Dataset, refuse_misfit
from fijibridge.dataset.description import ROLES, SPLITS, Description, Values, said_plainly
from fijibridge.dataset.toml import FILE_NAME, write_description
from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import make_folder, write_image
from fijibridge.image import (
    PIXEL,
    SPATIAL,
    Array,
    as_image,
    as_labels,
    first_channel,
    imagej_pixels,
    origin,
    pixel_size,
    same_shape,
    time_unit,
    unit,
    values,
)
from fijibridge.messages import some

_ENDS = {"image": "image", "classes": "classes", "labels": "labels", "region": "region", "prediction": "prob"}
_CLASSES = {0: "background", 1: "membrane", 255: "ignore"}
_SOFTWARE = "fijibridge.save_dataset"
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def save_dataset(
    folder: str | os.PathLike[str],
    images: Mapping[str, Mapping[str, Array]],
    *,
    overwrite: bool = False,
    **fields: Any,
) -> Dataset:
    """Write images and what belongs to them as a folder with a ``dataset.toml``.

    Parameters
    ----------
    folder
        Made if it is not there. The description is written last: a folder with one is complete.
    images
        By the name of the image, its arrays by role: ``image`` (needed), ``labels`` (ids of cells, 0 = background),
        ``classes`` (0 = other, 1 = membrane, 255 = ignore), ``region`` (non-zero where the truth is known),
        ``prediction``. DataArrays keep their calibration; plain arrays take axes and calibration of their image, a
        prediction with channels in front where it has one axis more.
    overwrite
        Whether a description that is there already, and files of the same names, may be replaced. Files that an
        earlier call saved, and that nobody wrote since, are removed where this one saves none of that name.
    **fields
        Of :class:`fijibridge.Description`, such as ``provenance``, ``membranes``, ``split``.

    Returns
    -------
    Dataset
        Of what was written.

    Raises
    ------
    DatasetError
        If names are no names of files, roles are unknown, the fields do not fit the names, shapes differ, a type of
        pixels cannot be written, or a description, files of these names or other images are there already.
        Then nothing was written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "evl"
    >>> raw, cells = np.zeros((8, 9), np.uint8), np.repeat(np.arange(8), 9).reshape(8, 9)
    >>> images = {"a": {"image": raw, "labels": cells}}
    >>> saved = save_dataset(folder, images, provenance="manual", pixel_size=0.5, unit="um")
    >>> saved["a"].labels().max().item(), pixel_size(saved["a"].image())
    (7, {'y': 0.5, 'x': 0.5})
    """
    target = Path(folder)
    if (target / FILE_NAME).exists() and not overwrite:
        raise DatasetError(f"{target / FILE_NAME} is there already: choose another folder, or say overwrite=True")
    checked = {_checked_name(name): _checked(name, arrays) for name, arrays in images.items()}
    if not checked:
        raise DatasetError("there is nothing to save: expected {name: {'image': array, 'labels': array}}")
    if len({name.lower() for name in checked}) < len(checked):
        raise DatasetError("two names differ in upper and lower case only; not all systems can hold both files")
    description = _description(checked, fields)
    refuse_misfit(target, description, checked)
    files = {f"{name}_{_ENDS[role]}.tif": array for name, arrays in checked.items() for role, array in arrays.items()}
    stale = _stale(target, set(files))
    if not overwrite:
        _refuse_to_replace(target, files)
    make_folder(target)
    (target / FILE_NAME).unlink(missing_ok=True)  # from here on the folder is not complete
    for file, array in files.items():
        write_image(target / file, array, _SOFTWARE)
    _remove(stale, target, files)
    write_description(target, description)
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
    """Write one image, and what belongs to it, into a folder that :func:`save_dataset` made, or begin such a folder.

    Parameters
    ----------
    folder
        Made if it is not there. Files of other images are not touched.
    name
        Of the image.
    arrays
        By role, as for :func:`save_dataset`.
    split
        ``"train"``, ``"validation"`` or ``"test"``: what the image is for.
    overwrite
        Whether an image of that name may be replaced.
    **facts
        About this image: ``provenance``, ``membranes``, ``source`` ...; told of it alone where the others differ.

    Returns
    -------
    Dataset
        Of the whole folder.

    Raises
    ------
    DatasetError
        If there is an image of that name, the folder was described by somebody else, or what is given is refused by
        :func:`save_dataset`. Then nothing was written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "evl"
    >>> arrays = {"image": np.zeros((8, 9), np.uint8), "labels": np.repeat(np.arange(8), 9).reshape(8, 9)}
    >>> _ = add_to_dataset(folder, "a", arrays)
    >>> add_to_dataset(folder, "b", arrays, split="test").names("test")
    ['b']
    """
    target = Path(folder)
    if split not in SPLITS:
        raise DatasetError(f"split={split!r}; expected one of {', '.join(SPLITS)}")
    if not (target / FILE_NAME).exists():
        first: dict[str, Any] = {} if split == "train" else {"split": {split: [name]}}
        return save_dataset(target, {name: arrays}, overwrite=overwrite, **{**first, **facts})
    old = Dataset.open(target)
    ours = {role: f"{{name}}_{end}.tif" for role, end in _ENDS.items()}
    foreign = next((r for r in ROLES if getattr(old.description, r) not in (None, ours[r])), None)
    if foreign is not None:
        raise DatasetError(
            f"{target} keeps its files by {foreign} = {getattr(old.description, foreign)!r}, not as save_dataset does, "
            f"{ours[foreign]!r}: add the files there by hand, or choose another folder"
        )
    if name in old and not overwrite:
        raise DatasetError(f"{target} has an image {name!r} already: choose another name, or say overwrite")
    twin = next((other for other in old.names() if other.lower() == name.lower() and other != name), None)
    if twin is not None:
        raise DatasetError(
            f"{target} has an image {twin!r}, and {name!r} differs in upper and lower case only; not all systems can "
            "hold the files of both: choose another name"
        )
    ready = _checked(_checked_name(name), arrays)
    description = _joined(old, name, ready, split, facts)
    refuse_misfit(target, description, [*old.names(), name])
    files = {f"{name}_{_ENDS[role]}.tif": array for role, array in ready.items()}
    before = _own_files(old, name) if name in old else set()
    _refuse_to_replace(target, (file for file in files if target / file not in before))
    with tempfile.TemporaryDirectory(dir=target, prefix=".new-") as aside:  # all of them, or none
        for file, array in files.items():
            write_image(Path(aside) / file, array, _SOFTWARE)
        for file in files:
            (Path(aside) / file).replace(target / file)
    write_description(target, description)
    for path in before - {target / file for file in files}:
        path.unlink(missing_ok=True)
    return Dataset.open(target)


def _own_files(dataset: Dataset, name: str) -> set[Path]:
    """Return the files of an image that are named as they are here, and are no other image's."""
    own = {m.first for role, m in dataset[name].members.items() if m.pattern.text == f"{{name}}_{_ENDS[role]}.tif"}
    return own - {
        path for item in dataset if item.name != name for m in item.members.values() for path in m.paths.values()
    }


def _refuse_to_replace(folder: Path, files: Iterable[str]) -> None:
    """Refuse to write over files that are not those of a data set that may be replaced."""
    there = [file for file in files if (folder / file).exists()]
    if there:
        raise DatasetError(
            f"{folder} holds {some(sorted(there), 6)} already: choose another name or folder, move them away, or say "
            "that they may be replaced (overwrite=True)"
        )


def _joined(old: Dataset, name: str, arrays: Mapping[str, Array], split: str, facts: Mapping[str, Any]) -> Description:
    """Return the description of a folder with an image more."""
    told = old.description.model_dump(exclude_unset=True, by_alias=True)
    others = [other for other in old.names() if other != name]
    roles = {role for role in ROLES if told.get(role)} | set(arrays)
    told |= {role: f"{{name}}_{_ENDS[role]}.tif" for role in roles}
    files = {key: dict(said) for key, said in told.get("files", {}).items() if key != name}
    for other in others:
        lacking = sorted(role for role in roles if role not in old[other].members)
        if lacking:
            files.setdefault(other, {})["without"] = lacking
    known = _calibration({name: arrays})
    if not known and "pixel_size" in told:  # it has none: not that of the others
        known = {"pixel_size": pixel_size(as_image(arrays["image"])), "unit": PIXEL}
    own = {key: said for key, said in {**known, **facts}.items() if told.get(key) != said}
    lacking = sorted(roles - set(arrays))
    if own or lacking:
        files[name] = own | ({"without": lacking} if lacking else {})
    told["files"] = files
    if meanings := _meanings(roles, None):
        told["values"] = {**told.get("values", {}), **meanings}
    wanted = {kind: [n for n in told.get("split", {}).get(kind, ()) if n != name] for kind in SPLITS if kind != "train"}
    if split != "train":
        wanted[split].append(name)
    told["split"] = {**told.get("split", {}), **wanted}
    try:
        return Description.model_validate(told)
    except ValidationError as error:
        raise DatasetError(said_plainly(error)) from error


def _stale(folder: Path, files: Set[str]) -> list[Path]:
    """Return what an earlier call wrote and this one does not.

    Raises
    ------
    DatasetError
        If there are other files that would count as images of the new dataset.
    """
    try:
        old = list(Dataset.open(folder)) if (folder / FILE_NAME).is_file() else []
    except DatasetError:
        old = []  # what it named, nobody knows: its images are refused below
    ours = {role: f"{{name}}_{end}.tif" for role, end in _ENDS.items()}
    named = {m.first for item in old for role, m in item.members.items() if m.pattern.text == ours[role]}
    stale = sorted(path for path in named if path.name not in files and path.is_file() and _was_saved(path))
    strange = sorted({p.name for p in folder.glob("*_image.tif")} - set(files) - {p.name for p in stale})
    if strange:
        raise DatasetError(
            f"{folder} holds images that are not among those to save, and that no earlier call saved: "
            f"{some(strange, 6)}; choose another folder, or move them away"
        )
    return stale


def _was_saved(path: Path) -> bool:
    """Whether a file was written here, and by nobody else since."""
    try:
        with tifffile.TiffFile(path) as file:
            return file.pages.first.software == _SOFTWARE
    except (OSError, ValueError, tifffile.TiffFileError):
        return False


def _remove(stale: Iterable[Path], folder: Path, files: Iterable[str]) -> None:
    """Remove files, but none that was written under a name of other upper and lower case."""
    written = {file.lower(): folder / file for file in files}
    for path in stale:
        twin = written.get(path.name.lower())
        if twin is None or not (path.exists() and path.samefile(twin)):
            path.unlink(missing_ok=True)


def _checked_name(name: str) -> str:
    """Refuse a name that is no name of a file on some system, or that leads out of the folder."""
    bad = [c for c in name if c in '/\\:*?"<>|{}' or ord(c) < 32 or ord(c) == 127]
    if not name or bad or name[0] in ". " or name[-1] in ". " or len(name.encode()) > 200 or _RESERVED.fullmatch(name):
        reason = f"it holds {bad[0]!r}" if bad else "not every system can hold it"
        raise DatasetError(f"{name!r} is no name for the files of an image ({reason}): choose another")
    return name


def _checked(name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays as they are written, in the order of the roles."""
    unknown = sorted(set(arrays) - set(ROLES))
    if unknown or "image" not in arrays:
        what = f"the role {unknown[0]!r} is unknown" if unknown else "there is no 'image'"
        raise DatasetError(f"{name}: {what}; roles are {', '.join(ROLES)}")
    try:
        image = as_image(arrays["image"])
        ready: dict[str, Array] = {role: _stored(role, arrays[role], image) for role in ROLES if role in arrays}
        same_shape(**{role: first_channel(array) for role, array in ready.items()})
        for array in ready.values():
            imagej_pixels(values(array))
    except ImageError as error:
        raise DatasetError(f"{name}: {error}") from error
    return ready


def _stored(role: str, array: Array, reference: xr.DataArray) -> xr.DataArray:
    """Return an array as it is written; a plain one lies where its image lies."""
    if isinstance(array, xr.DataArray):
        image = as_image(array)
    else:
        sizes, starts = pixel_size(reference), origin(reference)
        units = {**dict.fromkeys(SPATIAL, unit(reference)), "t": time_unit(reference)}
        dims = _axes_of_plain(role, np.shape(array), reference)
        image = as_image(array, dims, pixel_size=sizes, origin=starts, unit=units)
    if role == "labels":
        return image.copy(data=as_labels(image))
    if role == "region":
        return image.copy(data=values(image) != 0)
    if role == "classes":
        return image.copy(data=_classes(values(image)))
    return image


def _axes_of_plain(role: str, shape: tuple[int, ...], reference: xr.DataArray) -> str:
    """Return the axes of a plain array: those of its image, perhaps with channels in front or where that has them."""
    axes = "".join(str(d) for d in reference.dims)
    inner = axes.replace("c", "")
    if role in ("image", "prediction") and shape == reference.shape:
        return axes
    choices = [inner, f"c{inner}"] if role == "prediction" else [inner]
    fitting = next((dims for dims in choices if len(dims) == len(shape)), None)
    if fitting is None:
        raise ImageError(
            f"image has shape {reference.shape} ({axes}) but {role} {shape}; expected the axes {' or '.join(choices)}: "
            "bring it to these, or say its own, fijibridge.as_image(array, dims)"
        )
    return fitting


def _classes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    strange = np.setdiff1d(array, list(_CLASSES))
    if strange.size:
        raise ImageError(f"classes hold {strange[:6].tolist()}; expected 0 = other, 1 = membrane, 255 = ignore")
    return array.astype(np.uint8)


def _description(images: Mapping[str, Mapping[str, Array]], fields: Mapping[str, Any]) -> Description:
    """Return the description: what was given, and what the arrays say of themselves."""
    fixed = sorted({"format", *ROLES} & set(fields))
    if fixed:
        raise DatasetError(f"{fixed[0]} is set by the files that are written; leave it out")
    told: dict[str, Any] = {"image": "{name}_image.tif", **_calibration(images), **fields}
    roles = {role for arrays in images.values() for role in arrays}
    told |= {role: f"{{name}}_{_ENDS[role]}.tif" for role in ROLES if role in roles}
    if meanings := _meanings(roles, fields.get("values")):
        told["values"] = meanings
    files = {str(name): dict(facts) for name, facts in dict(told.get("files", {})).items()}
    for name, arrays in images.items():
        lacking = sorted(roles - set(arrays))
        if lacking:
            files.setdefault(name, {})["without"] = lacking
    if files:
        told["files"] = files
    try:
        return Description.model_validate(told)
    except ValidationError as error:
        raise DatasetError(said_plainly(error)) from error


def _meanings(roles: Set[str], given: Any) -> dict[str, Any]:
    """Return what was given, and the meaning of the numbers that are written."""
    told = given.model_dump(exclude_unset=True) if isinstance(given, Values) else dict(given or {})
    for role in sorted({"classes", "region"} & roles & set(told)):
        if role == "region" or {int(n): meaning for n, meaning in told[role].items()} != _CLASSES:
            raise DatasetError(f"values.{role} is set by the files that are written; leave it out")
    return {**told, **({"classes": _CLASSES} if "classes" in roles else {})}


def _calibration(images: Mapping[str, Mapping[str, Array]]) -> dict[str, Any]:
    """Return pixel size and unit where all images have the same; else each file says its own."""
    found = [(pixel_size(as_image(a["image"])), unit(as_image(a["image"]))) for a in images.values()]
    sizes, word = found[0]
    if word == PIXEL or any(other != found[0] for other in found):
        return {}
    return {"pixel_size": sizes, "unit": word}
