"""Suffixes of image file formats, and image names without these suffixes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

Format: TypeAlias = Literal["tiff", "hdf5", "picture", "microscope"]

if TYPE_CHECKING:
    import xarray as xr

TIFF = (".tif", ".tiff")
HDF5 = (".h5", ".hdf5", ".hdf")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
MICROSCOPES = (".czi", ".lif", ".nd2", ".oib", ".oif", ".dv", ".vsi", ".sldy", ".ims", ".lof")
"""Suffixes of microscope formats, which are read through bioio."""
SUFFIXES = (*TIFF, *HDF5, *PICTURES, *MICROSCOPES, ".zarr")
"""Suffixes by which images are found in folders; :func:`~fijibridge.files.reader.read_image` looks into the file."""


_SIGNATURES: dict[Format, tuple[bytes, ...]] = {
    "tiff": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),  # also LSM, STK, SVS, SCN, NDPI and many more; + is BigTIFF
    "hdf5": (b"\x89HDF\r\n\x1a\n",),
    "picture": (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF87a", b"GIF89a"),
}
_HDF5_OFFSETS = (512, 1024, 2048)
"""Further places of HDF5's signature, after a block of the user."""


def format_of(path: Path) -> Format | None:
    """Return the format of a file by its content, or microscope formats by their suffix; None if it is unknown.

    A name may be wrong, and many formats of microscopes (LSM, STK, SVS ...) are TIFF under another name.
    """
    if path.suffix.lower() in MICROSCOPES:
        return "microscope"
    with path.open("rb") as file:
        head = file.read(16)
        for found, signatures in _SIGNATURES.items():
            if head.startswith(signatures):
                return found
        if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
            return "picture"
        for offset in _HDF5_OFFSETS:
            file.seek(offset)
            if file.read(8) == _SIGNATURES["hdf5"][0]:
                return "hdf5"
    return None


def is_lossy(path: Path) -> bool:
    """Return whether a file stores other pixels than those that were saved: JPEG, also in TIFF, and lossy WebP."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"\xff\xd8\xff"):
        return True
    if head[:4] == b"RIFF":
        return b"VP8 " in head
    if not head.startswith(_SIGNATURES["tiff"]):
        return False
    import tifffile

    with tifffile.TiffFile(path) as opened:
        return int(opened.pages.first.compression) in _LOSSY


_LOSSY = (6, 7, 33007, 34892)
"""JPEG among the values of the tag Compression."""


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
