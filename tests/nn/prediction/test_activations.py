from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from fijibridge.errors import ModelError
from fijibridge.nn.model import Model, Normalisation
from fijibridge.nn.prediction import predict
from fijibridge.nn.unet import UNet


def model(dims: int = 2, in_channels: int = 1, depth: int = 2) -> Model:
    torch.manual_seed(0)
    return Model(UNet(in_channels, 2, depth, 4, dims), ("other", "membrane"))


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def test_the_mean_over_mirrored_images():
    net, image = model(), noise(41, 30)
    image = np.pad(image, ((0, 3), (0, 2)))  # sides that are multiples of the divisor
    turned = [image, image[::-1], image[:, ::-1], image[::-1, ::-1]]
    back = [lambda a: a, lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a[:, ::-1, ::-1]]
    mean = np.mean([put(predict(net, each).values) for put, each in zip(back, turned, strict=True)], axis=0)
    np.testing.assert_allclose(predict(net, image, flips=True, tile=16).values, mean, atol=2e-6)
    assert abs(mean - predict(net, image).values).max() > 1e-3


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_affinities_of_mirrored_images_by_brute_force(dims, padding):
    torch.manual_seed(0)
    net = UNet(1, 2, 1, 4, dims, padding=padding, heads=["distance", "affinity"]).eval()
    names = ("a", "b", "distance", "z", "y", "x") if dims == 3 else ("a", "b", "distance", "y", "x")
    own = Model(net, names, Normalisation.none())
    image = noise(*(6, 10, 8)[-dims:])
    total, first = np.zeros((len(names), *image.shape)), 3
    for axes in [a for n in range(dims + 1) for a in combinations(range(dims), n)]:
        found = np.flip(predict(own, np.flip(image, axes)).values, [a + 1 for a in axes]).copy()
        for (
            axis
        ) in axes:  # the pair of p and the pixel behind it, seen in the mirror, is that of p + 1 and the one before
            pair = np.moveaxis(found[first + axis], axis, 0)
            pair[1:] = pair[:-1].copy()
        total += found
    inside = tuple(slice(1, None) for _ in range(dims))  # of the first pixels no pair is known in the mirror
    expected = (total / 2**dims)[(slice(None), *inside)]
    for tile in (None, 4):
        result = predict(own, image, flips=True, tile=tile).values
        np.testing.assert_allclose(result[(slice(None), *inside)], expected, atol=3e-6)
    np.testing.assert_allclose(result, predict(own, image, flips=True).values, atol=3e-6)


def test_what_cannot_be_mirrored_is_refused():
    class Flow(UNet):
        @property
        def traits(self):
            return replace(super().traits, outputs={"flow": slice(0, 2)})

    with pytest.raises(ModelError, match="meaning of the output 'flow' in a mirrored image is unknown"):
        predict(Model(Flow(depth=1, width=2), ("dy", "dx")), noise(8, 8), flips=True)
