"""Conversion of arrays to images and back."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.image.axes import (
    DIMS,
    SPATIAL,
    Array,
    check_axes,
    in_order,
    last_dims,
    refuse_channels_last,
    sort_axes,
    with_our_axes,
)
from fijibridge.image.calibration import PerAxis, in_one_unit, per_axis, read_calibration, with_coordinates

ImageT = TypeVar("ImageT", xr.DataArray, npt.NDArray[Any])
"""Type variable for functions that return a DataArray for a DataArray, and a plain array for a plain array."""


def as_image(
    array: npt.ArrayLike | xr.DataArray,
    dims: str | None = None,
    *,
    pixel_size: PerAxis | None = None,
    origin: PerAxis | None = None,
    unit: str | Mapping[str, str] | None = None,
    name: str | None = None,
) -> xr.DataArray:
    """Convert an array to an image with named axes and calibration.

    Parameters
    ----------
    array
        Any array with 2 to 5 dimensions, or a DataArray, whose axes and calibration are kept unless other arguments
        replace them. The axis names of pyimagej's ``ij.py.from_java``, ``(t, pln, row, col, ch)``, are recognized. Dask
        arrays stay dask arrays, and chunked arrays (zarr, HDF5) become dask arrays, so that pixels are read only when
        they are needed.
    dims
        Axes in the array's order, such as ``"yxc"``. The default is the last axes of ``t c z y x``: ``(y, x)``,
        ``(z, y, x)``, ``(c, z, y, x)``. Axes of a DataArray that keep their names keep their calibration.
    pixel_size
        Distance between neighbouring pixels, measured in `unit`: one number for y and x, or a number by axis; for
        ``t``, the frame interval. Axes that the array lacks are allowed, such as z for a single plane.
    origin
        Coordinate of the first pixel's centre, measured in `unit`. By default, the origin in pixels is kept.
    unit
        Unit of the spatial axes; ``"pixel"`` if it is unknown. A mapping by axis can also set the unit of ``t``.
        Lengths along y and z that have another unit than x are converted to it.
    name
        Title of the image.

    Returns
    -------
    xarray.DataArray
        Dimensions in the order ``t c z y x``. The pixels are not copied.

    Raises
    ------
    ImageError
        If an axis is unknown, the last axis seems to contain colours, or a pixel size is not positive.

    Examples
    --------
    >>> as_image(np.zeros((3, 20, 30)), pixel_size={"z": 2, "y": 0.5, "x": 0.5}, unit="um").dims
    ('z', 'y', 'x')
    >>> as_image(np.zeros((20, 30, 3)), dims="yxc").sizes
    Frozen({'c': 3, 'y': 20, 'x': 30})
    >>> as_image(xr.DataArray(np.zeros((20, 30, 3)), dims=("row", "col", "ch"))).dims
    ('c', 'y', 'x')
    """
    image = sort_axes(_named_axes(with_our_axes(array), dims))
    sizes, origins, units = read_calibration(image)
    new_sizes = per_axis(pixel_size, "pixel_size")
    # with a corrected pixel size, the origin stays at the same pixel of the uncropped image
    origins = {d: o * new_sizes.get(d, sizes[d]) / sizes[d] for d, o in origins.items()}
    sizes |= new_sizes
    origins |= per_axis(origin, "origin")
    if isinstance(unit, str):
        units |= dict.fromkeys(SPATIAL, unit)
    elif unit is not None:
        units |= dict(unit)
    bad = [d for d, s in sizes.items() if not (np.isfinite(s) and s > 0)]
    if bad:
        raise ImageError(f"pixel size of axis {bad[0]!r} is {sizes[bad[0]]}; it must be a positive number")
    sizes, origins, units = in_one_unit(sizes, origins, units)
    return with_coordinates(image, sizes, origins, units, image.name if name is None else name)


def _named_axes(array: npt.ArrayLike | xr.DataArray, dims: str | None) -> xr.DataArray:
    """Return a DataArray with checked axis names; the order of the axes is unchanged."""
    if isinstance(array, xr.DataArray) and dims is None:
        check_axes([str(d) for d in array.dims])
        return array
    data = _unread(array.data if isinstance(array, xr.DataArray) else array)
    if dims is None:
        refuse_channels_last(data.shape)
    found = list(dims if dims is not None else last_dims(data.ndim))
    if len(found) != data.ndim:
        raise ImageError(f"the array has {data.ndim} axes, shape {data.shape}, but dims={dims!r} names {len(found)}")
    check_axes(found)
    coords = _kept(array, found) if isinstance(array, xr.DataArray) else None
    return xr.DataArray(data, dims=found, coords=coords, name=getattr(array, "name", None))


def _kept(image: xr.DataArray, dims: Sequence[str]) -> dict[Hashable, xr.Variable]:
    """Return the coordinates of axes that keep their names, and scalar coordinates of axes that are not in `dims`."""
    same = {old for old, new in zip(image.dims, dims, strict=True) if old == new}
    return {
        name: coordinate.variable
        for name, coordinate in image.coords.items()
        if set(coordinate.dims) <= same and (coordinate.dims or name not in dims)
    }


def _unread(data: Any) -> Any:
    """Return chunked arrays (zarr, HDF5) as dask arrays, numpy and dask arrays unchanged, others as numpy arrays."""
    if isinstance(data, np.ndarray) or hasattr(data, "__dask_graph__"):
        return data
    if all(hasattr(data, name) for name in ("shape", "dtype", "chunks")):
        import dask.array as da

        # with name and meta given, dask does not read from the array
        chunks, meta = data.chunks or "auto", np.empty(0, data.dtype)
        return da.from_array(data, chunks=chunks, name=False, meta=meta)  # type: ignore[no-untyped-call]
    return data if hasattr(data, "dtype") and hasattr(data, "ndim") else np.asarray(data)


def like(array: npt.NDArray[Any], image: ImageT, name: str | None = None) -> ImageT:
    """Return a result with the axes and calibration of the image that it was computed from.

    Parameters
    ----------
    array
        The result. Its axes are those of `image` except ``c``; if it has one more axis, its first axis is ``c``.
    image
        Image that `array` was computed from. If it is a plain array, `array` is returned unchanged.
    name
        Name of the result.
    """
    if not isinstance(image, xr.DataArray):
        return array
    image = in_order(image)
    spatial: list[Hashable] = [d for d in image.dims if d != "c"]
    dims = ["c", *spatial] if array.ndim == len(spatial) + 1 else spatial
    order = [d for d in DIMS if d in dims]
    coords = {k: v for k, v in image.coords.items() if "c" not in v.dims and k != "c"}
    result = xr.DataArray(array, dims=dims, coords=coords, name=name)
    return result.transpose(*order)


def values(image: Array) -> npt.NDArray[Any]:
    """Return the pixels as a numpy array; the axes of a DataArray are sorted in the order ``t c z y x``."""
    image = in_order(image)
    return np.asarray(image.values if isinstance(image, xr.DataArray) else image)


@overload
def first_channel(image: xr.DataArray) -> xr.DataArray: ...


@overload
def first_channel(image: Array) -> Array: ...


def first_channel(image: Array) -> Array:
    """Return the first channel of an image, without the axis c; images without channels are returned unchanged."""
    return image.isel(c=0, drop=True) if isinstance(image, xr.DataArray) and "c" in image.dims else image


def single_channel(image: xr.DataArray) -> xr.DataArray:
    """Drop the axis c of labels or a mask that were saved as a colour image with equal channels.

    Raises
    ------
    ImageError
        If the channels differ.
    """
    if "c" not in image.dims:
        return image
    first = first_channel(image)
    if not bool((image == first).all()):
        raise ImageError(f"has {image.sizes['c']} different channels; expected one number per pixel")
    return first
