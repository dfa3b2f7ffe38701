"""Pixel and class weights for the loss."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.arrays import Floats32
from fijibridge.cells.distances import Spacing, in_pixels, spacing, two_nearest
from fijibridge.cells.neighbours import ahead
from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import ImageError
from fijibridge.image import Array, ImageT, as_truth, like, same_shape, values

_UNSEEN = 1e-7
"""Smaller weights become 0: they are below the rounding error of a float32 near 1."""


def weight_map(
    labels: ImageT,
    w0: float = 10,
    sigma: float = 5,
    *,
    class_balance: bool | npt.ArrayLike = False,
    target: Array | None = None,
    region: Array | None = None,
    unit: str = "px",
) -> ImageT:
    """Weight pixels by the width of the gap between the two nearest cells, as in the U-Net paper.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) label image, 0 = between cells.
    w0
        Upper limit of the border term: its value in an infinitely narrow gap.
    sigma
        Standard deviation, in `unit`, of the border term, which is a Gaussian function of the sum of the distances to
        the two nearest cells.
    class_balance
        False: return only the border term, which is 0 inside cells and can be added to other weights. True: return the
        complete map for a loss, with the class weights of :func:`class_weights` added. An array with one weight per
        class, for example the class weights of a whole data set: return the complete map with these class weights.
    target
        Class ids that the network learns, from :func:`fijibridge.membrane_target` or :func:`fijibridge.class_target`.
        Its membranes (1) count as outside the cells, its classes are balanced, and its unknown pixels get weight 0. By
        default, the classes are outside (0) and inside (1) a cell. If cells touch, a target is required, because no
        pixel is between them.
    region
        Mask, non-zero where the truth is known; other pixels get weight 0 and do not count in any class.
    unit
        Unit of `sigma`: ``"px"`` (x pixels) or, for calibrated images, ``"um"`` (``"nm"``, ``"mm"``).

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``float32`` weights, without a unit; calibrated if `labels` is.

    Raises
    ------
    ImageError
        If `sigma` is not positive or `w0` is negative, cells touch and `target` is not given, shapes differ,
        `labels` is a mask of cells without ids, or `unit` is physical and `labels` has no pixel size.

    Notes
    -----
    Ronneberger, Fischer and Brox, MICCAI 2015, equation 2::

        w(p) = wc(p) + w0 * exp(-(d1(p) + d2(p))**2 / (2 * sigma**2))

    where d1 and d2 are the distances from the centre of pixel p to the nearest pixel of the nearest and of the second
    nearest cell. The second term is 0 inside cells, and everywhere if there are fewer than two cells. Distances are
    exact and take the pixel size into account: if slices are 1 um apart and pixels 0.2 um, the next slice is 5 px away.
    Border terms below 1e-7 are set to 0.

    Examples
    --------
    >>> labels = np.array([[1, 1, 0, 2, 2, 2, 2, 2]] * 2)
    >>> weight_map(labels, w0=10, sigma=5)[0].round(2)
    array([0.  , 0.  , 9.23, 0.  , 0.  , 0.  , 0.  , 0.  ], dtype=float32)
    >>> weight_map(labels, w0=10, sigma=5, class_balance=True)[0].round(2)
    array([ 0.57,  0.57, 13.23,  0.57,  0.57,  0.57,  0.57,  0.57],
          dtype=float32)
    """
    array = as_truth(labels)
    step = spacing(labels)
    _check_parameters(w0, in_pixels(sigma, unit, labels, "sigma"))
    cells = array if target is None else np.where(_classes(labels, target) == 1, 0, array)
    if target is None or cells.all():
        _refuse_touching(cells)
    weights = _border_term(cells, w0, in_pixels(sigma, unit, labels, "sigma"), step)
    classes = _known_classes(labels, cells, target, region)
    if class_balance is not False:
        weights += _class_term(classes, class_balance)
    weights[classes == IGNORE] = 0
    return like(weights, labels, name="weights")


def class_weights(target: Array | Sequence[Array], n_classes: int | None = None) -> npt.NDArray[np.float32]:
    """Weight classes by the inverse of their frequency.

    Parameters
    ----------
    target
        Image of class ids, 255 = ignore; or several such images of any shape, which are counted together.
    n_classes
        Number of weights to return; by default, the largest class id that occurs plus 1.

    Returns
    -------
    numpy.ndarray
        (n_classes,) ``float32``: ``class_weights(target)[c]`` is the weight of class c. Classes that do not occur get
        weight 1.

    Raises
    ------
    ImageError
        If ids are not integers from 0 to 255, a class id is `n_classes` or more, or no pixel is known.

    Notes
    -----
    The weight of class c is N / (K n_c), where N is the number of known pixels, n_c the number of pixels in class c,
    and K the number of classes that occur. Each class then has the same total weight, and the mean weight of the known
    pixels is 1 (King and Zeng, Political Analysis 9, 2001; scikit-learn's ``class_weight="balanced"``).

    Examples
    --------
    >>> class_weights(np.array([[0, 0, 0, 1, 255]] * 2)).round(2)
    array([0.67, 2.  ], dtype=float32)
    """
    images = [target] if isinstance(target, (np.ndarray, xr.DataArray)) else target
    counts = np.zeros(IGNORE + 1, np.int64)
    for image in images:
        counts += np.bincount(_class_ids(values(image)).reshape(-1), minlength=IGNORE + 1)
    counts = counts[:IGNORE]
    occurs = np.flatnonzero(counts)
    if not occurs.size:
        raise ImageError("the target has no known pixel: all pixels are 255 = ignore, or it is empty")
    n = int(occurs[-1]) + 1 if n_classes is None else n_classes
    if occurs[-1] >= n:
        raise ImageError(f"the target contains class {occurs[-1]}; expected 0 to {n - 1} and {IGNORE} = ignore")
    weights = np.ones(n)
    weights[occurs] = counts.sum() / (len(occurs) * counts[occurs])
    return weights.astype(np.float32)


def _class_term(classes: npt.NDArray[np.int_], class_balance: bool | npt.ArrayLike) -> Floats32:
    """Return the class term wc of equation 2."""
    per_class = class_weights(classes) if class_balance is True else np.asarray(class_balance, np.float32)
    known = classes[classes != IGNORE]
    if per_class.ndim != 1 or (known.size and known.max() >= len(per_class)):
        raise ImageError(
            f"class_balance has shape {per_class.shape}; expected one weight for each class, 0 to {known.max()}"
        )
    table = np.zeros(IGNORE + 1, np.float32)
    table[: len(per_class)] = per_class
    return table[classes]


def _check_parameters(w0: float, sigma: float) -> None:
    if not (np.isfinite(sigma) and sigma > 0):
        raise ImageError(f"sigma is {sigma:g} px; expected a positive number")
    if not (np.isfinite(w0) and w0 >= 0):
        raise ImageError(f"w0 is {w0:g}; expected 0 or more")


def _refuse_touching(cells: npt.NDArray[np.int_]) -> None:
    for axis in range(cells.ndim):
        first, second = (cells[place] for place in ahead(axis, cells.ndim))
        if ((first != second) & (first > 0) & (second > 0)).any():
            raise ImageError(
                "cells touch, so there are no pixels between them to get larger weights: mark the membranes with "
                "target=fijibridge.membrane_target(labels)"
            )


def _border_term(cells: npt.NDArray[np.int_], w0: float, sigma: float, step: Spacing) -> Floats32:
    """Return the second term of equation 2."""
    weights = np.zeros(cells.shape, np.float32)
    if w0 <= _UNSEEN or not cells.any():
        return weights
    reach = sigma * math.sqrt(2 * math.log(w0 / _UNSEEN))
    # Since d1 <= d2, the sum of both exceeds the reach wherever d1 exceeds half the reach.
    box = _box(cells, reach / 2, step)
    first, second = two_nearest(cells[box], step, reach)
    np.add(first, second, out=first)
    np.square(first, out=first)
    np.exp(np.multiply(first, np.float32(-0.5 / sigma**2), out=first), out=first)
    weights[box] = np.multiply(first, np.float32(w0), out=first)
    weights[cells != 0] = 0
    return weights


def _box(cells: npt.NDArray[np.int_], margin: float, step: Spacing) -> tuple[slice, ...]:
    """Return the part of the image within a margin of its cells."""
    box = []
    for axis, s in enumerate(step):
        there = np.flatnonzero(cells.any(axis=tuple(a for a in range(cells.ndim) if a != axis)))
        more = math.ceil(margin / s)
        box.append(slice(max(0, int(there[0]) - more), int(there[-1]) + more + 1))
    return tuple(box)


def _known_classes(
    labels: Array, cells: npt.NDArray[np.int_], target: Array | None, region: Array | None
) -> npt.NDArray[np.int_]:
    """Return the class of each pixel, 255 = unknown."""
    classes = (cells != 0).astype(np.uint8) if target is None else _classes(labels, target)
    if region is None:
        return classes
    same_shape(labels=labels, region=region)
    return np.where(values(region) == 0, IGNORE, classes)


def _classes(labels: Array, target: Array) -> npt.NDArray[np.int_]:
    same_shape(labels=labels, target=target)
    return _class_ids(values(target))


def _class_ids(target: npt.NDArray[Any]) -> npt.NDArray[np.int_]:
    if not np.issubdtype(target.dtype, np.integer) or (target.size and not 0 <= target.min() <= target.max() <= IGNORE):
        held = f"from {target.min()} to {target.max()}" if target.size else "none"
        raise ImageError(
            f"the target has dtype {target.dtype} and values {held}; expected integers: class ids, and "
            f"{IGNORE} = ignore, as fijibridge.membrane_target returns them"
        )
    return target
