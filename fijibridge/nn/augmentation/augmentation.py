"""Augmentation: random transformations, drawn once per patch and applied equally to image, target and weight."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fijibridge.errors import TrainingError
from fijibridge.messages import did_you_mean
from fijibridge.nn.augmentation.geometry import Warp, resample, turned
from fijibridge.nn.augmentation.intensity import Look, changed

Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]
Custom: TypeAlias = Callable[[Tensor, Tensor, Tensor, np.random.Generator], Batch]


@dataclass(frozen=True)
class Augmentation:
    """Random transformations of patches, drawn once for image, target and weight together.

    Call it with a batch (x, y, weight) on any device, and a random generator for each patch. The result for a patch
    does not depend on its batch.

    Attributes
    ----------
    flip : bool
        Mirror each axis with probability 1/2.
    quarter_turns : bool
        Rotate in the plane by a random multiple of 90 degrees, or of 180 degrees for patches that are not square.
    rotation : float
        Largest angle of rotation in the plane in either direction, degrees.
    scale : float
        Largest relative change of size; 0.2 means a factor from 1 / 1.2 to 1.2.
    elastic : float
        Standard deviation of the displacement of each point of a coarse grid, in pixels.
    smoothness : float
        Distance between points of that grid, in pixels; displacements are interpolated cubically between them.
    share : float
        Fraction of patches that are rotated, scaled and deformed, from 0 to 1.
    brightness : float
        Standard deviation of a constant added to the normalised image, whose range is about 1.
    contrast : float
        Largest relative change of the distance from the mean; 0.2 means a factor from 1 / 1.2 to 1.2.
    gamma : float
        Largest relative change of the exponent of a gamma correction; 0.2 means from 1 / 1.2 to 1.2.
    blur : float
        Largest standard deviation of a Gaussian blur, in pixels; half of the patches stay sharp.
    noise : float
        Largest standard deviation of Gaussian noise.
    anisotropy : float
        Voxel depth divided by pixel size. Along z, displacements and the spacing of their grid are divided by it.
    heads : tuple of str
        Meaning of the channels of y after the class ids: ``"distance"``, ``"affinity"`` (cell ids).
    custom : callable or None
        Further transformation of a single patch: a function of (x, y, weight, rng), with x (C, ...), that returns
        (x, y, weight).

    Raises
    ------
    TrainingError
        If a strength is out of range, or `elastic` would deform the distances of a head.

    Notes
    -----
    Flips and quarter turns move pixels without changing values. Rotation, scale and displacement are combined into one
    grid, with which a patch is resampled once: image, weight and distances by linear interpolation, class and cell ids
    by the nearest pixel. Beyond the patch, all arrays are mirrored at its border. Distances are multiplied by the
    scale.

    Examples
    --------
    >>> x = torch.arange(4.0).reshape(1, 1, 2, 2)
    >>> rng = np.random.default_rng(0)
    >>> x2, y2, _ = Augmentation.symmetries()((x, x[0].long(), x[0]), [rng])
    >>> torch.equal(x2[0].long(), y2)
    True
    """

    flip: bool = True
    quarter_turns: bool = True
    rotation: float = 20.0
    scale: float = 0.15
    elastic: float = 2.0
    smoothness: float = 24.0
    share: float = 0.75
    brightness: float = 0.1
    contrast: float = 0.2
    gamma: float = 0.2
    blur: float = 0.0
    noise: float = 0.03
    anisotropy: float = 1.0
    heads: tuple[str, ...] = ()
    custom: Custom | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type == "float" and not (math.isfinite(value) and value >= 0):
                raise TrainingError(f"augmentation: {field.name} is {value}; expected a finite number of 0 or more")
        if self.share > 1 or self.smoothness < 1 or self.anisotropy == 0:
            raise TrainingError(
                "augmentation: expected a share up to 1, a smoothness of 1 px or more, and an anisotropy above 0"
            )
        if self.elastic and "distance" in self.heads:
            raise TrainingError(
                "augmentation: distances to a cell's border cannot be deformed; set elastic=0, which keeps rotation "
                "and scale, or omit the head 'distance'"
            )

    @classmethod
    def none(cls) -> Augmentation:
        """Return an augmentation that changes nothing."""
        return cls(**{**cls._still(), "flip": False, "quarter_turns": False})

    @classmethod
    def symmetries(cls) -> Augmentation:
        """Return an augmentation with only flips and quarter turns, which do not change values."""
        return cls(**cls._still())

    @classmethod
    def of(cls, asked: bool | Mapping[str, Any] | Augmentation, heads: Sequence[str] = ()) -> Augmentation:
        """Return the augmentation described by the setting ``augment``.

        Parameters
        ----------
        asked
            True for the default strengths, without elastic deformation if a head learns distances; False for no
            augmentation; a mapping of fields by name; or an augmentation, which is returned unchanged.
        heads
            Meaning of the channels of the target after the class ids.

        Raises
        ------
        TrainingError
            If a field is unknown.
        """
        if isinstance(asked, Augmentation):
            return asked
        if isinstance(asked, Mapping):
            known = [field.name for field in fields(cls)]
            unknown = next((name for name in asked if name not in known), None)
            if unknown is not None:
                guess = did_you_mean(unknown, known) or f"expected one of {', '.join(known)}"
                raise TrainingError(f"augment: there is no field {unknown!r}; {guess}")
            return cls(**{"heads": tuple(heads), **asked})
        if not asked:
            return replace(cls.none(), heads=tuple(heads))
        return cls(elastic=0.0, heads=tuple(heads)) if "distance" in heads else cls(heads=tuple(heads))

    @classmethod
    def _still(cls) -> dict[str, Any]:
        moving = ("rotation", "scale", "elastic", "brightness", "contrast", "gamma", "blur", "noise")
        return dict.fromkeys(moving, 0.0)

    @property
    def warps(self) -> bool:
        """Whether pixels are resampled."""
        return self.share > 0 and any((self.rotation, self.scale, self.elastic))

    def __call__(self, batch: Batch, rngs: Sequence[np.random.Generator]) -> Batch:
        """Transform a batch, each patch with its own random generator.

        Raises
        ------
        TrainingError
            If the number of heads differs from the number of channels of y after the class ids.
        """
        x, y, weight = batch
        extra = y.shape[1] - 1 if y.ndim == x.ndim else 0
        if extra != len(self.heads):
            raise TrainingError(f"y has {extra} channels after the class ids, but heads is {list(self.heads)}")
        draws = [self._draw(rng, x.shape[2:]) for rng in rngs]
        if self.flip or self.quarter_turns:
            x, y, weight = turned((x, y, weight), [draw[0] for draw in draws])
        warps = [draw[1] for draw in draws]
        if any(warp is not None for warp in warps):
            x, y, weight = resample((x, y, weight), warps, self.heads)
        if any((self.brightness, self.contrast, self.gamma, self.blur, self.noise)):
            x = changed(x, [draw[2] for draw in draws])
        if self.custom is not None:
            parts = [self._custom(*patch) for patch in zip(x, y, weight, rngs, strict=True)]
            x, y, weight = (torch.stack(list(part)) for part in zip(*parts, strict=True))
        return x, y, weight

    def _draw(self, rng: np.random.Generator, patch: Sequence[int]) -> tuple[tuple[list[bool], int], Warp | None, Look]:
        dims = len(patch)
        flips = [self.flip and bool(rng.integers(2)) for _ in range(dims)]
        quarters = int(rng.integers(4)) if self.quarter_turns else 0
        if patch[-1] != patch[-2]:
            quarters -= quarters % 2  # a quarter turn would change the shape
        warp = self._warp(rng, patch) if self.warps and rng.random() < self.share else None
        look = Look(
            shift=float(rng.normal(0, self.brightness)), contrast=_factor(rng, self.contrast),
            gamma=_factor(rng, self.gamma), blur=float(max(rng.uniform(-self.blur, self.blur), 0)),
            noise=float(rng.uniform(0, self.noise)), seed=int(rng.integers(2**62)),
        )  # fmt: skip
        return (flips, quarters), warp, look

    def _warp(self, rng: np.random.Generator, patch: Sequence[int]) -> Warp:
        angle = math.radians(rng.uniform(-self.rotation, self.rotation))
        scale = _factor(rng, self.scale)
        spacing = [self.smoothness / (self.anisotropy if len(patch) - axis == 3 else 1) for axis in range(len(patch))]
        points = [math.ceil(n / max(step, 1)) + 3 for n, step in zip(patch, spacing, strict=True)]
        shifts: npt.NDArray[np.float32] | None = None
        if self.elastic:
            shifts = rng.normal(0, self.elastic, (len(patch), *points)).astype(np.float32)
            if len(patch) == 3:
                shifts[0] /= self.anisotropy
        return Warp(angle, scale, shifts)

    def _custom(self, x: Tensor, y: Tensor, weight: Tensor, rng: np.random.Generator) -> Batch:
        assert self.custom is not None
        given = self.custom(x, y, weight, rng)
        shapes = [tuple(t.shape) for t in (x, y, weight)]
        if len(given) != 3 or [tuple(t.shape) for t in given] != shapes:
            raise TrainingError(
                f"the custom augmentation returned {[tuple(getattr(t, 'shape', ())) for t in given]}; expected x, y "
                f"and weight of unchanged shapes, {shapes}"
            )
        return given


def _factor(rng: np.random.Generator, strength: float) -> float:
    return float(math.exp(rng.uniform(-1, 1) * math.log1p(strength)))
