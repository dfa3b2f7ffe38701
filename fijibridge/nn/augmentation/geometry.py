"""Where the pixels of a transformed patch come from."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Warp:
    """Rotation and scale about the middle of a patch, and a displacement.

    Attributes
    ----------
    angle : float
        In the plane of y and x, radians, from x to y.
    scale : float
        What is made so many times as large.
    shifts : numpy.ndarray or None
        (dims, points ...) pixels, of a coarse grid that reaches over the patch.
    """

    angle: float
    scale: float
    shifts: npt.NDArray[np.float32] | None


def turned(patch: Tensor, symmetry: tuple[Sequence[bool], int]) -> Tensor:
    """Mirror the last axes of a patch where told, and turn its plane by quarters; nothing is resampled.

    Examples
    --------
    >>> turned(torch.tensor([[1, 2], [3, 4]]), ([False, True], 1))
    tensor([[1, 3],
            [2, 4]])
    """
    flips, quarters = symmetry
    axes = [axis for axis, flip in enumerate(flips, start=patch.ndim - len(flips)) if flip]
    flipped = patch.flip(axes) if axes else patch
    return torch.rot90(flipped, quarters, (-2, -1)) if quarters % 4 else flipped


def resample(
    batch: tuple[Tensor, Tensor, Tensor], warps: Sequence[Warp | None], heads: Sequence[str] = ()
) -> tuple[Tensor, Tensor, Tensor]:
    """Resample those patches of a batch that have a warp, once and by one grid.

    Parameters
    ----------
    batch
        x (B, C, ...) float32, y (B, ...) or (B, 1 + E, ...), weight (B, ...).
    warps
        For each patch.
    heads
        What the further channels of y are: ``"distance"`` linearly and times the scale, others by the nearest.
    """
    x, y, weight = batch
    chosen = [number for number, warp in enumerate(warps) if warp is not None]
    which = torch.tensor(chosen, device=x.device)
    drawn = [warp for warp in warps if warp is not None]
    places = _places(drawn, x.shape[2:], x.device)  # (N, dims, ...) pixels
    far = [1 + number for number, head in enumerate(heads) if head == "distance"]
    smooth = [x[which], weight[which].unsqueeze(1).to(x.dtype), *([y[which][:, far]] if far else [])]
    linear = _linear(torch.cat(smooth, dim=1), places)
    ids = y[which] if y.ndim == x.ndim else y[which].unsqueeze(1)
    nearest = _nearest(ids, places)
    channels = x.shape[1]
    if far:
        scales = torch.tensor([warp.scale for warp in drawn], device=x.device, dtype=x.dtype)
        nearest[:, far] = linear[:, channels + 1 :] * scales.reshape(-1, *[1] * (x.ndim - 1))
    out = x.clone(), y.clone(), weight.clone()
    out[0][which] = linear[:, :channels]
    out[1][which] = nearest if y.ndim == x.ndim else nearest[:, 0]
    out[2][which] = linear[:, channels]
    return out


def _places(warps: Sequence[Warp], patch: Sequence[int], device: torch.device) -> Tensor:
    """Return from which pixel coordinates each pixel comes, inside of the patch: mirrored at its border."""
    dims = len(patch)
    middle = torch.tensor([(n - 1) / 2 for n in patch], device=device).reshape(-1, *[1] * dims)
    axes = [torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2 for n in patch]
    around = torch.stack(torch.meshgrid(*axes, indexing="ij")).reshape(dims, -1)  # (dims, pixels)
    matrices = torch.from_numpy(np.stack([_matrix(warp, dims) for warp in warps])).to(device)
    places = (matrices @ around).reshape(-1, dims, *patch) + middle
    if warps[0].shifts is not None:
        places = places + _displacement(warps, patch, device)
    last = torch.tensor([n - 1 for n in patch], device=device).reshape(-1, *[1] * dims)
    period = (2 * last).clamp(min=1)
    places = places.remainder(period)
    return torch.minimum(places, period - places).clamp(min=0).minimum(last.to(places.dtype))


def _matrix(warp: Warp, dims: int) -> npt.NDArray[np.float32]:
    matrix = np.eye(dims) / warp.scale
    cos, sin = math.cos(warp.angle), math.sin(warp.angle)
    matrix[-2:, -2:] = np.array([[cos, -sin], [sin, cos]]) / warp.scale
    return matrix.astype(np.float32)


def _displacement(warps: Sequence[Warp], patch: Sequence[int], device: torch.device) -> Tensor:
    """Interpolate the coarse grid, whose outermost points lie outside of the patch."""
    shifts = torch.from_numpy(np.stack([warp.shifts for warp in warps if warp.shifts is not None])).to(device)
    inner = [n - 3 for n in shifts.shape[2:]]
    fine = [math.ceil(size / count) * (count + 3) for size, count in zip(patch, inner, strict=True)]
    mode = "bicubic" if len(patch) == 2 else "trilinear"
    smooth = functional.interpolate(shifts, size=fine, mode=mode, align_corners=False)
    for axis, (size, whole) in enumerate(zip(patch, fine, strict=True), start=2):
        smooth = smooth.narrow(axis, (whole - size) // 2, size)
    return smooth


def _linear(values: Tensor, places: Tensor) -> Tensor:
    sizes = torch.tensor([max(n - 1, 1) for n in places.shape[2:]], device=places.device)
    grid = 2 * places / sizes.reshape(-1, *[1] * (places.ndim - 2)) - 1
    grid = grid.movedim(1, -1).flip(-1)  # x first
    return functional.grid_sample(values, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _nearest(ids: Tensor, places: Tensor) -> Tensor:
    """Pick the nearest pixels of (N, E, ...) by their number: exact for ids of any size."""
    flat = torch.zeros(places.shape[:1] + places.shape[2:], dtype=torch.long, device=places.device)
    for axis, size in enumerate(ids.shape[2:]):
        flat = flat * size + places[:, axis].round().long()
    flat = flat.reshape(len(ids), 1, -1).expand(-1, ids.shape[1], -1)
    return ids.reshape(*ids.shape[:2], -1).gather(2, flat).reshape(ids.shape)
