"""Verbs of a test, a model and an open image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge import verbs
from fijibridge.verbs import unregister


@pytest.fixture
def own():
    """Register verbs for one test."""
    names = []

    def register(title, function, **more):
        verbs.verb(title, **more)(function)
        names.append(title.lower().strip(".").replace(" ", "_"))
        return function

    yield register
    for name in names:
        unregister(name)


@pytest.fixture
def model(tmp_path):
    """A model of a tiny network with random weights, in a file with a space in its name."""
    torch.manual_seed(0)
    net = fb.UNet(depth=1, width=2).eval()
    path = tmp_path / "a model.safetensors"
    fb.Model(net, ("background", "membrane"), pixel_size={"y": 0.5, "x": 0.5}, unit={"y": "um", "x": "um"}).save(path)
    return path


@pytest.fixture
def raw(clean):
    """An open image of noise, 0.5 um a pixel."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)
    image = fb.as_image(pixels, pixel_size=0.5, unit="um", name="raw.tif")
    clean.show(image, name="raw.tif")
    return image
