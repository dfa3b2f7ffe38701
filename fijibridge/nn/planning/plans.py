"""Plan of a training: patches, coverage, and a forecast of time and memory."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from fijibridge.dataset import Dataset
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.devices import device_memory, device_of
from fijibridge.nn.memory import parse_bytes
from fijibridge.nn.patches import PatchSampler
from fijibridge.nn.patches.places import grid_shape, strides_of
from fijibridge.nn.patches.size import patch_size
from fijibridge.nn.planning.forecast import Forecast, forecast_training
from fijibridge.nn.planning.images import Source, source_of
from fijibridge.nn.planning.limits import fit_batch, fit_patch
from fijibridge.nn.planning.text import plan_rows, plan_text
from fijibridge.nn.receptive_field import ReceptiveField, receptive_field
from fijibridge.nn.traits import Traits, last_side, next_side, traits
from fijibridge.renames import warn_renamed

_BATCH = 8
_MOST = 128  # largest batch that is chosen for a memory limit


@dataclass(frozen=True)
class Plan:
    """Plan of a training; ``print(plan)`` shows it as a table.

    Attributes
    ----------
    network, device, precision : str
        Description of the network, compute device, numerical precision.
    images, watched : tuple of tuple
        Sides of the training and the validation images, ([z,] y, x) pixels.
    receptive_field : ReceptiveField
        Receptive field of the network.
    patch, stride, halo : tuple of int
        Along each axis in pixels: the side of a patch, the distance between neighbouring patches, and the margin that a
        tile needs for prediction.
    divisor : int
        Sides and origins of tiles must be multiples of this number.
    batch, batches, epochs : int
        Number of patches in a batch, of batches in an epoch, and of epochs.
    on_grid : bool
        Whether patches lie on a grid with the spacing `stride`; otherwise they are drawn at random.
    coverage : tuple of float
        Along each axis, the number of patches per epoch that contain a pixel far from the image borders. On a grid,
        this is patch / stride.
    coverage_area : float
        Number of patches per epoch that contain such a pixel: the product of `coverage` over the axes.
    mean_coverage : float
        Number of patches per epoch that contain a pixel, averaged over all pixels (over all known pixels if patches are
        drawn at random).
    memory_bytes : int or None
        The given memory limit, or else the memory of the device; None if that is unknown.
    forecast : Forecast or None
        Forecast of time and memory; None if no trial steps were run.
    notes : tuple of str
        Remarks to consider before training.
    """

    network: str
    device: str
    precision: str
    images: tuple[tuple[int, ...], ...]
    watched: tuple[tuple[int, ...], ...]
    receptive_field: ReceptiveField
    patch: tuple[int, ...]
    stride: tuple[int, ...]
    halo: tuple[int, ...]
    divisor: int
    batch: int
    batches: int
    epochs: int
    on_grid: bool
    coverage: tuple[float, ...]
    coverage_area: float
    mean_coverage: float
    memory_bytes: int | None
    forecast: Forecast | None
    notes: tuple[str, ...] = ()

    @property
    def patches(self) -> int:
        """Number of patches in an epoch."""
        return self.batch * self.batches

    def settings(self) -> dict[str, Any]:
        """Return the settings for :func:`fijibridge.train`: ``train(net, data, **plan.settings())``."""
        given = {"patch": self.patch, "batch": self.batch, "batches": self.batches, "epochs": self.epochs}
        return given | ({"sampling": "grid", "stride": self.stride} if self.on_grid else {})

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict; ``memory`` repeats ``memory_bytes`` under its name in version 0.1."""
        return dataclasses.asdict(self) | {"patches": self.patches, "memory": self.memory_bytes}

    @property
    def memory(self) -> int | None:
        """Value of :attr:`memory_bytes`, under its name in version 0.1."""
        warn_renamed("Plan.memory", "Plan.memory_bytes")
        return self.memory_bytes

    def __str__(self) -> str:
        return plan_text(self.to_dict())

    def _repr_html_(self) -> str:
        from fijibridge import displays

        notes = [displays.paragraph(f"note: {note}") for note in self.notes]
        return displays.page(f"Plan: {self.network}", displays.facts(plan_rows(self.to_dict())), *notes)


def plan(
    net: nn.Module,
    data: Dataset | Sequence[Any],
    *,
    patch: Sequence[int] | None = None,
    stride: int | Sequence[int] | None = None,
    batch: int | None = None,
    batches: int | None = None,
    epochs: int = 50,
    validation: Sequence[Any] = (),
    device: str | torch.device | None = None,
    memory_limit: int | float | str | None = None,
    precision: str = "auto",
    probe: bool = True,
) -> Plan:
    """Plan a training: patches, coverage, and a forecast from a few real steps on a copy of the network.

    Parameters
    ----------
    net
        The network; left unchanged.
    data
        A dataset (its training and validation images), a list of (image, target), or a list of image shapes without
        channels.
    patch
        (Y, X) or (Z, Y, X) pixels. By default, three times the reach of the network, which is the larger of `left` and
        `right` of its receptive field, but at most the smallest image, rounded to a side that the network accepts.
    stride
        Distance between neighbouring patches in pixels: one number, or one for each axis. By default, the reach of the
        network, but at most a patch.
    batch
        Number of patches in a batch. By default 8, or with `memory_limit` the largest batch within the limit.
    batches
        Number of batches in an epoch, whose patches are drawn at random. By default, patches lie on a grid with the
        spacing `stride`, and an epoch is the whole grid.
    epochs
        Number of epochs of the training.
    validation
        Pairs or shapes for validation, if `data` is not a dataset.
    device
        ``"cpu"``, ``"cuda"`` ...; by default, the best available one.
    memory_limit
        Bytes, or text such as ``"4GB"``. On a CUDA device, the limit applies to the memory allocated there, otherwise
        to all memory of this process. If `batch` or `patch` is omitted, a value is chosen with which real steps stay
        within the limit.
    precision
        ``"32"``, ``"bf16"``, ``"16"`` or ``"auto"``, as in a training.
    probe
        Whether to run the real steps; without them, the plan has no forecast.

    Returns
    -------
    Plan

    Raises
    ------
    TrainingError
        If the patch does not fit the network, or no batch and patch stay within the limit.
    ModelError
        If the network has no finite receptive field.

    Examples
    --------
    >>> from fijibridge import UNet
    >>> known = plan(UNet(depth=2, width=2), [(576, 768)] * 18, patch=(160, 160), stride=10, device="cpu", probe=False)
    >>> known.patches, known.coverage, known.coverage_area
    (47992, (16.0, 16.0), 256.0)
    """
    known = traits(net)
    work = _Work(net, known, receptive_field(net), source_of(data, validation, known), device_of(device), precision)
    size = patch_size(net, patch) if patch is not None else work.usual_patch()
    if memory_limit is None:
        return work.plan(size, stride, _BATCH if batch is None else batch, batches, epochs, probe)
    if not probe:
        raise TrainingError("memory_limit needs real steps: omit probe=False")
    return work.within(parse_bytes(memory_limit), size, patch is None, stride, batch, batches, epochs)


@dataclass(frozen=True)
class _Work:
    """Network, images and device for which plans are made."""

    net: nn.Module
    known: Traits
    field: ReceptiveField
    source: Source
    device: torch.device
    precision: str

    def usual_patch(self) -> tuple[int, ...]:
        """Return the default patch: three times the reach of the network, but at most the smallest image."""
        room = np.min(np.array(self.source.shapes), axis=0)
        sides = []
        for far, most in zip(_distance(self.field, self.known.dims), room, strict=True):
            wanted = min(next_side(self.net, self.known, 3 * far), int(most))
            sides.append(last_side(self.net, self.known, wanted) or next_side(self.net, self.known, wanted))
        return tuple(sides)

    def plan(
        self, patch: tuple[int, ...], stride: int | Sequence[int] | None, batch: int, batches: int | None, epochs: int,
        probe: bool, limit: int | None = None,
    ) -> Plan:  # fmt: skip
        """Make the plan for a patch and a batch."""
        steps, on_grid = _stride(stride, self.field, self.known, patch), batches is None
        if batches is None:
            batches = math.ceil(_grid(self.source, patch, steps) / max(batch, 1))
        if min(batch, batches) < 1 or epochs < 0:
            raise TrainingError(f"batch {batch} and batches {batches} must be at least 1, epochs {epochs} at least 0")
        forecast = self._forecast(patch, batch, batches, epochs) if probe else None
        available = device_memory(self.device) if limit is None else limit
        per_axis, area, mean = _coverage(self.source, patch, steps, batch * batches, on_grid)
        made = Plan(
            _name(self.net, self.known), str(self.device), self.precision, tuple(self.source.shapes),
            tuple(self.source.watched), self.field, patch, steps,
            tuple(f.halo for f in self.field.along(self.known.dims)), self.field.divisor, int(batch), int(batches),
            int(epochs), on_grid, per_axis, area, mean, available, forecast,
        )  # fmt: skip
        return dataclasses.replace(made, notes=_notes(made))

    def within(
        self, limit: int, patch: tuple[int, ...], free_patch: bool, stride: int | Sequence[int] | None,
        batch: int | None, batches: int | None, epochs: int,
    ) -> Plan:  # fmt: skip
        """Make a plan that stays within a memory limit.

        Batch and patch are chosen if they are not given: the batch is lowered first, then the patch. Steps on random
        patches find the first candidates. If the forecast from real patches still exceeds the limit, batch and
        patch are lowered further.
        """
        patch, many = self._fitting(limit, patch, free_patch, batch)
        while True:
            made = self.plan(patch, stride, many, batches, epochs, True, limit)
            taken = _bytes(made.forecast)
            if taken is None or taken <= limit:
                return made
            if batch is None and many > 1:
                many = int(0.8 * many)
            elif free_patch and (smaller := self._smaller(patch)) is not None:
                patch = smaller
            else:
                raise self._too_much(limit, taken, patch, many)

    def _fitting(
        self, limit: int, patch: tuple[int, ...], free_patch: bool, batch: int | None
    ) -> tuple[tuple[int, ...], int]:
        options: dict[str, Any] = {
            "memory_limit": limit, "device": self.device, "precision": self.precision,
            "more_bytes": self.source.bytes(self.known),
        }  # fmt: skip
        try:
            many = fit_batch(self.net, patch, most=batch or _MOST, **options)
        except TrainingError:
            if not free_patch:
                raise
            many = 0
        if many >= (batch or 1) or not free_patch:
            return patch, many if batch is None else batch
        return fit_patch(self.net, batch or 1, largest=patch, **options), batch or 1

    def _smaller(self, patch: Sequence[int]) -> tuple[int, ...] | None:
        sides = [last_side(self.net, self.known, n - 1) for n in patch]
        least = 2 * self.known.divisor
        return tuple(n for n in sides if n is not None) if all(n is not None and n >= least for n in sides) else None

    def _too_much(self, limit: int, taken: int, patch: Sequence[int], batch: int) -> TrainingError:
        return TrainingError(
            f"a training with batches of {batch} patches of {' x '.join(map(str, patch))} needs up to "
            f"{taken / 2**20:.0f} MiB on {self.device}; the limit is {limit / 2**20:.0f} MiB: omit batch or patch, so "
            "that the largest value that fits is chosen, or lower the width or depth of the network"
        )

    def _forecast(self, patch: Sequence[int], batch: int, batches: int, epochs: int) -> Forecast:
        source, watch = self.source, None
        augmentation = Augmentation.of(True, [head for head in self.known.outputs if head != "classes"])
        sampler = PatchSampler(source.samples, patch, batch, batches, augmentation)
        if source.watched:
            checks = max(1, round(source.watched_pixels * source.known / math.prod(patch) / batch))
            watch = PatchSampler(source.samples, patch, batch, checks, False)
        return forecast_training(
            self.net, sampler, watch, epochs, self.device, None, self.precision,
            more_bytes=source.bytes(self.known), spent_s=source.seconds, ahead=True,
        )  # fmt: skip


def _bytes(forecast: Forecast | None) -> int | None:
    """Return the memory to which a limit applies: that of a CUDA device, or else that of the host."""
    return None if forecast is None else forecast.device_bytes or forecast.host_bytes


def _distance(field: ReceptiveField, dims: int) -> list[int]:
    """Return the reach of a network along each axis: the larger of left and right of its receptive field."""
    return [max(f.left, f.right, 1) for f in field.along(dims)]


def _stride(
    given: int | Sequence[int] | None, field: ReceptiveField, known: Traits, patch: Sequence[int]
) -> tuple[int, ...]:
    """Return the given stride, or a default that is at most the part of a patch that the output covers."""
    learnt = [n - 2 * known.shrink for n in patch]
    if given is None:
        rounded = [-(-far // field.divisor) * field.divisor for far in _distance(field, known.dims)]
        return tuple(min(s, n) for s, n in zip(rounded, learnt, strict=True))
    return strides_of(given, known.dims)


def _grid(source: Source, patch: Sequence[int], stride: Sequence[int]) -> int:
    """Return the total number of patches on the grids of all images."""
    return sum(math.prod(grid_shape(shape, patch, stride)) for shape in source.shapes)


def _coverage(
    source: Source, patch: Sequence[int], stride: Sequence[int], patches: int, on_grid: bool
) -> tuple[tuple[float, ...], float, float]:
    """Return the coverage of a plan: along each axis, by area, and averaged over all pixels."""
    pixels = source.pixels if on_grid else source.pixels * max(source.known, 1e-9)
    mean = patches * math.prod(patch) / pixels
    if not on_grid:
        return (mean ** (1 / len(patch)),) * len(patch), mean, mean
    longest = np.max(np.array(source.shapes), axis=0)
    per_axis = tuple(p / s if n > p else 1.0 for p, s, n in zip(patch, stride, longest, strict=True))
    return per_axis, math.prod(per_axis), mean


def _name(net: nn.Module, known: Traits) -> str:
    weights = sum(p.numel() for p in net.parameters())
    config = getattr(net, "config", {})
    form = ", ".join(f"{k} {config[k]}" for k in ("depth", "width") if k in config)
    channels = f"{known.in_channels} channel{'s' if known.in_channels > 1 else ''} to {known.n_classes} classes"
    return f"{type(net).__name__}{f' of {form}' if form else ''}, {known.dims}D, {channels}, {weights:,} weights"


def _notes(made: Plan) -> tuple[str, ...]:
    notes = []
    fields = made.receptive_field.along(len(made.patch))
    room = np.max(np.array(made.images), axis=0)
    if any(n < f.size and n < most for n, f, most in zip(made.patch, fields, room, strict=True)):
        notes.append(
            f"the patch is smaller than the receptive field of {made.receptive_field.size} px: near the borders of "
            "patches, the network does not see all surroundings of a pixel"
        )
    if made.coverage_area > 16:
        wider = tuple(max(p // 3, 1) for p in made.patch)
        notes.append(
            f"each pixel is seen {made.coverage_area:.0f} times per epoch; with a stride of "
            f"{' x '.join(map(str, wider))} px, an epoch would be about {made.coverage_area / 9:.0f} times shorter"
        )
    if any(n < p for shape in made.images for n, p in zip(shape, made.patch, strict=True)):
        notes.append("some images are smaller than the patch: they are extended by mirrored pixels of unknown truth")
    taken = _bytes(made.forecast)
    if made.memory_bytes is not None and taken is not None and taken > made.memory_bytes:
        notes.append(
            "the training needs more memory than is available: lower batch or patch, or pass memory_limit to find them"
        )
    return tuple(notes)
