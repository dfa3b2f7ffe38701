"""Verbs as commands of ImageJ: called from macros, with what they find shown there and their errors told there."""

from __future__ import annotations

import threading
from typing import Annotated

import jpype
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import fijibridge as fb
from fijibridge import verbs
from fijibridge.errors import Cancelled, MacroError, OptionError
from fijibridge.fiji.menu.dialog import recorded
from fijibridge.verbs import Call, Cells, Image, Param, unregister


@pytest.fixture
def own():
    """Register verbs for one test."""
    names = []

    def register(title, function, **more):
        verbs.verb(title, **more)(function)
        names.append(title.lower().strip(".").replace(" ", "_"))
        return function

    yield register
    for name in names:
        unregister(name)


@pytest.fixture
def model(tmp_path):
    """A model of a tiny network with random weights, in a file with a space in its name."""
    torch.manual_seed(0)
    net = fb.UNet(depth=1, width=2).eval()
    path = tmp_path / "a model.safetensors"
    fb.Model(net, ("background", "membrane"), pixel_size={"y": 0.5, "x": 0.5}, unit={"y": "um", "x": "um"}).save(path)
    return path


@pytest.fixture
def raw(clean):
    """An open image of noise, 0.5 um a pixel."""
    pixels = np.random.default_rng(0).integers(0, 255, (40, 50)).astype(np.uint8)
    image = fb.as_image(pixels, pixel_size=0.5, unit="um", name="raw.tif")
    clean.show(image, name="raw.tif")
    return image


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


def test_the_active_image_is_taken_if_none_is_named(clean, raw, model):
    clean.run_macro(f'p = "{model}"; run("FijiBridge Predict...", "model=&p device=cpu");')
    assert clean.titles() == ["raw.tif", "raw_prob"]
    again = clean.ids()
    clean.run_macro(f'selectImage("raw.tif"); run("FijiBridge Predict...", "model=[{model}] device=cpu");')
    assert clean.titles() == ["raw.tif", "raw_prob"], "the result of that name is replaced"
    assert clean.ids() == again


def test_cells_are_labelled_outlined_measured_and_matched(clean):
    tissue = fb.synthetic_epithelium((96, 96), cell_size=24, photons=400, weak_membranes=0, seed=1)
    truth = tissue.labels
    prob = xr.DataArray(np.asarray(fb.membrane_target(truth, 3) == 1, np.float32), dims=("y", "x"))
    clean.show(prob, name="tissue_prob")
    clean.show_labels(truth, name="truth")
    clean.run_macro("""
        t = 0.6;
        run("FijiBridge Label Cells...", "image=tissue_prob method=threshold threshold=&t grow=false");
        run("FijiBridge Match Labels...", "true=truth predicted=tissue_cells over=tissue_prob");
        run("FijiBridge Match Labels...", "true=truth predicted=truth");
        run("FijiBridge Measure Cells...", "cells=tissue_cells image=tissue_prob measurements=[area mean]");
    """)
    cells = fb.label_cells(prob, method="threshold", threshold=0.6, grow=False)
    assert (clean.image("tissue_cells").values == cells.values).all()
    matching = fb.match_labels(truth, cells)
    table = clean.table("Matches")
    assert table["image"].tolist() == ["tissue_prob", "truth"], "a row is added by each call"
    assert table["matched"].tolist() == [matching.tp, fb.match_labels(truth, truth).tp]
    assert set(clean.tables()) == {"Results", "Matches", "Matches cells"}
    outlined = {roi.name: roi for roi in clean.rois("overlay", "tissue_prob")}
    assert {str(i) for i in np.unique(cells)[1:]} <= set(outlined)
    measured = clean.table("Results")
    ids, pixels = np.unique(cells.values[cells.values > 0], return_counts=True)
    assert measured["label"].tolist() == ids.tolist()
    assert measured["Area"].tolist() == pixels.tolist()


def test_drawn_areas_are_cells(clean, raw):
    clean.add_rois([fb.Roi.rectangle(3, 4, 6, 5, name="7"), fb.Roi.rectangle(20, 20, 8, 9, name="drawn")], "raw.tif")
    clean.run_macro('run("FijiBridge Measure Cells...", "cells=overlay image=raw.tif measurements=area");')
    assert clean.table()["label"].tolist() == [7, 8]
    assert clean.table()["Area"].tolist() == [30 * 0.25, 72 * 0.25]
    with pytest.raises(MacroError, match="cells: the ROI Manager holds no areas"):
        clean.run_macro('run("FijiBridge Measure Cells...", "cells=[ROI Manager] image=raw.tif");')
    with pytest.raises(MacroError, match="true: the cells are those of the overlay, but of which image"):
        clean.run_macro('run("FijiBridge Match Labels...", "true=overlay predicted=overlay");')


@pytest.mark.parametrize("drawn", ["true", "predicted"])
def test_drawn_areas_are_matched_with_a_label_image(clean, drawn):
    labels = np.zeros((40, 50), np.uint16)
    labels[3:9, 4:12] = 7
    clean.show_labels(labels, name="labels")
    clean.add_rois([fb.Roi.rectangle(4, 3, 8, 6, name="7"), fb.Roi.rectangle(20, 20, 8, 9, name="8")], "labels")
    other = "predicted" if drawn == "true" else "true"
    clean.run_macro(f'run("FijiBridge Match Labels...", "{drawn}=overlay {other}=labels");')
    table = clean.table("Matches")
    assert (table["matched"].tolist(), table["GT" if drawn == "true" else "predicted"].tolist()) == ([1], [2])


def test_all_that_is_wrong_with_a_call_is_said_before_anything_is_done(clean, raw):
    with pytest.raises(MacroError) as caught:
        clean.run_macro('a = 1;\nrun("FijiBridge Predict...", "model=/nowhere flips=perhaps tiles=3");\nrename("b");')
    told = str(caught.value)
    assert "FijiBridge Predict...: no option 'tiles'" in told
    assert "model is '/nowhere': there is no such file" in told
    assert "flips is 'perhaps'; expected true or false" in told
    assert "in line 2 of the macro" in told
    assert isinstance(caught.value.__cause__, OptionError)
    assert clean.titles() == ["raw.tif"], "the macro ended there, and images stay"
    with pytest.raises(MacroError, match="model is missing; expected a file"):
        clean.run_macro('run("FijiBridge Predict...");')
    with pytest.raises(MacroError, match=r"image: no open image 'x'; open are \['raw.tif'\]"):
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
        with pytest.raises(MacroError, match="no option 'x'"):
            clean.run_macro('run("FijiBridge Inner...", "x=1");')
        return clean.run_macro("return '' + nImages;")

    def inner(text: str = "") -> None:
        told.append(text)

    told = []
    own("Inner...", inner)
    own("Nested...", nested)
    assert clean.run_macro('run("FijiBridge Nested...", "image=raw.tif"); return "outer goes on";') == "outer goes on"
    assert told == ["inner"]
    with pytest.raises(MacroError, match=r"no option 'y'.* in line 1 of the macro"):
        clean.run_macro('run("FijiBridge Nested...", "image=raw.tif"); run("FijiBridge Inner...", "y=1");')


def test_what_a_verb_returns_is_shown(clean, raw, own):
    def several(image: Image, shift: Annotated[int, Param("to the right", "px", low=0)] = 1) -> list[object]:
        mask = (image > 200).astype(np.uint8).rename("bright")
        return [mask, pd.DataFrame({"n": [int(mask.sum())]}), [fb.Roi.rectangle(shift, 0, 2, 2, name="r")]]

    def everything(image: Image) -> Cells:
        return xr.ones_like(image).astype(np.uint16)  # which has the name of the image

    own("Several...", several)
    own("Everything...", everything)
    clean.run_macro('run("FijiBridge Several...", "image=raw.tif shift=4");')
    clean.run_macro('run("FijiBridge Everything...", "image=raw.tif");')
    clean.run_macro('run("FijiBridge Everything...", "image=raw.tif");')
    assert (clean.array("bright") == (raw.values > 200)).all()
    assert clean.table("Several")["n"].tolist() == [int((raw.values > 200).sum())]
    assert [roi.bounds for roi in clean.rois("overlay", "raw.tif")] == [(4, 0, 6, 2)]
    assert (clean.array("raw.tif") == raw.values).all(), "what no verb made is not replaced"
    assert clean.titles() == ["raw.tif", "bright", "raw_everything"]
    assert clean.image("raw_everything").dtype == np.uint16
    assert clean.run_macro('run("FijiBridge Several...", "image=raw.tif"); return getTitle();') == "bright"
    assert clean.run_macro('run("FijiBridge Everything...", "image=raw.tif"); return getTitle();') == "raw_everything"


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


@pytest.mark.parametrize("text", ["plain", "two words", 'a "quoted" one', r"C:\data\new [1]", "", "flips=true"])
def test_what_is_recorded_is_read_back_as_it_was(clean, own, text):
    def told(text: str = "usual", number: float | None = None, grow: bool = True) -> None:
        values.append((text, number, grow))

    values = []
    own("Told...", told)
    verb = verbs.verb_named("told")
    given = {"text": text, "number": 0.1, "grow": False}
    clean.run_macro(recorded(verb, given, in_script=False))
    line = recorded(verb, given, in_script=True)
    assert line.startswith('IJ.run("FijiBridge Told...", "')
    clean.run_macro(line.replace("IJ.run(", "run("))
    assert values == [(text, 0.1, False)] * 2
    usual = {"text": "usual", "number": None, "grow": True}
    assert recorded(verb, usual, in_script=False) == 'run("FijiBridge Told...", " ");\n', "which asks nothing"


def test_a_title_that_no_macro_can_write_is_refused(own):
    def told(text: str) -> None:
        pass

    own("Told...", told)
    with pytest.raises(OptionError, match="cannot be written in a macro"):
        recorded(verbs.verb_named("told"), {"text": "a ]["}, in_script=False)


def together(*works):
    """Do several things at once, each in a thread of its own, and return what became of each."""
    found = [None] * len(works)
    start = threading.Barrier(len(works))

    def one(n, work):
        start.wait(10)
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
            verbs.ShowTable(pd.DataFrame({"n": [n]}), "Rows", add=True),
        ]

    def calls(first):
        for n in range(first, first + 10):
            clean.run_macro(f'run("FijiBridge Row...", "image=raw.tif n={n}");')

    own("Row...", row)
    clean.show(raw, name="taken")
    assert together(*(lambda first=first: calls(first) for first in (0, 10, 20))) == [None] * 3
    made = [clean.array(title).max() for title in clean.titles() if title not in ("raw.tif", "taken")]
    assert (sorted(clean.table("Rows")["n"]), sorted(made)) == (list(range(30)), list(range(30)))


@pytest.fixture
def meeting(own):
    """Where two threads meet, and a verb that goes there and then fails if it is told to."""
    place = threading.Barrier(2)

    def meet(times: int = 1, fail: str = "") -> None:
        for _ in range(times):
            place.wait(10)
        if fail:
            raise fb.FijiBridgeError(fail)

    own("Meet...", meet)
    return place


def test_an_error_ends_the_macro_that_it_is_of_while_others_run(clean, meeting):
    def failing():
        with pytest.raises(MacroError, match="of the first"):
            clean.run_macro('run("FijiBridge Meet...", "times=2 fail=[of the first]"); return "went on";')
        meeting.wait(10)
        meeting.wait(10)

    def going_on():
        meeting.wait(10)
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
        meeting.wait(10)
        return ended

    def in_python():
        meeting.wait(10)
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
