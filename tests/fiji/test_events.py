"""Events of ImageJ in Python."""

from __future__ import annotations

import pytest

from fijibridge.errors import RenamedWarning, SessionError
from fijibridge.fiji import events, windows


def test_events_reach_python_and_may_call_back(window):
    window("""
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
        before, last = len(events), []
        fiji.on("opened", last.append)
        fiji.run_macro("newImage('another', '8-bit black', 30, 20, 1);")
        wait(lambda: [e.title for e in last] == ["another"])
        assert len(events) == before
    """)  # fmt: skip


def test_a_slow_callback_does_not_freeze_fiji(window):
    window("""
        import threading
        entered, leave = threading.Event(), threading.Event()
        fiji.on("opened", lambda event: (entered.set(), leave.wait()))
        fiji.show(np.zeros((20, 20), np.uint8), name="a")
        assert entered.wait(BOUND)
        done = threading.Event()
        later = jpype.JProxy("java.lang.Runnable", dict={"run": done.set})
        jpype.JClass("java.awt.EventQueue").invokeLater(later)
        assert done.wait(BOUND), "Java's event thread goes on"
        leave.set()
    """)  # fmt: skip


def test_a_session_is_closed_while_rois_change(window):
    window("""
        import threading
        fiji.show(np.zeros((40, 40), np.uint8), name="a")
        fiji.on("roi", lambda event: None)
        loop = "for (i = 0; i < 100000; i++) makeRectangle(i % 20, 3, 5, 5);"
        worker = threading.Thread(target=lambda: fiji.run_macro(loop), daemon=True)
        changed = threading.Event()
        fiji.on("roi", lambda event: changed.set())
        worker.start()
        assert changed.wait(BOUND)
        done = threading.Event()
        threading.Thread(target=lambda: (fiji._events.close(), done.set()), daemon=True).start()
        assert done.wait(BOUND), "Java's listeners and ours wait for each other"
        worker.join(BOUND)
        assert not worker.is_alive()
    """)  # fmt: skip


def test_events_need_windows(fiji):
    with pytest.raises(SessionError, match="no events without windows"):
        fiji.on("opened", print)


def test_an_unknown_event_is_refused(window):
    window("""
        try:
            fiji.on("moved", print)
        except fb.errors.SessionError as error:
            assert "no event 'moved'; expected one of opened, closed, updated, roi" in str(error)
        else:
            raise AssertionError
    """)


def test_events_were_part_of_windows():
    with pytest.warns(RenamedWarning, match=r"windows.Event was renamed to fijibridge.fiji.events.Event"):
        assert windows.Event is events.Event
