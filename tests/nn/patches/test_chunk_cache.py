from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.patches.chunk_cache import CachedArray, ChunkCache
from tests.nn.patches.samples import same


class Counted:
    """An array in chunks that counts how often it is read."""

    def __init__(self, pixels, chunks):
        self.pixels, self.chunks, self.reads = pixels, chunks, 0
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim

    def __getitem__(self, key):
        self.reads += 1
        return self.pixels[key]


@given(data=st.data())
def test_parts_of_a_cached_array_are_its_own(data):
    shape = data.draw(st.tuples(*[st.integers(1, 12)] * 3))
    chunks = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    pixels = np.arange(np.prod(shape)).reshape(shape)
    room = ChunkCache(data.draw(st.sampled_from([0, 100, 1000, 10**6])))
    array = CachedArray(Counted(pixels, chunks), room)
    for _ in range(4):
        key = tuple(
            data.draw(st.one_of(st.integers(0, n - 1), st.slices(n).filter(lambda s: s.step != 0))) for n in shape
        )
        assert np.array_equal(array[key], pixels[key])
        assert room.held <= room.limit
    assert np.array_equal(array[...], pixels)


def test_a_chunk_is_read_once_while_there_is_room():
    pixels = np.random.default_rng(0).random((1, 64, 64), np.float32)
    target = np.zeros((64, 64), np.uint8)
    plain = PatchSampler([Sample(pixels, target)], (16, 16), batches=20)
    for cache, most in ((2**20, 16), (0, 10**9)):
        image = Counted(pixels, (1, 16, 16))
        sampler = PatchSampler([Sample(image, target)], (16, 16), batches=20, cache=cache)
        assert all(same(a, b) for a, b in zip(sampler, plain, strict=True))
        plain.load_state_dict({"epoch": 0, "done": 0})
        assert image.reads <= most
    assert image.reads == 160  # no cache


def test_what_was_not_asked_for_longest_goes_first():
    room = ChunkCache(3 * 8)
    source = Counted(np.arange(5), (1,))
    array = CachedArray(source, room)
    for number in (0, 1, 2, 0, 3, 0, 2):
        assert array[number] == number
    assert source.reads == 4
    assert array[1] == 1  # went for 3
    assert source.reads == 5
