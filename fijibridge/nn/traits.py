"""Requirements on the input and output of a network: dimensions, channels, outputs, and valid input sides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from fijibridge.errors import ModelError
from fijibridge.nn.inference import blank_images, trial

_CONVOLUTIONS = {2: (nn.Conv2d, nn.ConvTranspose2d), 3: (nn.Conv3d, nn.ConvTranspose3d)}
_TRIED = {2: (32, 96, 256), 3: (32, 64)}  # sides of trial images in pixels, tried in this order
_MULTIPLES = 4  # number of consecutive multiples of a divisor that the network must accept


@dataclass(frozen=True)
class Traits:
    """Requirements on the input and output of a network.

    Attributes
    ----------
    dims : int
        2 for planes, 3 for volumes.
    in_channels : int
        Number of channels of the image.
    outputs : dict
        Output channels by their meaning, such as ``{"classes": slice(0, 2), "distance": slice(2, 3)}``.
    divisor : int
        Sides of an input must be multiples of this number.
    shrink : int
        Pixels by which the output is smaller than the input on each side; 0 unless convolutions are "valid".
    """

    dims: int
    in_channels: int
    outputs: Mapping[str, slice] = field(default_factory=lambda: {"classes": slice(0, 2)})
    divisor: int = 1
    shrink: int = 0

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        classes = self.outputs["classes"]
        return int(classes.stop - classes.start)

    @property
    def n_outputs(self) -> int:
        """Number of output channels."""
        return max(int(part.stop) for part in self.outputs.values())


def traits(net: nn.Module) -> Traits:
    """Return the traits of a network.

    Parameters
    ----------
    net
        A :class:`fijibridge.UNet`, or any module that maps (B, C, [Z,] Y, X) to (B, K, [Z,] Y, X). If the module has an
        attribute ``traits``, that is returned unchecked. Otherwise, the traits are inferred from the first convolution
        and from trials on all-zero images.

    Raises
    ------
    ModelError
        If the network has no 2D or 3D convolution, or no trial returns an image of the input's size or of its middle.

    Examples
    --------
    >>> traits(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.MaxPool2d(2), nn.ConvTranspose2d(4, 2, 2, stride=2)))
    Traits(dims=2, in_channels=3, outputs={'classes': slice(0, 2, None)}, divisor=2, shrink=0)
    """
    declared = declared_traits(net)
    if declared is not None:
        return declared
    dims, channels = first_convolution(net)
    with trial(net):
        divisor, side = _divisor(net, dims, channels)
        output = _try(net, dims, channels, side)
    if output is None:  # although the network accepted the same side a moment ago
        raise ModelError(f"{type(net).__name__} returns outputs of different sizes for the same input")
    return Traits(dims, channels, {"classes": slice(0, output.shape[1])}, divisor, (side - output.shape[-1]) // 2)


def declared_traits(net: nn.Module) -> Traits | None:
    """Return the attribute ``traits`` of a network; None if it is missing or of another type."""
    declared = getattr(net, "traits", None)
    return declared if isinstance(declared, Traits) else None


def first_convolution(net: nn.Module) -> tuple[int, int]:
    """Return the number of dimensions and of input channels of the first 2D or 3D convolution.

    Raises
    ------
    ModelError
        If the network has no such convolution.
    """
    for module in net.modules():
        for dims, kinds in _CONVOLUTIONS.items():
            if isinstance(module, kinds):
                return dims, int(module.in_channels)
    raise ModelError(
        f"{type(net).__name__} has no 2D or 3D convolution that shows its input: set its attribute "
        "traits = fijibridge.nn.traits.Traits(dims=..., in_channels=..., outputs=..., divisor=...)"
    )


def _divisor(net: nn.Module, dims: int, channels: int) -> tuple[int, int]:
    """Return the smallest power of two whose multiples the network accepts, and an accepted side.

    Small images are tried first.
    """
    for most in _TRIED[dims]:
        for divisor in (1, 2, 4, 8, 16, 32):
            sides = [most - divisor * k for k in range(min(_MULTIPLES, most // (2 * divisor)))]
            lost = {_lost(_try(net, dims, channels, side), side) for side in sides}
            # All sides must lose the same number of pixels: a network that rounds sides accepts some invalid ones too.
            if len(sides) > 1 and len(lost) == 1 and None not in lost:
                return divisor, most
    raise ModelError(
        f"{type(net).__name__} was tried on {dims}D images with {channels} channel(s) and sides up to {most} px, but "
        "its outputs did not consistently have the input's size, or that size minus a fixed equal margin on each side. "
        "The network must map (B, C, ...) to (B, K, ...); if it does, set its attribute `traits`."
    )


def _lost(output: Tensor | None, side: int) -> int | None:
    return None if output is None else side - output.shape[-1]


def _try(net: nn.Module, dims: int, channels: int, side: int) -> Tensor | None:
    """Return the output for an all-zero image; None if it is not an image of the input's size or of its middle."""
    try:
        output = net(blank_images(net, 1, channels, [side] * dims))
    except (RuntimeError, ValueError):
        return None
    if not isinstance(output, Tensor) or output.ndim != dims + 2 or len(set(output.shape[2:])) > 1:
        return None
    lost = side - output.shape[-1]
    return output if lost >= 0 and lost % 2 == 0 and output.shape[-1] > side // 4 else None


def normalises_by_image(net: nn.Module) -> bool:
    """Return whether a network normalises by statistics of its whole input even in evaluation mode."""
    for module in net.modules():
        if isinstance(module, _InstanceNorm | _BatchNorm):
            if module.running_mean is None:
                return True
        elif isinstance(module, nn.GroupNorm):
            return True
    return False


# --- sides of inputs --------------------------------------------------------------------------------------------------


def takes_side(net: nn.Module, known: Traits, side: int) -> bool:
    """Return whether a side is valid for an input of a network."""
    output_size = getattr(net, "output_size", None)
    if callable(output_size) and known.shrink:
        try:
            return int(output_size(side)) > 0
        except ModelError:
            return False
    return side > 2 * known.shrink and side % known.divisor == 0


def next_side(net: nn.Module, known: Traits, side: int) -> int:
    """Return the smallest valid side of an input that is at least `side`."""
    last = side + 2 * known.shrink + 2 * known.divisor
    return next(n for n in range(max(side, 1), last + 1) if takes_side(net, known, n))


def last_side(net: nn.Module, known: Traits, side: int) -> int | None:
    """Return the largest valid side of an input that is at most `side`; None if there is none."""
    return next((n for n in range(side, 0, -1) if takes_side(net, known, n)), None)
