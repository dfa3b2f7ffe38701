"""Check of a data set, which reads every image and collects findings."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator

import xarray as xr

from fijibridge.dataset.checks.calibration import axis_findings, different_sizes, size_findings
from fijibridge.dataset.checks.completeness import missing_files, provenance_findings, unused_files
from fijibridge.dataset.checks.derivation import derivation_findings
from fijibridge.dataset.checks.duplicates import PixelHashes, shared_truth
from fijibridge.dataset.checks.findings import Finding, finding
from fijibridge.dataset.checks.leaks import leaks
from fijibridge.dataset.checks.pixels import odd_pixels, origin_findings, shape_findings
from fijibridge.dataset.checks.truth import truth_findings
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.description import Role
from fijibridge.dataset.item import Item
from fijibridge.dataset.toml import FILE_NAME
from fijibridge.errors import DatasetError, ImageError
from fijibridge.renames import rename_attributes


def check_dataset(folder: str | os.PathLike[str] | Dataset) -> list[Finding]:
    """Check a folder of images against its description.

    All images are read. The check finds missing and unreadable files; axes, pixel sizes and shapes that do not agree;
    masks in place of label images; unused ids; ids with several parts; gaps that may be unlabelled cells; numbers
    without a meaning; crops that differ from their original; and related images in different splits.

    Parameters
    ----------
    folder
        Folder with a ``dataset.toml``, or an open data set.

    Returns
    -------
    list of Finding
        Findings, problems first. :func:`fijibridge.dataset.together` joins findings that many images share.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> tifffile.imwrite(folder / "a_image.tif", np.arange(72, dtype=np.uint8).reshape(8, 9))
    >>> tifffile.imwrite(folder / "a_labels.tif", np.diag(np.arange(8, dtype=np.uint16)))
    >>> dataset = Dataset.from_patterns(folder, image="*_image.tif", labels="{name}_labels.tif", provenance="manual")
    >>> finding = check_dataset(dataset)[0]
    >>> finding.severity, finding.file, finding.what
    ('problem', 'a_labels.tif', 'the labels file has 8 (y) x 8 (x) pixels, but the image has 8 (y) x 9 (x)')
    """
    if isinstance(folder, Dataset):
        return _problems_first(_dataset(folder))
    try:
        dataset = Dataset.open(folder)
    except DatasetError as error:
        return [Finding("problem", "", FILE_NAME, str(error), "correct the description or the folder")]
    return _problems_first(_dataset(dataset))


def _problems_first(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: finding.severity != "problem")


def _dataset(dataset: Dataset) -> Iterator[Finding]:
    hashes = PixelHashes()
    for item in dataset:
        yield from _item(item, dataset, hashes)
    yield from leaks(dataset)
    yield from different_sizes(dataset)
    yield from shared_truth(dataset)
    yield from provenance_findings(dataset)
    yield from unused_files(dataset)


def _item(item: Item, dataset: Dataset, hashes: PixelHashes) -> Iterator[Finding]:
    yield from missing_files(item, dataset.folder)
    arrays: dict[str, xr.DataArray] = {}
    yield from _read(item, dataset, arrays)
    yield from axis_findings(item, dataset)
    sizes = list(size_findings(item, dataset))
    yield from sizes
    shapes = list(shape_findings(item, dataset, arrays))
    yield from shapes
    # a file with a wrong shape or pixel size fails this check too, but one finding is enough
    reported = {found.file for found in (*sizes, *shapes)}
    yield from (found for found in origin_findings(item, dataset, arrays) if found.file not in reported)
    yield from odd_pixels(item, dataset, arrays)
    yield from hashes.twins(item, dataset, arrays)
    yield from truth_findings(item, dataset, arrays)
    yield from derivation_findings(item, dataset, arrays)


def _read(item: Item, dataset: Dataset, arrays: dict[str, xr.DataArray]) -> Iterator[Finding]:
    """Read the files of an item into `arrays`, by role, and yield a finding for each role that cannot be read."""
    readers: dict[Role, Callable[[], xr.DataArray | None]] = {
        "image": item.image, "labels": item.labels, "classes": item.classes, "region": item.region,
        "prediction": item.prediction,
    }  # fmt: skip
    for role, read in readers.items():
        if role not in item.paths or _lacks_files(item, role):
            continue
        try:
            array = read()
        except (DatasetError, ImageError) as error:
            yield finding("problem", item, dataset, role, str(error), "correct the file or its description")
            continue
        if array is not None:
            arrays[role] = array


def _lacks_files(item: Item, role: Role) -> bool:
    """Return whether files of a role are missing, or the numbers in their names do not form a series."""
    try:
        return bool(item.missing(role))
    except DatasetError:
        return True


rename_attributes(__name__, {"check": "dataset:check_dataset"})
