"""The verbs of prediction do what the functions do that they are named after."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge.errors import Cancelled, ModelError, OptionError
from fijibridge.files import write_image
from fijibridge.nn.model import Model
from fijibridge.verbs import Call, Say, ShowImage
from fijibridge.verbs.prediction import loaded, working
from tests.verbs.conftest import call


def test_predict(host, tissue, model):
    done = []
    options = {"flips": "true", "padding": "mirror", "tile": "32", "precision": "bf16", "device": "cpu"}
    (shown,) = call(
        "predict", host(), Call(progress=lambda *n: done.append(n)), image="raw", model=str(model), **options
    )
    expected = fb.predict(model, tissue.image, flips=True, padding="mirror", tile=32, precision="bf16", device="cpu")
    assert isinstance(shown, ShowImage)
    assert (shown.name, shown.limits) == ("evl_prob", (0.0, 1.0))
    assert (shown.image.values == expected.values).all()
    assert fb.pixel_size(shown.image) == fb.pixel_size(tissue.image)
    assert done[-1][0] == done[-1][1] > 1


def test_a_prediction_is_cancelled_between_tiles(host, model):
    seen = []
    cancelled = Call(progress=lambda done, steps: seen.append(done), cancelled=lambda: len(seen) > 1)
    with pytest.raises(Cancelled, match="the prediction was cancelled after"):
        call("predict", host(), cancelled, image="raw", model=str(model), tile=16)
    assert len(seen) == 2


def test_a_model_stays_loaded_until_its_file_changes(model, tmp_path):
    first = loaded(model, "cpu")
    assert loaded(model, "cpu") is first
    assert loaded(model, "cuda:0") is not first, "each device has its own, which no other call moves"
    torch.manual_seed(5)
    time.sleep(0.01)
    Model(fb.UNet(depth=1, width=4), ("other", "membrane")).save(model)
    second = loaded(model, "cpu")
    assert second is not first
    assert not torch.equal(next(second.net.parameters()), next(first.net.parameters()))
    with pytest.raises(ModelError, match="no model"):
        loaded(tmp_path / "none", None)


def test_predict_folder(tissue, model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        write_image(tissue.image[: 64 if name == "a" else 96], tmp_path / "in" / f"{name}.tif")
    folders = {"input": str(tmp_path / "in"), "output": str(tmp_path / "out"), "model": str(model)}
    (said,) = call("predict_folder", **folders)
    assert said == Say(f"2 predictions in {tmp_path / 'out'}")
    written = fb.files.read_image(tmp_path / "out" / "a_prob.tif")
    np.testing.assert_allclose(written.values, fb.predict(model, tissue.image[:64]).values, atol=1e-6)
    with pytest.raises(OptionError, match="set existing=keep to leave them"):
        call("predict_folder", **folders)
    (tmp_path / "out" / "a_prob.tif").write_text("kept")
    (tmp_path / "out" / "b_prob.tif").unlink()
    call("predict_folder", **folders, existing="keep")
    assert (tmp_path / "out" / "a_prob.tif").read_text() == "kept"
    assert (tmp_path / "out" / "b_prob.tif").is_file()
    call("predict_folder", **folders, existing="replace")
    assert fb.files.read_image(tmp_path / "out" / "a_prob.tif").identical(written)


def test_devices_of_two_names_are_one():
    told = []
    waiting = Call(say=lambda text: (told.append(text), waiting.stop.set()))

    def wait():
        with pytest.raises(Cancelled), working(waiting, "cpu:0"):
            pytest.fail("two calls at once")

    with working(Call(), "cpu"), ThreadPoolExecutor(1) as pool:
        pool.submit(wait).result(20)
    assert told == ["waiting for another call, which computes on cpu:0"]
