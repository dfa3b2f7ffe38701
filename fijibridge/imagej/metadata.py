"""What ImageJ knows of an image and xarray has no place for, kept as text in ``image.attrs["imagej"]``.

Attributes of a DataArray are to be plain values: netCDF, zarr and conversions to Java take nothing else. So lookup
tables, display ranges, labels of slices and the like are one JSON text there, which goes wherever the image goes;
:func:`imagej_info` reads it.
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
"""Name of the attribute."""

_LUT_BYTES = 3 * 256


def imagej_info(image: Any) -> dict[str, Any]:
    """Return what ImageJ knows of an image beyond its pixels and its calibration.

    Parameters
    ----------
    image
        From ``fiji.image()``, also after it was stored as netCDF or zarr and read again. Anything that has no such
        attribute knows nothing.

    Returns
    -------
    dict
        Where there is one: ``id`` (int) and ``type`` (str) of the image, ``session`` (str) of the Fiji in which it has
        that id, ``path`` (str) of its file, ``luts`` (a list of :class:`fijibridge.image.LookupTable`, one for each
        channel), ``display_ranges`` (a list of two floats each), ``mode`` (``"composite"``, ``"color"`` or
        ``"grayscale"``), ``channel`` (int, of a single one out of several), ``slice_labels`` (a list of str), ``info``
        (str), ``properties`` (a dict of str) and ``calibration_function`` (a dict of ``function``, ``coefficients`` and
        ``unit``).
        A new one each time. What is not of that kind is left out: the text may come from a file.

    See Also
    --------
    imagej_text : to store a changed one.

    Examples
    --------
    >>> image = xr.DataArray([[0]], attrs={"imagej": imagej_text({"id": -3, "display_ranges": [(0, 255)]})})
    >>> imagej_info(image)
    {'id': -3, 'display_ranges': [(0.0, 255.0)]}
    """
    told = getattr(image, "attrs", {}).get(KEY)
    return _read(told) if isinstance(told, str) else _known(told) if isinstance(told, Mapping) else {}


def imagej_text(info: Mapping[str, Any]) -> str:
    """Return such information as the text that is stored.

    Parameters
    ----------
    info
        As :func:`imagej_info` returns it.

    Raises
    ------
    ImageError
        If a value is none that can be stored.

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
        raise ImageError(f"this cannot be kept with an image: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, LookupTable):
        return value.data.hex()
    for method in ("tolist", "item"):  # numpy's arrays and numbers
        if hasattr(value, method):
            return getattr(value, method)()
    raise TypeError(f"{type(value).__name__} {value!r} is neither text nor number nor a list of them")


def _read(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}  # somebody else's attribute of that name
    return _known(told) if isinstance(told, dict) else {}


def _known(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return those values that are what they should be, and all of names that are not known."""
    found = {}
    for name, value in told.items():
        try:
            found[name] = _READERS[name](value) if name in _READERS else value
        except (TypeError, ValueError, KeyError, AttributeError, ImageError):
            continue
    return found


def _lut(value: Any) -> LookupTable:
    table = value if isinstance(value, LookupTable) else LookupTable(bytes.fromhex(value))
    if len(table.data) != _LUT_BYTES:
        raise ImageError(f"a lookup table has {_LUT_BYTES} bytes, not {len(table.data)}")
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


# --- as version 0.1 had it --------------------------------------------------------------------------


def keep_info(image: xr.DataArray, info: Mapping[str, Any]) -> None:
    """Store such information with an image, so that ``image.attrs["imagej"]["id"]``, as of version 0.1, works on it."""
    attrs = _Attrs(image.attrs)
    attrs[KEY] = imagej_text(info)
    image.variable._attrs = attrs  # xarray's own setter would make a plain dict of it


class _Attrs(dict[Any, Any]):
    """Attributes in which a plain text is stored under ``"imagej"``, and handed out so that it can be asked as a dict.

    A subclass of str is not stored there itself: h5netcdf takes nothing but a real one.
    """

    def __getitem__(self, key: Any) -> Any:
        value = super().__getitem__(key)
        return _AsDict.of(self, value) if key == KEY and type(value) is str else value

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a name."""
        return self[key] if key in self else default  # noqa: SIM401  (which is this method)


class _AsDict(str):
    """The text, which can be asked, and changed, as the dict that it was in version 0.1; it warns."""

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
