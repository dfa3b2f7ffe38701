"""Samples: images with targets, in memory or on disk, from which patches are cut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import EllipsisType
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError

Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]
Slices: TypeAlias = tuple[slice, ...]
Cut: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[Any], npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Sample:
    """Image with its target.

    Arrays may be numpy arrays, memory maps, or dask or zarr arrays. From an array on disk, only the pixels of a patch
    are read when it is cut.

    Attributes
    ----------
    image : array
        (C, Y, X) or (C, Z, Y, X).
    target : array
        Class ids (Y, X) or (Z, Y, X), where 255 means unknown. With E further heads, (1 + E, ...): the class ids, then
        the targets of these heads.
    weight : array or None
        Weight of each pixel; by default 1.
    name : str
        Name used in messages.
    centres : array or None
        (Y, X) or (Z, Y, X) factor for the sampling density (the relative probability that a pixel is the centre of a
        patch): a mask of a region, or the result of :func:`fijibridge.weight_errors`. By default 1.
    scaled : callable or None
        Function that normalises the intensities of a cut piece (C, ...); None if the image is already normalised.
    """

    image: Any
    target: Any
    weight: Any = None
    name: str = ""
    centres: Any = None
    scaled: Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Sides of the image in pixels."""
        return tuple(int(n) for n in self.image.shape[1:])

    @property
    def extra(self) -> int:
        """Number of channels of the target after the class ids; 0 if it has no channels."""
        return int(self.target.shape[0]) - 1 if self.target.ndim == self.image.ndim else 0

    def classes(self, where: Slices | tuple[EllipsisType] = (...,)) -> npt.NDArray[Any]:
        """Read the class ids of a part, or of the whole image."""
        return np.asarray(self.target[(0, *where) if self.extra else where])

    def weights(self, where: Slices) -> npt.NDArray[Any] | None:
        """Read the weights of a part; None if the sample has no weights."""
        return None if self.weight is None else np.asarray(self.weight[where])

    def cut(self, corner: Sequence[int], patch: Sequence[int]) -> Cut:
        """Cut a patch: image (C, ...), target (...) or (1 + E, ...), and weight (...).

        Beyond the border, the image is extended by mirroring, and the truth is unknown.
        """
        where = tuple(slice(c, min(c + p, n)) for c, p, n in zip(corner, patch, self.shape, strict=True))
        piece = np.asarray(self.image[(slice(None), *where)])
        x = np.asarray(piece if self.scaled is None else self.scaled(piece), np.float32)
        y = np.asarray(self.target[(slice(None), *where)] if self.extra else self.target[where])
        weights = self.weights(where)
        weight = np.ones(x.shape[1:], np.float32) if weights is None else np.asarray(weights, np.float32)
        short = [(0, p - n) for p, n in zip(patch, x.shape[1:], strict=True)]
        if not any(after for _, after in short):
            return x, y, weight
        beyond = [(0, 0), *short] if self.extra else short
        # Pad class ids with 255 (unknown), and the channels after them with 0.
        y = np.pad(y, beyond, constant_values=0 if self.extra else IGNORE)
        if self.extra:
            known = np.pad(np.ones(weight.shape, bool), short)
            y[0][~known] = IGNORE
        return np.pad(x, [(0, 0), *short], mode="symmetric"), y, np.pad(weight, short)


def check_samples(samples: Sequence[Sample], dims: int) -> None:
    """Refuse samples whose images, targets and weights do not match.

    Raises
    ------
    TrainingError
        If shapes differ; the message names the image.
    """
    if not isinstance(samples, Sequence) or not all(isinstance(sample, Sample) for sample in samples):
        odd = samples if not isinstance(samples, Sequence) else next(s for s in samples if not isinstance(s, Sample))
        raise TrainingError(
            f"got a {type(odd).__name__}; expected a list of fijibridge.Sample(image, target) with images "
            "(C, Y, X) and targets (Y, X) of class ids"
        )
    if not samples:
        raise TrainingError("got no image to cut patches from")
    for sample in samples:
        name = sample.name or "a sample"
        target = tuple(sample.target.shape)
        spatial = target[1:] if sample.target.ndim == dims + 1 else target
        if len(sample.image.shape) != dims + 1 or spatial != sample.shape:
            raise TrainingError(
                f"{name}: image {tuple(sample.image.shape)} and target {target} do not fit a patch with {dims} axes; "
                "expected an image (C, ...) and a target (...) with the same sides"
            )
        if sample.weight is not None and tuple(sample.weight.shape) != sample.shape:
            raise TrainingError(
                f"{name}: weight has shape {tuple(sample.weight.shape)}; expected the image's shape, {spatial}"
            )
        if sample.centres is not None and tuple(sample.centres.shape) != sample.shape:
            raise TrainingError(
                f"{name}: centres has shape {tuple(sample.centres.shape)}; expected the image's shape, {spatial}"
            )
    for what, counts in (
        ("channels", {int(s.image.shape[0]) for s in samples}),
        ("target channels", {s.extra for s in samples}),
    ):
        if len(counts) > 1:
            raise TrainingError(f"the images have different numbers of {what}: {sorted(counts)}")
