"""Windows closed by the user while Python works, under Xvfb."""

from __future__ import annotations

import re

import jpype

from fijibridge.fiji.jvm.startup import EVENTS
from tests.conftest import ROOT


def test_a_modal_dialog_does_not_block_python(window):
    window("""
        import threading
        IJ = jpype.JClass("ij.IJ")
        threading.Thread(target=lambda: IJ.showMessage("Modal", "blocks its thread"), daemon=True).start()

        def dialogs():
            return [w for w in jpype.JClass("java.awt.Dialog").getWindows()
                    if isinstance(w, jpype.JClass("java.awt.Dialog")) and w.isVisible() and w.isModal()]

        wait(dialogs)
        pixels = np.arange(600, dtype=np.float32).reshape(20, 30)
        fiji.show(pixels, name="a")
        assert (fiji.array("a") == pixels).all()
        fiji.add_rois([fb.Roi.rectangle(1, 1, 5, 5, name="1")])
        assert [r.name for r in fiji.rois("overlay")] == ["1"] and fiji.rois("manager")
        assert len(fiji.measure("overlay", "a")) == 1
        assert dialogs(), "it is still there"
        dialogs()[0].dispose()
    """)  # fmt: skip


def test_javas_event_thread_may_call_back_into_fiji(window):
    window("""
        fiji.show(np.full((20, 30), 3, np.uint8), name="a")
        fiji.add_rois([fb.Roi.rectangle(1, 1, 5, 5, name="1")])
        seen = []

        def on_event_thread():
            assert jpype.JClass("java.awt.EventQueue").isDispatchThread()
            fiji.show(fiji.array("a") * 2, name="b")
            names = [roi.name for roi in fiji.rois("overlay", "a")]
            seen.append((int(fiji.array("b").max()), names, len(fiji.measure("overlay", "a"))))

        later = jpype.JProxy("java.lang.Runnable", dict={"run": on_event_thread})
        jpype.JClass("java.awt.EventQueue").invokeLater(later)
        wait(lambda: seen)
        assert seen == [(6, ["1"], 1)]
    """)  # fmt: skip


def test_quitting_imagej_while_python_trains(window):
    window("""
        import threading
        image = np.random.default_rng(0).random((64, 64)).astype(np.float32)
        target = (image > 0.5).astype(np.uint8)
        fiji.show(image, name="a")
        epochs = []

        class Quitter:
            def progress(self, step, steps): pass
            def metrics(self, epoch, values):
                epochs.append(epoch)
                if epoch == 1:
                    jpype.JClass("ij.IJ").getInstance().quit()

        net = fb.UNet(depth=1, width=2)
        fb.train(net, [(image, target)], epochs=3, batches=2, patch=(32, 32), observers=[Quitter()])
        assert epochs == [0, 1, 2, 3]
        wait(lambda: jpype.JClass("ij.IJ").getInstance() is None)
        assert fiji.titles() == [], "quitting closes the images; the session lives"
        again = fb.Fiji.start(WHERE, mode="interactive")
        assert again is fiji and jpype.JClass("ij.IJ").getInstance() is not None
        fiji.show(image, name="b")
        assert (fiji.array("b") == image).all()
    """)  # fmt: skip


def test_a_script_that_leaves_windows_open_ends(window):
    window("""
        fiji.show(np.zeros((4, 20, 30), np.uint8), name="stack")
        fiji.show(np.zeros((2, 2, 20, 30), np.uint8), name="hyperstack")
        fiji.add_rois([fb.Roi.rectangle(1, 1, 5, 5, name="1")])
        fiji.measure("overlay", "hyperstack")  # unsaved measurements: ImageJ would ask
        fiji.log("a line")
        fiji.plot([1, 2, 3])
        jpype.JClass("ij.plugin.frame.Editor")().create("unsaved.ijm", "a text")
    """)  # fmt: skip


BEFORE_WINDOWS = """
import jpype
import fijibridge as fb
from fijibridge.fiji.jvm import lifetime, startup

def waiting():
    field = jpype.JClass("sun.misc.Unsafe").class_.getDeclaredField("theUnsafe")
    field.setAccessible(True)
    loader = jpype.JClass("java.lang.ClassLoader").getSystemClassLoader()
    for_name = jpype.JClass("java.lang.Class").forName
    return [n for n in startup.EVENTS if field.get(None).shouldBeInitialized(for_name(n, False, loader))]

opened, found = lifetime.open_window, []
def open_window():
    found.append(waiting())
    opened()
lifetime.open_window = open_window
"""


def test_event_classes_are_initialised_before_the_first_window(python, display):
    """Else a listener made in Python and AWT's thread may wait for each other for ever."""
    python(BEFORE_WINDOWS + """
fb.Fiji.start(WHERE, mode="interactive")
assert found == [[]], found
""", DISPLAY=display)  # fmt: skip
    python(BEFORE_WINDOWS + """
startup.initialise_events = lambda: None
fb.Fiji.start(WHERE, mode="interactive")
assert "java.awt.event.MouseEvent" in found[0], found
""", DISPLAY=display)  # fmt: skip


def test_the_events_of_all_listeners_are_among_them(fiji):
    source = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "fijibridge").rglob("*.py"))
    listeners = set(re.findall(r'JProxy\(\s*"(java\.awt\.event\.\w+Listener)"', source))
    ours = "".join(p.read_text(encoding="utf-8") for p in (ROOT / "fijibridge" / "java").rglob("*.java"))
    kinds = re.findall(r"import java\.awt\.event\.(\w+)(?:Adapter|Listener);", ours)
    listeners |= {f"java.awt.event.{kind}Listener" for kind in kinds}
    assert len(listeners) >= 4
    for name in listeners:
        for method in jpype.JClass(name).class_.getMethods():
            assert str(method.getParameterTypes()[0].getName()) in EVENTS


def test_fiji_comes_back_after_a_quit_and_what_was_shown_meanwhile_stays(window):
    """ImageJ2's services fail at images that are open while they begin."""
    window("""
        IJ = jpype.JClass("ij.IJ")
        for attempt in range(2):
            fiji.show(np.zeros((20, 30), np.uint8), name="before")
            IJ.getInstance().exitWhenQuitting(False)
            IJ.getInstance().quit()
            wait(lambda: IJ.getInstance() is None)
            fiji.show(np.full((20, 30), 5, np.uint8), name="meanwhile")
            assert fb.Fiji.start(WHERE, mode="interactive") is fiji
            assert IJ.getInstance() is not None and IJ.getInstance().isVisible()
            assert "meanwhile" in fiji.titles()
            assert fiji.run_macro("selectImage('meanwhile'); run('Invert'); return '' + getPixel(0, 0);") == "250"
            fiji.close_image("meanwhile")
    """)  # fmt: skip


def test_closing_the_main_window_does_not_end_python(window):
    done = window("""
        fiji.show(np.zeros((20, 30), np.uint8), name="a")
        IJ = jpype.JClass("ij.IJ")
        frame = IJ.getInstance()
        event = jpype.JClass("java.awt.event.WindowEvent")
        frame.dispatchEvent(event(frame, event.WINDOW_CLOSING))
        wait(lambda: IJ.getInstance() is None)
        settle()
        print("Python lives")
        fiji.close()
        again = fb.Fiji.start(WHERE, mode="interactive")
        assert IJ.getInstance() is not None and IJ.getInstance().isVisible()
        again.show(np.ones((4, 4), np.uint8), name="after")
        assert again.array("after").sum() == 16
        print("and Fiji again")
    """)  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["Python lives", "and Fiji again"]
