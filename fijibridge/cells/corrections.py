"""Manually corrected cells: their label images, a list of changes, and match tables before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.cells.matching.overlaps import count_overlaps
from fijibridge.errors import ImageError
from fijibridge.image import Array, ImageT, as_labels, first_channel, in_order, like
from fijibridge.renames import rename_attributes
from fijibridge.rois import Roi, labels_to_rois, rois_to_labels
from fijibridge.rois.kinds import AREAS
from fijibridge.rois.positions import Stack


def drawn_cells(rois: Iterable[Roi], image: xr.DataArray) -> xr.DataArray | None:
    """Return the area ROIs among `rois` as a label image of the size of `image`, or None if there are none.

    An area ROI whose name is an integer gets this integer as its id.
    """
    areas = [roi for roi in rois if roi.kind in AREAS]
    image = in_order(image)
    one = first_channel(image)
    nothing = xr.DataArray(np.zeros(one.shape, np.uint16), dims=one.dims, coords=one.coords)
    return labels_from_corrected(areas, nothing) if areas else None


def labels_from_corrected(rois: Sequence[Roi], before: ImageT) -> ImageT:
    """Draw corrected ROIs as cells.

    Parameters
    ----------
    rois
        ROIs named after the ids of their cells. A ROI with any other name, or without a name, is a new cell. (To draw
        a new cell on several slices, give all its outlines the same integer as name.) Where ROIs overlap, changed ROIs
        win over ROIs that are the same as in `before`, and later ROIs over earlier ones.
    before
        Label image from which the ROIs were made, (Y, X), (Z, Y, X) or (T, Z, Y, X). A DataArray tells slices from
        frames; see :func:`fijibridge.rois_to_labels`.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        Label image with the shape of `before`, calibrated if `before` is. Cells with a ROI keep their ids; new cells
        get larger ids than all cells in `before`.

    Examples
    --------
    >>> before = np.array([[1, 1, 1, 1, 2, 2]])
    >>> drawn = [Roi.rectangle(0, 0, 2, 1, name="1"), Roi.rectangle(2, 0, 2, 1, name="0001-0003")]
    >>> labels_from_corrected(drawn, before)
    array([[1, 1, 3, 3, 0, 0]], dtype=uint16)
    """
    known = as_labels(before, "before")
    ids = [int(roi.name) for roi in rois if _is_id(roi.name)]
    free = max(int(known.max(initial=0)), *ids, 0) + 1
    named = []
    for roi in rois:
        if _is_id(roi.name):
            named.append(roi)
        else:
            named.append(roi.renamed(str(free)))
            free += 1
    # Of overlapping ROIs, the last one drawn wins, so unchanged ROIs are drawn first. The sort is stable.
    stack = Stack.of(before)
    outlines = labels_to_rois(known)
    untouched = dict(zip(_keys(outlines, stack), outlines, strict=True))
    keyed = zip(_keys(named, stack), named, strict=True)
    changed = np.array([not _same_outline(roi, untouched.get(key)) for key, roi in keyed], bool)
    last = np.concatenate([np.flatnonzero(~changed), np.flatnonzero(changed)])
    labels = rois_to_labels([named[i] for i in last], before)
    return like(labels, before, name="labels")


def _keys(rois: Sequence[Roi], stack: Stack) -> list[tuple[str, tuple[int, ...]]]:
    """Return the name and the plane of each ROI."""
    return [(roi.name, tuple(place)) for roi, place in zip(rois, stack.places(rois).tolist(), strict=True)]


def _same_outline(roi: Roi, other: Roi | None) -> bool:
    if other is None or roi.bounds != other.bounds:
        return False
    ours, theirs = roi.paths(), other.paths()
    return len(ours) == len(theirs) and all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _is_id(name: str) -> bool:
    return name.isascii() and name.isdigit() and name == str(int(name)) and int(name) > 0


def split_parts(labels: ImageT, only: Iterable[int] | None = None) -> ImageT:
    """Split cells into their connected parts, for example after cells were cut by drawing lines of 0.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) label image.
    only
        Ids of the cells to split; by default, all cells.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        Labels with the same dtype, or a wider one if the ids need it. The largest part keeps the id of the cell; the
        other parts get new ids above all existing ids. Parts are 4-connected (6-connected in 3D).

    Examples
    --------
    >>> split_parts(np.array([[5, 5, 0, 5, 0, 2]]))
    array([[5, 5, 0, 6, 0, 2]])
    """
    from scipy import ndimage

    array = as_labels(labels)
    free = int(array.max(initial=0)) + 1
    result = array.copy()
    looked_at = None if only is None else set(only)
    for i, box in _boxes(array):
        if looked_at is not None and i not in looked_at:
            continue
        parts, count = ndimage.label(array[box] == i)
        if count < 2:
            continue
        kept = np.argmax(np.bincount(parts[parts > 0])[1:]) + 1
        for part in (n for n in range(1, count + 1) if n != kept):
            if free > np.iinfo(result.dtype).max:
                result = result.astype(np.int64)
            result[box][parts == part] = free
            free += 1
    return like(result, labels, name="labels")


def _boxes(labels: npt.NDArray[Any]) -> list[tuple[int, tuple[slice, ...]]]:
    from scipy import ndimage

    ids, numbered = np.unique(labels, return_inverse=True)
    first = 1 if ids.size and ids[0] == 0 else 0
    boxes = ndimage.find_objects(numbered.reshape(labels.shape).astype(np.int32) + 1 - first)
    return [(int(i), box) for i, box in zip(ids[first:], boxes, strict=True) if box is not None]


def changed_cells(before: Array, after: Array) -> pd.DataFrame:
    """Return the cells that differ between two label images with corresponding ids.

    Returns
    -------
    pandas.DataFrame
        One row per cell that differs: ``label`` (id), ``change`` (``added``, ``removed``, ``changed``), and the
        numbers of ``gained`` and ``lost`` pixels.

    Examples
    --------
    >>> changed_cells(np.array([[1, 1, 2, 2]]), np.array([[1, 1, 1, 3]]))
       label   change  gained  lost
    0      1  changed       1     0
    1      2  removed       0     2
    2      3    added       1     0
    """
    overlaps = count_overlaps(before, after)
    moved = overlaps.true != overlaps.pred
    size_before, size_after = (_sizes(ids, overlaps.pixels) for ids in (overlaps.true, overlaps.pred))
    lost = _sizes(overlaps.true[moved], overlaps.pixels[moved])
    gained = _sizes(overlaps.pred[moved], overlaps.pixels[moved])
    rows = [
        (
            i,
            "added" if i not in size_before else "removed" if i not in size_after else "changed",
            gained.get(i, 0),
            lost.get(i, 0),
        )
        for i in sorted({*lost, *gained} - {0})
    ]
    return pd.DataFrame(rows, columns=["label", "change", "gained", "lost"])


def _sizes(ids: npt.NDArray[np.int64], pixels: npt.NDArray[np.int64]) -> dict[int, int]:
    unique, index = np.unique(ids, return_inverse=True)
    return dict(zip(unique.tolist(), np.bincount(index, pixels).astype(int).tolist(), strict=True))


def compare_match_tables(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Compare two match tables, image by image.

    Parameters
    ----------
    before, after
        Tables returned by :func:`fijibridge.match_table`.

    Returns
    -------
    pandas.DataFrame
        ``image``, and for each numeric column that both tables have, the value before, the value after and the change,
        such as ``f1 before``, ``f1 after``, ``f1 change``. Values of an image that a table lacks are missing (NaN).

    Raises
    ------
    ImageError
        If a table has no column ``image``, or names an image twice.

    Examples
    --------
    >>> old = pd.DataFrame({"image": ["a"], "f1": [0.5]})
    >>> print(compare_match_tables(old, pd.DataFrame({"image": ["a"], "f1": [0.75]})).to_string(index=False))
    image  f1 before  f1 after  f1 change
        a        0.5      0.75       0.25
    """
    for name, table in (("before", before), ("after", after)):
        if "image" not in table:
            raise ImageError(f"{name} has the columns {list(table)}; expected a column 'image' among them")
        twice = table["image"][table["image"].duplicated()]
        if len(twice):
            raise ImageError(f"{name} has more than one row for image {twice.iloc[0]!r}; expected each image once")
    numeric = set(before.select_dtypes("number")) & set(after.select_dtypes("number"))
    columns = [c for c in after if c in numeric]
    order = [*after["image"], *(i for i in before["image"] if i not in set(after["image"]))]
    old, new = (table.set_index("image").reindex(order) for table in (before, after))
    result = pd.DataFrame({"image": order})
    for column in columns:
        counted = all(table[column].dtype.kind in "iu" for table in (before, after))
        kind: Any = "Int64" if counted else "float64"  # counts stay integers, even if some are missing
        one, other = (table[column].astype(kind).reset_index(drop=True) for table in (old, new))
        result[f"{column} before"], result[f"{column} after"] = one, other
        result[f"{column} change"] = other - one
    return result


rename_attributes(
    __name__,
    {
        "compare_tables": "cells.corrections:compare_match_tables",
        "list_changes": "cells.corrections:changed_cells",
        "separate_parts": "cells.corrections:split_parts",
    },
)
