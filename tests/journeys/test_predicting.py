"""Predict an image that is open in Fiji, and show the result with its axes and calibration."""

from __future__ import annotations

import numpy as np
import torch

import fijibridge as fb


def test_a_hyperstack_is_predicted_and_shown(clean):
    torch.manual_seed(0)
    model = fb.Model(fb.UNet(in_channels=2, depth=1, width=2).eval(), ("other", "membrane"))
    pixels = np.random.default_rng(0).integers(0, 255, (3, 2, 40, 50)).astype(np.uint8)
    image = fb.as_image(
        pixels, "tcyx", pixel_size={"t": 2.0, "y": 0.5, "x": 0.5}, unit={"y": "um", "x": "um", "t": "sec"}
    )
    clean.show(image, name="raw")
    prob = fb.predict(model, clean.image("raw"), tile=16, progress=clean.progress)
    np.testing.assert_allclose(prob.values, fb.predict(model, image).values, atol=2e-6)
    clean.show(prob, name="prob")
    back = clean.image("prob")
    assert back.dims == ("t", "c", "y", "x")
    assert (back.values == prob.values).all()
    assert fb.pixel_size(back)["x"] == 0.5
    assert back.c.values.tolist() == ["other", "membrane"]
