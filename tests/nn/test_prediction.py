from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fijibridge.errors import DeviceError, FijiBridgeWarning, ModelError
from fijibridge.image import as_image, origin, pixel_size, unit
from fijibridge.nn.model import Model, Normalisation
from fijibridge.nn.prediction import predict
from fijibridge.nn.training import train
from fijibridge.nn.unet import UNet


def model(dims: int = 2, in_channels: int = 1, depth: int = 2) -> Model:
    torch.manual_seed(0)
    return Model(UNet(in_channels, 2, depth, 4, dims), ("other", "membrane"))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


@given(st.integers(1, 120), st.integers(1, 120))
@settings(max_examples=15, deadline=None)
def test_tiled_is_whole_for_any_size(height, width):
    net, image = model(), noise(height, width)
    whole, tiled = predict(net, image, tile=1024), predict(net, image, tile=16)
    assert whole.shape == (2, height, width)
    np.testing.assert_allclose(tiled.values, whole.values, atol=2e-6)


def test_tiled_is_whole_in_3d():
    net, image = model(dims=3, depth=1), noise(9, 33, 21)
    np.testing.assert_allclose(predict(net, image, tile=8).values, predict(net, image, tile=999).values, atol=2e-6)


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


def test_channels():
    image = as_image(noise(2, 20, 30), "cyx")
    assert predict(model(in_channels=2), image).dims == ("c", "y", "x")
    with pytest.raises(ModelError, match="1 channel"):
        predict(model(), image)


def test_wrong_axes_and_values():
    with pytest.raises(ModelError, match="'z' missing"):
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
    run = train(net, [(image, np.zeros((16, 16), np.uint8))], epochs=0, patch=(16, 16))
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
