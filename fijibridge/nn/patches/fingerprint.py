"""Fingerprints of samples and descriptions of samplers, for the record of a run."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fijibridge.arrays import is_mapped, some_parts
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.patches.chunk_cache import CachedArray
from fijibridge.nn.patches.sample import Sample

if TYPE_CHECKING:
    from fijibridge.nn.patches.sampler import PatchSampler

_PARTS = 64  # number of parts of an array on disk that are read
_SIDE = 32  # side of the piece whose normalised intensities are compared, pixels


def plain(value: Any) -> Any:
    """Return a value in JSON-ready form; a callable becomes its module and name, any other object those of its type.

    Examples
    --------
    >>> import math
    >>> plain({"rotation": 20.0, "heads": ("distance",), "custom": math.hypot})
    {'rotation': 20.0, 'heads': ['distance'], 'custom': 'math.hypot'}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"


def described(sampler: PatchSampler) -> dict[str, Any]:
    """Return the parameters of a sampler by name."""
    return {
        "patch": list(sampler.patch), "batch": sampler.batch, "batches": sampler.batches, "seed": sampler.seed,
        "sampling": sampler.sampling, "stride": None if sampler.grid is None else list(sampler.grid.stride),
        "require": sampler.require, "membrane": sampler.membrane, "fixed": sampler.fixed,
        "augmentation": plain(vars(sampler.augmentation)),
    }  # fmt: skip


def fingerprint_of(samples: Sequence[Sample]) -> str:
    """Return a checksum of the samples, which shows whether a resumed run has the same data as when it began.

    Notes
    -----
    Only some parts of an array on disk are read, spread over the whole array.
    """
    check = 0
    for sample in samples:
        for array in (sample.image, sample.target, sample.weight, sample.centres):
            for piece in () if array is None else _pieces(array):
                check = zlib.crc32(f"{piece.shape} {piece.dtype}".encode(), check)
                check = zlib.crc32(np.ascontiguousarray(piece).data, check)
        if sample.scaled is not None:  # not normalised yet: include a normalised piece
            sides = [min(n, _SIDE) for n in sample.shape]
            corner = [(n - side) // 2 for n, side in zip(sample.shape, sides, strict=True)]
            check = zlib.crc32(sample.cut(corner, sides)[0].tobytes(), check)
    return f"{len(samples)} images, {check:08x}"


def pixel_fingerprint(samples: Sequence[Sample], normalisation: Normalisation) -> str:
    """Return a checksum of all pixels and their normalisation, which shows whether a resumed run has the same data.

    :func:`fingerprint_of` also handles arrays on disk, but does not replace this function, because records of version
    0.1 contain both.
    """
    check = zlib.crc32(repr(normalisation).encode())
    for sample in samples:
        for array in (sample.image, sample.target, sample.weight):
            if array is not None:
                check = zlib.crc32(np.ascontiguousarray(array).tobytes(), check)
    return f"{len(samples)} images, {check:08x}"


def _pieces(array: Any) -> Iterator[npt.NDArray[Any]]:
    """Yield an array in memory as a whole, or parts of an array on disk."""
    source = array.array if isinstance(array, CachedArray) else array
    if isinstance(source, np.ndarray) and not is_mapped(source):
        yield source
        return
    yield np.array(source.shape)
    for where in some_parts(source, _PARTS):
        yield np.asarray(source[where])
