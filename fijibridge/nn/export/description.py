"""Description of an exported model: the files ``rdf.yaml`` and ``README.md`` of bioimage.io."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch

from fijibridge.errors import ModelError
from fijibridge.image import usual_unit
from fijibridge.nn.export.tiles import Tiles
from fijibridge.nn.export.torchscript import SCRIPT
from fijibridge.nn.model import FILE_NAME, Model

Authors: TypeAlias = str | Mapping[str, str] | Sequence[str | Mapping[str, str]]

FORMAT = "0.5.3"
"""Version of the format. Later versions add nothing needed here, and describe files in a way that deepImageJ cannot
read (it requires ``documentation`` to be a string)."""

_UNITS = {"nm": "nanometer", "um": "micrometer", "mm": "millimeter", "cm": "centimeter", "m": "meter", "inch": "inch"}
_AUTHOR = ("name", "affiliation", "email", "github_user", "orcid")


def describe_model(
    model: Model, tiles: Sequence[Tiles], test: np.ndarray[Any, Any], channels: Sequence[str], words: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of ``rdf.yaml``, without the checksums of the files.

    Parameters
    ----------
    model
        The model.
    tiles
        Valid input sizes along each axis.
    test
        Unscaled test image, (1, C, [Z,] Y, X).
    channels
        Names of the image's channels.
    words
        Values given by the user: name, description, authors, license, cite, tags.
    """
    only_probabilities = "distance" not in model.traits.outputs
    return {
        "format_version": FORMAT, "type": "model", **words, "version": "1.0.0",
        "documentation": "README.md", "covers": ["cover.png"],
        "inputs": [{
            "id": "image", "description": "the image as acquired by the microscope, not scaled",
            "axes": _batch_and_channels(channels) + [_input_axis(t, model) for t in tiles],
            "data": {"type": "float32"}, "preprocessing": preprocessing(model, tiles, test),
            "test_tensor": {"source": "test_input.npy"},
        }],
        "outputs": [{
            "id": "prediction", "description": _summary(model.classes),
            "axes": _batch_and_channels(model.classes) + [_output_axis(t, model) for t in tiles],
            "data": {"type": "float32"} | ({"range": [0.0, 1.0]} if only_probabilities else {}),
            "test_tensor": {"source": "test_output.npy"},
        }],
        "weights": {"torchscript": {
            "source": SCRIPT, "pytorch_version": torch.__version__.split("+")[0],
        }},
        "attachments": [{"source": FILE_NAME}],
        "config": {"fijibridge": {"version": version("fijibridge"), "classes": list(model.classes), **model.notes}},
    }  # fmt: skip


def _summary(classes: Sequence[str]) -> str:
    return f"probabilities of {', '.join(classes)}"[:128]


def preprocessing(model: Model, tiles: Sequence[Tiles], test: np.ndarray[Any, Any]) -> list[dict[str, Any]]:
    """Return the format's description of the scaling that is applied to an image before the network.

    ``scale_range`` maps two percentiles of each image and channel to 0 and 1. Levels that are equal for all images are
    part of the network instead. The format adds an epsilon to the divisor; it is kept small compared with the intensity
    range of the image.
    """
    scaled = model.normalisation
    if scaled.kind == "dataset":
        return []
    kwargs: dict[str, Any] = {
        "axes": [t.axis for t in tiles], "min_percentile": float(scaled.low), "max_percentile": float(scaled.high),
    }  # fmt: skip
    least = min(high - low for low, high in scaled.levels(test[0]))
    if least < 1:
        kwargs["eps"] = float(max(1e-6 * least, 1e-30))
    return [{"id": "scale_range", "kwargs": kwargs}]


def _batch_and_channels(names: Sequence[str]) -> list[dict[str, Any]]:
    return [{"type": "batch"}, {"type": "channel", "channel_names": list(names)}]


def _input_axis(tiles: Tiles, model: Model) -> dict[str, Any]:
    return {
        "type": "space", "id": tiles.axis, "size": {"min": tiles.least, "step": tiles.step},
        **_calibration(tiles.axis, model),
    }  # fmt: skip


def _output_axis(tiles: Tiles, model: Model) -> dict[str, Any]:
    size = {"tensor_id": "image", "axis_id": tiles.axis, "offset": -2 * tiles.shrink}
    halo = {"halo": tiles.halo} if tiles.halo else {}
    return {"type": "space", "id": tiles.axis, "size": size, **halo, **_calibration(tiles.axis, model)}


def _calibration(axis: str, model: Model) -> dict[str, Any]:
    """Return pixel size and unit; the size is rounded to 24 bits, so that products and quotients with it are exact."""
    unit = _UNITS.get(usual_unit(model.unit))
    if unit is None or axis not in model.pixel_size:
        return {}
    return {"unit": unit, "scale": float(np.float32(model.pixel_size[axis]))}


def authors_of(given: Authors) -> list[dict[str, str]]:
    """Return the authors in the form that the format requires.

    Raises
    ------
    ModelError
        If there is no author, or an author has no name or an unknown field.

    Examples
    --------
    >>> authors_of("Ada Lovelace")
    [{'name': 'Ada Lovelace'}]
    """
    several = [given] if isinstance(given, str | Mapping) else list(given)
    found = [{"name": one} if isinstance(one, str) else dict(one) for one in several]
    if not found or any(not one.get("name") or not set(one) <= set(_AUTHOR) for one in found):
        raise ModelError(
            f"authors are {given!r}; expected a name, or a list of names or of dicts with {', '.join(_AUTHOR)}"
        )
    return found


def documentation(model: Model, tiles: Sequence[Tiles], words: Mapping[str, Any]) -> str:
    """Return the text of ``README.md``."""
    size = ", ".join(f"{s:g} {model.unit} in {axis}" for axis, s in model.pixel_size.items()) or "unknown"
    whole = [t.axis for t in tiles if not t.halo and not t.shrink]
    parts = [
        f"# {words['name']}", words["description"], "## Training",
        f"- pixel size: {size}. Rescale images with a different pixel size.",
        *(f"- {key}: {value}" for key, value in model.notes.items()),
        "## Input and output",
        f"An image as acquired by the microscope. {_scaling(model)} The channels of the output are "
        f"{', '.join(model.classes)}. Classes are probabilities: the activations are part of the network. Near the "
        "border of an image, the output depends on how the program that runs the model extends the image.",
        *([f"Each tile must cover the whole image along {', '.join(whole)}, where it has no halo."] if whole else []),
        "## From probabilities to cells",
        "In Fiji: threshold the channel of the membranes, or flood its minima (MorphoLibJ, Morphological "
        "Segmentation). In Python: `fijibridge.label_cells`. The folder contains the same model as "
        "`model.safetensors`, which `fijibridge.Model.load` reads.",
        "## Validation",
        "Predict images that were not used for training, segment cells from the probabilities, and match them with "
        "cells drawn by a person: `fijibridge.match_labels` counts pairs with an IoU of at least 0.5.",
    ]  # fmt: skip
    return "\n\n".join(parts).replace("\n\n- ", "\n- ") + "\n"


def _scaling(model: Model) -> str:
    scaled = model.normalisation
    if scaled.kind == "image":
        return (
            f"Its percentiles {scaled.low:g} and {scaled.high:g}, computed over the whole image for each channel, are "
            "mapped to 0 and 1 (`scale_range`)."
        )
    if scaled.values and all(level == (0.0, 1.0) for level in scaled.values):
        return "Its values are not scaled."
    return "Its values are scaled within the network, equally for all images."


def check_package(folder: Path) -> None:
    """Validate a folder with bioimageio.spec, without network access.

    Raises
    ------
    ModelError
        If the model is not valid; the message gives the reason from bioimageio.spec.
    """
    from bioimageio.spec import InvalidDescr, load_description
    from loguru import logger

    logger.disable("bioimageio.spec")  # it would print the text of the error below
    try:
        found = load_description(folder / "rdf.yaml", perform_io_checks=True)
    finally:
        logger.enable("bioimageio.spec")
    if isinstance(found, InvalidDescr):
        raise ModelError(f"bioimageio.spec rejects the model: {found.get_reason()}")
