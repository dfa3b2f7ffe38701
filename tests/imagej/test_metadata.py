from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.errors import ImageError
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.metadata import imagej_text, keep_info

INFO = {"id": -3, "type": "8-bit", "display_ranges": [(3.0, 90.0)], "luts": [LookupTable(bytes(range(256)) * 3)]}


def test_what_is_stored_is_read():
    image = fb.as_image(np.zeros((4, 5), np.uint8))
    image.attrs["imagej"] = imagej_text(INFO)
    assert fb.imagej_info(image) == INFO
    fb.imagej_info(image)["id"] = 7
    assert fb.imagej_info(image) == INFO, "each call returns a new dict"
    with pytest.raises(ImageError, match=r"cannot be stored with an image.*object"):
        imagej_text({"info": object()})


@pytest.mark.parametrize(
    "text",
    ["no JSON", "[1]", '{"luts": ["00"]}', '{"luts": 3, "display_ranges": [[1]], "slice_labels": 4, "id": "x"}', 7,
     None, '{"calibration_function": {"function": 1}, "properties": [1]}'],
)  # fmt: skip
def test_values_of_a_wrong_type_are_left_out(text):
    image = fb.as_image(np.zeros((4, 5), np.uint8))
    image.attrs["imagej"] = text
    assert fb.imagej_info(image) == {}


def test_the_attribute_works_as_a_dict_with_a_warning():
    """As scripts of version 0.1 use it; what is stored is a plain text."""
    image = fb.as_image(np.zeros((4, 5), np.uint8))
    keep_info(image, INFO)
    with pytest.warns(DeprecationWarning, match="imagej_info"):
        assert image.attrs["imagej"]["id"] == -3
    with pytest.warns(DeprecationWarning, match="imagej_info"):
        image.attrs["imagej"]["display_ranges"] = [(1, 2)]
    assert fb.imagej_info(image)["display_ranges"] == [(1.0, 2.0)]
    assert type(dict(image.attrs)["imagej"]) is str
