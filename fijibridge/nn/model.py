"""A network with all that is needed to use it again, and its file.

One safetensors file: the weights, and in its header a JSON text with architecture, normalisation, classes, axes
and pixel size. Nothing in it is executed on reading.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fijibridge.errors import ModelError
from fijibridge.files import atomic
from fijibridge.nn.unet import UNet

FORMAT = 1
FILE_NAME = "model.safetensors"


@dataclass(frozen=True)
class Normalisation:
    """Bring an image's intensities to a common scale: two percentiles of it become 0 and 1.

    Attributes
    ----------
    low, high : float
        The percentiles, of each channel of each image.
    """

    low: float = 1.0
    high: float = 99.8

    def __call__(self, image: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the scaled image; (C, ...) with the channel in front, `float32`."""
        if not np.isfinite(image).all():
            raise ModelError("the image holds NaN or infinite values: replace them, or crop them away")
        flat = image.reshape(len(image), -1)
        low, high = (a.reshape(-1, *[1] * (image.ndim - 1)) for a in np.percentile(flat, (self.low, self.high), axis=1))
        span = np.where(high > low, high - low, 1.0)
        return np.asarray((image - low) / span, np.float32)


@dataclass(frozen=True)
class Model:
    """A trained network and what it was trained on.

    Attributes
    ----------
    net : UNet
        Weights and architecture.
    classes : tuple of str
        Names of the output channels.
    normalisation : Normalisation
        Applied to an image before the network.
    pixel_size : dict
        Mean pixel size of the training images per axis, in `unit`; empty if unknown.
    unit : str
        Of `pixel_size`.
    notes : dict
        Anything about its origin: data, provenance, epochs.
    """

    net: UNet
    classes: tuple[str, ...]
    normalisation: Normalisation = field(default_factory=Normalisation)
    pixel_size: dict[str, float] = field(default_factory=dict)
    unit: str = "pixel"
    notes: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the model as one safetensors file, atomically, and return its path."""
        target = Path(path)
        about = {
            "format": FORMAT, "architecture": "UNet", "config": self.net.config, "classes": list(self.classes),
            "normalisation": asdict(self.normalisation), "pixel_size": self.pixel_size, "unit": self.unit,
            "notes": self.notes,
        }  # fmt: skip
        weights = {name: tensor.detach().cpu().contiguous() for name, tensor in self.net.state_dict().items()}
        with atomic(target) as temporary:
            save_file(weights, temporary, metadata={"fijibridge": json.dumps(about)})
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Model:
        """Read a model file, or the model in a run's folder.

        Raises
        ------
        ModelError
            If there is none, or it is not ours, or from a newer version.
        """
        source = Path(path)
        source = source / FILE_NAME if source.is_dir() else source
        if not source.is_file():
            raise ModelError(f"no model at {source}; expected a run's folder or its {FILE_NAME}")
        about, weights = _read(source)
        net = UNet(**about["config"])
        try:
            net.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelError(f"{source}: the weights do not fit the network it describes: {error}") from error
        net.eval()
        return cls(
            net=net, classes=tuple(about["classes"]), normalisation=Normalisation(**about["normalisation"]),
            pixel_size=about["pixel_size"], unit=about["unit"], notes=about["notes"],
        )  # fmt: skip


def _read(source: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        with safe_open(source, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("fijibridge", "null"))
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelError(f"{source} is not a readable safetensors file: {error}") from error
    if about is None:
        raise ModelError(f"{source} was not written by fijibridge: it does not say which network its weights are for")
    if about.get("format") != FORMAT or about.get("architecture") != "UNet":
        raise ModelError(
            f"{source} has format {about.get('format')} and architecture {about.get('architecture')!r}; "
            f"this version reads format {FORMAT}, 'UNet': update fijibridge"
        )
    return about, weights
