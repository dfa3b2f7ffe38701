"""A network as TorchScript: what it answers, without Python and without this package."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from fijibridge.errors import ModelError
from fijibridge.nn.model import Model
from fijibridge.nn.normalisation import Levels

SCRIPT = "weights.pt"


class Answering(nn.Module):
    """A network that answers with probabilities, as :func:`fijibridge.predict` does, not with logits.

    Parameters
    ----------
    model
        The trained network; it is copied to the CPU.

    Notes
    -----
    What is scaled alike for all images (a normalisation of kind ``"dataset"``) is part of it. What is scaled by each
    image's own percentiles is not: that takes the whole image, of which a network is shown tiles.
    """

    low: Tensor
    span: Tensor

    def __init__(self, model: Model):
        super().__init__()
        self.net = copy.deepcopy(model.net).cpu().float()
        self.outputs = dict(model.traits.outputs)
        low, span = _scale(model.normalisation.values, model.traits.dims)
        self.register_buffer("low", low)
        self.register_buffer("span", span)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        """Return (B, K, ...) from (B, C, ...): classes sum to 1, affinities are from 0 to 1, distances 0 and more."""
        return _activated(self.net((x - self.low) / self.span), self.outputs)


def _activated(output: Tensor, outputs: Mapping[str, slice]) -> Tensor:
    done = {"classes": lambda t: torch.softmax(t, dim=1), "affinity": torch.sigmoid, "distance": torch.relu}
    return torch.cat([done[name](output[:, part]) for name, part in outputs.items()], dim=1)


def _scale(levels: Levels | None, dims: int) -> tuple[Tensor, Tensor]:
    """Return what is subtracted and divided by, (1, C, 1, 1); 0 and 1 where each image is scaled by itself."""
    low, high = torch.tensor(levels or ((0.0, 1.0),), dtype=torch.float32).T.reshape(2, 1, -1, *[1] * dims)
    return low, torch.where(high > low, high - low, torch.ones_like(low))


def answer_of(model: Model, scaled: Tensor) -> Tensor:
    """Return what the network itself, as it is in memory, answers to images (B, C, ...) that are scaled already."""
    net = copy.deepcopy(model.net).cpu().float().eval()
    with torch.no_grad():
        return _activated(net(scaled), model.traits.outputs)


def read_script(path: Path) -> torch.jit.ScriptModule:
    """Read a script that was just written; never one from elsewhere, as TorchScript is code."""
    with _without_advice():
        script: torch.jit.ScriptModule = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return script


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keep torch from asking for torch.export, which what runs bioimage.io models does not read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def script_of(model: Model, first: Tensor, second: Tensor) -> torch.jit.ScriptModule:
    """Return the network as TorchScript.

    Parameters
    ----------
    model
        The trained network.
    first, second
        Inputs (1, C, ...) of two sizes: one to follow the network with, one to see that it is the same for others.

    Raises
    ------
    ModelError
        If the network cannot be followed, or goes another way for another size: a branch or loop of its forward pass
        depends on the input.
    """
    answering = Answering(model)
    name = type(model.net).__name__
    with torch.no_grad(), _without_advice():
        try:
            script: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
                answering, first, check_trace=False
            )
            same = all(torch.allclose(script(x), answering(x), rtol=1e-4, atol=1e-5) for x in (first, second))
        except Exception as error:  # whatever a stranger's forward pass or torch's tracer says
            raise ModelError(f"{name} cannot be written as TorchScript: {error}") from error
    if not same:
        raise ModelError(
            f"{name} cannot be written as TorchScript: for images of {tuple(second.shape[2:])} px the script answers "
            "otherwise than the network. A branch or loop of its forward pass depends on the input; write it without"
        )
    return script
