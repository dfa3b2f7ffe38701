"""Atomic writers: a file or folder is written under a temporary name, and moved to its path when it is complete."""

from __future__ import annotations

import glob
import json
import logging
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import xarray as xr

from fijibridge.errors import DatasetError
from fijibridge.image import Array, as_image, imagej_pixels, in_order, origin, pixel_size, time_unit, unit
from fijibridge.renames import object_before_path

log = logging.getLogger("fijibridge")

_PARTIAL = ".partial"


@contextmanager
def atomic(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path in the same folder; the file is moved to `path` at the end, or removed on an error.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "new" / "a.txt"
    >>> with atomic(target) as path:
    ...     _ = path.write_text("whole")
    >>> target.read_text()
    'whole'
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_left_overs(target.parent)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target.stem), suffix=target.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        with temporary.open("rb+") as file:  # make sure that the data are on disk before the old file is replaced
            os.fsync(file.fileno())
        temporary.replace(target)
        sync_folder(target.parent, files=False)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def atomic_folder(path: str | os.PathLike[str], replace: bool = False) -> Iterator[Path]:
    """Yield an empty folder beside `path`; it is moved to `path` at the end, or removed on an error.

    Parameters
    ----------
    path
        Final path of the folder. Until the ``with`` block ends, the folder is called ``.NAME-….partial``. Only a killed
        process leaves such a folder behind; the next process that writes into the same place removes it.
    replace
        Replace an existing file or folder at `path`. It is removed once the new folder is in place.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "new"
    >>> with atomic_folder(target) as folder:
    ...     _ = (folder / "a.txt").write_text("whole")
    >>> (target / "a.txt").read_text(), [p.name for p in target.parent.iterdir()]
    ('whole', ['new'])
    """
    target = Path(path)
    with temporary_folder(target) as folder:
        yield folder
        folder.chmod(0o777 & ~_umask())
        sync_folder(folder)
        if replace and target.exists():
            _swap(folder, target)
        else:
            folder.rename(target)
        sync_folder(target.parent, files=False)


@contextmanager
def temporary_folder(target: Path) -> Iterator[Path]:
    """Yield an empty folder beside `target`; it is removed on an error, and at the end if it was not moved."""
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_left_overs(target.parent)
    hidden = f".{target.name[:80]}-"
    for left in target.parent.glob(f"{glob.escape(hidden)}*{_PARTIAL}"):
        log.warning("%s was left by a killed process, or is being written now: remove it if nothing is running", left)
    folder = Path(tempfile.mkdtemp(prefix=_prefix(target.name), suffix=_PARTIAL, dir=target.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _prefix(name: str) -> str:
    """Return the beginning of a temporary name, which contains this machine and process."""
    return f".{name[:80]}-fb-{_HOST}-{os.getpid()}-"


_HOST = re.sub(r"[^A-Za-z0-9_.]", "_", platform.node())[:40] or "machine"
_TEMPORARY = re.compile(r"\..*-fb-(?P<host>[A-Za-z0-9_.]+)-(?P<process>\d+)-[a-z0-9_]{8}(\..*)?")
_scanned: set[Path] = set()


def remove_left_overs(folder: Path) -> None:
    """Remove what killed processes of this machine left of :func:`atomic` and :func:`atomic_folder` in a folder.

    A process looks into each folder once. What belongs to a process of another machine is kept, because nobody can tell
    here whether that process is running.
    """
    if (
        folder in _scanned or sys.platform == "win32"
    ):  # on Windows, the question may end the process that is asked about
        return
    _scanned.add(folder)
    for path in folder.iterdir():
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or found["host"] != _HOST or _is_running(int(found["process"])):
            continue
        log.info("removing %s, which a killed process left", path)
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # it belongs to another user
    return True


def sync_folder(folder: Path, files: bool = True) -> None:
    """Make sure that the entries of a folder are on disk; with `files`, its files and subfolders, too."""
    if sys.platform == "win32":
        return  # folders cannot be opened there
    for path in folder.iterdir() if files else ():
        if path.is_dir() and not path.is_symlink():
            sync_folder(path)
        elif path.is_file():
            _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        log.debug("%s cannot be synchronised: %s", path, error)  # some network file systems cannot
    finally:
        os.close(descriptor)


def _swap(folder: Path, target: Path) -> None:
    """Replace an existing folder or file with a new folder; on an error, restore the old one."""
    old = folder.with_name(folder.name + ".old")
    target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        old.rename(target)
        raise
    if old.is_dir():
        shutil.rmtree(old, ignore_errors=True)
    else:
        old.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def make_folder(path: str | os.PathLike[str]) -> Path:
    """Create a folder for results if it does not exist.

    Raises
    ------
    DatasetError
        If the path is a file, or the folder cannot be created.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise DatasetError(f"{error.filename} is a file; expected a folder for results: choose another path") from error
    except OSError as error:
        raise DatasetError(f"the folder {folder} cannot be created: {error.strerror}; choose another") from error
    return folder


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    with atomic(path) as temporary:
        temporary.write_text(
            json.dumps(value, indent=2, ensure_ascii=False, default=_plain_number) + "\n", encoding="utf-8"
        )


def _plain_number(value: Any) -> Any:
    """Convert a numpy number or a path to a type that JSON supports."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _escaped(name: str) -> str:
    """Escape non-ASCII characters as ImageJ does, because the metadata of an ImageJ TIFF are ASCII."""
    return "".join(c if c.isascii() else f"\\u{ord(c):04X}" for c in name)


@object_before_path
def write_image(image: Array, path: str | os.PathLike[str], software: str | None = None) -> None:
    """Write an image as an ImageJ TIFF, with axes, calibration and channel names, atomically.

    Parameters
    ----------
    image
        Array or DataArray, as for :func:`fijibridge.as_image`. Pixel types that ImageJ lacks are converted or refused;
        see :func:`fijibridge.image.imagej_pixels`.
    path
        File to write. Its folder is created if it does not exist.
    software
        Name of the program that writes the file; it is stored in the file.

    Raises
    ------
    ImageError
        If the axes are unclear, or none of ImageJ's pixel types can represent the values.

    Examples
    --------
    >>> import tempfile
    >>> from fijibridge.files import read_image
    >>> file = Path(tempfile.mkdtemp()) / "a.tif"
    >>> write_image(as_image(np.zeros((8, 9), np.uint8), pixel_size=0.5, unit="um"), file)
    >>> pixel_size(read_image(file))
    {'y': 0.5, 'x': 0.5}
    """
    image = in_order(image) if isinstance(image, xr.DataArray) else as_image(image)
    size, start = pixel_size(image), origin(image)
    # tifffile requires the order of axes in an ImageJ file
    ordered = image.transpose(*(d for d in "tzcyx" if d in image.dims))
    metadata: dict[str, Any] = {"axes": "".join(map(str, ordered.dims)).upper(), "unit": _escaped(unit(image))}
    metadata |= {f"{d}origin": -start[d] / size[d] for d in "xyz" if start.get(d)}
    if "z" in size:
        metadata["spacing"] = size["z"]
    if "t" in size and time_unit(image) != "frame":
        metadata |= {"finterval": size["t"], "tunit": _escaped(time_unit(image))}
    if "c" in image.dims and "c" in image.coords:
        planes = ordered.size // (image.sizes["c"] * image.sizes["y"] * image.sizes["x"])
        metadata["Labels"] = [str(name) for name in image.coords["c"].values] * planes
    resolution = (1 / size.get("x", 1.0), 1 / size.get("y", 1.0))
    with atomic(path) as temporary:
        tifffile.imwrite(
            temporary, imagej_pixels(ordered.values), imagej=True, resolution=resolution, metadata=metadata,
            software=software,
        )  # fmt: skip
