"""Networks as TorchScript, which runs without Python and without this package."""

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


class ActivatedNetwork(nn.Module):
    """Network with normalisation and activations, so that it returns probabilities as :func:`fijibridge.predict` does.

    Parameters
    ----------
    model
        The trained network; copied to the CPU.

    Notes
    -----
    The normalisation ``"dataset"``, which is equal for all images, is included. Normalisation by each image's
    percentiles is not, because it needs the whole image, whereas the network sees tiles.
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
        """Map (B, C, ...) to (B, K, ...): classes that sum to 1, affinities from 0 to 1, distances of 0 or more."""
        return _activated(self.net((x - self.low) / self.span), self.outputs)


def _activated(output: Tensor, outputs: Mapping[str, slice]) -> Tensor:
    done = {"classes": lambda t: torch.softmax(t, dim=1), "affinity": torch.sigmoid, "distance": torch.relu}
    return torch.cat([done[name](output[:, part]) for name, part in outputs.items()], dim=1)


def _scale(levels: Levels | None, dims: int) -> tuple[Tensor, Tensor]:
    """Return offset and divisor, (1, C, 1, 1); 0 and 1 if each image is scaled by its own percentiles."""
    low, high = torch.tensor(levels or ((0.0, 1.0),), dtype=torch.float32).T.reshape(2, 1, -1, *[1] * dims)
    return low, torch.where(high > low, high - low, torch.ones_like(low))


def answer_of(model: Model, scaled: Tensor) -> Tensor:
    """Return the activated output of the network in memory for scaled images (B, C, ...)."""
    net = copy.deepcopy(model.net).cpu().float().eval()
    with torch.no_grad():
        return _activated(net(scaled), model.traits.outputs)


def read_script(path: Path) -> torch.jit.ScriptModule:
    """Read a script that was just written. TorchScript is code: never read a script from another source."""
    with _without_advice():
        script: torch.jit.ScriptModule = torch.jit.load(str(path))  # type: ignore[no-untyped-call]
    return script


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence torch's advice to use torch.export, whose files programs for bioimage.io models cannot read."""
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
        Inputs (1, C, ...) of two sizes: the first is used to trace the network, both to compare script and network.

    Raises
    ------
    ModelError
        If the network cannot be traced, or the outputs of script and network differ for the second size, because a
        branch or loop of the forward pass depends on the input.
    """
    activated = ActivatedNetwork(model)
    name = type(model.net).__name__
    with torch.no_grad(), _without_advice():
        try:
            script: torch.jit.ScriptModule = torch.jit.trace(  # type: ignore[no-untyped-call]
                activated, first, check_trace=False
            )
            same = all(torch.allclose(script(x), activated(x), rtol=1e-4, atol=1e-5) for x in (first, second))
        except Exception as error:  # an unknown forward pass and torch's tracer may raise anything
            raise ModelError(f"{name} cannot be written as TorchScript: {error}") from error
    if not same:
        raise ModelError(
            f"{name} cannot be written as TorchScript: for images of {tuple(second.shape[2:])} px, the script and "
            "the network differ. A branch or loop of its forward pass depends on the input; remove it"
        )
    return script
