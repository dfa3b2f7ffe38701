from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.files.lazy_array import OnDisk


def slices(length):
    bounds = st.one_of(st.none(), st.integers(-length - 2, length + 2))
    return st.one_of(
        st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 2, 3, -1, -2])), st.integers(-length, length - 1)
    )


@given(st.tuples(slices(4), slices(5)))
def test_a_box_is_read_and_the_rest_is_numpys(index):
    array, asked = np.arange(20).reshape(4, 5), []

    def read(box):
        asked.append(box)
        return array[box]

    pixels = OnDisk((4, 5), array.dtype, read)
    expected = array[index]
    assert np.array_equal(pixels[index], expected)
    assert np.array_equal(pixels[..., index[1]], array[..., index[1]])
    assert all(s.step is None and 0 <= s.start <= s.stop for s in asked[0])
