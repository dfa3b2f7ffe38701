"""The scripts of a Fiji that Python did not start, with its windows, under Xvfb."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fijibridge.verbs import Kind, all_verbs
from fijibridge.verbs.dialog_fields import described
from fijibridge.worker.installation import FOLDER
from tests.languages import BEGIN, LANGUAGES, WRONG, code, prepared
from tests.worker.conftest import CLOSE, Jvm, ScriptFailed, environment, find_jars, home  # noqa: F401 - fixtures
from tests.worker.languages import all_done, done

pytestmark = pytest.mark.jvm

HELPERS = """
    def onEventThread = { work -> java.awt.EventQueue.invokeAndWait(work) }
    def wait = { done ->
        def last = System.currentTimeMillis() + 240000
        while (!done()) { assert System.currentTimeMillis() < last : 'it did not happen in time'; Thread.sleep(20) }
    }
    def manager = { ij.plugin.frame.RoiManager.getInstance2() }
    def click = { panel, row ->
        def text = panel.getComponents().find { it.class.simpleName == 'TextCanvas' }
        def metrics = text.getFontMetrics(text.getFont())
        wait { text.getHeight() > 0 }
        // a row is as high as one of the headings', which are the first
        def high = panel.@iRowHeight, y = (int) (high * (row + 1.5) + 2)
        [501, 502].each { id ->
            def now = System.currentTimeMillis()
            text.dispatchEvent(new java.awt.event.MouseEvent(text, id, now, 16, 8, y, 1, false, 1))
        }
    }
"""


@pytest.fixture(scope="module")
def jvm(display, environment, home):  # noqa: F811
    """ImageJ with its window, in a JVM of its own that looks as Fiji does."""
    running = Jvm(find_jars(), home, headless=False, DISPLAY=display, **environment)
    running(
        """
        javax.swing.UIManager.setLookAndFeel(new com.formdev.flatlaf.FlatLightLaf())
        new ImageJ(ImageJ.STANDALONE).exitWhenQuitting(false)
        menu(folder)
        """,
        folder=str(home / "scripts"),
    )
    yield lambda code, /, **values: running(HELPERS + code, **values)
    running.close()


@pytest.fixture
def run(jvm, home):  # noqa: F811
    """Run the script of a verb with values of its parameters, as SciJava's services do; no image is open before."""
    jvm(CLOSE)

    def script(name, /, **values):
        jvm("script(path, given); null", path=str(home / FOLDER / f"FijiBridge_{name}.groovy"), given=values)

    return script


def test_tables_plots_and_rois_have_their_windows(jvm, run):
    """And each call its own tables and plots in the windows of the last one."""
    jvm(
        """
        IJ.createImage('bild', '8-bit ramp', 60, 40, 1).show()
        def overlay = new Overlay()
        overlay.add(new OvalRoi(20, 10, 12, 9))
        WindowManager.getImage('bild').setOverlay(overlay)
        null
        """
    )
    for _ in range(2):
        run("Results...", image="bild")
    shown = jvm(
        """
        def titles = { WindowManager.getNonImageWindows().findAll { it.isVisible() }*.getTitle() }
        wait { 'Both' in titles() && 'Results' in titles() }
        def both = WindowManager.getWindow('Both').getTextPanel()
        [WindowManager.getImageTitles() as List, titles(),
            both.getLineCount(), WindowManager.getImage('Curves').getWindow().class.simpleName,
            both.getComponents().collect { it.getMouseListeners().count { it.class.simpleName == 'RowListener' } }
                .sum()]
        """
    )
    assert sorted(shown[0]) == ["Curves", "bild"]
    assert sorted(title for title in shown[1] if title in ("Both", "Results")) == ["Both", "Results"]
    assert shown[2:] == [4, "PlotWindow", 1]


def test_a_click_on_a_row_selects_its_cell(jvm, run):
    jvm("IJ.createImage('bild', '8-bit ramp', 60, 40, 1).show(); null")
    run("Results...", image="bild")  # labels 3 and 5, and their outlines
    select = """
        wait { WindowManager.getWindow('Both') }
        click(WindowManager.getWindow('Both').getTextPanel(), row)
        def imp = WindowManager.getImage('bild')
        wait { imp.getRoi() != null && imp.getRoi().getName() == name }
        [imp.getRoi().getBounds().x, imp.getRoi().getBounds().width]
    """
    selected = [jvm(select, row=row, name=name) for row, name in ((1, "5"), (0, "3"))]
    assert selected == [[5, 2], [1, 3]]
    # a row whose image is gone selects nothing, and says nothing
    jvm(
        """
        onEventThread { WindowManager.getImage('bild').close() }
        click(WindowManager.getWindow('Both').getTextPanel(), 0)
        null
        """
    )


def test_cells_go_into_the_roi_manager_and_come_back_as_they_were_corrected(jvm, run, tmp_path):
    jvm(
        """
        def imp = IJ.createImage('membran', '32-bit black', 60, 40, 1)
        (0..<40).each { y -> [0, 20, 40, 59].each { x -> imp.getProcessor().setf(x, y, 1) } }
        (0..<60).each { x -> [0, 39].each { y -> imp.getProcessor().setf(x, y, 1) } }
        imp.show()
        null
        """
    )
    run("Label_Cells...", image="membran", method="threshold", membrane="1", grow=False, manager=True)
    assert jvm("manager().getRoisAsArray()*.getName()") == ["1", "2", "3"]
    window = jvm("def w = WindowManager.getImage('membran_cells').getWindow(); [w.isVisible(), w.class.simpleName]")
    assert window == [True, "ImageWindow"]
    jvm("onEventThread { manager().deselect(); manager().select(1); manager().runCommand('Delete') }; null")
    run("Keep_Cells...", cells="ROI Manager", image="membran", path=str(tmp_path / "cells"))
    cells = pickle.loads((tmp_path / "cells").read_bytes()).values
    assert np.unique(cells).tolist() == [0, 1, 3]
    run("Measure_Cells...", cells="ROI Manager", image="membran", measurements="area")
    area = jvm("def t = ResultsTable.getResultsTable(); (0..<t.size()).collect { t.getValue('Area', it) }")
    assert area == [float((cells == n).sum()) for n in (1, 3)]


# --- who calls --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(home):  # noqa: F811
    return prepared(home)


CALL, WHY = next(iter(WRONG.items()))
TOLD = f"{CALL[0]}: {WHY}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_works_and_gives_the_same_as_in_pythons_own_fiji(jvm, folder, lines, language):
    assert all_done(jvm, folder, language) == lines


def test_an_error_ends_a_macro_with_imagejs_own_message(jvm, folder):
    jvm(BEGIN, folder=str(folder))
    macro = code("macro", *CALL).replace("; ", ";\n")
    returned, dialogs = jvm("watching { speak('macro', code) }", code=f"\n{macro}")
    assert returned != "went on"
    (told,) = dialogs.items()
    assert told[0] == "Macro Error"
    assert told[1].startswith(f"{TOLD} in line 2\n")
    assert jvm("WindowManager.getImageTitles() as List") == ["evl_01_cells.tif", "evl_01.tif"]


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "macro"])
def test_an_error_is_an_exception_of_a_script_and_no_dialog(jvm, folder, language):
    jvm(BEGIN, folder=str(folder))
    caught = """
        def caught = null
        def told = watching { try { speak(language, code) } catch (Throwable error) { caught = error } }
        def trace = new StringWriter()
        caught?.printStackTrace(new PrintWriter(trace))
        [told[1], trace.toString()]
    """
    dialogs, trace = jvm(caught, language=language, code=code(language, *CALL))
    assert dialogs == {}
    assert TOLD in trace


def test_an_image_that_was_closed_is_told(jvm, home):  # noqa: F811
    """And so is every error to code that gives a script its inputs."""
    with pytest.raises(ScriptFailed, match=r"FijiBridge Look At\.\.\.: image: 'zu' is closed"):
        jvm(
            """
            IJ.createImage('zu', '16-bit ramp', 20, 15, 3).show()
            def imp = WindowManager.getImage('zu')
            onEventThread { imp.close() }
            script(path, [image: imp])
            """,
            path=str(home / FOLDER / "FijiBridge_Look_At....groovy"),
        )


# --- a person ---------------------------------------------------------------------------------------

CHOOSE = """
    def dialog = { title ->
        def found = null
        wait { found = dialogs().find { it.title == title } }
        found
    }
    def fields = { shown ->
        def all = [shown.getChoices(), shown.getStringFields(), shown.getNumericFields(), shown.getCheckboxes()]
        all.collectMany { (it ?: []) as List }
    }
    def press = { shown, name ->
        def event = new java.awt.event.ActionEvent(shown.@"${name}", 1001, '')
        onEventThread { shown.actionPerformed(event) }
    }
    def value = { field ->
        if (field instanceof java.awt.Choice) return field.getSelectedItem()
        field instanceof java.awt.Checkbox ? field.getState() : field.getText()
    }
    def told = { title ->
        def shown = dialog(title)
        def lines = shown.@label.@lines as List
        onEventThread { shown.dispose() }
        lines.join(' ')
    }
    def labelled = {
        wait { WindowManager.getImage('evl_01_cells') != null && IJ.getImage().getTitle() == 'evl_01_cells' }
    }
    def choose = { command -> IJ.doCommand(command) }
"""


def test_the_dialogs_show_what_the_verbs_say(jvm, folder):
    jvm(BEGIN, folder=str(folder))
    # a training offers its model to them
    jvm("['predict', 'predict_folder'].each { Prefs.set('fijibridge.' + it + '.model', null) }; null")
    for verb in all_verbs():
        if not verb.parameters:
            continue
        shown, told = jvm(
            CHOOSE
            + """
            choose(command)
            def shown = dialog(command - '...')
            def help = []
            // on the event thread, on which the dialog gets its own focus at any time
            onEventThread {
                help = fields(shown).collect { field ->
                    field.getFocusListeners()*.focusGained(new java.awt.event.FocusEvent(field, 1004))
                    def message = shown.getMessage()
                    (message instanceof java.awt.Label ? [message.getText()] : message.@lines as List).join(' ').trim()
                }
            }
            def found = [fields(shown).collect { value(it) }, help]
            press(shown, 'cancel')
            found
            """,
            command=verb.command,
        )
        kinds = (
            (Kind.image, Kind.cells, Kind.choice), (Kind.file, Kind.folder, Kind.new_folder, Kind.text),
            (Kind.integer, Kind.number), (Kind.flag,),
        )  # fmt: skip
        ordered = [p for kind in kinds for p in verb.parameters if p.kind in kind]
        assert len(shown) == len(ordered), verb.name
        for parameter, value, help in zip(ordered, shown, told, strict=True):
            assert help == " ".join(f"{parameter.title}: {described(parameter)}".split()), (verb.name, parameter.name)
            if parameter.kind in (Kind.image, Kind.cells):
                assert value in (("none",) if parameter.optional else ("evl_01.tif", "evl_01_cells.tif"))
            elif parameter.kind is Kind.flag:
                assert value == parameter.default
            else:
                usual = "" if parameter.required else parameter.text(parameter.default)
                assert value == ("none" if parameter.kind is Kind.choice and not usual else usual)


def test_a_person_corrects_what_was_wrong_and_is_remembered(jvm, folder):
    """By the keys of a Fiji that Python started, and of nothing that SciJava keeps."""
    jvm(BEGIN, folder=str(folder))
    found = jvm(
        CHOOSE
        + """
        choose('FijiBridge Label Cells...')
        def shown = dialog('FijiBridge Label Cells')
        shown.getNumericFields()[0].setText('0.4')
        shown.getNumericFields()[1].setText('much')
        press(shown, 'okay')
        def why = told('FijiBridge Label Cells...')
        shown = dialog('FijiBridge Label Cells')
        def kept = shown.getNumericFields()[0].getText()
        shown.getNumericFields()[1].setText('')
        press(shown, 'okay')
        labelled()
        [why, kept, *['threshold', 'sigma'].collect { Prefs.get('fijibridge.label_cells.' + it, 'usual') }]
        """
    )
    assert found == [
        "FijiBridge Label Cells...: sigma is 'much'; expected a number of at least 0 (px)", "0.4", "0.4", "usual"
    ]  # fmt: skip
    again = """
        choose('FijiBridge Label Cells...')
        def shown = dialog('FijiBridge Label Cells')
        def offered = shown.getNumericFields()[0].getText()
        press(shown, 'cancel')
        Prefs.set('fijibridge.label_cells.threshold', null)
        offered
    """
    assert jvm(CHOOSE + again) == "0.4"


def test_the_model_of_a_training_is_offered_by_the_next_prediction(jvm, folder):
    done(jvm, folder, "macro", "FijiBridge Train U-Net...")
    offered = """
        choose('FijiBridge Predict...')
        def shown = dialog('FijiBridge Predict')
        def offered = shown.getStringFields()[0].getText()
        press(shown, 'cancel')
        offered
    """
    assert jvm(CHOOSE + offered) == "new"


def test_what_a_person_remembers_is_no_default_of_a_macro(jvm, folder):
    jvm(BEGIN, folder=str(folder))
    jvm("[method: 'threshold', grow: 'false'].each { Prefs.set('fijibridge.label_cells.' + it.key, it.value) }; null")
    try:
        jvm("speak('macro', code)", code=code("macro", "FijiBridge Label Cells...", "image=evl_01.tif"))
        grown = jvm("WindowManager.getImage('evl_01_cells').getStatistics().histogram16[0]")
        assert grown == 24, "the cells were grown, until a gap of 1 px is left"
    finally:
        jvm("['method', 'grow'].each { Prefs.set('fijibridge.label_cells.' + it, null) }; null")


def test_an_error_is_a_dialog_for_a_person_and_its_trace_is_in_the_log(jvm, home):  # noqa: F811
    jvm(CLOSE)
    told, logged = jvm(
        CHOOSE
        + """
        choose('FijiBridge Break...')
        press(dialog('FijiBridge Break'), 'okay')
        def why = told('FijiBridge Break...')
        press(dialog('FijiBridge Break'), 'cancel')
        [why, IJ.getLog()]
        """
    )
    assert "ZeroDivisionError: division by zero (spoken.py, line" in told
    assert "return 1 / 0" in logged


@pytest.mark.parametrize(("mode", "line"), [
    ("Macro", 'run("FijiBridge Label Cells...", "image=evl_01.tif threshold=0.4");'),
    ("JavaScript", 'IJ.run("FijiBridge Label Cells...", "image=evl_01.tif threshold=0.4");'),
])  # fmt: skip
def test_the_recorder_writes_a_call_as_it_is_read(jvm, folder, mode, line):
    jvm(BEGIN, folder=str(folder))
    recorded = jvm(
        CHOOSE
        + """
        def recorder = null
        onEventThread { recorder = new ij.plugin.frame.Recorder() }
        try {
            onEventThread {
                recorder.@mode.select(mode)
                recorder.itemStateChanged(new java.awt.event.ItemEvent(recorder.@mode, 701, mode, 1))
            }
            choose('FijiBridge Label Cells...')
            def shown = dialog('FijiBridge Label Cells')
            shown.getNumericFields()[0].setText('0.4')
            press(shown, 'okay')
            labelled()
            wait { recorder.getText().contains('Label Cells') }
            recorder.getText()
        } finally { onEventThread { recorder.close() }; Prefs.set('fijibridge.label_cells.threshold', null) }
        """,
        mode=mode,
    )
    assert [text for text in recorded.splitlines() if "Label Cells" in text] == [line]
