"""Training targets, made from label images of cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage

from fijibridge.arrays import Floats32
from fijibridge.cells.distances import (
    Spacing,
    in_pixels,
    nearest_other,
    pixel_length,
    spacing,
    to_other_labels,
    to_sources,
)
from fijibridge.cells.targets import MAX_GAP, MEMBRANE_WIDTH
from fijibridge.errors import ImageError
from fijibridge.image import Array, ImageT, as_truth, like, refuse_channels_last, same_shape, values
from fijibridge.renames import keyword_only, renamed_keywords

IGNORE = 255
"""Class id of pixels with unknown truth, which are ignored by losses and metrics."""

CLASSES = ("other", "membrane")
"""Names of the class ids 0 and 1 of :func:`membrane_target`."""

CLASSES_OF_THREE = ("background", "membrane", "interior")
"""Names of the class ids 0, 1 and 2 of :func:`class_target`."""


@renamed_keywords(width="membrane_width")
@keyword_only("region", "max_gap")
def membrane_target(
    labels: ImageT,
    membrane_width: float = MEMBRANE_WIDTH,
    *,
    region: Array | None = None,
    max_gap: float | None = None,
    unit: str = "px",
) -> ImageT:
    """Mark the membranes between labelled cells.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) label image, 0 = background or a gap between cells.
    membrane_width
        Width of the membrane, in `unit`; at least one x pixel.
    region
        Mask, non-zero where the truth is known; other pixels become :data:`IGNORE`.
    max_gap
        Unlabelled strips up to this width (in `unit`; 6 px by default) are gaps between two cells, with the membrane in
        the middle. Wider strips are background, and the membrane runs along the outer side of the cells.
    unit
        Unit of `membrane_width` and `max_gap`: ``"px"`` (x pixels) or, for calibrated images, ``"um"`` (``"nm"``,
        ``"mm"``).

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``uint8`` class ids: 0 = other, 1 = membrane, 255 = ignore; calibrated if `labels` is.

    Raises
    ------
    ImageError
        If `membrane_width` is less than 1 px, `labels` and `region` differ in shape, `labels` is a mask of cells
        without ids, or `unit` is physical and `labels` has no pixel size.

    Notes
    -----
    Let a(p) and b(p) be the distances of a pixel's centre from the edge of its own cell (negative inside the cell) and
    from the edge of the nearest other cell. Then (b - a) / 2 is its distance from the midline between the cells. Pixels
    for which this is at most ``membrane_width / 2`` are membrane. The same rule applies to cells that touch and cells
    with a gap, in 2D and 3D. The midline runs between two pixels where cells touch, and through a pixel where the gap
    is 1 px wide; an odd width therefore becomes 1 px wider in the first case, an even width in the second.

    Distances take the pixel size into account: if slices are farther apart than pixels, a membrane has the same
    physical width across slices as within them. It always includes the two pixels beside the midline, or the one on it.
    The edge of a cell is half a step away from the centre of its outermost pixel, in the direction of the distance.

    Examples
    --------
    >>> membrane_target(np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2]] * 2), membrane_width=3)[0]
    array([0, 0, 0, 1, 1, 1, 0, 0, 0], dtype=uint8)
    >>> membrane_target(np.array([[1, 1, 1, 1, 2, 2, 2, 2]] * 2), membrane_width=2)[0]
    array([0, 0, 0, 1, 1, 0, 0, 0], dtype=uint8)
    """
    membrane, _ = _membrane_and_owner(labels, membrane_width, max_gap, unit)
    return like(_known(membrane.astype(np.uint8), labels, region), labels, name="target")


@renamed_keywords(width="membrane_width")
@keyword_only("region", "max_gap")
def class_target(
    labels: ImageT,
    membrane_width: float = MEMBRANE_WIDTH,
    *,
    region: Array | None = None,
    max_gap: float | None = None,
    unit: str = "px",
) -> ImageT:
    """Classify pixels as background, membrane or cell interior.

    Parameters
    ----------
    labels, membrane_width, region, max_gap, unit
        As for :func:`membrane_target`, which marks the same membranes.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``uint8`` class ids: 0 = background, 1 = membrane, 2 = interior of a cell, 255 = ignore; calibrated if
        `labels` is. In gaps between cells, pixels beside the membrane are interior.

    Raises
    ------
    ImageError
        As for :func:`membrane_target`.

    Examples
    --------
    >>> row = [1, 1, 1, 0, 2, 2, 2] + [0] * 8
    >>> class_target(np.array([row] * 2), membrane_width=1)[0]
    array([2, 2, 2, 1, 2, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0], dtype=uint8)
    """
    membrane, owner = _membrane_and_owner(labels, membrane_width, max_gap, unit)
    target = np.where(membrane, 1, np.where(owner < 0, 0, 2)).astype(np.uint8)
    return like(_known(target, labels, region), labels, name="target")


def distance_target(
    labels: ImageT, region: Array | None = None, *, unit: str = "px", normalise: bool = False
) -> ImageT:
    """Return the depth of each pixel inside its cell: the distance from the nearest pixel outside the cell.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) label image, 0 = no cell.
    region
        Mask, non-zero where the truth is known; other pixels become NaN.
    unit
        Unit of the distance: ``"px"`` (x pixels) or, for calibrated images, ``"um"`` (``"nm"``, ``"mm"``).
    normalise
        Divide by the largest distance in the same cell, so that the maximum in each cell is 1.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``float32``: distance between the centre of each pixel and that of the nearest pixel outside its cell; 0 outside
        cells, NaN where unknown; calibrated if `labels` is. The edge of the image does not count as an edge of a cell.

    Raises
    ------
    ImageError
        If one cell fills the whole image, `labels` and `region` differ in shape, `labels` is a mask of cells without
        ids, or `unit` is physical and `labels` has no pixel size.

    Examples
    --------
    >>> labels = np.array([[1, 1, 1, 1, 0, 2, 2, 2]] * 2)
    >>> distance_target(labels)[0]
    array([4., 3., 2., 1., 0., 1., 2., 3.], dtype=float32)
    >>> distance_target(labels, normalise=True)[0, :5]
    array([1.  , 0.75, 0.5 , 0.25, 0.  ], dtype=float32)
    """
    array = as_truth(labels)
    distance = to_other_labels(array, spacing(labels))
    if np.isinf(distance).any():
        raise ImageError(f"cell {array.flat[0]} fills the whole image of shape {array.shape}; expected a pixel outside")
    if normalise:
        distance /= np.maximum(_largest_in_cell(distance, array), np.finfo(np.float32).tiny)
    else:
        distance *= np.float32(pixel_length(unit, labels, "the distance"))
    return like(_known(distance, labels, region, np.nan), labels, name="distance")


@keyword_only("region")
def affinity_target(
    labels: ImageT, offsets: Sequence[Sequence[int]] | None = None, *, region: Array | None = None
) -> ImageT:
    """Mark pairs of pixels that belong to the same cell.

    Parameters
    ----------
    labels
        (Y, X) or (Z, Y, X) label image, 0 = no cell.
    offsets
        For each channel of the result, the step from a pixel to its partner, as a number of pixels along each axis of
        `labels`. By default, the partners are the direct neighbours (-1, 0), (0, -1), in 3D (-1, 0, 0), (0, -1, 0),
        (0, 0, -1).
    region
        Mask, non-zero where the truth is known; pairs with an unknown pixel become :data:`IGNORE`.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``uint8``, (C, Y, X) or (C, Z, Y, X): in channel k, at pixel p, 1 if p and p + offsets[k] have the same non-zero
        id, else 0; 255 = ignore, also where p + offsets[k] is outside the image. Calibrated if `labels` is, with the
        offsets as channel names.

    Raises
    ------
    ImageError
        If an offset does not have one integer per axis or is 0 along all axes, `labels` and `region` differ in shape,
        or `labels` is a mask of cells without ids.

    Notes
    -----
    The convention is that of the mutex watershed (Wolf et al., ECCV 2018) and of PlantSeg (Wolny et al., eLife 2020): 1
    is attractive, a pair is stored at its first pixel, and offsets usually point to lower indices.

    Examples
    --------
    >>> affinity_target(np.array([[1, 1, 2, 2, 0, 0]] * 2), [(0, -1)])[0, 0]
    array([255,   1,   0,   1,   0,   0], dtype=uint8)
    """
    array: npt.NDArray[np.int_] = as_truth(labels)
    chosen = _checked_offsets(offsets, len(spacing(labels)))
    known = np.ones(array.shape, bool) if region is None else _region(labels, region)
    affinities = np.full((len(chosen), *array.shape), IGNORE, np.uint8)
    for channel, offset in zip(affinities, chosen, strict=True):
        here, there = _pairs(offset, array.shape)
        same = (array[here] == array[there]) & (array[here] != 0)
        channel[here] = np.where(known[here] & known[there], same, IGNORE)
    result = like(affinities, labels, name="affinities")
    if isinstance(result, xr.DataArray):
        return result.assign_coords(c=[",".join(map(str, offset)) for offset in chosen])
    return result


def _membrane_and_owner(
    labels: Array, width: float, max_gap: float | None, unit: str
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.int64]]:
    """Return a mask of the membranes, and the cell of each pixel (-1 = background)."""
    array = as_truth(labels)
    step = spacing(labels)
    if not isinstance(labels, xr.DataArray):
        refuse_channels_last(array.shape)
    width = in_pixels(width, unit, labels, "width")
    max_gap = MAX_GAP if max_gap is None else in_pixels(max_gap, unit, labels, "max_gap")
    if not (np.isfinite(width) and width >= 1):
        raise ImageError(f"membrane width is {width:g} px; expected 1 or more")
    if not (np.isfinite(max_gap) and max_gap >= 0):
        raise ImageError(f"max_gap is {max_gap:g} px; expected 0 or more")
    owner, outside = _own_cell(array, max_gap, step)
    return _near_midline(owner, outside, width, max_gap, step), owner


def _near_midline(
    owner: npt.NDArray[np.int64], outside: Floats32, width: float, max_gap: float, step: Spacing
) -> npt.NDArray[np.bool_]:
    """Mark pixels for which b - a (see membrane_target) is at most the width or the step, whichever is larger."""
    reach = 1.01 * (width + max_gap + 2 * max(step))
    source = outside == 0
    filled = np.where(source, owner + 2, 0)
    to_other, along = _edge_distance(lambda s: nearest_other(owner, source, s, reach), step)
    to_not_own, _ = _edge_distance(lambda s: to_other_labels(filled, s), step)
    inside = np.where(np.isfinite(to_not_own), to_not_own, 0)  # infinite if the image has only one cell
    twice = to_other - np.where(source, -inside, outside)
    slack = 1.0 if len(set(step)) == 1 else 1.001  # the length of a step in a given direction has a rounding error
    return twice <= slack * np.maximum(along, width)


def _own_cell(labels: npt.NDArray[np.int_], max_gap: float, step: Spacing) -> tuple[npt.NDArray[np.int64], Floats32]:
    """Return, for each pixel, the id of the nearest cell (-1 in wide background) and the distance from the cell's edge.

    The distance is 0 inside cells and in wide background.
    """
    labels = labels.astype(np.int64)
    if not labels.any():
        return np.full(labels.shape, -1), np.zeros(labels.shape, np.float32)
    free = labels == 0
    nearest = ndimage.distance_transform_edt(free, sampling=step, return_distances=False, return_indices=True)
    owner = labels[tuple(nearest)]
    outside = np.where(free, _edge_distance(lambda s: to_sources(~free, s), step)[0], 0)
    core = outside > max_gap / 2
    if core.any():
        # Opening: pixels that are more than max_gap / 2 away from every cell are the core of the background. Growing
        # the core back by the same distance reaches the cells again, but not the gaps, which have no core.
        background = (_edge_distance(lambda s: to_sources(core, s), step)[0] <= max_gap / 2) & free
        owner[background] = -1
        outside[background] = 0
    return owner, outside


def _edge_distance(measure: Callable[[Spacing], Floats32], step: Spacing) -> tuple[Floats32, Floats32 | np.float32]:
    """Shorten distances between pixel centres by half a step, so that they end at the edge of the target pixel.

    Parameters
    ----------
    measure
        Function that returns the distances, given the steps between pixels.
    step
        Distance between pixels along each axis.

    Returns
    -------
    shorter, along
        Shortened distances, and the length of a step in the direction of each distance.

    Notes
    -----
    If the steps differ between axes, the length of a step depends on the direction. The squared distance is
    ``sum(n_i**2 * s_i**2)`` for n_i pixels along axis i. Adding a constant to all s_i**2 adds this constant times
    ``sum(n_i**2)``, the squared number of steps. A second transform with slightly longer steps therefore yields the
    number of steps, and the distance divided by this number is the length of a step.
    """
    distance = measure(step)
    if len(set(step)) == 1:
        return distance - np.float32(step[0] / 2), np.float32(step[0])
    more = 0.01 * min(step) ** 2
    longer = measure(tuple((s * s + more) ** 0.5 for s in step))
    finite = np.isfinite(distance)
    near, far = (np.where(finite, d, 1).astype(float) ** 2 for d in (distance, longer))
    along = np.sqrt(near / np.maximum((far - near) / more, 1)).astype(np.float32)
    return np.where(finite, distance - along / 2, np.float32(np.inf)), along


def _known(target: npt.NDArray[Any], labels: Array, region: Array | None, unknown: float = IGNORE) -> npt.NDArray[Any]:
    """Mark pixels outside the region as unknown, in place."""
    if region is not None:
        target[~_region(labels, region)] = unknown
    return target


def _region(labels: Array, region: Array) -> npt.NDArray[np.bool_]:
    same_shape(labels=labels, region=region)
    known: npt.NDArray[np.bool_] = values(region) != 0
    return known


def _largest_in_cell(distance: Floats32, labels: npt.NDArray[np.int_]) -> Floats32:
    ids, place = np.unique(labels, return_inverse=True)
    largest = np.zeros(len(ids), np.float32)
    np.maximum.at(largest, place.reshape(-1), distance.reshape(-1))
    return largest[place.reshape(labels.shape)]


def _checked_offsets(offsets: Sequence[Sequence[int]] | None, axes: int) -> list[tuple[int, ...]]:
    if offsets is None:
        return [tuple(-int(i == axis) for i in range(axes)) for axis in range(axes)]
    chosen = [tuple(offset) for offset in offsets]
    for offset in chosen:
        if len(offset) != axes or not any(offset) or any(int(o) != o for o in offset):
            raise ImageError(f"{offset} is not an offset of a pair of pixels; expected {axes} integers, not all 0")
    if not chosen:
        raise ImageError("offsets is empty: give one offset per channel, such as (-1, 0)")
    return [tuple(int(o) for o in offset) for offset in chosen]


def _pairs(shift: tuple[int, ...], shape: tuple[int, ...]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return the slices of the pixels whose partner is inside the image, and the slices of the partners."""
    here = tuple(slice(max(0, -s), max(0, n - max(0, s))) for s, n in zip(shift, shape, strict=True))
    there = tuple(slice(max(0, s), max(0, n - max(0, -s))) for s, n in zip(shift, shape, strict=True))
    return here, there
