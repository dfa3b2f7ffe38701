"""One image of a folder and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.cells.targets.from_labels import IGNORE, membrane_target
from fijibridge.dataset import values
from fijibridge.dataset.description import DerivedFrom, Description, Provenance, Role
from fijibridge.dataset.members import Members
from fijibridge.errors import DatasetError, FijiBridgeError, ImageError
from fijibridge.files import content
from fijibridge.files.lazy_array import Content
from fijibridge.files.tiff import plain_unit
from fijibridge.image import PIXEL, SPATIAL, as_image, as_truth, origin, pixel_size, time_unit, unit
from fijibridge.messages import naming

Truth: TypeAlias = Literal["auto", "classes", "labels"]
"""What a target is made from: the pixel labels, the cell labels, or the first that the description names."""

_MOST_NAMED = 20
_SHOWN = 2**25  # pixels of an image that a notebook shows
_NUMBERS: tuple[Role, ...] = ("labels", "classes", "region")
WANTED = {
    "labels": "the description names no labels; add labels = '{name}_labels.tif'",
    "classes": "the description names no pixel labels; add classes = '{name}_membrane.png' and [values.classes]",
    "prediction": "the description names no prediction; add prediction = '{name}_prob.tif'",
}


@dataclass(frozen=True)
class Place:
    """Where an image lies in the one that it was made from at first.

    Attributes
    ----------
    offset : dict
        By axis, of the corner of its first pixel, in pixels of that image.
    factor : dict
        By axis, so many pixels of that image are one of its own.
    """

    offset: Mapping[str, int] = field(default_factory=dict)
    factor: Mapping[str, int] = field(default_factory=dict)


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
        Path of each role's first file, which but for the image need not be there before it is read.
    description : Description
        Of the folder, with what is different for this image.
    members : dict
        All files of each role.
    source, position : str, int
        The stack, film or specimen that it is a part of, and its number there, if told.
    derived_from : DerivedFrom
        The image that it was made from, if told.
    place : Place
        Where it lies in the image that it was made from at first, through all steps.
    own_size : bool
        Whether the pixel size was told for this image by its name, and not for the folder or by a pattern.
    parent : Item
        The image of this folder that it was made from, if it was.
    """

    name: str
    split: str
    paths: dict[str, Path]
    description: Description
    members: Mapping[str, Members] = field(default_factory=dict, repr=False)
    source: str | None = None
    position: int | None = None
    derived_from: DerivedFrom | None = None
    place: Place = Place()
    own_size: bool = False
    parent: Item | None = field(default=None, repr=False, compare=False)

    @property
    def provenance(self) -> Provenance:
        """Who made the truth: manual, corrected, algorithm or unknown."""
        return self.description.provenance

    def _repr_html_(self) -> str:
        from fijibridge import displays

        told = {"split": self.split, "truth": self.provenance}
        told |= {"source": self.source} if self.source else {}
        files = {role: f"{path}{'' if path.exists() else ' (missing)'}" for role, path in self.paths.items()}
        return displays.page(f"Item {self.name}", displays.facts(told | files), displays.pictures(self._pictures()))

    def _pictures(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield small pictures of what can be read, unless it is large."""
        from fijibridge import displays

        for role in ("image", "labels"):
            try:
                image = self.image(lazy=True)
                if role not in self.paths or image.size > _SHOWN:
                    continue
                image = image if role == "image" else self.labels()
                told = f"{' x '.join(map(str, image.shape))} {image.dtype}"
                yield role, told, displays.thumbnail(image.rename(role)).png
            except (FijiBridgeError, OSError):  # a notebook shows what there is
                continue

    def image(self, lazy: bool = False) -> xr.DataArray:
        """Read the intensities.

        Parameters
        ----------
        lazy
            Give a dask array: nothing is read before it is needed, and then only what is.

        Raises
        ------
        DatasetError
            If files are missing (a series names its missing members) or cannot be read.
        """
        return self._read("image", lazy)

    def labels(self) -> xr.DataArray:
        """Read the true cells: 0 is background, and whatever the description says to be no cell.

        Raises
        ------
        DatasetError
            If there is no such file, or it is no label image.
        """
        stored = self._numbers("labels")
        with naming(self.paths["labels"], ImageError, becomes=DatasetError):
            return stored.copy(data=as_truth(values.cells(stored.values, self.description.values.labels)))

    def classes(self) -> xr.DataArray:
        """Read the pixel labels: ``uint8``, 0 = other, 1 = membrane, 255 = ignore.

        Raises
        ------
        DatasetError
            If there is no such file, or a number in it has no meaning.
        """
        stored = self._numbers("classes")
        with naming(self.paths["classes"], ImageError, becomes=DatasetError):
            return stored.copy(data=values.classes(stored.values, self.description.values.classes))

    def target(self, width: float = 3, source: Truth = "auto") -> xr.DataArray:
        """Return what a network is to learn: ``uint8``, 0 = other, 1 = membrane, 255 = unknown.

        Parameters
        ----------
        width
            Of the membranes between labelled cells, in pixels; pixel labels are taken as they are.
        source
            ``"classes"``: the pixel labels; ``"labels"``: :func:`fijibridge.membrane_target` of the cell labels;
            ``"auto"``: the pixel labels if the description names some.

        Raises
        ------
        DatasetError
            If there is no such file, or a number in it has no meaning.
        """
        if source == "labels" or (source == "auto" and "classes" not in self.paths):
            return membrane_target(self.labels(), width, region=self.region())
        target, known = self.classes(), self.region()
        if known is None:
            return target
        if known.shape != target.shape:
            raise DatasetError(f"{self.name}: pixel labels of {target.shape} with a region of {known.shape}")
        return target.copy(data=np.where(known.values, target.values, IGNORE).astype(np.uint8))

    def prediction(self, lazy: bool = False) -> xr.DataArray:
        """Read what a network said of the image, as it is stored."""
        return self._read("prediction", lazy)

    def region(self) -> xr.DataArray | None:
        """Read where the truth is known, None if it is known everywhere.

        Unknown is what lies outside the region's mask, and what means ``ignore`` in the labels or in the pixel labels.

        Raises
        ------
        DatasetError
            If a file that tells it is missing.
        """
        told = (self._mask(), self._unless_ignored("labels"), self._unless_ignored("classes"))
        parts = [part for part in told if part is not None]
        if not parts:
            return None
        for part in parts[1:]:
            if part.shape != parts[0].shape:
                raise DatasetError(f"{self.name}: what is known has the shapes {parts[0].shape} and {part.shape}")
        return parts[0].copy(data=np.logical_and.reduce([part.values for part in parts]))

    def ignore(self) -> xr.DataArray | None:
        """Read where the truth is unknown, the opposite of :meth:`region`; None if it is known everywhere."""
        known = self.region()
        return None if known is None else ~known

    def missing(self, *roles: Role) -> list[Path]:
        """Return those of its files that are not there, of some roles or of all, with the members of a series."""
        asked = [m for role, m in self.members.items() if not roles or role in roles]
        return [path for members in asked for path in members.missing(self.description.tiles)]

    def content(self, role: Role) -> Content:
        """Return what the files of a role say of themselves, without the description's word on it.

        Raises
        ------
        DatasetError
            If there are none, or some are missing or cannot be read.
        """
        if role not in self.members:
            raise DatasetError(f"{self.name}: {WANTED.get(role, f'the description names no {role}')}")
        self._refuse_missing(role)
        dims = self.description.dims
        told = dims.get(role) if isinstance(dims, dict) else dims if role == "image" else None
        return self.members[role].content(self.description.tiles, told, role in _NUMBERS)

    def _mask(self) -> xr.DataArray | None:
        if "region" not in self.paths:
            return None
        stored = self._numbers("region")
        with naming(self.paths["region"], ImageError, becomes=DatasetError):
            return stored.copy(data=values.known(stored.values, self.description.values.region))

    def _unless_ignored(self, role: Role) -> xr.DataArray | None:
        told: dict[int, Any] = getattr(self.description.values, role)
        if role not in self.members or "ignore" not in told.values():
            return None
        stored = self._numbers(role)
        return stored.copy(data=~values.ignored(stored.values, told))

    def _refuse_missing(self, role: Role) -> None:
        lost = self.missing(role)
        if not lost:
            return
        members = self.members[role]
        if () in members.paths:
            raise DatasetError(f"{self.name}: its {role} file {lost[0]} is missing")
        names = ", ".join(path.name for path in lost[:_MOST_NAMED])
        more = f" ... ({len(lost)} in all)" if len(lost) > _MOST_NAMED else ""
        raise DatasetError(
            f"{self.name}: its {role} is a series of {len(members.paths) + len(lost)} files, of which {len(lost)} are "
            f"missing: {names}{more}"
        )

    def _numbers(self, role: Role) -> xr.DataArray:
        stored = self._read(role)
        with naming(self.paths[role], ImageError, becomes=DatasetError):
            return _one_number(stored)

    def _read(self, role: Role, lazy: bool = False) -> xr.DataArray:
        said = self.content(role)
        with naming(self.paths[role], ImageError, becomes=DatasetError):
            pixels: Any = said.pixels.lazy() if lazy else _pixels(said, self.paths[role])
            image = as_image(pixels, said.dims, **self._own_word(role, said), name=self.name)
            image = self._calibrated(image)
        names = self.description.channels if role == "image" and self.description.channels else said.channels
        if not names or "c" not in image.dims:
            return image
        if image.sizes["c"] == len(names):
            return image.assign_coords(c=list(names))
        if role == "image" and self.description.channels:
            raise DatasetError(
                f"{self.paths[role]} has {image.sizes['c']} channels, but the description names {len(names)}: "
                f"{', '.join(names)}"
            )
        return image

    def _own_word(self, role: Role, said: Content) -> Mapping[str, Any]:
        """Return the calibration in the files of a role; where they have no unit, that in the image's own file.

        What belongs to an image has its pixels, and a PNG or a plain TIFF says nothing of theirs.
        """
        if role == "image" or is_calibrated(said.calibration):
            return said.calibration
        of_image = content(self.paths["image"], self.members["image"].pattern.key).calibration
        return of_image if any(of_image.values()) else said.calibration

    def _calibrated(self, image: xr.DataArray) -> xr.DataArray:
        """Give an image the description's calibration, and its place in the image that it was made from."""
        told = sizes_of(self.description)
        units: dict[str, str] = {}
        if self.description.unit is not None:
            units = dict.fromkeys("zyx", plain_unit(self.description.unit))
        if self.description.time_unit is not None:
            units["t"] = self.description.time_unit
        from_parent = self.derived_from is not None and not told and unit(image) == PIXEL
        image = self._sized_by_parent(image) if from_parent else image
        image = as_image(image, pixel_size=told or None, unit=units or None)
        if self.derived_from is None or any(origin(image).values()):
            return image
        return as_image(image, origin=self._origin(self.derived_from, pixel_size(image)))

    def _pixel(self) -> xr.DataArray:
        """Return a pixel that has size and place of the image's first; no pixels are read."""
        of_file = content(self.paths["image"], self.members["image"].pattern.key).calibration
        return self._calibrated(as_image(np.zeros((1, 1)), "yx", **of_file))

    def _sized_by_parent(self, image: xr.DataArray) -> xr.DataArray:
        """Give an image that nobody tells a pixel size that of the image that it was made from, times the factor."""
        if self.parent is None or self.derived_from is None:
            return image
        pixel = self.parent._pixel()
        if unit(pixel) == PIXEL:
            return image
        sizes = {d: size * self.derived_from.factor(d) for d, size in pixel_size(pixel).items()}
        return as_image(image, pixel_size=sizes, unit={**dict.fromkeys(SPATIAL, unit(pixel)), "t": time_unit(pixel)})

    def _origin(self, derived: DerivedFrom, sizes: Mapping[str, float]) -> dict[str, float]:
        """Return the centre of the first pixel: of a block of pixels, where they are more than one."""
        pixel = None if self.parent is None else self.parent._pixel()
        steps, corner = ({}, {}) if pixel is None else (pixel_size(pixel), origin(pixel))
        starts = {}
        for axis in sizes.keys() - {"t"}:
            factor = derived.factor(axis)
            in_parent = corner.get(axis, 0.0) / steps.get(axis, 1.0) + derived.start(axis) + (factor - 1) / 2
            starts[axis] = in_parent * sizes[axis] / factor
        return starts


def sizes_of(description: Description) -> dict[str, float]:
    """Return the pixel sizes that a description tells, by axis."""
    size = description.pixel_size
    return (
        {}
        if size is None
        else {str(d): s for d, s in size.items()}
        if isinstance(size, dict)
        else {"y": size, "x": size}
    )


def is_calibrated(calibration: Mapping[str, Any]) -> bool:
    """Whether what a file says of its pixels has a unit of length."""
    units = calibration.get("unit") or {}
    return any((units.get(d) if isinstance(units, Mapping) else units) not in (None, PIXEL) for d in SPATIAL)


def _pixels(said: Content, path: Path) -> npt.NDArray[Any]:
    try:
        return said.pixels[...]
    except (DatasetError, ImageError):
        raise
    except Exception as error:
        raise DatasetError(f"{path} cannot be read as an image: {error or type(error).__name__}") from error


def _one_number(stored: xr.DataArray) -> xr.DataArray:
    """Return labels or a mask saved as a colour image as one number for each pixel, if all colours are equal."""
    if "c" not in stored.dims:
        return stored
    first = stored.isel(c=0, drop=True)
    if not bool((stored == first).all()):
        raise ImageError(f"has {stored.sizes['c']} channels that differ; expected one number for each pixel")
    return first
