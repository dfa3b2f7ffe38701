"""Prediction of images: class probabilities, computed tile by tile, in memory or on disk."""

from __future__ import annotations

import math
import os
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import torch
import xarray as xr

from fijibridge.errors import Cancelled, FijiBridgeWarning, ImageError, ModelError
from fijibridge.files.ome_zarr import new_ome_zarr
from fijibridge.files.reader import read_image
from fijibridge.image import DIMS, Array, as_image, in_order, pixel_size, unit
from fijibridge.machine import available_memory
from fijibridge.nn.devices import device_of
from fijibridge.nn.inference import evaluation
from fijibridge.nn.model import Model
from fijibridge.nn.prediction.activations import check_flips
from fijibridge.nn.prediction.planes import planes
from fijibridge.nn.prediction.tiles import PADDINGS, Padding
from fijibridge.nn.prediction.tiling import Tiling
from fijibridge.nn.traits import Traits
from fijibridge.nn.unet import UNet
from fijibridge.renames import renamed_keywords

if TYPE_CHECKING:
    from fijibridge.record import Recorded

Progress: TypeAlias = Callable[[int, int], None]
Cancel: TypeAlias = "threading.Event | Callable[[], bool]"

_CHUNK = {"z": 32, "y": 256, "x": 256}
_IN_MEMORY = 0.75  # fraction of the available memory that a result may use
_PRECISIONS = ("32", "bf16")


@renamed_keywords(border="padding")
def predict(
    model: Model | Recorded | str | os.PathLike[str],
    image: Array | str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    tile: int | None = None,
    padding: Padding = "as trained",
    flips: bool = False,
    precision: str = "32",
    device: str | torch.device | None = None,
    progress: Progress | None = None,
    cancel: Cancel | None = None,
    overwrite: bool = False,
) -> xr.DataArray:
    """Compute the probability of each class for each pixel.

    Parameters
    ----------
    model
        A trained model, the run that produced it, or the path of its file or of its run's folder.
    image
        Image with axes y and x, z for a 3D network, and c for a network with several channels. Planes or volumes along
        all other axes are predicted one by one. The image may have any size from 1 px up, and may be larger than
        memory: a numpy array, a memory map, a dask or zarr array, or the path of a file.
    out
        Path of a new folder that ends in ``.zarr``. The result is written there part by part as OME-Zarr, so memory
        use does not grow with the image. The folder appears when it is complete.
    tile
        Side of the tiles in pixels, without halo; by default, the largest that fits into free memory. It affects memory
        and speed, not the result. If memory runs out, the tile size is halved and the tile is retried.
    padding
        What the network sees beyond the image. ``"as trained"``: its own padding, or the mirrored image if it has none
        (valid convolutions). ``"mirror"``: the mirrored image. ``"valid"``: nothing; only pixels that see no border are
        predicted, so the result is smaller, and its origin is shifted.
    flips
        Whether to average the predictions over all mirrored images, which is 4 times the work in 2D, and 8 times in 3D.
    precision
        ``"32"``, or ``"bf16"`` for mixed precision, which needs less memory and is faster on a GPU if the network takes
        most of the time, but changes probabilities by up to 0.01.
    device
        ``"cpu"``, ``"cuda"`` ...; by default, the best available one. The network is moved there, and stays there.
    progress
        Called with (tiles done, total tiles).
    cancel
        An event, or a function that returns True to stop; checked before each tile.
    overwrite
        Replace an existing folder `out` once the new one is complete.

    Returns
    -------
    xarray.DataArray
        ``float32``, with the axes and calibration of the image, and ``c`` with the class names. With `out`, it wraps a
        dask array that reads the result when needed.

    Raises
    ------
    ModelError
        If the model file cannot be read or contains no model, or the image's axes or channels do not fit the network.
    ImageError
        If `out` exists and `overwrite` is False, or if `out` is omitted and the result does not fit into memory.
    DeviceError
        If there is no such device, or the smallest tile does not fit into its memory.
    Cancelled
        If requested by `cancel`. No partial result remains; the same holds after an error or Ctrl-C.

    Notes
    -----
    Tiles start at multiples of the network's divisor and have a halo as wide as its receptive field, so tiled and whole
    predictions are equal up to rounding: 1e-6 on a CPU, 5e-4 on a GPU, where torch rounds convolutions to TF32 (unless
    ``torch.backends.cudnn.allow_tf32 = False``). The exception is networks that normalise by statistics of their input
    (instance and group normalisation), for which a warning is issued.

    If images are normalised by their own percentiles, these are computed for each plane (or volume, for a 3D network)
    separately; for an image on disk, from a histogram (:meth:`Normalisation.levels`).

    Examples
    --------
    >>> import fijibridge as fb
    >>> model = fb.Model(fb.UNet(depth=1, width=2), classes=("other", "membrane"))
    >>> image = fb.as_image(np.eye(50), pixel_size=0.5, unit="um")
    >>> prob = predict(model, image, tile=16)
    >>> prob.dims, prob.shape, fb.pixel_size(prob)["x"]
    (('c', 'y', 'x'), (2, 50, 50), 0.5)
    >>> inner = predict(model, image, padding="valid")
    >>> inner.shape, float(inner.x[0])
    ((2, 32, 32), 4.5)
    """
    model = as_model(model)
    source = read_image(image, lazy=True) if isinstance(image, str | os.PathLike) else image
    source = in_order(source) if isinstance(source, xr.DataArray) else as_image(source)
    known = model.traits
    spatial = DIMS[-known.dims :]
    _check(source, known, spatial, model.classes, padding, tile, precision)
    if flips:
        check_flips(known)
    _warn_of_another_scale(source, model)
    where = device_of(device)
    net = model.net.to(where)
    with evaluation(net):
        shape = [source.sizes[d] for d in spatial]
        tiling = Tiling(net, known, where, shape, tile, padding, flips, precision)
        place = source.isel({d: slice(*ends) for d, ends in zip(spatial, tiling.decided, strict=True)})
        sizes = {d: len(model.classes) if d == "c" else place.sizes[d] for d in DIMS if d == "c" or d in place.dims}
        with _result(out, sizes, place, model.classes, overwrite) as result:
            _fill(result, sizes, source, spatial, tiling, model, _Watch(progress, cancel))
    return _named(result if out is None else read_image(out, lazy=True).data, sizes, place, model.classes)


class _Watch:
    """Reports progress, and raises :class:`fijibridge.errors.Cancelled` when asked to stop."""

    def __init__(self, progress: Progress | None, cancel: Cancel | None):
        self._progress = progress
        self._asked = cancel.is_set if isinstance(cancel, threading.Event) else cancel

    def report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)

    def stop_if_asked(self, done: int, total: int) -> None:
        if self._asked is not None and self._asked():
            raise Cancelled(f"the prediction was cancelled after {done} of {total} tiles; no partial result remains")


def _fill(
    result: Any, sizes: Mapping[str, int], image: xr.DataArray, spatial: Sequence[str], tiling: Tiling, model: Model,
    watch: _Watch,
) -> None:  # fmt: skip
    """Write the prediction of all planes and tiles into a result with axes `sizes`."""
    outer = [str(d) for d in image.dims if d != "c" and d not in spatial]
    stacks = list(np.ndindex(*(image.sizes[d] for d in outer)))
    done, total = 0, len(stacks) * len(tiling.tiles)
    starts = [first for first, _ in tiling.decided]
    watch.stop_if_asked(done, total)
    for index, plane in zip(stacks, planes(image, spatial, model.normalisation), strict=True):
        for tile in tiling.tiles:
            watch.stop_if_asked(done, total)
            for part, answer in tiling.answers(plane, tile):
                at: dict[str, Any] = dict(zip(outer, index, strict=True))
                for d, line, start in zip(spatial, part, starts, strict=True):
                    at[d] = slice(line.write.start - start, line.write.stop - start)  # the result starts at `start`
                result[tuple(at.get(d, slice(None)) for d in sizes)] = answer
            done += 1
            watch.report(done, total)


@contextmanager
def _result(
    out: str | os.PathLike[str] | None,
    sizes: Mapping[str, int],
    like: xr.DataArray,
    classes: Sequence[str],
    overwrite: bool,
) -> Iterator[Any]:
    """Yield an array for the result, in memory or on disk."""
    if out is not None:
        if not os.fspath(out).endswith(".zarr"):
            raise ImageError(
                f"out is {os.fspath(out)!r}; expected a folder that ends in .zarr. For a TIFF, omit out= and "
                "write the result with fijibridge.write_image(prob, path)"
            )
        chunks = [min(n, _CHUNK.get(d, 1)) for d, n in sizes.items()]
        with new_ome_zarr(
            out, sizes, like, dtype=np.float32, chunks=chunks, channels=classes, overwrite=overwrite
        ) as array:
            yield array
        return
    need, there = 4 * math.prod(sizes.values()), available_memory()
    if there is not None and need > _IN_MEMORY * there:
        raise ImageError(
            f"the result needs {need / 2**30:.1f} GiB, but only {there / 2**30:.1f} GiB are free: write it to disk "
            "with out='name.ome.zarr'"
        )
    yield np.empty(tuple(sizes.values()), np.float32)


def as_model(source: object) -> Model:
    """Return a model that is given directly, by its run, or by the path of its file or of its run's folder.

    Raises
    ------
    ModelError
        If the source is none of these, or the file contains no model.
    """
    found = getattr(source, "model", source)  # a run has a model
    if isinstance(found, Model):
        return found
    if isinstance(found, str | os.PathLike):
        return Model.load(found)
    if isinstance(found, UNet):
        raise ModelError(
            "got a bare UNet, without normalisation and class names: pass run.model of fijibridge.train, or "
            "fijibridge.Model(net, classes=('other', 'membrane'))"
        )
    raise ModelError(f"got a {type(source).__name__}; expected a Model, a Run, or the path of a model or run")


def _warn_of_another_scale(image: xr.DataArray, model: Model) -> None:
    if unit(image) != model.unit or model.unit == "pixel":
        return
    size, trained = pixel_size(image), model.pixel_size
    off = [d for d in ("y", "x") if d in trained and not 0.8 < size[d] / trained[d] < 1.25]
    if off:
        warnings.warn(
            f"pixels are {' and '.join(f'{size[d]:g} {model.unit} in {d}' for d in off)}, but the network was trained "
            f"on {' and '.join(f'{trained[d]:g}' for d in off)}: rescale the image to that size",
            FijiBridgeWarning,
            stacklevel=3,
        )


def _check(
    image: xr.DataArray, known: Traits, spatial: Sequence[str], classes: Sequence[str], padding: str,
    tile: int | None, precision: str,
) -> None:  # fmt: skip
    if padding not in PADDINGS:
        raise ModelError(f"padding is {padding!r}; expected one of {', '.join(map(repr, PADDINGS))}")
    if precision not in _PRECISIONS:
        raise ModelError(f"precision is {precision!r}; expected one of {', '.join(map(repr, _PRECISIONS))}")
    if tile is not None and tile < 1:
        raise ModelError(f"tile is {tile}; expected a side of 1 px or more, or None")
    missing = [d for d in spatial if d not in image.dims]
    if missing:
        raise ModelError(
            f"the network is {known.dims}D, but the image with axes {image.dims} has no axis {missing[0]!r}"
        )
    if not set(image.dims) <= set(DIMS):
        raise ModelError(f"the image has axes {image.dims}; expected some of {' '.join(DIMS)}: select with image.isel")
    if image.size == 0:
        raise ModelError(f"the image has no pixels: its shape is {image.shape}")
    channels, expected = image.sizes.get("c", 1), known.in_channels
    if channels != expected:
        raise ModelError(
            f"the network was trained on {expected} channel{'s' * (expected > 1)}, but the image has {channels}: "
            "select channels (in Python image.isel(c=0); in Fiji Image > Duplicate..., for an RGB image after Image > "
            "Type > 8-bit)"
        )
    if len(classes) != known.n_outputs:
        raise ModelError(
            f"the model names {len(classes)} classes, but its network has {known.n_outputs} output channels"
        )


def _named(pixels: Any, sizes: Mapping[str, int], image: xr.DataArray, classes: Sequence[str]) -> xr.DataArray:
    coords = {k: v for k, v in image.coords.items() if k != "c" and "c" not in v.dims}
    return xr.DataArray(pixels, dims=list(sizes), coords=coords | {"c": list(classes)}, name=image.name)
