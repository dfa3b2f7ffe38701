"""What an image is: a :class:`xarray.DataArray` whose axes have names, sizes and units.

The only file that knows axis order. Dimensions are a subset of ``t c z y x`` in that order (OME order, lower
case, absent ones left out). Every axis but ``c`` has a coordinate, the position of each pixel's *centre* in
``unit``; it is derived from a pixel size and an origin that are kept beside it, so that a crop keeps its place::

    >>> import numpy as np
    >>> image = as_image(np.zeros((4, 6)), pixel_size=0.5, unit="um")
    >>> crop = image[2:, 3:]
    >>> origin(crop), pixel_size(crop)
    ({'y': 1.0, 'x': 1.5}, {'y': 0.5, 'x': 0.5})

The size of an axis that is not in the array (the voxel depth of a single plane) lives on as a scalar coordinate.

The axes of other libraries are known by their names: ``t pln row col ch`` of pyimagej's ``ij.py.from_java``, ``TCZYX``
of bioio, ``Channel`` and the like become these.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, overload

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError

DIMS = ("t", "c", "z", "y", "x")
SPATIAL = ("z", "y", "x")
PIXEL = "pixel"
RGB = ("red", "green", "blue")
MICROMETRES = {"nm": 1e-3, "um": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0}
"""Units of length that are understood, and how many micrometres each is."""
_ALIASES = {
    **dict.fromkeys(("t", "time", "times", "frame", "frames"), "t"),
    **dict.fromkeys(("c", "ch", "channel", "channels"), "c"),
    **dict.fromkeys(("z", "pln", "plane", "planes", "slice", "slices"), "z"),
    **dict.fromkeys(("y", "row", "rows"), "y"),
    **dict.fromkeys(("x", "col", "cols", "column", "columns"), "x"),
}
"""Names of the axes in other programs, in lower case: pyimagej ``row col pln ch t``, ImageJ2 ``X Y Z Channel Time``."""
_SAME = {  # the micro sign and the Greek mu look alike
    **dict.fromkeys(("\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometre"), "um"),
    "nanometer": "nm",
    "nanometre": "nm",
    "millimeter": "mm",
    "millimetre": "mm",
}
_MANY = 8  # parts that a single cell does not have
_SCATTERED = 4  # parts that cells do not have on average

Array: TypeAlias = "npt.NDArray[Any] | xr.DataArray"
ImageT = TypeVar("ImageT", xr.DataArray, npt.NDArray[Any])
"""Of a function that gives a calibrated image for a calibrated one, and a plain array for a plain one."""
PerAxis: TypeAlias = "float | Mapping[str, float]"


@dataclass(frozen=True, repr=False)
class LookupTable:
    """The 256 colours in which ImageJ shows grey values.

    Attributes
    ----------
    data : bytes
        256 times red, green, blue.

    Examples
    --------
    >>> LookupTable(bytes(range(256)) * 3)
    LookupTable(#000102 to #fdfeff)
    """

    data: bytes

    @classmethod
    def of(cls, colors: npt.ArrayLike) -> LookupTable:
        """Make one of (256, 3) numbers from 0 to 255.

        Raises
        ------
        ImageError
            If they are not that.
        """
        table = np.asarray(colors)
        if table.shape != (256, 3) or table.min() < 0 or table.max() > 255:
            raise ImageError(f"a lookup table is (256, 3) numbers from 0 to 255, not of shape {table.shape}")
        return cls(table.astype(np.uint8).tobytes())

    @property
    def colors(self) -> npt.NDArray[np.uint8]:
        """(256, 3) ``uint8``."""
        return np.frombuffer(self.data, np.uint8).reshape(256, 3)

    def __repr__(self) -> str:
        return f"LookupTable(#{self.data[:3].hex()} to #{self.data[-3:].hex()})"


def as_image(
    array: npt.ArrayLike | xr.DataArray,
    dims: str | None = None,
    *,
    pixel_size: PerAxis | None = None,
    origin: PerAxis | None = None,
    unit: str | Mapping[str, str] | None = None,
    name: str | None = None,
) -> xr.DataArray:
    """Give an array the axes and the calibration of an image.

    Parameters
    ----------
    array
        Any array of 2 to 5 dimensions, or a DataArray, whose own axes and calibration are kept where no
        argument replaces them; those of pyimagej's ``ij.py.from_java``, ``(t, pln, row, col, ch)``, are known too.
        A dask array stays one, and what lies in chunks (zarr, HDF5) becomes one: nothing is
        read before it is needed.
    dims
        The names of the array's axes in its own order, such as ``"yxc"``. Left out, the last ones of
        ``t c z y x`` are taken: ``(y, x)``, ``(z, y, x)``, ``(c, z, y, x)``. Axes of a DataArray that keep their
        names keep their calibration.
    pixel_size
        Distance between neighbouring pixels, in `unit`: one number for y and x, or one per axis. The axis ``t``
        is the frame interval. Axes that the array does not have are allowed: the depth of a single plane.
    origin
        Coordinate of the centre of the first pixel, in `unit`. Left out, it stays the same number of pixels.
    unit
        Of the spatial axes, ``"pixel"`` if nothing is known; a mapping to give the unit of ``t`` too.
    name
        The title of the image.

    Returns
    -------
    xarray.DataArray
        Dimensions in the order ``t c z y x``. The pixels are not copied.

    Raises
    ------
    ImageError
        If the axes are not known, or look as if a colour axis came last.

    Examples
    --------
    >>> as_image(np.zeros((3, 20, 30)), pixel_size={"z": 2, "y": 0.5, "x": 0.5}, unit="um").dims
    ('z', 'y', 'x')
    >>> as_image(np.zeros((20, 30, 3)), dims="yxc").sizes
    Frozen({'c': 3, 'y': 20, 'x': 30})
    >>> as_image(xr.DataArray(np.zeros((20, 30, 3)), dims=("row", "col", "ch"))).dims
    ('c', 'y', 'x')
    """
    image = _in_order(_named_axes(with_our_axes(array), dims))
    sizes, origins, units = _calibration(image)
    new_sizes = _per_axis(pixel_size, "pixel_size")
    # a crop stays as many pixels away from its image's corner when their size is corrected
    origins = {d: o * new_sizes.get(d, sizes[d]) / sizes[d] for d, o in origins.items()}
    sizes |= new_sizes
    origins |= _per_axis(origin, "origin")
    if isinstance(unit, str):
        units |= dict.fromkeys(SPATIAL, unit)
    elif unit is not None:
        units |= dict(unit)
    bad = [d for d, s in sizes.items() if not (np.isfinite(s) and s > 0)]
    if bad:
        raise ImageError(f"pixel size of axis {bad[0]!r} is {sizes[bad[0]]}; it must be a positive number")
    return _with_coordinates(image, sizes, origins, units, image.name if name is None else name)


@overload
def in_order(image: xr.DataArray) -> xr.DataArray: ...


@overload
def in_order(image: npt.NDArray[Any]) -> npt.NDArray[Any]: ...


@overload
def in_order(image: Array) -> Array: ...


def in_order(image: Array) -> Array:
    """Return an image with the axes of a DataArray in the order ``t c z y x``, whatever others call them.

    What it does not know is returned as it is, and so is a plain array, whose axes have no names.
    """
    if not isinstance(image, xr.DataArray):
        return image
    named = with_our_axes(image)
    return _in_order(named) if set(named.dims) <= set(DIMS) else named


def _in_order(image: xr.DataArray) -> xr.DataArray:
    ordered = tuple(d for d in DIMS if d in image.dims)
    return image if image.dims == ordered else image.transpose(*ordered)


@overload
def with_our_axes(image: xr.DataArray) -> xr.DataArray: ...


@overload
def with_our_axes(image: Any) -> Any: ...


def with_our_axes(image: Any) -> Any:
    """Return a DataArray whose axes have other names under ours; anything else, and one with axes unknown, as it is.

    Coordinates stay, but numbers of channels, which are no names; of the attributes those that are plain values.
    """
    if not isinstance(image, xr.DataArray) or set(image.dims) <= set(DIMS):
        return image
    found = {d: _ALIASES.get(str(d).lower(), str(d)) for d in image.dims}
    if not set(found.values()) <= set(DIMS) or len(set(found.values())) < len(found):
        return image
    renames = {old: new for old, new in found.items() if old != new}
    # coordinates without an axis, such as the depth of a single plane, may have such names too
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
    told = image.attrs.get("imagej")
    for old, new in found.items():
        step = told.get(f"{old}_axis_scale") if isinstance(told, Mapping) else None  # of older versions of pyimagej
        if step and new in renamed.coords and new != "c":
            renamed = renamed.assign_coords({new: renamed.coords[new].assign_attrs(pixel_size=float(step))})
    return renamed.drop_attrs(deep=False).assign_attrs(plain_attrs(image.attrs))


def plain_attrs(attrs: Mapping[Any, Any]) -> dict[str, Any]:
    """Return those attributes that files can hold: texts, numbers, and arrays and lists of them.

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


def _named_axes(array: npt.ArrayLike | xr.DataArray, dims: str | None) -> xr.DataArray:
    if isinstance(array, xr.DataArray) and dims is None:
        _check_axes([str(d) for d in array.dims])
        return array
    data = _unread(array.data if isinstance(array, xr.DataArray) else array)
    if dims is None:
        refuse_channels_last(data.shape)
    found = list(dims if dims is not None else last_dims(data.ndim))
    if len(found) != data.ndim:
        raise ImageError(f"the array has {data.ndim} axes {data.shape} but dims={dims!r} names {len(found)}")
    _check_axes(found)
    coords = _kept(array, found) if isinstance(array, xr.DataArray) else None
    return xr.DataArray(data, dims=found, coords=coords, name=getattr(array, "name", None))


def _kept(image: xr.DataArray, dims: Sequence[str]) -> dict[Hashable, xr.Variable]:
    """Return the coordinates of those axes whose new names are their old ones, and those of axes that are not there."""
    same = {old for old, new in zip(image.dims, dims, strict=True) if old == new}
    return {
        name: coordinate.variable
        for name, coordinate in image.coords.items()
        if set(coordinate.dims) <= same and (coordinate.dims or name not in dims)
    }


def _unread(data: Any) -> Any:
    """Return numpy's and dask's arrays as they are, what lies in chunks (zarr, HDF5) as dask's, others as numpy's."""
    if isinstance(data, np.ndarray) or hasattr(data, "__dask_graph__"):
        return data
    if all(hasattr(data, name) for name in ("shape", "dtype", "chunks")):
        import dask.array as da

        # with name and meta dask need not look into it
        chunks, meta = data.chunks or "auto", np.empty(0, data.dtype)
        return da.from_array(data, chunks=chunks, name=False, meta=meta)  # type: ignore[no-untyped-call]
    return data if hasattr(data, "dtype") and hasattr(data, "ndim") else np.asarray(data)


def _check_axes(found: list[str]) -> None:
    unknown = [d for d in found if d not in DIMS]
    if unknown or len(set(found)) != len(found) or not {"y", "x"} <= set(found):
        raise ImageError(
            f"axes are {tuple(found)}; expected y and x, and at most one each of t, c, z: say dims='zyx' or the like"
        )


def refuse_channels_last(shape: tuple[int, ...]) -> None:
    """Refuse the shape of a plain array that looks as if colours were its last axis, or that is no image's.

    Raises
    ------
    ImageError
        Says how to name the axes.
    """
    if not 2 <= len(shape) <= 5:
        raise ImageError(f"an image has 2 to 5 axes out of t c z y x, this array has shape {shape}")
    if len(shape) >= 3 and shape[-1] in (3, 4) and shape[-2] > 4 * shape[-1]:
        raise ImageError(
            f"shape {shape} looks like colours in the last axis: say fijibridge.as_image(array, "
            f"dims={'tzyxc'[5 - len(shape) :]!r}) for colours, "
            f"or dims={'tczyx'[5 - len(shape) :]!r} for an image that really is {shape[-1]} pixels wide"
        )


def _per_axis(value: PerAxis | None, what: str) -> dict[str, float]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"y": float(value), "x": float(value)}
    unknown = set(value) - set(DIMS) | ({"c"} & set(value))
    if unknown:
        raise ImageError(f"{what} for axis {sorted(unknown)}; axes with a size are t, z, y, x")
    return {d: float(v) for d, v in value.items()}


def _with_coordinates(
    image: xr.DataArray, sizes: dict[str, float], origins: dict[str, float], units: dict[str, str], name: Hashable
) -> xr.DataArray:
    coords: dict[Hashable, Any] = {k: v for k, v in image.coords.items() if k not in DIMS or k == "c"}
    for d in ("t", *SPATIAL):
        if d not in image.dims and d not in sizes:
            continue
        step, first = sizes.get(d, 1.0), origins.get(d, 0.0)
        attrs = {"pixel_size": step, "units": units.get(d, PIXEL if d != "t" else "frame")}
        if d in image.dims:
            coords[d] = (d, first + step * np.arange(image.sizes[d]), attrs)
        else:
            coords[d] = ((), first, attrs)
    return xr.DataArray(image.variable, coords=coords, name=name)


def _calibration(image: xr.DataArray) -> tuple[dict[str, float], dict[str, float], dict[str, str]]:
    """Read sizes, origins and units back from the coordinates, which crops and block means keep right."""
    sizes, origins, units = {}, {}, {}
    image = with_our_axes(image)
    for d in ("t", *SPATIAL):
        if d not in image.coords:
            continue
        coordinate = _undated(image.coords[d])
        values = np.atleast_1d(coordinate.values).astype(float)
        origins[d] = float(values[0])
        units[d] = str(coordinate.attrs.get("units", PIXEL if d != "t" else "frame"))
        sizes[d] = _step(d, values, coordinate.attrs.get("pixel_size"))
    return sizes, origins, units


def _undated(coordinate: xr.DataArray) -> xr.DataArray:
    """Return a coordinate as numbers again that xarray read from a file as spans of time, in the unit of the file."""
    if coordinate.dtype.kind != "m":
        return coordinate
    unit = str(coordinate.encoding.get("units", "seconds"))
    seconds = coordinate.values / np.timedelta64(1, "ns") * 1e-9
    each = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0, "days": 86400.0, "milliseconds": 1e-3}
    kept = unit if unit in each else "seconds"
    return coordinate.copy(data=seconds / each[kept]).assign_attrs(units=kept)


def _step(dim: str, values: npt.NDArray[np.float64], stored: float | None) -> float:
    if len(values) < 2:
        return 1.0 if stored is None else float(stored)
    step = float((values[-1] - values[0]) / (len(values) - 1))
    scale = max(abs(step), 1e-300)
    if step <= 0 or np.abs(np.diff(values) - step).max() > 1e-4 * scale:
        raise ImageError(f"the coordinates of axis {dim!r} are not evenly spaced and rising: {values[:4]} ...")
    close = stored is not None and abs(stored - step) <= 1e-6 * scale
    return float(stored) if close and stored is not None else step


def pixel_size(image: xr.DataArray) -> dict[str, float]:
    """Return the distance between pixels per axis, in :func:`unit`; for ``t`` the frame interval."""
    return _calibration(image)[0]


def origin(image: xr.DataArray) -> dict[str, float]:
    """Return the coordinate of the centre of the first pixel per axis, in :func:`unit`."""
    return _calibration(image)[1]


def unit(image: xr.DataArray) -> str:
    """Return the unit of the spatial axes, ``"pixel"`` where none is known."""
    units = _calibration(image)[2]
    return next((units[d] for d in ("x", "y", "z") if d in units), PIXEL)


def usual_unit(name: str) -> str:
    """Return the usual way to write a unit: ``"um"`` for micrometres in any of their spellings, and the like.

    Examples
    --------
    >>> usual_unit("micron"), usual_unit("pixel")
    ('um', 'pixel')
    """
    return _SAME.get(name, name)


def last_dims(ndim: int) -> str:
    """Return the axes that are taken where nothing says them: the last ones of ``t c z y x``."""
    return "".join(DIMS[-ndim:])


def time_unit(image: xr.DataArray) -> str:
    """Return the unit of the frame interval, ``"frame"`` where none is known."""
    return _calibration(image)[2].get("t", "frame")


def channel_names(labels: Sequence[str], channels: int) -> list[str] | None:
    """Return the names of channels from the labels of all planes, if each channel has one name throughout.

    Examples
    --------
    >>> channel_names(["other", "membrane", "other", "membrane"], 2)
    ['other', 'membrane']
    >>> channel_names(["z1 c1", "z1 c2", "z2 c1", "z2 c2"], 2)
    """
    names = list(labels[:channels])
    named = channels > 1 and len(set(names)) == channels and all(names)
    return names if named and all(label == names[i % channels] for i, label in enumerate(labels)) else None


def like(array: npt.NDArray[Any], image: ImageT, name: str | None = None) -> ImageT:
    """Give a result the spatial axes and calibration of the image that it was computed from.

    Parameters
    ----------
    array
        Spatial axes as in `image`; one axis more in front is taken as ``c``.
    image
        What it was computed from; a plain array gives a plain array back.
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
    """Return the pixels as a plain numpy array; those of a DataArray in the order ``t c z y x``."""
    image = in_order(image)
    return np.asarray(image.values if isinstance(image, xr.DataArray) else image)


@overload
def first_channel(image: xr.DataArray) -> xr.DataArray: ...


@overload
def first_channel(image: Array) -> Array: ...


def first_channel(image: Array) -> Array:
    """Return the first channel of an image, without the axis c; an array without channels as it is."""
    return image.isel(c=0, drop=True) if isinstance(image, xr.DataArray) and "c" in image.dims else image


def same_shape(**images: Array) -> tuple[int, ...]:
    """Check that images have one shape, and return it.

    Raises
    ------
    ImageError
        Names the two that differ.
    """
    (first, reference), *rest = ((name, in_order(image)) for name, image in images.items())
    for other, image in rest:
        if image.shape != reference.shape:
            raise ImageError(
                f"{first} has shape {reference.shape} but {other} {image.shape}: "
                "crop or resample one of them to the pixels of the other"
            )
        _refuse_different_origin(first, reference, other, image)
    return tuple(reference.shape)


def _refuse_different_origin(a: str, first: Array, b: str, second: Array) -> None:
    if not (isinstance(first, xr.DataArray) and isinstance(second, xr.DataArray)):
        return
    steps, other_steps = pixel_size(first), pixel_size(second)
    starts, other_starts = origin(first), origin(second)
    for d in set(first.dims) & set(second.dims) & set(steps) & set(other_steps):
        if abs(steps[str(d)] - other_steps[str(d)]) > 1e-3 * steps[str(d)]:
            raise ImageError(f"pixel size in {d} differs: {a} {steps[str(d)]:g}, {b} {other_steps[str(d)]:g}")
        if abs(starts[str(d)] - other_starts[str(d)]) > 0.01 * steps[str(d)]:
            raise ImageError(
                f"{a} and {b} are crops from different places: {d} starts at {starts[str(d)]:g} and "
                f"{other_starts[str(d)]:g}"
            )


def as_labels(labels: Array, name: str = "labels") -> npt.NDArray[Any]:
    """Return a label image as a plain integer array, or refuse what is none.

    Raises
    ------
    ImageError
        For floats that are not whole numbers, negative ids, and anything but numbers.
    """
    array = values(labels)
    if array.dtype == bool:
        raise ImageError(
            f"{name} is a binary mask, not a label image: number its connected regions first, "
            "with skimage.measure.label(mask, connectivity=1)"
        )
    if np.issubdtype(array.dtype, np.floating) and array.size and np.array_equal(array, np.round(array)):
        array = array.astype(np.int64)
    if not np.issubdtype(array.dtype, np.integer):
        raise ImageError(f"{name} has dtype {array.dtype}; a label image holds whole numbers, 0 = background")
    if np.issubdtype(array.dtype, np.signedinteger) and array.size and array.min() < 0:
        raise ImageError(f"{name} holds the negative id {array.min()}; ids start at 1, 0 = background")
    return array


def as_truth(labels: Array, name: str = "labels") -> npt.NDArray[Any]:
    """Return a label image of true cells as a plain integer array: :func:`as_labels`, and no mask of many cells.

    Raises
    ------
    ImageError
        Also where one id stands for many cells: the only id is 255 (a mask of Fiji) and has several 4-connected
        (6-connected) regions, or is another one and has 8 or more. A single cell of a few parts is none of these.
    """
    array = as_labels(labels, name)
    only = int(array.max()) if array.size else 0
    if only == 0 or not ((array == 0) | (array == only)).all():
        return array
    from scipy import ndimage

    regions = ndimage.label(array)[1]
    if regions >= (2 if only == 255 else _MANY):
        raise ImageError(
            f"{name} has one id, {only}, for {regions} separate regions: it is a binary mask, not a label image: "
            "number its regions first, with skimage.measure.label(mask, connectivity=1)"
        )
    return array


def as_cells(labels: Array, name: str = "labels") -> npt.NDArray[Any]:
    """Return a label image as a plain integer array: :func:`as_truth`, and no image of grey values.

    Raises
    ------
    ImageError
        Also where values lie in many separate regions each, as grey values do and cells do not.
    """
    array = as_truth(labels, name)
    if not array.size or array.ndim > 3:
        return array
    from skimage.measure import label

    regions = int(label(array, connectivity=1, background=0, return_num=True)[1])
    ids = len(np.unique(array[array > 0]))
    if regions > _SCATTERED * max(ids, 1) and regions > _MANY:
        raise ImageError(
            f"{name} has {ids} values in {regions} separate regions: it looks like an image of grey values, not like a "
            "label image, in which each cell has a number of its own"
        )
    return array


def imagej_pixels(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Bring an array into a pixel type of ImageJ, without a wrong value.

    ``uint8``, ``uint16`` and ``float32`` stay; bool becomes 0 and 255; other
    integers become ``uint16`` if they fit, else ``float32`` if it holds them exactly (up to 2**24);
    ``float16`` and ``float64`` become ``float32``.

    Raises
    ------
    ImageError
        For complex numbers, empty arrays, and values that no type of ImageJ holds.

    Examples
    --------
    >>> imagej_pixels(np.array([1, 70000])).dtype
    dtype('float32')
    """
    if array.size == 0:
        raise ImageError(f"the array is empty, shape {array.shape}: ImageJ has no image without pixels")
    if array.dtype in (np.uint8, np.uint16, np.float32):
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(array.dtype, np.integer):
        return _integers(array)
    if np.issubdtype(array.dtype, np.floating):
        return _floats(array)
    raise ImageError(f"ImageJ has no pixel type for {array.dtype}: take its real part, or its absolute value")


def _integers(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    low, high = int(array.min()), int(array.max())
    if low >= 0 and high < 2**16:
        return array.astype(np.uint16)
    if max(-low, high) <= 2**24:
        return array.astype(np.float32)
    raise ImageError(f"{array.dtype} values from {low} to {high} fit no pixel type of ImageJ exactly: scale them first")


def _floats(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        single = array.astype(np.float32)
    lost = np.isinf(single) & np.isfinite(array)
    if lost.any():
        raise ImageError(
            f"{array.dtype} values up to {np.abs(array[lost]).max():g} overflow ImageJ's 32 bits: scale them"
        )
    return single
