"""Working in Fiji's windows and in Python at once, under Xvfb."""

from __future__ import annotations

from tests.gui.test_windows import run


def test_showing_again_keeps_window_zoom_slice_and_overlay(python, display):
    run(python, display, """
        stack = np.random.default_rng(0).integers(0, 255, (5, 60, 80)).astype(np.uint8)
        fiji.show(stack, name="s")
        imp = fiji._find("s")
        window, canvas = imp.getWindow(), imp.getCanvas()
        fiji.add_rois([fb.Roi.rectangle(3, 3, 9, 9, name="1")])
        imp.setSlice(4)
        canvas.zoomIn(10, 10); canvas.zoomIn(10, 10)
        time.sleep(1)  # the window follows
        zoom, part = canvas.getMagnification(), canvas.getSrcRect()
        seen = (part.x, part.y, part.width, part.height)
        assert fiji.show(255 - stack, name="s") == "s"
        again = fiji._find("s")
        assert again.getWindow() == window and again.getID() == imp.getID(), "the same window"
        part = again.getCanvas().getSrcRect()
        assert again.getCanvas().getMagnification() == zoom and (part.x, part.y, part.width, part.height) == seen
        assert again.getCurrentSlice() == 4 and again.getOverlay().size() == 1
        assert (fiji.array("s") == 255 - stack).all() and fiji.titles() == ["s"]
        fiji.show(stack, name="s", keep_view=False)
        assert fiji._find("s").getCurrentSlice() == 1
        where = fiji._find("s").getWindow().getLocation()
        fiji.show(np.zeros((9, 9), np.float32), name="s")  # of another size: another window, in its place
        assert fiji.titles() == ["s"] and fiji.image("s").shape == (9, 9)
        wait(lambda: fiji._find("s").getWindow().getLocation().equals(where))
    """)  # fmt: skip


def test_events_reach_python_and_may_call_back(python, display):
    run(python, display, """
        events, pulled = [], []
        stops = [fiji.on(kind, events.append) for kind in ("opened", "closed", "updated", "roi")]
        stops.append(fiji.on("opened", lambda event: pulled.append(fiji.image(event.id).shape)))
        stops.append(fiji.on("opened", lambda event: 1 / 0))  # logged; the others are told all the same
        fiji.run_macro("newImage('new', '8-bit black', 30, 20, 1);")
        wait(lambda: ("opened", "new") in [(e.kind, e.title) for e in events])
        wait(lambda: pulled == [(20, 30)])
        fiji.run_macro("makeRectangle(2, 3, 5, 6);")
        wait(lambda: ("roi", "created") in [(e.kind, e.action) for e in events])
        fiji.run_macro("run('Invert');")
        wait(lambda: "updated" in [e.kind for e in events])
        fiji.run_macro("close();")
        wait(lambda: ("closed", "new") in [(e.kind, e.title) for e in events])
        for stop in stops:
            stop()
        told = len(events)
        fiji.run_macro("newImage('another', '8-bit black', 30, 20, 1);")
        time.sleep(0.5)
        assert len(events) == told
    """)  # fmt: skip


def test_a_slow_callback_does_not_freeze_fiji(python, display):
    run(python, display, """
        import threading
        entered, leave = threading.Event(), threading.Event()
        fiji.on("opened", lambda event: (entered.set(), leave.wait(20)))
        fiji.show(np.zeros((20, 20), np.uint8), name="a")
        assert entered.wait(10)
        done = threading.Event()
        later = jpype.JProxy("java.lang.Runnable", dict={"run": done.set})
        jpype.JClass("java.awt.EventQueue").invokeLater(later)
        assert done.wait(5), "Java's event thread goes on"
        leave.set()
    """)  # fmt: skip


def test_waiting_for_the_user(python, display):
    run(python, display, """
        import _thread, threading
        def press(what):
            dialog = [w for w in jpype.JClass("java.awt.Window").getWindows()
                      if w.isVisible() and str(w.getClass().getSimpleName()) == "WaitForUserDialog"]
            if dialog:
                getattr(dialog[0], "close")() if what == "ok" else None
            return bool(dialog)
        threading.Thread(target=lambda: wait(lambda: press("ok")), daemon=True).start()
        assert fiji.wait_for_user("Draw a cell") is True
        fiji.show(np.zeros((20, 20), np.uint8), name="a")

        def interrupt():
            wait(lambda: press("nothing"))
            _thread.interrupt_main()

        threading.Thread(target=interrupt, daemon=True).start()
        try:
            fiji.wait_for_user("Draw another")
        except KeyboardInterrupt:
            wait(lambda: not press("nothing"))
        else:
            raise AssertionError("Ctrl-C was lost")
        assert fiji.titles() == ["a"]
    """)  # fmt: skip


def test_a_click_on_a_row_selects_the_cell_and_scrolls_to_it(python, display):
    run(python, display, """
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


def test_tables_come_and_go(python, display):
    run(python, display, """
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


def test_plots(python, display):
    run(python, display, """
        assert fiji.plot({"train": [3, 2, 1.0], "validation": [3, 2.5, np.nan]}, name="Loss") == "Loss"
        window = fiji._find("Loss").getWindow()
        assert isinstance(window, jpype.JClass("ij.gui.PlotWindow"))
        fiji.plot({"train": [3, 0.5, 1.0]}, name="Loss")
        assert fiji._find("Loss").getWindow() == window and fiji.titles() == ["Loss"]
        assert len(window.getXValues()) == 3 and float(window.getYValues()[1]) == 0.5
        fiji.histogram(np.random.default_rng(0).normal(size=1000), name="H")
        assert fiji.titles() == ["Loss", "H"]
    """)  # fmt: skip


def test_ten_thousand_cells_into_overlay_and_manager(python, display):
    run(python, display, """
        labels = np.kron(np.arange(1, 10001).reshape(100, 100), np.ones((8, 8), int))
        labels[::8] = 0
        labels[:, ::8] = 0
        fiji.show(labels.astype(np.float32), name="raw")
        done = []
        later = jpype.JProxy("java.lang.Runnable", dict={"run": lambda: done.append(time.monotonic())})
        rois = fb.labels_to_rois(labels)
        fiji.add_rois(rois)
        jpype.JClass("java.awt.EventQueue").invokeLater(later)
        began = time.monotonic()
        wait(lambda: done)
        assert done[0] - began < 5, "the window answers"
        manager = jpype.JClass("ij.plugin.frame.RoiManager").getInstance2()
        assert manager.getCount() == 10000 and fiji._find("raw").getOverlay().size() == 10000
        assert fiji.rois() == fiji.rois("overlay")
        assert (fb.rois_to_labels(fiji.rois(), labels.shape) == labels).all()
    """)  # fmt: skip


def test_selecting(python, display):
    run(python, display, """
        fiji.show(np.zeros((3, 40, 40), np.uint8), name="a")
        fiji.show(np.zeros((40, 40), np.uint8), name="b")
        fiji.select("a", fb.Roi.rectangle(3, 4, 5, 6, name="7", position=2))
        wait(lambda: fiji.image().name == "a")
        (roi,) = fiji.rois("image")
        assert roi.bounds == (3, 4, 8, 10) and fiji._find("a").getCurrentSlice() == 2
        part = fiji.image("a", region="roi")
        assert part.shape == (3, 6, 5) and fb.as_image(part).coords["x"].values[0] == 3
    """)  # fmt: skip


def test_a_session_is_closed_while_rois_change(python, display):
    run(python, display, """
        import threading
        fiji.show(np.zeros((40, 40), np.uint8), name="a")
        fiji.on("roi", lambda event: None)
        loop = "for (i = 0; i < 100000; i++) makeRectangle(i % 20, 3, 5, 5);"
        worker = threading.Thread(target=lambda: fiji.run_macro(loop), daemon=True)
        worker.start()
        time.sleep(1)
        done = threading.Event()
        threading.Thread(target=lambda: (fiji._events.close(), done.set()), daemon=True).start()
        assert done.wait(10), "Java's listeners and ours wait for each other"
        worker.join(60)
        assert not worker.is_alive()
    """)  # fmt: skip


def test_a_dialog_closed_by_its_button_is_a_no(python, display):
    run(python, display, """
        import threading
        def close():
            def found():
                return [w for w in jpype.JClass("java.awt.Window").getWindows()
                        if w.isVisible() and str(w.getClass().getSimpleName()) == "WaitForUserDialog"]
            wait(found)
            event = jpype.JClass("java.awt.event.WindowEvent")
            found()[0].dispatchEvent(event(found()[0], event.WINDOW_CLOSING))
        threading.Thread(target=close, daemon=True).start()
        assert fiji.wait_for_user("Draw a cell") is False
    """)  # fmt: skip
