"""Alignment of image, target and weight, checked at the start of each training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation.augmentation import Augmentation, Batch

_PATCHES = 8
_OFFSET = 256  # added to positions, so that none equals the class id for unknown truth
_CLEARLY = 1.5  # factor by which a transformed image must explain more variance


def check_augmentation(augmentation: Augmentation, patch: Sequence[int], seed: int = 0) -> None:
    """Transform pixel coordinates in place of image, target and weight, and check that the three results agree.

    Parameters
    ----------
    augmentation
        The augmentation; only its geometry is checked, without changes of intensity.
    patch
        Sides of a patch, pixels.
    seed
        Seed of the random transformations.

    Raises
    ------
    TrainingError
        If image, target and weight are moved differently.
    """
    rngs = [np.random.default_rng((seed, number)) for number in range(_PATCHES)]
    still = dict.fromkeys(("brightness", "contrast", "gamma", "blur", "noise"), 0.0)
    geometry = replace(augmentation, custom=None, heads=(), **still)  # type: ignore[arg-type]
    axes = [torch.arange(n, dtype=torch.float32) for n in patch]
    where = torch.stack(torch.meshgrid(*axes, indexing="ij"))  # (dims, ...)
    numbers = torch.arange(where[0].numel()).reshape(where[0].shape) + _OFFSET
    x = where.expand(_PATCHES, *where.shape)
    y = numbers.expand(_PATCHES, *numbers.shape)
    x, y, weight = geometry((x, y, x[:, 0]), rngs)
    y = y - _OFFSET
    for axis in reversed(range(len(patch))):
        off = (x[:, axis] - y % patch[axis]).abs().max()
        if off > 0.51:
            raise TrainingError(f"augmentation moves image and target apart by {float(off):.1f} px along axis {axis}")
        y = y // patch[axis]
    if not torch.allclose(weight, x[:, 0], atol=1e-2):
        raise TrainingError("augmentation moves image and weight apart")
    if augmentation.custom is not None:
        _check_custom(augmentation, patch, rngs)


def _check_custom(augmentation: Augmentation, patch: Sequence[int], rngs: Sequence[np.random.Generator]) -> None:
    """Transform one pattern in place of image, target and weight; intensities may change, but positions must agree."""
    own = replace(Augmentation.none(), custom=augmentation.custom)
    noise = torch.randn(_PATCHES, 1, *patch, generator=torch.Generator().manual_seed(0))
    pattern = (_smoothed(noise) > 0).long()[:, 0]
    x, y, weight = own((pattern[:, None].float(), pattern, pattern.float()), rngs)
    for name, other in (("image", x[:, 0]), ("weight", weight)):
        shared = [_explained(o[None, None], t[None]) for o, t in zip(other, y, strict=True) if bool((t == 1).any())]
        varied = [float(o.std()) > 0 for o, t in zip(other, y, strict=True) if bool((t == 1).any())]
        if any(v and s < 0.1 for s, v in zip(shared, varied, strict=True)):
            raise TrainingError(
                f"the custom augmentation moves {name} and target apart: it must move the pixels of x, y and weight "
                "equally"
            )


def check_batches(batches: Iterable[Batch], n_classes: int | None = None) -> None:
    """Check the values and the alignment of a few batches from any source.

    Parameters
    ----------
    batches
        A few batches (x, y, weight).
    n_classes
        Number of classes of the network; None if unknown.

    Raises
    ------
    TrainingError
        If x or weight has an invalid value, a class id is invalid, or a mirrored or rotated x explains y clearly better
        than x itself.

    Notes
    -----
    A linear regression on x and its smoothed and local-contrast images predicts "y is not the most frequent class" for
    the pixels whose truth is known. Targets count as misaligned if, in every batch, the explained variance (R²) of a
    mirrored or rotated x is more than 1.5 times that of x itself.
    """
    verdicts: list[str | None] = []
    for x, y, weight in batches:
        classes = (y[:, 0] if y.ndim == x.ndim else y).long()
        _check_numbers(x, classes, weight, n_classes)
        verdicts.append(_better(x, classes))
    if verdicts and all(verdict is not None for verdict in verdicts):
        raise TrainingError(
            f"the targets fit the images better if the images are {verdicts[0]}: images and targets were not "
            "transformed equally. Look at one pair: the membranes in image and target must coincide"
        )


def _check_numbers(x: Tensor, classes: Tensor, weight: Tensor, n_classes: int | None) -> None:
    if not torch.isfinite(x).all():
        raise TrainingError("x of a batch contains NaN or infinite values")
    if not (torch.isfinite(weight).all() and (weight >= 0).all()):
        raise TrainingError("weight of a batch contains NaN, infinite or negative values")
    found = [int(n) for n in torch.unique(classes)]
    wrong = [n for n in found if n != IGNORE and (n < 0 or (n_classes is not None and n >= n_classes))]
    if wrong:
        raise TrainingError(
            f"y of a batch contains the class ids {found[:6]}; expected 0 to {(n_classes or 2) - 1}, or 255"
        )


def _better(x: Tensor, classes: Tensor) -> str | None:
    """Return the transformation of x that fits the targets clearly better than x itself; None if there is none."""
    features = _features(x)
    as_is = _explained(features, classes)
    others = {name: _explained(moved, classes) for name, moved in _moved(features)}
    if not others:
        return None
    name = max(others, key=lambda n: others[n])
    clearly = others[name] > max(_CLEARLY * as_is, as_is + 0.02)
    return name if clearly else None


def _moved(features: Tensor) -> Iterator[tuple[str, Tensor]]:
    yield "mirrored in x", features.flip(-1)
    yield "mirrored in y", features.flip(-2)
    yield "turned by 180 degrees", features.flip(-1, -2)
    if features.ndim == 5:
        yield "mirrored in z", features.flip(-3)
    if features.shape[-1] == features.shape[-2]:
        yield "turned by 90 degrees", torch.rot90(features, 1, (-2, -1))
        yield "turned by 270 degrees", torch.rot90(features, 3, (-2, -1))
        yield "transposed", features.transpose(-1, -2)
        yield "transposed and turned", torch.rot90(features, 2, (-2, -1)).transpose(-1, -2)


def _features(x: Tensor) -> Tensor:
    smooth = _smoothed(x)
    return torch.cat([x, smooth, (x - smooth).abs(), _smoothed((x - smooth) ** 2)], dim=1)


def _smoothed(x: Tensor) -> Tensor:
    pool = functional.avg_pool2d if x.ndim == 4 else functional.avg_pool3d
    return pool(x, 5, 1, 2, count_include_pad=False) if min(x.shape[2:]) >= 5 else x


def _explained(features: Tensor, classes: Tensor) -> float:
    """Return R² of a linear regression of "is not the most frequent class" on features (B, F, ...)."""
    known = classes != IGNORE
    target = classes[known]
    if target.numel() < 2 * features.shape[1] or bool((target == target[0]).all()):
        return 0.0
    wanted = (target != target.mode().values).double()
    given = features.movedim(1, -1)[known].double()  # (pixels, F)
    given = given - given.mean(0)
    wanted = wanted - wanted.mean()
    # Normal equations, with a small ridge term because features may be identical.
    covariance = given.T @ given + 1e-6 * len(given) * torch.eye(given.shape[1], dtype=given.dtype)
    weights = torch.linalg.solve(covariance, given.T @ wanted)
    left = wanted - given @ weights
    return max(1 - float(left.square().sum() / wanted.square().sum()), 0.0)
