"""A folder of images and the description that says what they are.

The description, ``dataset.toml``, lies in the folder beside the images::

    format = 1
    image = "*_image.png"            # intensities; what the star stands for names the image
    labels = "{name}_labels.tif"     # its cells: 0 = background or membrane, other numbers = ids; or "*_labels.tif"
    region = "{name}_roi.png"        # optional: non-zero where the truth is known
    provenance = "manual"            # who made the labels: manual, corrected, algorithm
    pixel_size = 0.5                 # optional: of y and x, or { z = 2.0, y = 0.5, x = 0.5 }
    unit = "um"
    membranes = "dark"               # or "bright"

    [split]
    test = ["15", "18", "21", "29"]  # names; all others are for training
    validation = []

A pattern of labels or regions holds ``{name}``, or ``*`` in the same meaning: each image has its own. These files are
needed where they are read, to train and to match; a prediction does without.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import xarray as xr
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from fijibridge.errors import DatasetError, ImageError
from fijibridge.files import read_image
from fijibridge.image import as_image, as_truth

FILE_NAME = "dataset.toml"
SPLITS = ("train", "validation", "test")
_NO_LABELS = "the description names no labels; add labels = '{name}_labels.tif'"


class Split(BaseModel):
    """Which images are for what, by name; those not named are for training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()


class Description(BaseModel):
    """What a folder of images holds; see the module's text for the file.

    `image` has one ``*``, which stands for the name of an image; `labels` and `region` have ``{name}`` in its place, or
    ``*`` again.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    image: str = Field(description="pattern of the intensity images, with one * for the name")
    labels: str | None = Field(None, description="pattern of the label images, {name} or * for the image's name")
    region: str | None = Field(None, description="pattern of the masks of known truth, {name} or * as in labels")
    provenance: Literal["manual", "corrected", "algorithm", "unknown"] = "unknown"
    pixel_size: float | dict[Literal["t", "z", "y", "x"], float] | None = None
    unit: str | None = Field(None, description="of the pixel size, such as 'um'")
    dims: str | None = Field(None, description="axes of the images in their own order, such as 'yxc'")
    membranes: Literal["dark", "bright", "unknown"] = "unknown"
    split: Split = Split()

    @field_validator("image")
    @classmethod
    def _one_star(cls, pattern: str) -> str:
        if pattern.count("*") != 1:
            raise ValueError(f"{pattern!r} must hold exactly one *, which stands for the name of the image")
        return pattern

    @field_validator("labels", "region")
    @classmethod
    def _one_for_each(cls, pattern: str | None) -> str | None:
        unknown = [f"{{{p}}}" for p in re.findall(r"\{(.*?)\}", pattern or "") if p != "name"]
        if unknown:
            raise ValueError(f"{pattern!r} holds the unknown placeholder {unknown[0]}; the one there is is {{name}}")
        if pattern is not None and "{name}" not in pattern and "*" not in pattern:
            raise ValueError(
                f"{pattern!r} names one file for all images; expected {{name}} in it, for the name of the image: "
                "'{name}_labels.tif' or the like"
            )
        return pattern

    @field_validator("image", "labels", "region")
    @classmethod
    def _inside(cls, pattern: str | None) -> str | None:
        parts = Path(pattern).parts if pattern else ()
        if ".." in parts or (pattern and (Path(pattern).is_absolute() or re.match(r"^[A-Za-z]:", pattern))):
            raise ValueError(f"{pattern!r} leaves the folder; all files lie in the folder of the description")
        return pattern


@dataclass(frozen=True)
class Item:
    """One image of a dataset and what belongs to it; the files are read when asked for.

    Attributes
    ----------
    name : str
        What the star of the pattern stands for.
    split : str
        ``"train"``, ``"validation"`` or ``"test"``.
    paths : dict
        Path of each role's file, which for labels and region need not be there before it is read.
    description : Description
        Of the folder.
    """

    name: str
    split: str
    paths: dict[str, Path]
    description: Description

    def image(self) -> xr.DataArray:
        """Read the intensities."""
        return self._read("image", self.description.dims)

    def labels(self) -> xr.DataArray:
        """Read the true cells.

        Raises
        ------
        DatasetError
            If there is no such file, or it is no label image.
        """
        if "labels" not in self.paths:
            raise DatasetError(f"{self.name}: {_NO_LABELS}")
        labels = self._read("labels")
        try:
            return labels.copy(data=as_truth(labels))
        except ImageError as error:
            raise DatasetError(f"{self.paths['labels']}: {error}") from error

    def region(self) -> xr.DataArray | None:
        """Read the mask of known truth, None if it is known everywhere."""
        if "region" not in self.paths:
            return None
        return self._read("region") != 0

    def missing(self) -> list[Path]:
        """Return those of its files that are not there."""
        return [path for path in self.paths.values() if not path.is_file()]

    def _read(self, role: str, dims: str | None = None) -> xr.DataArray:
        if not self.paths[role].is_file():
            raise DatasetError(f"{self.name}: its {role} file {self.paths[role]} is missing")
        size, unit = self.description.pixel_size, self.description.unit
        calibration: Any = {} if size is None else {"pixel_size": dict(size) if isinstance(size, dict) else size}
        image = read_image(self.paths[role], dims)
        return as_image(image, name=self.name, **calibration, unit=unit)


class Dataset:
    """A folder of images, read through its description.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> folder = Path(tempfile.mkdtemp())
    >>> tifffile.imwrite(folder / "a_image.tif", np.zeros((8, 9), np.uint8))
    >>> dataset = Dataset.from_patterns(folder, image="*_image.tif")
    >>> dataset.names(), dataset["a"].image().shape
    (['a'], (8, 9))
    """

    def __init__(self, folder: Path, description: Description):
        self.folder, self.description = folder, description
        self.items = _find(folder, description)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Dataset:
        """Open a folder with a ``dataset.toml``, or that file.

        Raises
        ------
        DatasetError
            If there is no description, it is wrong, or there are no images that fit it.
        """
        given = Path(path)
        if given.is_file() and given.suffix.lower() != ".toml":
            raise DatasetError(f"{given} is a file; expected the folder of the images, or the {FILE_NAME} in it")
        file = given / FILE_NAME if given.is_dir() else given
        if not file.is_file():
            raise DatasetError(
                f"no description {file}. Write one (see fijibridge.dataset), or say the patterns: "
                "--image '*_image.png' --labels '{name}_labels.tif'"
            )
        try:
            description = Description.model_validate(tomllib.loads(file.read_text(encoding="utf-8-sig")))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise DatasetError(f"{file} is no valid TOML: {error}") from error
        except ValidationError as error:
            raise DatasetError(f"{file}: {_said_plainly(error)}") from error
        return cls(file.parent, description)

    @classmethod
    def from_patterns(cls, folder: str | os.PathLike[str], **fields: Any) -> Dataset:
        """Open a folder without a description file; `fields` are those of :class:`Description`."""
        if not Path(folder).is_dir():
            raise DatasetError(f"no folder {folder}" + (": it is a file" if Path(folder).is_file() else ""))
        try:
            return cls(Path(folder), Description.model_validate(fields))
        except ValidationError as error:
            raise DatasetError(_said_plainly(error)) from error

    def names(self, split: str | None = None) -> list[str]:
        """Return the names of all images, or of one split."""
        return [item.name for item in self.split(split)]

    def split(self, split: str | None = None) -> list[Item]:
        """Return the items of ``"train"``, ``"validation"`` or ``"test"``, or all of them."""
        if split not in (None, *SPLITS):
            raise DatasetError(f"no split {split!r}; there are {SPLITS}")
        return [item for item in self.items if split in (None, item.split)]

    def with_truth(self, split: str | None = None) -> list[Item]:
        """Return the items of a split, after a look that their label and region files are there.

        Raises
        ------
        DatasetError
            Names the files that are missing.
        """
        items = self.split(split)
        if items and self.description.labels is None:
            raise DatasetError(f"{self.folder}: {_NO_LABELS}")
        lost = [path.name for item in items for path in item.missing()]
        if lost:
            raise DatasetError(f"{len(lost)} label or region file(s) are missing in {self.folder}: {_some(lost)}")
        return items

    def __getitem__(self, name: str) -> Item:
        """Return the item of that name."""
        for item in self.items:
            if item.name == name:
                return item
        raise DatasetError(f"no image {name!r} in {self.folder}; there are {_some(self.names())}")

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.split(s))} {s}" for s in SPLITS if self.split(s))
        return f"Dataset({str(self.folder)!r}: {counts}, truth: {self.description.provenance})"


def _said_plainly(error: ValidationError) -> str:
    return "; ".join(_unknown_key(e["loc"]) if e["type"] == "extra_forbidden" else _wrong(e) for e in error.errors())


def _wrong(error: Any) -> str:
    return f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}"


def _unknown_key(place: Sequence[int | str]) -> str:
    *section, key = map(str, place)
    known = list((Split if section else Description).model_fields)
    close = difflib.get_close_matches(key, known, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"unknown key {key!r}{f' in {section[0]}' if section else ''}; expected one of {', '.join(known)}{hint}"


def _find(folder: Path, description: Description) -> list[Item]:
    head, tail = description.image.split("*")
    found = {
        p.relative_to(folder).as_posix()[len(head) : -len(tail) or None]: p for p in folder.glob(description.image)
    }
    if not found:
        raise DatasetError(f"no file in {folder} fits {description.image!r}; it holds {_some_files(folder)}")
    split = description.split
    unknown = sorted({*split.test, *split.validation} - set(found))
    both = sorted(set(split.test) & set(split.validation))
    if unknown:
        raise DatasetError(f"split names {_some(unknown)}: no such image in {folder}; there are {_some(sorted(found))}")
    if both:
        raise DatasetError(f"split names {_some(both)} in test and validation; an image is in one of them")
    return [
        Item(name, _split_of(name, split), _paths(folder, name, path, description), description)
        for name, path in sorted(found.items())
    ]


def _some(names: Sequence[str], most: int = 20) -> str:
    return ", ".join(names[:most]) + (f" ... ({len(names)} in all)" if len(names) > most else "")


def _some_files(folder: Path) -> str:
    return _some(sorted(p.name for p in folder.iterdir()), 6) or "nothing"


def _split_of(name: str, split: Split) -> str:
    return "test" if name in split.test else "validation" if name in split.validation else "train"


def _paths(folder: Path, name: str, image: Path, description: Description) -> dict[str, Path]:
    paths = {"image": image}
    for role in ("labels", "region"):
        pattern: str | None = getattr(description, role)
        if pattern is not None:
            paths[role] = folder / pattern.replace("{name}", name).replace("*", name)
    if not image.is_file():
        raise DatasetError(f"{name}: its image {image} is no file")
    for role, path in paths.items():
        if not path.resolve().is_relative_to(folder.resolve()):
            raise DatasetError(f"{name}: its {role} file {path} lies outside the folder {folder}")
    return paths
