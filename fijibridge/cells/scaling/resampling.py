"""Downscale and upscale intensities, probabilities and labels by integer factors, and adapt the calibration.

A block of f pixels becomes one pixel at the centre of the block: the pixel size is multiplied by f, and the origin
moves by (f - 1) / 2 old pixels. Upscaling reverses this; given the old shape, it also cuts off excess pixels at the
end::

    >>> import numpy as np
    >>> from fijibridge.image import as_image, origin, pixel_size
    >>> image = as_image(np.arange(35.0).reshape(5, 7), pixel_size=0.5, unit="um")
    >>> small = downscale(image, 3)
    >>> small.shape, pixel_size(small), origin(small)
    ((2, 3), {'y': 1.5, 'x': 1.5}, {'y': 0.5, 'x': 0.5})
    >>> back = upscale(small, 3, shape=image.shape)
    >>> back.shape, pixel_size(back), origin(back)
    ((5, 7), {'y': 0.5, 'x': 0.5}, {'y': 0.0, 'x': 0.0})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage

from fijibridge.errors import ImageError
from fijibridge.image import SPATIAL, ImageT, as_image, origin, pixel_size, values

Factor: TypeAlias = "int | Mapping[str, int] | list[int] | tuple[int, ...]"
Pixels: TypeAlias = "npt.NDArray[Any]"
Work: TypeAlias = "Callable[[Pixels, Sequence[int]], Pixels]"


def downscale(image: ImageT, factor: Factor, method: str = "mean") -> ImageT:
    """Shrink an image by integer factors: each block of pixels becomes one pixel.

    Parameters
    ----------
    image
        Numbers or bool, with axes from ``t c z y x``; the axes of a plain array are the last of these.
    factor
        An integer for both y and x; or a mapping from axes to integers, such as ``{"z": 2, "y": 3, "x": 3}``, in which
        missing axes are not scaled; or a tuple for the last axes, such as ``(2, 3, 3)`` for z, y and x. An axis with
        the factor 1 is not scaled.
    method
        ``"mean"``: for intensities and probabilities; for a mask, the fraction of the block that it covers. A block
        that contains NaN becomes NaN.
        ``"max"``: for masks of thin structures, which stay closed.
        ``"mode"``: for labels and classes, the most frequent value. Among equally frequent values, non-zero ones are
        preferred, which preserves thin cells, and then the smallest.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        Image with ``ceil(n / f)`` pixels along an axis of length n; a partial block at the end is reduced like a full
        one. "max" and "mode" keep the dtype; "mean" returns the type to which numpy promotes the dtype with
        ``float32``: ``float32`` for bool, 8- and 16-bit integers and ``float16``, and ``float64`` for ``float64`` and
        wider integers. The coordinate of a pixel is the centre of its full block, even if the block is partial.

    Raises
    ------
    ImageError
        If a factor is not an integer of at least 1, an axis is missing or cannot be scaled (``c``), or the method does
        not suit the pixels.

    Examples
    --------
    >>> downscale(np.array([[0, 2, 4], [2, 4, 6]], np.uint8), 2)
    array([[2., 5.]], dtype=float32)
    >>> downscale(np.array([[7, 7, 0, 0, 5], [7, 0, 0, 9, 5]]), 2, "mode")
    array([[7, 0, 5]])
    """
    named = as_image(image)
    methods: dict[str, Work] = {"mean": _mean, "max": _max, "mode": _mode}
    work = _of_name(methods, method)
    factors = _factors(named, factor)
    pixels = _numbers(values(named), method, integers=method == "mode")
    result = work(pixels, factors)
    return result if not isinstance(image, xr.DataArray) else _placed(result, named, factors, shrunk=True)


def upscale(image: ImageT, factor: Factor, method: str = "nearest", shape: Sequence[int] | None = None) -> ImageT:
    """Enlarge an image by integer factors, the inverse of :func:`downscale`.

    Parameters
    ----------
    image, factor
        As for :func:`downscale`.
    method
        ``"nearest"``: each pixel becomes a block; keeps the dtype.
        ``"linear"``: interpolates between the centres of blocks, so that a linear ramp stays linear, and is constant
        beyond the outermost centres; returns ``float32`` or ``float64``, as "mean" does.
        ``"labels"``: for label images; gives smoother outlines than blocks, and keeps the dtype and all ids.
    shape
        Shape of the result, along all axes or only the last ones, such as ``(Y, X)``. By default, an axis of n pixels
        gets ``n * f`` pixels.

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``upscale(downscale(a, f), f, shape=a.shape)`` has a's shape, pixel size and origin.

    Raises
    ------
    ImageError
        As for :func:`downscale`, and if `shape` downscaled by `factor` is not the shape of the image.

    Notes
    -----
    "labels" is equivalent to linearly interpolating the mask of each id (one-hot) and choosing the id with the largest
    value: at each new pixel, the ids of the 4 (in 3D 8) surrounding old pixels vote with their linear weights. 0 votes
    like any id, and the nearest old pixel wins a tie. No other id has a weight there, so the cost does not depend on
    the number of ids. In 2D, an id always wins at the centres of its own pixels; an id that is outvoted everywhere,
    such as a single voxel in 3D, is restored as blocks. Interpolating before deciding avoids staircase outlines in
    label images, as in ITK's LabelImageGaussianInterpolateImageFunction, which uses another kernel (Schaerer et al.
    2014, "Generic interpolation of multi-label images", Insight Journal).

    Examples
    --------
    >>> upscale(np.array([[1.0, 3.0]]), {"x": 2}, "linear")
    array([[1. , 1.5, 2.5, 3. ]])
    >>> upscale(np.array([[4, 4, 0], [4, 0, 0]]), 3, "labels", shape=(5, 7))
    array([[4, 4, 4, 4, 4, 4, 0],
           [4, 4, 4, 4, 4, 4, 0],
           [4, 4, 4, 4, 4, 0, 0],
           [4, 4, 4, 4, 0, 0, 0],
           [4, 4, 4, 0, 0, 0, 0]])
    """
    named = as_image(image)
    methods: dict[str, Work] = {
        "nearest": _repeated,
        "linear": _interpolated,
        "labels": _voted,
    }
    work = _of_name(methods, method)
    factors = _factors(named, factor)
    pixels = _numbers(values(named), method, integers=method == "labels")
    crop = tuple(map(slice, _full_shape(named.shape, factors, shape)))
    result = work(pixels, factors)[crop]
    if method == "labels":
        result = _none_lost(result, _repeated(pixels, factors)[crop], pixels)
    return result if not isinstance(image, xr.DataArray) else _placed(result, named, factors, shrunk=False)


def _of_name(methods: dict[str, Work], method: str) -> Work:
    if method not in methods:
        raise ImageError(f"method {method!r} is not known; choose one of {sorted(methods)}")
    return methods[method]


def _numbers(pixels: Pixels, method: str, integers: bool) -> Pixels:
    """Refuse pixels that do not suit the method."""
    kinds = "biu" if integers else "biuf"
    if pixels.dtype.kind not in kinds:
        wanted = "integers or bool (labels, classes, masks)" if integers else "real numbers or bool"
        raise ImageError(f"method {method!r} is for {wanted}; the image has dtype {pixels.dtype}")
    if pixels.size == 0:
        raise ImageError(f"the image is empty, shape {pixels.shape}; expected at least one pixel")
    return pixels


def _factors(image: xr.DataArray, factor: Factor) -> list[int]:
    """Return the factor of each axis of the image."""
    dims = [str(d) for d in image.dims]
    if isinstance(factor, Mapping):
        given = {str(d): f for d, f in factor.items()}
    elif isinstance(factor, list | tuple):
        if not 1 <= len(factor) <= len(dims):
            raise ImageError(f"factor {tuple(factor)} is for {len(factor)} axes, but the image has axes {tuple(dims)}")
        given = dict(zip(dims[-len(factor) :], factor, strict=True))
    else:
        given = {"y": factor, "x": factor}
    _check_factors(given, dims)
    return [int(given.get(d, 1)) for d in dims]


def _check_factors(given: Mapping[str, Any], dims: list[str]) -> None:
    for dim, f in given.items():
        if dim not in dims:
            raise ImageError(f"a factor is given for axis {dim!r}, but the image has the axes {tuple(dims)}")
        if isinstance(f, bool) or not isinstance(f, int | np.integer) or f < 1:
            raise ImageError(f"the factor of axis {dim!r} is {f!r}; expected an integer of at least 1")
        if dim == "c" and f != 1:
            raise ImageError("axis 'c' cannot be scaled: leave it out, or give it the factor 1")


def _full_shape(small: tuple[int, ...], factors: Sequence[int], shape: Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape after upscaling; check that a given shape would be downscaled to the small one."""
    largest = tuple(n * f for n, f in zip(small, factors, strict=True))
    if shape is None:
        return largest
    full = (*largest[: len(small) - len(shape)], *map(int, shape))
    fits = len(full) == len(small) and all(-(-n // f) == s for n, f, s in zip(full, factors, small, strict=True))
    if not fits:
        raise ImageError(
            f"shape {tuple(shape)} downscaled by {tuple(factors)} is not the shape of the image, {small}; expected the "
            f"shape before downscaling, at most {largest}, for all axes or the last ones"
        )
    return full


def _placed(result: Pixels, image: xr.DataArray, factors: Sequence[int], shrunk: bool) -> xr.DataArray:
    """Return the result with the axes of the image, and with scaled pixel sizes and shifted origins."""
    scaled = {str(d): f for d, f in zip(image.dims, factors, strict=True) if f != 1}
    sizes, starts = pixel_size(image), origin(image)
    if shrunk:
        starts = {d: starts[d] + (f - 1) / 2 * sizes[d] for d, f in scaled.items()}
        sizes = {d: sizes[d] * f for d, f in scaled.items()}
    else:
        sizes = {d: sizes[d] / f for d, f in scaled.items()}
        starts = {d: starts[d] - (f - 1) / 2 * sizes[d] for d, f in scaled.items()}
    units = {str(d): str(image.coords[d].attrs["units"]) for d in ("t", *SPATIAL) if d in image.coords}
    coords = {k: v for k, v in image.coords.items() if not scaled.keys() & set(v.dims)}
    plain = xr.DataArray(result, dims=image.dims, coords=coords, attrs=image.attrs, name=image.name)
    return as_image(plain, pixel_size=sizes, origin=starts, unit=units)


def _mean(pixels: Pixels, factors: Sequence[int]) -> Pixels:
    dtype = np.result_type(pixels.dtype, np.float32)
    total = pixels
    for axis, f in enumerate(factors):
        if f != 1:
            total = _along(total, axis, f, np.add, np.dtype(np.float64))
            count = np.minimum(f, pixels.shape[axis] - f * np.arange(total.shape[axis]))
            total /= count.reshape([-1 if a == axis else 1 for a in range(pixels.ndim)])
    return total.astype(dtype)


def _max(pixels: Pixels, factors: Sequence[int]) -> Pixels:
    result = pixels.copy()
    for axis, f in enumerate(factors):
        if f != 1:
            result = _along(result, axis, f, np.maximum, pixels.dtype)
    return result


def _along(pixels: Pixels, axis: int, f: int, join: np.ufunc, dtype: np.dtype[Any]) -> Pixels:
    """Reduce blocks along an axis: join the first pixels of all blocks with the second ones, the third ones, ..."""
    every = [slice(None)] * pixels.ndim
    every[axis] = slice(0, None, f)
    result = pixels[tuple(every)].astype(dtype)
    for start in range(1, min(f, pixels.shape[axis])):
        every[axis] = slice(start, None, f)
        part = pixels[tuple(every)]
        every[axis] = slice(0, part.shape[axis])
        there = tuple(every)
        join(result[there], part, out=result[there])
    return result


def _mode(pixels: Pixels, factors: Sequence[int]) -> Pixels:
    """Return the most frequent value of each block.

    All full blocks have the same size, and so do the partial blocks at the end of each axis. Therefore, all blocks of
    the same size are processed together.
    """
    result = np.empty([-(-n // f) for n, f in zip(pixels.shape, factors, strict=True)], pixels.dtype)
    for part in product(*(_ends(n, f) for n, f in zip(pixels.shape, factors, strict=True))):
        source, target, block = zip(*part, strict=True)
        result[target] = _mode_of_full_blocks(pixels[source], block)
    return result


def _ends(n: int, f: int) -> list[tuple[slice, slice, int]]:
    """Split an axis into full blocks and a partial block; return the old pixels, new pixels and block size of each."""
    blocks = n // f
    parts = [(slice(0, blocks * f), slice(0, blocks), f), (slice(blocks * f, n), slice(blocks, blocks + 1), n % f)]
    return [part for part in parts if part[0].start < part[0].stop]


def _mode_of_full_blocks(pixels: Pixels, block: Sequence[int]) -> Pixels:
    low = pixels
    high = pixels
    for axis, f in enumerate(block):
        low, high = _along(low, axis, f, np.minimum, low.dtype), _along(high, axis, f, np.maximum, low.dtype)
    mixed = low != high  # most blocks have only one value; only in the others are values counted
    split = [size for n, f in zip(pixels.shape, block, strict=True) for size in (n // f, f)]
    blocks = pixels.reshape(split).transpose([*range(0, len(split), 2), *range(1, len(split), 2)])
    low[mixed] = _most_frequent(blocks[mixed].reshape(np.count_nonzero(mixed), int(np.prod(block))))
    return low


def _most_frequent(rows: Pixels) -> Pixels:
    """Return the most frequent value of each row; among equally frequent ones a non-zero value, then the smallest.

    In a sorted row, equal values form a run, and the position of a value minus the start of its run is the number of
    equal values before it. The longest run ends with the largest such number. The numbers are doubled, to add 1 for
    non-zero values; argmax returns the first of equal maxima, which is the smallest value.
    """
    rows.sort(axis=1)
    place = np.arange(rows.shape[1], dtype=np.int32)
    new = np.ones(rows.shape, bool)
    new[:, 1:] = rows[:, 1:] != rows[:, :-1]
    began = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    votes = 2 * (place - began) + (rows != 0)
    best: Pixels = np.take_along_axis(rows, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
    return best


def _repeated(pixels: Pixels, factors: Sequence[int]) -> Pixels:
    result = pixels.copy()
    for axis, f in enumerate(factors):
        if f != 1:
            result = np.repeat(result, f, axis)
    return result


def _interpolated(pixels: Pixels, factors: Sequence[int]) -> Pixels:
    result = pixels.astype(np.result_type(pixels.dtype, np.float32))
    for axis, f in enumerate(factors):
        if f == 1:
            continue
        before, after, weight = _neighbours(result.shape[axis], f)
        weight = weight.astype(result.dtype).reshape([-1 if a == axis else 1 for a in range(result.ndim)])
        first, second = np.take(result, before, axis), np.take(result, after, axis)
        result = first + (second - first) * weight
    return result


def _neighbours(n: int, f: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Return, for each new pixel along an axis, the old pixel before it, the one after it, and the latter's weight."""
    place = (np.arange(n * f) + 0.5) / f - 0.5
    before = np.floor(place).astype(np.intp)
    return np.clip(before, 0, n - 1), np.clip(before + 1, 0, n - 1), place - before


def _voted(pixels: Pixels, factors: Sequence[int]) -> Pixels:
    """Let the old pixels around each new pixel vote.

    New pixels at the same position in their blocks (a phase) have the same neighbours and weights, so each phase is
    processed at once, and only where the neighbourhood has more than one id.
    """
    result = _repeated(pixels, factors)
    axes = [a for a, f in enumerate(factors) if f != 1]
    padded = np.pad(pixels, [(int(f != 1),) * 2 for f in factors], mode="edge")
    reach = [3 if f != 1 else 1 for f in factors]
    mixed = ndimage.maximum_filter(pixels, reach) != ndimage.minimum_filter(pixels, reach)
    for phase in product(*(range(f) for f in factors)):
        offsets = [(phase[a] + 0.5) / factors[a] - 0.5 for a in axes]
        voters = []
        for far in product((False, True), repeat=len(axes)):
            weight = float(np.prod([abs(o) if there else 1 - abs(o) for o, there in zip(offsets, far, strict=True)]))
            shift = {a: int(np.sign(o)) * there for a, o, there in zip(axes, offsets, far, strict=True)}
            voters.append((weight, _shifted(padded, pixels.shape, axes, shift)[mixed]))
        result[tuple(slice(p, None, f) for p, f in zip(phase, factors, strict=True))][mixed] = _winner(voters)
    return result


def _shifted(padded: Pixels, shape: tuple[int, ...], axes: list[int], shift: Mapping[int, int]) -> Pixels:
    return padded[
        tuple(slice(1 + shift[a], 1 + shift[a] + n) if a in axes else slice(None) for a, n in enumerate(shape))
    ]


def _winner(voters: list[tuple[float, Pixels]]) -> Pixels:
    """Return the id with the largest sum of weights; of equal sums, the id with the largest single weight."""
    voters = sorted((v for v in voters if v[0] > 0), key=lambda voter: -voter[0])
    winner = voters[0][1].copy()
    most = np.zeros(winner.shape)
    for _, candidate in voters:
        votes = np.zeros(winner.shape)
        for weight, voter in voters:
            votes += weight * (voter == candidate)
        better = votes > most + 1e-9
        winner[better], most[better] = candidate[better], votes[better]
    return winner


def _none_lost(result: Pixels, nearest: Pixels, pixels: Pixels) -> Pixels:
    """Restore the blocks of ids that have no pixels left; repeat, since this may remove other ids."""
    ids = np.unique(pixels)
    kept = np.empty(0, ids.dtype)
    while (lost := np.setdiff1d(ids, result)).size:
        kept = np.union1d(kept, lost)
        back = np.isin(nearest, kept)
        result[back] = nearest[back]
    return result
