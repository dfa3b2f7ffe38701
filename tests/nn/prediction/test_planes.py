"""Predictions of images that are not in memory, onto disk, and what is left when they do not end."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.image import as_image
from fijibridge.nn.model import Model
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.prediction import predict
from fijibridge.nn.unet import UNet


def model(dims: int = 2, in_channels: int = 1, net: nn.Module | None = None) -> Model:
    torch.manual_seed(0)
    return Model(net or UNet(in_channels, 2, 1, 4, dims), ("other", "membrane"))


def counts(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)


@pytest.fixture(params=["memmap", "a view of a memmap", "dask", "zarr", "xarray of zarr"])
def lying_elsewhere(request, tmp_path):
    """An image that is not in memory, and the same in memory."""
    pixels = counts(3, 50, 40)
    if "memmap" in request.param:
        np.save(tmp_path / "a.npy", pixels)
        mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
        return (xr.DataArray(mapped, dims=("z", "y", "x")) if "view" in request.param else mapped), pixels
    if request.param == "dask":
        return da.from_array(pixels, chunks=(1, 20, 20)), pixels
    array = zarr.create_array(tmp_path / "a.zarr", shape=pixels.shape, chunks=(1, 20, 20), dtype=pixels.dtype)
    array[:] = pixels
    return (array if request.param == "zarr" else as_image(array, "zyx")), pixels


def test_an_image_that_is_not_in_memory_is_predicted_alike(lying_elsewhere):
    lazy, pixels = lying_elsewhere
    for net in (model(), model(dims=3)):
        np.testing.assert_allclose(predict(net, lazy, tile=16).values, predict(net, pixels).values, atol=2e-6)


def test_percentiles_of_what_is_not_in_memory_are_taken_in_parts(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", counts(60, 40))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    monkeypatch.setattr(np, "percentile", lambda *a, **k: pytest.fail("all of it was read at once"))
    predict(model(), xr.DataArray(mapped, dims=("y", "x")))


def test_nan_in_a_lazy_image_is_told_and_leaves_nothing(tmp_path):
    pixels = np.zeros((40, 40), np.float32)
    pixels[30, 30] = np.nan
    for normalisation in (Normalisation(), Normalisation.none()):
        net = Model(UNet(1, 2, 1, 2), ("a", "b"), normalisation)
        with pytest.raises(ModelError, match="NaN"):
            predict(net, da.from_array(pixels, chunks=20), out=tmp_path / "p.zarr", tile=16)
    assert list(tmp_path.iterdir()) == []
