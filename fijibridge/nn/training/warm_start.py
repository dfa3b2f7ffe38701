"""Warm starts: comparison of a trained network with new training images."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.nn.model import Model
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.training.settings_schema import Settings

NEAR = 1.25
"""Factor between two pixel sizes below which the sizes count as equal."""
FAR = 3.0
"""Factor between pixel sizes above which a warm start is refused."""


def check_warm_start(
    model: Model,
    normalisation: Normalisation | None,
    size: tuple[Mapping[str, float], str] | None,
    settings: Settings,
) -> None:
    """Compare the images on which a network was trained with those of a new training.

    Parameters
    ----------
    model
        The trained network.
    normalisation
        Scaling requested by the user, if any.
    size
        Mean pixel size of the new images by axis, and its unit; None for batches, whose pixel size and membrane width
        are unknown.
    settings
        Settings of the new training.

    Raises
    ------
    TrainingError
        If classes or normalisation differ, or pixel sizes differ by a factor of 3 or more.

    Warns
    -----
    FijiBridgeWarning
        If pixel sizes differ by a factor of 1.25 or more or cannot be compared, or the membrane width differs.
    """
    if tuple(settings.classes) != tuple(model.classes[: len(settings.classes)]):
        raise TrainingError(
            f"the network was trained on the classes {list(model.classes)}, but the new data have "
            f"{list(settings.classes)}: a class id would change its meaning. Pass classes= in the old order, or train "
            "a new network"
        )
    if normalisation is not None and normalisation != model.normalisation:
        raise TrainingError(
            f"the network was trained on images scaled by {model.normalisation}, but got {normalisation}: omit "
            "normalisation to scale as before"
        )
    if size is None:
        return
    _compare_sizes(model, *size)
    width = model.notes.get("membrane_width", model.notes.get("width"))
    if width is not None and width != settings.membrane_width:
        _warn(
            f"the network learnt membranes {width:g} px wide, but the new targets have {settings.membrane_width:g} px"
        )


def _compare_sizes(model: Model, size: Mapping[str, float], unit: str) -> None:
    if model.unit != unit:
        known = (f"the network's pixel size is in {model.unit}", f"the pixel size of the new images is in {unit}")
        _warn(f"{known[0]}, {known[1]}: they cannot be compared")
        return
    if unit == "pixel":
        return
    for axis in ("z", "y", "x"):
        if axis not in size or axis not in model.pixel_size:
            continue
        ratio = size[axis] / model.pixel_size[axis]
        text = (
            f"pixels are {size[axis]:g} {unit} in {axis}, but the network was trained on {model.pixel_size[axis]:g}: "
            f"rescale the images (fijibridge.downscale, upscale)"
        )
        if not 1 / FAR < ratio < FAR:
            raise TrainingError(text)
        if not 1 / NEAR < ratio < NEAR:
            _warn(text)


def _warn(text: str) -> None:
    warnings.warn(text, FijiBridgeWarning, stacklevel=5)
