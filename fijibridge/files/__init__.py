"""Image files: TIFF, OME-Zarr, HDF5, pictures and what bioio knows are read; TIFF is written, whole or not at all."""

from fijibridge.files.names import SUFFIXES
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
