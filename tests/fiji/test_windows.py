"""Open images and their windows."""

from __future__ import annotations

import fnmatch

import numpy as np
import pytest

from fijibridge.errors import NoImageError


def test_the_window_clicked_last_is_the_active_image(window):
    window("""
        fiji.show(np.zeros((20, 30), np.uint8), name="a")
        fiji.show(np.zeros((40, 50), np.uint8), name="b")
        window = fiji._find("a").getWindow()
        assert window is not None and window.isVisible()

        def a_is_active():
            # again and again: activation events of b's window may still be on their way
            WindowManager.setCurrentWindow(window)
            settle()
            return fiji.image().name == "a" and fiji.image().shape == (20, 30)

        wait(a_is_active)
        other = fiji._find("b").getWindow()

        def b_is_active():
            WindowManager.setCurrentWindow(other)
            settle()
            return fiji.image().shape == (40, 50)

        wait(b_is_active)
    """)  # fmt: skip


def test_images_of_one_title(window):
    window("""
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


def test_an_image_window_closed_by_hand(window):
    window("""
        fiji.show(np.zeros((20, 30), np.uint8), name="a")
        window = fiji._find("a").getWindow()
        event = jpype.JClass("java.awt.event.WindowEvent")
        window.dispatchEvent(event(window, event.WINDOW_CLOSING))
        wait(lambda: fiji.titles() == [])
        fiji.show(np.zeros((20, 30), np.uint8), name="b")
        assert fiji.titles() == ["b"]
    """)  # fmt: skip


def test_waiting_for_the_user(window):
    window("""
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


def test_a_dialog_closed_by_its_button_is_a_no(window):
    window("""
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


@pytest.mark.parametrize("number", [-(10**10), -(10**30)])
def test_an_id_beyond_the_range_of_java_is_no_image(clean, number):
    with pytest.raises(NoImageError, match=f"no open image .*{number}"):
        clean.image(number)


def test_patterns_are_those_of_fnmatch(clean):
    titles = ["a.tif", "A.tif", "a[1].tif", "a1.tif", "b^&.tif", "a\\b", "c] d", "x-y", "a\nb", "(1+1)*.tif",
              "x\U0001f52c", "\U0001f52d"]  # fmt: skip
    for title in titles:
        clean.show(np.zeros((2, 3), np.uint8), name=title)
    patterns = ["*", "?.tif", "a*", "a[[]1].tif", "a[0-9].tif", "[!a]*", "[]]*", "*[]]*", "b[&^]?.tif", "[9-0]*", "a[1",
                "x[!-]y", "x[a-]y", "*\\*", "(1+1)[*].tif", "[!]*", "[a-c]*", "a?b", "",
                "[z-ab]*", "[!z-a]*", "[a-c-e]*", "?\U0001f52c", "[\U0001f52c-\U0001f52d]*", "[!9-0]"]  # fmt: skip
    for pattern in patterns:
        assert clean.titles(pattern) == [t for t in titles if fnmatch.fnmatchcase(t, pattern)], pattern
