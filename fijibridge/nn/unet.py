"""The U-Net of Ronneberger et al. 2015, with same convolutions and normalisation, in 2D and 3D."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fijibridge.errors import ModelError

_CONV: dict[int, type[nn.Module]] = {2: nn.Conv2d, 3: nn.Conv3d}
_UP: dict[int, type[nn.Module]] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM: dict[int, type[nn.Module]] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_POOL: dict[int, type[nn.Module]] = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
_MEMORY = {2: torch.channels_last, 3: torch.channels_last_3d}  # up to twice as fast as channels first, never slower


class UNet(nn.Module):
    """A U-Net.

    Parameters
    ----------
    in_channels
        Channels of the image.
    n_classes
        Classes per pixel.
    depth
        Number of poolings; the sides of an input must be multiples of ``2**depth``.
    width
        Channels of the first level; each pooling doubles them.
    dims
        2 for planes, 3 for volumes.

    Notes
    -----
    Every level has two 3x3 convolutions, each with batch normalisation and ReLU, on the way down and on the way
    up. Input (B, C, Y, X) or (B, C, Z, Y, X) ``float32``; output logits of the same size, one channel per class.

    Examples
    --------
    >>> net = UNet(depth=2, width=4)
    >>> net(torch.zeros(1, 1, 8, 12)).shape
    torch.Size([1, 2, 8, 12])
    """

    def __init__(self, in_channels: int = 1, n_classes: int = 2, depth: int = 3, width: int = 32, dims: int = 2):
        super().__init__()
        if dims not in _CONV or depth < 1 or min(in_channels, n_classes, width) < 1:
            raise ModelError(
                f"UNet(in_channels={in_channels}, n_classes={n_classes}, depth={depth}, width={width}, dims={dims}): "
                "dims is 2 or 3, the others are at least 1"
            )
        self.config: dict[str, Any] = {
            "in_channels": in_channels, "n_classes": n_classes, "depth": depth, "width": width, "dims": dims
        }  # fmt: skip
        channels = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _double_conv(before, after, dims) for before, after in zip([in_channels, *channels], channels, strict=False)
        )
        self.pool = _POOL[dims](2)
        self.up = nn.ModuleList(_UP[dims](2 * c, c, kernel_size=2, stride=2) for c in reversed(channels[:-1]))
        self.merge = nn.ModuleList(_double_conv(2 * c, c, dims) for c in reversed(channels[:-1]))
        self.head = _CONV[dims](width, n_classes, kernel_size=1)
        self.to(memory_format=_MEMORY[dims])

    @property
    def dims(self) -> int:
        """2 for planes, 3 for volumes."""
        return int(self.config["dims"])

    @property
    def divisor(self) -> int:
        """What the sides of an input must be multiples of."""
        return int(2 ** self.config["depth"])

    def forward(self, x: Tensor) -> Tensor:
        """Return one logit per class and pixel."""
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            x = block(self.pool(x) if level else x)  # (B, width * 2**level, Y / 2**level, X / 2**level)
            skips.append(x)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            x = merge(torch.cat([up(x), skips.pop()], dim=1))  # one level up: half the channels, twice the size
        logits: Tensor = self.head(x)  # (B, n_classes, Y, X)
        return logits


def _double_conv(before: int, after: int, dims: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (before, after):
        conv = _CONV[dims](channels, after, kernel_size=3, padding=1, bias=False)
        nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")  # type: ignore[arg-type]
        layers += [conv, _NORM[dims](after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
