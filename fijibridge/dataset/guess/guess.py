"""Guess of a description from the files of a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import ROLES, Description
from fijibridge.dataset.guess import properties
from fijibridge.dataset.guess.evidence import Evidence
from fijibridge.dataset.guess.file_groups import file_groups
from fijibridge.dataset.guess.other_programs import open_truth, refuse_single_objects
from fijibridge.dataset.guess.roles import choose_images, choose_role
from fijibridge.dataset.toml import FILE_NAME, as_toml, write_description
from fijibridge.errors import DatasetError
from fijibridge.renames import rename_attributes


@dataclass(frozen=True)
class Guess:
    """A guessed description, its reasons, and open questions.

    Attributes
    ----------
    folder : Path
        The folder.
    description : Description
        The guessed description, with which the folder can be opened.
    evidence : tuple of str
        The reason for each guess.
    unknown : tuple of str
        Questions that only a person can answer.
    """

    folder: Path
    description: Description
    evidence: tuple[str, ...]
    unknown: tuple[str, ...]

    @property
    def toml(self) -> str:
        """Text of the ``dataset.toml``, with open questions as comments."""
        remarks = "".join(f"# not known: {line}\n" for line in self.unknown)
        return as_toml(self.description, remarks)

    def __str__(self) -> str:
        guessed = "\n".join(f"  {line}" for line in self.evidence)
        unknown = "\n".join(f"  {line}" for line in self.unknown)
        return f"Guessed from {self.folder}:\n{guessed}\nNot known:\n{unknown}"

    def write(self, overwrite: bool = False) -> Path:
        """Write the folder's ``dataset.toml`` atomically, and return the path of this file.

        Raises
        ------
        DatasetError
            If the file already exists and `overwrite` is False.
        """
        target = self.folder / FILE_NAME
        if target.exists() and not overwrite:
            raise DatasetError(f"{target} already exists: edit it, or overwrite it (overwrite=True, --overwrite)")
        return write_description(self.folder, self.description, self.toml)


def describe_dataset(folder: str | os.PathLike[str]) -> Guess:
    """Guess the description of a folder of images from the names of its files and the pixels of some files.

    Parameters
    ----------
    folder
        Folder with images, and perhaps labels, in the folder itself or in subfolders. Nothing is written.

    Returns
    -------
    Guess
        Print the guess to read its reasons. ``guess.write()`` writes the ``dataset.toml``.

    Raises
    ------
    DatasetError
        If the folder does not exist or contains no image.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> folder = Path(tempfile.mkdtemp())
    >>> tifffile.imwrite(folder / "a_image.tif", np.arange(72, dtype=np.uint8).reshape(8, 9))
    >>> tifffile.imwrite(folder / "a_labels.tif", np.repeat(np.arange(8, dtype=np.uint16), 9).reshape(8, 9))
    >>> guess = describe_dataset(folder)
    >>> guess.description.image, guess.description.labels
    ('{name}_image.tif', '{name}_labels.tif')
    """
    place = Path(folder)
    if not place.is_dir():
        what = "is a file" if place.is_file() else "does not exist"
        raise DatasetError(f"{place} {what}; expected a folder of images")
    refuse_single_objects(place)
    found = file_groups(place)
    evidence = Evidence()
    image = choose_images(place, found, evidence)
    for role in ROLES[1:]:
        choose_role(role, image, found, evidence)
    properties.guess_axes(evidence)
    properties.guess_pixel_size(image, found, evidence)
    properties.guess_membranes(place, evidence)
    properties.guess_provenance(evidence)
    properties.find_images_without_truth(image, evidence)
    properties.list_open_questions(image, found, evidence)
    evidence.unknown += open_truth(place)
    description = Description.model_validate(evidence.fields)
    Dataset(place, description)  # raises an error if the folder cannot be opened with the guess
    return Guess(place, description, tuple(evidence.reasons), tuple(evidence.unknown))


rename_attributes(__name__, {"describe": "dataset:describe_dataset"})
