"""Cells edited in ImageJ, with its own commands, and pulled back."""

from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.errors import DatasetError, FijiBridgeWarning, ImageError, RoiError

pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture
def cells():
    labels = np.zeros((30, 40), np.uint16)
    labels[2:12, 2:12], labels[2:12, 14:24], labels[15:28, 5:30] = 3, 5, 9
    return fb.as_image(labels, pixel_size=0.5, unit="um", origin={"y": 10, "x": 20})


def test_an_overlay_that_was_edited(fiji, cells):
    fiji.show(np.zeros(cells.shape, np.uint8), name="raw")
    assert fiji.edit_cells(cells, "raw") == "raw"
    fiji.run_macro("""
        Overlay.removeSelection(1);
        makeRectangle(32, 2, 5, 5); Roi.setName("a new one"); Overlay.addSelection;
    """)
    after = fiji.corrected_cells(cells, "raw", "overlay")
    assert fb.changed_cells(cells, after).to_numpy().tolist() == [[5, "removed", 0, 100], [10, "added", 25, 0]]
    assert after.attrs["provenance"] == "corrected"
    assert fb.pixel_size(after)["x"] == 0.5
    assert after.coords["y"][0] == 10


def test_cells_in_parts_that_nobody_touched_stay_as_they_are(fiji, cells):
    scattered = cells.copy(data=np.where(np.arange(40) % 8 < 5, cells, 0))
    fiji.show(np.zeros(cells.shape, np.uint8), name="raw")
    fiji.edit_cells(scattered, "raw")
    assert fb.changed_cells(scattered, fiji.corrected_cells(scattered, "raw", "overlay")).empty


def test_a_label_image_that_was_painted(fiji, cells):
    fiji.show_labels(cells, name="cells")
    fiji.run_macro("""
        selectImage("cells");
        setColor(0); drawLine(17, 14, 17, 29);
        setColor(77); fillRect(32, 2, 3, 3);
    """)
    after = fiji.corrected_cells(cells, "cells", "labels")
    changes = fb.changed_cells(cells, after).set_index("label")
    assert changes["change"].to_dict() == {9: "changed", 77: "added", 78: "added"}
    assert changes.loc[9, "lost"] == 13 + changes.loc[78, "gained"], "a line of 13 px, and the smaller side"
    assert after.dtype.kind in "iu"


def test_the_way_on_targets_and_a_new_table(fiji, cells, tmp_path):
    """Predicted cells, corrected in ImageJ, become truth: new targets, and a table beside the old one."""
    pred = cells.copy(data=np.where(cells == 5, 0, cells))
    old = fb.match_table({"one": fb.match_labels(cells, pred)})
    fiji.show(np.zeros(cells.shape, np.uint8), name="raw")
    fiji.edit_cells(cells, "raw")
    fiji.run_macro('selectImage("raw"); Overlay.removeSelection(1);')
    truth = fiji.corrected_cells(cells, "raw", "overlay")
    assert (fb.membrane_target(truth) != fb.membrane_target(cells)).any()
    new = fb.match_table({"one": fb.match_labels(truth, pred)})
    assert fb.compare_match_tables(old, new).loc[0, ["f1 before", "f1 after"]].tolist() == [0.8, 1.0]


def test_a_stack_keeps_its_slices(fiji):
    labels = np.zeros((3, 20, 20), np.uint16)
    labels[0, 2:8, 2:8] = labels[1, 3:8, 3:8] = 4
    labels[2, 10:15, 10:15] = 6
    stack = fb.as_image(labels, pixel_size={"z": 2, "y": 1, "x": 1})
    fiji.show(np.zeros(labels.shape, np.uint8), name="stack")
    fiji.edit_cells(stack, "stack")
    assert (fiji.corrected_cells(stack, "stack", "overlay") == stack).all()


def test_another_image_is_refused(fiji, cells):
    fiji.show(np.zeros((5, 6), np.uint8), name="small")
    with pytest.raises(ImageError, match=r"'small' has shape \(5, 6\)"):
        fiji.corrected_cells(cells, "small", "labels")
    with pytest.raises(ImageError, match="labels have shape"):
        fiji.corrected_cells(cells, "small")
    with pytest.raises(ImageError, match="labels have shape"):
        fiji.edit_cells(cells, "small")


def test_a_training_set_is_saved_and_opened_again(fiji, cells, tmp_path):
    """The round trip through ImageJ and a folder: pixels, cells, region and calibration."""
    rng = np.random.default_rng(0)
    raw = cells.copy(data=rng.integers(0, 999, cells.shape).astype(np.uint16))
    two = fb.as_image(rng.integers(0, 255, (2, 30, 40)).astype(np.uint8), dims="cyx", pixel_size=0.5, unit="um")
    fiji.show(raw, name="evl 1.tif")
    fiji.edit_cells(cells, "evl 1.tif")
    fiji.show(two, name="evl/2")
    fiji.show_labels(cells.values, name="cells of 2")
    fiji.run_macro('selectImage("evl 1.tif"); makeOval(3, 3, 30, 20);')
    saved = fiji.save_training_set(
        tmp_path / "set", cells={"evl/2": "cells of 2"}, region="selection", provenance="manual", membranes="bright"
    )
    assert saved.names() == ["evl 1", "evl_2"]
    assert (saved["evl 1"].image() == raw).all()
    assert (saved["evl 1"].labels() == cells).all()
    assert fb.pixel_size(saved["evl 1"].labels())["x"] == 0.5
    known = saved["evl 1"].region()
    assert 400 < known.sum() < 500
    assert saved["evl_2"].region().all()
    assert saved["evl_2"].image().dims == ("c", "y", "x")

    for title in fiji.titles():
        fiji.close_image(title)
    titles = fiji.open_training_set(tmp_path / "set")
    assert titles == {"evl 1": "evl 1", "evl_2": "evl_2"}
    again = fiji.save_training_set(tmp_path / "again", region="selection", provenance="corrected")
    for name in again.names():
        for role in ("image", "labels", "region"):
            assert (getattr(again[name], role)() == getattr(saved[name], role)()).all(), (name, role)
    assert again["evl 1"].provenance == "corrected"


def test_a_training_set_needs_cells_and_a_free_folder(fiji, cells, tmp_path):
    with pytest.raises(RoiError, match="no open image has cells"):
        fiji.save_training_set(tmp_path)
    fiji.show(np.zeros(cells.shape, np.uint8), name="raw")
    with pytest.raises(RoiError, match="'raw' has no cells"):
        fiji.save_training_set(tmp_path, ["raw"])
    fiji.edit_cells(cells, "raw")
    fiji.save_training_set(tmp_path, ["raw"])
    with pytest.raises(DatasetError, match="overwrite"):
        fiji.save_training_set(tmp_path, ["raw"])
    with pytest.raises(DatasetError, match="provenance"):
        fiji.save_training_set(tmp_path, ["raw"], overwrite=True, provenance="guessed")


def test_a_region_that_differs_from_slice_to_slice_is_no_selection(fiji, tmp_path):
    """One that does not comes back as it was, on all slices."""
    labels = np.zeros((3, 30, 30), np.uint16)
    labels[:, 5:15, 5:15] = 1
    region = np.zeros(labels.shape, np.uint8)
    region[:, 2:20, 2:20] = 1
    images = {"image": fb.as_image(labels.astype(np.uint8), "zyx"), "labels": labels, "region": region}
    fb.save_dataset({"v": images}, tmp_path / "same", membranes="bright")
    fiji.open_training_set(tmp_path / "same")
    again = fiji.save_training_set(tmp_path / "again", ["v"], region="selection", membranes="bright")
    assert (again["v"].region().values == region).all()
    fiji.close_image("v")
    region[1] = 1
    fb.save_dataset({"v": images}, tmp_path / "varies", membranes="bright")
    with pytest.warns(FijiBridgeWarning, match="'v' differs between slices: no selection can show it"):
        fiji.open_training_set(tmp_path / "varies")
    with pytest.raises(ImageError, match="'v' differs between slices"):
        fiji.save_training_set(tmp_path / "never", ["v"], region="selection", membranes="bright")
    assert not (tmp_path / "never").exists()


def test_cells_of_an_image_that_is_not_saved_are_told(fiji, cells, tmp_path):
    fiji.show(np.zeros(cells.shape, np.uint8), name="evl.tif")
    fiji.show_labels(cells, name="truth")
    with pytest.raises(RoiError, match=r"cells=... names \['evl'\], but the images to save are \['evl.tif'\]"):
        fiji.save_training_set(tmp_path, ["evl.tif"], cells={"evl": "truth"})


def test_cells_are_deleted_drawn_and_changed_in_the_roi_manager(window):
    window("""
        cells = np.zeros((60, 80), np.uint16)
        cells[5:20, 5:20], cells[5:20, 30:50], cells[30:50, 10:40] = 2, 4, 7
        fiji.show(np.zeros(cells.shape, np.uint8), name="raw")
        fiji.add_rois(fb.Roi.rectangle(0, 0, 3, 3, name="left from before"), "raw")
        fiji.edit_cells(cells, "raw")
        manager = jpype.JClass("ij.plugin.frame.RoiManager").getInstance2()
        assert [str(roi.getName()) for roi in manager.getRoisAsArray()] == ["2", "4", "7"]
        fiji.run_macro('''
            roiManager("select", 1); roiManager("delete");
            roiManager("select", 0); makeRectangle(5, 5, 10, 15); roiManager("update");
            makeOval(55, 30, 12, 12); roiManager("add");
        ''')
        after = fiji.corrected_cells(cells, "raw")
        changes = fb.changed_cells(cells, after).set_index("label")["change"].to_dict()
        assert changes == {2: "changed", 4: "removed", 8: "added"}, changes
        assert {roi.name for roi in fiji.rois("overlay", "raw")} == {"2", "7", "8"}
        fiji.close_image("raw")
        assert (fiji.corrected_cells(cells, source="manager") == after).all(), "the manager outlives its image"
        assert (np.asarray(after)[5:20, 5:15] == 2).all() and (np.asarray(after) == 2).sum() == 150
    """)  # fmt: skip


def test_what_was_corrected_is_what_is_saved(window, tmp_path):
    """With and without pulling it back before; also where nothing is left, and not from a manager that was closed."""
    window(f"""
        folder = {str(tmp_path)!r}
        cells = np.zeros((60, 80), np.uint16)
        cells[5:20, 5:20], cells[5:20, 30:50] = 2, 4
        for name in ("first", "second"):
            fiji.show(np.zeros(cells.shape, np.uint8), name=name)
            fiji.edit_cells(cells, name)
            fiji.run_macro('roiManager("select", 0); roiManager("delete"); '
                           'roiManager("select", 0); makeRectangle(30, 5, 10, 15); roiManager("update");')
            if name == "first":
                expected = np.where(np.arange(80) < 40, cells * (cells == 4), 0)
                assert (fiji.corrected_cells(cells, name).values == expected).all()
        saved = fiji.save_training_set(folder + "/set", ["first", "second"], provenance="corrected", membranes="bright")
        for name in ("first", "second"):
            labels = saved[name].labels().values
            assert np.unique(labels).tolist() == [0, 4], name
            assert (labels == 4).sum() == 150, name
        fiji.edit_cells(cells, "first")
        jpype.JClass("ij.plugin.frame.RoiManager").getInstance2().reset()
        assert not fiji.corrected_cells(cells, "first").values.any()
        fiji.edit_cells(cells, "first")
        fiji.run_macro('roiManager("reset");')
        jpype.JClass("ij.plugin.frame.RoiManager").getInstance2().close()
        try:
            fiji.corrected_cells(cells, "first")
        except fb.errors.RoiError as error:
            assert "the ROI Manager in which the cells were edited is closed" in str(error)
        else:
            raise AssertionError("the cells of before were taken as corrected")
        try:
            fiji.save_training_set(folder + "/lost", ["first"])
        except fb.errors.RoiError as error:
            assert "the ROI Manager in which the cells were edited is closed" in str(error)
        else:
            raise AssertionError("the cells of before were saved as corrected")
        assert (fiji.corrected_cells(cells, "first", source="overlay").values == cells).all()
        assert (fiji.save_training_set(folder + "/kept", ["first"])["first"].labels().values == cells).all()
    """)  # fmt: skip


def test_a_cell_drawn_in_each_frame_of_a_film_is_truth_of_that_frame(window):
    window("""
        film = fb.as_image(np.zeros((4, 2, 20, 30), np.uint8), "tcyx")
        for number, mode in ((1, "composite"), (2, "grayscale")):
            fiji.show(film, name=f"film {number}", mode=mode)
            fiji.run_macro('''
                roiManager("reset");
                for (t = 1; t <= 4; t++) {
                    Stack.setPosition(1, 1, t); makeRectangle(3 * t, 2, 2, 3); roiManager("Add");
                }
            ''')
            saved = fiji.save_training_set(os.path.join(os.environ["FOLDER"], str(number)), [f"film {number}"])
            labels = saved[f"film {number}"].labels().values
            for t in range(4):
                expected = np.zeros((20, 30), int)
                expected[2:5, 3 * (t + 1) : 3 * (t + 1) + 2] = t + 1
                assert (labels[t] == expected).all(), (number, t, np.argwhere(labels[t]))
    """)  # fmt: skip
