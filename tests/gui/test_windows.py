"""Real windows under Xvfb. A JVM has one mode, so each test has a Python of its own."""

from __future__ import annotations

HEAD = """
import os, time
import numpy as np
import jpype
import fijibridge as fb

WHERE = os.environ.get("FIJIBRIDGE_TEST_FIJI", "embedded")
fiji = fb.Fiji.start(WHERE, mode="interactive")
WindowManager = jpype.JClass("ij.WindowManager")

def wait(done, seconds=10):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
"""


def run(python, display: str, body: str):
    import textwrap

    return python(HEAD + textwrap.dedent(body), DISPLAY=display)


def test_the_window_clicked_last_is_the_active_image(python, display):
    run(python, display, """
        fiji.show(np.zeros((20, 30), np.uint8), name="a")
        fiji.show(np.zeros((40, 50), np.uint8), name="b")
        window = fiji._find("a").getWindow()
        assert window is not None and window.isVisible()

        def a_is_active():
            # activation events of b's window may still be on their way
            WindowManager.setCurrentWindow(window)
            time.sleep(0.3)
            return fiji.image().name == "a" and fiji.image().shape == (20, 30)

        wait(a_is_active)
        other = fiji._find("b").getWindow()

        def b_is_active():
            WindowManager.setCurrentWindow(other)
            time.sleep(0.3)
            return fiji.image().shape == (40, 50)

        wait(b_is_active)
    """)  # fmt: skip


def test_images_of_one_title(python, display):
    run(python, display, """
        assert [fiji.show(np.full((8, 8), i, np.uint8), name="x", new=True) for i in range(2)] == ["x", "x-1"]
        assert fiji.array("x-1").max() == 1
        fiji._find("x-1").setTitle("x")
        try:
            fiji.image("x")
        except fb.FijiBridgeError as error:
            assert "by its id" in str(error)
        else:
            raise SystemExit("two images of one title were not told apart")
    """)  # fmt: skip


def test_roi_manager(python, display):
    run(python, display, """
        tissue = fb.synthetic_epithelium((80, 80), cell_size=16)
        fiji.show(tissue.image, name="t")
        rois = fb.labels_to_rois(tissue.labels)
        fiji.add_rois(rois)
        manager = jpype.JClass("ij.plugin.frame.RoiManager").getInstance()
        assert manager.getCount() == len(rois)
        back = fiji.rois(source="manager")
        assert [r.name for r in back] == [r.name for r in rois]
        assert (fb.rois_to_labels(back, (80, 80)) == tissue.labels.values).all()
        fiji.run_macro("roiManager('reset'); makeRectangle(1, 2, 3, 4); roiManager('add');")
        assert [r.bounds for r in fiji.rois()] == [(1, 2, 4, 6)]
    """)  # fmt: skip


def test_the_roi_manager_opens_our_zip_and_measures_the_same_areas(python, display, tmp_path):
    run(python, display, f"""
        tissue = fb.synthetic_epithelium((80, 80), cell_size=16)
        fb.write_rois({str(tmp_path / "RoiSet.zip")!r}, fb.labels_to_rois(tissue.labels))
        fiji.show(np.zeros((80, 80), np.uint8), name="t")
        macro = "roiManager('open', getArgument()); run('Set Measurements...', 'area display redirect=None');"
        fiji.run_macro(macro + "roiManager('deselect'); roiManager('measure');", {str(tmp_path / "RoiSet.zip")!r})
        pixels = np.bincount(tissue.labels.values.reshape(-1))[1:]
        table = jpype.JClass("ij.measure.ResultsTable").getResultsTable()
        areas = np.array(table.getColumn("Area")[:])
        assert len(areas) == len(pixels) and (areas == pixels).all()
    """)  # fmt: skip


def test_rois_stay_on_their_own_slice_and_die_with_the_session(python, display):
    run(python, display, """
        fiji.show(np.zeros((12, 12), np.uint8), name="a")
        fiji.show(np.zeros((5, 12, 12), np.uint8), name="st")
        fiji.run_macro("selectImage('st'); setSlice(4);")
        fiji.add_rois([fb.Roi.rectangle(1, 1, 3, 3)], "a")
        assert [r.position for r in fiji.rois(source="manager")] == [0]
        fiji.close()
        again = fb.Fiji.start(WHERE, mode="interactive")
        try:
            print(again.rois(source="manager"))
        except fb.FijiBridgeError:
            pass
        else:
            raise SystemExit("the ROIs of the closed session are still there")
        again.show(np.zeros((12, 12), np.uint8), name="b")
        again.add_rois([fb.Roi.rectangle(1, 1, 3, 3)])
        assert jpype.JClass("ij.plugin.frame.RoiManager").getInstance().isVisible()
    """)  # fmt: skip


def test_an_image_window_closed_by_hand(python, display):
    run(python, display, """
        fiji.show(np.zeros((20, 30), np.uint8), name="a")
        window = fiji._find("a").getWindow()
        event = jpype.JClass("java.awt.event.WindowEvent")
        window.dispatchEvent(event(window, event.WINDOW_CLOSING))
        wait(lambda: fiji.titles() == [])
        fiji.show(np.zeros((20, 30), np.uint8), name="b")
        assert fiji.titles() == ["b"]
    """)  # fmt: skip


def test_closing_the_main_window_does_not_end_python(python, display):
    done = run(python, display, """
        fiji.show(np.zeros((20, 30), np.uint8), name="a")
        IJ = jpype.JClass("ij.IJ")
        frame = IJ.getInstance()
        event = jpype.JClass("java.awt.event.WindowEvent")
        frame.dispatchEvent(event(frame, event.WINDOW_CLOSING))
        wait(lambda: IJ.getInstance() is None)
        time.sleep(1)
        print("Python lives")
        fiji.close()
        again = fb.Fiji.start(WHERE, mode="interactive")
        assert IJ.getInstance() is not None and IJ.getInstance().isVisible()
        again.show(np.ones((4, 4), np.uint8), name="after")
        assert again.array("after").sum() == 16
        print("and Fiji again")
    """)  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["Python lives", "and Fiji again"]


def test_tables_are_windows(python, display):
    run(python, display, """
        import pandas as pd
        fiji.show_table(pd.DataFrame({"matched": [3], "image": ["a"]}), name="Matches")
        wait(lambda: WindowManager.getWindow("Matches") is not None)
        fiji.measure(np.ones((5, 5), int), np.full((5, 5), 2, np.uint8))
        wait(lambda: WindowManager.getWindow("Results") is not None)
    """)  # fmt: skip


def test_a_macro_error_opens_no_dialog_that_blocks(python, display):
    run(python, display, """
        try:
            fiji.run_macro("nonsense('x');")
        except fb.FijiBridgeError as error:
            assert "line 1" in str(error)
        else:
            raise SystemExit("no error")
    """)  # fmt: skip


def test_labels_over_an_image(python, display):
    run(python, display, """
        tissue = fb.synthetic_epithelium((80, 80), cell_size=16)
        fiji.show_labels(tissue.labels, over=tissue.image)
        assert fiji.titles() == ["tissue", "labels"]
        assert fiji._find("tissue").getOverlay().size() == tissue.labels.values.max()
        fiji.close()
    """)  # fmt: skip


def test_the_interactive_demo(python, display, tmp_path):
    done = python(
        f"""
        from pathlib import Path
        from fijibridge.app.demo import run_demo
        out = Path({str(tmp_path)!r})
        assert not run_demo(out, "interactive", epochs=1, batches=2, training_images=1, unseen_images=1).passed
        """,
        DISPLAY=display,
        timeout=240,
    )
    assert "interactive" in done.stdout
    assert (tmp_path / "comparison.png").is_file()


def test_many_cells_that_are_painted_by_hand_are_seen_so(python, display):
    run(python, display, """
        labels = np.arange(1, 401, dtype=np.uint16).reshape(20, 20).repeat(3, 0).repeat(3, 1)
        fiji.show_labels(np.stack([labels, labels]), name="big")
        imp = fiji._find("big")
        fiji.select("big")
        fiji.run_macro("setSlice(2); setColor(0); fillRect(0, 0, 40, 40); updateDisplay();")
        assert fiji.array("big")[1, 10, 10] == 0
        wait(lambda: imp.flatten().getProcessor().getPixel(10, 10) & 0xFFFFFF == 0)
        assert imp.flatten().getProcessor().getPixel(50, 50) & 0xFFFFFF != 0
        imp.setSlice(1)
        assert imp.flatten().getProcessor().getPixel(10, 10) & 0xFFFFFF != 0
    """)  # fmt: skip
