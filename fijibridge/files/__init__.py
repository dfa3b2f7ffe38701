"""Image files.

:func:`read_image` reads TIFF, OME-Zarr, HDF5, PNG and the like and, through bioio, microscope formats.
:func:`write_image` writes ImageJ TIFF. Every file is written completely or not at all; see :func:`atomic`.
"""

from fijibridge.files.formats import SUFFIXES
from fijibridge.files.reader import content, read_image, split_key
from fijibridge.files.writer import atomic, atomic_folder, make_folder, write_image, write_json

__all__ = [
    "SUFFIXES",
    "atomic",
    "atomic_folder",
    "content",
    "make_folder",
    "read_image",
    "split_key",
    "write_image",
    "write_json",
]
