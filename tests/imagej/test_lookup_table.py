from __future__ import annotations

import numpy as np
import pytest

import fijibridge.image
from fijibridge.errors import ImageError, RenamedWarning
from fijibridge.imagej.lookup_table import LookupTable


def test_a_lookup_table_of_ones_own_is_checked():
    with pytest.raises(ImageError, match="256, 3"):
        LookupTable.of(np.zeros((10, 3)))


def test_the_old_place_works_and_warns():
    words = r"fijibridge\.image\.LookupTable was renamed to fijibridge\.imagej\.lookup_table\.LookupTable"
    with pytest.warns(RenamedWarning, match=words):
        assert fijibridge.image.LookupTable is LookupTable
