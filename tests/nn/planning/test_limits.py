from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.errors import TrainingError
from fijibridge.nn.planning import fit_batch, fit_patch
from fijibridge.nn.planning.limits import _largest
from fijibridge.nn.unet import UNet
from tests.examples import examples


@examples(200)
@given(st.floats(0, 100), st.floats(0.5, 20), st.integers(1, 128), st.floats(1, 2000), st.floats(0.01, 1))
def test_the_largest_is_found_where_memory_is_a_line(base, each, count, limit, least):
    pixels = list(range(1, count + 1))
    found = _largest(lambda n: int(base + each * pixels[n]), pixels, int(limit), each * least)
    fitting = [n for n in range(count) if int(base + each * pixels[n]) <= int(limit)]
    assert found == (max(fitting) if fitting else None) or (found in fitting and max(fitting) - found <= 1)


def test_the_largest_where_more_than_so_many_fail_at_all():
    found = _largest(lambda n: n if n < 37 else None, list(range(1, 129)), 10**6, 1)
    assert 18 <= found <= 36


def test_fit_batch_and_patch():
    net = UNet(depth=1, width=2)
    assert fit_batch(net, (16, 16), memory_limit="1TB", device="cpu", most=5) == 5
    assert fit_patch(net, 2, largest=(40, 24), memory_limit="1TB", device="cpu") == (40, 24)
    with pytest.raises(TrainingError, match="a single patch of 16 x 16"):
        fit_batch(net, (16, 16), memory_limit="1MB", device="cpu")
    with pytest.raises(TrainingError, match="the smallest"):
        fit_patch(net, 2, largest=(40, 24), memory_limit="1MB", device="cpu")


def test_a_larger_limit_never_gives_less(monkeypatch):
    """With steps whose memory is known: 100 bytes a patch above 1000."""
    monkeypatch.setattr("fijibridge.nn.planning.limits._Trial.bytes", lambda self, patch, batch: 1000 + 100 * batch)
    monkeypatch.setattr("fijibridge.nn.planning.limits.training_memory", lambda net, patch, batch: 0)
    net = UNet(depth=1, width=2)
    found = [fit_batch(net, (16, 16), memory_limit=limit, device="cpu") for limit in (1100, 1199, 1500, 4000)]
    assert found == [1, 1, 5, 30]
