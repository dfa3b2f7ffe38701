"""Arrays of an image by role, which are checked and converted to the form in which files store them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.dataset.description import ROLES
from fijibridge.errors import DatasetError, ImageError
from fijibridge.image import (
    SPATIAL,
    Array,
    as_image,
    as_labels,
    first_channel,
    imagej_pixels,
    origin,
    pixel_size,
    same_shape,
    time_unit,
    unit,
    values,
)
from fijibridge.messages import naming

CLASSES = {0: "background", 1: "membrane", 255: "ignore"}
"""Meanings of the numbers in stored pixel labels."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # device names on Windows


def checked_name(name: str) -> str:
    """Return the name of an image if it stays in the folder and every operating system can store it.

    Raises
    ------
    DatasetError
        If the name is not allowed; the message shows the forbidden character, if there is one.
    """
    bad = [c for c in name if c in '/\\:*?"<>|{}' or ord(c) < 32 or ord(c) == 127]
    if not name or bad or name[0] in ". " or name[-1] in ". " or len(name.encode()) > 200 or _RESERVED.fullmatch(name):
        reason = f"it contains {bad[0]!r}" if bad else "not every system can store it"
        raise DatasetError(f"{name!r} cannot name the files of an image ({reason}): choose another name")
    return name


def checked_arrays(name: str, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of an image in the form in which they will be written, in the order of the roles.

    Raises
    ------
    DatasetError
        If a role is unknown, the image is missing, shapes or positions differ, or values do not fit their role.
    """
    unknown = sorted(set(arrays) - set(ROLES))
    if unknown or "image" not in arrays:
        what = f"the role {unknown[0]!r} is unknown" if unknown else "there is no 'image'"
        raise DatasetError(f"{name}: {what}; roles are {', '.join(ROLES)}")
    with naming(name, ImageError, becomes=DatasetError):
        image = as_image(arrays["image"])
        ready: dict[str, Array] = {role: _stored(role, arrays[role], image) for role in ROLES if role in arrays}
        same_shape(**{role: first_channel(array) for role, array in ready.items()})
        for array in ready.values():
            imagej_pixels(values(array))
    return ready


def _stored(role: str, array: Array, reference: xr.DataArray) -> xr.DataArray:
    """Return an array in the form in which it will be written; a plain array gets the calibration of its image."""
    if isinstance(array, xr.DataArray):
        image = as_image(array)
    else:
        sizes, starts = pixel_size(reference), origin(reference)
        units = {**dict.fromkeys(SPATIAL, unit(reference)), "t": time_unit(reference)}
        dims = _axes_of_plain(role, np.shape(array), reference)
        image = as_image(array, dims, pixel_size=sizes, origin=starts, unit=units)
    if role == "labels":
        return image.copy(data=as_labels(image))
    if role == "region":
        return image.copy(data=values(image) != 0)
    if role == "classes":
        return image.copy(data=_classes(values(image)))
    return image


def _axes_of_plain(role: str, shape: tuple[int, ...], reference: xr.DataArray) -> str:
    """Return the axes of a plain array: the axes of its image without channels; a prediction may also have channels."""
    axes = "".join(str(d) for d in reference.dims)
    inner = axes.replace("c", "")
    if role in ("image", "prediction") and shape == reference.shape:
        return axes
    choices = [inner, f"c{inner}"] if role == "prediction" else [inner]
    fitting = next((dims for dims in choices if len(dims) == len(shape)), None)
    if fitting is None:
        raise ImageError(
            f"image has shape {reference.shape} ({axes}), but {role} has shape {shape}; expected the axes "
            f"{' or '.join(choices)}: reshape {role}, or name its axes with fijibridge.as_image(array, dims)"
        )
    return fitting


def _classes(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    strange = np.setdiff1d(array, list(CLASSES))
    if strange.size:
        raise ImageError(f"classes contain {strange[:6].tolist()}; expected 0 = other, 1 = membrane, 255 = ignore")
    return array.astype(np.uint8)
