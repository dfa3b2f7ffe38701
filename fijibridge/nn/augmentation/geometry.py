"""Geometry of augmentation: flips, quarter turns, and resampling with one grid."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

_OVERSHOOT = 1.375  # largest factor by which cubic interpolation along one axis exceeds the range of its points


@dataclass(frozen=True)
class Warp:
    """Rotation and scale about the centre of a patch, and a displacement.

    Attributes
    ----------
    angle : float
        Angle of the rotation in the plane of y and x, from x towards y, in radians.
    scale : float
        Magnification.
    shifts : numpy.ndarray or None
        (dims, points ...) displacement in pixels at the points of a coarse grid that extends beyond the patch.
    """

    angle: float
    scale: float
    shifts: npt.NDArray[np.float32] | None


Symmetry: TypeAlias = tuple[Sequence[bool], int]
"""Axes of a patch to mirror, and the number of subsequent quarter turns in its plane."""


def turned(batch: tuple[Tensor, ...], symmetries: Sequence[Symmetry]) -> tuple[Tensor, ...]:
    """Mirror and rotate each patch according to its symmetry; pixels move without interpolation.

    Examples
    --------
    >>> turned((torch.tensor([[[1, 2], [3, 4]]]),), [([False, True], 1)])[0][0]
    tensor([[1, 3],
            [2, 4]])
    """
    # A mirrored and rotated patch is a view: the index of a pixel is a start plus multiples of a stride per axis.
    # Start and strides differ between patches; from them, a single gather moves the pixels of the whole batch.
    patch = batch[0].shape[-len(symmetries[0][0]) :]
    steps, starts = _strides(patch, symmetries)
    device = batch[0].device
    places = torch.from_numpy(starts).to(device).reshape(-1, *[1] * len(patch))
    for axis, along in enumerate(torch.from_numpy(steps).to(device).unbind()):
        sides = [size if other == axis else 1 for other, size in enumerate(patch)]
        places = places + along.reshape(-1, *[1] * len(patch)) * torch.arange(patch[axis], device=device).reshape(sides)
    flat = places.reshape(len(symmetries), 1, -1)

    def picked(part: Tensor) -> Tensor:
        rows = part.reshape(len(part), -1, flat.shape[-1])
        return rows.gather(2, flat.expand(-1, rows.shape[1], -1)).reshape(part.shape)

    return tuple(picked(part) for part in batch)


def _strides(
    patch: Sequence[int], symmetries: Sequence[Symmetry]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the strides along each axis in pixels, (dims, B), and the index of the first pixel, (B,)."""
    numbers = np.arange(math.prod(patch), dtype=np.int64).reshape(patch)
    views = []
    for flips, quarters in symmetries:
        flipped = numbers[tuple(slice(None, None, -1 if flip else 1) for flip in flips)]
        views.append(np.rot90(flipped, quarters, (-2, -1)))
    steps = np.array([[step // numbers.itemsize for step in view.strides] for view in views], np.int64)
    return steps.T.copy(), np.array([view.flat[0] for view in views], np.int64)


def resample(
    batch: tuple[Tensor, Tensor, Tensor], warps: Sequence[Warp | None], heads: Sequence[str] = ()
) -> tuple[Tensor, Tensor, Tensor]:
    """Resample the patches of a batch that have a warp, using the same grid for all arrays.

    Parameters
    ----------
    batch
        x (B, C, ...) float32, y (B, ...) or (B, 1 + E, ...), weight (B, ...).
    warps
        Warp of each patch, or None.
    heads
        Meaning of the channels of y after the class ids: ``"distance"`` is interpolated linearly and multiplied by the
        scale; other channels use the nearest pixel.
    """
    x, y, weight = batch
    chosen = [number for number, warp in enumerate(warps) if warp is not None]
    which = torch.tensor(chosen, device=x.device)
    drawn = [warp for warp in warps if warp is not None]
    taken = [part if len(chosen) == len(part) else part[which] for part in batch]
    places = _places(drawn, x.shape[2:], x.device)  # (N, dims, ...) pixels
    # One call for everything that is interpolated linearly, another for all ids.
    far = [1 + number for number, head in enumerate(heads) if head == "distance"]
    smooth = [taken[0], taken[2].unsqueeze(1).to(x.dtype), *([taken[1][:, far]] if far else [])]
    linear = _linear(torch.cat(smooth, dim=1), places)
    ids = taken[1] if y.ndim == x.ndim else taken[1].unsqueeze(1)
    nearest = _nearest(ids, places)
    channels = x.shape[1]
    if far:
        scales = torch.tensor([warp.scale for warp in drawn], device=x.device, dtype=x.dtype)
        nearest[:, far] = linear[:, channels + 1 :] * scales.reshape(-1, *[1] * (x.ndim - 1))
    out = linear[:, :channels], nearest if y.ndim == x.ndim else nearest[:, 0], linear[:, channels]
    if len(chosen) == len(x):
        return out
    return x.index_copy(0, which, out[0]), y.index_copy(0, which, out[1]), weight.index_copy(0, which, out[2])


def _places(warps: Sequence[Warp], patch: Sequence[int], device: torch.device) -> Tensor:
    """Return the source coordinates of each pixel; those beyond the border of the patch are mirrored at it."""
    dims = len(patch)
    matrices = np.stack([_matrix(warp, dims) for warp in warps])  # (N, dims, dims)
    middle = np.array([(n - 1) / 2 for n in patch], np.float32)
    # An upper bound of all coordinates shows how often they must be folded, without reading them from the device.
    bound = np.abs(matrices).max(axis=0) @ middle + middle
    places: Tensor | None = None
    if warps[0].shifts is not None:
        shifts = np.stack([warp.shifts for warp in warps if warp.shifts is not None])
        places = _displacement(torch.from_numpy(shifts).to(device), patch)
        bound += np.abs(shifts).max() * _OVERSHOOT**dims
    # matrix @ (pixel - middle) + middle, as a sum over axes: each term depends on only one coordinate and is broadcast.
    for axis, size in enumerate(patch):
        along = matrices[:, :, axis, None] * (np.arange(size, dtype=np.float32) - middle[axis])
        along = along + middle[:, None] if axis == 0 else along
        sides = [size if other == axis else 1 for other in range(dims)]
        part = torch.from_numpy(along).to(device).reshape(len(warps), dims, *sides)
        places = part if places is None else places + part
    assert places is not None
    return _mirrored(places, patch, bound)


def _mirrored(places: Tensor, patch: Sequence[int], bound: npt.NDArray[np.floating]) -> Tensor:
    """Fold coordinates between -bound and bound at the first and the last pixel."""
    for axis, (size, most) in enumerate(zip(patch, bound, strict=True)):
        last, part = size - 1, places[:, axis]
        if not last:
            part.zero_()
            continue
        for _ in range(math.ceil(float(most) / (2 * last))):  # |x|, then last - ||x| - last|: closer by up to 2 * last
            part.abs_().sub_(last).abs_().neg_().add_(last)
    return places


def _matrix(warp: Warp, dims: int) -> npt.NDArray[np.float32]:
    matrix = np.eye(dims) / warp.scale
    cos, sin = math.cos(warp.angle), math.sin(warp.angle)
    matrix[-2:, -2:] = np.array([[cos, -sin], [sin, cos]]) / warp.scale
    return matrix.astype(np.float32)


def _displacement(shifts: Tensor, patch: Sequence[int]) -> Tensor:
    """Interpolate displacements on a coarse grid (N, dims, points ...) to the pixels of a patch, axis by axis."""
    for size in patch:  # contracts the first axis of points, and appends an axis of pixels
        shifts = torch.tensordot(shifts, _cubic(size, shifts.shape[2], shifts.device), dims=([2], [1]))
    return shifts


@lru_cache(maxsize=64)
def _cubic(size: int, points: int, device: torch.device) -> Tensor:
    """Return the weight of each point for each pixel, (size, points); the outermost points lie outside the patch."""
    fine = math.ceil(size / (points - 3)) * points
    each = torch.eye(points).reshape(1, points, points, 1)
    weights = functional.interpolate(each, size=(fine, 1), mode="bicubic", align_corners=False)[0, :, :, 0]
    return weights.narrow(1, (fine - size) // 2, size).T.contiguous().to(device)


def _linear(values: Tensor, places: Tensor) -> Tensor:
    grid = torch.empty_like(places)
    for axis, size in enumerate(places.shape[2:]):  # grid_sample expects x first, and coordinates from -1 to 1
        torch.mul(places[:, axis], 2 / max(size - 1, 1), out=grid[:, -1 - axis])
    grid = (grid - 1).movedim(1, -1)
    return functional.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _nearest(ids: Tensor, places: Tensor) -> Tensor:
    """Select the nearest pixels of (N, E, ...) by index, which is exact for ids of any size."""
    flat = places[:, 0].round().long()
    for axis, size in enumerate(ids.shape[3:], start=1):
        flat.mul_(size).add_(places[:, axis].round().long())
    flat = flat.reshape(len(ids), 1, -1).expand(-1, ids.shape[1], -1)
    return ids.reshape(*ids.shape[:2], -1).gather(2, flat).reshape(ids.shape)
