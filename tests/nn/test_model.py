from __future__ import annotations

import json
import pickle

import pytest
import torch
from safetensors.torch import save_file

from fijibridge.errors import ModelError
from fijibridge.nn.model import Model, Normalisation
from fijibridge.nn.unet import UNet


def test_round_trip(tmp_path):
    model = Model(UNet(2, 3, 1, 4, 3), ("a", "b", "c"), Normalisation(2, 99), {"x": 0.5}, "um", {"epochs": 3})
    loaded = Model.load(model.save(tmp_path / "m.safetensors"))
    assert loaded.net.config == model.net.config
    assert (loaded.classes, loaded.normalisation, loaded.pixel_size, loaded.unit, loaded.notes) == (
        model.classes, model.normalisation, model.pixel_size, model.unit, model.notes
    )  # fmt: skip
    weights = model.net.state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in loaded.net.state_dict().items())
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


def test_missing(tmp_path):
    with pytest.raises(ModelError, match="no model"):
        Model.load(tmp_path)


def test_truncated(tmp_path):
    path = Model(UNet(depth=1, width=2), ("a", "b")).save(tmp_path / "m.safetensors")
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ModelError, match="not a readable"):
        Model.load(path)


def test_foreign_weights(tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="not written by fijibridge"):
        Model.load(tmp_path / "m.safetensors")


def test_a_newer_format(tmp_path):
    save_file({"w": torch.zeros(2)}, tmp_path / "m.safetensors", {"fijibridge": json.dumps({"format": 99})})
    with pytest.raises(ModelError, match="update fijibridge"):
        Model.load(tmp_path / "m.safetensors")


def test_weights_that_do_not_fit(tmp_path):
    about = {"format": 1, "architecture": "UNet", "config": {"depth": 1, "width": 2}, "classes": ["a", "b"]}
    save_file({"w": torch.zeros(2)}, tmp_path / "m.safetensors", {"fijibridge": json.dumps(about)})
    with pytest.raises(ModelError, match="do not fit"):
        Model.load(tmp_path / "m.safetensors")


class Evil:
    def __reduce__(self):
        return (print, ("executed",))


def test_nothing_is_unpickled(tmp_path, capsys):
    (tmp_path / "m.safetensors").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(ModelError):
        Model.load(tmp_path / "m.safetensors")
    assert "executed" not in capsys.readouterr().out
