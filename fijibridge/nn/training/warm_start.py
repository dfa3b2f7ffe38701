"""Going on from a trained network with other data: what differs is said, or refused."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.nn.model import Model
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.training.settings import Settings

NEAR = 1.25
"""Pixel sizes that differ by less than this factor are the same for a network."""
FAR = 3.0
"""From this factor on, what the network has learnt to see is not there."""


def check_warm_start(
    model: Model,
    normalisation: Normalisation | None,
    size: tuple[Mapping[str, float], str] | None,
    settings: Settings,
) -> None:
    """Compare what a network was trained on with what it is to be trained on.

    Parameters
    ----------
    model
        The trained network.
    normalisation
        The one that was asked for, if any.
    size
        Mean pixel size of the new images by axis, and its unit; None for batches, of which neither that nor the width
        of the membranes is known.
    settings
        Of the new training.

    Raises
    ------
    TrainingError
        If the classes differ, the normalisation asked for is another, or pixels are 3 times as large or small.

    Warns
    -----
    FijiBridgeWarning
        If pixel sizes differ by more than a quarter, one is not known, or membranes are of another width.
    """
    if tuple(settings.classes) != tuple(model.classes[: len(settings.classes)]):
        raise TrainingError(
            f"the network knows the classes {list(model.classes)}, the new data have {list(settings.classes)}: a class "
            "id would change its meaning. Give classes= in the old order, or train a new network"
        )
    if normalisation is not None and normalisation != model.normalisation:
        raise TrainingError(
            f"the network was trained on images scaled by {model.normalisation}, asked for is {normalisation}: leave "
            "normalisation out, to scale as before"
        )
    if size is None:
        return
    _compare_sizes(model, *size)
    width = model.notes.get("membrane_width", model.notes.get("width"))
    if width is not None and width != settings.membrane_width:
        _warn(f"the network learnt membranes {width:g} px wide, the new targets have {settings.membrane_width:g} px")


def _compare_sizes(model: Model, size: Mapping[str, float], unit: str) -> None:
    if model.unit != unit:
        known = (f"the network's pixels are in {model.unit}", f"the new images' in {unit}")
        _warn(f"{known[0]}, {known[1]}: whether they are of one size is not known")
        return
    if unit == "pixel":
        return
    for axis in ("z", "y", "x"):
        if axis not in size or axis not in model.pixel_size:
            continue
        ratio = size[axis] / model.pixel_size[axis]
        text = (
            f"pixels are {size[axis]:g} {unit} in {axis}, the network was trained on {model.pixel_size[axis]:g}: "
            f"rescale the images (fijibridge.downscale, upscale)"
        )
        if not 1 / FAR < ratio < FAR:
            raise TrainingError(text)
        if not 1 / NEAR < ratio < NEAR:
            _warn(text)


def _warn(text: str) -> None:
    warnings.warn(text, FijiBridgeWarning, stacklevel=5)
