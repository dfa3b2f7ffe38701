"""Reader of the image descriptions that the Java method ``fijibridge.Images.describe`` writes; it needs no Java."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fijibridge.imagej.hyperstack import MODES, Facts, signed_ranges
from fijibridge.imagej.lookup_table import LookupTable

KEYS = frozenset({
    "title", "type", "counts", "height", "width", "pixel_size", "origin", "units", "interval", "time_unit", "id",
    "slice_labels", "luts", "display_ranges", "mode", "info", "properties", "calibration_function", "path",
})  # fmt: skip
"""All keys that a description may contain."""


def is_rgb(said: Mapping[str, Any]) -> bool:
    """Return whether each pixel of the described image consists of three colours."""
    return bool(said["type"] == "RGB")


def is_signed(said: Mapping[str, Any]) -> bool:
    """Return whether the described image has ImageJ's signed 16-bit type."""
    return bool(said["type"] == "signed 16-bit")


def facts_of(said: Mapping[str, Any]) -> Facts:
    """Convert the description of an image to its properties.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the description does not have the form that Java writes.
    """
    return Facts(
        title=str(said["title"]), rgb=is_rgb(said), channels=int(said["counts"][1]),
        pixel_size=_three(said["pixel_size"]), origin=_three(said["origin"]),
        units=tuple(str(name) for name in said["units"]),  # type: ignore[arg-type]
        interval=float(said["interval"]), time_unit=str(said["time_unit"]), about=_about(said),
    )  # fmt: skip


def _three(numbers: Sequence[float]) -> tuple[float, float, float]:
    z, y, x = (float(number) for number in numbers)
    return z, y, x


def _about(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return all properties except pixels and calibration, in the form of :func:`fijibridge.imagej_info`."""
    about: dict[str, Any] = {"id": int(said["id"]), "type": str(said["type"])}
    if said.get("slice_labels"):
        about["slice_labels"] = [str(label or "") for label in said["slice_labels"]]
    if said.get("luts"):
        ranges = [(float(low), float(high)) for low, high in said["display_ranges"]]
        about["luts"] = [LookupTable(bytes.fromhex(table)) for table in said["luts"]]
        about["display_ranges"] = signed_ranges(ranges, is_signed(said))
        if said.get("mode") is not None:
            about["mode"] = MODES.get(int(said["mode"]), "composite")
    if said.get("info") is not None:
        about["info"] = str(said["info"])
    pairs = [str(text) for text in said.get("properties") or ()]
    if pairs:
        about["properties"] = dict(zip(pairs[::2], pairs[1::2], strict=False))
    function = said.get("calibration_function")
    if function is not None:
        about["calibration_function"] = {
            "function": int(function["function"]), "coefficients": [float(c) for c in function["coefficients"]],
            "unit": str(function["unit"]),
        }  # fmt: skip
    if said.get("path") is not None:
        about["path"] = str(said["path"])
    return about
