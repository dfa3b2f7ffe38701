"""Axes of images: ``t c z y x`` in this order, and their names in other libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError

DIMS = ("t", "c", "z", "y", "x")
SPATIAL = ("z", "y", "x")
RGB = ("red", "green", "blue")
_ALIASES = {
    **dict.fromkeys(("t", "time", "times", "frame", "frames"), "t"),
    **dict.fromkeys(("c", "ch", "channel", "channels"), "c"),
    **dict.fromkeys(("z", "pln", "plane", "planes", "slice", "slices"), "z"),
    **dict.fromkeys(("y", "row", "rows"), "y"),
    **dict.fromkeys(("x", "col", "cols", "column", "columns"), "x"),
}
"""Names of axes in other programs, in lower case: pyimagej ``row col pln ch t``, ImageJ2 ``X Y Z Channel Time``."""

_NO_SINGLE_COLUMN = 16
"""Height from which an image that is one pixel wide is thought to have one channel instead."""

Array: TypeAlias = "npt.NDArray[Any] | xr.DataArray"


@overload
def in_order(image: xr.DataArray) -> xr.DataArray: ...


@overload
def in_order(image: npt.NDArray[Any]) -> npt.NDArray[Any]: ...


@overload
def in_order(image: Array) -> Array: ...


def in_order(image: Array) -> Array:
    """Return a DataArray with its axes renamed and sorted to ``t c z y x``.

    Plain arrays, whose axes have no names, and DataArrays with unknown axes are returned unchanged.
    """
    if not isinstance(image, xr.DataArray):
        return image
    named = with_our_axes(image)
    return sort_axes(named) if set(named.dims) <= set(DIMS) else named


def sort_axes(image: xr.DataArray) -> xr.DataArray:
    """Return an image with its axes, which are already named ``t c z y x``, sorted in this order."""
    ordered = tuple(d for d in DIMS if d in image.dims)
    return image if image.dims == ordered else image.transpose(*ordered)


@overload
def with_our_axes(image: xr.DataArray) -> xr.DataArray: ...


@overload
def with_our_axes(image: Any) -> Any: ...


def with_our_axes(image: Any) -> Any:
    """Rename the axes of a DataArray from another library to ``t c z y x``.

    Coordinates are kept, except channel names that are numbers. Attributes are reduced to :func:`plain_attrs`.
    DataArrays with unknown axes, and anything that is not a DataArray, are returned unchanged.
    """
    if not isinstance(image, xr.DataArray) or set(image.dims) <= set(DIMS):
        return image
    found = {d: _ALIASES.get(str(d).lower(), str(d)) for d in image.dims}
    if not set(found.values()) <= set(DIMS) or len(set(found.values())) < len(found):
        return image
    renames = {old: new for old, new in found.items() if old != new}
    # scalar coordinates, such as the depth of a single plane, may have such names too
    renames |= {
        name: new
        for name in image.coords
        if name not in found
        and (new := _ALIASES.get(str(name).lower())) is not None
        and new not in (*found.values(), *image.coords)
    }
    renamed = image.rename(renames)
    if "c" in renamed.coords and np.issubdtype(renamed.coords["c"].dtype, np.number):
        renamed = renamed.drop_vars("c")
    about = image.attrs.get("imagej")
    for old, new in found.items():
        # older versions of pyimagej store the pixel size of axes of length 1 here
        step = about.get(f"{old}_axis_scale") if isinstance(about, Mapping) else None
        if step and new in renamed.coords and new != "c":
            renamed = renamed.assign_coords({new: renamed.coords[new].assign_attrs(pixel_size=float(step))})
    return renamed.drop_attrs(deep=False).assign_attrs(plain_attrs(image.attrs))


def plain_attrs(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the attributes that can be stored in files: strings, numbers, and arrays or lists of strings or numbers.

    Examples
    --------
    >>> plain_attrs({"a": 1, "b": [2.5, "x"], "c": {"d": 1}, "e": None})
    {'a': 1, 'b': [2.5, 'x']}
    """
    return {str(name): value for name, value in attrs.items() if _is_plain(value)}


def _is_plain(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "biufUS"
    if type(value) in (list, tuple):
        return all(type(one) in (str, bool, int, float) or isinstance(one, np.generic) for one in value)
    return type(value) in (str, bytes, bool, int, float) or isinstance(value, np.generic)


def check_axes(found: Sequence[str]) -> None:
    """Refuse unknown or repeated axes, and images that lack y or x.

    Raises
    ------
    ImageError
        The message lists the axes and says how to name them.
    """
    unknown = [d for d in found if d not in DIMS]
    if unknown or len(set(found)) != len(found) or not {"y", "x"} <= set(found):
        raise ImageError(
            f"axes are {tuple(found)}; expected y and x, and at most one each of t, c, z: give dims='zyx' or the like"
        )


def refuse_channels_last(shape: tuple[int, ...]) -> None:
    """Refuse the shape of a plain array if it does not have 2 to 5 axes, or seems to have colours in its last axis.

    Raises
    ------
    ImageError
        The message says how to name the axes.
    """
    if not 2 <= len(shape) <= 5:
        raise ImageError(f"the array has shape {shape}; expected 2 to 5 axes out of t c z y x")
    if len(shape) >= 3 and shape[-1] == 1 and shape[-2] >= _NO_SINGLE_COLUMN:
        raise ImageError(
            f"shape {shape} looks like a channel in the last axis: give array[..., 0], or "
            f"dims={last_dims(len(shape))!r} for an image that really is one pixel wide"
        )
    if len(shape) >= 3 and shape[-1] in (3, 4) and shape[-2] > 4 * shape[-1]:
        raise ImageError(
            f"shape {shape} looks like colours in the last axis: give fijibridge.as_image(array, "
            f"dims={'tzyxc'[5 - len(shape) :]!r}) for colours, "
            f"or dims={'tczyx'[5 - len(shape) :]!r} for an image that really is {shape[-1]} pixels wide"
        )


def last_dims(ndim: int) -> str:
    """Return the default axes of an array with `ndim` dimensions: the last `ndim` of ``t c z y x``."""
    return "".join(DIMS[-ndim:])


def channel_names(labels: Sequence[str], channels: int) -> list[str] | None:
    """Return channel names from the labels of all planes; None if the planes of a channel differ in label.

    Examples
    --------
    >>> channel_names(["other", "membrane", "other", "membrane"], 2)
    ['other', 'membrane']
    >>> channel_names(["z1 c1", "z1 c2", "z2 c1", "z2 c2"], 2)
    """
    names = list(labels[:channels])
    named = channels > 1 and len(set(names)) == channels and all(names)
    return names if named and all(label == names[i % channels] for i, label in enumerate(labels)) else None
