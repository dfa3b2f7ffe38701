"""The scripts of the built-in verbs, run as Fiji runs them: they do what the verbs do when Python calls them."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge.colors import palette
from fijibridge.files.writer import write_image
from fijibridge.verbs import ShowImage, ShowLabels, all_verbs, perform, verb_named
from fijibridge.worker.installation import FOLDER
from tests.worker.conftest import ScriptFailed

pytestmark = pytest.mark.jvm


class Given:
    """A host that has its images at hand, and keeps what it is given."""

    def __init__(self, **images):
        self.images, self.given = images, []

    def take(self, parameter, value, taken):
        return self.images[parameter.name]

    def drawn(self, parameter, value):
        return False

    def give(self, result):
        self.given.append(result)


def called(name, **values):
    """Return what a verb gives when Python calls it."""
    images = {n: v for n, v in values.items() if not isinstance(v, str | int | float)}
    host = Given(**images)
    perform(verb_named(name), values | dict.fromkeys(images, "given"), host)
    return host.given


@pytest.fixture
def model(tmp_path):
    """A network that has learnt nothing, in a file of a difficult name."""
    torch.manual_seed(0)
    path = tmp_path / "ein ordner \u00fc" / "modell \u6771 [1].safetensors"
    return fb.Model(fb.UNet(depth=2, width=4), ("other", "membrane")).save(path)


@pytest.fixture
def picture(jvm, run, kept):
    """An open image, and what Python sees of it."""
    jvm(
        """
        def imp = IJ.createImage('zellen \u00e4.tif', '16-bit black', 70, 60, 1)
        def random = new Random(0)
        (0..<4200).each { imp.getProcessor().set(it, random.nextInt(4000)) }
        imp.getProcessor().blurGaussian(2)
        imp.getCalibration().pixelWidth = imp.getCalibration().pixelHeight = 0.5
        imp.getCalibration().setUnit('micron')
        imp.show()
        null
        """
    )
    return kept("zellen \u00e4.tif")


def test_the_scripts_have_no_parameters_that_scijava_would_ask_for_or_keep(jvm, home):
    for verb in all_verbs():
        path = home / FOLDER / (verb.command.replace(" ", "_") + ".groovy")
        assert jvm("info(path).inputs().size()", path=str(path)) == 0, verb.name


def test_fiji_finds_the_menu_items(jvm, home):
    found = jvm("menu(folder)", folder=str(home / "scripts"))
    assert {f"Plugins > FijiBridge > {verb.command}" for verb in all_verbs()} <= set(found)


def test_predicting(jvm, run, kept, picture, model):
    run("Predict...", image="zellen \u00e4.tif", model=str(model))
    (expected,) = called("predict", image=picture, model=str(model))
    assert isinstance(expected, ShowImage)
    got = kept("zellen \u00e4_prob")
    np.testing.assert_array_equal(got.values, expected.image.values)
    assert list(got.coords["c"].values) == ["other", "membrane"]
    assert fb.pixel_size(got) == fb.pixel_size(picture)
    assert fb.imagej_info(got)["display_ranges"][0] == (0.0, 1.0)
    assert jvm("WindowManager.getCurrentImage().getC()") == 2, "membranes are seen first"


def test_labelling_shows_the_cells_in_their_colours_and_over_the_image(jvm, run, kept, picture, model):
    (prob,) = called("predict", image=picture, model=str(model))
    options = {"model": str(model), "min_size": 3.0, "sigma": "1.5", "threshold": float(prob.image[1].median())}
    run("Label_Cells...", image="zellen \u00e4.tif", **options)
    labels, outlines = called("label_cells", image=picture, **options)
    assert isinstance(labels, ShowLabels)
    got = kept(labels.name)
    assert len(np.unique(labels.labels)) > 3
    np.testing.assert_array_equal(got.values, labels.labels.values)
    np.testing.assert_array_equal(fb.imagej_info(got)["luts"][0].colors, palette())
    names = jvm("WindowManager.getImage(title).getOverlay().toArray()*.getName()", title="zellen \u00e4.tif")
    assert names == [roi.name for roi in outlines.rois]
    before = jvm("WindowManager.getIDList() as List")
    run("Label_Cells...", image="zellen \u00e4.tif", **options)
    assert jvm("WindowManager.getIDList() as List") == before


def test_a_value_by_the_name_of_an_older_version_is_not_ignored(jvm, run, kept):
    jvm(
        """
        def imp = IJ.createImage('q', '32-bit black', 30, 30, 1)
        (0..<30).each { i -> (0..<30).each { j -> if (i % 10 == 0 || j % 10 == 0) imp.getProcessor().setf(i, j, 1) } }
        imp.show()
        null
        """
    )
    options = {"image": "q", "method": "threshold", "grow": False, "membrane": "1"}
    run("Label_Cells...", **options, edge_cells="keep")
    assert len(np.unique(kept("q_cells").values)) == 10
    run("Label_Cells...", **options, border="remove")
    assert len(np.unique(kept("q_cells").values)) == 5


def test_an_image_by_the_name_of_an_older_version_is_found(jvm, run, home, tmp_path):
    jvm("['one', 'two'].each { IJ.createImage(it, '8-bit ramp', 30, 20, 1).show() }; null")  # two is the active one
    path = tmp_path / "kept"
    with pytest.raises(ScriptFailed, match=r"picture: no open image 'three'"):
        run("Keep_Renamed...", image="three", path=str(path))
    run("Keep_Renamed...", image="one", path=str(path))
    assert pickle.loads(path.read_bytes()).name == "one"
    jvm(
        "script(path, [image: WindowManager.getImage('one'), path: kept]); null",
        path=str(home / FOLDER / "FijiBridge_Keep_Renamed....groovy"), kept=str(tmp_path / "object"),
    )  # fmt: skip
    assert pickle.loads((tmp_path / "object").read_bytes()).name == "one"


def test_cells_drawn_on_frames_are_cells_of_these_frames(jvm, run, tmp_path):
    jvm(
        """
        def imp = IJ.createHyperStack('film', 30, 20, 2, 1, 3, 8)
        imp.show()
        def overlay = new Overlay()
        (1..3).each { t ->
            imp.setPosition(1, 1, t)
            def roi = new Roi(3 * t, 2, 2, 3)
            roi.setPosition(imp)
            overlay.add(roi)
        }
        imp.setOverlay(overlay)
        null
        """
    )
    run("Keep_Cells...", cells="overlay", image="film", path=str(tmp_path / "cells"))
    cells = pickle.loads((tmp_path / "cells").read_bytes())
    expected = np.zeros((3, 20, 30), int)
    for t in range(3):
        expected[t, 2:5, 3 * (t + 1) : 3 * (t + 1) + 2] = t + 1
    assert cells.dims == ("t", "y", "x")
    assert (cells.values == expected).all()


def test_pixels_in_shared_memory_are_nobody_elses(jvm, run, tmp_path):
    jvm("IJ.createImage('a', '8-bit ramp', 300, 200, 3).show(); null")
    run("Peek...", image="a", path=str(tmp_path / "seen"))
    found = pickle.loads((tmp_path / "seen").read_bytes())
    mine = [(mode, read) for name, mode, read in found if name.startswith("psm_fijibridge_")]
    assert mine
    assert {mode for mode, _ in mine} == {"0o600"}
    assert {read for _, read in mine} <= {1, None}, "another user cannot read it"
    assert jvm("WindowManager.getIDList().length") == 2, "the result came back"


def test_many_ids_are_painted(jvm, run, kept):
    """A lookup table has 256 colours: an overlay has the rest."""
    jvm(
        """
        def imp = IJ.createImage('p', '32-bit black', 90, 90, 1)
        (0..<90).each { i -> (0..<90).each { j -> if (i % 3 == 0 || j % 3 == 0) imp.getProcessor().setf(i, j, 1) } }
        imp.show()
        null
        """
    )
    run("Label_Cells...", image="p", method="threshold", grow=False, membrane="1")
    labels = kept("p_cells")
    assert labels.values.max() > 255
    colors = jvm(
        """
        def overlay = WindowManager.getImage('p_cells').getOverlay()
        def picture = overlay.get(0).getProcessor()
        [overlay.size(), places.collect { picture.getPixel(it[1], it[0]) & 0xffffff }]
        """,
        places=[[1, 1], [0, 0], *np.argwhere(labels.values == labels.values.max()).tolist()[:1]],
    )
    expected = [palette()[(int(labels.values[y, x]) - 1) % 255 + 1] if labels.values[y, x] else (0, 0, 0) for y, x in
                [(1, 1), (0, 0), np.argwhere(labels.values == labels.values.max())[0]]]  # fmt: skip
    assert colors == [1, [int(r) << 16 | int(g) << 8 | int(b) for r, g, b in expected]]


def test_matching_two_label_images(jvm, run, cells, tmp_path):
    other = np.roll(cells, 2, axis=0)
    for name, array in (("wahr", cells), ("gefunden", other)):
        write_image(fb.as_image(array), tmp_path / f"{name}.tif")
        jvm(
            "def imp = IJ.openImage(path); imp.setTitle(title); imp.show(); null",
            path=str(tmp_path / f"{name}.tif"),
            title=name,
        )
    run("Match_Labels...", true="wahr", predicted="gefunden", table="Treffer")
    outlines, _, row = called("match_labels", true=fb.as_image(cells), predicted=fb.as_image(other), table="Treffer")
    got = jvm(
        """
        def table = IJ.getProperty('fijibridge.table.Treffer')
        table.getHeadings().findAll { table.getColumn(it) != null }.collectEntries { [it, table.getColumn(it)[0]] }
        """
    )
    numbers = row.table.select_dtypes("number").iloc[0].to_dict()
    assert {"matched", "GT", "predicted"} < set(numbers)
    np.testing.assert_allclose([float(got[name]) for name in numbers], list(numbers.values()))
    painted = jvm("WindowManager.getImage('gefunden').getOverlay().toArray().collectEntries "
                  "{ [it.getName(), Integer.toHexString(it.getStrokeColor().getRGB()).substring(2)] }")  # fmt: skip
    assert painted == {str(name): color.lstrip("#") for name, color in outlines.colors.items()}


def test_a_folder_is_one_call(run, tmp_path, model):
    rng = np.random.default_rng(0)
    folder = tmp_path / "bilder \u00fc"
    for name in "abc":
        write_image(rng.integers(0, 255, (40, 30)).astype(np.uint8), folder / f"{name}.tif")
    run("Predict_Folder...", input=str(folder), model=str(model), output=str(tmp_path / "raus \u00fc"))
    run_there = sorted(p.name for p in (tmp_path / "raus \u00fc").iterdir())
    assert run_there == ["a_prob.tif", "b_prob.tif", "c_prob.tif"]
    with pytest.raises(ScriptFailed, match="already"):
        run("Predict_Folder...", input=str(folder), model=str(model), output=str(tmp_path / "raus \u00fc"))


def test_saving_what_was_drawn_and_training_on_it(jvm, run, tmp_path):
    folder, out = tmp_path / "lernen", tmp_path / "lauf"
    for name in ("eins", "zwei"):
        jvm(
            """
            def imp = IJ.createImage(name, '8-bit ramp', 64, 64, 1)
            imp.show()
            def overlay = new Overlay()
            [[2, 2], [34, 2], [2, 34], [34, 34]].eachWithIndex { at, i ->
                def roi = new Roi(at[0], at[1], 28, 28)
                roi.setName("${i + 1}")
                overlay.add(roi)
            }
            imp.setOverlay(overlay)
            null
            """,
            name=name,
        )  # fmt: skip
        split = "train" if name == "eins" else "validation"
        run("Save_Training_Set...", image=name, cells="overlay", folder=str(folder), split=split)
    assert fb.Dataset.open(folder).names("validation") == ["zwei"]
    assert len(np.unique(fb.Dataset.open(folder)["eins"].labels())) == 5
    run(
        "Train_U-Net...",
        folder=str(folder),
        out=str(out),
        epochs=2,
        depth=1,
        channels=4,
        batch=2,
        patch="32",
        batches=2,
        forecast=False,
    )
    assert (out / "model.safetensors").is_file()
    assert jvm("WindowManager.getImage('Training curves') != null")


def test_wrong_values_are_told_and_nothing_is_done(jvm, run, picture, tmp_path):
    with pytest.raises(ScriptFailed) as told:
        run("Predict...", image="zellen \u00e4.tif", model=str(tmp_path / "gibt es nicht"), tile="-3")
    assert "there is no such file" in str(told.value)
    assert "tile is -3" in str(told.value)
    with pytest.raises(ScriptFailed, match=r"cells: no open image 'fehlt'; open images: \['zellen \u00e4\.tif'\]"):
        run("Measure_Cells...", cells="fehlt", image="zellen \u00e4.tif")
    with pytest.raises(ScriptFailed, match="no ROIs"):
        run("Measure_Cells...", cells="overlay", image="zellen \u00e4.tif")


def test_an_image_of_the_users_is_never_replaced(jvm, run, cells, tmp_path):
    """Not by a result of its name; the next result of that name replaces the one before."""
    jvm("def imp = IJ.createImage('a_cells', '16-bit ramp', 50, 40, 1); imp.show(); imp.changes = true; null")
    prob = (cells == 0).astype(np.float32)
    write_image(prob, tmp_path / "a_prob.tif")
    jvm("def imp = IJ.openImage(path); imp.setTitle('a_prob'); imp.show(); null", path=str(tmp_path / "a_prob.tif"))
    for _ in range(2):
        run("Label_Cells...", image="a_prob", method="threshold")
    open_images = "WindowManager.getIDList().collect { WindowManager.getImage(it) }"
    assert sorted(jvm(f"{open_images}.collect {{ it.getTitle() }}")) == ["a_cells", "a_cells-1", "a_prob"]
    assert jvm("def imp = WindowManager.getImage('a_cells'); [imp.getStatistics().max > 60000, imp.changes]") == [
        True,
        True,
    ]


def test_a_title_of_two_images_is_refused(jvm, run):
    ids = jvm("(1..2).collect { def imp = IJ.createImage('a', '16-bit black', 9, 8, 1); imp.show(); imp.getID() }")
    with pytest.raises(ScriptFailed, match=rf"'a' matches 2 open images: choose one by its id: .*{ids[0]}"):
        run("Match_Labels...", true="a", predicted="a")
    run("Match_Labels...", true=str(ids[0]), predicted=str(ids[1]))


def test_rows_of_calls_at_once_are_all_in_the_table(jvm, run, home):
    jvm("IJ.createImage('a', '16-bit black', 9, 8, 1).show(); IJ.setProperty('fijibridge.table.M', null); null")
    jvm(
        """
        (1..6).collect { Thread.start {
            new GroovyShell(new Binding(script: script, path: path)).evaluate(
                "script(path, [true: 'a', predicted: 'a', table: 'M'])") } }*.join()
        null
        """,
        path=str(home / FOLDER / "FijiBridge_Match_Labels....groovy"),
    )  # fmt: skip
    assert jvm("IJ.getProperty('fijibridge.table.M').size()") == 6


def test_what_a_row_has_nothing_of_is_a_gap(jvm, run):
    jvm(
        """
        IJ.createImage('a', '16-bit black', 9, 8, 1).show()
        def table = new ResultsTable()
        table.incrementCounter()
        table.addValue('note', 5)
        table.addValue('by', 'me')
        IJ.setProperty('fijibridge.table.N', table)
        null
        """
    )
    run("Match_Labels...", true="a", predicted="a", table="N")
    rows = jvm(
        """
        def table = IJ.getProperty('fijibridge.table.N')
        (0..<table.size()).collect { row -> ['note', 'by', 'GT', 'image'].collect { table.getStringValue(it, row) } }
        """
    )
    assert rows == [["5", "me", "NaN", ""], ["NaN", "", "0", "a"]]


def test_an_error_ends_no_macro_that_did_not_call(jvm, run):
    jvm(
        """
        IJ.setProperty('test.macro', null)
        IJ.setProperty('test.waits', Thread.start { IJ.setProperty('test.macro', IJ.runMacro(
            "for (i = 0; i < 40; i++) wait(50); return 'done';")) })
        while (ij.macro.Interpreter.getInstance() == null) Thread.sleep(10)
        null
        """
    )
    with pytest.raises(ScriptFailed, match="no open image 'gone'"):
        run("Match_Labels...", true="gone", predicted="gone")
    assert jvm("IJ.getProperty('test.waits').join(); IJ.getProperty('test.macro')") == "done"


TOLD = """
    def before = System.err, told = new ByteArrayOutputStream()
    System.err = new PrintStream(told, true)
    try { [speak('macro', macro), told.toString()] }
    finally { System.err = before }
"""
"""What a macro returns, and what ImageJ says of its error."""


def test_a_macro_calls_a_script_and_is_ended_by_its_error(jvm, run):
    """And its images stay, which live in a list of ImageJ's without windows."""
    jvm("IJ.createImage('a', '16-bit black', 9, 8, 1).show(); IJ.setProperty('fijibridge.table.X', null); null")
    macro = "run('FijiBridge Match Labels...', 'true=%s predicted=a table=X'); return 'went on';"
    returned, told = jvm(TOLD, macro=macro % "a")
    assert returned == "went on"
    assert "Macro Error" not in told
    assert jvm("IJ.getProperty('fijibridge.table.X').size()") == 1
    returned, told = jvm(TOLD, macro=macro % "gone")
    assert returned != "went on"
    assert told.startswith(
        "Macro Error: FijiBridge Match Labels...: true: no open image 'gone'; open images: ['a'] in line 1"
    )
    assert jvm("WindowManager.getImageTitles() as List") == ["a"]


def test_a_macro_calls_with_its_variables(jvm, run):
    jvm("IJ.createImage('a 1', '16-bit black', 9, 8, 1).show(); IJ.setProperty('fijibridge.table.V', null); null")
    macro = "t = 'a 1'; run('FijiBridge Match Labels...', 'true=&t predicted=[a 1] table=V'); return 'went on';"
    returned, told = jvm(TOLD, macro=macro)
    assert returned == "went on"
    assert "Macro Error" not in told
    assert jvm("IJ.getProperty('fijibridge.table.V').size()") == 1
    returned, told = jvm(TOLD, macro=macro.replace("&t", "&u"))
    assert returned != "went on"
    assert "FijiBridge Match Labels...: true is &u, but the macro has no variable 'u' in line 1" in told


def test_code_gives_a_script_images_and_files_of_its_own(jvm, run, picture, model, home):
    """As scripts of version 0.1 had them, when they declared their parameters; what is left out has its default."""
    jvm(
        "script(path, [image: WindowManager.getImage(title), model: new File(model), flips: true]); null",
        path=str(home / FOLDER / "FijiBridge_Predict....groovy"), title="zellen \u00e4.tif", model=str(model),
    )  # fmt: skip
    assert "zellen \u00e4_prob" in jvm("WindowManager.getImageTitles() as List")
    with pytest.raises(ScriptFailed, match=r"FijiBridge Predict\.\.\.: model is missing; expected a file"):
        run("Predict...", flips=True)


def test_the_active_image_is_that_of_who_called(jvm, run):
    """SciJava's threads keep the image that was active in what they ran last, also when it is closed."""
    found = jvm(
        """
        def made = ['a', 'b', 'c'].collect { IJ.createImage(it, '8-bit white', 9, 8, 1) }
        made*.show()
        def give = "'FijiBridge Give Back...', "
        def seen = []
        // a script selects an image in its thread, and another one closes it
        speak('groovy', "ij.IJ.selectWindow(" + made[0].getID() + ")")
        made[0].close()
        seen << speak('groovy', "ij.IJ.run(${give}'name=back'); ij.IJ.getImage().getTitle()")
        seen << speak('macro', "selectImage('b'); run(${give}'name=of_b'); return getTitle();")
        seen << speak('groovy', "ij.IJ.run(ij.WindowManager.getImage('b'), ${give}'name=b_again'); 'x'")
        WindowManager.getImage('back').close()
        WindowManager.getImage('b_again').close()
        // in all threads that are in use, what is active is open
        def threads = (1..6).collect { context.service('org.scijava.thread.ThreadService').run({
            Thread.sleep(100); WindowManager.getCurrentImage() } as java.util.concurrent.Callable) }
        seen << threads*.get().every { it == null || WindowManager.getImage(it.getID()) != null }
        seen
        """
    )
    assert found == ["back", "of_b", "x", True]


def test_a_python_that_started_fiji_and_has_no_fijibridge_is_not_asked(jvm, run):
    """Nor one with another version: the worker does the work."""
    stand_in = """
        def seen = []
        def objects = context.service('org.scijava.object.ObjectService')
        def runner = { asked -> seen << asked.script; answer } as java.util.function.Function
        objects.addObject(runner, 'PythonScriptRunner')
        try {
            IJ.createImage('a', '8-bit white', 9, 8, 1).show()
            speak('macro', "run('FijiBridge Give Back...', 'image=a name=back');")
            [WindowManager.getImage('back') != null, seen.size() > 0]
        } finally { objects.getObjects(java.util.function.Function).each { objects.removeObject(it) } }
    """
    for answer in (None, '{"done": {}}', '{"done": {"version": "0.0.1"}}'):
        jvm("WindowManager.getIDList()?.each { WindowManager.getImage(it).close() }; null")
        assert jvm(stand_in, answer=answer) == [True, True]


def test_two_calls_at_once(jvm, run, home, tmp_path):
    """Both work at the same time, in one process."""
    paths = [tmp_path / "1", tmp_path / "2"]
    jvm(
        """
        printed()
        def threads = started.collect { place -> Thread.start {
            new GroovyShell(new Binding(script: script, path: path, place: place)).evaluate(
                'script(path, [started: place, seconds: 1.0d])') } }
        threads*.join()
        null
        """,
        path=str(home / FOLDER / "FijiBridge_Work....groovy"), started=[str(p) for p in paths],
    )  # fmt: skip
    first, second = (path.read_text() for path in paths)
    assert first == second
    assert jvm("printed()").splitlines() == ["worked 1 s"] * 2


def test_a_cancelled_call_ends_and_the_next_one_works(jvm, run, tmp_path):
    place = tmp_path / "started"
    jvm(
        """
        Thread.start {
            while (!new File(place).exists()) Thread.sleep(20)
            IJ.setKeyDown(java.awt.event.KeyEvent.VK_ESCAPE)
        }
        null
        """,
        place=str(place),
    )
    with pytest.raises(ScriptFailed, match="cancelled"):
        run("Work...", started=str(place), seconds=60.0)
    run("About")


def test_what_is_printed_breaks_nothing_and_warnings_are_told(jvm, run):
    jvm("printed(); null")
    run("Shout")
    assert jvm("printed()").splitlines() == ["Warning: the image is odd", "shouted"]


def test_a_bug_is_told_with_its_place_and_its_trace_is_in_the_log(jvm, run):
    jvm("printed(); null")
    with pytest.raises(ScriptFailed, match=r"ZeroDivisionError: .*spoken.py, line \d+"):
        run("Break...")
    assert "Traceback (most recent call last)" in jvm("printed()")
    run("About")


def test_an_image_that_a_verb_keeps_is_freed(jvm, run):
    jvm("IJ.createImage('a', '8-bit white', 40, 30, 1).show(); printed(); null")
    run("Hold...", image="a")
    run("Hold...", image="a")
    assert jvm("printed()").splitlines()[-1] == f"2 held, {2 * 255 * 1200}"


def test_a_result_that_was_changed_is_kept_or_replaced_if_that_is_asked_for(jvm, run, cells, tmp_path):
    """Also if it was changed with the paintbrush, of which ImageJ's own flag says nothing."""
    write_image((cells == 0).astype(np.float32), tmp_path / "a_prob.tif")
    jvm("def imp = IJ.openImage(path); imp.setTitle('a_prob'); imp.show(); null", path=str(tmp_path / "a_prob.tif"))
    paint = """
        def imp = WindowManager.getImage('a_cells'), ip = imp.getProcessor()
        ip.set(0, 0, 77); imp.changes = false; imp.updateAndDraw(); null
    """
    titles = "WindowManager.getIDList().collect { WindowManager.getImage(it).getTitle() }.sort()"
    corner = "WindowManager.getImage('%s').getProcessor().get(0, 0)"
    for _ in range(2):
        run("Label_Cells...", image="a_prob", method="threshold")
    found = jvm(corner % "a_cells")
    assert jvm(titles) == ["a_cells", "a_prob"]
    jvm(paint)
    for _ in range(2):
        run("Label_Cells...", image="a_prob", method="threshold")
    assert jvm(titles) == ["a_cells", "a_cells-1", "a_prob"]
    assert jvm(corner % "a_cells") == 77
    assert jvm(corner % "a_cells-1") == found
    macro = 'run("FijiBridge Label Cells...", "image=a_prob method=threshold%s");'
    jvm("IJ.runMacro(macro); null", macro=macro % "")
    assert jvm(corner % "a_cells") == 77
    jvm("IJ.runMacro(macro); null", macro=macro % " overwrite=true")
    assert jvm(titles) == ["a_cells", "a_cells-1", "a_prob"]
    assert jvm(corner % "a_cells") == found
    before = "WindowManager.getImage('a_cells').getProperty('fijibridge.before').get()"
    assert jvm(f"{before}.getProcessor().get(0, 0)") == 77, "a copy of what was replaced is kept"
    jvm("WindowManager.setTempCurrentImage(WindowManager.getImage('a_cells')); IJ.run('Undo'); null")
    assert jvm(corner % "a_cells") == 77, "and ImageJ's own Undo brings it back"


def test_overwrite_replaces_what_no_verb_made_too(jvm, run, cells, tmp_path):
    jvm("IJ.createImage('a_cells', '16-bit ramp', 50, 40, 1).show(); null")
    write_image((cells == 0).astype(np.float32), tmp_path / "a_prob.tif")
    jvm("def imp = IJ.openImage(path); imp.setTitle('a_prob'); imp.show(); null", path=str(tmp_path / "a_prob.tif"))
    run("Label_Cells...", image="a_prob", method="threshold", overwrite=True)
    assert jvm("WindowManager.getIDList().collect { WindowManager.getImage(it).getTitle() }.sort()") == [
        "a_cells",
        "a_prob",
    ]
    assert jvm("WindowManager.getImage('a_cells').getStatistics().max") < 60000
