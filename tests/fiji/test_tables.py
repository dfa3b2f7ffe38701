from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fijibridge.errors import SessionError
from fijibridge.fiji.tables import from_dataframe, to_dataframe

pytestmark = pytest.mark.usefixtures("fiji")


def test_round_trip_of_numbers_text_and_missing_values():
    frame = pd.DataFrame(
        {"n": [1.0, 2.0, 3.0], "x": [0.1, np.nan, -1e-7], "text": ["a", "", "c d"], "big": [1e15, 2.5, np.inf]}
    )
    back = to_dataframe(from_dataframe(frame))
    assert list(back.columns) == list(frame.columns)
    for column in ("n", "x", "big"):
        np.testing.assert_array_equal(back[column], frame[column])
    assert back["text"].tolist() == frame["text"].tolist()


def test_whole_numbers_have_no_decimals_also_beside_gaps():
    table = from_dataframe(pd.DataFrame({"id": [3.0, np.nan], "share": [0.5, np.nan]}))
    assert [str(table.getStringValue(name, 0)) for name in ("id", "share")] == ["3", "0.5000"]


def test_all_parts_of_an_index_are_columns(clean):
    counted = pd.DataFrame({"image": ["a", "a", "b"], "outcome": ["x", "y", "x"], "n": [1, 2, 3]})
    clean.show_table(counted.groupby(["image", "outcome"]).sum(), "Counted")
    clean.show_table(counted.groupby(["image", "outcome"]).sum(), "Counted", add=True)
    pd.testing.assert_frame_equal(
        clean.table("Counted"), pd.concat([counted, counted], ignore_index=True).astype({"n": float})
    )


def test_what_is_no_table_is_told(clean):
    with pytest.raises(SessionError, match="each needs one value per row"):
        clean.show_table({"a": 1})


def test_many_columns_and_no_rows():
    frame = pd.DataFrame(np.arange(600.0).reshape(2, 300), columns=[f"c{i}" for i in range(300)])
    pd.testing.assert_frame_equal(to_dataframe(from_dataframe(frame)), frame)
    assert len(to_dataframe(from_dataframe(pd.DataFrame({"a": []})))) == 0


def test_labels_of_rows(fiji):
    import jpype

    table = jpype.JClass("ij.measure.ResultsTable")()
    for i, name in enumerate("ab"):
        table.addRow()
        table.addLabel(name)
        table.addValue("v", float(i))
    frame = to_dataframe(table)
    assert frame["Label"].tolist() == ["a", "b"]
    assert frame["v"].tolist() == [0.0, 1.0]


def test_without_a_display_the_session_keeps_tables_and_adds_rows(clean):
    before = clean.tables()  # perhaps the Results of an earlier test
    clean.show_table({"n": [1, 2], "name": ["a", "b"]}, "Mine", add=True)
    clean.show_table(pd.DataFrame({"n": [3], "more": [0.5]}), "Mine", add=True)
    assert clean.tables() == [*before, "Mine"]
    back = clean.table("Mine")
    assert back["n"].tolist() == [1, 2, 3]
    assert back["name"].tolist() == ["a", "b", ""]
    assert back["more"].isna().tolist() == [True, True, False]
    clean.show_table(pd.DataFrame({"n": [4]}, index=pd.Index(["r"], name="row")), "Mine")
    assert clean.table("Mine").columns.tolist() == ["row", "n"], "without add it is replaced"
    clean.show_table(pd.DataFrame({"n": [5]}, index=pd.Index(["s"], name="row")), "Mine", add=True)
    assert clean.table("Mine")["row"].tolist() == ["r", "s"]
    clean.show_table({"a": [1]})
    clean.show_table({"a": [2]}, add=True)
    assert clean.tables() == ["Results", "Mine"]
    assert clean.table()["a"].tolist() == [1, 2]
