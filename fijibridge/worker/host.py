"""Host of verbs for a Fiji in another process; pipes and shared memory transfer inputs and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.colors import colors_of, palette
from fijibridge.errors import ImageError, OptionError, RoiError
from fijibridge.image import DIMS, as_image, as_labels, imagej_pixels
from fijibridge.imagej.description import KEYS, facts_of, is_rgb, is_signed
from fijibridge.imagej.hyperstack import image_of, shown, stored_pixels
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.measurements import measurement_constants, places_of
from fijibridge.imagej.tables import columns_of, curves_to_plot
from fijibridge.rois import Roi
from fijibridge.rois.roi import argb
from fijibridge.verbs.parameters import Parameter
from fijibridge.verbs.results import Measure, Offer, Outlines, Result, Say, ShowCurves, ShowImage, ShowLabels, ShowTable
from fijibridge.worker.shared_memory import Blocks, arrays_of

_TYPES = {"8-bit": np.uint8, "8-bit color": np.uint8, "16-bit": np.uint16, "signed 16-bit": np.uint16,
          "32-bit": np.float32, "RGB": np.uint32}  # fmt: skip


class Crossing:
    """Inputs and results of one call of a verb.

    Parameters
    ----------
    images
        Descriptions of images by parameter name, see :func:`image_from`. A description with the field ``rois``
        describes cells drawn on an image, and lacks the pixels of the image.
    blocks
        Collects the blocks of shared memory that contain the results.
    """

    def __init__(self, images: Mapping[str, Any], blocks: Blocks):
        self._images, self._blocks = images, blocks
        self.results: list[dict[str, Any]] = []

    def take(self, parameter: Parameter, value: Any, taken: Mapping[str, xr.DataArray]) -> xr.DataArray:
        """Return the image that Fiji sent for a parameter."""
        description = self._images.get(parameter.name)
        if not isinstance(description, Mapping):
            raise OptionError(f"Fiji sent no image; expected {parameter.expected}")
        return cells_from(description) if description.get("rois") is not None else image_from(description)

    def drawn(self, parameter: Parameter, value: Any) -> bool:
        """Return False, because drawn cells are sent with the description of their image, and need no other image."""
        return False

    def give(self, result: Result) -> None:
        """Prepare a result for sending."""
        self.results.append(self._described(result))

    def _described(self, result: Result) -> dict[str, Any]:
        match result:
            case ShowImage():
                return self._image(result)
            case ShowLabels():
                return self._labels(result)
            case Outlines(rois, over, colors, manager):
                painted = distinct_colors(rois, colors)
                return {"kind": "outlines", "over": over, "manager": manager, **self._rois(rois),
                        "colors": self._blocks.put(np.array(painted, np.uint32).view(np.int32))}  # fmt: skip
            case ShowTable(table, name, add, select_in):
                return {"kind": "table", "name": name, "add": add, "select_in": select_in, **self._table(table)}
            case ShowCurves(table, name):
                return {"kind": "curves", "name": name, **self._curves(table)}
            case Measure(rois, on, measurements, channel):
                names = [roi.name for roi in rois]
                numbers = all(name.isascii() and name.isdigit() for name in names)
                rows = pd.DataFrame({"label": [int(n) for n in names] if numbers else names} | places_of(rois))
                return {"kind": "measure", "on": on, "constants": measurement_constants(measurements),
                        "channel": None if channel is None else channel + 1, **self._rois(rois),
                        "told": self._table(rows)}  # fmt: skip
            case Say(text):
                return {"kind": "say", "text": text}
            case Offer(verb, parameter, text):
                return {"kind": "offer", "verb": verb, "parameter": parameter, "text": text}

    def _image(self, result: ShowImage) -> dict[str, Any]:
        image = result.image
        look = shown(image)
        limits = None if result.limits is None else signed_limits(result.limits, look.signed)
        full = stored_pixels(image, look.rgb)  # (T, C, Z, Y, X)
        frames, channels, slices = full.shape[:3]
        planes = [full[t, c, z] for t, z, c in np.ndindex(frames, slices, channels)]
        return {
            "kind": "image", "name": result.name, "height": full.shape[3], "width": full.shape[4], "rgb": look.rgb,
            "signed": look.signed, "counts": look.counts, "labels": look.labels if any(look.labels) else None,
            "pixel_size": look.pixel_size, "origin": look.origin, "units": look.units, "interval": look.interval,
            "time_unit": look.time_unit, "function": look.function, "info": look.info, "properties": look.properties,
            "luts": [table.data.hex() for table in look.luts], "ranges": look.ranges, "mode": look.mode,
            "limits": limits, "colors": None if result.colors is None else LookupTable.of(result.colors).data.hex(),
            "first": result.first_number(), "paint": False, "blocks": self._blocks.put_planes(planes),
        }  # fmt: skip

    def _labels(self, result: ShowLabels) -> dict[str, Any]:
        source = as_image(result.labels)
        array = as_labels(source)
        plain = source.copy(data=imagej_pixels(array)).drop_attrs(deep=False)
        description = self._image(ShowImage(plain, result.name, (0.0, 255.0), palette()))
        return description | {"paint": bool(array.max(initial=0) > 255)}

    def _rois(self, rois: Sequence[Roi]) -> dict[str, Any]:
        data = [roi.to_bytes() for roi in rois]
        return {"bytes": self._blocks.put(np.frombuffer(b"".join(data), np.uint8)),
                "sizes": self._blocks.put(np.array([len(one) for one in data], np.int32))}  # fmt: skip

    def _table(self, table: pd.DataFrame) -> dict[str, Any]:
        """Return the columns of a table: numbers as rows of one block, text as lists."""
        numbers: list[npt.NDArray[np.float64]] = []
        columns: list[dict[str, Any]] = []
        for name, values in columns_of(table).items():
            if isinstance(values, np.ndarray):
                columns.append({"name": name, "number": len(numbers)})
                numbers.append(values)
            else:
                columns.append({"name": name, "texts": values})
        return {"rows": len(table), "columns": columns,
                "numbers": self._blocks.put(np.array(numbers, np.float64)) if numbers else None}  # fmt: skip

    def _curves(self, table: pd.DataFrame) -> dict[str, Any]:
        x, numbers = curves_to_plot(table)
        rows = np.vstack([x, numbers.to_numpy(float).T])
        return {
            "names": [str(name) for name in numbers.columns],
            "numbers": self._blocks.put(rows),
            "xlabel": str(table.index.name or "index"),
            "ylabel": "value",
        }


# --- inputs --------------------------------------------------------------------------------------


def image_from(description: Mapping[str, Any]) -> xr.DataArray:
    """Return the image that a message describes, like :func:`fijibridge.fiji.imageplus.from_imageplus`.

    Parameters
    ----------
    description
        Description written by Java, see :mod:`fijibridge.imagej.description`, with the additional field ``blocks``.
        Each block contains several planes of the stack. If there is only one block, its pixels are not copied.

    Raises
    ------
    ImageError
        If the description is invalid.
    """
    try:
        dtype, shape = np.dtype(_TYPES[description["type"]]), _shape(description)
        parts = arrays_of(description["blocks"])
        if any(part.dtype != dtype or part.shape[1:] != shape[3:] for part in parts):
            raise ValueError(
                f"blocks of {[(str(p.dtype), p.shape) for p in parts]} for a {description['type']} image of {shape}"
            )
        stacked = parts[0] if len(parts) == 1 else np.concatenate(parts)
        stored = stacked.reshape(shape).swapaxes(1, 2)  # (T, C, Z, Y, X)
        return _image(stored, description)
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(f"invalid description of an image: {error!r}") from error


def cells_from(description: Mapping[str, Any]) -> xr.DataArray:
    """Return the label image of cells that were drawn as ROIs.

    Raises
    ------
    RoiError
        If no ROI is an area.
    ImageError
        If the description is invalid.
    """
    from fijibridge.cells.corrections import drawn_cells

    try:
        nothing = np.broadcast_to(np.zeros((), np.uint16), _shape(description)).swapaxes(1, 2)
        image = _image(nothing, {**description, "type": "16-bit"})
        data, sizes = (
            part.tobytes() for part in arrays_of([description["rois"]["bytes"], description["rois"]["sizes"]])
        )
        ends = np.cumsum(np.frombuffer(sizes, np.int32)).tolist()
        rois = [Roi(data[begin:end]) for begin, end in zip([0, *ends], ends, strict=False)]
    except (KeyError, TypeError, ValueError) as error:
        raise ImageError(f"invalid description of ROIs: {error!r}") from error
    cells = drawn_cells(rois, image)
    if cells is None:
        raise RoiError(f"{description['title']!r} has no cells: none of its {len(rois)} ROIs is an area")
    return cells.rename(str(description["title"]))


def _shape(description: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the numbers of frames, slices and channels, the height and the width: the axes of ImageJ's stacks."""
    unknown = set(description) - KEYS - {"blocks", "rois"}
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}")
    frames, channels, slices = (int(n) for n in description["counts"])
    return frames, slices, channels, int(description["height"]), int(description["width"])


def _image(stored: npt.NDArray[Any], description: Mapping[str, Any]) -> xr.DataArray:
    array = stored
    if is_rgb(description):
        array = np.concatenate([(stored >> shift).astype(np.uint8) for shift in (16, 8, 0)], axis=1)
    elif is_signed(description):
        array = (stored ^ np.uint16(0x8000)).view(np.int16)  # ImageJ adds 32768
    keep = [d for d, n in zip(DIMS, array.shape, strict=True) if n > 1 or d in "yx"]
    return image_of(array, facts_of(description), keep)


# --- results --------------------------------------------------------------------------------------


def distinct_colors(rois: Sequence[Roi], given: Mapping[str, str]) -> list[int]:
    """Return the colour of each ROI as 0xAARRGGBB: the colour that `given` has for its name, else a palette colour."""
    return [argb(given[roi.name]) if roi.name in given else color
            for roi, color in zip(rois, colors_of(rois, None) if rois else [], strict=True)]  # fmt: skip


def signed_limits(limits: tuple[float, float], signed: bool) -> list[float]:
    """Return display limits as values that ImageJ stores; `signed` is True for signed 16-bit images."""
    low, high = (float(value) + (32768 if signed else 0) for value in limits)
    return [low, high]
