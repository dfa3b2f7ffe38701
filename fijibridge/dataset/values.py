"""Conversion of the numbers in files to cells (ids, 0 = background) and classes (0, 1, 255)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import Mask
from fijibridge.errors import ImageError

OTHER, MEMBRANE, IGNORE = 0, 1, 255


def cells(labels: npt.NDArray[Any], meanings: Mapping[int, str]) -> npt.NDArray[Any]:
    """Return a label image in which all numbers that are not cells are 0.

    Parameters
    ----------
    labels
        Any shape, whole numbers.
    meanings
        Meaning of each number: background, membrane, ignore or instance. Other numbers are cells, except 0, which is
        background. If 0 means instance, its pixels get the first id after all others that has no meaning.

    Examples
    --------
    >>> cells(np.array([1, 2, 0, 9]), {1: "background", 9: "ignore", 0: "instance"})
    array([ 0,  2, 10,  0])
    """
    if labels.dtype == bool:
        return labels  # a binary mask, which as_truth refuses
    array = _whole_numbers(labels)
    nothing = [value for value, meaning in meanings.items() if meaning != "instance" and value != 0]
    moved = meanings.get(0) == "instance" and bool((array == 0).any())
    if not nothing and not moved:
        return array
    if moved:
        free = next(number for number in itertools.count(int(array.max()) + 1) if number not in meanings)
        array = array.astype(np.promote_types(array.dtype, np.min_scalar_type(free)))
        array = np.where(array == 0, array.dtype.type(free), array)
    return np.where(np.isin(array, nothing), array.dtype.type(0), array)


def ignored(array: npt.NDArray[Any], meanings: Mapping[int, str]) -> Mask:
    """Return the mask of the pixels whose number means ignore."""
    return np.isin(array, [value for value, meaning in meanings.items() if meaning == "ignore"])


def classes(array: npt.NDArray[Any], meanings: Mapping[int, str]) -> npt.NDArray[np.uint8]:
    """Return pixel labels as 0 = other, 1 = membrane, 255 = ignore.

    Raises
    ------
    ImageError
        If a number has no meaning.

    Examples
    --------
    >>> classes(np.array([0, 255, 7]), {0: "cell", 255: "membrane", 7: "ignore"})
    array([  0,   1, 255], dtype=uint8)
    """
    numbers = _whole_numbers(array)
    _refuse_unknown(numbers, meanings, "background, cell, membrane or ignore")
    out = np.zeros(numbers.shape, np.uint8)
    for value, meaning in meanings.items():
        if meaning in ("membrane", "ignore"):
            out[numbers == value] = MEMBRANE if meaning == "membrane" else IGNORE
    return out


def known(array: npt.NDArray[Any], meanings: Mapping[int, str]) -> Mask:
    """Return the mask of known truth: non-zero pixels or, if meanings are given, pixels whose number means known.

    Raises
    ------
    ImageError
        If meanings are given, but a number has no meaning.
    """
    if not meanings:
        return np.asarray(array != 0)
    numbers = _whole_numbers(array)
    _refuse_unknown(numbers, meanings, "known or ignore")
    return np.isin(numbers, [value for value, meaning in meanings.items() if meaning == "known"])


def _refuse_unknown(array: npt.NDArray[Any], meanings: Mapping[int, str], choices: str) -> None:
    strange = array[~np.isin(array, list(meanings))]
    if strange.size:
        found = np.unique(strange)
        raise ImageError(
            f"contains {', '.join(map(str, found[:6]))}{' ...' if len(found) > 6 else ''} in {strange.size} pixels, "
            f"but [values] in the description does not declare them: declare each number as {choices}"
        )


def _whole_numbers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype == bool:
        return array.astype(np.uint8)
    if np.issubdtype(array.dtype, np.floating):
        with np.errstate(invalid="ignore"):
            whole = array.astype(np.int64)
        if not np.array_equal(whole, array):
            raise ImageError(f"contains {array.dtype} values that are not whole numbers; expected integers")
        return whole
    return array
