"""What training makes small, over the pixels whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from fijibridge.cells.targets.from_labels import IGNORE

Kind: TypeAlias = Literal["cross_entropy+dice", "cross_entropy", "dice"]


@dataclass(frozen=True)
class Loss:
    """The loss of all heads of a network.

    Parameters
    ----------
    kind
        Of the classes: ``"cross_entropy+dice"``, or one of the two.
    outputs
        Which channels of the network's output are what, as :func:`fijibridge.nn.traits.traits` tells.
    distance, affinity
        How much these heads count beside the classes.

    Notes
    -----
    Called with (output, y, weight). `output` is (B, K, ...); y is (B, ...) class ids, or (B, 1 + E, ...) floats with
    the class ids in front and a channel for each further head in the order of `outputs`: distances in pixels for
    ``distance``, cell ids for ``affinity``. Where the class id is 255 or the weight 0, nothing counts. What is larger
    than the output (of "valid" convolutions) is cropped to its middle. Distances are compared by the smooth L1 loss,
    divided by 1 + distance; affinities (whether a pixel and the one before it on an axis are of one cell) by binary
    cross entropy over pairs of which both ends are known.
    """

    kind: Kind = "cross_entropy+dice"
    outputs: Mapping[str, slice] = field(default_factory=lambda: {"classes": slice(0, 2)})
    distance: float = 1.0
    affinity: float = 1.0

    def __call__(self, output: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        output = output.float()  # half precision would round sums over many pixels
        y, weight = centre(y, output), centre(weight, output)
        heads = y.ndim == output.ndim
        target = (y[:, 0] if heads else y).long()
        loss = segmentation_loss(output[:, self.outputs["classes"]], target, weight, self.kind)
        known = ((target != IGNORE) & (weight > 0)).float()
        for number, name in enumerate(list(self.outputs)[1:], start=1):
            value = output[:, self.outputs[name]]
            if name == "distance":
                loss = loss + self.distance * _distance_loss(value[:, 0], y[:, number], known)
            else:
                loss = loss + self.affinity * _affinity_loss(value, y[:, number], known)
        return loss


def centre(array: Tensor, output: Tensor) -> Tensor:
    """Return the middle of an array, as large as an output.

    Examples
    --------
    >>> centre(torch.arange(6)[None], torch.zeros(1, 1, 2))
    tensor([[2, 3]])
    """
    spatial = output.shape[2:]
    for axis, size in enumerate(spatial, start=array.ndim - len(spatial)):
        array = array.narrow(axis, (array.shape[axis] - size) // 2, size)
    return array


def segmentation_loss(logits: Tensor, target: Tensor, weight: Tensor, kind: Kind = "cross_entropy+dice") -> Tensor:
    """Return weighted cross entropy plus soft Dice loss, or one of them, over pixels with known truth.

    Parameters
    ----------
    logits
        (B, K, ...) floats.
    target
        (B, ...) class ids, 255 = unknown: such pixels count nowhere.
    weight
        (B, ...) weight of each pixel; those of weight 0 count nowhere.
    kind
        ``"cross_entropy+dice"``, ``"cross_entropy"`` or ``"dice"``.

    Notes
    -----
    Dice is 1 - mean over classes of 2 sum(w p t) / sum(w (p + t)) (Milletari et al. 2016, with p instead of p**2).
    """
    known = torch.where(target == IGNORE, 0.0, weight)
    target = torch.where(known > 0, target, IGNORE)
    loss = logits.new_zeros(())
    if "cross_entropy" in kind:
        entropy = functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")  # (B, ...)
        loss = loss + (entropy * known).sum() / known.sum().clamp(min=1e-6)
    if "dice" in kind:
        loss = loss + _dice(logits, target, known)
    return loss


def _dice(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    p = torch.softmax(logits, dim=1)  # (B, K, ...)
    safe = torch.where(target == IGNORE, 0, target)
    t = functional.one_hot(safe, logits.shape[1]).movedim(-1, 1).to(p.dtype)  # (B, K, ...)
    w = known.unsqueeze(1)
    axes = [0, *range(2, p.ndim)]
    dice = (2 * (w * p * t).sum(axes) + 1) / ((w * (p + t)).sum(axes) + 1)
    return 1 - dice.mean()


def _distance_loss(found: Tensor, true: Tensor, known: Tensor) -> Tensor:
    true = torch.where(known > 0, true, 0)
    difference = functional.smooth_l1_loss(found, true, reduction="none") / (1 + true)
    return (difference * known).sum() / known.sum().clamp(min=1)


def _affinity_loss(logits: Tensor, cells: Tensor, known: Tensor) -> Tensor:
    """Return the loss of (B, D, ...) logits, channel d that of a pixel and the one before it on spatial axis d."""
    loss, pairs = logits.new_zeros(()), logits.new_zeros(())
    for channel in range(logits.shape[1]):
        axis, size = channel + 1, cells.shape[channel + 1]
        here, before = cells.narrow(axis, 1, size - 1), cells.narrow(axis, 0, size - 1)
        both = known.narrow(axis, 1, size - 1) * known.narrow(axis, 0, size - 1)
        same = ((here == before) & (here > 0)).to(logits.dtype)
        entropy = functional.binary_cross_entropy_with_logits(
            logits[:, channel].narrow(axis, 1, size - 1), same, reduction="none"
        )
        loss, pairs = loss + (entropy * both).sum(), pairs + both.sum()
    return loss / pairs.clamp(min=1)
