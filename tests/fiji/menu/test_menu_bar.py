"""Entries of the verbs in ImageJ's menu."""

from __future__ import annotations


def test_the_menu_has_the_verbs_and_keeps_them(window):
    window("""
        expected = ["Save Training Set...", "Plan...", "Train U-Net...", "Stop Training", "-", "Predict...",
                    "Predict Folder...", "-", "Label Cells...", "Match Labels...", "Measure Cells...",
                    "Show Errors...", "-", "About"]
        assert labels() == expected, labels()
        jpype.JClass("ij.IJ").doCommand("Refresh Menus")
        opened = dialog("Message")
        assert "Please restart" in texts(opened)  # of ij1-patcher, which restarts no class loader
        assert menu() is None, "ImageJ forgets what was added"
        close(opened)  # after which the main window may become active at any time
        frame = jpype.JClass("ij.IJ").getInstance()
        event = jpype.JClass("java.awt.event.WindowEvent")

        def come_back():
            for kind in (event.WINDOW_DEACTIVATED, event.WINDOW_ACTIVATED):  # Java drops what it takes to be so already
                later(lambda kind=kind: frame.dispatchEvent(event(frame, kind)))
            settle()
            return menu() is not None and labels() == expected

        wait(come_back)

        from fijibridge.verbs import Image, unregister, verb

        @verb("Mean Of All...")
        def mean(image: Image) -> str:
            "Say the mean."
            return f"mean {float(image.mean()):g}"

        assert labels() == [*expected, "-", "Mean Of All..."]
        fiji.show(np.full((5, 6), 7, np.uint8), name="a")
        call("Mean Of All...")
        assert "mean 7" in str(jpype.JClass("ij.IJ").getLog())
        unregister("mean_of_all")
        assert labels() == expected
        choose("About")
        wait(lambda: f"fijibridge {fb.__version__}" in str(jpype.JClass("ij.IJ").getLog()))
        fiji.close()
        fiji = fb.Fiji.start(WHERE, mode="interactive")
        assert labels() == expected
    """)


def test_verbs_of_several_threads_are_watched_by_one_listener(window):
    window("""
        import threading
        from fijibridge.fiji.menu.menu_bar import Menu
        frame = jpype.JClass("ij.IJ").getInstance()
        before = len(frame.getWindowListeners())
        again = Menu(True)
        begin = threading.Barrier(8)
        threads = [threading.Thread(target=lambda: (begin.wait(BOUND), again.enter())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(BOUND)
        assert len(frame.getWindowListeners()) == before + 1
        again.leave()
        assert len(frame.getWindowListeners()) == before
        again.refresh()
        assert len(frame.getWindowListeners()) == before, "what was taken out does not come back"
    """)
