"""Truth in forms of other programs that a description cannot name, and how to convert it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fijibridge.errors import DatasetError
from fijibridge.files import SUFFIXES
from fijibridge.messages import some

_DEPTH = 3


def refuse_single_objects(folder: Path) -> None:
    """Refuse a folder with one mask file for each object, as of the Data Science Bowl 2018.

    Raises
    ------
    DatasetError
        The message says how to join the masks.
    """
    for masks in _folders(folder, _DEPTH):
        images = masks.parent / "images"
        if masks.name.lower() != "masks" or masks.parent == folder or not images.is_dir():
            continue
        objects, pictures = _pictures(masks), _pictures(images)
        if len(pictures) == 1 and (len(objects) > 1 or objects != pictures):
            raise DatasetError(
                f"{masks} has {len(objects)} masks, one for each object, but a description names one label image for "
                "each image: join them first, with labels = sum((i + 1) * (imread(mask) > 0) for i, mask in "
                "enumerate(masks)), and save the labels beside the image"
            )


def open_truth(folder: Path) -> Iterator[str]:
    """Yield questions about truth that is stored in another form than label images."""
    arrays = sorted(path.name for path in folder.rglob("*_seg.npy"))
    if arrays:
        yield (
            f"{some(arrays, 3)}: truth of Cellpose. Reading it runs code from the file, so it is not opened: write "
            "label images, with cellpose.io.save_masks(images, masks, flows, names, png=True), or --save_png of its "
            "command"
        )
    polygons = sorted(path.name for path in folder.rglob("*.geojson"))
    if polygons:
        yield (
            f"{some(polygons, 3)}: polygons of QuPath. Write label images, with QuPath's LabeledImageServer (its "
            "documentation: Exporting annotations)"
        )
    labelings = sorted(path.name for path in folder.rglob("*.labeling"))
    if labelings:
        yield f"{some(labelings, 3)}: a labeling of LabKit. Save it there as a TIFF (Labeling > Export as Bitmap)"


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield path
            if depth > 1:
                yield from _folders(path, depth - 1)


def _pictures(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
