from __future__ import annotations

import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge.nn.model import Model
from fijibridge.verbs import perform, unregister, verb_named
from fijibridge.verbs.registry import _registered


class Arrays:
    """A host that has arrays by name, and keeps what it is given."""

    def __init__(self, **images):
        self.images = images
        self.asked: list[str] = []
        self.given: list[object] = []

    def take(self, parameter, value, taken):
        self.asked.append(parameter.name)
        return self.images[value]

    def drawn(self, parameter, value):
        return False

    def give(self, result):
        self.given.append(result)


@pytest.fixture(autouse=True)
def _only_the_verbs_of_before():
    before = set(_registered)
    yield
    for name in set(_registered) - before:
        if not _registered[name].function.__module__.startswith("fijibridge.verbs."):
            unregister(name)


def call(verb, host=None, call=None, /, **given):
    return perform(verb_named(verb), given, host or Arrays(), call)


@pytest.fixture(scope="module")
def tissue():
    return fb.synthetic_epithelium((96, 112), cell_size=16, photons=400, weak_membranes=0, seed=1)


@pytest.fixture(scope="module")
def prob(tissue):
    """As a network predicts it: a channel per class; where membranes are missing, less of them."""
    membrane = fb.membrane_target(tissue.labels, membrane_width=3).astype(np.float32) * 0.8
    membrane[:, 60:63] *= 0.3
    channels = np.stack([1 - membrane, membrane])
    return fb.as_image(channels, "cyx", pixel_size=0.2, unit="um", name="evl_prob.tif").assign_coords(
        c=["other", "membrane"]
    )


@pytest.fixture(scope="module")
def cells(prob):
    return fb.label_cells(prob, "threshold")


@pytest.fixture(scope="module")
def host(tissue, prob, cells):
    image = tissue.image.rename("evl.tif")
    return lambda: Arrays(raw=image, prob=prob, truth=tissue.labels.rename("truth"), found=cells.rename("evl_cells"))


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "a model.safetensors"
    Model(fb.UNet(depth=1, width=4), ("other", "membrane")).save(path)
    return path
