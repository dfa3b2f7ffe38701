"""One image of a data set, with its labels, masks and prediction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import xarray as xr

from fijibridge.cells.targets.from_labels import IGNORE, membrane_target
from fijibridge.dataset import values
from fijibridge.dataset.description import DerivedFrom, Description, Provenance, Role
from fijibridge.dataset.members import Members
from fijibridge.errors import DatasetError, FijiBridgeError, ImageError
from fijibridge.files import content
from fijibridge.files.formats import is_lossy
from fijibridge.files.lazy_array import Content
from fijibridge.files.reader import split_key
from fijibridge.image import (
    PIXEL,
    SPATIAL,
    as_image,
    as_truth,
    origin,
    pixel_size,
    single_channel,
    time_unit,
    unit,
    usual_unit,
)
from fijibridge.messages import naming, some
from fijibridge.renames import renamed_keywords

Truth: TypeAlias = Literal["auto", "classes", "labels"]
"""Truth to use: pixel labels, cell labels, or, with ``"auto"``, pixel labels if there are any, else cell labels."""

_SHOWN = 2**25  # largest image, in pixels, that a notebook shows
_NUMBERS: tuple[Role, ...] = ("labels", "classes", "region")
ADVICE = {
    "labels": "the description names no labels; add labels = '{name}_labels.tif'",
    "classes": "the description names no pixel labels; add classes = '{name}_membrane.png' and [values.classes]",
    "prediction": "the description names no prediction; add prediction = '{name}_prob.tif'",
}


@dataclass(frozen=True)
class Place:
    """Position of an image in the original from which it was made, possibly in several steps.

    Attributes
    ----------
    offset : dict
        Corner of the image's first pixel by axis, in pixels of the original.
    factor : dict
        Number of pixels of the original per pixel of the image, by axis.
    """

    offset: Mapping[str, int] = field(default_factory=dict)
    factor: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Item:
    """One image of a data set, with its labels, masks and prediction. Its methods read the files.

    Attributes
    ----------
    name : str
        Name of the image: the part of the file name that ``{name}`` or ``*`` in the pattern matches.
    split : str
        ``"train"``, ``"validation"`` or ``"test"``.
    paths : dict
        Path of each role's first file. Files other than the image may be missing; only reading them raises an error.
    description : Description
        Description of the folder, with the properties of this image.
    members : dict
        All files of each role.
    source, position : str, int
        Stack, time series or specimen that the image belongs to, and the image's number in that source, if known.
    derived_from : DerivedFrom
        Image that this one was made from, with offset and factor; None for an original.
    place : Place
        Position of this image in the original.
    own_size : bool
        True if the image's own entry in ``[files]`` gives the pixel size, rather than a pattern or the folder's field.
    parent : Item
        Image that this one was made from, if that image is in the same folder.
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
        """Origin of the truth: manual, corrected, algorithm or unknown."""
        return self.description.provenance

    def _repr_html_(self) -> str:
        from fijibridge import displays

        properties = {"split": self.split, "truth": self.provenance}
        properties |= {"source": self.source} if self.source else {}
        files = {role: f"{path}{'' if path.exists() else ' (missing)'}" for role, path in self.paths.items()}
        return displays.page(
            f"Item {self.name}", displays.facts(properties | files), displays.pictures(self._pictures())
        )

    def _pictures(self) -> Iterator[tuple[str, str, bytes]]:
        """Yield small pictures of image and labels, unless the image is large or the files cannot be read."""
        from fijibridge import displays

        for role in ("image", "labels"):
            try:
                image = self.image(lazy=True)
                if role not in self.paths or image.size > _SHOWN:
                    continue
                image = image if role == "image" else self.labels()
                caption = f"{' x '.join(map(str, image.shape))} {image.dtype}"
                yield role, caption, displays.thumbnail(image.rename(role)).png
            except (FijiBridgeError, OSError):  # a broken file must not hide the rest
                continue

    def image(self, lazy: bool = False) -> xr.DataArray:
        """Read the intensities.

        Parameters
        ----------
        lazy
            Return a dask array, whose chunks are read when they are computed.

        Returns
        -------
        xarray.DataArray
            The intensities. Calibration that the description lacks comes from the file.

        Raises
        ------
        DatasetError
            If files are missing or cannot be read. For a series, the message lists the missing files.
        """
        return self._read("image", lazy)

    def labels(self) -> xr.DataArray:
        """Read the true cells. 0 is background; numbers that the description declares not to be cells become 0.

        Raises
        ------
        DatasetError
            If the labels file is missing or is not a label image.
        """
        stored = self._numbers("labels")
        with naming(self.paths["labels"], ImageError, becomes=DatasetError):
            return stored.copy(data=as_truth(values.cells(stored.values, self.description.values.labels)))

    def classes(self) -> xr.DataArray:
        """Read the pixel labels: ``uint8``, 0 = other, 1 = membrane, 255 = ignore.

        Raises
        ------
        DatasetError
            If the file of pixel labels is missing, or contains a number without a declared meaning.
        """
        stored = self._numbers("classes")
        with naming(self.paths["classes"], ImageError, becomes=DatasetError):
            return stored.copy(data=values.classes(stored.values, self.description.values.classes))

    @renamed_keywords(width="membrane_width")
    def target(self, membrane_width: float = 3, source: Truth = "auto") -> xr.DataArray:
        """Return the training target: ``uint8``, 0 = other, 1 = membrane, 255 = unknown.

        Parameters
        ----------
        membrane_width
            Width of the membranes between labelled cells, in pixels. Pixel labels are used unchanged.
        source
            ``"classes"``: the pixel labels; ``"labels"``: :func:`fijibridge.membrane_target` of the cell labels;
            ``"auto"``: the pixel labels if the description names some, else the cell labels.

        Raises
        ------
        DatasetError
            If the file is missing, or contains a number without a declared meaning.
        """
        if source == "labels" or (source == "auto" and "classes" not in self.paths):
            return membrane_target(self.labels(), membrane_width, region=self.region())
        target, known = self.classes(), self.region()
        if known is None:
            return target
        if known.shape != target.shape:
            raise DatasetError(
                f"{self.name}: pixel labels have shape {target.shape}, but the region has shape {known.shape}: "
                "crop one of them"
            )
        return target.copy(data=np.where(known.values, target.values, IGNORE).astype(np.uint8))

    def prediction(self, lazy: bool = False) -> xr.DataArray:
        """Read the prediction of a network in its stored form."""
        return self._read("prediction", lazy)

    def region(self) -> xr.DataArray | None:
        """Read the mask of known truth; None if the truth is known everywhere.

        Pixels are unknown outside the region's mask, and where a number in labels or pixel labels means ``ignore``.

        Raises
        ------
        DatasetError
            If one of these files is missing.
        """
        masks = (self._mask(), self._unless_ignored("labels"), self._unless_ignored("classes"))
        parts = [part for part in masks if part is not None]
        if not parts:
            return None
        for part in parts[1:]:
            if part.shape != parts[0].shape:
                raise DatasetError(
                    f"{self.name}: masks of known truth have shapes {parts[0].shape} and {part.shape}: crop one of them"
                )
        return parts[0].copy(data=np.logical_and.reduce([part.values for part in parts]))

    def ignore(self) -> xr.DataArray | None:
        """Read the mask of unknown truth, the inverse of :meth:`region`; None if the truth is known everywhere."""
        known = self.region()
        return None if known is None else ~known

    def missing(self, *roles: Role) -> list[Path]:
        """Return the missing files of the given roles, or of all roles by default, including the files of series."""
        asked = [m for role, m in self.members.items() if not roles or role in roles]
        return [path for members in asked for path in members.missing(self.description.tiles)]

    def content(self, role: Role) -> Content:
        """Return the unread pixels and metadata of a role's files, without the description's calibration.

        Raises
        ------
        DatasetError
            If the description does not name this role, or files are missing or cannot be read.
        """
        if role not in self.members:
            raise DatasetError(f"{self.name}: {ADVICE.get(role, f'the description names no {role}')}")
        self._refuse_missing(role)
        dims = self.description.dims
        axes = dims.get(role) if isinstance(dims, dict) else dims if role == "image" else None
        if role in _NUMBERS and is_lossy(split_key(self.paths[role])[0]):
            raise DatasetError(
                f"{self.paths[role]} is compressed by JPEG or the like, which changes the numbers of {role}: save it "
                "as PNG or TIFF"
            )
        return self.members[role].content(self.description.tiles, axes, role in _NUMBERS)

    def _mask(self) -> xr.DataArray | None:
        if "region" not in self.paths:
            return None
        stored = self._numbers("region")
        with naming(self.paths["region"], ImageError, becomes=DatasetError):
            return stored.copy(data=values.known(stored.values, self.description.values.region))

    def _unless_ignored(self, role: Role) -> xr.DataArray | None:
        meanings: dict[int, Any] = getattr(self.description.values, role)
        if role not in self.members or "ignore" not in meanings.values():
            return None
        stored = self._numbers(role)
        return stored.copy(data=~values.ignored(stored.values, meanings))

    def _refuse_missing(self, role: Role) -> None:
        lost = self.missing(role)
        if not lost:
            return
        members = self.members[role]
        if () in members.paths:
            raise DatasetError(f"{self.name}: its {role} file {lost[0]} is missing")
        raise DatasetError(
            f"{self.name}: its {role} is a series of {len(members.paths) + len(lost)} files, of which {len(lost)} are "
            f"missing: {some([path.name for path in lost])}"
        )

    def _numbers(self, role: Role) -> xr.DataArray:
        stored = self._read(role)
        with naming(self.paths[role], ImageError, becomes=DatasetError):
            return single_channel(stored)

    def _read(self, role: Role, lazy: bool = False) -> xr.DataArray:
        found = self.content(role)
        with naming(self.paths[role], ImageError, becomes=DatasetError):
            pixels: Any = found.pixels.lazy() if lazy else found.pixels[...]
            image = as_image(pixels, found.dims, **self._file_calibration(role, found), name=self.name)
            image = self._calibrated(image)
        names = self.description.channels if role == "image" and self.description.channels else found.channels
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

    def _file_calibration(self, role: Role, found: Content) -> Mapping[str, Any]:
        """Return the calibration in a role's files; if these have no unit, the calibration in the image's file.

        Labels and masks have the same pixels as their image, but PNG and plain TIFF store no pixel size.
        """
        if role == "image" or is_calibrated(found.calibration):
            return found.calibration
        of_image = content(self.paths["image"], self.members["image"].pattern.key).calibration
        return of_image if any(of_image.values()) else found.calibration

    def _calibrated(self, image: xr.DataArray) -> xr.DataArray:
        """Return an image with the description's calibration and, if it has a parent, with its origin in the parent."""
        sizes = sizes_of(self.description)
        units: dict[str, str] = {}
        if self.description.unit is not None:
            units = dict.fromkeys("zyx", usual_unit(self.description.unit))
        if self.description.time_unit is not None:
            units["t"] = self.description.time_unit
        from_parent = self.derived_from is not None and not sizes and unit(image) == PIXEL
        image = self._sized_by_parent(image) if from_parent else image
        image = as_image(image, pixel_size=sizes or None, unit=units or None)
        if self.derived_from is None or any(origin(image).values()):
            return image
        return as_image(image, origin=self._origin(self.derived_from, pixel_size(image)))

    def _pixel(self) -> xr.DataArray:
        """Return a one-pixel image with the first pixel's size and position, without reading the file's pixels."""
        of_file = content(self.paths["image"], self.members["image"].pattern.key).calibration
        return self._calibrated(as_image(np.zeros((1, 1)), "yx", **of_file))

    def _sized_by_parent(self, image: xr.DataArray) -> xr.DataArray:
        """Return an uncalibrated image with its parent's pixel size times the factor."""
        if self.parent is None or self.derived_from is None:
            return image
        pixel = self.parent._pixel()
        if unit(pixel) == PIXEL:
            return image
        sizes = {d: size * self.derived_from.factor(d) for d, size in pixel_size(pixel).items()}
        return as_image(image, pixel_size=sizes, unit={**dict.fromkeys(SPATIAL, unit(pixel)), "t": time_unit(pixel)})

    def _origin(self, derived: DerivedFrom, sizes: Mapping[str, float]) -> dict[str, float]:
        """Return the position of the first pixel's centre; the pixel may cover a block of the parent's pixels."""
        pixel = None if self.parent is None else self.parent._pixel()
        steps, corner = ({}, {}) if pixel is None else (pixel_size(pixel), origin(pixel))
        starts = {}
        for axis in sizes.keys() - {"t"}:
            factor = derived.factor(axis)
            # the centre of `factor` pixels is (factor - 1) / 2 pixels beyond the centre of the first one
            in_parent = corner.get(axis, 0.0) / steps.get(axis, 1.0) + derived.start(axis) + (factor - 1) / 2
            starts[axis] = in_parent * sizes[axis] / factor
        return starts


def sizes_of(description: Description) -> dict[str, float]:
    """Return the pixel sizes in a description, by axis."""
    size = description.pixel_size
    return (
        {}
        if size is None
        else {str(d): s for d, s in size.items()}
        if isinstance(size, dict)
        else {"y": size, "x": size}
    )


def is_calibrated(calibration: Mapping[str, Any]) -> bool:
    """Return whether the calibration of a file has a unit of length."""
    units = calibration.get("unit") or {}
    return any((units.get(d) if isinstance(units, Mapping) else units) not in (None, PIXEL) for d in SPATIAL)
