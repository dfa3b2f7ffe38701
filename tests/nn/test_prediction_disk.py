"""Predictions of images that are not in memory, onto disk, and what is left when they do not end."""

from __future__ import annotations

import json
import threading

import dask.array as da
import numpy as np
import pytest
import torch
import xarray as xr
import zarr
from torch import nn

from fijibridge.errors import Cancelled, ImageError, ModelError
from fijibridge.files import read_image, write_image
from fijibridge.image import as_image, origin, pixel_size, time_unit, unit
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


@pytest.mark.parametrize("dims", ["yx", "czyx", "tczyx"])
@pytest.mark.parametrize("padding", ["as trained", "valid"])
def test_a_result_on_disk_is_the_one_in_memory(dims, padding, tmp_path):
    image = as_image(
        counts(*(3, 2, 4, 60, 70)[-len(dims) :]), dims, pixel_size={"t": 30.0, "z": 2.0, "y": 0.5, "x": 0.25},
        origin={"y": 7.0}, unit={"z": "um", "y": "um", "x": "um", "t": "sec"}, name="a",
    )  # fmt: skip
    net = model(in_channels=image.sizes.get("c", 1))
    here, there = (predict(net, image, padding=padding, out=out, tile=20) for out in (None, tmp_path / "p.ome.zarr"))
    assert there.chunks is not None, "nothing is read before it is needed"
    xr.testing.assert_identical(there.compute(), here)
    assert [pixel_size(there), origin(there), unit(there)] == [pixel_size(here), origin(here), unit(here)]
    read = read_image(tmp_path / "p.ome.zarr")
    assert (read.values == here.values).all()
    assert read.c.values.tolist() == ["other", "membrane"]
    assert (
        origin(read)["y"]
        == origin(here)["y"]
        == 7.0 + (0.0 if padding == "as trained" else 0.5 * (70 - here.sizes["x"]) / 2)
    )
    assert time_unit(read) == time_unit(here) or "t" not in dims
    assert [p.name for p in tmp_path.iterdir()] == ["p.ome.zarr"]


def test_a_path_is_read_as_an_image_and_a_volume_goes_onto_disk(tmp_path):
    volume = as_image(counts(9, 40, 30), pixel_size={"z": 2.0, "y": 1.0, "x": 1.0}, unit="um")
    write_image(volume, tmp_path / "v.tif")
    net = model(dims=3)
    result = predict(net, tmp_path / "v.tif", out=tmp_path / "v.zarr", tile=8)
    np.testing.assert_allclose(result.values, predict(net, volume).values, atol=2e-6)
    assert pixel_size(result) == pixel_size(volume)


class Broken(UNet):
    """Does something else from the third tile on."""

    def __init__(self, rest):
        super().__init__(1, 2, 1, 2)
        self.rest, self.seen = rest, 0

    def forward(self, x):
        self.seen += x.numel() > 0
        return super().forward(x) if self.seen < 3 else self.rest()


def interrupt():
    raise KeyboardInterrupt


def fail():
    raise ValueError("the disk is on fire")


@pytest.mark.parametrize(("rest", "error"), [(interrupt, KeyboardInterrupt), (fail, ValueError)])
def test_nothing_is_left_of_what_was_broken_off(rest, error, tmp_path):
    with pytest.raises(error):
        predict(model(net=Broken(rest).eval()), counts(90, 90), out=tmp_path / "p.zarr", tile=16)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["event", "function"])
@pytest.mark.parametrize("out", [None, "p.zarr"])
def test_cancelling_leaves_nothing(kind, out, tmp_path):
    event, told = threading.Event(), []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done == 3:
            event.set()

    target = None if out is None else tmp_path / out
    with pytest.raises(Cancelled, match="after 3 of 16 tiles"):
        predict(
            model(), counts(64, 64), out=target, tile=16, progress=progress,
            cancel=event if kind == "event" else event.is_set,
        )  # fmt: skip
    assert told == [(1, 16), (2, 16), (3, 16)]
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "p.zarr").mkdir()
    (tmp_path / "p.zarr" / "mine").write_text("dear")
    with pytest.raises(ImageError, match=r"p\.zarr is there already: remove it, or choose another"):
        predict(model(), counts(20, 20), out=tmp_path / "p.zarr")
    assert (tmp_path / "p.zarr" / "mine").read_text() == "dear"
    with pytest.raises(ImageError, match=r"expected a folder that ends in \.zarr.*write_image"):
        predict(model(), counts(20, 20), out=tmp_path / "p.tif")


def test_nan_in_a_lazy_image_is_told_and_leaves_nothing(tmp_path):
    pixels = np.zeros((40, 40), np.float32)
    pixels[30, 30] = np.nan
    for normalisation in (Normalisation(), Normalisation.none()):
        net = Model(UNet(1, 2, 1, 2), ("a", "b"), normalisation)
        with pytest.raises(ModelError, match="NaN"):
            predict(net, da.from_array(pixels, chunks=20), out=tmp_path / "p.zarr", tile=16)
    assert list(tmp_path.iterdir()) == []


def test_the_metadata_is_that_of_ome_zarr(tmp_path):
    image = as_image(counts(20, 30), pixel_size=0.5, unit="um", origin={"x": 3.0})
    predict(model(), image, out=tmp_path / "p.ome.zarr")
    about = json.loads((tmp_path / "p.ome.zarr" / "zarr.json").read_text())["attributes"]["ome"]
    (scale,) = about["multiscales"]
    assert about["version"] == "0.5"
    assert scale["axes"] == [
        {"name": "c", "type": "channel"},
        {"name": "y", "type": "space", "unit": "micrometer"}, {"name": "x", "type": "space", "unit": "micrometer"},
    ]  # fmt: skip
    assert scale["datasets"][0]["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 0.5, 0.5]}, {"type": "translation", "translation": [0.0, 0.0, 3.0]},
    ]  # fmt: skip
    assert [c["label"] for c in about["omero"]["channels"]] == ["other", "membrane"]
