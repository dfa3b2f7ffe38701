"""ImageJ metadata of an image, stored as JSON text in ``image.attrs["imagej"]``.

netCDF, zarr and conversions to Java accept only plain values as attributes of a DataArray. Lookup tables, display
ranges, slice labels and similar metadata are therefore stored as one text, which :func:`imagej_info` reads.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.imagej.lookup_table import LookupTable

KEY = "imagej"
"""Name of the attribute that stores the metadata."""

_LUT_BYTES = 3 * 256


def imagej_info(image: Any) -> dict[str, Any]:
    """Return the ImageJ metadata of an image other than pixels and calibration.

    Parameters
    ----------
    image
        Image from ``fiji.image()``, or such an image read back from netCDF or zarr. For objects without the attribute,
        the result is an empty dict.

    Returns
    -------
    dict
        The known ones of the following items: ``id`` (int) and ``type`` (str) of the image, ``session`` (str, which
        identifies the Fiji in which the id is valid), ``path`` (str) of the image's file, ``luts`` (list of
        :class:`~fijibridge.imagej.lookup_table.LookupTable`, one per channel), ``display_ranges`` (list of pairs of
        floats), ``mode`` (``"composite"``, ``"color"`` or ``"grayscale"``), ``channel`` (int, 0-based index if the
        image is a single channel of several), ``slice_labels`` (list of str), ``info`` (str), ``properties`` (dict of
        str) and ``calibration_function`` (dict with ``function``, ``coefficients`` and ``unit``).
        Each call returns a new dict. Values with a wrong type are omitted, because the text may come from a file.

    See Also
    --------
    imagej_text : Convert changed metadata into text that can be stored.

    Examples
    --------
    >>> image = xr.DataArray([[0]], attrs={"imagej": imagej_text({"id": -3, "display_ranges": [(0, 255)]})})
    >>> imagej_info(image)
    {'id': -3, 'display_ranges': [(0.0, 255.0)]}
    """
    stored = getattr(image, "attrs", {}).get(KEY)
    return _read(stored) if isinstance(stored, str) else _valid(stored) if isinstance(stored, Mapping) else {}


def imagej_text(info: Mapping[str, Any]) -> str:
    """Convert ImageJ metadata into the text that is stored with an image.

    Parameters
    ----------
    info
        Metadata as returned by :func:`imagej_info`.

    Raises
    ------
    ImageError
        If a value cannot be stored as JSON.

    Examples
    --------
    >>> image = xr.DataArray([[0.5]])
    >>> image.attrs["imagej"] = imagej_text(imagej_info(image) | {"display_ranges": [(0, 1)]})
    >>> image.attrs["imagej"]
    '{"display_ranges": [[0, 1]]}'
    """
    last = ("luts", "slice_labels", "properties", "info")  # the long ones
    ordered = {k: v for k, v in info.items() if k not in last} | {k: info[k] for k in last if k in info}
    try:
        return json.dumps(ordered, default=_plain)
    except (TypeError, ValueError) as error:
        raise ImageError(f"the metadata cannot be stored with an image: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, LookupTable):
        return value.data.hex()
    for method in ("tolist", "item"):  # numpy arrays and scalars
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"{type(value).__name__} {value!r} is neither text nor a number, nor a list of these")


def _read(text: str) -> dict[str, Any]:
    try:
        stored = json.loads(text)
    except ValueError:
        return {}  # an attribute written by another program
    return _valid(stored) if isinstance(stored, dict) else {}


def _valid(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the known items whose values have a valid type, and all unknown items."""
    found = {}
    for name, value in stored.items():
        try:
            found[name] = _READERS[name](value) if name in _READERS else value
        except (TypeError, ValueError, KeyError, AttributeError, ImageError):
            continue
    return found


def _lut(value: Any) -> LookupTable:
    table = value if isinstance(value, LookupTable) else LookupTable(bytes.fromhex(value))
    if len(table.data) != _LUT_BYTES:
        raise ImageError(f"the lookup table has {len(table.data)} bytes; expected {_LUT_BYTES}")
    return table


def _range(value: Any) -> tuple[float, float]:
    low, high = value
    return float(low), float(high)


def _function(value: Any) -> dict[str, Any]:
    return {
        "function": int(value["function"]), "coefficients": [float(c) for c in value["coefficients"]],
        "unit": str(value["unit"]),
    }  # fmt: skip


_READERS: dict[str, Callable[[Any], Any]] = {
    "id": int, "type": str, "session": str, "path": str, "mode": str, "channel": int, "info": str,
    "luts": lambda value: [_lut(one) for one in value],
    "display_ranges": lambda value: [_range(one) for one in value],
    "slice_labels": lambda value: [str(one) for one in list(value)],
    "properties": lambda value: {str(k): str(v) for k, v in value.items()},
    "calibration_function": _function,
}  # fmt: skip


# --- access as a dict, as in version 0.1 --------------------------------------------------------------------------


def keep_info(image: xr.DataArray, info: Mapping[str, Any]) -> None:
    """Store metadata with an image so that ``image.attrs["imagej"]["id"]`` works as in version 0.1."""
    attrs = _Attrs(image.attrs)
    attrs[KEY] = imagej_text(info)
    image.variable._attrs = attrs  # xarray's own setter would convert it to a plain dict


class _Attrs(dict[Any, Any]):
    """Attributes that store text under ``"imagej"``, and return it as text that also works as a dict.

    The stored text is a plain :class:`str`, because h5netcdf refuses subclasses.
    """

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        return _AsDict.of(self, value) if key == KEY and type(value) is str else value

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of an attribute."""
        return self[key] if key in self else default  # noqa: SIM401  (this is the method that SIM401 suggests)


class _AsDict(str):
    """Text that can be read and changed like the dict of version 0.1, with a warning."""

    _attrs: _Attrs

    @classmethod
    def of(cls, attrs: _Attrs, text: str) -> _AsDict:
        made = cls(text)
        made._attrs = attrs
        return made

    def __reduce__(self) -> tuple[Any, ...]:
        return str, (str(self),)

    def _dict(self) -> dict[str, Any]:
        warnings.warn(
            "image.attrs['imagej'] is text now: fijibridge.imagej_info(image) returns it as a dict",
            DeprecationWarning,
            stacklevel=3,
        )
        return _read(dict.get(self._attrs, KEY, str(self)))

    def _store(self, info: Mapping[str, Any]) -> None:
        self._attrs[KEY] = imagej_text(info)

    def __getitem__(self, key: Any) -> Any:
        return self._dict()[key] if isinstance(key, str) else super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and (key in _read(self) or super().__contains__(key))

    def __eq__(self, other: object) -> bool:
        return _read(self) == other if isinstance(other, Mapping) else super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return self._dict() | dict(other)

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return dict(other) | self._dict()

    def get(self, key: str, default: Any = None) -> Any:
        return self._dict().get(key, default)

    def keys(self) -> Any:
        return self._dict().keys()

    def values(self) -> Any:
        return self._dict().values()

    def items(self) -> Any:
        return self._dict().items()

    def __setitem__(self, key: str, value: Any) -> None:
        self._store(self._dict() | {key: value})

    def update(self, *more: Any, **named: Any) -> None:
        self._store(self._dict() | dict(*more, **named))

    def pop(self, key: str, *default: Any) -> Any:
        info = self._dict()
        value = info.pop(key, *default)
        self._store(info)
        return value

    def __delitem__(self, key: str) -> None:
        self.pop(key)
