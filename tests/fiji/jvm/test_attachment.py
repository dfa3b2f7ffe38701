"""Join an ImageJ that somebody else started in this process; each in a process of its own."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.jvm

# a JVM as others start it: Java's default collector, without -Xrs, ij1-patcher and javassist
BARE = """
import logging, os, sys
import jpype
from fijibridge.imagej.installations import find_java, java_libraries
from fijibridge.java.jars import jars_of
from fijibridge.java.jars import EMBEDDED

class Said(logging.Handler):
    lines = []
    def emit(self, record):
        self.lines.append(record.getMessage())

logging.getLogger("fijibridge").addHandler(Said())
library = str(java_libraries(find_java(display=not HEADLESS).home)[0])
ij = [str(jar) for jar in jars_of(EMBEDDED) if jar.name.startswith("ij-")]
jpype.startJVM(*(["-Djava.awt.headless=true"] if HEADLESS else []), jvmpath=library, classpath=ij)
IJ, Manager = jpype.JClass("ij.IJ"), jpype.JClass("ij.WindowManager")

def failed(*error):
    sys.__excepthook__(*error)
    sys.stderr.flush()
    os._exit(1)  # windows would keep Java alive

sys.excepthook = failed
if not HEADLESS:
    jpype.JClass("ij.ImageJ")()

import numpy as np
import fijibridge as fb

labels = np.zeros((40, 50), np.uint16)
labels[2:10, 3:12], labels[20:30, 20:45] = 4, 9
image = np.arange(2000, dtype=np.float32).reshape(40, 50)
"""

USE = """
fiji.show(image, name="a")
fiji.show_labels(labels, over="a", name="cells")
assert fiji.titles() == ["a", "cells"], fiji.titles()
assert (fiji.array("a") == image).all()
assert [r.name for r in fiji.rois("overlay", "a")] == ["4", "9"]
assert fiji.measure(labels, "a")["Area"].tolist() == [72, 250]
MACRO = "run('FijiBridge Measure Cells...', 'cells=cells image=a measurements=area'); return '' + nResults;"
assert fiji.run_macro(MACRO) == "2"
try:
    fiji.run_macro("selectImage('a'); run('FijiBridge Measure Cells...', 'cells=nope image=a');")
    raise SystemExit("no error")
except fb.FijiBridgeError as error:
    assert "no open image 'nope'" in str(error), error
assert fiji.titles() == ["a", "cells"]
"""


END = """
import os
os._exit(0)  # somebody else's windows keep Java, and so Python, alive: closing them is up to their owner
"""


def test_plain_imagej_without_windows_is_joined_and_left_open(python):
    done = python(
        "HEADLESS = True"
        + BARE
        + "fiji = fb.Fiji.attach()\n"
        + USE
        + """
assert (fiji.flavor, fiji.mode, fiji.version, fiji.java.source) == ("imagej", "headless", "1.54p", "running JVM")
assert fb.current() is fiji and fb.Fiji.attach() is fiji
(options,) = [line for line in Said.lines if line.startswith("joined the JVM")]
assert all(f"({option})" in options for option in ("-Xrs", "-XX:+UseParallelGC", "-XX:ErrorFile")), options
fiji.close()
assert Manager.getImageCount() == 2
again = fb.current()
assert again is not fiji and again.titles() == ["a", "cells"]
assert len([line for line in Said.lines if line.startswith("joined the JVM")]) == 1
try:
    fb.Fiji.start("embedded", mode="headless")
except fb.FijiBridgeError as error:
    print(error)
"""
    )
    assert "Fiji.attach()" in done.stdout


def test_images_survive_an_error_in_somebodys_macro(python):
    python(
        "HEADLESS = True"
        + BARE
        + """
fiji = fb.Fiji.attach()
fiji.show(image, name="a")
IJ.runMacro("nonsense(1);")
assert fiji.titles() == ["a"]
IJ.runMacro("setBatchMode(true); newImage('b', '8-bit', 5, 5, 1); setBatchMode(false);")
assert "a" in fiji.titles()
assert fiji.image().name == "a" or fiji.image().name == "b"
"""
    )


def test_plain_imagej_with_windows_keeps_its_windows_and_menus(python, display):
    python(
        "HEADLESS = False"
        + BARE
        + """
Menus = jpype.JClass("ij.Menus")
def menu():
    plugins = Menus.getImageJMenu("Plugins")
    return [str(plugins.getItem(i).getLabel()) for i in range(plugins.getItemCount())]
def ours(listeners):
    return sum(type(listener).__name__ == "_JProxy" for listener in listeners)
def followers(panel):
    parts = panel.getComponents()
    found = [str(listener.getClass().getName()) for part in parts for listener in part.getMouseListeners()]
    return found.count("fijibridge.RowListener")

before = menu()
fiji = fb.Fiji.attach()
"""
        + USE
        + """
assert fiji.mode == "interactive"
assert menu().count("FijiBridge") == 1
seen = []
fiji.on("opened", lambda event: seen.append(event.title))
imp = jpype.JClass("ij.ImagePlus")("later", jpype.JClass("ij.process.ByteProcessor")(9, 9))
imp.show()
import time
end = time.monotonic() + 10
while not seen and time.monotonic() < end:
    time.sleep(0.05)
assert seen == ["later"], seen
fiji.show_table({"label": [4, 9]}, "Mine", select_in="a")
panel = Manager.getWindow("Mine").getTextPanel()
assert ours(IJ.getInstance().getWindowListeners()) == followers(panel) == 1
fiji.close()
assert menu() == before
assert ours(IJ.getInstance().getWindowListeners()) == followers(panel) == 0
assert IJ.getInstance() is not None and IJ.getInstance().isVisible()
assert Manager.getImageCount() == 3
"""
        + END,
        DISPLAY=display,
    )


def test_threads_of_python_open_windows(python, display):
    """JPype attaches them without a class loader, and Swing finds no class of its look; nor does AWT's thread."""
    opened = 'jpype.JClass("ij.ImageJ")()'
    assert opened in BARE
    in_a_thread = "import threading; t = threading.Thread(target=jpype.JClass('ij.ImageJ')); t.start(); t.join()"
    python(
        "HEADLESS = False"
        + BARE.replace(opened, in_a_thread)
        + """
def loader():
    return jpype.JClass("java.lang.Thread").currentThread().getContextClassLoader()
def loader_of_awt():
    found = []
    run = jpype.JProxy("java.lang.Runnable", dict={"run": lambda: found.append(loader())})
    jpype.JClass("java.awt.EventQueue").invokeAndWait(run)
    return found[0]
assert loader_of_awt() is None
jpype.JClass("javax.swing.UIManager").setLookAndFeel("javax.swing.plaf.metal.MetalLookAndFeel")
fiji = fb.Fiji.attach()
fiji.show(image, name="a")
loaders, errors = [], []
def work():
    try:
        fiji.add_rois(fb.labels_to_rois(labels), "a")  # opens the ROI Manager
        loaders.append(loader())
    except BaseException as error:
        errors.append(error)
thread = threading.Thread(target=work)
thread.start()
thread.join()
assert not errors, errors
assert loaders[0] is not None and loader_of_awt() is not None
assert len(fiji.rois("manager")) == 2
"""
        + END,
        DISPLAY=display,
    )


def test_no_jvm_and_no_imagej(python):
    done = python(
        """
        import fijibridge as fb
        for attempt in range(2):
            try:
                fb.Fiji.attach()
            except fb.FijiBridgeError as error:
                print(error)
            if not attempt:
                import jpype
                from fijibridge.imagej.installations import find_java, java_libraries
                jpype.startJVM(jvmpath=str(java_libraries(find_java().home)[0]))
        """
    )
    assert "no JVM runs" in done.stdout
    assert "has no ImageJ" in done.stdout


def test_what_we_started_is_joined_too(python):
    python(
        """
        import fijibridge as fb
        fiji = fb.Fiji.start("embedded", mode="headless")
        assert fb.Fiji.attach() is fiji
        try:
            fb.Fiji.attach("gateway")
            raise SystemExit("attached to a text")
        except fb.FijiBridgeError as error:
            assert "imagej.init" in str(error), error
        fiji.close()
        try:
            fb.current()
            raise SystemExit("closed, but current")
        except fb.FijiBridgeError as error:
            assert "Fiji.start()" in str(error)
        """
    )


# --- ImageJ2 ----------------------------------------------------------------------------------------


def test_a_fiji_without_imglybs_jar_starts_and_says_what_is_lacking(python, imagej2):
    done = python(
        f"""
        import logging, sys
        logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
        import numpy as np, fijibridge as fb
        fiji = fb.Fiji.start({str(imagej2)!r}, mode="headless")
        assert fiji.version == "2.17.0/1.54p", fiji.version
        fiji.show(np.eye(9, dtype=np.uint8), name="a")
        assert fiji.run_macro("selectImage('a'); run('Invert'); return '' + getPixel(0, 0);") == "254"
        assert str(fiji.ij.getVersion()) == "2.17.0/1.54p"
        fiji.ij
        """
    )
    assert done.stdout.count("imglib2-imglyb is not on the class path") == 1
    assert "ij.py.to_dataset" in done.stdout


def test_callbacks_of_imglyb_run_where_its_class_is_there(python):
    """They run before ImageJ; a class of that name on the class path stands for the jar."""
    python(
        """
        import scyjava, scyjava._jvm
        from fijibridge.fiji.jvm import imglyb_jar
        ran = []
        def setup():
            ran.append("imglyb")
        setup.__module__ = "imglyb.accesses"
        def other():
            ran.append("other")
        scyjava.when_jvm_starts(other)
        scyjava.when_jvm_starts(setup)
        imglyb_jar._CLASS = "java.lang.String"
        imglyb_jar.guard_callbacks()
        for callback in list(scyjava._jvm._startup_callbacks):
            assert getattr(callback, "__module__", "") != "imglyb.accesses"
        from fijibridge.imagej.installations import find_java, java_libraries
        import jpype
        jpype.startJVM(jvmpath=str(java_libraries(find_java().home)[0]))
        for callback in scyjava._jvm._startup_callbacks[-2:]:
            callback()
        assert ran == ["other", "imglyb"] and not imglyb_jar.missing
        imglyb_jar._CLASS = "net.imglib2.python.Helpers"
        scyjava._jvm._startup_callbacks[-1]()
        assert ran == ["other", "imglyb"] and imglyb_jar.missing
        """
    )


def test_fiji_comes_back_after_imagej2_was_quit(python, imagej2):
    python(
        f"""
        import numpy as np, fijibridge as fb
        fiji = fb.Fiji.start({str(imagej2)!r}, mode="headless")
        old = fiji.ij
        old.getContext().dispose()
        try:
            fiji.ij
            raise SystemExit("a gateway that was quit")
        except fb.FijiBridgeError as error:
            assert "Fiji.start()" in str(error), error
        assert fb.Fiji.start({str(imagej2)!r}, mode="headless") is fiji
        assert fiji.ij is not old and fiji.ij.script().getLanguages() is not None
        fiji.show(np.eye(9, dtype=np.uint8), name="a")
        assert fiji.titles() == ["a"]
        """
    )


# pyimagej without our start, on a machine that cannot fetch imglyb's jar
INIT = """
import os, scyjava, scyjava._jvm, scyjava.config, imagej
hooks = scyjava._jvm._startup_callbacks
hooks[:] = [h for h in hooks if not str(getattr(h, "__module__", "")).startswith("imglyb")]
scyjava.config.endpoints.clear()
scyjava.config.set_java_constraints(fetch="auto")
from fijibridge.imagej.installations import find_java
os.environ["JAVA_HOME"] = str(find_java(display=MODE != "headless").home)
import numpy as np
import fijibridge as fb

labels = np.zeros((40, 50), np.uint16)
labels[2:10, 3:12], labels[20:30, 20:45] = 4, 9
image = np.arange(2000, dtype=np.float32).reshape(40, 50)
"""


def test_what_imagej_init_returned_is_joined(python, imagej2):
    python(
        f"MODE, HOME = 'headless', {str(imagej2)!r}"
        + INIT
        + """
ij = imagej.init(HOME, mode="headless")
before = list(scyjava._jvm._shutdown_callbacks)
fiji = fb.Fiji.attach(ij)
assert fiji.ij is ij and fiji.version == "2.17.0/1.54p" and fiji.flavor in ("imagej2", "fiji")
"""
        + USE
        + """
assert fiji.run_macro("selectImage('a'); run('Invert'); return '' + getPixel(0, 0);") == "1999"
scyjava.jimport("ij.IJ").runMacro("nonsense(1);")
assert fiji.titles() == ["a", "cells"]
fiji.close()
assert scyjava._jvm._shutdown_callbacks == before
found = fb.current()  # the same context, found and not made anew
assert found.ij.getContext().equals(ij.getContext())
for wrong in ("gateway", 7):
    try:
        fb.Fiji.attach(wrong)
        raise SystemExit("attached to " + repr(wrong))
    except fb.FijiBridgeError as error:
        assert "imagej.init" in str(error), error
assert fb.Fiji.attach(ij) is found and found.ij is ij
assert fb.Fiji.attach() is found and found.ij is ij
ij.getContext().dispose()
try:
    found.ij
    raise SystemExit("a gateway that was quit")
except fb.FijiBridgeError as error:
    assert "imagej.init()" in str(error), error
again = imagej.init(HOME, mode="headless")
assert fb.current() is found and found.ij.getContext().equals(again.getContext())
"""
    )


def test_imagej_init_in_a_thread_with_windows_is_joined(python, imagej2, display):
    """As napari-imagej does it; training beside it shows its curves, and closing leaves all windows open."""
    python(
        f"MODE, HOME = 'interactive', {str(imagej2)!r}"
        + INIT
        + """
import threading
made = []
thread = threading.Thread(target=lambda: made.append(imagej.init(HOME, mode="interactive")))
thread.start()
thread.join()
ij = made[0]
Window = scyjava.jimport("java.awt.Window")
fiji = fb.current()
assert fiji.mode == "interactive" and fiji.ij.getContext().equals(ij.getContext())
assert not [w for w in Window.getWindows() if w.isVisible()], "a window that nobody asked for"
IJ, Menus = scyjava.jimport("ij.IJ"), scyjava.jimport("ij.Menus")
ij.ui().showUI()  # later, by who started it
if IJ.getInstance() is None:
    scyjava.jimport("ij.ImageJ")()
import time
def entered():
    plugins = Menus.getImageJMenu("Plugins")
    labels = [str(plugins.getItem(i).getLabel()) for i in range(plugins.getItemCount())]
    return labels.count("FijiBridge") == 1 and "FijiBridge About" in Menus.getCommands()
end = time.monotonic() + 20
while not entered() and time.monotonic() < end:
    time.sleep(0.1)
assert entered()
fiji.close()
fiji = fb.Fiji.attach(ij)
"""
        + USE
        + """
plugins = scyjava.jimport("ij.Menus").getImageJMenu("Plugins")
assert [str(plugins.getItem(i).getLabel()) for i in range(plugins.getItemCount())].count("FijiBridge") == 1
target = fb.membrane_target(labels, width=1)
fb.train(fb.UNet(depth=1, width=2), [(image, target)], epochs=2, batches=2, patch=(16, 16))
assert "Training curves" in fiji.titles(), fiji.titles()
fiji.close()
assert IJ.getInstance() is not None and IJ.getInstance().isVisible()
assert ij.script().getLanguages() is not None
"""
        + END,
        DISPLAY=display,
        timeout=200,
    )


def test_a_python_script_in_fijis_python_mode_finds_its_fiji(python, imagej2):
    """Scripts in the language Python run in Java's threads, by the object that pyimagej enters into ImageJ2."""
    python(
        f"MODE, HOME = 'headless', {str(imagej2)!r}"
        + INIT
        + """
import jpype
ij = imagej.init(HOME, mode="headless")
objects = ij.context().service("org.scijava.object.ObjectService")
Function = scyjava.jimport("java.util.function.Function")
assert "PythonScriptRunner" in [str(objects.getName(o)) for o in objects.getObjects(Function)]
script = "\\n".join((
    "import numpy as np", "import fijibridge as fb", "fiji = fb.current()",
    "fiji.show(np.full((6, 7), 3, np.uint8), name='from a script')", "",
))
languages = [str(language.getLanguageName()) for language in ij.script().getLanguages()]
if "Python" in languages:  # scripting-python, as in Fiji
    evaluate = ij.script().getLanguageByName("Python").getScriptEngine().eval
else:
    evaluate = lambda text: exec(text, {})
running = jpype.JClass("java.lang.Thread")(jpype.JProxy("java.lang.Runnable", dict={"run": lambda: evaluate(script)}))
running.start()
running.join()
assert fb.current().titles() == ["from a script"], fb.current().titles()
assert fb.current().array("from a script").tolist() == [[3] * 7] * 6
"""
    )


def test_an_imagej2_that_was_not_started_is_left_alone(python, imagej2):
    """Loading a class of ImageJ's would keep ImageJ2 from patching it."""
    python(
        f"MODE, HOME = 'headless', {str(imagej2)!r}"
        + INIT
        + """
import glob
for jar in glob.glob(f"{HOME}/jars/**/*.jar", recursive=True):
    scyjava.config.add_classpath(jar)
scyjava.config.add_option("-Djava.awt.headless=true")
scyjava.config.add_option("--add-opens=java.base/java.lang=ALL-UNNAMED")
scyjava.start_jvm()
for attempt in (fb.current, fb.Fiji.attach):
    try:
        attempt()
        raise SystemExit("joined what was not started")
    except fb.FijiBridgeError as error:
        assert "call imagej.init(...) first" in str(error), error
ij = imagej.init(HOME, mode="headless")
fiji = fb.current()
assert fiji.ij.getContext().equals(ij.getContext())
fiji.show(image, name="a")
assert fiji.run_macro("selectImage('a'); run('Invert'); return '' + getPixel(0, 0);") == "1999"
"""
    )
