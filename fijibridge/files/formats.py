"""Suffixes of image file formats, and image names without these suffixes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

TIFF = (".tif", ".tiff")
HDF5 = (".h5", ".hdf5", ".hdf")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
MICROSCOPES = (".czi", ".lif", ".nd2", ".oib", ".oif", ".dv", ".vsi", ".sldy", ".ims", ".lof")
"""Suffixes of microscope formats, which are read through bioio."""
SUFFIXES = (*TIFF, *HDF5, *PICTURES, *MICROSCOPES, ".zarr")
"""Suffixes known to :func:`~fijibridge.files.reader.read_image`; it tries to read any other file as a picture."""


def stem(named: str | Path | xr.DataArray) -> str:
    """Return the name of an image or file without its suffix; ``"image"`` for an image without a name.

    From a path, any suffix is removed, together with ``.ome`` before it. From a title, only known suffixes are removed,
    because a title may contain dots.

    Examples
    --------
    >>> stem("cells 2.5 um"), stem("a.tif"), stem("a.ome.tif"), stem(Path("data/a.ome.zarr"))
    ('cells 2.5 um', 'a', 'a.ome', 'a')
    """
    if isinstance(named, Path):
        return named.stem.removesuffix(".ome")
    title = named if isinstance(named, str) else str(named.name or "image")
    suffix = next((s for s in sorted(SUFFIXES, key=len, reverse=True) if title.lower().endswith(s)), "")
    return title.removesuffix(title[len(title) - len(suffix) :]) or title


def file_name(title: str) -> str:
    """Return the title of an image as a file stem, in which ``_`` replaces characters that file systems do not allow.

    Examples
    --------
    >>> file_name("plate 1/A1.tif")
    'plate 1_A1'
    """
    return re.sub(r'[<>:"/\\|?*\x00-\x1f]', "_", stem(title)).strip(" .") or "image"
