"""Tables, measurements and plots in ImageJ."""

from __future__ import annotations

import jpype
import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.errors import ImageError, RoiError
from fijibridge.files import read_image


@pytest.mark.parametrize("name", ["dev_cornea01", "dev_nuclei512"])
def test_measure_equals_imagejs_own_table(clean, data, name):
    """Golden: what ImageJ 1.54p measured of the same labels by hand."""
    folder = data / "golden" / "imagej"
    labels, image = (read_image(folder / f"{name}_{what}.tif").values for what in ("labels", "image"))
    golden = pd.read_csv(folder / f"{name}_Results.csv", index_col=0)
    table = clean.measure(labels, image)
    assert table["label"].tolist() == [int(n) for n in golden["Label"]]
    compared = [c for c in golden.columns if c in table.columns]
    assert {"Area", "Mean", "StdDev", "Perim.", "Feret", "Circ.", "Major", "Solidity", "IntDen"} <= set(compared)
    for column in compared:
        np.testing.assert_allclose(table[column], golden[column], atol=1.1e-3, err_msg=column)


def test_area_in_imagej_is_the_number_of_pixels(clean):
    tissue = fb.synthetic_epithelium((120, 120), seed=8)
    table = clean.measure(tissue.labels, tissue.image, ["area", "mean"])
    ids, pixels = np.unique(tissue.labels.values, return_counts=True)
    assert table["label"].tolist() == ids.tolist()
    np.testing.assert_allclose(table["Area"], pixels * 0.2**2, rtol=1e-12)
    means = [tissue.image.values[tissue.labels.values == i].mean() for i in ids]
    np.testing.assert_allclose(table["Mean"], means, rtol=1e-6)
    assert clean.run_macro("return '' + nResults;") == str(len(ids))


def test_cells_of_a_stack_are_measured_on_their_slices(clean):
    labels = np.zeros((3, 6, 6), int)
    labels[0, 1:3, 1:3] = labels[2, 1:5, 1:5] = 7
    labels[2, 0, 0] = 2
    stack = np.stack([np.full((6, 6), v, np.uint8) for v in (10, 20, 30)])
    table = clean.measure(labels, stack, ["area", "mean"])
    assert table[["slice", "label", "Area", "Mean"]].to_numpy().tolist() == [
        [1, 7, 4, 10],
        [3, 2, 1, 30],
        [3, 7, 16, 30],
    ]
    clean.show(stack, name="s")
    clean.run_macro("setSlice(2);")
    assert clean.measure([fb.Roi.rectangle(0, 0, 2, 2)], "s", ["mean"])["Mean"].tolist() == [20]
    assert clean.run_macro("return '' + getSliceNumber();") == "2"


def test_measure_rois_on_an_open_image(clean):
    clean.show(np.arange(100, dtype=np.uint8).reshape(10, 10), name="a")
    table = clean.measure([fb.Roi.rectangle(0, 0, 2, 2, name="corner")], "a", ["mean", "min_max"])
    assert table["label"].tolist() == ["corner"]
    assert table["Mean"].tolist() == [5.5]
    with pytest.raises(ImageError, match="no measurement 'colour'"):
        clean.measure([fb.Roi.rectangle(0, 0, 2, 2)], "a", ["colour"])
    with pytest.raises(RoiError, match="no cell"):
        clean.measure(np.zeros((10, 10), int), "a")
    with pytest.raises(ImageError, match="10 x 10"):
        clean.measure(np.ones((4, 4), int), "a")


def test_measuring_is_never_redirected_silently(clean):
    analyzer = jpype.JClass("ij.plugin.filter.Analyzer")
    clean.show(np.full((10, 10), 5, np.uint8), name="other")
    analyzer.setRedirectImage(clean._find("other"))
    try:
        with pytest.raises(ImageError, match="Redirect to"):
            clean.measure(np.ones((10, 10), int), np.zeros((10, 10), np.uint8))
    finally:
        analyzer.setRedirectImage(None)


def test_images_of_one_title_are_measured_by_their_id(clean):
    for value in (3, 8):
        clean.show(np.full((6, 6), value, np.uint8), name="x", new=True)
    first = clean.ids()[0]
    assert clean.measure(np.ones((6, 6), int), first, ["mean"])["Mean"].tolist() == [3]
    clean.show_labels(np.ones((6, 6), int), over=first)
    assert len(clean.rois(source="overlay", title=first)) == 1


def test_multi_points_are_refused(clean):
    clean.show(np.zeros((9, 9), np.uint8), name="a")
    clean.run_macro("makeSelection('point', newArray(1, 5), newArray(2, 6));")
    with pytest.raises(RoiError, match="multi-point"):
        clean.measure(clean.rois(source="image"), "a")


def test_tables(clean):
    frame = pd.DataFrame({"n": [1, 2], "x": [0.5, np.nan], "text": ["a", "b"]})
    clean.show_table(frame)
    macro = "return '' + getResult('n', 1) + '|' + getResult('x', 0) + '|' + getResultString('text', 1);"
    assert clean.run_macro(macro) == "2|0.5|b"


def test_tables_are_windows(window):
    window("""
        import pandas as pd
        fiji.show_table(pd.DataFrame({"matched": [3], "image": ["a"]}), name="Matches")
        wait(lambda: WindowManager.getWindow("Matches") is not None)
        fiji.measure(np.ones((5, 5), int), np.full((5, 5), 2, np.uint8))
        wait(lambda: WindowManager.getWindow("Results") is not None)
    """)  # fmt: skip


def test_a_click_on_a_row_selects_the_cell_and_scrolls_to_it(window):
    window("""
        labels = np.zeros((900, 900), np.uint16)
        for i in range(1, 20):
            labels[i * 40 : i * 40 + 20, i * 40 : i * 40 + 25] = i
        fiji.show(labels.astype(np.float32), name="raw")
        fiji.show_labels(labels, over="raw", name="cells")
        imp = fiji._find("raw")
        imp.getCanvas().setMagnification(4.0)
        imp.getCanvas().setSourceRect(jpype.JClass("java.awt.Rectangle")(0, 0, 100, 100))
        table = fiji.measure(labels, "raw", ["area"])
        assert table["label"].tolist() == list(range(1, 20))
        from fijibridge.fiji.tables import panel_of
        panel = panel_of("Results")

        def click(row):
            panel.setSelection(row, row)
            event = jpype.JClass("java.awt.event.MouseEvent")
            canvas = [c for c in panel.getComponents() if "TextCanvas" in str(c.getClass())][0]
            canvas.dispatchEvent(event(canvas, event.MOUSE_RELEASED, 0, 0, 5, 5, 1, False))

        click(17)
        wait(lambda: imp.getRoi() is not None and str(imp.getRoi().getName()) == "18")
        assert imp.getCanvas().getSrcRect().contains(imp.getRoi().getBounds())

        shifted = np.roll(labels, 3, axis=1)
        shifted[shifted == 5] = 0
        matching = fb.match_labels(labels, shifted)
        fiji.show(labels.astype(np.float32), name="raw")
        matches = fiji.show_matches(matching, labels, shifted, over="raw")
        assert (matches["outcome"] == "missed").sum() == 1
        assert sorted(fiji.tables()) == ["Matches", "Results"]
        panel = panel_of("Matches")
        click(matches.index[matches["outcome"] == "missed"][0])
        wait(lambda: fiji._find("raw").getRoi() is not None and str(fiji._find("raw").getRoi().getName()) == "missed 5")

        merged = np.kron([[1, 2], [3, 4]], np.ones((450, 450), int))
        pred = np.where(merged == 2, 1, merged)
        fiji.show_diagnosis(fb.diagnose(merged, pred, thresh=0.6), merged, pred, over="raw", name="d")
        assert {"d cells", "d gaps"} <= set(fiji.tables())
        panel = panel_of("d gaps")
        click(0)
        wait(lambda: fiji._find("raw").getRoi() is not None and str(fiji._find("raw").getRoi().getName()) == "gap 1")
    """)  # fmt: skip


def test_tables_come_and_go(window):
    window("""
        import pandas as pd
        frame = pd.DataFrame({"name": ["a", "b", ""], "value": [1.5, np.nan, 3.0], "n": [1, 2, 3]})
        fiji.show_table(frame, "Mine")
        window = WindowManager.getWindow("Mine")
        back = fiji.table("Mine")
        pd.testing.assert_frame_equal(back, frame.astype({"n": float}))
        fiji.show_table(frame.head(1), "Mine")
        assert WindowManager.getWindow("Mine") == window and len(fiji.table("Mine")) == 1, "in the same window"
        fiji.show_table(frame, "Other")
        assert sorted(fiji.tables()) == ["Mine", "Other"]
        window.close()
        wait(lambda: fiji.tables() == ["Other"])
        try:
            fiji.table("Mine")
        except fb.FijiBridgeError as error:
            assert "Other" in str(error)
        else:
            raise AssertionError
    """)  # fmt: skip


def test_plots(window):
    window("""
        assert fiji.plot({"train": [3, 2, 1.0], "validation": [3, 2.5, np.nan]}, name="Loss") == "Loss"
        window = fiji._find("Loss").getWindow()
        assert isinstance(window, jpype.JClass("ij.gui.PlotWindow"))
        fiji.plot({"train": [3, 0.5, 1.0]}, name="Loss")
        assert fiji._find("Loss").getWindow() == window and fiji.titles() == ["Loss"]
        assert len(window.getXValues()) == 3 and float(window.getYValues()[1]) == 0.5
        fiji.histogram(np.random.default_rng(0).normal(size=1000), name="H")
        assert fiji.titles() == ["Loss", "H"]
    """)  # fmt: skip
