"""The scripts of a Fiji that Python did not start, with its windows, under Xvfb."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from fijibridge.app.scripts import FOLDER
from tests.worker.conftest import Jvm, environment, find_jars, home  # noqa: F401 - fixtures

pytestmark = pytest.mark.jvm

HELPERS = """
    def onEventThread = { work -> java.awt.EventQueue.invokeAndWait(work) }
    def wait = { done ->
        def last = System.currentTimeMillis() + 20000
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
def jvm(display, environment):  # noqa: F811
    """ImageJ with its window, in a JVM of its own."""
    running = Jvm(find_jars(), headless=False, DISPLAY=display, **environment)
    running("new ImageJ(ImageJ.STANDALONE).exitWhenQuitting(false); null")
    yield lambda code, **values: running(HELPERS + code, **values)
    running.close()


@pytest.fixture
def run(jvm, home):  # noqa: F811
    """Run the script of a verb, its images given by their titles."""

    def script(name, /, **values):
        jvm(
            """
            def images = parameters(path).findAll { it.value.type == 'ImagePlus' }.keySet()
            def image = { name, value -> name in images ? WindowManager.getImage(value) : value }
            script(path, given.collectEntries { name, value -> [name, image(name, value)] })
            null
            """,
            path=str(home / FOLDER / f"FijiBridge_{name}.groovy"), given=values,
        )  # fmt: skip

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
            both.getLineCount(), WindowManager.getImage('Curves').getWindow().class.simpleName]
        """
    )
    assert sorted(shown[0]) == ["Curves", "bild"]
    assert sorted(title for title in shown[1] if title in ("Both", "Results")) == ["Both", "Results"]
    assert shown[2:] == [4, "PlotWindow"]


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


TOLD = """
    def dialog = null
    def calling = Thread.start { script(path, values()) }
    wait { dialog = java.awt.Window.getWindows().find { it instanceof java.awt.Dialog && it.isVisible() } }
    def lines = dialog.@label.@lines as List
    onEventThread { dialog.dispose() }
    calling.join(20000)
    [lines.join(' '), IJ.getLog()]
"""


def test_an_error_is_a_dialog_and_its_trace_is_in_the_log(jvm, home):  # noqa: F811
    told, logged = jvm("def values = { [:] }\n" + TOLD, path=str(home / FOLDER / "FijiBridge_Break....groovy"))
    assert "ZeroDivisionError: division by zero (spoken.py, line" in told
    assert "return 1 / 0" in logged


def test_an_image_that_was_closed_is_told(jvm, home):  # noqa: F811
    close = """
    IJ.createImage('zu', '16-bit ramp', 20, 15, 3).show()
    def imp = WindowManager.getImage('zu')
    onEventThread { imp.close() }
    def values = { [image: imp] }
    """
    told, _ = jvm(close + TOLD, path=str(home / FOLDER / "FijiBridge_Look_At....groovy"))
    assert told == "'zu' is closed"
