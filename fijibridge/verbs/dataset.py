"""The verbs of folders and of the program itself: save a training set, about."""

from __future__ import annotations

from typing import Annotated, Literal

from fijibridge.errors import OptionError
from fijibridge.verbs.parameters import Cells, Image, NewFolder, Param
from fijibridge.verbs.registry import verb
from fijibridge.verbs.results import Say


@verb("Save Training Set...", order=5)
def save_training_set(
    image: Annotated[Image, Param("the image to learn from")],
    cells: Annotated[Cells, Param("its cells: a label image, the areas in the ROI Manager, or the image's overlay")],
    folder: Annotated[NewFolder, Param("gets them, beside those that it has; made if it is not there")],
    name: Annotated[str | None, Param("of the image in the folder; its title if left out")] = None,
    split: Annotated[Literal["train", "validation", "test"], Param("what the image is for")] = "train",
    region: Annotated[Image | None, Param("mask: non-zero where cells were drawn; everywhere if left out")] = None,
    provenance: Annotated[
        Literal["manual", "corrected", "algorithm", "unknown"], Param("who made the cells")
    ] = "manual",
    existing: Annotated[
        Literal["refuse", "replace"], Param("what to do if that image is there already", label="If there is one")
    ] = "refuse",
) -> Say:
    """Add an image and its cells to a folder that a network is trained on, with its description, dataset.toml."""
    from fijibridge.dataset import FILE_NAME, Dataset, add_to_dataset
    from fijibridge.files.names import stem

    called = name or stem(image)
    if existing == "refuse" and (folder / FILE_NAME).is_file() and called in Dataset.open(folder):
        raise OptionError(
            f"{folder} has an image {called!r} already: existing=replace replaces it, name=... adds another"
        )
    arrays = {"image": image, "labels": cells} | ({} if region is None else {"region": region})
    saved = add_to_dataset(folder, called, arrays, split=split, provenance=provenance, overwrite=existing == "replace")
    return Say(str(saved))


@verb("About", order=90)
def about() -> Say:
    """Say which versions run, on which device."""
    import platform
    from importlib.metadata import version

    import torch

    from fijibridge.nn.devices import device_of

    device = device_of(None)
    card = f" ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else ""
    return Say(
        f"fijibridge {version('fijibridge')}, Python {platform.python_version()}, torch {torch.__version__}; works on "
        f"{device}{card}"
    )
