"""Model: a network with its normalisation, class names and pixel size, and the file that stores it.

A model is stored as one safetensors file. The file contains the weights; JSON in its header describes the architecture,
normalisation, classes and pixel size. Reading the file executes no code.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.files import atomic
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.traits import Traits, traits
from fijibridge.nn.unet import UNet
from fijibridge.record import MODEL

FORMAT = 1
FILE_NAME = MODEL


@dataclass(frozen=True)
class Model:
    """Trained network with everything needed to use it.

    Attributes
    ----------
    net : torch.nn.Module
        The network: a :class:`fijibridge.UNet` or any other module.
    classes : tuple of str
        Names of the output channels.
    normalisation : Normalisation
        Normalisation applied to an image before the network.
    pixel_size : dict
        Mean pixel size of the training images along each axis, in `unit`; empty if unknown.
    unit : str
        Unit of `pixel_size`.
    notes : dict
        Further facts about the training: data, provenance, number of epochs.
    """

    net: nn.Module
    classes: tuple[str, ...]
    normalisation: Normalisation = field(default_factory=Normalisation)
    pixel_size: dict[str, float] = field(default_factory=dict)
    unit: str = "pixel"
    notes: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as one safetensors file, atomically, and return its path.

        Raises
        ------
        OSError
            If the file cannot be written; an existing file is left unchanged.
        """
        target = Path(path)
        ours = isinstance(self.net, UNet)
        about = {
            "format": FORMAT, "architecture": "UNet" if ours else type(self.net).__qualname__,
            "config": self.net.config if isinstance(self.net, UNet) else {}, "classes": list(self.classes),
            "normalisation": asdict(self.normalisation), "pixel_size": self.pixel_size, "unit": self.unit,
            "notes": self.notes,
        }  # fmt: skip
        weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self.net.state_dict().items()}
        try:
            with atomic(target) as temporary:
                save_file(weights, temporary, metadata={"fijibridge": json.dumps(about)})
        except SafetensorError as error:  # on a full disk, for example
            raise OSError(f"{target} cannot be written: {error}") from error
        return target

    @property
    def traits(self) -> Traits:
        """Requirements on the input and output of the network."""
        return traits(self.net)

    @classmethod
    def load(cls, path: str | os.PathLike[str], net: nn.Module | None = None) -> Model:
        """Read a model file, or the model in a run's folder.

        Parameters
        ----------
        path
            Path of the file or the folder.
        net
            Instance of the network into which the weights are loaded. It is required for an architecture other than
            :class:`fijibridge.UNet`, because code is never read from a file.

        Raises
        ------
        ModelError
            If there is no model at `path`, the weights do not fit the network, or the file is damaged or was written by
            another program or a newer version.
        """
        source = Path(path)
        source = source / FILE_NAME if source.is_dir() else source
        if not source.is_file():
            raise ModelError(f"there is no model at {source}; expected a run's folder or its {FILE_NAME}")
        about, weights = _read(source)
        network = _network(source, about, weights, net)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(f"{source}: the weights do not fit the network: {error}") from error
        network.eval()
        _check_weights(source, weights)
        _check_names(source, about.get("classes"), traits(network).n_outputs)
        try:
            return cls(
                net=network, classes=tuple(about["classes"]),
                normalisation=Normalisation(**about["normalisation"]),
                pixel_size=dict(about["pixel_size"]), unit=str(about["unit"]), notes=dict(about["notes"]),
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{source} has an invalid description: {error!r}") from error


def _network(source: Path, about: dict[str, Any], weights: dict[str, Any], net: nn.Module | None) -> nn.Module:
    """Create the network that a file describes.

    The network is first created on the device "meta", which allocates no memory, because an untrusted file may describe
    a network of any size.
    """
    architecture = about.get("architecture")
    if net is not None:
        if not isinstance(net, UNet) and type(net).__qualname__ != architecture:
            raise ModelError(f"{source} contains the weights of a {architecture}, not of a {type(net).__qualname__}")
        return net
    if architecture != "UNet":
        raise ModelError(
            f"{source} contains the weights of {architecture!r}, a network defined in your own code: load it with "
            f"Model.load(path, net={architecture}(...))"
        )
    try:
        _check_numbers(about["config"], weights)
        with torch.device("meta"):
            planned = UNet(**about["config"])
    except (KeyError, TypeError, AttributeError, ArithmeticError, ValueError, RuntimeError) as error:
        raise ModelError(f"{source} does not describe a valid network: {error}") from error
    shapes = {name: tuple(tensor.shape) for name, tensor in planned.state_dict().items()}
    if shapes != {name: tuple(tensor.shape) for name, tensor in weights.items()}:
        raise ModelError(f"{source}: the weights do not fit the network that the file describes")
    return UNet(**about["config"])


_DEEPEST = 32  # largest number of poolings; with more, an image would need sides of more than 4e9 pixels


def _check_numbers(config: dict[str, Any], weights: dict[str, Any]) -> None:
    """Refuse numbers so large that creating the network would take very long even without allocating memory.

    A valid number is never larger than the number of weights in the file.
    """
    most = {"depth": min(len(weights), _DEEPEST)}
    for name in ("in_channels", "n_classes", "depth", "width"):
        number, limit = config.get(name), most.get(name, sum(tensor.numel() for tensor in weights.values()))
        if isinstance(number, int) and number > limit:
            raise ModelError(f"{name} is {number:.3g}, but the file has too few weights for it")


def _check_weights(source: Path, weights: dict[str, Any]) -> None:
    spoilt = [name for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if spoilt:
        raise ModelError(
            f"{source}: the weights {spoilt[0]} contain NaN or infinite values: use the model of another run"
        )


def _check_names(source: Path, classes: object, channels: int) -> None:
    named = isinstance(classes, list) and all(isinstance(name, str) for name in classes) and len(classes) == channels
    if not named:
        raise ModelError(
            f"{source} has the class names {classes!r}; expected one for each of the {channels} output channels"
        )


def _read(source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(source, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("fijibridge", "null"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{source} is not a readable safetensors file: {error}") from error
    if about is None:
        raise ModelError(f"{source} was not written by fijibridge: its header does not describe the network")
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        found = about.get("format") if isinstance(about, dict) else about
        raise ModelError(f"{source} has format {found}; this version reads format {FORMAT}: update fijibridge")
    return about, weights
