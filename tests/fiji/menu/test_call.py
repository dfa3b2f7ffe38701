"""Verbs as commands of ImageJ: called from macros, with what they find shown there and their errors told there."""

from __future__ import annotations

import threading

import jpype
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import fijibridge as fb
from fijibridge import verbs
from fijibridge.errors import Cancelled, MacroError, OptionError
from fijibridge.verbs import Call, Image, unregister


def commands() -> dict[str, str]:
    table = jpype.JClass("ij.Menus").getCommands()
    found = {str(e.getKey()): str(e.getValue()) for e in table.entrySet()}
    return {name: entry for name, entry in found.items() if name.startswith("FijiBridge ")}


def test_each_verb_is_a_command_until_the_session_ends(python):
    python("""
        import sys
        import fijibridge as fb
        from fijibridge.verbs import all_verbs
        fiji = fb.Fiji.start(WHERE, mode="headless")
        import jpype
        table = jpype.JClass("ij.Menus").getCommands()
        assert "torch" not in sys.modules, "loaded before anybody asked for it"
        for verb in all_verbs():
            assert table.get(verb.command) == f'ij.plugin.FijiBridge("{verb.name}")'
        fiji.close()
        assert not [e for e in table.values() if "FijiBridge" in str(e)]
        try:
            jpype.JClass("ij.IJ").runPlugIn("ij.plugin.FijiBridge", "about")  # and says that it was closed
        except jpype.JException:
            pass
        fiji = fb.Fiji.start(WHERE, mode="headless")
        assert table.get("FijiBridge About") == 'ij.plugin.FijiBridge("about")'
        fiji.run_macro('run("FijiBridge About");')
    """)


def test_a_verb_of_the_users_is_a_command_at_once(clean, raw, own):
    def brightest(image: Image, times: int = 1) -> str:
        """Say the largest value."""
        return f"brightest {int(image.max()) * times}"

    said = []
    assert "FijiBridge Brightest..." not in commands()
    own("Brightest...", brightest)
    assert commands()["FijiBridge Brightest..."] == 'ij.plugin.FijiBridge("brightest")'
    log, clean.log = clean.log, said.append
    try:
        clean.run_macro('run("FijiBridge Brightest...", "image=raw.tif times=2");')
    finally:
        clean.log = log
    assert said == [f"brightest {2 * int(raw.max())}"]
    unregister("brightest")
    assert "FijiBridge Brightest..." not in commands()


def test_a_macro_predicts_what_python_predicts(clean, raw, model):
    clean.run_macro(f'run("FijiBridge Predict...", "image=raw.tif model=[{model}] flips device=cpu");')
    shown = clean.image("raw_prob")
    expected = fb.predict(model, raw, flips=True, device="cpu")
    np.testing.assert_allclose(shown.values, expected.values, atol=1e-6)
    assert fb.pixel_size(shown)["x"] == 0.5
    assert shown.coords["c"].values.tolist() == ["background", "membrane"]
    imp = clean._find("raw_prob")
    assert (imp.getDisplayRangeMin(), imp.getDisplayRangeMax()) == (0, 1)
    assert imp.getC() == 2, "membranes are seen first"


def test_all_that_is_wrong_with_a_call_is_said_before_anything_is_done(clean, raw):
    with pytest.raises(MacroError) as caught:
        clean.run_macro('a = 1;\nrun("FijiBridge Predict...", "model=/nowhere flips=perhaps tiles=3");\nrename("b");')
    told = str(caught.value)
    assert "FijiBridge Predict...: option 'tiles' does not exist" in told
    assert "model is '/nowhere': there is no such file" in told
    assert "flips is 'perhaps'; expected true or false" in told
    assert "in line 2 of the macro" in told
    assert isinstance(caught.value.__cause__, OptionError)
    assert clean.titles() == ["raw.tif"], "the macro ended there, and images stay"
    with pytest.raises(MacroError, match="model is missing; expected a file"):
        clean.run_macro('run("FijiBridge Predict...");')
    with pytest.raises(MacroError, match=r"image: no open image 'x'; open images: \['raw.tif'\]"):
        clean.run_macro('run("FijiBridge Label Cells...", "image=x");')
    with pytest.raises(MacroError, match="image is &x, but the macro has no variable 'x'"):
        clean.run_macro('run("FijiBridge Label Cells...", "image=&x");')
    with pytest.raises(MacroError, match="grow_by sets how far"):
        clean.run_macro('run("FijiBridge Label Cells...", "image=raw.tif grow=false grow_by=3");')


def test_an_error_that_nobody_foresaw_leaves_its_traceback_in_the_log(clean, own, capfd):
    def broken(text: str = "") -> None:
        raise KeyError(f"no {text}")

    own("Broken...", broken)
    with pytest.raises(MacroError, match=r"FijiBridge Broken\.\.\.: KeyError: 'no luck'") as caught:
        clean.run_macro('run("FijiBridge Broken...", "text=luck");')
    assert isinstance(caught.value.__cause__, KeyError)
    log = capfd.readouterr().out
    assert "Traceback (most recent call last)" in log
    assert "in broken" in log


def test_escape_stops_a_verb_and_its_macro(clean, own):
    done = []

    def endless(call: Call) -> None:
        done.append("begun")
        jpype.JClass("ij.IJ").setKeyDown(jpype.JClass("java.awt.event.KeyEvent").VK_ESCAPE)
        call.check()
        done.append("went on")

    own("Endless", endless)
    with pytest.raises(MacroError, match="cancelled") as caught:
        clean.run_macro('run("FijiBridge Endless"); run("FijiBridge Endless");')
    assert isinstance(caught.value.__cause__, Cancelled)
    assert done == ["begun"]
    own("Quick", lambda: done.append("quick"))
    clean.run_macro('run("FijiBridge Quick");')
    assert done == ["begun", "quick"], "the key is up again"


def test_ctrl_c_within_a_verb_ends_the_macro_as_a_keyboard_interrupt(clean, own):
    done = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    own("Interrupted", interrupted)
    own("After", lambda: done.append(1))
    with pytest.raises(KeyboardInterrupt):
        clean.run_macro('run("FijiBridge Interrupted"); run("FijiBridge After");')
    assert not done


def test_a_verb_may_itself_run_macros_and_verbs(clean, raw, own):
    def nested(image: Image) -> str:
        clean.run_macro('run("FijiBridge Inner...", "text=inner");')
        with pytest.raises(MacroError, match="option 'x' does not exist"):
            clean.run_macro('run("FijiBridge Inner...", "x=1");')
        return clean.run_macro("return '' + nImages;")

    def inner(text: str = "") -> None:
        told.append(text)

    told = []
    own("Inner...", inner)
    own("Nested...", nested)
    assert clean.run_macro('run("FijiBridge Nested...", "image=raw.tif"); return "outer goes on";') == "outer goes on"
    assert told == ["inner"]
    with pytest.raises(MacroError, match=r"option 'y' does not exist.* in line 1 of the macro"):
        clean.run_macro('run("FijiBridge Nested...", "image=raw.tif"); run("FijiBridge Inner...", "y=1");')


def test_the_training_that_a_macro_began_is_at_hand(clean, tmp_path):
    tissue = fb.synthetic_epithelium((64, 64), cell_size=16, photons=400, weak_membranes=0, seed=1)
    fb.save_dataset({"a": {"image": tissue.image, "labels": tissue.labels}}, tmp_path / "data")
    clean.run_macro(
        f'run("FijiBridge Train U-Net...", "folder=[{tmp_path / "data"}] out=[{tmp_path / "run"}] epochs=2 batches=2 '
        'batch=2 patch=32 depth=1 channels=2 forecast=false device=cpu");'
    )
    assert clean.training.path == tmp_path / "run"
    assert not clean.training.running
    assert "Training curves" in clean.titles()
    clean.show(tissue.image, name="tissue")
    clean.run_macro(f'run("FijiBridge Predict...", "image=tissue model=[{tmp_path / "run"}] device=cpu");')
    np.testing.assert_allclose(
        clean.array("tissue_prob"), fb.predict(clean.training.model, tissue.image, device="cpu").values, atol=1e-6
    )
    with pytest.raises(MacroError, match="no training is running"):
        clean.run_macro('run("FijiBridge Stop Training");')


def together(*works):
    """Do several things at once, each in a thread of its own, and return what became of each."""
    found = [None] * len(works)
    start = threading.Barrier(len(works))

    def one(n, work):
        start.wait(240)
        try:
            found[n] = work()
        except BaseException as error:  # also pytest's own
            found[n] = error

    threads = [threading.Thread(target=one, args=item) for item in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return found


def test_calls_of_several_threads_lose_no_result_of_each_other(clean, raw, own):
    def row(image: Image, n: int) -> list[object]:
        return [
            xr.full_like(image, n).rename("taken"),
            xr.full_like(image, n).rename(f"row {n}"),
            verbs.ShowTable(pd.DataFrame({"n": [n]}), "Rows", add=True),
        ]

    def calls(first):
        for n in range(first, first + 10):
            clean.run_macro(f'run("FijiBridge Row...", "image=raw.tif n={n}");')

    own("Row...", row)
    clean.show(raw, name="taken")
    assert together(*(lambda first=first: calls(first) for first in (0, 10, 20))) == [None] * 3
    made = {title: clean.array(title) for title in clean.titles() if title != "raw.tif"}
    assert sorted(clean.table("Rows")["n"]) == list(range(30))
    assert [made[f"row {n}"].max() for n in range(30)] == list(range(30))
    assert (made["taken"] == raw.values).all(), "an image of the user's stays"
    others = [title for title in made if title.startswith("taken-")]
    assert 1 <= len(others) <= 3, "one for each call at a time; the next call replaces it"
    assert all(len(np.unique(made[title])) == 1 for title in others)


@pytest.fixture
def meeting(own):
    """Where two threads meet, and a verb that goes there and then fails if it is told to."""
    place = threading.Barrier(2)

    def meet(times: int = 1, fail: str = "") -> None:
        for _ in range(times):
            place.wait(240)
        if fail:
            raise fb.FijiBridgeError(fail)

    own("Meet...", meet)
    return place


def test_an_error_ends_the_macro_that_it_is_of_while_others_run(clean, meeting):
    def failing():
        with pytest.raises(MacroError, match="of the first"):
            clean.run_macro('run("FijiBridge Meet...", "times=2 fail=[of the first]"); return "went on";')
        meeting.wait(240)
        meeting.wait(240)

    def going_on():
        meeting.wait(240)
        return clean.run_macro(
            'run("FijiBridge Meet...", "times=2"); x = "1"; run("FijiBridge Meet...", "times=&x"); return "went on";'
        )

    assert together(failing, going_on) == [None, "went on"]


def test_a_macro_of_imagejs_own_ends_by_its_error_while_python_runs_another(clean, meeting, own, capfd):
    done = []

    def never() -> None:
        done.append(1)

    def in_imagej():
        code = 'run("FijiBridge Meet...", "times=2 fail=[of its own]"); run("FijiBridge Never");'
        ended = str(jpype.JClass("ij.IJ").runMacro(code))
        meeting.wait(240)
        return ended

    def in_python():
        meeting.wait(240)
        return clean.run_macro('run("FijiBridge Meet...", "times=2"); return "went on";')

    own("Never", never)
    assert together(in_imagej, in_python) == ["[aborted]", "went on"]
    assert not done
    assert "of its own" in capfd.readouterr().out


def test_a_verb_stays_a_command_while_others_come_and_go(clean, own):
    told = []

    def steady(n: int) -> None:
        told.append(n)

    def come_and_go(title):
        while len(told) < 150:
            verbs.verb(title)(lambda: None)
            unregister(title.lower())

    own("Steady...", steady)

    def calls():
        for n in range(150):
            clean.run_macro(f'run("FijiBridge Steady...", "n={n}");')

    assert together(calls, lambda: come_and_go("Fleeting"), lambda: come_and_go("Passing")) == [None] * 3
    assert told == list(range(150))


MODEL = """
import torch
torch.manual_seed(0)
model = fb.Model(fb.UNet(depth=1, width=2).eval(), ("background", "membrane"))
FOLDER = os.environ["FOLDER"]
PATH = os.path.join(FOLDER, "a model.safetensors")
model.save(PATH)
pixels = np.random.default_rng(0).integers(0, 255, (60, 80)).astype(np.uint8)
"""


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
        ended("Macro$")
        assert fiji.titles() == []

        begun = []

        @verb("Endless")
        def endless(call: Call) -> None:
            begun.append(call)
            while True:
                call.check()
                time.sleep(0.05)

        choose("Endless")
        wait(lambda: len(begun) == 1)
        IJ.setKeyDown(jpype.JClass("java.awt.event.KeyEvent").VK_ESCAPE)
        status = lambda: str(IJ.getInstance().getStatusBar().getComponent(0).getText())
        wait(lambda: status() == "cancelled")
        assert not dialogs(), "quietly"
        IJ.resetEscape()
        jpype.JClass("ij.macro.MacroRunner")('run("FijiBridge Endless"); newImage("after", "8-bit", 9, 9, 1);')
        wait(lambda: len(begun) == 2)
        IJ.setKeyDown(jpype.JClass("java.awt.event.KeyEvent").VK_ESCAPE)
        ended("Macro$")
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
run = wait(lambda: TRAININGS.running and fiji.training)
wait(lambda: len(run.history) > 2)
recorded = str(jpype.JClass("ij.plugin.frame.Recorder").getInstance().getText())
# by now ImageJ may have recorded which window came to the front
call = (f'run("FijiBridge Train U-Net...", "folder={FOLDER}/data out=[{out}] epochs=100000 patch=32 '
        'batch=2 batches=2 forecast=false depth=1 channels=2 device=cpu");\\n')
assert recorded.startswith(call), recorded
jpype.JClass("ij.IJ").setKeyDown(jpype.JClass("java.awt.event.KeyEvent").VK_ESCAPE)
fiji.show(pixels, name="meanwhile")  # Fiji stays usable
seen = len(run.history)
wait(lambda: len(run.history) > seen + 1)
assert run.running, "Escape is not for it"
choose("Stop Training")
wait(lambda: not run.running and not TRAININGS.running)
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
