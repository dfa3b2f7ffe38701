from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fijibridge.errors import ImageError, SessionError
from fijibridge.imagej.tables import columns_of, curves_to_plot


def test_columns_are_numbers_or_texts():
    table = pd.DataFrame(
        {"area": [1, None], "name": ["a", None], "large": [1, 2**60], "good": [True, False]},
        index=pd.Index([7, 8], name="label"),
    )
    columns = columns_of(table)
    assert list(columns) == ["label", "area", "name", "large", "good"]
    np.testing.assert_array_equal(columns["area"], [1, np.nan])
    assert columns["name"] == ["a", ""]
    assert columns["large"] == ["1", str(2**60)], "doubles do not hold it"
    assert columns["good"] == ["True", "False"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "a different, non-empty name for each"),
        (pd.DataFrame([[1]], columns=[" "]), "a different, non-empty name for each"),
        (pd.DataFrame({"z": [1j]}), "complex numbers"),
    ],
)
def test_tables_that_imagej_cannot_hold(table, words):
    with pytest.raises(SessionError, match=words):
        columns_of(table)


def test_curves_are_numbers():
    x, curves = curves_to_plot(pd.DataFrame({"loss": [2, 1]}, index=[1, 2]))
    assert (x.tolist(), curves["loss"].tolist()) == ([1.0, 2.0], [2.0, 1.0])
    for wrong, words in (({"a": ["x"]}, "needs numbers"), ({"a": [np.nan]}, "nothing to plot")):
        with pytest.raises(ImageError, match=words):
            curves_to_plot(pd.DataFrame(wrong))
