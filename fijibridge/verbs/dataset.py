"""Verbs for data sets and for the program itself: Save Training Set, About."""

from __future__ import annotations

from typing import Annotated, Literal

from fijibridge.errors import OptionError
from fijibridge.verbs.parameters import Cells, Image, NewFolder, Param
from fijibridge.verbs.registry import verb
from fijibridge.verbs.results import Say


@verb("Save Training Set...", order=5)
def save_training_set(
    image: Annotated[Image, Param("image to train on")],
    cells: Annotated[Cells, Param("its cells: a label image, the areas in the ROI Manager, or the image's overlay")],
    folder: Annotated[NewFolder, Param("folder to which the image is added; created if it does not exist")],
    name: Annotated[str | None, Param("name of the image in the folder; its title if left out")] = None,
    split: Annotated[Literal["train", "validation", "test"], Param("use of the image")] = "train",
    region: Annotated[Image | None, Param("mask, non-zero where cells were drawn; the whole image if left out")] = None,
    provenance: Annotated[
        Literal["manual", "corrected", "algorithm", "unknown"], Param("origin of the cells")
    ] = "manual",
    existing: Annotated[
        Literal["refuse", "replace"],
        Param("what to do with an image of that name that is already in the folder", label="Existing image"),
    ] = "refuse",
) -> Say:
    """Add an image and its cells to a folder of training images and to its description, dataset.toml."""
    from fijibridge.dataset import FILE_NAME, Dataset, add_to_dataset
    from fijibridge.files.formats import stem

    called = name or stem(image)
    if existing == "refuse" and (folder / FILE_NAME).is_file() and called in Dataset.open(folder):
        raise OptionError(
            f"{folder} already has an image {called!r}: set existing=replace to replace it, or set another name"
        )
    arrays = {"image": image, "labels": cells} | ({} if region is None else {"region": region})
    saved = add_to_dataset(folder, called, arrays, split=split, provenance=provenance, overwrite=existing == "replace")
    return Say(str(saved))


@verb("About", order=90)
def about() -> Say:
    """Print the versions of fijibridge, Python and torch, and the device used for computing."""
    import platform
    from importlib.metadata import version

    import torch

    from fijibridge.nn.devices import device_of

    device = device_of(None)
    card = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    return Say(
        f"fijibridge {version('fijibridge')}, Python {platform.python_version()}, torch {torch.__version__}; computes "
        f"on {device}{card}"
    )
