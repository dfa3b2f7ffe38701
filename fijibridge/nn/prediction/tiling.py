"""Goes round the tiles of an image with a network, smaller ones where memory is not enough."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fijibridge.errors import DeviceError, FijiBridgeWarning, ModelError
from fijibridge.nn.devices import is_out_of_memory
from fijibridge.nn.prediction.activations import answer
from fijibridge.nn.prediction.planes import Plane
from fijibridge.nn.prediction.tiles import Axis, Border, Tile, axes_of, axes_of_whole, decided, split, tiles
from fijibridge.nn.prediction_memory import (
    bytes_per_pixel,
    fits,
    fitting_sides,
    normalises_by_image,
    pixels,
)
from fijibridge.nn.traits import Traits

_TYPES = {"32": torch.float32, "bf16": torch.bfloat16}
PRECISIONS = tuple(_TYPES)
_log = logging.getLogger("fijibridge")


class Tiling:
    """How planes or volumes of one shape are cut for a network, and what it says of each tile.

    Parameters
    ----------
    net, known
        The network, in evaluation on its device, and its traits.
    shape
        Of what it is shown, ([z,] y, x).
    tile
        Side of the tiles without their halo; None for the largest that fit.
    border, flips, precision
        As :func:`fijibridge.predict` takes them.

    Raises
    ------
    ModelError
        If the network sees the whole image and that cannot be.
    """

    def __init__(
        self, net: nn.Module, known: Traits, device: torch.device, shape: Sequence[int], tile: int | None,
        border: Border, flips: bool, precision: str,
    ):  # fmt: skip
        self.net, self.known, self.device, self.shape = net, known, device, tuple(shape)
        self.border, self.flips, self._type = border, flips, _TYPES[precision]
        self._needs_whole, self._said, self._warned = "", "", False
        self.axes = self._axes()
        self.decided = tuple(decided(axis, n, border) for axis, n in zip(self.axes, self.shape, strict=True))
        self.sides = self._sides(tile)
        self.tiles = tiles(self.axes, self.shape, self.sides, border)
        self._refuse_or_warn()

    def answers(self, plane: Plane, tile: Tile) -> Iterator[tuple[Tile, npt.NDArray[np.float32]]]:
        """Yield what the network says of a tile, (K, ...), in parts where memory is not enough for all of it.

        Raises
        ------
        DeviceError
            If it is not enough for the smallest part.
        """
        pending = [tile]
        while pending:
            first, *pending = split(self.axes, self.shape, pending[0], self.sides, self.border) + pending[1:]
            found = self._try(plane, first)
            if found is None:
                self._halve()
                pending.insert(0, first)
            else:
                yield first, found

    def _axes(self) -> tuple[Axis, ...]:
        try:
            return axes_of(self.net, self.known, self.flips)
        except ModelError as error:
            if self.border != "as trained":
                raise ModelError(
                    f"border={self.border!r} needs to know how far the network sees, but {error}"
                ) from error
            self._needs_whole = str(error)
            return axes_of_whole(self.net, self.known)

    def _sides(self, tile: int | None) -> tuple[int, ...]:
        if tile is not None:
            return tuple(axis.side(tile) for axis in self.axes)
        whole = tuple(-(-n // axis.divisor) * axis.divisor for axis, n in zip(self.axes, self.shape, strict=True))
        per_pixel = bytes_per_pixel(self.net, self.known, self.axes)
        undivided = bool(self._needs_whole) or normalises_by_image(self.net)
        if fits(self.device, per_pixel, pixels(self.axes, self.shape, self.border, whole), undivided):
            return whole
        return fitting_sides(self.axes, self.shape, self.border, per_pixel, self.device)

    def _refuse_or_warn(self) -> None:
        """Say once, before work starts, that tiles do not give what the whole image would."""
        if len(self.tiles) == 1:
            return
        size = " x ".join(map(str, self.shape))
        if self._needs_whole:
            raise ModelError(
                f"the image of {size} px does not go through the network in one piece, and must: {self._needs_whole}. "
                "Leave tile out, crop or downscale the image, or compute where there is more memory (device='cpu')"
            )
        self._warn_of_statistics()

    def _warn_of_statistics(self) -> None:
        if self._warned or not normalises_by_image(self.net):
            return
        self._warned = True
        warnings.warn(
            "the network normalises by statistics of the image it is shown (instance or group normalisation), but "
            f"{' x '.join(map(str, self.shape))} px are predicted in tiles, each by its own, so that the result "
            "depends on them. Leave tile out if memory is enough, downscale, or train with norm='batch'",
            FijiBridgeWarning,
            stacklevel=2,
        )

    def _try(self, plane: Plane, tile: Tile) -> npt.NDArray[np.float32] | None:
        """Return what the network says of a tile; None if memory is not enough."""
        inside = (slice(None), *(line.inside for line in tile))
        mixed = self._type is not torch.float32
        try:
            x = torch.from_numpy(plane.cut(tile))[None].to(self.device)
            with torch.inference_mode(), torch.autocast(self.device.type, self._type, enabled=mixed):
                output = answer(self.net, x, self.known, self.flips)[0]
            self._check_size(output, tile)
            return np.asarray(output[inside].cpu().numpy())
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            self._said = f"{type(error).__name__}: {error}"
            return None

    def _check_size(self, output: torch.Tensor, tile: Tile) -> None:
        expected = tuple(line.length - 2 * self.known.shrink for line in tile)
        if tuple(output.shape[1:]) != expected:
            raise ModelError(
                f"of {tuple(line.length for line in tile)} px the network made {tuple(output.shape[1:])}; expected "
                f"{expected}: give it an attribute traits (fijibridge.nn.traits.Traits) with its divisor and shrink"
            )

    def _halve(self) -> None:
        """Make tiles smaller from here on."""
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        each = zip(self.sides, self.shape, self.axes, strict=True)
        now = tuple(min(side, -(-n // axis.divisor) * axis.divisor) for side, n, axis in each)
        half = tuple(axis.side(side // 2) for side, axis in zip(now, self.axes, strict=True))
        size = " x ".join(map(str, now))
        if self._needs_whole or half == now:
            why = f": {self._needs_whole}" if self._needs_whole else ""
            raise DeviceError(
                f"the memory of {self.device} is not enough for a tile of {size} px, and the network takes no smaller "
                f"one{why}. Choose another device, or a smaller network. ({self._said})"
            )
        _log.info("the memory of %s was not enough for tiles of %s px: they are halved", self.device, size)
        if len(self.tiles) == 1:
            self._warn_of_statistics()
        self.sides = half


@contextmanager
def evaluating(net: nn.Module) -> Iterator[None]:
    """Let a network be in evaluation for a while."""
    was = {module: module.training for module in net.modules()}
    net.eval()
    try:
        yield
    finally:
        for module, training in was.items():
            module.training = training
