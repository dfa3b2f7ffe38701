"""Verbs called from ImageJ's menu, by dialogs and the recorder, under Xvfb."""

from __future__ import annotations

import textwrap

import pytest

from tests.gui.test_windows import HEAD


@pytest.fixture
def window(python, display, tmp_path):
    """Run code in a Python with ImageJ's windows, whose preferences are its own."""

    def run(body: str, **environment: str):
        code = HEAD + "from tests.gui.people import *\n" + textwrap.dedent(body)
        options = f"-Duser.home={tmp_path}"
        return python(code, DISPLAY=display, JAVA_TOOL_OPTIONS=options, FOLDER=str(tmp_path), **environment)

    return run


MODEL = """
import torch
torch.manual_seed(0)
model = fb.Model(fb.UNet(depth=1, width=2).eval(), ("background", "membrane"))
FOLDER = os.environ["FOLDER"]
PATH = os.path.join(FOLDER, "a model.safetensors")
model.save(PATH)
pixels = np.random.default_rng(0).integers(0, 255, (60, 80)).astype(np.uint8)
"""


def test_the_menu_has_the_verbs_and_keeps_them(window):
    window("""
        expected = ["Save Training Set...", "Plan...", "Train U-Net...", "Stop Training", "-", "Predict...",
                    "Predict Folder...", "-", "Label Cells...", "Match Labels...", "Measure Cells...",
                    "Show Errors...", "-", "About"]
        assert labels() == expected, labels()
        jpype.JClass("ij.IJ").doCommand("Refresh Menus")
        assert "Please restart" in message("Message")  # of ij1-patcher, which restarts no class loader
        assert menu() is None, "ImageJ forgets what was added"
        frame = jpype.JClass("ij.IJ").getInstance()
        event = jpype.JClass("java.awt.event.WindowEvent")

        def come_back():
            for kind in (event.WINDOW_DEACTIVATED, event.WINDOW_ACTIVATED):  # Java drops what it takes to be so already
                later(lambda kind=kind: frame.dispatchEvent(event(frame, kind)))
            time.sleep(0.5)
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


def test_a_dialog_asks_again_until_it_can_be_done_and_remembers(window):
    window(MODEL + """
fiji.show(pixels, name="raw.tif")
choose("Predict...")
first = dialog("FijiBridge Predict")
assert read(first) == {"Image": "raw.tif", "Model": "", "Flips": False, "Border": "as trained", "Tile": "",
                       "Precision": "32", "Device": ""}, read(first)
press(first, "Help")
wait(lambda: any("HTMLDialog" in str(d.getClass()) for d in dialogs()))
close(next(d for d in dialogs() if "HTMLDialog" in str(d.getClass())))
fill(first, Model="/nowhere/m.safetensors", Flips=True, Tile="many", Device="cpu")
press(first, "OK")
told = message("FijiBridge Predict...")
assert "model is '/nowhere/m.safetensors': there is no such" in told and "tile is 'many'; expected" in told, told
assert max(map(len, told.splitlines())) <= 84
again = dialog("FijiBridge Predict")
assert read(again)["Tile"] == "many" and read(again)["Flips"] is True, "what was typed is kept"
fill(again, Model=PATH, Tile="32")
press(again, "OK")
wait(lambda: "raw_prob" in fiji.titles())
np.testing.assert_allclose(
    fiji.array("raw_prob"), fb.predict(model, fiji.image("raw.tif"), flips=True, tile=32, device="cpu").values,
    atol=1e-6)
choose("Predict...")
later_on = dialog("FijiBridge Predict")
held = read(later_on)
assert (held["Model"], held["Flips"], held["Tile"], held["Device"]) == (PATH, True, "32", "cpu"), held
press(later_on, "Cancel")
time.sleep(0.5)
assert not dialogs() and fiji.titles() == ["raw.tif", "raw_prob"]
prefs = open(os.path.join(FOLDER, ".imagej", "IJ_Prefs.txt")).read()
assert "fijibridge.predict.model=" in prefs
""")  # fmt: skip


def test_dialogs_fit_a_small_screen_and_tell_what_a_field_is_for(window):
    window("""
        fiji.show(np.zeros((20, 30), np.uint8), name="raw")
        for title in ("Train U-Net...", "Label Cells...", "Show Errors...", "Plan..."):
            choose(title)
            opened = dialog("FijiBridge " + title.removesuffix("..."))
            assert opened.getHeight() < 720 and opened.getWidth() < 1000, (title, opened.getSize())
            from fijibridge.verbs import verb_named
            verb = verb_named(title)
            assert len(fields(opened)) == len(verb.parameters), set(fields(opened))
            field = fields(opened)[verb.parameters[-1].title]
            event = jpype.JClass("java.awt.event.FocusEvent")

            def hinted():
                # again and again: the real focus of a slow display may come to the first field afterwards
                later(lambda: field.dispatchEvent(event(field, event.FOCUS_GAINED)))
                return verb.parameters[-1].help.split()[-1] in texts(opened)

            wait(hinted)
            press(opened, "Cancel")
    """)


def test_an_error_is_a_dialog_for_a_person_and_an_end_for_a_macro(window):
    window("""
        IJ = jpype.JClass("ij.IJ")
        choose("Stop Training")
        assert "no training is running" in message("FijiBridge Stop Training")

        from fijibridge.verbs import Call, verb

        @verb("Broken")
        def broken() -> None:
            raise KeyError("lost")

        choose("Broken")
        told = message("FijiBridge Broken")
        assert "KeyError: 'lost'" in told and "its traceback is in the log" in told.replace("\\n", " ")
        assert "in broken" in str(IJ.getLog())

        # of a macro that Python runs no dialog opens
        for code, text in (("Stop Training", "no training is running"), ("Predict...", "model is missing")):
            try:
                fiji.run_macro(f'run("FijiBridge {code}");')
            except fb.FijiBridgeError as error:
                assert text in str(error), error
            else:
                raise AssertionError
        assert not dialogs()

        # one that runs in Fiji ends with ImageJ's own message
        jpype.JClass("ij.macro.MacroRunner")('run("FijiBridge Stop Training"); newImage("after", "8-bit", 9, 9, 1);')
        assert "no training is running in line 1" in message("Macro Error")
        time.sleep(0.5)
        assert fiji.titles() == []

        @verb("Endless")
        def endless(call: Call) -> None:
            while True:
                call.check()
                time.sleep(0.05)

        choose("Endless")
        time.sleep(0.5)
        IJ.setKeyDown(jpype.JClass("java.awt.event.KeyEvent").VK_ESCAPE)
        status = lambda: str(IJ.getInstance().getStatusBar().getComponent(0).getText())
        wait(lambda: status() == "cancelled")
        assert not dialogs(), "quietly"
        IJ.resetEscape()
        jpype.JClass("ij.macro.MacroRunner")('run("FijiBridge Endless"); newImage("after", "8-bit", 9, 9, 1);')
        time.sleep(1)
        IJ.setKeyDown(jpype.JClass("java.awt.event.KeyEvent").VK_ESCAPE)
        time.sleep(1)
        assert not dialogs() and fiji.titles() == [], "and its macro ends, quietly too"
    """)


def test_a_training_goes_on_in_the_background(window):
    window(MODEL + """
tissue = fb.synthetic_epithelium((64, 64), cell_size=16, photons=400, weak_membranes=0, seed=1)
fb.save_dataset({"a": {"image": tissue.image, "labels": tissue.labels}}, os.path.join(FOLDER, "data"))
out = os.path.join(FOLDER, "run 1")
jpype.JClass("ij.plugin.frame.Recorder")()
try:
    fiji.training
except fb.FijiBridgeError as error:
    assert "Train U-Net" in str(error)
choose("Train U-Net...")
opened = dialog("FijiBridge Train U-Net")
fill(opened, Epochs="100000", Batches="2", Batch="2", Depth="1", Channels="2", Forecast=False, Device="cpu",
     **{"Image folder": os.path.join(FOLDER, "data"), "Output folder": out, "Patch (px)": "32"})
press(opened, "OK")
from fijibridge.verbs.training import TRAININGS
run = wait(lambda: TRAININGS.running and fiji.training, 60)
wait(lambda: len(run.history) > 2, 60)
recorded = str(jpype.JClass("ij.plugin.frame.Recorder").getInstance().getText())
# by now ImageJ may have recorded which window came to the front
call = (f'run("FijiBridge Train U-Net...", "folder={FOLDER}/data out=[{out}] epochs=100000 batches=2 '
        'batch=2 patch=32 depth=1 channels=2 forecast=false device=cpu");\\n')
assert recorded.startswith(call), recorded
jpype.JClass("ij.IJ").setKeyDown(jpype.JClass("java.awt.event.KeyEvent").VK_ESCAPE)
fiji.show(pixels, name="meanwhile")  # Fiji stays usable
seen = len(run.history)
wait(lambda: len(run.history) > seen + 1, 60)
assert run.running, "Escape is not for it"
choose("Stop Training")
wait(lambda: not run.running and not TRAININGS.running, 60)
wait(lambda: f"Model and record in {out}" in str(jpype.JClass("ij.IJ").getLog()))
assert fiji.training is run and not dialogs()
choose("Predict...")
offered = dialog("FijiBridge Predict")
assert read(offered)["Model"] == out, "the model of the last training is offered"
press(offered, "Cancel")

choose("Train U-Net...")  # which fails in the background: there is a run already
again = dialog("FijiBridge Train U-Net")
assert read(again)["Output folder"] == out and read(again)["Epochs"] == "100000"
press(again, "OK")
assert "run 1" in message("FijiBridge Train U-Net...")
""")  # fmt: skip
