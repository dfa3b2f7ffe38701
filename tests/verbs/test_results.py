from __future__ import annotations

import numpy as np
import pytest

from fijibridge.errors import VerbError
from fijibridge.image import as_image
from fijibridge.rois import Roi
from fijibridge.verbs import Outlines, Say, ShowImage, ShowTable
from fijibridge.verbs.results import results_of

SMALL = as_image(np.arange(12).reshape(3, 4))


def test_what_a_function_returns_becomes_results():
    import pandas as pd

    table, roi = pd.DataFrame({"a": [1]}), Roi.rectangle(0, 0, 2, 2)
    found = results_of([SMALL.rename("mine"), [roi, roi], table, "words", (None, Say("more"))], "Tried", "image")
    assert [type(result) for result in found] == [ShowImage, Outlines, ShowTable, Say, Say]
    assert (found[0].name, found[1].over, found[1].rois, found[2].name) == ("mine", "image", [roi, roi], "Tried")
    assert results_of(np.eye(3), "Tried", None)[0].name == "Tried"
    with pytest.raises(VerbError, match="returned ROIs, but has no parameter of type Image"):
        results_of([roi], "Tried", None)
