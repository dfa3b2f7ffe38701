"""Measurements of ImageJ: the same in its table and in Python."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import jpype
import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.errors import FijiBridgeError, ImageError, RoiError, SessionError
from fijibridge.fiji.analyzer import ALL_MEASUREMENTS


@pytest.fixture
def two_channels(clean, cells):
    stack = np.stack([cells * 2.0, 1000.0 - cells]).astype(np.float32)
    image = fb.as_image(stack, "cyx", pixel_size=0.5, unit="um").assign_coords(c=["dapi", "membrane"])
    clean.show(image, name="two")
    return clean


def test_in_any_channel_by_number_or_name(two_channels, cells):
    first = two_channels.measure(cells, "two", ["mean", "area"], channel=0)
    second = two_channels.measure(cells, "two", ["mean"], channel="membrane")
    assert first["label"].tolist() == [4, 9, 700]
    assert first["Mean"].tolist() == [8, 18, 1400]
    assert second["Mean"].tolist() == [996, 991, 300]
    assert first["Area"].tolist() == [72 * 0.25, 250 * 0.25, 0.25]
    assert first.attrs["unit"] == "micron"
    joined = first.merge(second, on="label", suffixes=("_dapi", "_membrane"))
    assert joined["Mean_membrane"].tolist() == [996, 991, 300]
    assert two_channels._find("two").getC() == 1, "the image is not touched"
    with pytest.raises(ImageError, match=r"\['dapi', 'membrane'\]"):
        two_channels.measure(cells, "two", channel="nuclei")
    with pytest.raises(ImageError, match="0 to 1"):
        two_channels.measure(cells, "two", channel=2)


def test_cells_that_fiji_has(two_channels, cells):
    two_channels.add_rois(fb.labels_to_rois(cells), "two")
    table = two_channels.measure("overlay", "two", ["area"], channel=0)
    assert table["label"].tolist() == [4, 9, 700]
    two_channels.select("two", "9")
    assert two_channels.measure("image", "two", ["area"])["label"].tolist() == [9]
    with pytest.raises(RoiError, match="ROI Manager"):
        two_channels.measure("manager", "two")


def test_every_measurement_that_imagej_has(two_channels, cells):
    table = two_channels.measure(cells, "two", list(ALL_MEASUREMENTS), channel=0)
    expected = {"Area", "Mean", "StdDev", "Mode", "Min", "Max", "X", "Y", "XM", "YM", "Perim.", "BX", "Width", "Major",
                "Angle", "Circ.", "Feret", "IntDen", "RawIntDen", "Median", "Skew", "Kurt", "%Area", "AR", "Solidity",
                "MinFeret", "Slice", "Label"}  # fmt: skip
    assert expected <= set(table.columns)
    assert two_channels.measure(cells, "two", ["Area", "Center of mass"]).columns.tolist() == [
        "label",
        "Area",
        "XM",
        "YM",
    ]
    with pytest.raises(ImageError, match=r"\['area'\]"):
        two_channels.measure(cells, "two", "area")
    with pytest.raises(ImageError, match="expected one of area"):
        two_channels.measure(cells, "two", ["size"])


def test_the_users_own_settings_are_left_as_they_were(two_channels, cells):
    two_channels.run_macro("run('Set Measurements...', 'area median redirect=None decimal=3');")
    before = int(jpype.JClass("ij.plugin.filter.Analyzer").getMeasurements())
    two_channels.measure(cells, "two", ["feret"])
    assert int(jpype.JClass("ij.plugin.filter.Analyzer").getMeasurements()) == before


def test_the_users_own_settings_are_left_as_they_were_by_threads(clean):
    analyzer = jpype.JClass("ij.plugin.filter.Analyzer")
    clean.run_macro("run('Set Measurements...', 'area median redirect=None decimal=3');")
    before = int(analyzer.getMeasurements())
    labels = np.arange(1, 401, dtype=np.uint16).reshape(20, 20).repeat(10, 0).repeat(10, 1)
    clean.show(labels, name="cells")
    columns: dict[str, list[list[str]]] = {"area": [], "mean": []}

    def measure(what):
        for _ in range(25):
            columns[what].append(clean.measure(labels, "cells", [what], name=what).columns.tolist())

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(measure, columns))
    assert int(analyzer.getMeasurements()) == before
    assert columns == {"area": [["label", "Area"]] * 25, "mean": [["label", "Mean"]] * 25}


def test_the_results_table_can_be_pulled(two_channels, cells):
    measured = two_channels.measure(cells, "two", ["area", "mean", "label"])
    pulled = two_channels.table()
    pd.testing.assert_frame_equal(pulled, measured.astype({"label": float}), check_like=True)
    assert two_channels.tables() == ["Results"]
    assert two_channels.run_macro("return '' + nResults + ' ' + getResult('label', 2);") == "3 700"
    two_channels.show_table({"a": [1, 2]})
    assert two_channels.table()["a"].tolist() == [1, 2]
    with pytest.raises(SessionError, match="DataFrame"):
        two_channels.show_table([1, 2])
    with pytest.raises(FijiBridgeError, match=r"open tables: \['Results'\]"):
        two_channels.table("Mine")


def test_colours_by_class(two_channels, cells):
    two_channels.show_labels(cells, over="two", colors={9: "red"})
    colors = {roi.name: roi.stroke_color for roi in two_channels.rois("overlay", "two")}
    assert colors == {"4": "#ffff00ff", "9": "#ff0000ff", "700": "#ffff00ff"}
    with pytest.raises(RoiError, match="no ROI has these names"):
        two_channels.add_rois(fb.labels_to_rois(cells), "two", colors={"8": "red"})
    with pytest.raises(RoiError, match="is not a colour"):
        two_channels.add_rois(fb.labels_to_rois(cells), "two", colors={"9": "redd"})
    with pytest.raises(RoiError, match="labels_to_rois"):
        two_channels.add_rois(cells, "two")


def test_labels_that_do_not_fit_leave_no_window_behind(two_channels, cells):
    for over in ("nowhere", "two"):
        with pytest.raises(FijiBridgeError):
            two_channels.show_labels(cells[:20], over=over)
    assert two_channels.titles() == ["two"]


def test_plots_without_windows(clean):
    assert clean.plot({"a": [1, 2, 4]}, name="P") == "P"
    assert clean.histogram(np.arange(100.0), bins=10, name="H") == "H"
    assert clean.titles() == ["P", "H"]
    clean.plot([3, 2, 1], name="P")
    assert sorted(clean.titles()) == ["H", "P"]
    for nothing in ([np.nan], np.zeros((2, 2))):
        with pytest.raises(ImageError):
            clean.plot(nothing)


def test_a_plot_takes_no_image_away(clean):
    clean.show(np.zeros((5, 6), np.uint8), name="Plot")
    clean.show(np.ones((5, 6), np.uint8), name="Histogram")
    assert clean.plot([1, 2, 3]) == "Plot-1"
    assert clean.histogram([1, 2, 3]) == "Histogram-1"
    assert clean.plot([3, 2, 1]) == "Plot-1", "the plot is replaced, not the image"
    assert sorted(clean.titles()) == ["Histogram", "Histogram-1", "Plot", "Plot-1"]
    clean._find("Plot-1").setTitle("kept")
    assert clean.plot([1, 2]) == "Plot-1"
    assert "kept" in clean.titles()
    assert clean.array("Plot").shape == clean.array("Histogram").shape == (5, 6)


def test_on_the_channel_slice_and_frame_that_a_roi_belongs_to(clean):
    t, c, z = np.ogrid[1:4, 1:3, 1:4]
    values = (100 * t + 10 * c + z).astype(np.float32)[..., None, None] * np.ones((8, 9), np.float32)
    clean.show(values, name="h")
    box = fb.Roi.rectangle(1, 1, 3, 3, name="1")
    table = clean.measure([box.at(c=2, z=3, t=3), box.at(c=1, z=1, t=2), box.at(z=2)], "h", ["mean"])
    assert table["Mean"].tolist() == [323, 211, 112]
    assert (table["channel"].tolist(), table["slice"].tolist(), table["frame"].tolist()) == (
        [2, 1, 0], [3, 1, 2], [3, 2, 0]
    )  # fmt: skip
    assert clean.measure([box.at(z=2, t=3)], "h", ["mean"], channel=1)["Mean"].tolist() == [322]
    with pytest.raises(ImageError, match="frame 9, but the image has 3"):
        clean.measure([box.at(t=9)], "h")


def test_labels_over_time_and_over_channels(clean):
    labels = np.ones((3, 6, 7), int)
    series = np.array([100, 200, 300], np.float32)[:, None, None] * np.ones((6, 7), np.float32)
    clean.show(fb.as_image(series, "tyx"), name="t")
    for channel in (None, 0):
        assert clean.measure(labels, "t", ["mean"], channel=channel)["Mean"].tolist() == [100, 200, 300]
    both = np.stack([series + 10, series + 20], axis=1)
    clean.show(fb.as_image(both, "tcyx"), name="tc")
    assert clean.measure(labels, "tc", ["mean"])["Mean"].tolist() == [110, 210, 310]
    assert clean.measure(labels, "tc", ["mean"], channel=1)["Mean"].tolist() == [120, 220, 320]
    with pytest.raises(ImageError, match="2 slices, but the image has 3"):
        clean.measure(labels[:2], "t")


def test_tables_that_imagej_cannot_hold_are_refused_and_big_numbers_stay_exact(clean):
    clean.show_table({"id": [2**60 + 1, 3], "x": [1.5, 2.5]})
    assert clean.table()["id"].tolist() == [str(2**60 + 1), "3"]
    for bad in ({"": [1]}, {"c": [1j]}):
        with pytest.raises(SessionError):
            clean.show_table(bad)
    with pytest.raises(SessionError, match="differ"):
        clean.show_table(pd.DataFrame([[1, 2]], columns=["a", "a"]))


def test_wrong_kinds_of_arguments_are_told(clean):
    clean.show(np.zeros((4, 4), np.uint8), name=7)
    assert clean.titles() == ["7"]
    clean.log(5)
    clean.status(None)
    clean.add_rois(fb.Roi.rectangle(0, 0, 2, 2, name="1"))
    with pytest.raises(FijiBridgeError, match="expected str"):
        clean.run_macro(None)
    with pytest.raises(ImageError, match="needs numbers"):
        clean.plot(pd.Series([1, 2], index=["a", "b"]))
