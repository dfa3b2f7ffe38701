"""Losses over the pixels whose truth is known, each defined once in a registry.

To add a loss, write one function here and decorate it with its name, its head and a summary. This adds it to
:data:`LOSSES`, from which settings, error messages and the documentation list the losses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.messages import hint
from fijibridge.renames import rename_attributes

Compute: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Function of (channels of a head, target, known) that returns a scalar; `known` is the weight of each pixel, 0 where
the truth is unknown."""


@dataclass(frozen=True)
class Definition:
    """A loss of one head of a network.

    Attributes
    ----------
    name : str
        Value of the setting `loss`.
    head : str
        Head from whose channels the loss is computed: ``"classes"``, ``"distance"`` or ``"affinity"``.
    summary : str
        One line for the documentation.
    compute : callable
        Function that computes the loss.
    """

    name: str
    head: str
    summary: str
    compute: Compute


LOSSES: dict[str, Definition] = {}
"""All losses by name. The first one of each head is its default."""

LossName: TypeAlias = str
"""A key of :data:`LOSSES`."""


def define(name: str, head: str, summary: str) -> Callable[[Compute], Compute]:
    """Return a decorator that adds a function to :data:`LOSSES`."""

    def decorate(compute: Compute) -> Compute:
        LOSSES[name] = Definition(name, head, summary, compute)
        return compute

    return decorate


def losses_of(head: str) -> dict[str, Definition]:
    """Return the losses of a head by name.

    Examples
    --------
    >>> list(losses_of("classes"))
    ['cross_entropy+dice', 'cross_entropy', 'dice']
    """
    return {name: loss for name, loss in LOSSES.items() if loss.head == head}


@dataclass(frozen=True)
class Loss:
    """Total loss over all heads of a network.

    Parameters
    ----------
    kind
        Name of the loss of the classes, a key of :data:`LOSSES`.
    outputs
        Channels of each head in the network's output, as in :attr:`fijibridge.nn.traits.Traits.outputs`.
    distance, affinity
        Weights of the losses of the heads with these names; the loss of the classes has weight 1.

    Raises
    ------
    TrainingError
        If there is no loss of that name for the classes.

    Notes
    -----
    A loss is called with (output, y, weight). `output` is (B, K, ...). `y` is (B, ...) class ids, or (B, 1 + E, ...)
    floats: the class ids, then one channel for each further head in the order of `outputs`, with distances in pixels
    for ``distance`` and cell ids for ``affinity``. Pixels with class id 255 or weight 0 do not count. Targets that are
    larger than the output ("valid" convolutions) are cropped to their middle.
    """

    kind: LossName = "cross_entropy+dice"
    outputs: Mapping[str, slice] = field(default_factory=lambda: {"classes": slice(0, 2)})
    distance: float = 1.0
    affinity: float = 1.0

    def __post_init__(self) -> None:
        _loss_named(self.kind)

    def __call__(self, output: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Return the loss, a scalar."""
        output = output.float()  # half precision would lose digits in sums over many pixels
        y, weight = centre(y, output), centre(weight, output)
        heads = y.ndim == output.ndim
        target = (y[:, 0] if heads else y).long()
        loss = segmentation_loss(output[:, self.outputs["classes"]], target, weight, self.kind)
        known = ((target != IGNORE) & (weight > 0)).float()
        weights = {"distance": self.distance, "affinity": self.affinity}
        for number, head in enumerate(list(self.outputs)[1:], start=1):
            compute = next(iter(losses_of(head).values())).compute
            loss = loss + weights[head] * compute(output[:, self.outputs[head]], y[:, number], known)
        return loss


def centre(array: Tensor, output: Tensor) -> Tensor:
    """Crop the middle of an array to the spatial size of an output.

    Examples
    --------
    >>> centre(torch.arange(6)[None], torch.zeros(1, 1, 2))
    tensor([[2, 3]])
    """
    spatial = output.shape[2:]
    for axis, size in enumerate(spatial, start=array.ndim - len(spatial)):
        array = array.narrow(axis, (array.shape[axis] - size) // 2, size)
    return array


def segmentation_loss(logits: Tensor, target: Tensor, weight: Tensor, kind: LossName = "cross_entropy+dice") -> Tensor:
    """Return the loss of the classes over the pixels whose truth is known.

    Parameters
    ----------
    logits
        (B, K, ...) floats.
    target
        (B, ...) class ids; 255 marks pixels with unknown truth, which do not count.
    weight
        (B, ...) weight of each pixel; pixels with weight 0 do not count.
    kind
        Name of a loss of the classes: a key of :data:`LOSSES`.

    Returns
    -------
    torch.Tensor
        A scalar.

    Raises
    ------
    TrainingError
        If there is no loss of that name for the classes.
    """
    known = torch.where(target == IGNORE, 0.0, weight)
    return _loss_named(kind).compute(logits, torch.where(known > 0, target, IGNORE), known)


def _loss_named(name: str) -> Definition:
    known = losses_of("classes")
    if name not in known:
        raise TrainingError(f"loss is {name!r}; expected one of {', '.join(known)}{hint(name, known)}")
    return known[name]


# --- the registry ---------------------------------------------------------------------------------------


@define("cross_entropy+dice", "classes", "sum of cross_entropy and dice")
def cross_entropy_and_dice(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return the sum of cross entropy and soft Dice loss."""
    return cross_entropy(logits, target, known) + dice(logits, target, known)


@define("cross_entropy", "classes", "cross entropy, as a weighted mean over the pixels")
def cross_entropy(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return the weighted mean of the cross entropy."""
    entropy = functional.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")  # (B, ...)
    return (entropy * known).sum() / known.sum().clamp(min=1e-6)


@define("dice", "classes", "1 - mean soft Dice coefficient of the classes; rare and frequent classes count equally")
def dice(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return the soft Dice loss.

    Notes
    -----
    1 - mean over classes of 2 sum(w p t) / sum(w (p + t)) (Milletari et al. 2016, with p instead of p**2).
    """
    p = torch.softmax(logits, dim=1)  # (B, K, ...)
    safe = torch.where(target == IGNORE, 0, target)
    t = functional.one_hot(safe, logits.shape[1]).movedim(-1, 1).to(p.dtype)  # (B, K, ...)
    w = known.unsqueeze(1)  # (B, 1, ...)
    axes = [0, *range(2, p.ndim)]
    coefficient = (2 * (w * p * t).sum(axes) + 1) / ((w * (p + t)).sum(axes) + 1)  # (K,)
    return 1 - coefficient.mean()


@define("relative_distance", "distance", "smooth L1 loss of distances, divided by 1 + distance")
def relative_distance(found: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Return the smooth L1 loss of (B, 1, ...) distances in pixels, divided by 1 + distance."""
    true = torch.where(known > 0, true, 0)
    difference = functional.smooth_l1_loss(found[:, 0], true, reduction="none") / (1 + true)
    return (difference * known).sum() / known.sum().clamp(min=1)


@define("affinity_entropy", "affinity", "binary cross entropy of affinities, over pairs of neighbouring known pixels")
def affinity_entropy(logits: Tensor, cells: Tensor, known: Tensor) -> Tensor:
    """Return the binary cross entropy of (B, D, ...) affinities.

    Channel d states whether a pixel and its predecessor along spatial axis d belong to the same cell.
    """
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


rename_attributes(__name__, {"Kind": "nn.losses:LossName"})
