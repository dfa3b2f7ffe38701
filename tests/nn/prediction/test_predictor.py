from __future__ import annotations

import json
import threading

import numpy as np
import pytest
import torch
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fijibridge.errors import Cancelled, DeviceError, FijiBridgeWarning, ImageError, ModelError, RenamedWarning
from fijibridge.files import read_image, write_image
from fijibridge.image import as_image, origin, pixel_size, time_unit, unit
from fijibridge.nn.model import Model, Normalisation
from fijibridge.nn.planning import receptive_field
from fijibridge.nn.prediction import predict, predictor
from fijibridge.nn.training import train
from fijibridge.nn.unet import UNet
from tests.examples import examples


def model(dims: int = 2, in_channels: int = 1, depth: int = 2) -> Model:
    torch.manual_seed(0)
    return Model(UNet(in_channels, 2, depth, 4, dims), ("other", "membrane"))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def whole(net: Model, image: np.ndarray) -> np.ndarray:
    """Return the output for the whole image at once, padded by mirroring to a multiple of the divisor."""
    known, spatial = net.traits, image.ndim - (image.ndim > net.traits.dims)
    pixels = net.normalisation(image if image.ndim > spatial else image[None])
    margin = [(0, 0), *((0, -n % known.divisor) for n in pixels.shape[1:])]
    padded = torch.from_numpy(np.pad(pixels, margin, mode="reflect"))
    with torch.inference_mode():
        output = net.net.eval()(padded[None])[0].softmax(0).numpy()
    return output[(slice(None), *(slice(0, n) for n in pixels.shape[1:]))]


@given(st.integers(1, 80), st.integers(1, 80), st.sampled_from([8, 16, 50, 1000]))
@examples(15)
def test_tiled_is_the_network_on_the_whole_image_for_any_size(height, width, tile):
    net, image = model(), noise(height, width)
    tiled = predict(net, image, tile=tile)
    assert tiled.shape == (2, height, width)
    np.testing.assert_allclose(tiled.values, whole(net, image), atol=2e-6)


@pytest.mark.parametrize("shape", [(9, 33, 21), (1, 1, 1), (1, 40, 5), (2, 9, 33, 21)])
def test_tiled_is_whole_in_3d(shape):
    net, image = model(dims=3, depth=1, in_channels=2 if len(shape) > 3 else 1), noise(*shape)
    np.testing.assert_allclose(predict(net, image, tile=8).values, whole(net, image), atol=2e-6)


class Uneven(nn.Sequential):
    """Sees farther in x than in y, and is smaller along x first."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, (3, 7), padding=(1, 3)), nn.ReLU(), nn.MaxPool2d((1, 2)),
            nn.Conv2d(4, 4, 3, padding=1, dilation=1), nn.ReLU(), nn.Upsample(scale_factor=(1, 2)), nn.Conv2d(4, 2, 1),
        )  # fmt: skip


@pytest.mark.parametrize("net", [Uneven(), nn.Sequential(nn.Conv2d(1, 2, 9, padding=4), nn.Dropout(0.5))])
def test_tiled_is_whole_for_a_network_of_someones_own(net):
    torch.manual_seed(0)
    own, image = Model(net, ("a", "b")), noise(37, 53)
    np.testing.assert_allclose(predict(own, image, tile=8).values, whole(own, image), atol=2e-6)


@pytest.mark.parametrize("padding", ["as trained", "mirror"])
@pytest.mark.parametrize("convolutions", ["same", "valid"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 61), (64, 64), (70, 33)])
def test_a_mirrored_border_is_that_of_an_image_continued_by_hand(convolutions, padding, shape):
    net = Model(UNet(1, 2, 2, 4, padding=convolutions).eval(), ("a", "b"), Normalisation.none())
    image, wide = noise(*shape), 60  # a multiple of the divisor, wider than what the network sees
    tiled = predict(net, image, tile=12, padding=padding)
    if convolutions == "same" and padding == "as trained":
        np.testing.assert_allclose(tiled.values, whole(net, image), atol=2e-6)
        return
    continued = np.pad(image, wide, mode="reflect")
    by_hand = predict(net, continued, tile=2000).values[:, wide:-wide, wide:-wide]
    np.testing.assert_allclose(tiled.values, by_hand, atol=2e-6)


def test_a_valid_network_gives_what_torch_gives_for_its_middle():
    net = Model(UNet(1, 2, 2, 4, padding="valid").eval(), ("a", "b"), Normalisation.none())
    size = net.net.input_size(40)
    image = noise(size, size)
    with torch.inference_mode():
        middle = net.net(torch.from_numpy(image)[None, None])[0].softmax(0).numpy()
    lost = net.traits.shrink
    tiled = predict(net, image, tile=16).values[:, lost : size - lost, lost : size - lost]
    np.testing.assert_allclose(tiled, middle, atol=2e-6)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_only_pixels_that_see_no_border_are_left_with_valid(padding):
    net = Model(UNet(1, 2, 2, 4, padding=padding).eval(), ("a", "b"), Normalisation.none())
    image = as_image(noise(90, 75), pixel_size=0.5, unit="um", origin={"x": 10.0})
    field, found = receptive_field(net.net), predict(net, image, padding="valid", tile=16)
    assert found.shape == (2, 90 - field.left - field.right, 75 - field.left - field.right)
    assert origin(found) == {"y": 0.5 * field.left, "x": 10 + 0.5 * field.left}
    part = predict(net, image, padding="mirror").sel(y=found.y, x=found.x)
    np.testing.assert_allclose(found.values, part.values, atol=2e-6)
    other = predict(net, image.copy(data=np.pad(image.values[1:-1, 1:-1], 1, constant_values=1e4)), padding="valid")
    assert abs(other - found).max() > 1e-3, "the outermost pixels are seen by some that are left"
    with pytest.raises(ModelError, match=r"leaves no pixel.*padding='mirror'"):
        predict(net, noise(20, 90), padding="valid")


def test_axes_calibration_and_names_are_kept():
    image = as_image(noise(3, 20, 30), pixel_size={"z": 2, "y": 0.5, "x": 0.5}, origin={"y": 7.0}, unit="um")
    prob = predict(model(), image)
    assert prob.dims == ("c", "z", "y", "x")
    assert prob.coords["c"].values.tolist() == ["other", "membrane"]
    assert pixel_size(prob) == pixel_size(image)
    assert origin(prob)["y"] == 7.0
    assert unit(prob) == "um"
    np.testing.assert_allclose(prob.sum("c"), 1, atol=1e-6)


def test_a_stack_is_predicted_plane_by_plane():
    stack = as_image(noise(3, 20, 30))
    done: list[tuple[int, int]] = []
    prob = predict(model(), stack, progress=lambda a, b: done.append((a, b)))
    np.testing.assert_allclose(prob.isel(z=1).values, predict(model(), stack.isel(z=1)).values, atol=2e-6)
    assert done == [(1, 3), (2, 3), (3, 3)]


def test_time_channels_and_planes_are_gone_through():
    net, image = model(in_channels=2), as_image(noise(3, 2, 4, 20, 30), "tczyx")
    prob = predict(net, image, tile=16)
    assert prob.dims == ("t", "c", "z", "y", "x")
    one = predict(net, image.isel(t=2, z=1))
    np.testing.assert_allclose(prob.isel(t=2, z=1).values, one.values, atol=2e-6)
    volumes = predict(model(dims=3, depth=1, in_channels=2), image)
    one = predict(model(dims=3, depth=1, in_channels=2), image.isel(t=1))
    np.testing.assert_allclose(volumes.isel(t=1).values, one.values, atol=2e-6)


def test_channels():
    image = as_image(noise(2, 20, 30), "cyx")
    assert predict(model(in_channels=2), image).dims == ("c", "y", "x")
    with pytest.raises(ModelError, match="1 channel"):
        predict(model(), image)


def test_wrong_axes_and_values():
    with pytest.raises(ModelError, match="has no axis 'z'"):
        predict(model(dims=3, depth=1), noise(20, 30))
    with pytest.raises(ModelError, match="NaN"):
        predict(model(), np.full((8, 8), np.nan))


def test_normalisation_is_of_each_channel():
    image = np.stack([np.linspace(0, 1000, 100), np.full(100, 7.0)]).reshape(2, 10, 10)
    scaled = Normalisation(0, 100)(image)
    assert (scaled[0].min(), scaled[0].max()) == (0, 1)
    assert (scaled[1] == 0).all(), "a constant channel is no error"


def test_a_model_file_gives_the_same_prediction(tmp_path):
    net, image = model(), noise(24, 24)
    path = net.save(tmp_path / "model.safetensors")
    for source in (path, tmp_path, Model.load(path)):
        assert (predict(source, image) == predict(net, image)).all()


def test_a_run_is_as_good_as_its_model():
    net, image = UNet(depth=1, width=2), noise(16, 16)
    run = train(net, [(image, np.eye(16, dtype=np.uint8))], epochs=0, patch=(16, 16))
    assert (predict(run, image) == predict(run.model, image)).all()


@pytest.mark.parametrize(("source", "words"), [(UNet(depth=1, width=2), "bare UNet.*run.model"), (3, "got a int")])
def test_what_is_no_model(source, words):
    with pytest.raises(ModelError, match=words):
        predict(source, noise(8, 8))


@pytest.mark.parametrize("device", ["gpu", "cpu:x", "cuda:", "cuda:99", "cpu:1"])
def test_a_device_that_is_not_there(device):
    with pytest.raises(DeviceError, match=f"device '{device}'"):
        predict(model(), noise(8, 8), device=device)


def test_another_scale_is_told_once_for_an_image():
    trained = Model(UNet(depth=1, width=2), ("a", "b"), pixel_size={"y": 0.5, "x": 0.5}, unit="um")
    image = as_image(noise(8, 8), pixel_size={"y": 1, "x": 2}, unit="um")
    with pytest.warns(FijiBridgeWarning, match=r"1 um in y and 2 um in x, .* trained on 0\.5 and 0\.5") as told:
        predict(trained, image)
    assert len(told) == 1


class Squeezed(nn.Module):
    """Weighs its channels by means over the whole image."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 2, 1)

    def forward(self, x):
        y = self.first(x)
        return self.last(y * y.mean((2, 3), keepdim=True).sigmoid())


def test_a_network_that_sees_the_whole_image_is_shown_it_or_refused():
    net, image = Model(Squeezed().eval(), ("a", "b")), noise(40, 50)
    np.testing.assert_allclose(predict(net, image).values, whole(net, image), atol=2e-6)
    with pytest.raises(ModelError, match=r"40 x 50 px must be predicted in one piece.*sees the whole image.*tile"):
        predict(net, image, tile=16)
    with pytest.raises(ModelError, match="padding='mirror' needs the network's receptive field"):
        predict(net, image, padding="mirror")


@pytest.mark.parametrize("norm", ["instance", "group"])
def test_statistics_of_a_tile_are_told_once(norm):
    net, image = Model(UNet(1, 2, 1, 4, norm=norm).eval(), ("a", "b")), as_image(noise(2, 64, 64))
    np.testing.assert_allclose(predict(net, image).values[:, 1], whole(net, image.values[1]), atol=2e-6)
    with pytest.warns(FijiBridgeWarning, match="64 x 64 px are predicted in tiles") as told:
        predict(net, image, tile=16)
    assert len(told) == 1


def test_the_network_stays_as_it_was():
    net = model()
    net.net.train()
    net.net.down[1].eval()
    before = {name: tensor.clone() for name, tensor in net.net.state_dict().items()}
    predict(net, noise(20, 20))
    assert net.net.training
    assert not net.net.down[1].training
    assert net.net.down[0].training
    assert all((tensor == before[name]).all() for name, tensor in net.net.state_dict().items())


def test_mixed_precision_is_near():
    net, image = model(), noise(40, 40)
    off = abs(predict(net, image, precision="bf16") - predict(net, image)).max()
    assert 0 < off < 0.05
    assert predict(net, image, precision="bf16").dtype == np.float32


@pytest.mark.parametrize(("more", "words"), [
    ({"padding": "zero"}, "padding is 'zero'; expected one of 'as trained', 'mirror', 'valid'"),
    ({"precision": "8"}, "precision is '8'; expected one of '32', 'bf16'"), ({"tile": 0}, "tile is 0"),
])  # fmt: skip
def test_wrong_options(more, words):
    with pytest.raises(ModelError, match=words):
        predict(model(), noise(8, 8), **more)


def test_wrong_models_and_images():
    with pytest.raises(ModelError, match="3 classes, but its network has 2"):
        predict(Model(UNet(depth=1, width=2), ("a", "b", "c")), noise(8, 8))
    with pytest.raises(ModelError, match="no pixels"):
        predict(model(), as_image(np.zeros((0, 8))))
    with pytest.raises(ModelError, match=r"expected some of t c z y x"):
        predict(model(), xr.DataArray(noise(2, 8, 8), dims=("well", "y", "x")))


def small_model(dims: int = 2, in_channels: int = 1, net: nn.Module | None = None) -> Model:
    torch.manual_seed(0)
    return Model(net or UNet(in_channels, 2, 1, 4, dims), ("other", "membrane"))


def counts(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 1000, shape).astype(np.uint16)


@pytest.mark.parametrize("dims", ["yx", "czyx", "tczyx"])
@pytest.mark.parametrize("padding", ["as trained", "valid"])
def test_a_result_on_disk_is_the_one_in_memory(dims, padding, tmp_path):
    image = as_image(
        counts(*(2, 2, 3, 60, 70)[-len(dims) :]), dims, pixel_size={"t": 30.0, "z": 2.0, "y": 0.5, "x": 0.25},
        origin={"y": 7.0}, unit={"z": "um", "y": "um", "x": "um", "t": "sec"}, name="a",
    )  # fmt: skip
    net = small_model(in_channels=image.sizes.get("c", 1))
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
    net = small_model(dims=3)
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
        predict(small_model(net=Broken(rest).eval()), counts(90, 90), out=tmp_path / "p.zarr", tile=16)
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
            small_model(), counts(64, 64), out=target, tile=16, progress=progress,
            cancel=event if kind == "event" else event.is_set,
        )  # fmt: skip
    assert told == [(1, 16), (2, 16), (3, 16)]
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "p.zarr").mkdir()
    (tmp_path / "p.zarr" / "mine").write_text("dear")
    with pytest.raises(ImageError, match=r"p\.zarr exists already: remove it, or choose another"):
        predict(small_model(), counts(20, 20), out=tmp_path / "p.zarr")
    assert (tmp_path / "p.zarr" / "mine").read_text() == "dear"
    with pytest.raises(ImageError, match=r"expected a folder that ends in \.zarr.*write_image"):
        predict(small_model(), counts(20, 20), out=tmp_path / "p.tif")


def test_the_metadata_is_that_of_ome_zarr(tmp_path):
    image = as_image(counts(20, 30), pixel_size=0.5, unit="um", origin={"x": 3.0})
    predict(small_model(), image, out=tmp_path / "p.ome.zarr")
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


def test_a_result_that_does_not_fit_is_refused_before_work_starts(monkeypatch):
    monkeypatch.setattr(predictor, "available_memory", lambda: 10_000)
    with pytest.raises(ImageError, match=r"needs .* GiB, but only .* free: .*out='name.ome.zarr'"):
        predict(Model(UNet(depth=1, width=2), ("a", "b")), noise(60, 60))


LARGE = """
import json, sys, numpy as np, torch, zarr
import fijibridge as fb
from tests.examples import examples
from fijibridge.machine import PeakMemory
torch.set_num_threads(1)
side = {side}
source = zarr.create_array("{folder}/a.zarr", shape=(side, side), chunks=(512, 512), dtype="uint16")
block = np.random.default_rng(0).integers(0, 999, (512, 512)).astype(np.uint16)
for y in range(0, side, 512):
    for x in range(0, side, 512):
        source[y : y + 512, x : x + 512] = block
net = torch.nn.Conv2d(1, 2, 3, padding=1)
model = fb.Model(net, ("a", "b"))
fb.predict(model, source[:512, :512], tile=512)
with PeakMemory() as watch:
    prob = fb.predict(model, source, out="{folder}/p.ome.zarr", tile=512)
assert prob.shape == (2, side, side)
part = prob[:, 700:900, 3:200].values
expected = fb.predict(fb.Model(net, ("a", "b"), fb.nn.normalisation.Normalisation.none()), np.zeros((8, 8)))
print(json.dumps({{"growth": watch.growth, "image": source.nbytes, "result": prob.nbytes}}))
"""


def test_memory_does_not_grow_with_the_image(python, tmp_path):
    """An image of 100 MB with a result of 400 MB."""
    growth = {}
    for side in (2048, 7168):
        (tmp_path / str(side)).mkdir()
        told = python(LARGE.format(side=side, folder=tmp_path / str(side)), timeout=200, OMP_NUM_THREADS="1")
        growth[side] = json.loads(told.stdout)
    assert growth[7168]["image"] > 100e6
    assert growth[7168]["result"] > 400e6
    assert growth[7168]["growth"] < 150e6
    assert growth[7168]["growth"] < growth[2048]["growth"] + 60e6


def test_padding_had_the_name_border():
    image = noise(20, 20)
    with pytest.warns(RenamedWarning, match="border= of predict was renamed to padding="):
        found = predict(model(), image, border="mirror")
    xr.testing.assert_identical(found, predict(model(), image, padding="mirror"))
