from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.errors import ImageError
from fijibridge.image import origin, unit
from fijibridge.imagej.hyperstack import Facts, image_of, plain_pixels, shown, stored_pixels
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.imagej.metadata import imagej_text

GREY = LookupTable(bytes(n for n in range(256) for _ in range(3)))


def test_properties_of_imagej_come_back_from_an_image():
    facts = Facts("stack", False, 2, (2.0, 0.5, 0.25), (0.0, 4.0, 8.0), ("micron", "micron", "micron"), 3.0, "sec", {})
    image = image_of(np.zeros((2, 2, 3, 4, 5), np.uint8), facts, "tczyx")
    assert image.dims == ("t", "c", "z", "y", "x")
    assert fb.pixel_size(image) == {"t": 3.0, "z": 2.0, "y": 0.5, "x": 0.25}
    assert (unit(image), origin(image)["y"], origin(image)["x"]) == ("um", -2.0, -2.0)
    back = shown(image)
    assert (back.pixel_size, back.origin, back.units) == (facts.pixel_size, facts.origin, facts.units)
    assert (back.counts, back.interval, back.time_unit) == ((2, 2, 3), 3.0, "sec")


def test_colours_become_one_channel():
    colours = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
    image = fb.as_image(colours, "cyx").assign_coords(c=["red", "green", "blue"])
    assert shown(image).rgb
    packed = stored_pixels(image, rgb=True).view(np.uint32)
    assert packed.shape == (1, 1, 1, 4, 5)
    assert hex(packed[0, 0, 0, 0, 1]) == f"0xff{colours[0, 0, 1]:02x}{colours[1, 0, 1]:02x}{colours[2, 0, 1]:02x}"


def test_signed_values_are_stored_as_unsigned_ones():
    values = np.array([[-32768, -1, 0, 32767]], np.int16)
    assert plain_pixels(values).tolist() == [[0, 32767, 32768, 65535]]
    image = fb.as_image(values)
    image.attrs["imagej"] = imagej_text({"type": "signed 16-bit", "luts": [GREY], "display_ranges": [(-5, 5)]})
    assert (shown(image).signed, shown(image).ranges) == (True, [(32763.0, 32773.0)])


def test_the_look_of_another_type_is_left_out():
    image = fb.as_image(np.zeros((4, 5), np.uint8))
    image.attrs["imagej"] = imagej_text({"type": "8-bit", "luts": [GREY], "display_ranges": [(3, 90)]})
    assert shown(image).ranges == [(3.0, 90.0)]
    assert shown(image.astype(np.float32)).ranges == []
    with pytest.raises(ImageError, match="array is empty"):
        shown(image[:0])
