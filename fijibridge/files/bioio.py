"""Microscope formats (CZI, LIF, ND2 and more), read through bioio and its plugins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from fijibridge.errors import DatasetError
from fijibridge.files.lazy_array import Content, OnDisk
from fijibridge.image import RGB
from fijibridge.messages import some
from fijibridge.renames import rename_attributes


def content(source: Path, key: str | None) -> Content:
    """Return the metadata and the unread pixels of a scene; axes t, c and z of length 1 are dropped.

    Raises
    ------
    DatasetError
        If bioio or its plugin for the format is not installed, or the file has several scenes and `key` does not name
        one of them.
    """
    image = _open(source, key)
    pixels = _squeezed(image)
    sizes = {d: float(s) for d, s in zip("zyx", image.physical_pixel_sizes, strict=True) if s}
    step: Any = getattr(image, "time_interval", None)
    seconds = step.total_seconds() if hasattr(step, "total_seconds") else step
    if seconds:
        sizes["t"] = float(seconds)
    units = {d: "sec" if d == "t" else "um" for d in sizes}
    names = [str(n) for n in image.channel_names or ()] if "C" in pixels.dims else []
    dims = "".join({"S": "c"}.get(str(d), str(d)).lower() for d in pixels.dims)
    if "S" in pixels.dims:
        names = list(RGB)
    chunks = pixels.shape if pixels.chunks is None else tuple(max(c) for c in pixels.chunks)
    on_disk = OnDisk(pixels.shape, np.dtype(pixels.dtype), lambda box: _read(source, key, box), chunks)
    return Content(on_disk, dims, {"pixel_size": sizes, "unit": units}, names or None)


def _read(source: Path, key: str | None, box: tuple[slice, ...]) -> Any:
    return _squeezed(_open(source, key))[box].compute(scheduler="synchronous").values


def _squeezed(image: Any) -> xr.DataArray:
    """Return the pixels without axes of length 1, and colours without transparency.

    Raises
    ------
    DatasetError
        If each of several channels has colours.
    """
    pixels: xr.DataArray = image.xarray_dask_data
    if "S" in pixels.dims and type(image.reader).__module__.startswith("bioio_czi"):
        # bioio-czi reads colours lazily as three copies of blue (seen in 3.0), and as a whole as blue, green, red
        pixels = image.xarray_data.isel(S=slice(None, None, -1))
    pixels = pixels.isel({d: 0 for d in "TCZ" if pixels.sizes.get(d) == 1}, drop=True)
    colors = pixels.sizes.get("S", 0)
    if colors and "C" in pixels.dims:
        raise DatasetError(
            f"the scene has {pixels.sizes['C']} channels of {colors} colours each: save each channel to a separate file"
        )
    if colors in (2, 4):  # grey or colours, and transparency
        pixels = pixels.isel(S=slice(0, colors - 1))
    return pixels.isel(S=0, drop=True) if pixels.sizes.get("S") == 1 else pixels


def _open(source: Path, key: str | None) -> Any:
    suffix = source.suffix.lower()
    try:
        from bioio import BioImage
        from bioio_base.exceptions import UnsupportedFileFormatError
    except ImportError as error:
        raise DatasetError(f"{source}: {suffix} is read through bioio: pip install 'fijibridge[readers]'") from error
    try:
        image = BioImage(source)
    except UnsupportedFileFormatError as error:
        plugin = f"bioio-{suffix[1:]}"
        raise DatasetError(
            f"{source}: no bioio reader for {suffix} is installed. pip install 'fijibridge[readers]' installs the "
            f"reader for .czi; for other formats, install {plugin}, or bioio-bioformats, which reads most formats"
        ) from error
    scenes = list(image.scenes)
    name = (key or "").strip("/")
    if not name and len(scenes) > 1:
        listed = some(scenes, 10)
        raise DatasetError(f"{source} has {len(scenes)} scenes ({listed}): name one, such as '...:/{scenes[0]}'")
    if name and name not in scenes:
        raise DatasetError(f"{source} has no scene {name!r}; its scenes are {some(scenes, 10)}")
    image.set_scene(name or scenes[0])
    return image


rename_attributes(__name__, {"SUFFIXES": "files.formats:MICROSCOPES"})
