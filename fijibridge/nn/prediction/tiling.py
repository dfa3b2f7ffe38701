"""Prediction of the tiles of an image, with smaller tiles if memory runs out."""

from __future__ import annotations

import gc
import logging
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fijibridge.errors import DeviceError, FijiBridgeWarning, ModelError
from fijibridge.nn.devices import autocast, is_out_of_memory
from fijibridge.nn.memory import prediction_memory, tile_pixels
from fijibridge.nn.prediction.activations import answer
from fijibridge.nn.prediction.planes import Plane
from fijibridge.nn.prediction.tiles import (
    Axis,
    Padding,
    Tile,
    axes_of,
    axes_of_whole,
    decided,
    largest_input,
    largest_sides,
    split,
    tiles,
)
from fijibridge.nn.traits import Traits, normalises_by_image

_log = logging.getLogger("fijibridge")


class Tiling:
    """Tiles of planes or volumes with the same shape, and their predictions.

    Parameters
    ----------
    net, known
        The network, in evaluation mode on its device, and its traits.
    device
        The device.
    shape
        Sides of the planes or volumes, ([z,] y, x) pixels.
    tile
        Side of the tiles without halo, in pixels; None for the largest that fits into memory.
    padding, flips, precision
        As for :func:`fijibridge.predict`.

    Raises
    ------
    ModelError
        If the network sees the whole image, but the image does not fit into memory in one piece, or `padding` or `tile`
        requires a finite receptive field.
    """

    def __init__(
        self, net: nn.Module, known: Traits, device: torch.device, shape: Sequence[int], tile: int | None,
        padding: Padding, flips: bool, precision: str,
    ):  # fmt: skip
        self.net, self.known, self.device, self.shape = net, known, device, tuple(shape)
        self.padding, self.flips, self.precision = padding, flips, precision
        self._needs_whole, self._shortage, self._warned = "", "", False
        self.axes = self._axes()
        self.decided = tuple(decided(axis, n, padding) for axis, n in zip(self.axes, self.shape, strict=True))
        self.sides = self._sides(tile)
        self.tiles = tiles(self.axes, self.shape, self.sides, padding)
        self._refuse_or_warn()

    def answers(self, plane: Plane, tile: Tile) -> Iterator[tuple[Tile, npt.NDArray[np.float32]]]:
        """Yield the prediction of a tile, (K, ...), in several parts if memory runs out.

        Raises
        ------
        DeviceError
            If the smallest part does not fit into memory.
        """
        pending = [tile]
        while pending:
            # Cut with the current sides, which may have been halved for earlier parts.
            first, *pending = split(self.axes, self.shape, pending[0], self.sides, self.padding) + pending[1:]
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
            if self.padding != "as trained":
                need = f"padding={self.padding!r} needs the network's receptive field"
                raise ModelError(f"{need}, but {error}") from error
            self._needs_whole = str(error)
            return axes_of_whole(self.net, self.known)

    def _sides(self, tile: int | None) -> tuple[int, ...]:
        if tile is not None:
            return tuple(axis.side(tile) for axis in self.axes)
        whole = tuple(-(-n // axis.divisor) * axis.divisor for axis, n in zip(self.axes, self.shape, strict=True))
        per_pixel = prediction_memory(self.net, self.known, [axis.window for axis in self.axes])
        undivided = bool(self._needs_whole) or normalises_by_image(self.net)
        if largest_input(self.axes, self.shape, self.padding, whole) <= tile_pixels(self.device, per_pixel, undivided):
            return whole
        return largest_sides(self.axes, self.shape, self.padding, tile_pixels(self.device, per_pixel))

    def _refuse_or_warn(self) -> None:
        """Refuse tiles, or warn once, if their prediction differs from that of the whole image."""
        if len(self.tiles) == 1:
            return
        size = " x ".join(map(str, self.shape))
        if self._needs_whole:
            raise ModelError(
                f"an image of {size} px must be predicted in one piece, but is split into tiles: {self._needs_whole}. "
                "Omit tile, crop or downscale the image, or use a device with more memory (device='cpu')"
            )
        self._warn_of_statistics()

    def _warn_of_statistics(self) -> None:
        if self._warned or not normalises_by_image(self.net):
            return
        self._warned = True
        warnings.warn(
            "the network normalises by statistics of its input (instance or group normalisation), and "
            f"{' x '.join(map(str, self.shape))} px are predicted in tiles, each with its own statistics: the result "
            "depends on the tiles. Omit tile if the image fits into memory, downscale it, or train with norm='batch'",
            FijiBridgeWarning,
            stacklevel=2,
        )

    def _try(self, plane: Plane, tile: Tile) -> npt.NDArray[np.float32] | None:
        """Return the prediction of a tile; None if memory runs out."""
        inside = (slice(None), *(line.inside for line in tile))
        try:
            x = torch.from_numpy(plane.cut(tile))[None].to(self.device)
            with torch.inference_mode(), autocast(self.device, self.precision):
                output = answer(self.net, x, self.known, self.flips)[0]
            self._check_size(output, tile)
            return np.asarray(output[inside].cpu().numpy())
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            # Keep only the text: the traceback of the error would keep the tensors of the tile alive.
            self._shortage = f"{type(error).__name__}: {error}"
            return None

    def _check_size(self, output: torch.Tensor, tile: Tile) -> None:
        expected = tuple(line.length - 2 * self.known.shrink for line in tile)
        if tuple(output.shape[1:]) != expected:
            raise ModelError(
                f"the network returned {tuple(output.shape[1:])} px for {tuple(line.length for line in tile)} px; "
                f"expected {expected}: set its attribute traits (fijibridge.nn.traits.Traits) with its divisor and "
                "shrink"
            )

    def _halve(self) -> None:
        """Halve the sides of all further tiles."""
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
                f"a tile of {size} px does not fit into the memory of {self.device}, and the network accepts no "
                f"smaller one{why}. Choose another device, or a smaller network. ({self._shortage})"
            )
        _log.info("the memory of %s was too small for tiles of %s px: halving them", self.device, size)
        if len(self.tiles) == 1:
            self._warn_of_statistics()
        self.sides = half
