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
        changes = fb.list_changes(cells, after).set_index("label")["change"].to_dict()
        assert changes == {2: "changed", 4: "removed", 8: "added"}, changes
        fiji.close_image("raw")
        assert (fiji.corrected_cells(cells, source="manager") == after).all(), "the manager outlives its image"
        assert (np.asarray(after)[5:20, 5:15] == 2).all() and (np.asarray(after) == 2).sum() == 150
    """)  # fmt: skip
