"""Descriptions of images as Java writes them."""

from __future__ import annotations

import pytest

from fijibridge.imagej.description import facts_of
from fijibridge.imagej.lookup_table import LookupTable

PLAIN = {
    "title": "a", "id": -3, "type": "16-bit", "counts": [2, 3, 4], "height": 5, "width": 6,
    "pixel_size": [2, 0.5, 0.25], "origin": [0, 1, 2], "units": ["um", "um", "um"], "interval": 1.5, "time_unit": "sec",
}  # fmt: skip


def test_all_that_a_description_may_hold():
    table = bytes(range(256)) * 3
    facts = facts_of({
        **PLAIN, "slice_labels": ["one", None], "luts": [table.hex()], "display_ranges": [[0, 9]], "mode": 2,
        "info": "text", "properties": ["key", "value", "empty", ""], "path": "/a/b.tif",
        "calibration_function": {"function": 0, "coefficients": [1, 2], "unit": "OD"},
    })  # fmt: skip
    assert (facts.title, facts.rgb, facts.channels) == ("a", False, 3)
    assert (facts.pixel_size, facts.origin, facts.units) == ((2, 0.5, 0.25), (0, 1, 2), ("um", "um", "um"))
    assert (facts.interval, facts.time_unit) == (1.5, "sec")
    assert facts.about == {
        "id": -3, "type": "16-bit", "slice_labels": ["one", ""], "luts": [LookupTable(table)],
        "display_ranges": [(0, 9)], "mode": "color", "info": "text", "properties": {"key": "value", "empty": ""},
        "calibration_function": {"function": 0, "coefficients": [1, 2], "unit": "OD"}, "path": "/a/b.tif",
    }  # fmt: skip


def test_signed_ranges_are_in_pythons_values():
    facts = facts_of({**PLAIN, "type": "signed 16-bit", "luts": ["00" * 768], "display_ranges": [[32768, 32868]]})
    assert facts.about["display_ranges"] == [(0, 100)]


@pytest.mark.parametrize("wrong", [{"pixel_size": [1, 2]}, {"counts": None}, {"interval": "long"}])
def test_an_invalid_description_is_refused(wrong):
    with pytest.raises((KeyError, TypeError, ValueError)):
        facts_of(PLAIN | wrong)
    with pytest.raises(KeyError):
        facts_of({})
