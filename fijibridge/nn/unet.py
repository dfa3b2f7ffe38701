"""U-Net of Ronneberger et al. 2015 (doi:10.1007/978-3-319-24574-4_28), in 2D and 3D."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from fijibridge.errors import ModelError
from fijibridge.nn.traits import Traits

Norm: TypeAlias = Literal["batch", "instance", "group", "none"]
Padding: TypeAlias = Literal["same", "valid"]

_CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_UP: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_BATCH: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_INSTANCE: dict[int, type[nn.Module]] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
_POOL: dict[int, type[nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_DROPOUT: dict[int, type[nn.Module]] = {2: nn.Dropout2d, 3: nn.Dropout3d}
_MEMORY = {2: torch.channels_last, 3: torch.channels_last_3d}  # memory formats: up to twice as fast as channels first
_HEADS = ("distance", "affinity")


class UNet(nn.Module):
    """U-Net for planes or volumes.

    Parameters
    ----------
    in_channels
        Number of channels of the image.
    n_classes
        Number of classes.
    depth
        Number of poolings; the sides of an input must be multiples of ``2**depth``.
    width
        Number of channels of the first level; each pooling doubles it.
    dims
        2 for planes, 3 for volumes.
    norm
        ``"batch"``, ``"instance"``, ``"group"`` (groups of 8 channels; one group if 8 does not divide the number of
        channels) or ``"none"``. Instance and group normalisation use statistics of each tile, so a tiled prediction
        differs from that of the whole image.
    padding
        ``"same"``: the output is as large as the input. ``"valid"``, as in the paper: convolutions are not padded, so
        the output is smaller (:meth:`output_size`).
    dropout
        Fraction of the channels of the lowest level that are set to 0 in each training step.
    residual
        Whether to add the input of each pair of convolutions, after a 1x1 convolution, to its output.
    heads
        Further outputs: ``"distance"`` (one channel: pixels to the cell's border), ``"affinity"`` (one channel per
        axis: whether a pixel and the one before it belong to the same cell).

    Notes
    -----
    Every level has two 3x3 convolutions, each with normalisation and ReLU, on the way down and on the way up. The input
    is (B, C, Y, X) or (B, C, Z, Y, X) ``float32``. The output has logits in one channel per class, followed by the
    channels of the further `heads`.

    Examples
    --------
    >>> net = UNet(depth=2, width=4)
    >>> net(torch.zeros(1, 1, 8, 12)).shape
    torch.Size([1, 2, 8, 12])
    >>> UNet(depth=4, width=1, padding="valid").output_size(572)  # the sizes in the paper
    388
    """

    def __init__(
        self,
        in_channels: int = 1,
        n_classes: int = 2,
        depth: int = 3,
        width: int = 32,
        dims: int = 2,
        *,
        norm: Norm = "batch",
        padding: Padding = "same",
        dropout: float = 0.0,
        residual: bool = False,
        heads: Sequence[str] = (),
    ):
        super().__init__()
        self.config: dict[str, Any] = {
            "in_channels": in_channels, "n_classes": n_classes, "depth": depth, "width": width, "dims": dims,
            "norm": norm, "padding": padding, "dropout": dropout, "residual": residual, "heads": list(heads),
        }  # fmt: skip
        _check(self.config)
        channels = [width * 2**level for level in range(depth + 1)]
        sides = list(zip([in_channels, *channels], channels, strict=False))
        self.down = nn.ModuleList(_Level(before, after, self.config) for before, after in sides)
        self.pool = _POOL[dims](2)
        self.drop = _DROPOUT[dims](dropout) if dropout else nn.Identity()
        self.up = nn.ModuleList(_UP[dims](2 * c, c, kernel_size=2, stride=2) for c in reversed(channels[:-1]))
        self.merge = nn.ModuleList(_Level(2 * c, c, self.config) for c in reversed(channels[:-1]))
        self.head = _CONV[dims](width, self.traits.n_outputs, kernel_size=1)
        self.to(memory_format=_MEMORY[dims])

    @property
    def dims(self) -> int:
        """2 for planes, 3 for volumes."""
        return int(self.config["dims"])

    @property
    def divisor(self) -> int:
        """Number that divides the sides of an input; with valid convolutions, the step between valid sides."""
        return int(2 ** self.config["depth"])

    @property
    def traits(self) -> Traits:
        """Requirements on the input and output of the network."""
        n, outputs = self.config["n_classes"], {}
        outputs["classes"] = slice(0, n)
        for head in self.config["heads"]:
            size = 1 if head == "distance" else self.dims
            outputs[head], n = slice(n, n + size), n + size
        return Traits(self.dims, self.config["in_channels"], outputs, self.divisor, self._shrink)

    @property
    def _shrink(self) -> int:
        """Input pixels lost on each side: 2 * 2**level for each pair of convolutions."""
        if self.config["padding"] == "same":
            return 0
        depth = self.config["depth"]
        return int(2 * 2**depth + sum(2 * 2 * 2**level for level in range(depth)))

    def output_size(self, n: int) -> int:
        """Return the side of the output for an input of side n.

        Raises
        ------
        ModelError
            If this side is not valid; the message states the next valid one.
        """
        fits = n % self.divisor == 0 if self.config["padding"] == "same" else self._halves(n)
        if not fits or n <= 2 * self._shrink:
            raise ModelError(f"an input of {n} px does not fit the network; the next valid size is {self._next(n)} px")
        return n - 2 * self._shrink

    def input_size(self, n: int) -> int:
        """Return the smallest side of an input whose output has at least n pixels."""
        return self._next(n + 2 * self._shrink)

    def _next(self, n: int) -> int:
        n = max(n, 2 * self._shrink + 1)
        while not (n % self.divisor == 0 if self.config["padding"] == "same" else self._halves(n)):
            n += 1
        return n

    def _halves(self, n: int) -> bool:
        """Return whether, with valid convolutions, a side of n pixels is even before each pooling."""
        for _ in range(self.config["depth"]):
            if (n - 4) % 2:
                return False
            n = (n - 4) // 2
        return n > 4

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the classes, followed by those of further heads, (B, K, ...)."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)  # (B, width * 2**level, Y / 2**level, X / 2**level)
            skips.append(x)
        x = self.drop(skips.pop())
        for up, merge in zip(self.up, self.merge, strict=True):
            x = up(x)  # one level up: half the channels, twice the size
            skip = skips.pop() if self._shrink == 0 else _middle(skips.pop(), x)
            x = merge(torch.cat([x, skip], dim=1))
        output: Tensor = self.head(x)  # (B, n_classes + further, Y, X)
        return output


class _Level(nn.Sequential):
    """Two convolutions, each with normalisation and ReLU; with `residual`, the input is added to the output."""

    def __init__(self, before: int, after: int, config: dict[str, Any]):
        dims, same = config["dims"], config["padding"] == "same"
        layers: list[nn.Module] = []
        for channels in (before, after):
            bias = config["norm"] == "none"
            conv = _CONV[dims](channels, after, kernel_size=3, padding=int(same), bias=bias)
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")  # type: ignore[arg-type]
            layers += [conv, *_norm(config["norm"], after, dims), nn.ReLU(inplace=True)]
        super().__init__(*layers)
        self.shortcut = _CONV[dims](before, after, kernel_size=1, bias=False) if config["residual"] else None

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of the level."""
        shortcut, y = self.shortcut, x
        for layer in self:
            if layer is not shortcut:
                y = layer(y)
        return y if shortcut is None else y + _middle(shortcut(x), y)


def _norm(kind: str, channels: int, dims: int) -> list[nn.Module]:
    if kind == "batch":
        return [_BATCH[dims](channels)]
    if kind == "instance":
        return [_INSTANCE[dims](channels, affine=True)]
    return [nn.GroupNorm(max(channels // 8, 1) if channels % 8 == 0 else 1, channels)] if kind == "group" else []


def _middle(x: Tensor, like: Tensor) -> Tensor:
    """Crop the middle of a tensor to the spatial size of another tensor."""
    for axis in range(2, x.ndim):
        extra = x.shape[axis] - like.shape[axis]
        x = x.narrow(axis, extra // 2, like.shape[axis]) if extra else x
    return x


def _check(config: dict[str, Any]) -> None:
    wrong = (
        config["dims"] not in _CONV
        or min(config["in_channels"], config["n_classes"], config["depth"], config["width"]) < 1
        or config["norm"] not in ("batch", "instance", "group", "none")
        or config["padding"] not in ("same", "valid")
        or not 0 <= config["dropout"] < 1
        or len(set(config["heads"])) < len(config["heads"])
        or not set(config["heads"]) <= set(_HEADS)
    )
    if wrong:
        given = ", ".join(f"{k}={v!r}" for k, v in config.items())
        raise ModelError(
            f"UNet({given}) is invalid; expected dims 2 or 3; in_channels, n_classes, depth and width of at least 1; "
            "norm batch, instance, group or none; padding same or valid; dropout from 0 to below 1; heads distance or "
            "affinity, each at most once"
        )
