"""Find the cells of images larger than memory, tile by tile, with the same result as for the whole image.

The image is read in two passes. The first pass finds the cells of each tile with its halo, writes provisional numbers,
and records in a summary which numbers denote the same cell. This is seen in the ring of pixels around a tile's core,
because both neighbouring tiles number the cells there. Sizes, holes and contacts with the edge are then evaluated for
whole cells. The second pass grows the cells that are kept, in each tile with its halo. In both passes, pixels whose
result may depend on pixels beyond the halo are UNSURE. If a core or the ring around it contains such a pixel, an error
suggests a larger halo, so that the result is never approximate at a seam.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.arrays import Labels
from fijibridge.cells.segmentation.flooding import UNSURE, Open
from fijibridge.cells.segmentation.labelling import (
    checked,
    default_method,
    find,
    membrane_of,
    numbers_without_gaps,
    refuse_classes,
    separate,
)
from fijibridge.cells.segmentation.methods import get_method
from fijibridge.cells.segmentation.methods.method import Parameters
from fijibridge.cells.segmentation.parameters import make_parameters
from fijibridge.cells.segmentation.regions import Summary, Verdict, with_gaps_numbered
from fijibridge.errors import ImageError
from fijibridge.image import as_image, like, refuse_channels_last, values
from fijibridge.renames import renamed_keywords

Box: TypeAlias = tuple[slice, ...]
Read: TypeAlias = Callable[[Box], npt.NDArray[np.float32]]

_TILE = {2: (1024, 1024), 3: (64, 256, 256)}
_HALO = {2: (128, 128), 3: (48, 64, 64)}


@dataclass(frozen=True)
class Piece:
    """A tile of an image with the halo around it.

    Attributes
    ----------
    core : tuple of slice
        The tile without its halo. Every pixel of the image is in the core of exactly one piece.
    box : tuple of slice
        The tile with its halo, clipped to the image.
    sides : tuple
        For each axis, whether the image continues before and after the box, in the form of
        :data:`~fijibridge.cells.segmentation.flooding.Open`.
    """

    core: Box
    box: Box
    sides: Open

    @property
    def corner(self) -> tuple[int, ...]:
        """First pixel of the core."""
        return tuple(s.start for s in self.core)

    @property
    def ring(self) -> Box:
        """The core and the pixels next to it, within the box."""
        return tuple(
            slice(max(c.start - 1, b.start), min(c.stop + 1, b.stop)) for c, b in zip(self.core, self.box, strict=True)
        )

    def within(self, part: Box, whole: Box) -> Box:
        """Return the slices of a part of the image relative to a larger crop that contains the part."""
        return tuple(slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, whole, strict=True))


def pieces(shape: tuple[int, ...], tile: tuple[int, ...], halo: tuple[int, ...]) -> Iterator[Piece]:
    """Divide an image into pieces, sorted by their first pixels.

    Examples
    --------
    >>> [(p.core, p.box) for p in pieces((5,), (3,), (1,))]
    [((slice(0, 3, None),), (slice(0, 4, None),)), ((slice(3, 5, None),), (slice(2, 5, None),))]
    """
    for start in product(*(range(0, n, t) for n, t in zip(shape, tile, strict=True))):
        core = tuple(slice(s, min(s + t, n)) for s, t, n in zip(start, tile, shape, strict=True))
        box = tuple(slice(max(c.start - r, 0), min(c.stop + r, n)) for c, r, n in zip(core, halo, shape, strict=True))
        sides = tuple((b.start > 0, b.stop < n) for b, n in zip(box, shape, strict=True))
        yield Piece(core, box, sides)


@renamed_keywords(border="edge_cells")
def label_cells_tiled(
    prob: Any,
    method: str | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    tile: int | Sequence[int] | None = None,
    halo: int | Sequence[int] | None = None,
    membrane: int | str = "membrane",
    **parameters: Any,
) -> Any:
    """Find the cells of an image larger than memory, tile by tile; the result equals :func:`fijibridge.label_cells`.

    Parameters
    ----------
    prob
        As for :func:`fijibridge.label_cells`, without an axis ``t``: a dask array, a zarr array or a memory map, or a
        DataArray that contains one. It is read tile by tile, each tile twice.
    method, membrane
        As for :func:`fijibridge.label_cells`.
    out
        Folder for the resulting zarr array, which must not exist yet. By default, the result is kept in memory.
    tile
        Size of a tile in pixels: one number per axis, or one number for all axes. The default is (1024, 1024) in 2D and
        (64, 256, 256) in 3D. The size affects the memory needed, but not the result.
    halo
        Width in pixels of the margin that is read around a tile: one number per axis, or one number for all axes. The
        default is 128 in 2D and (48, 64, 64) in 3D. The diameter of the largest cell plus the reach of the smoothing
        (4 times `sigma`) is usually enough.
    **parameters
        All other parameters of :func:`fijibridge.label_cells`.

    Returns
    -------
    numpy.ndarray, zarr.Array or xarray.DataArray
        Labels equal to those of ``label_cells(prob, ...)``, including ids. With `out`, a zarr array or, if `prob` is a
        DataArray, a DataArray that reads the zarr array when needed.

    Raises
    ------
    ImageError
        As for :func:`fijibridge.label_cells`, and if `out` exists, or the halo is too small to determine the cell of
        every pixel of a tile.

    Notes
    -----
    For each tile, the largest effect that pixels beyond the halo could have is followed through all steps (distance,
    smoothing, maxima, flooding, boundaries). If it reaches the tile, an error is raised. Otherwise, the cells are
    exactly those of the whole image. Cells of neighbouring tiles are joined by connected components; sizes, holes and
    contacts with the edge are evaluated for whole cells. ``"threshold"`` needs a halo only for growing.
    ``"agglomeration"`` needs the largest halo, because its reach is limited by chains of boundaries below `beta` rather
    than by cell size.

    Memory: a few dozen bytes per pixel of a tile with its halo, and about 100 bytes per cell. Disk: temporarily 4 bytes
    per pixel, beside `out` or in the temporary folder.

    Examples
    --------
    >>> prob = np.zeros((9, 40), np.float32); prob[:, ::10] = 1
    >>> label_cells_tiled(prob, "threshold", tile=7, halo=4)[4, 8:13]
    array([1, 1, 0, 2, 2], dtype=int32)
    """
    image, read = _source(prob, membrane)
    checked_parameters = make_parameters(image, method or default_method("label_cells_tiled"), **parameters)
    sizes = _per_axis("tile", tile, _TILE[image.ndim])
    margin = _per_axis("halo", halo, _HALO[image.ndim])
    with _scratch(image.shape, out) as (numbers, result):
        halo_to_find = margin if get_method(checked_parameters.method).needs_halo else (1,) * image.ndim
        summary = _find(read, checked_parameters, list(pieces(image.shape, sizes, halo_to_find)), numbers)
        verdict = summary.decide(checked_parameters.rules)
        _grow(read, checked_parameters, list(pieces(image.shape, sizes, margin)), numbers, verdict, result)
    if out is None:
        return like(result, image, name="labels") if isinstance(prob, xr.DataArray) else result
    return _written(out, image if isinstance(prob, xr.DataArray) else None)


def _per_axis(name: str, given: int | Sequence[int] | None, default: tuple[int, ...]) -> tuple[int, ...]:
    """Return one number of pixels per axis, given one number for all axes, one per axis, or None for the default."""
    if given is None:
        return default
    numbers = (given,) * len(default) if isinstance(given, (int, np.integer)) else tuple(given)
    if len(numbers) != len(default) or any(int(n) != n or n < 1 for n in numbers):
        raise ImageError(f"{name} is {given}; expected 1 or more pixels, or {len(default)} such numbers")
    return tuple(int(n) for n in numbers)


def _source(prob: Any, membrane: int | str) -> tuple[xr.DataArray, Read]:
    """Return the membrane channel without reading its pixels, and a function that reads a box of the channel."""
    has_channels = isinstance(membrane, (int, np.integer))
    if isinstance(prob, xr.DataArray):
        image = membrane_of(prob, membrane)
    else:
        refuse_channels_last(prob.shape)
        axes = ("c" if has_channels else "") + "zyx"[3 - prob.ndim + has_channels :]
        image = membrane_of(as_image(prob, axes if len(axes) == prob.ndim else None), membrane)
    if "t" in image.dims:
        raise ImageError("prob is a time series; expected a single frame, such as label_cells_tiled(prob.isel(t=0))")
    if image.ndim not in (2, 3):
        raise ImageError(f"membrane probability has axes {image.dims}; expected (y, x) or (z, y, x)")
    guarded = not isinstance(prob, xr.DataArray) and not has_channels

    def read(box: Box) -> npt.NDArray[np.float32]:
        block = values(image[box])
        if guarded:
            refuse_classes(block)
        return checked(block)

    return image, read


def _find(read: Read, parameters: Parameters, cut: list[Piece], numbers: Labels) -> Summary:
    """Find the regions of all pieces and write provisional numbers; return the summary of all regions.

    Invariant: after each piece, `numbers` contains the numbers of all cores so far, and 0 elsewhere; every pixel of
    these cores has been entered into the summary once.
    """
    summary = Summary(numbers.shape)
    for piece in cut:
        found = find(read(piece.box), parameters, piece.sides)[piece.within(piece.ring, piece.box)]
        _must_be_sure(found, piece, "find")
        core = piece.within(piece.core, piece.ring)
        local = with_gaps_numbered(found)
        own = summary.numbered(local[core])
        # The ring overlaps the cores of earlier pieces. A region of this piece that includes such a pixel is the same
        # region as that of the number there. Contacts across the seam are counted once, by the later piece.
        known = np.array(numbers[piece.ring])
        summary.add_same(_translated(local, local[core], own), known)
        summary.add(own, piece.corner)
        known[core] = own
        summary.add_contacts(known)
        numbers[piece.core] = own
    return summary


def _translated(local: Labels, part: Labels, numbers: Labels) -> Labels:
    """Return, for each pixel, the number of its region in a part of the piece; 0 if the region is outside this part."""
    low = int(local.min())
    table = np.zeros(int(local.max()) - low + 1, np.int32)
    table[part - low] = numbers
    translated: Labels = table[local - low]
    return translated


def _grow(read: Read, parameters: Parameters, cut: list[Piece], numbers: Labels, verdict: Verdict, result: Any) -> None:
    """Grow the cells of all pieces and write them with their final ids."""
    keep = verdict.keep
    size = np.zeros(len(keep), np.int64)
    planned = numbers_without_gaps(keep, np.ones_like(size))
    for piece in cut:
        before = verdict.growing(np.asarray(numbers[piece.box]))
        cells = separate(before, read(piece.box), parameters, piece.sides)
        _must_be_sure(cells[piece.within(piece.ring, piece.box)], piece, "grow")
        core = cells[piece.within(piece.core, piece.box)]
        size += np.bincount(core.reshape(-1), minlength=len(keep))
        result[piece.core] = planned[core]
    final = numbers_without_gaps(keep, size)
    if (final != planned).any():  # a cell lost its last pixel to a gap: renumber, so that ids are consecutive
        table = np.zeros(int(planned.max(initial=0)) + 1, np.int32)
        table[planned] = final
        for piece in cut:
            result[piece.core] = table[np.asarray(result[piece.core])]


def _must_be_sure(found: Labels, piece: Piece, step: str) -> None:
    doubtful = np.argwhere(found == UNSURE)
    if not len(doubtful):
        return
    place = [int(p) + s.start for p, s in zip(doubtful[0], piece.ring, strict=True)]
    axes = "zyx"[3 - len(place) :]
    where = ", ".join(f"{a} {p}" for a, p in zip(axes, place, strict=True))
    halo = max(max(c.start - b.start, b.stop - c.stop) for c, b in zip(piece.core, piece.box, strict=True))
    advice = f"raise halo to {2 * halo} or more"
    if step == "grow":
        advice += ", or grow by a number of pixels, such as grow=5"
    raise ImageError(
        f"a halo of {halo} px is too small to {step} the cells at {where} (in pixels), because cells, or the space "
        f"between cells, extend farther from the tile: {advice}"
    )


@contextmanager
def _scratch(shape: tuple[int, ...], out: str | os.PathLike[str] | None) -> Iterator[tuple[Labels, Any]]:
    """Yield a temporary array on disk and the array for the result, which is moved to its final path at the end."""
    target = None if out is None else Path(out)
    if target is not None and target.exists():
        raise ImageError(f"{target} already exists: remove it, or choose another folder for the labels")
    if target is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".labels-", dir=None if target is None else target.parent))
    try:
        numbers: Labels = np.memmap(folder / "numbers", np.int32, "w+", shape=shape)
        result = np.zeros(shape, np.int32) if target is None else _new_zarr(folder / "labels.zarr", shape)
        yield numbers, result
        del numbers
        if target is not None:
            (folder / "labels.zarr").rename(target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _new_zarr(path: Path, shape: tuple[int, ...]) -> Any:
    import zarr

    chunks = tuple(min(n, c) for n, c in zip(shape, (32, 512, 512)[3 - len(shape) :], strict=True))
    names = "zyx"[3 - len(shape) :]
    return zarr.create_array(path, shape=shape, chunks=chunks, dtype="int32", dimension_names=names)


def _written(out: str | os.PathLike[str], image: xr.DataArray | None) -> Any:
    """Open the written labels with the calibration of the image; pixels are read only when they are needed."""
    import zarr

    array: Any = zarr.open_array(Path(out), mode="r")
    return array if image is None else like(as_image(array).data, image, name="labels")
