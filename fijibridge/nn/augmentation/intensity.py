"""Intensity changes of augmentation: blur, gamma, contrast, brightness and noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class Look:
    """Values drawn for one patch (see :class:`fijibridge.Augmentation`); factor 1 and value 0 have no effect."""

    shift: float
    contrast: float
    gamma: float
    blur: float
    noise: float
    seed: int


def changed(x: Tensor, looks: Sequence[Look]) -> Tensor:
    """Apply blur, gamma, contrast, brightness and noise, in this order, to a batch (B, C, ...)."""
    x = x.clone()
    for number, look in enumerate(looks):
        if look.blur > 0.05:  # a narrower Gaussian is a single pixel
            x[number] = _blurred(x[number], look.blur)
    axes = tuple(range(2, x.ndim))
    if any(look.gamma != 1 for look in looks):
        gamma = _each([look.gamma for look in looks], x)
        raised = x.clamp(min=1e-6).log_().mul_(gamma).exp_()  # takes half the time of a power
        x = torch.where(x > 0, raised, x)  # intensities below the low percentile are kept
    contrast, shift = _each([look.contrast for look in looks], x), _each([look.shift for look in looks], x)
    if any(look.contrast != 1 for look in looks):
        shift = shift + x.mean(axes, keepdim=True, dtype=torch.float64).to(x.dtype) * (1 - contrast)
    x = torch.addcmul(shift, x, contrast)
    if any(look.noise for look in looks):
        x.addcmul_(_each([look.noise for look in looks], x), _noise(x, looks))
    return x


def _noise(x: Tensor, looks: Sequence[Look]) -> Tensor:
    """Return normal noise from the seed of each patch, so that it does not depend on the batch."""
    noise = torch.empty_like(x)
    for patch, look in zip(noise.unbind(), looks, strict=True):
        rng = torch.Generator(x.device).manual_seed(look.seed)
        torch.randn(patch.shape, generator=rng, device=x.device, out=patch)
    return noise


def _each(numbers: Sequence[float], x: Tensor) -> Tensor:
    return torch.tensor(numbers, dtype=x.dtype, device=x.device).reshape(-1, *[1] * (x.ndim - 1))


def _blurred(patch: Tensor, sigma: float) -> Tensor:
    """Blur a patch (C, ...) axis by axis, as if mirrored at its border."""
    reach = math.ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1, device=patch.device, dtype=patch.dtype)
    kernel = torch.exp(-0.5 * (steps / sigma) ** 2)
    kernel = (kernel / kernel.sum()).reshape(1, 1, -1)
    for axis in range(1, patch.ndim):
        if patch.shape[axis] <= reach:
            continue
        lines = patch.movedim(axis, -1)
        flat = functional.pad(lines.reshape(-1, 1, lines.shape[-1]), (reach, reach), mode="reflect")
        patch = functional.conv1d(flat, kernel).reshape(lines.shape).movedim(-1, axis)
    return patch
