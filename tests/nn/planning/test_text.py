from __future__ import annotations

from fijibridge.nn.planning.text import bytes_text, seconds_text


def test_text():
    assert seconds_text(3599) == "1 h 0 min"
    assert bytes_text(2**40) == "1024.0 GiB"
