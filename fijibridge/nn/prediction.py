"""Images in, class probabilities out: tile by tile, equal to the whole."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
import xarray as xr
from torch import nn

from fijibridge.errors import FijiBridgeWarning, ModelError
from fijibridge.image import DIMS, Array, as_image, pixel_size, unit
from fijibridge.nn.devices import device_of
from fijibridge.nn.model import Model
from fijibridge.nn.networks import Traits, traits
from fijibridge.nn.planning import receptive_field
from fijibridge.nn.unet import UNet

if TYPE_CHECKING:
    from fijibridge.nn.training import Run

Progress = Callable[[int, int], None]


def predict(
    model: Model | Run | str | os.PathLike[str],
    image: Array,
    *,
    tile: int = 512,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> xr.DataArray:
    """Compute the probability of each class for each pixel.

    Parameters
    ----------
    model
        A trained model, the run that made it, or the path of its file or of its run's folder.
    image
        With y and x, with z for a 3D network, with c for one of several channels; any further axes are gone
        through one by one. Of any size from 1 px up.
    tile
        Side of the tiles in pixels, without their halo. It changes memory and speed, not the result.
    device
        ``"cpu"``, ``"cuda"`` ...; left out, the best there is.
    progress
        Called with (tiles done, tiles in all).

    Returns
    -------
    xarray.DataArray
        ``float32``; the image's axes and calibration, and ``c`` with the names of the classes.

    Raises
    ------
    ModelError
        If the file cannot be read, it is no model, or the image's axes or channels do not fit the network.
    DeviceError
        If there is no such device.

    Notes
    -----
    Tiles start at multiples of the network's divisor and carry a halo as wide as its receptive field, so that
    tiled and whole prediction are the same up to rounding.
    """
    model = _model(model)
    source = image if isinstance(image, xr.DataArray) else as_image(image)
    known = model.traits
    spatial = DIMS[-known.dims :]
    _check_axes(source, known, spatial)
    _warn_of_another_scale(source, model)
    where = device_of(device)
    net = model.net.to(where).eval()
    outer = [str(d) for d in source.dims if d != "c" and d not in spatial]
    shape = [source.sizes[d] for d in (*outer, *spatial)]
    result = np.empty((len(model.classes), *shape), np.float32)
    stacks = list(np.ndindex(*shape[: len(outer)]))
    for number, index in enumerate(stacks):
        piece = source.isel(dict(zip(outer, index, strict=True)))
        pixels = model.normalisation(_channels_first(piece, spatial))
        told = _told(progress, number, len(stacks))
        result[(slice(None), *index)] = _predict_array(net, pixels, tile, where, told)
    return _named(result, source, [*outer, *spatial], model.classes)


def _model(source: object) -> Model:
    found = getattr(source, "model", source)  # a run has one
    if isinstance(found, Model):
        return found
    if isinstance(found, str | os.PathLike):
        return Model.load(found)
    if isinstance(found, UNet):
        raise ModelError(
            "a bare UNet does not say how its images are normalised and what its classes are: take run.model of "
            "fijibridge.train, or make a fijibridge.Model(net, classes=('other', 'membrane'))"
        )
    raise ModelError(f"got a {type(source).__name__}; expected a Model, a Run, or the path of a model or run")


def _warn_of_another_scale(image: xr.DataArray, model: Model) -> None:
    if unit(image) != model.unit or model.unit == "pixel":
        return
    size, trained = pixel_size(image), model.pixel_size
    off = [d for d in ("y", "x") if d in trained and not 0.8 < size[d] / trained[d] < 1.25]
    if off:
        warnings.warn(
            f"pixels are {' and '.join(f'{size[d]:g} {model.unit} in {d}' for d in off)}, the network was trained on "
            f"{' and '.join(f'{trained[d]:g}' for d in off)}: rescale the image to that",
            FijiBridgeWarning,
            stacklevel=3,
        )


def _check_axes(image: xr.DataArray, net: Traits, spatial: Sequence[str]) -> None:
    missing = [d for d in spatial if d not in image.dims]
    if missing:
        raise ModelError(f"the network is {net.dims}D but the image has axes {image.dims}: axis {missing[0]!r} missing")
    channels, expected = image.sizes.get("c", 1), net.in_channels
    if channels != expected:
        raise ModelError(
            f"the network was trained on {expected} channel(s), the image has {channels}: select with image.isel(c=...)"
        )


def _channels_first(image: xr.DataArray, spatial: Sequence[str]) -> npt.NDArray[Any]:
    ordered = image if "c" in image.dims else image.expand_dims("c")
    return np.asarray(ordered.transpose("c", *spatial).values)


def _told(progress: Progress | None, number: int, stacks: int) -> Progress:
    def tell(done: int, total: int) -> None:
        if progress is not None:
            progress(number * total + done, stacks * total)

    return tell


def _predict_array(
    net: nn.Module, pixels: npt.NDArray[np.float32], tile: int, device: torch.device, tell: Progress
) -> npt.NDArray[np.float32]:
    """Predict one (C, [Z,] Y, X) array, whose sides are first made multiples of the divisor."""
    size = pixels.shape[1:]
    field = receptive_field(net)
    padding = [(0, 0), *((0, -n % field.divisor) for n in size)]
    padded = np.pad(pixels, padding, mode="edge")
    side = max(tile - tile % field.divisor, field.divisor)
    result = np.empty((traits(net).n_outputs, *padded.shape[1:]), np.float32)
    tiles = list(_tiles(padded.shape[1:], side, field.halo))
    with torch.inference_mode():
        for done, (outer, inner, inside) in enumerate(tiles, start=1):
            x = torch.from_numpy(np.ascontiguousarray(padded[(slice(None), *outer)]))[None].to(device)
            probability = _activated(net(x), traits(net))[0].float().cpu().numpy()
            result[(slice(None), *inner)] = probability[(slice(None), *inside)]
            tell(done, len(tiles))
    return result[(slice(None), *(slice(0, n) for n in size))]


def _activated(output: torch.Tensor, known: Traits) -> torch.Tensor:
    """Return probabilities of classes, whether neighbours are of one cell, and distances of 0 and more."""
    done = {"classes": lambda t: torch.softmax(t, dim=1), "affinity": torch.sigmoid, "distance": torch.relu}
    return torch.cat([done[name](output[:, part]) for name, part in known.outputs.items()], dim=1)


Slices = tuple[slice, ...]


def _tiles(shape: Sequence[int], side: int, halo: int) -> Iterator[tuple[Slices, Slices, Slices]]:
    """Yield what to read, what to write, and where that lies in what was read."""
    for corner in product(*(range(0, n, side) for n in shape)):
        stop = [min(c + side, n) for c, n in zip(corner, shape, strict=True)]
        first = [max(c - halo, 0) for c in corner]
        last = [min(s + halo, n) for s, n in zip(stop, shape, strict=True)]
        outer = tuple(map(slice, first, last))
        inner = tuple(map(slice, corner, stop))
        inside = tuple(slice(c - f, s - f) for c, s, f in zip(corner, stop, first, strict=True))
        yield outer, inner, inside


def _named(
    result: npt.NDArray[np.float32], image: xr.DataArray, axes: Sequence[str], classes: Sequence[str]
) -> xr.DataArray:
    coords = {k: v for k, v in image.coords.items() if k != "c" and "c" not in v.dims}
    named = xr.DataArray(result, dims=("c", *axes), coords=coords | {"c": list(classes)}, name=image.name)
    return named.transpose(*(d for d in DIMS if d in named.dims))
