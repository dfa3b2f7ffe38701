"""Every call of docs/verbs.md, in each language of Fiji's script editor, and what it must do."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fijibridge as fb
from fijibridge.files.writer import write_image
from tests.conftest import ROOT
from tests.networks import brightness

LANGUAGES = ("macro", "groovy", "beanshell", "jython", "javascript")
PYTHON = ("python", "run_macro")
"""Only in the Fiji of this process: Python that calls ImageJ's classes, and Python that runs macros."""
_IN = {
    "macro": 'run({call}); return "went on";',
    "groovy": 'ij.IJ.run({call}); "went on"',
    "beanshell": 'ij.IJ.run({call}); "went on"',
    "jython": 'from ij import IJ\nIJ.run({call})\nresult = "went on"',
    "javascript": 'Packages.ij.IJ.run({call}); "went on"',
    "python": 'import jpype\njpype.JClass("ij.IJ").run({call})\nresult = "went on"',
    "run_macro": "import fijibridge\nresult = fijibridge.current().run_macro('run({call}); return \"went on\";')",
}
LINES = dict(
    re.findall(r'^run\("(FijiBridge [^"]*)"(?:, "([^"]*)")?\);$', (ROOT / "docs" / "verbs.md").read_text("utf-8"), re.M)
)
"""The calls by their commands: the options of each, those of a training made quick."""
del LINES["FijiBridge Bright Cells..."]  # a verb of the reader's own
LINES["FijiBridge Train U-Net..."] += " epochs=1 batches=1 batch=1 depth=1 channels=2 patch=16 forecast=false"
LINES["FijiBridge Plan..."] += " probe=false"

AREAS = [17 * 14 / 4, 17 * 14 / 4]
"""Of the two cells that are drawn, in um²."""
GROWN = [20 * 24 / 4, 19 * 24 / 4]
"""Of those that are found, which grow until a gap of 1 px is left between them."""


def code(language: str, command: str, options: str) -> str:
    """Return a call in a language, which may be said with who runs it before: "SciJava groovy"."""
    return _IN[language.split()[-1]].replace("{call}", f'"{command}", "{options}"' if options else f'"{command}"')


def prepared(folder: Path) -> Path:
    """Make what the lines name, in the folder that they count from."""
    image = np.full((24, 40), 0.9, np.float32)
    cells = np.zeros((24, 40), np.uint16)
    for label, column in ((1, 3), (2, 23)):
        image[3:20, column : column + 14], cells[3:20, column : column + 14] = label / 10, label
    both = {"image": image, "labels": cells}
    arrays = {name: fb.as_image(array, pixel_size=0.5, unit="um") for name, array in both.items()}
    write_image(arrays["image"], folder / "evl_01.tif")
    write_image(arrays["labels"], folder / "evl_01_cells.tif")
    brightness(folder / "runs" / "evl" / "model.safetensors")
    fb.save_dataset({"a": arrays, "b": arrays}, folder / "images", provenance="manual", split={"validation": ["b"]})
    return folder


WRONG = {
    ("FijiBridge Predict...", "model=/nowhere"): "model is '/nowhere': there is no such file",
    ("FijiBridge Stop Training", ""): "no training is running",
}
"""Calls that fail, and what is told of each."""
WORKING = {command: options for command, options in LINES.items() if (command, options) not in WRONG}
"""Calls that work."""

BEGIN = """
    WindowManager.getIDList()?.each { def imp = WindowManager.getImage(it); imp.changes = false; imp.close() }
    ['Results', 'Matches', 'Cells', 'Errors'].each { name ->
        def window = WindowManager.getWindow(name)
        if (window instanceof ij.text.TextWindow) java.awt.EventQueue.invokeAndWait { window.close(false) }
    }
    ij.plugin.filter.Analyzer.setResultsTable(new ResultsTable())
    if (ij.IJ.getInstance() != null && IJ.getLog() != null) IJ.log("\\\\Clear")
    printed()
    ['evl_01_cells.tif', 'evl_01.tif'].each {
        def imp = IJ.openImage(folder + '/' + it)
        imp.show()
        imp.waitTillActivated()
    }
    WindowManager.setTempCurrentImage(null)  // without windows show() makes it the active one of this thread only
    null
"""
FOUND = """
    def open = WindowManager.getIDList().collect { WindowManager.getImage(it) }
    def images = open.sort { it.getTitle() }.collect { imp ->
        double sum = 0
        (1..imp.getStackSize()).each { n ->
            def ip = imp.getStack().getProcessor(n)
            (0..<ip.getPixelCount()).each { sum += ip.getf(it) * (it % 7 + 1) }
        }
        [imp.getTitle(), imp.getDimensions() as List, Math.round(sum * 100), imp.getOverlay()?.size() ?: 0]
    }
    boolean windows = !java.awt.GraphicsEnvironment.isHeadless()
    def tables = ['Results', 'Matches'].collectEntries { name ->
        def table = name == 'Results' ? ResultsTable.getResultsTable()
            : windows ? ResultsTable.getResultsTable(name) : kept(name)
        [name, table == null ? [:] : table.getHeadings().collectEntries { heading ->
            [heading, (0..<table.size()).collect { row -> table.getStringValue(heading, row) }] }]
    }
    def said = windows ? IJ.getLog() : printed()
    [images: images, tables: tables, active: IJ.getImage().getTitle(), said: said ?: '']
"""


def done(jvm: Callable[..., Any], told: Callable[[str, str], Any], folder: Path, language: str, command: str) -> Any:
    """Run a line in a language, and return what came out.

    Parameters
    ----------
    jvm
        Runs Groovy, with ``kept(name)``, the table of a name where there are no windows, and ``printed()``.
    told
        Runs code in a language, and returns what it returned and, by title, what dialogs said that opened meanwhile.
    folder
        What :func:`prepared` made.
    """
    shutil.rmtree(folder / "new", ignore_errors=True)
    jvm(BEGIN, folder=str(folder))
    returned = told(language, code(language, command, LINES[command]))
    files = sorted(str(p.relative_to(folder / "new")) for p in (folder / "new").rglob("*.t*"))
    return {**jvm(FOUND), "told": returned, "files": files}


def check(command: str, found: dict[str, Any]) -> None:
    """Look whether a line did what it must do."""
    returned, dialogs = found["told"]
    assert (returned, dialogs) == ("went on", {}), command
    titles = {image[0]: image[1:] for image in found["images"]}
    match command.removeprefix("FijiBridge ").removesuffix("..."):
        case "Save Training Set":
            assert "dataset.toml" in found["files"]
        case "Plan":
            assert "patch" in found["said"]
        case "Train U-Net":
            assert "Model and record in" in found["said"]
            assert found["active"] == "Training curves"
        case "Predict":
            assert titles["evl_01_prob"][0] == [40, 24, 2, 1, 1]
            assert found["active"] == "evl_01_prob"
        case "Predict Folder":
            assert found["files"] == ["a_prob.tif", "b_prob.tif"]
        case "Label Cells":
            assert titles["evl_01_cells"][0] == [40, 24, 1, 1, 1]
            assert titles["evl_01.tif"][2] == 2
            assert found["active"] == "evl_01_cells"
        case "Match Labels":
            assert found["tables"]["Matches"]["matched"] == ["2"]
        case "Measure Cells":
            assert [float(area) for area in found["tables"]["Results"]["Area"]] == AREAS
        case "Show Errors":
            assert len(titles) > 2
        case "About":
            assert found["said"].startswith(f"fijibridge {fb.__version__}, Python")
        case other:
            raise AssertionError(f"nobody knows what {other} must do")


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """Return what must be equal in all languages, with windows and without, in Python's Fiji and in a foreign one."""
    # Python's own Fiji watches a training, and shows a picture too; the curves depend on how many threads compute
    images = [image for image in found["images"] if not image[0].startswith("Training ")]
    return {**{name: found[name] for name in ("tables", "active", "files")}, "images": images}


def all_done(done: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """Do all lines that work, check them, and return by line what must be equal everywhere."""
    found = {command: done(command) for command in WORKING}
    for command, one in found.items():
        check(command, one)
    return {command: compared(one) for command, one in found.items()}
