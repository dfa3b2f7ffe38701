"""Files that store ROIs: ``.roi``, ``RoiSet.zip`` and ImageJ TIFF."""

from __future__ import annotations

import os
import warnings
import zipfile
from collections.abc import Iterable
from pathlib import Path

from roifile import roiread

from fijibridge.errors import FijiBridgeWarning, RoiError
from fijibridge.files import atomic
from fijibridge.messages import some
from fijibridge.renames import object_before_path
from fijibridge.rois.roi import Roi

_LARGEST = 2**26
"""Largest number of bytes of a ROI that is read: vertices are counted in 16 bits, except those of composite ROIs."""


def read_rois(path: str | os.PathLike[str]) -> list[Roi]:
    """Read a ``.roi`` file, a ``RoiSet.zip``, or the ROIs inside an ImageJ TIFF.

    A ROI that contains no name is named after its file, also in a zip, as in ImageJ. Empty files in a zip, and those
    that macOS adds, are skipped with a warning.

    Raises
    ------
    RoiError
        If the file does not exist, contains no ROI, or a ROI is damaged; the message names the entry of a zip.
    """
    source = Path(path)
    if not source.is_file():
        raise RoiError(f"{source} is not a file; expected a .roi file, a .zip of .roi files, or a TIFF with an overlay")
    try:
        if source.suffix.lower() == ".zip":
            found = _read_zip(source)
        elif source.suffix.lower() == ".roi":
            found = [_named_after(source.name, source.read_bytes())]
        else:
            rois = roiread(source)
            found = [Roi(data.tobytes()) for data in (rois if isinstance(rois, list) else [rois])]
    except RoiError as error:
        raise RoiError(f"{source}: {error}") from error
    except Exception as error:
        raise RoiError(f"{source} contains no ImageJ ROIs: {error}") from error
    if not found:
        raise RoiError(f"{source} contains no ImageJ ROIs; expected at least one .roi file in it")
    return found


def _read_zip(source: Path) -> list[Roi]:
    found, empty = [], []
    with zipfile.ZipFile(source) as archive:
        for entry in archive.infolist():
            if not entry.filename.lower().endswith(".roi"):
                continue
            if not entry.file_size or "__MACOSX" in Path(entry.filename).parts:
                empty.append(entry.filename)
                continue
            if entry.file_size > _LARGEST:
                raise RoiError(f"{entry.filename} unpacks to {entry.file_size:,} bytes; a ROI has at most {_LARGEST:,}")
            try:
                found.append(_named_after(entry.filename, archive.read(entry)))
            except RoiError as error:
                raise RoiError(f"{entry.filename}: {error}") from error
    if empty:
        warnings.warn(
            f"{source} contains {some(empty, 3)}: skipped, because such files contain no ROI",
            FijiBridgeWarning, stacklevel=3,
        )  # fmt: skip
    return found


def _named_after(file: str, data: bytes) -> Roi:
    """Return a ROI, named after its file if it contains no name of its own."""
    roi = Roi(data)
    return roi if roi.name else roi.renamed(Path(file).stem)


@object_before_path
def write_rois(rois: Iterable[Roi], path: str | os.PathLike[str]) -> None:
    """Write one ROI as a ``.roi`` file, or any number of ROIs as a ``RoiSet.zip`` that the ROI Manager can open.

    Parameters
    ----------
    rois
        ROIs to write. A ``.roi`` file contains exactly one.
    path
        File ending in ``.roi`` or ``.zip``; an existing file is replaced.

    Raises
    ------
    RoiError
        If `path` has another suffix, or ends in ``.roi`` and `rois` is not exactly one ROI.

    Notes
    -----
    In a zip, ``-1``, ``-2`` ... is appended to repeated names, as in the ROI Manager, because ImageJ names a ROI after
    its file in the zip.
    """
    target, items = Path(path), list(rois)
    if target.suffix.lower() == ".roi":
        if len(items) != 1:
            raise RoiError(f"a .roi file contains exactly one ROI, but {len(items)} were given: write a .zip instead")
        with atomic(target) as temporary:
            temporary.write_bytes(items[0].to_bytes())
        return
    if target.suffix.lower() != ".zip":
        raise RoiError(f"ROIs cannot be written to {target.name!r}; expected a name that ends in .roi or .zip")
    with atomic(target) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        taken: set[str] = set()
        for number, roi in enumerate(items, start=1):
            archive.writestr(_free_name(roi.name or f"{number:04d}", taken) + ".roi", roi.to_bytes())


def _free_name(name: str, taken: set[str]) -> str:
    base = name.replace("/", "_").replace("\\", "_")
    free, count = base, 0
    while free in taken:
        count += 1
        free = f"{base}-{count}"
    taken.add(free)
    return free
