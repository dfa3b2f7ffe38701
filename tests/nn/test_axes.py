"""Images and their truth as DataArrays, whose axes have names and may lie in any order."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import fijibridge as fb
from fijibridge.errors import ImageError, TrainingError
from fijibridge.nn.planning.images import source_of
from fijibridge.nn.training.data import cells_of, check_classes, known_of, read_pairs, samples_of
from fijibridge.nn.training.settings_schema import Settings
from fijibridge.nn.traits import traits

SIDE = 48


def square():
    """An image each of whose pixels says where it is, and a target and a weight that are made from it."""
    image = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    target = (image % 5 == 0).astype(np.uint8)
    target[:7] = 255
    return image, target, image / image.size


def across(array, *front):
    """The same pixels with x in front of y, and channels last."""
    dims = (*front, "y", "x")
    return xr.DataArray(array, dims=dims).transpose("x", "y", *front)


def pairs_of(pair, net, validation=()):
    return read_pairs([pair], validation, Settings(), traits(net))


def test_the_sampler_cuts_the_same_place_out_of_image_target_and_weight():
    net = fb.UNet(depth=1, width=2)
    pairs = pairs_of(tuple(map(across, square())), net)
    check_classes(traits(net), ("other", "membrane"), pairs.learnt)
    samples = samples_of(pairs.learnt, traits(net), fb.Normalisation.none())
    sampler = fb.PatchSampler(samples, (16, 24), batch=4, batches=3, augment=False)
    for x, y, weight in sampler:
        place = x[:, 0].numpy()
        assert (np.diff(place, axis=-1) == 1).all(), "along x, as it was drawn"
        known = place >= 7 * SIDE
        assert (y.numpy() == np.where(known, place % 5 == 0, 255)).all()
        np.testing.assert_allclose(weight.numpy()[known], (place / SIDE**2)[known])


def test_channels_of_a_target_may_lie_anywhere():
    net = fb.UNet(depth=1, width=2, heads=("distance",))
    image, target, _ = square()
    both = np.stack([target, image])
    pairs = pairs_of((across(image), across(both, "head")), net)
    check_classes(traits(net), ("other", "membrane"), pairs.learnt)
    sample = samples_of(pairs.learnt, traits(net), fb.Normalisation.none())[0]
    assert (sample.classes() == target).all()
    assert (sample.target[1] == sample.image[0]).all()


def test_what_is_watched_lies_as_its_image_does():
    net = fb.UNet(depth=1, width=2)
    image, target, _ = square()
    plain = pairs_of((image, target), net, [(image, target)])
    turned = pairs_of((image, target), net, [(across(image), across(target))])
    for read in (cells_of, known_of):
        (_, expected), (_, found) = (*read(plain).items(),)[0], (*read(turned).items(),)[0]
        assert (found == expected).all()
        assert (expected != expected.T).any()


def test_plain_arrays_and_axes_without_names_lie_as_the_image_does():
    net = fb.UNet(depth=1, width=2)
    image, target, _ = square()
    for given in (target, xr.DataArray(target), across(target)):
        sample = samples_of(pairs_of((image, given), net).learnt, traits(net), fb.Normalisation.none())[0]
        assert (sample.target == target).all()


@pytest.mark.parametrize("dims", [("phase", "x"), ("z", "y", "x"), ("a", "b", "y", "x")])
@pytest.mark.parametrize("which", [1, 2])
def test_other_axes_are_refused(dims, which):
    arrays = list(square())
    arrays[which] = xr.DataArray(arrays[which].reshape((1,) * (len(dims) - 2) + (SIDE, SIDE)), dims=dims)
    what = ["target", "weight"][which - 1]
    with pytest.raises(TrainingError, match=rf"image 0: the {what} has axes .*{dims[0]}.*expected .*'y', 'x'"):
        pairs_of(tuple(arrays), fb.UNet(depth=1, width=2))


def test_an_image_of_other_axes_is_named():
    image, target, _ = square()
    with pytest.raises(ImageError, match="image 0: axes are"):
        pairs_of((xr.DataArray(image, dims=("phase", "x")), across(target)), fb.UNet(depth=1, width=2))


def test_a_plan_takes_them_too():
    image, target, _ = square()
    pair = (across(image[:, :40]), across(target[:, :40]))
    source = source_of([pair], (), traits(fb.UNet(depth=1, width=2)))
    assert source.shapes == [(48, 40)]
    assert (source.samples[0].target == target[:, :40]).all()
