"""Data sets: a folder of images, opened with its description."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fijibridge.dataset.description import SPLITS, Description, Role, error_text
from fijibridge.dataset.index import items_of, refuse_misfit
from fijibridge.dataset.item import ADVICE, Item, Truth
from fijibridge.dataset.toml import FILE_NAME, read_description
from fijibridge.errors import DatasetError
from fijibridge.files.update import finish_update
from fijibridge.messages import some

__all__ = ["Dataset", "refuse_misfit"]


class Dataset:
    """A folder of images, opened with its description.

    Attributes
    ----------
    folder : Path
        The folder.
    description : Description
        Roles and properties of the folder's files.
    items : list of Item
        One item per image, sorted by name.

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
        self.items = items_of(folder, description)
        self._by_name = {item.name: item for item in self.items}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Dataset:
        """Open a folder; `path` is the folder or the ``dataset.toml`` in it.

        Raises
        ------
        DatasetError
            If the description is missing or invalid, or fits no image.
        """
        given = Path(path)
        if given.is_file() and given.suffix.lower() != ".toml":
            raise DatasetError(f"{given} is a file; expected the folder of the images, or the {FILE_NAME} in it")
        file = given / FILE_NAME if given.is_dir() else given
        finish_update(file.parent)
        if not file.is_file():
            raise DatasetError(
                f"there is no description {file}. Write one (fijibridge describe {given} --write writes a guess), or "
                "give the patterns: --image '*_image.png' --labels '{name}_labels.tif'"
            )
        return cls(file.parent, read_description(file))

    @classmethod
    def from_patterns(cls, folder: str | os.PathLike[str], **fields: Any) -> Dataset:
        """Open a folder without a description file.

        Parameters
        ----------
        folder
            The folder of the images.
        **fields
            Fields of :class:`Description`; ``image``, the pattern of the image files, is required.

        Raises
        ------
        DatasetError
            If the folder does not exist, a field is invalid, or the patterns fit no image.
        """
        if not Path(folder).is_dir():
            found = "is a file" if Path(folder).is_file() else "does not exist"
            raise DatasetError(f"{folder} {found}; expected a folder of images")
        try:
            return cls(Path(folder), Description.model_validate(fields))
        except ValidationError as error:
            raise DatasetError(error_text(error)) from error

    def names(self, split: str | None = None) -> list[str]:
        """Return the names of all images, or of one split."""
        return [item.name for item in self.split(split)]

    def split(self, split: str | None = None) -> list[Item]:
        """Return the items of ``"train"``, ``"validation"`` or ``"test"``; all items for None."""
        if split not in (None, *SPLITS):
            raise DatasetError(f"split is {split!r}; expected one of {', '.join(SPLITS)}")
        return [item for item in self.items if split in (None, item.split)]

    def with_truth(self, split: str | None = None, source: Truth = "labels") -> list[Item]:
        """Return the items of a split that have a truth, after checking that the files of these items exist.

        Images that the description lists as ``without`` this truth are left out.

        Parameters
        ----------
        split
            As for :meth:`split`.
        source
            Truth that items must have: ``"labels"``, ``"classes"`` (pixel labels), or ``"auto"`` (either of them).

        Raises
        ------
        DatasetError
            If the description does not name this truth, or files are missing; the message lists the missing files.
        """
        items = self.split(split)
        roles: list[Role] = ["labels"] if source == "labels" else ["classes"]
        if source == "auto":
            roles.append("labels")
        labelled = [item for item in items if not item.paths.keys().isdisjoint(roles)]
        if items and not labelled:
            raise DatasetError(f"{self.folder}: {ADVICE['classes' if source == 'classes' else 'labels']}")
        lost = [path.name for item in labelled for path in item.missing("image", *roles, "region")]
        if lost:
            raise DatasetError(f"{len(lost)} label or region file(s) are missing in {self.folder}: {some(lost)}")
        return labelled

    def __getitem__(self, name: str) -> Item:
        """Return the item of the image with this name."""
        if name not in self._by_name:
            raise DatasetError(f"{self.folder} has no image {name!r}; its images are {some(self.names())}")
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        """Return whether the data set contains this item, or an image with this name."""
        return name in self._by_name or (isinstance(name, Item) and name in self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @property
    def provenance(self) -> str:
        """Origin of the truth of all images, such as ``"manual"`` or ``"algorithm and manual"``."""
        return " and ".join(sorted({item.provenance for item in self.items}))

    def _repr_html_(self) -> str:
        from fijibridge import displays

        shown = self.items[:20]
        more = len(self.items) - len(shown)
        parts = [displays.facts(map(_row, shown))]
        parts += [displays.paragraph(f"and {more} more")] if more else []
        return displays.page(repr(self), *parts)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.split(s))} {s}" for s in SPLITS if self.split(s))
        return f"Dataset({str(self.folder)!r}: {counts}, truth: {self.provenance})"


def _row(item: Item) -> tuple[str, str]:
    made = f", from {item.source}" if item.source else ""
    return item.name, f"{item.split}: {', '.join(item.paths)}{made}"
