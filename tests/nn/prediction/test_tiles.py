"""Coordinates of tiles, without a network: a stand-in sums what it sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fijibridge.errors import ModelError
from fijibridge.nn.prediction.tiles import Axis, axes_of, lines, reflected, split, tiles
from fijibridge.nn.traits import traits
from fijibridge.nn.unet import UNet

axes = st.builds(
    lambda d, left, right: Axis(d, -(-max(left, right) // d) * d, left, right),
    st.sampled_from([1, 2, 3, 8]), st.integers(0, 13), st.integers(0, 13),
)  # fmt: skip
valid_axes = st.builds(lambda d, s, more: Axis(d, 0, s, s, s, 2 * s + 2, more * d), st.sampled_from([1, 2, 4]),
                       st.integers(1, 9), st.integers(0, 1))  # fmt: skip


def seen(line, axis: Axis, n: int) -> np.ndarray:
    """Return the output of a network for a line that counts pixels: the number of each pixel."""
    box, pick = reflected(*line.read, n)
    inside = np.arange(n)[box]
    read = inside if pick is None else inside[pick]
    return read[axis.shrink : len(read) - axis.shrink][line.inside]


@given(st.one_of(axes, valid_axes), st.integers(1, 80), st.integers(1, 40), st.sampled_from(["as trained", "mirror"]))
def test_lines_cover_every_pixel_once_and_find_it_in_the_output(axis, n, side, border):
    found = lines(axis, n, side, border)
    assert np.concatenate([np.arange(n)[line.write] for line in found]).tolist() == list(range(n))
    for line in found:
        assert seen(line, axis, n).tolist() == list(range(n))[line.write]


@given(axes, st.integers(1, 80), st.integers(1, 40), st.sampled_from(["as trained", "mirror", "valid"]))
def test_lines_reach_as_far_as_the_network_sees(axis, n, side, border):
    if border == "valid" and n <= axis.left + axis.right:
        with pytest.raises(ModelError, match="leaves no pixel"):
            lines(axis, n, side, border)
        return
    for line in lines(axis, n, side, border):
        first, last = line.write.start - axis.left, line.write.stop + axis.right
        if border == "as trained":
            first, last = max(first, 0), min(last, n)
        assert line.read[0] <= first
        assert line.read[1] >= last
        assert line.read[0] % axis.divisor == line.length % axis.divisor == 0
        if border == "valid":
            assert first >= 0
            assert last <= n


@given(valid_axes, st.integers(1, 80), st.integers(1, 40))
def test_valid_inputs_have_sizes_that_the_network_takes(axis, n, side):
    for line in lines(axis, n, side, "as trained"):
        assert line.length >= axis.base
        assert (line.length - axis.base) % axis.divisor == 0
        assert (line.read[0] + axis.shrink) % axis.divisor == 0


@given(st.lists(st.one_of(axes, valid_axes), min_size=2, max_size=2), st.integers(1, 50), st.integers(1, 50),
       st.integers(1, 40), st.integers(1, 20), st.sampled_from(["as trained", "mirror"]))  # fmt: skip
def test_a_tile_in_parts_is_the_tile(pair, height, width, side, smaller, border):
    for tile in tiles(pair, (height, width), (side, side), border):
        assert split(pair, (height, width), tile, (side, side), border) == [tile]
        hit = np.zeros((height, width), int)
        for part in split(pair, (height, width), tile, (smaller, smaller), border):
            hit[tuple(line.write for line in part)] += 1
        assert (hit[tuple(line.write for line in tile)] == 1).all()
        assert hit.sum() == hit[tuple(line.write for line in tile)].size


@given(st.integers(1, 9), st.integers(-30, 30), st.integers(1, 30))
def test_reflection_is_that_of_numpy(n, start, length):
    box, pick = reflected(start, start + length, n)
    expected = np.pad(np.arange(n), 80, mode="reflect")[80 + start : 80 + start + length]
    read = np.arange(n)[box]
    assert (read if pick is None else read[pick]).tolist() == expected.tolist()


def test_axes_of_a_unet_with_flips_see_as_far_to_both_sides():
    net = UNet(depth=2, width=2, padding="valid", heads=["affinity"])
    plain, flipped = axes_of(net, net.traits)[0], axes_of(net, net.traits, flips=True)[0]
    assert plain.base == net.input_size(1)
    assert flipped.left == flipped.right == max(plain.left, plain.right) + 1
    assert (plain.margin, flipped.margin) == (0, 4)


def test_the_smallest_input_of_a_network_of_someones_own_is_found():
    net = nn.Sequential(nn.Conv2d(1, 2, 5), nn.Conv2d(2, 2, 3, dilation=2))
    assert axes_of(net, traits(net))[0] == Axis(1, 4, 4, 4, 4, 9)
    assert net(torch.zeros(1, 1, 9, 9)).shape[-1] == 1
