"""Cells corrected in the ROI Manager, under Xvfb."""

from __future__ import annotations

from tests.gui.test_windows import run


def test_cells_are_deleted_drawn_and_changed_in_the_roi_manager(python, display):
    run(python, display, """
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


def test_what_was_corrected_is_what_is_saved(python, display, tmp_path):
    """With and without pulling it back before; also where nothing is left, and not from a manager that was closed."""
    run(python, display, f"""
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
            assert "the ROI Manager is closed" in str(error)
        else:
            raise AssertionError("the cells of before were taken as corrected")
        try:
            fiji.save_training_set(folder + "/lost", ["first"])
        except fb.errors.RoiError as error:
            assert "the ROI Manager is closed" in str(error)
        else:
            raise AssertionError("the cells of before were saved as corrected")
        assert (fiji.corrected_cells(cells, "first", source="overlay").values == cells).all()
        assert (fiji.save_training_set(folder + "/kept", ["first"])["first"].labels().values == cells).all()
    """)  # fmt: skip
