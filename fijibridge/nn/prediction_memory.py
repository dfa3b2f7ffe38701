"""How large a tile may be: what a network takes for a pixel, and what there is."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.overrides import TorchFunctionMode

from fijibridge.nn.devices import memory
from fijibridge.nn.prediction.tiles import Axis, Border, lines
from fijibridge.nn.traits import Traits

_MOST = {"cpu": 2**31, "cuda": 2**33, "mps": 2**31}  # bytes of one tile: larger ones are no faster
_WORKSPACE = {"cpu": 1.3, "cuda": 2.0, "mps": 2.0}  # what convolutions need beside their results, a factor
_TRIAL = {2: 256, 3: 64}
_SMALL = {2: 32, 3: 8}


def normalises_by_image(net: nn.Module) -> bool:
    """Whether a network has normalisations that look at all of the image it gets, in evaluation too."""
    for module in net.modules():
        if isinstance(module, _InstanceNorm | _BatchNorm):
            if module.running_mean is None:
                return True
        elif isinstance(module, nn.GroupNorm):
            return True
    return False


class _Alive(TorchFunctionMode):
    """Counts the bytes, of one image of a batch, of all results that are alive, and the most at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._seen: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        empty = func.__name__ == "instance_norm" and not len(args[0])  # it takes no empty batch
        out = args[0].clone() if empty else func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else (out,):
            if isinstance(tensor, Tensor) and tensor.ndim:
                self._enter(tensor)
        return out

    def _enter(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._seen:
            return
        self._seen.add(key)
        size = math.prod(tensor.shape[1:]) * tensor.element_size()
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._leave, key, size)

    def _leave(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def bytes_per_pixel(net: nn.Module, known: Traits, axes: Sequence[Axis]) -> float:
    """Return what a network in evaluation takes for one pixel of its input, at the most at a time.

    Notes
    -----
    Its forward pass is run over a batch of no images, so that nothing is computed; a network that cannot do that is
    given a small image of zeros.
    """
    try:
        return _most_alive(net, known, 0, [axis.window(_TRIAL[known.dims]) for axis in axes])
    except Exception:  # whatever a stranger's forward pass says of an empty batch
        return _most_alive(net, known, 1, [axis.window(max(_SMALL[known.dims], axis.divisor)) for axis in axes])


def _most_alive(net: nn.Module, known: Traits, batch: int, side: Sequence[int]) -> float:
    like = next(net.parameters(), torch.zeros(()))
    x = torch.zeros(batch, known.in_channels, *side, device=like.device, dtype=like.dtype)
    with torch.no_grad(), _Alive() as counted:
        net(x)
    return float(known.in_channels * x.element_size() + counted.most / math.prod(side))


def room(device: torch.device, undivided: bool = False) -> int:
    """Return the bytes that a tile may take.

    Parameters
    ----------
    device
        Where it is computed.
    undivided
        Whether all of an image must go through in one piece: then most of what is free, else a part of it, and not
        more than is of use.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free * 3 // 4 if undivided else min(free // 2, _MOST["cuda"])
    there = memory(device)
    if there is None:
        return _MOST[device.type]
    return there * 3 // 4 if undivided else min(there // 4, _MOST[device.type])


def fitting_sides(
    axes: Sequence[Axis], shape: Sequence[int], border: Border, per_pixel: float, device: torch.device
) -> tuple[int, ...]:
    """Return the sides of the largest tiles that fit, alike in all axes that are not read whole.

    Parameters
    ----------
    axes, shape, border
        What the network asks of tiles, and the image.
    per_pixel
        Bytes that it takes for a pixel of its input.
    device
        Whose memory it is.
    """
    limit = room(device) / per_pixel / _WORKSPACE[device.type]
    step = math.lcm(*(axis.divisor for axis in axes))
    low, high = 1, -(-max(shape) // step)
    while low < high:  # the smallest is tried in any case
        middle = (low + high + 1) // 2
        fits = pixels(axes, shape, border, [middle * step] * len(shape)) <= limit
        low, high = (middle, high) if fits else (low, middle - 1)
    return tuple(_even(n, low * step, axis.divisor) for axis, n in zip(axes, shape, strict=True))


def pixels(axes: Sequence[Axis], shape: Sequence[int], border: Border, sides: Sequence[int]) -> int:
    """Return the pixels of the largest input among the tiles of an image."""
    each = zip(axes, shape, sides, strict=True)
    return math.prod(max(line.length for line in lines(axis, n, side, border)) for axis, n, side in each)


def fits(device: torch.device, per_pixel: float, count: int, undivided: bool = False) -> bool:
    """Whether a tile of so many pixels fits into the memory of a device."""
    return count * per_pixel * _WORKSPACE[device.type] <= room(device, undivided)


def _even(n: int, side: int, divisor: int) -> int:
    """Return the side that cuts an axis into as many parts, but equal ones."""
    parts = -(-n // side)
    return -(-n // (parts * divisor)) * divisor
