"""Memory that a network needs for training and for prediction, and the memory available on a device."""

from __future__ import annotations

import math
import re
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fijibridge.errors import TrainingError
from fijibridge.nn.devices import device_memory
from fijibridge.nn.inference import blank_images, evaluation
from fijibridge.nn.traits import Traits, next_side, traits
from fijibridge.renames import rename_attributes

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "KI": 2**10, "MI": 2**20, "GI": 2**30, "TI": 2**40}
_TILE_BYTES = {"cpu": 2**31, "cuda": 2**33, "mps": 2**31}  # upper bound for one tile; larger tiles are no faster
_WORKSPACE = {"cpu": 1.3, "cuda": 2.0, "mps": 2.0}  # factor by which the workspace of convolutions increases the memory
_TRIAL = {2: 256, 3: 64}  # sides of the output of a trial on an empty batch, in pixels
_SMALL = {2: 32, 3: 8}  # sides of the output of a trial on one image, in pixels


def parse_bytes(amount: int | float | str) -> int:
    """Parse an amount of memory, and return it in bytes.

    Raises
    ------
    TrainingError
        If `amount` cannot be parsed.

    Examples
    --------
    >>> parse_bytes("4GB"), parse_bytes("512 MiB"), parse_bytes(1e9)
    (4000000000, 536870912, 1000000000)
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][0-9]+)?)\s*([KMGT]?I?)B?\s*", str(amount), re.IGNORECASE)
    if found is None or found[2].upper() not in _UNITS or not float(found[1]):
        raise TrainingError(f"memory limit {amount!r}: expected bytes above 0, or text such as '4GB' or '512 MiB'")
    return int(float(found[1]) * _UNITS[found[2].upper()])


# --- training -----------------------------------------------------------------------------------------


def training_memory(net: nn.Module, patch: Sequence[int], batch: int) -> int:
    """Estimate the minimum memory of a training step, in bytes.

    Notes
    -----
    16 bytes per parameter (weight, gradient, and the two moments of AdamW), plus the activations kept for the gradient.
    For a U-Net: 4 bytes * 10 arrays * batch * sum over levels l of channels(l) * pixels of the patch / 2**(dims * l).
    The arrays are the results of two convolutions and normalisations on the way down (4) and up (4), and of the
    concatenation (2). Measured steps on a CPU took 12 to 16 arrays instead of 10. For other networks, the activations
    that torch keeps for a small image are measured, and multiplied by the ratio of the numbers of pixels.

    Examples
    --------
    >>> from fijibridge import UNet
    >>> round(training_memory(UNet(depth=3, width=32), (128, 128), batch=8) / 2**20)
    329
    """
    parameters = sum(p.numel() for p in net.parameters())
    return int(16 * parameters + batch * math.prod(patch) * _activations(net))


def check_memory(net: nn.Module, patch: Sequence[int], batch: int, device: torch.device) -> None:
    """Refuse a training that cannot fit into the memory of a device, if that memory is known.

    Raises
    ------
    TrainingError
        If the estimated minimum exceeds the memory of the device; the message states both.
    """
    need, available = training_memory(net, patch, batch), device_memory(device)
    if available is not None and need > available:
        config: Any = getattr(net, "config", {})
        part = f"'s channels {config['width']} or depth {config['depth']}" if "width" in config else " itself"
        raise TrainingError(
            f"a training step needs at least {need / 2**30:.0f} GiB, but {device} has {available / 2**30:.1f} GiB: "
            f"lower the patch {' x '.join(map(str, patch))}, the batch {batch}, or the network{part}"
        )


def _activations(net: nn.Module) -> float:
    """Return the bytes of activations per input pixel that are kept for the gradient."""
    config = getattr(net, "config", None)
    if not isinstance(config, dict) or not {"depth", "width", "dims"} <= set(config):
        return _activations_of_trial(net)
    depth, width, dims = int(config["depth"]), int(config["width"]), int(config["dims"])
    return float(40 * sum(width * 2**level / 2 ** (dims * level) for level in range(depth + 1)))


def _activations_of_trial(net: nn.Module) -> float:
    known = traits(net)
    side = next_side(net, known, 2 * known.shrink + 4 * known.divisor)
    weights = {p.untyped_storage().data_ptr() for p in (*net.parameters(), *net.buffers())}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with evaluation(net), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = net(blank_images(net, 1, known.in_channels, [side] * known.dims))
    del out
    return float(sum(kept.values()) / side**known.dims)


# --- prediction ---------------------------------------------------------------------------------------


class _LiveBytes(TorchFunctionMode):
    """Counts the bytes per image of all live results of torch, and keeps the largest count.

    The bytes of a storage are added when a result first refers to it, and subtracted by its finalizer.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._seen: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        empty = func.__name__ == "instance_norm" and not len(args[0])  # instance_norm rejects an empty batch
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
        size = math.prod(tensor.shape[1:]) * tensor.element_size()  # without the batch, which may be empty
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._leave, key, size)

    def _leave(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def prediction_memory(net: nn.Module, known: Traits, windows: Sequence[Callable[[int], int]]) -> float:
    """Return the peak memory of a network in evaluation mode, in bytes per pixel of its input.

    Parameters
    ----------
    net, known
        The network and its traits.
    windows
        For each axis, a function that returns the side of the input needed for a number of output pixels.

    Notes
    -----
    The forward pass runs on a batch of 0 images, so that nothing is computed. A network that rejects an empty batch
    runs on a small all-zero image.
    """
    try:
        return _most_alive(net, known, 0, [window(_TRIAL[known.dims]) for window in windows])
    except Exception:  # a foreign forward pass may raise anything on an empty batch
        return _most_alive(net, known, 1, [window(max(_SMALL[known.dims], known.divisor)) for window in windows])


def _most_alive(net: nn.Module, known: Traits, batch: int, sides: Sequence[int]) -> float:
    x = blank_images(net, batch, known.in_channels, sides)
    with torch.no_grad(), _LiveBytes() as counted:
        net(x)
    return float(known.in_channels * x.element_size() + counted.most / math.prod(sides))


def tile_memory(device: torch.device, undivided: bool = False) -> int:
    """Return the memory that a tile may use, in bytes.

    Parameters
    ----------
    device
        Compute device.
    undivided
        Whether the image must be predicted in one piece. If so, the tile may use three quarters of the free memory.
        Otherwise it may use a smaller share, and at most the memory beyond which tiles get no faster.
    """
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        free += torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free * 3 // 4 if undivided else min(free // 2, _TILE_BYTES["cuda"])
    available = device_memory(device)
    if available is None:
        return _TILE_BYTES[device.type]
    return available * 3 // 4 if undivided else min(available // 4, _TILE_BYTES[device.type])


def tile_pixels(device: torch.device, per_pixel: float, undivided: bool = False) -> float:
    """Return the number of input pixels of the largest tile that fits, given the bytes per pixel."""
    return tile_memory(device, undivided) / per_pixel / _WORKSPACE[device.type]


rename_attributes(__name__, {"patch_size": "nn.patches.size:patch_size"})
