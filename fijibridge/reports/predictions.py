"""Differences between two predictions of the same images."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.cells.matching import THRESH
from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.segmentation.methods import THRESHOLD
from fijibridge.errors import DatasetError, FijiBridgeWarning, ImageError
from fijibridge.files import SUFFIXES, read_image
from fijibridge.files.formats import stem
from fijibridge.image import Array, as_image, values
from fijibridge.messages import naming, some
from fijibridge.record import MEMBRANE
from fijibridge.renames import renamed_keywords
from fijibridge.reports.trials import LABEL

COLUMNS = ["image", "max difference", "mean difference", "classes differ", "cells a", "cells b", "matched", "f1"]
_NO_CLASS = ("distance", "affinity")
_ENDING = "_prob"


@renamed_keywords(threshold="membrane_threshold")
def compare_predictions(
    a: Array | str | os.PathLike[str],
    b: Array | str | os.PathLike[str],
    *,
    thresh: float = THRESH,
    membrane_threshold: float = THRESHOLD,
    label: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Compare two predictions: probabilities, classes, and the cells found in them.

    Parameters
    ----------
    a, b
        Class probabilities (C, Y, X) or (C, Z, Y, X), membrane probabilities (Y, X) or (Z, Y, X), or label images
        (integers). Both are arrays, files or folders. In folders, files with the same name are compared:
        ``*_prob.tif`` and ``*_prob.ome.zarr``, or all images if there are no such files.
    thresh
        Smallest IoU at which two cells match.
    membrane_threshold
        Smallest probability at which a pixel is membrane, for predictions without other classes.
    label
        Arguments of :func:`fijibridge.label_cells`; the method ``"watershed"`` if left out.

    Returns
    -------
    pandas.DataFrame
        One row per image: ``max difference`` and ``mean difference``, the absolute differences of the probabilities
        (NaN for label images); ``classes differ``, the share of pixels whose most probable class differs (for label
        images, the share of pixels that belong to a cell in only one of the two); the numbers of cells ``cells a`` and
        ``cells b``, the number ``matched``, and the score ``f1``.

    Raises
    ------
    ImageError
        If two predictions have different shapes, or one is a label image and the other is not.
    DatasetError
        If files are missing, or two folders have no files with the same name.

    Examples
    --------
    >>> prob = np.zeros((40, 40)); prob[:, 20] = 1
    >>> other = prob.copy(); other[3, 20] = 0.75
    >>> row = compare_predictions(prob, other).iloc[0]
    >>> float(row["max difference"]), float(row["classes differ"]), int(row["cells a"]), int(row["matched"])
    (0.25, 0.0, 2, 2)
    """
    arguments = {**LABEL, "threshold": membrane_threshold, **(label or {})}
    rows = []
    for name, one, other in _pairs(a, b):
        with naming(name, ImageError):
            found = difference(one, other, thresh=thresh, membrane_threshold=membrane_threshold, label=arguments)
        rows.append({"image": name} | found)
    return pd.DataFrame(rows, columns=COLUMNS)


def difference(
    one: xr.DataArray, other: xr.DataArray, *, thresh: float, membrane_threshold: float, label: Mapping[str, Any]
) -> dict[str, Any]:
    """Return a row of :func:`compare_predictions` without the name of the image."""
    if one.dims != other.dims or one.shape != other.shape:
        raise ImageError(
            f"a has axes {one.dims} and shape {one.shape}, but b has axes {other.dims} and shape {other.shape}; "
            "expected equal axes and shapes"
        )
    labelled = [np.issubdtype(image.dtype, np.integer) for image in (one, other)]
    if labelled[0] != labelled[1]:
        raise ImageError(
            "one is a label image (integers), the other a prediction; expected two images of the same kind"
        )
    if labelled[0]:
        first, second = values(one), values(other)
        apart, classes = np.array([np.nan]), (first > 0) != (second > 0)
    else:
        apart = np.abs(values(one).astype(float) - values(other))
        classes = class_of(one, membrane_threshold) != class_of(other, membrane_threshold)
        first, second = (values(label_cells(image, **label)) for image in (one, other))
    m = match_labels(first, second, thresh=thresh)
    return {
        "max difference": float(apart.max()), "mean difference": float(apart.mean()),
        "classes differ": float(classes.mean()), "cells a": m.n_true, "cells b": m.n_pred, "matched": m.tp, "f1": m.f1,
    }  # fmt: skip


def class_of(prob: xr.DataArray, membrane_threshold: float) -> npt.NDArray[Any]:
    """Return each pixel's most probable class; without classes, whether its probability reaches the threshold."""
    if "c" not in prob.dims:
        return np.asarray(values(prob) >= membrane_threshold)
    names = [str(name) for name in prob.coords["c"].values] if "c" in prob.coords else [""] * prob.sizes["c"]
    classes = [n for n, name in enumerate(names) if not name.startswith(_NO_CLASS)]
    return np.asarray(values(prob.transpose("c", ...))[classes].argmax(axis=0))


def _pairs(a: Any, b: Any) -> Iterator[tuple[str, xr.DataArray, xr.DataArray]]:
    """Yield the name and both predictions of each image; files are read one pair at a time."""
    paths = [isinstance(one, str | os.PathLike) for one in (a, b)]
    if paths[0] != paths[1]:
        raise ImageError(f"a is a {type(a).__name__}, but b is a {type(b).__name__}; expected two arrays or two paths")
    if not paths[0]:
        yield "image", _as_prediction(a), _as_prediction(b)
        return
    for one, other in _files_of_one_name(Path(a), Path(b)):
        yield _name_of(one), read_image(one), read_image(other)


def _files_of_one_name(one: Path, other: Path) -> list[tuple[Path, Path]]:
    folders = [path.is_dir() and path.suffix != ".zarr" for path in (one, other)]
    if folders[0] != folders[1]:
        raise DatasetError(
            f"of {one} and {other}, one is a folder, the other a file; expected two folders or two files"
        )
    if not folders[0]:
        return [(one, other)]
    found = [_images_in(folder) for folder in (one, other)]
    both = sorted(set(found[0]) & set(found[1]))
    if not both:
        there = " and ".join(some(sorted(names), 6) or "nothing" for names in found)
        raise DatasetError(f"{one} and {other} have no image with the same name; the folders contain {there}")
    alone = sorted(set(found[0]) ^ set(found[1]))
    if alone:
        text = f"images in only one of {one} and {other} are left out: {some(alone, 6)}"
        warnings.warn(text, FijiBridgeWarning, stacklevel=4)
    return [(found[0][name], found[1][name]) for name in both]


def _images_in(folder: Path) -> dict[str, Path]:
    """Return the predictions in a folder by file name; if no name ends in ``_prob``, return all images."""
    images = {path.name: path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES}
    return {name: path for name, path in images.items() if stem(path).endswith(_ENDING)} or images


def _name_of(path: Path) -> str:
    return stem(path).removesuffix(_ENDING)


def _as_prediction(array: Any) -> xr.DataArray:
    if isinstance(array, xr.DataArray):
        return array
    plain = np.asarray(array)
    classes = plain.ndim > 2 and not np.issubdtype(plain.dtype, np.integer)
    named = as_image(plain, "czyx"[4 - plain.ndim :] if plain.ndim == 4 or not classes else "cyx")
    if "c" not in named.dims:
        return named
    return named.assign_coords(c=["other", MEMBRANE, *(f"class {n}" for n in range(2, len(plain)))][: len(plain)])
