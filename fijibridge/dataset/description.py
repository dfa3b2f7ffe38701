"""Description of a folder of images: the data model of ``dataset.toml``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from fijibridge.dataset.patterns import Pattern, checked
from fijibridge.image import DIMS
from fijibridge.messages import hint

Role: TypeAlias = Literal["image", "classes", "labels", "region", "prediction"]
ROLES: tuple[Role, ...] = ("image", "classes", "labels", "region", "prediction")
SPLITS = ("train", "validation", "test")

Provenance: TypeAlias = Literal["manual", "corrected", "algorithm", "unknown"]
Polarity: TypeAlias = Literal["dark", "bright", "unknown"]
PerAxis: TypeAlias = dict[Literal["t", "z", "y", "x"], Annotated[float, Field(gt=0, allow_inf_nan=False)]]
PixelSize: TypeAlias = Annotated[float, Field(gt=0, allow_inf_nan=False)] | PerAxis
NameParts = ("source", "position")

_MOST_MISTAKES = 8


def _of_image(text: str) -> str:
    fields = Pattern(checked(text)).fields
    if text.count("*") > 1 or ("*" in text and "{name}" in text) or not fields:
        raise ValueError(f"{text!r} must contain exactly one * or {{name}}, in place of the image's name")
    return text


def _of_names(text: str) -> str:
    checked(text, NameParts)
    if not Pattern(text, NameParts).fields:
        raise ValueError(f"{text!r} contains neither {{source}} nor {{position}}; expected at least one")
    return text


def _axes(dims: str) -> str:
    if not dims or set(dims) - set(DIMS) or len(set(dims)) < len(dims):
        raise ValueError(
            f"{dims!r} are not axes; expected each of {' '.join(DIMS)} at most once, such as 'zyx' or 'yxc'"
        )
    return dims


FilePattern: TypeAlias = Annotated[str, AfterValidator(checked)]
Dims: TypeAlias = Annotated[str, AfterValidator(_axes)]


class _Strict(BaseModel):
    """Model that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Split(_Strict):
    """Images for validation and test, listed by name or by a pattern with ``*``. All other images are for training."""

    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    neighbours: int = Field(
        default=1,
        ge=0,
        description="images of one source belong in the same split if their positions differ by at most this number",
    )


class Values(_Strict):
    """Meanings of the numbers in files, by role."""

    labels: dict[int, Literal["background", "membrane", "ignore", "instance"]] = Field(
        default={}, description="in label images; other numbers are cells, and 0 is background unless listed"
    )
    classes: dict[int, Literal["background", "cell", "membrane", "ignore"]] = Field(
        default={}, description="in pixel labels; list every number that occurs"
    )
    region: dict[int, Literal["known", "ignore"]] = Field(
        default={}, description="in masks of known truth; by default, non-zero means known"
    )


class Tiles(_Strict):
    """Positions of the tiles in an image."""

    overlap: int | dict[Literal["y", "x"], int] = Field(
        default=0, description="overlap of neighbouring tiles in a regular grid, in pixels"
    )
    offsets: dict[str, tuple[int, int]] = Field(
        default={}, description="y and x of each tile's first pixel, in pixels of the whole image, by value of {tile}"
    )


class DerivedFrom(_Strict):
    """Origin of an image that is a crop or a smaller copy of another image."""

    item: str = Field(description="name of the other image, from which this one was made; it may be in another folder")
    offset: dict[Literal["z", "y", "x"], Annotated[int, Field(ge=0)]] = Field(
        default={}, description="position of this image's first pixel in the other image, in pixels of the other image"
    )
    downscale: Annotated[int, Field(ge=1)] | dict[Literal["z", "y", "x"], Annotated[int, Field(ge=1)]] = Field(
        default=1, description="number of pixels of the other image per pixel of this one, along y and x or by axis"
    )

    def start(self, axis: str) -> int:
        """Return the offset along an axis."""
        return {str(d): n for d, n in self.offset.items()}.get(axis, 0)

    def factor(self, axis: str) -> int:
        """Return the number of pixels of the other image per pixel of this one, along an axis."""
        down = self.downscale
        return (
            {str(d): n for d, n in down.items()}.get(axis, 1) if isinstance(down, dict) else down if axis in "yx" else 1
        )


class FileFacts(_Strict):
    """Properties that differ from the folder's, for one image or for all images with a name that fits a pattern."""

    image: FilePattern | None = None
    classes: FilePattern | None = None
    labels: FilePattern | None = None
    region: FilePattern | None = None
    prediction: FilePattern | None = None
    without: tuple[Literal["classes", "labels", "region", "prediction"], ...] = Field(
        default=(), description="roles that the folder has but this image lacks"
    )
    dims: Dims | dict[Role, Dims] | None = None
    pixel_size: PixelSize | None = None
    unit: str | None = None
    time_unit: str | None = None
    channels: tuple[str, ...] | None = None
    membranes: Polarity | None = None
    provenance: Provenance | None = None
    provenance_note: str | None = None
    values: Values | None = None
    tiles: Tiles | None = None
    source: str | None = Field(default=None, description="stack, time series or specimen that the image belongs to")
    position: int | None = Field(default=None, description="number of the image in that source")
    derived_from: DerivedFrom | None = None


class Description(_Strict):
    """Description of a folder of images; see ``docs/dataset.md`` for examples.

    A file pattern contains ``{name}`` or ``*`` in place of the image's name; ``{t}``, ``{c}`` or ``{z}`` if the image's
    frames, channels or planes are separate files; ``{tile_y}`` and ``{tile_x}``, or ``{tile}``, if the image consists
    of tiles. A path inside the file follows a colon: ``"{name}.h5:/raw"``.

    Examples
    --------
    >>> Description(image="*.tif", values={"classes": {"255": "membrane", "0": "cell"}}).values.classes
    {255: 'membrane', 0: 'cell'}
    """

    format: Literal[1] = 1
    image: Annotated[str, AfterValidator(_of_image)] = Field(description="pattern of the images with intensities")
    classes: FilePattern | None = Field(default=None, description="pattern of the pixel labels: membrane or not")
    labels: FilePattern | None = Field(default=None, description="pattern of the label images: a number for each cell")
    region: FilePattern | None = Field(default=None, description="pattern of the masks of known truth")
    prediction: FilePattern | None = Field(default=None, description="pattern of the predictions of a network")
    dims: Dims | dict[Role, Dims] | None = Field(
        default=None, description="axes of the image files in their stored order, such as 'yxc'; or axes by role"
    )
    pixel_size: PixelSize | None = Field(default=None, description="in y and x, or { z = 2.0, y = 0.5, x = 0.5 }")
    unit: str | None = Field(default=None, description="unit of the pixel size, such as 'um'")
    time_unit: str | None = Field(default=None, description="unit of the time between frames, such as 's'")
    channels: tuple[str, ...] | None = Field(default=None, description="names of the channels, in order")
    membranes: Polarity = Field(default="unknown", description="how membranes look in the images")
    provenance: Provenance = Field(default="unknown", description="origin of the truth")
    provenance_note: str | None = Field(default=None, description="who made the truth, with what, how it was checked")
    values: Values = Values()
    tiles: Tiles = Tiles()
    source: str | None = Field(default=None, description="stack, time series or specimen that all images belong to")
    names: Annotated[str, AfterValidator(_of_names)] | None = Field(
        default=None, description="pattern of the image names, such as '{source}_{position}'"
    )
    split: Split = Split()
    files: dict[str, FileFacts] = Field(
        default={}, description="properties that differ from the folder's, by image name or pattern with *"
    )

    @field_validator("files")
    @classmethod
    def _names_stay_in_their_folder(cls, files: dict[str, FileFacts]) -> dict[str, FileFacts]:
        """Refuse image names that would put results into another folder. Patterns cannot yield such names."""
        strange = [name for name in files if set(name) & set("/\\\0") or name in ("", ".", "..") or name[1:2] == ":"]
        if strange:
            raise ValueError(f"{strange[0]!r} cannot name an image: it leaves the folder")
        return files

    @field_validator("unit", "time_unit")
    @classmethod
    def _not_empty(cls, unit: str | None) -> str | None:
        if unit is not None and not unit.strip():
            raise ValueError("is empty; leave it out if it is unknown")
        return unit

    @model_validator(mode="after")
    def _each_image_has_its_own(self) -> Description:
        named = "name" in Pattern(self.image).fields
        for role in ROLES[1:]:
            text = getattr(self, role)
            if text is not None and named and "name" not in Pattern(text).fields:
                raise ValueError(
                    f"{role}: {text!r} names one file for all images; expected {{name}} in place of the image's "
                    "name, such as '{name}_labels.tif'"
                )
        return self

    @model_validator(mode="after")
    def _classes_have_meanings(self) -> Description:
        everywhere: list[Description | FileFacts] = [self, *self.files.values()]
        with_classes = [facts for facts in everywhere if facts.classes is not None]
        defined = all(f.values is not None and f.values.classes for f in with_classes)
        if with_classes and not self.values.classes and not defined:
            raise ValueError(
                "pixel labels (classes) need the meaning of their numbers: "
                '[values.classes] with lines such as 0 = "cell" and 255 = "membrane"'
            )
        return self


_SECTIONS: dict[str, type[BaseModel]] = {
    "split": Split,
    "values": Values,
    "tiles": Tiles,
    "files": FileFacts,
    "derived_from": DerivedFrom,
}


def error_text(error: ValidationError) -> str:
    """Return the mistakes in a description as one line."""
    mistakes = list(dict.fromkeys(_mistake(e) for e in error.errors(include_url=False)[:_MOST_MISTAKES]))
    more = error.error_count() - _MOST_MISTAKES
    return "; ".join(mistakes) + (f"; and {more} more" if more > 0 else "")


def _mistake(error: Any) -> str:
    return _unknown_key(error["loc"]) if error["type"] == "extra_forbidden" else _wrong(error)


def _wrong(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    message = error["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message


def _unknown_key(place: Sequence[int | str]) -> str:
    *section, key = map(str, place)
    model = next((_SECTIONS[s] for s in reversed(section) if s in _SECTIONS), Description)
    known = list(model.model_fields)
    where = f" in {'.'.join(section)}" if section else ""
    return f"unknown key {key!r}{where}; expected one of {', '.join(known)}{hint(key, known)}"
